// The WaveNet layer's operators on the CPU: dilated convolution, gate, 1x1 residual and skip in one pass over blocks of
// rows that stay in the cache. The arithmetic is in causal_conv1d.inl.
#include <tuple>

#include "../call_counts.h"
#include "../wavenet_layer_checks.h"
#include "aligned_buffer.h"
#include "causal_conv1d.h"

namespace seqlight::cpu {
namespace {

// Rows that go through all of a layer at once: one block of the kernels, whose rows stay in the L1 and L2 caches.
constexpr int64_t kLayerRows = 96;

// A product of rows with one packed weight.
template <typename T>
struct LayerProduct {
  const ConvKernels<T>* kernel = nullptr;
  ConvProduct<T> product = {};
  AlignedBuffer<T> packed;

  // From weight [columns (twice with the gate), depth, taps]; `transposed`: from [depth, columns, taps].
  void pack(const T* weight, const T* bias, int64_t columns, int64_t depth, int64_t taps, bool transposed, bool gate) {
    kernel = &kernels<T>(columns);
    const int64_t size = kernel->packed_weights(1, columns, depth, taps, gate);
    packed = AlignedBuffer<T>(size + kernel->packed_bias(1, columns, gate));
    if (transposed)
      kernel->pack_transposed(weight, 1, columns, depth, taps, packed.data());
    else
      kernel->pack(weight, 1, columns, depth, taps, gate, packed.data());
    kernel->pack_bias(bias, 1, columns, gate, packed.data() + size);
    product.taps = taps;
    product.groups = 1;
    product.depth = depth;
    product.columns = columns;
    product.weights = packed.data();
    product.bias = packed.data() + size;
    product.epilogue = gate ? ConvEpilogue::gate : ConvEpilogue::none;
  }
  explicit operator bool() const { return kernel; }

  void times(int64_t batch, int64_t first_time, int64_t count) {
    product.batch = batch;
    product.first_time = first_time;
    product.times = count;
  }
  int64_t scratch_bytes() const { return kernel ? kernel->product_scratch_bytes(product) : 0; }
};

// `rows`, which hold the rows of [B, T, channels] from row `first` on, as if all were there.
template <typename T>
Sequences<T> window(T* rows, int64_t first, int64_t time, int64_t channels) {
  return {rows - first * channels, time * channels, channels, time, nullptr, 0, 0, 0};
}

// The same row of [B, channels] at every time.
template <typename T>
Sequences<const T> at_every_time(const Tensor& rows, int64_t time) {
  return {rows.const_data_ptr<T>(), rows.stride(0), 0, time, nullptr, 0, 0, 0};
}

template <typename T, typename Body>
void for_blocks(int64_t first, int64_t last, const Body& body) {
  for (int64_t begin = first; begin < last; begin += kLayerRows) body(begin, std::min(last, begin + kLayerRows));
}

// ------------------------------------------------------------------------------------------------------------ forward

struct Layer {
  Tensor h;
  MaybeTensor state, skip;
  Tensor conv_weight, conv_bias, project_weight, project_bias;
  MaybeTensor condition, condition_weight, static_term;
  bool save_for_backward;
};

using Outputs = std::tuple<Tensor, Tensor, Tensor, Tensor>;

template <typename T>
Outputs forward(const WaveNetLayerSizes& sizes, const Layer& a) {
  using torch::stable::new_empty;
  const CausalConv1dSizes& s = sizes.conv;
  const int64_t C = sizes.channels(), rows = s.batch * s.time, D = sizes.condition;
  Tensor h_next = sizes.residual ? new_empty(a.h, {s.batch, s.time, C}) : new_empty(a.h, {0});
  Tensor skip_sum = new_empty(a.h, {s.batch, s.time, sizes.skip});
  Tensor activated = a.save_for_backward ? new_empty(a.h, {s.batch, s.time, 2 * C}) : new_empty(a.h, {0});

  LayerProduct<T> conv, residual, skip, condition;
  conv.pack(a.conv_weight.const_data_ptr<T>(), a.conv_bias.const_data_ptr<T>(), C, C, s.taps, false, true);
  conv.product.first_offset = -s.state_length();
  conv.product.offset_step = s.dilation;
  conv.product.in = readable<T>(a.h, a.state, s.state_length());
  if (a.save_for_backward) conv.product.saved = activated.mutable_data_ptr<T>();
  const T* project_weight = a.project_weight.const_data_ptr<T>();
  const T* project_bias = a.project_bias.const_data_ptr<T>();
  if (sizes.residual) {
    residual.pack(project_weight, project_bias, C, C, 1, false, false);
    residual.product.out = writable<T>(h_next.mutable_data_ptr<T>(), s.time, nullptr, 0, C);
    residual.product.add = readable<T>(a.h, std::nullopt, 0);
    project_weight += C * C;
    project_bias += C;
  }
  skip.pack(project_weight, project_bias, sizes.skip, C, 1, false, false);
  skip.product.out = writable<T>(skip_sum.mutable_data_ptr<T>(), s.time, nullptr, 0, sizes.skip);
  if (a.skip) skip.product.add = readable<T>(*a.skip, std::nullopt, 0);
  if (D) {
    condition.pack(a.condition_weight->const_data_ptr<T>(), nullptr, 2 * C, D, 1, false, false);
    condition.product.in = readable<T>(*a.condition, std::nullopt, 0);
    if (a.static_term) condition.product.add = at_every_time<T>(*a.static_term, s.time);
  } else if (a.static_term) {
    conv.product.add = at_every_time<T>(*a.static_term, s.time);
  }
  int64_t bytes = 0;
  for (LayerProduct<T>* each : {&conv, &residual, &skip, &condition}) {
    each->times(s.batch, 0, s.time);
    if (D && each == &conv) each->product.add.data = each->packed.data();  // its scratch has room for what is added
    bytes = std::max(bytes, each->scratch_bytes());
  }

  const double work = static_cast<double>(rows) * C * (2 * C * s.taps + C + sizes.skip + 2 * D);
  const int64_t workers = worker_count(rows, work);
  const int64_t threads = run(workers, [&](int64_t worker) {
    T* const unit = thread_scratch<ScratchUse::kernel, T>(kLayerRows * (C + (D ? 2 * C : 0)));
    T* const before = unit + kLayerRows * C;
    void* const pointers = thread_scratch<ScratchUse::kernel, char>(bytes);
    for_blocks<T>(rows * worker / workers, rows * (worker + 1) / workers, [&](int64_t first, int64_t last) {
      const auto apply = [&](const LayerProduct<T>& each, const ConvProduct<T>& p) {
        each.kernel->product(p, first, last, pointers);
      };
      ConvProduct<T> p = conv.product;
      if (condition) {
        ConvProduct<T> own = condition.product;
        own.out = window(before, first, s.time, 2 * C);
        apply(condition, own);
        p.add = window<const T>(before, first, s.time, 2 * C);
      }
      p.out = window(unit, first, s.time, C);
      apply(conv, p);
      for (const LayerProduct<T>* each : {&residual, &skip}) {
        if (!*each) continue;
        ConvProduct<T> own = each->product;
        own.in = window<const T>(unit, first, s.time, C);
        apply(*each, own);
      }
    });
  });
  count_call(Op::wavenet_layer_forward, std::is_same_v<T, double>, threads);
  return {h_next, skip_sum, next_state<T>(s, conv.product.in, a.h), activated};
}

Outputs wavenet_layer_forward(Tensor h, MaybeTensor state, MaybeTensor skip, Tensor conv_weight, Tensor conv_bias,
                              Tensor project_weight, Tensor project_bias, MaybeTensor condition,
                              MaybeTensor condition_weight, MaybeTensor static_term, int64_t dilation, bool residual,
                              bool save_for_backward) {
  const char* op = "wavenet_layer";
  const WaveNetLayerSizes s =
      check_wavenet_layer(h, state, conv_weight, project_weight, condition, condition_weight, dilation, residual);
  check_wavenet_layer_forward(s, h, skip, conv_bias, project_weight, project_bias, static_term);
  const Layer a = {
      channel_contiguous(h),   channel_contiguous(state), channel_contiguous(skip), dense(conv_weight),
      dense(conv_bias),        dense(project_weight),     dense(project_bias),      channel_contiguous(condition),
      dense(condition_weight), dense(static_term),        save_for_backward};
  if (h.scalar_type() == ScalarType::Float) return forward<float>(s, a);
  STD_TORCH_CHECK(h.scalar_type() == ScalarType::Double, op, ": h expected float32 or float64, got ",
                  torch::headeronly::toString(h.scalar_type()));
  return forward<double>(s, a);
}

// ----------------------------------------------------------------------------------------------------------- backward

// A weight's gradient, summed by every thread apart.
template <typename T>
class LayerWeightGradient {
 public:
  LayerWeightGradient(int64_t workers, int64_t columns, int64_t depth, int64_t taps)
      : kernel_(&kernels<T>(columns)),
        size_(kernel_->packed_weights(1, columns, depth, taps, false)),
        workers_(workers),
        weights_(workers * size_),
        biases_(workers * columns) {
    gradient_.taps = taps;
    gradient_.groups = 1;
    gradient_.depth = depth;
    gradient_.columns = columns;
  }

  void dilate(int64_t first_offset, int64_t offset_step) {
    gradient_.first_offset = first_offset;
    gradient_.offset_step = offset_step;
  }

  // Adds rows [first, last) of the batch.
  void add(int64_t worker, const Sequences<const T>& grad, const Sequences<const T>& in, int64_t first, int64_t last) {
    ConvWeightGradient<T> own = gradient_;
    own.in = in;
    own.grad = grad.data;
    own.grad_batch_stride = grad.batch_stride;
    own.grad_time_stride = grad.time_stride;
    own.target = weights_.data() + worker * size_;
    const int64_t time = grad.length;
    while (first < last) {
      const int64_t batch = first / time, begin = first % time, end = std::min(time, begin + last - first);
      kernel_->weight_gradient(own, batch, begin, end);
      kernel_->add_rows(grad.data + batch * grad.batch_stride + begin * grad.time_stride, grad.time_stride, end - begin,
                        own.columns, biases_.data() + worker * own.columns);
      first += end - begin;
    }
  }

  void write(T* grad_weight, T* grad_bias) const {
    const ConvWeightGradient<T>& g = gradient_;
    kernel_->unpack(weights_.data(), workers_, 1, g.columns, g.depth, g.taps, grad_weight);
    if (grad_bias) kernel_->add_rows(biases_.data(), g.columns, workers_, g.columns, grad_bias);
  }

 private:
  const ConvKernels<T>* kernel_;
  int64_t size_, workers_;
  ConvWeightGradient<T> gradient_ = {};
  AlignedBuffer<T> weights_, biases_;
};

struct LayerGradient {
  MaybeTensor grad_h_next, grad_skip, grad_new_state;
  Tensor h;
  MaybeTensor state;
  Tensor conv_weight, project_weight;
  MaybeTensor condition, condition_weight;
  Tensor activated;
  bool need_h, need_state, need_weights, need_condition, need_condition_weight, need_static;
};

using Gradients = std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor>;

template <typename T>
Gradients backward(const WaveNetLayerSizes& sizes, const LayerGradient& a) {
  using torch::stable::new_empty;
  using torch::stable::new_zeros;
  const CausalConv1dSizes& s = sizes.conv;
  const int64_t C = sizes.channels(), S = sizes.skip, D = sizes.condition, length = s.state_length();
  const int64_t rows = s.batch * s.time;
  const double work = 2.0 * rows * C * (2 * C * s.taps + C + S + 2 * D);
  const int64_t workers = worker_count(rows, work);
  const auto none = [&] { return new_empty(a.h, {0}); };  // results may not share memory

  // First, block by block: the gradients before the gate, and the weights' sums. The former go to memory, since the
  // convolution's gradient reads them `dilation` steps ahead, where another thread may have computed them.
  T* const before = thread_scratch<ScratchUse::sequences, T>(rows * 2 * C);  // [B, T, 2 * C]
  const Sequences<const T> all_before = window<const T>(before, 0, s.time, 2 * C);
  const T* const activated = a.activated.const_data_ptr<T>();
  LayerProduct<T> residual, skip;
  Sequences<const T> grad_h_next = {}, grad_skip = {};
  const T* const project_weight = a.project_weight.const_data_ptr<T>();
  if (a.grad_h_next) {
    residual.pack(project_weight, nullptr, C, C, 1, true, false);
    residual.product.in = grad_h_next = readable<T>(*a.grad_h_next, std::nullopt, 0);
  }
  if (a.grad_skip) {
    skip.pack(project_weight + (sizes.residual ? C * C : 0), nullptr, C, S, 1, true, false);
    skip.product.in = grad_skip = readable<T>(*a.grad_skip, std::nullopt, 0);
  }
  int64_t bytes = 0;
  for (LayerProduct<T>* each : {&residual, &skip}) {
    each->times(s.batch, 0, s.time);
    each->product.add.data = before;  // room for what is added
    bytes = std::max(bytes, each->scratch_bytes());
    each->product.add.data = nullptr;
  }
  LayerWeightGradient<T> conv_gradient(workers, 2 * C, C, s.taps), residual_gradient(workers, C, C, 1),
      skip_gradient(workers, S, C, 1), condition_gradient(workers, 2 * C, D, 1);
  conv_gradient.dilate(-length, s.dilation);
  const Sequences<const T> h = readable<T>(a.h, a.state, length);
  const ConvKernels<T>& by_channel = kernels<T>(C);
  const auto first_pass = [&](int64_t worker) {
    T* const grad_unit = thread_scratch<ScratchUse::kernel, T>(kLayerRows * 2 * C);
    T* const unit = grad_unit + kLayerRows * C;
    void* const pointers = thread_scratch<ScratchUse::kernel, char>(bytes);
    for_blocks<T>(rows * worker / workers, rows * (worker + 1) / workers, [&](int64_t first, int64_t last) {
      bool begun = false;
      for (const LayerProduct<T>* each : {&residual, &skip}) {
        if (!*each) continue;
        ConvProduct<T> p = each->product;
        p.out = window(grad_unit, first, s.time, C);
        if (begun) p.add = window<const T>(grad_unit, first, s.time, C);
        each->kernel->product(p, first, last, pointers);
        begun = true;
      }
      by_channel.epilogue_backward(ConvEpilogue::gate, grad_unit, C, activated + first * 2 * C, last - first, C,
                                   before + first * 2 * C);
      if (a.need_weights) {
        by_channel.gate_output(activated + first * 2 * C, last - first, C, unit);
        const Sequences<const T> units = window<const T>(unit, first, s.time, C);
        if (residual) residual_gradient.add(worker, grad_h_next, units, first, last);
        if (skip) skip_gradient.add(worker, grad_skip, units, first, last);
        conv_gradient.add(worker, all_before, h, first, last);
      }
      if (a.need_condition_weight)
        condition_gradient.add(worker, all_before, readable<T>(*a.condition, std::nullopt, 0), first, last);
    });
  };
  int64_t threads = rows > 0 ? run(workers, first_pass) : 1;

  // Then what the inputs before the gate get.
  Tensor grad_h = a.need_h ? new_empty(a.h, {s.batch, s.time, C}) : none();
  Tensor grad_state = !a.need_state ? none()
                      : s.time      ? new_empty(a.h, {s.batch, length, C})
                                    : new_zeros(a.h, {s.batch, length, C});
  Tensor grad_condition = a.need_condition ? new_empty(a.h, {s.batch, s.time, D}) : none();
  LayerProduct<T> input, condition;
  bytes = 0;
  if (a.need_h || (a.need_state && length)) {
    input.pack(a.conv_weight.const_data_ptr<T>(), nullptr, C, 2 * C, s.taps, true, false);
    input.product.first_offset = length;
    input.product.offset_step = -s.dilation;
    input.product.in = all_before;
    input.product.out = writable<T>(a.need_h ? grad_h.mutable_data_ptr<T>() : nullptr, s.time,
                                    a.need_state && length ? grad_state.mutable_data_ptr<T>() : nullptr, length, C);
    if (a.need_h && a.grad_h_next) input.product.add = grad_h_next;
    const int64_t first = input.product.out.past ? -length : 0;
    input.times(s.batch, first, (a.need_h ? s.time : 0) - first);
    bytes = input.scratch_bytes();
  }
  if (a.need_condition) {
    condition.pack(a.condition_weight->const_data_ptr<T>(), nullptr, D, 2 * C, 1, true, false);
    condition.product.in = all_before;
    condition.product.out = writable<T>(grad_condition.mutable_data_ptr<T>(), s.time, nullptr, 0, D);
    condition.times(s.batch, 0, s.time);
    bytes = std::max(bytes, condition.scratch_bytes());
  }
  const auto second_pass = [&](int64_t worker) {
    void* const pointers = thread_scratch<ScratchUse::kernel, char>(bytes);
    for (const LayerProduct<T>* each : {&input, &condition}) {
      if (!*each) continue;
      const int64_t count = s.batch * each->product.times;
      each->kernel->product(each->product, count * worker / workers, count * (worker + 1) / workers, pointers);
    }
  };
  if (rows > 0 && (input || condition)) threads = std::max(threads, run(workers, second_pass));
  if (a.grad_new_state) add_state_gradient<T>(s, *a.grad_new_state, input.product.out.data, input.product.out.past);
  count_call(Op::wavenet_layer_backward, std::is_same_v<T, double>, threads);

  Tensor grad_conv_weight = none(), grad_conv_bias = none(), grad_project_weight = none(), grad_project_bias = none();
  Tensor grad_condition_weight = none(), grad_static = none();
  if (a.need_weights) {
    grad_conv_weight = new_empty(a.h, {2 * C, C, s.taps});
    grad_conv_bias = new_zeros(a.h, {2 * C});
    conv_gradient.write(grad_conv_weight.mutable_data_ptr<T>(), grad_conv_bias.mutable_data_ptr<T>());
    const int64_t before_skip = sizes.residual ? C : 0;
    grad_project_weight = new_zeros(a.h, {before_skip + S, C});
    grad_project_bias = new_zeros(a.h, {before_skip + S});
    T* const weights = grad_project_weight.mutable_data_ptr<T>();
    T* const biases = grad_project_bias.mutable_data_ptr<T>();
    if (residual) residual_gradient.write(weights, biases);
    if (skip) skip_gradient.write(weights + before_skip * C, biases + before_skip);
  }
  if (a.need_condition_weight) {
    grad_condition_weight = new_empty(a.h, {2 * C, D});
    condition_gradient.write(grad_condition_weight.mutable_data_ptr<T>(), nullptr);
  }
  if (a.need_static) {
    grad_static = new_zeros(a.h, {s.batch, 2 * C});
    for (int64_t b = 0; b < s.batch; ++b)
      kernels<T>(2 * C).add_rows(before + b * s.time * 2 * C, 2 * C, s.time, 2 * C,
                                 grad_static.mutable_data_ptr<T>() + b * 2 * C);
  }
  return {grad_h,
          grad_state,
          grad_conv_weight,
          grad_conv_bias,
          grad_project_weight,
          grad_project_bias,
          grad_condition,
          grad_condition_weight,
          grad_static};
}

Gradients wavenet_layer_backward(MaybeTensor grad_h_next, MaybeTensor grad_skip, MaybeTensor grad_new_state, Tensor h,
                                 MaybeTensor state, Tensor conv_weight, Tensor project_weight, MaybeTensor condition,
                                 MaybeTensor condition_weight, int64_t dilation, bool residual, Tensor activated,
                                 bool need_h, bool need_state, bool need_weights, bool need_condition,
                                 bool need_condition_weight, bool need_static) {
  const char* op = "wavenet_layer_backward";
  const WaveNetLayerSizes s =
      check_wavenet_layer(h, state, conv_weight, project_weight, condition, condition_weight, dilation, residual);
  check_wavenet_layer_backward(s, h, grad_h_next, grad_skip, grad_new_state, condition, activated, need_condition,
                               need_condition_weight);
  if (!grad_h_next && !grad_skip) grad_skip = torch::stable::new_zeros(h, {s.conv.batch, s.conv.time, s.skip});
  const LayerGradient a = {channel_contiguous(grad_h_next),
                           channel_contiguous(grad_skip),
                           channel_contiguous(grad_new_state),
                           channel_contiguous(h),
                           channel_contiguous(state),
                           dense(conv_weight),
                           dense(project_weight),
                           channel_contiguous(condition),
                           dense(condition_weight),
                           dense(activated),
                           need_h,
                           need_state,
                           need_weights,
                           need_condition,
                           need_condition_weight,
                           need_static};
  if (h.scalar_type() == ScalarType::Float) return backward<float>(s, a);
  STD_TORCH_CHECK(h.scalar_type() == ScalarType::Double, op, ": h expected float32 or float64, got ",
                  torch::headeronly::toString(h.scalar_type()));
  return backward<double>(s, a);
}

}  // namespace

STABLE_TORCH_LIBRARY_IMPL(seqlight, CPU, m) {
  m.impl("wavenet_layer_forward", TORCH_BOX(&wavenet_layer_forward));
  m.impl("wavenet_layer_backward", TORCH_BOX(&wavenet_layer_backward));
}

}  // namespace seqlight::cpu
