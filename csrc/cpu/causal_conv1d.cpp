// The causal convolution operators on the CPU: checks, packing, the split of the work over threads. The arithmetic is
// in causal_conv1d.inl.
#include "causal_conv1d.h"

#include <tuple>

#include "../call_counts.h"

namespace seqlight::cpu {
namespace {

// ------------------------------------------------------------------------------------------------------------ forward

// Up to this many rows, a product with the weights as they lie is faster than packing them first.
constexpr int64_t kDirectRows = 8;

template <typename T>
std::tuple<Tensor, Tensor, Tensor> forward(const CausalConv1dSizes& s, const Tensor& x, const MaybeTensor& state,
                                           const Tensor& weight, const MaybeTensor& bias, bool save_for_backward) {
  using torch::stable::new_empty;
  const bool gate = s.activation == ConvActivation::gate, fused_gate = gate && s.groups == 1;
  const int64_t rows = s.batch * s.time, channels = s.out_channels();
  Tensor output = new_empty(x, {s.batch, s.time, channels});
  // A gate that is not fused needs its pre-activations in any case.
  const bool keep = gate && (save_for_backward || !fused_gate);
  Tensor saved = keep ? new_empty(x, {s.batch, s.time, s.pre_channels}) : new_empty(x, {0});

  ConvProduct<T> p = {};
  p.batch = s.batch;
  p.times = s.time;
  p.taps = s.taps;
  p.first_offset = -s.state_length();
  p.offset_step = s.dilation;
  p.groups = s.groups;
  p.depth = s.in_per_group();
  p.columns = fused_gate ? channels : s.pre_per_group();
  p.in = readable<T>(x, state, s.state_length());
  const bool to_saved = gate && !fused_gate;
  p.out = to_saved ? writable<T>(saved.mutable_data_ptr<T>(), s.time, nullptr, 0, s.pre_channels)
                   : writable<T>(output.mutable_data_ptr<T>(), s.time, nullptr, 0, channels);
  p.epilogue = fused_gate                             ? ConvEpilogue::gate
               : s.activation == ConvActivation::relu ? ConvEpilogue::relu
                                                      : ConvEpilogue::none;
  p.saved = fused_gate && keep ? saved.mutable_data_ptr<T>() : nullptr;

  const bool depthwise = is_depthwise(s), direct = !depthwise && rows <= kDirectRows;
  const ConvKernels<T>& kernel = kernels<T>(depthwise ? s.groups : direct ? p.depth * s.taps : p.columns);
  if (direct) {
    p.weights = weight.const_data_ptr<T>();
    p.bias = data<T>(bias);
  } else {
    pack_weights<T>(s, kernel, weight.const_data_ptr<T>(), data<T>(bias), false, p);
  }
  const int64_t bytes = direct ? kernel.direct_scratch_bytes(p) : kernel.product_scratch_bytes(p);
  const double work = static_cast<double>(rows) * s.pre_channels * s.in_per_group() * s.taps;
  const int64_t workers = worker_count(rows, work);
  const auto product = direct ? kernel.direct : depthwise ? kernel.depthwise_product : kernel.product;
  const int64_t threads = run(workers, [&](int64_t worker) {
    const int64_t first = rows * worker / workers, last = rows * (worker + 1) / workers;
    product(p, first, last, thread_scratch<ScratchUse::kernel, char>(bytes));
    if (to_saved)
      kernel.gate_rows(saved.mutable_data_ptr<T>() + first * s.pre_channels, last - first, channels,
                       output.mutable_data_ptr<T>() + first * channels);
  });
  count_call(Op::causal_conv1d_forward, std::is_same_v<T, double>, threads);
  if (!save_for_backward && keep) saved = new_empty(x, {0});
  return {output, next_state<T>(s, p.in, x), saved};
}

std::tuple<Tensor, Tensor, Tensor> causal_conv1d_forward(Tensor x, MaybeTensor state, Tensor weight, MaybeTensor bias,
                                                         int64_t dilation, int64_t groups, int64_t activation,
                                                         bool save_for_backward) {
  const CausalConv1dSizes s = check_causal_conv1d(x, state, weight, bias, dilation, groups, activation);
  const auto call = [&](auto number) {
    return forward<decltype(number)>(s, channel_contiguous(x), channel_contiguous(state), dense(weight), dense(bias),
                                     save_for_backward);
  };
  if (x.scalar_type() == ScalarType::Float) return call(float());
  STD_TORCH_CHECK(x.scalar_type() == ScalarType::Double, "causal_conv1d: x expected float32 or float64, got ",
                  torch::headeronly::toString(x.scalar_type()));
  return call(double());
}

// ----------------------------------------------------------------------------------------------------------- backward

// What the weight gradient of one block of rows reads, and what one chunk keeps, stays in the L2 cache.
constexpr int64_t kBlockBytes = 256 * 1024, kChunkBytes = 512 * 1024;

// Rows that one thread takes together: times [begin, end) of sequences [first, last); of several only whole ones.
struct Chunk {
  int64_t first, last, begin, end;
};

// Calls body(chunk) for chunks of about `most` rows that make up the rows [first_row, last_row) of the batch.
template <typename Body>
void for_chunks(int64_t first_row, int64_t last_row, int64_t time, int64_t most, const Body& body) {
  for (int64_t row = first_row; row < last_row;) {
    const int64_t batch = row / time, begin = row % time, left = last_row - row;
    Chunk chunk = {batch, batch + 1, begin, std::min({time, begin + left, begin + most})};
    if (begin == 0 && left >= time && most >= 2 * time) {
      chunk.last = batch + std::min(left, most) / time;
      chunk.end = time;
    }
    body(chunk);
    row += (chunk.last - chunk.first) * (chunk.end - chunk.begin);
  }
}

struct Needs {
  bool input, state, weight, bias;
};

using Gradients = std::tuple<Tensor, Tensor, Tensor, Tensor>;

// Everything the threads share.
template <typename T>
struct Backward {
  CausalConv1dSizes sizes;
  const ConvKernels<T>& by_output;  // lanes are channels of the output before the activation
  const ConvKernels<T>& by_input;   // lanes are channels of x
  ConvEpilogue epilogue;
  bool depthwise;
  Sequences<const T> grad_output;
  const T* activated;            // [B, T, channels] (relu) or [B, T, 2 * channels] (gate)
  ConvWeightGradient<T> weight;  // inputs and offsets; gradient and target are each thread's
  T* packed_grads;               // [workers, packed_size], or null
  int64_t packed_size;
  T* bias_sums;            // [workers, pre_channels], or null
  ConvProduct<T> product;  // of the input gradient; null outputs for what is not wanted
  int64_t chunk_rows, block_rows;

  bool wants_product() const { return product.out.data || product.out.past; }

  // How many rows from the chunk's first time on their gradients are needed: also those that the chunk's inputs reach.
  int64_t reach(const Chunk& chunk) const {
    const int64_t end = wants_product() ? std::min(sizes.time, chunk.end + sizes.state_length()) : chunk.end;
    return end - chunk.begin;
  }
  // With an activation, a thread keeps these gradients itself, and computes those past the chunk's end once more, which
  // is cheaper than meeting the other threads or writing all of them to memory.
  int64_t scratch() const {
    if (epilogue == ConvEpilogue::none) return 0;
    const int64_t most = sizes.time * std::max<int64_t>(1, chunk_rows / sizes.time);
    return std::min(most, chunk_rows + sizes.state_length()) * sizes.pre_channels;
  }

  void operator()(const Chunk& chunk, int64_t worker, T* scratch, void* pointers) const {
    const int64_t pre = sizes.pre_channels, reached = reach(chunk), channels = sizes.out_channels();
    // The gradients before the activation: at (batch, time) of the chunk at grad[...], with these strides.
    const T* grad = grad_output.data + chunk.first * grad_output.batch_stride + chunk.begin * grad_output.time_stride;
    int64_t batch_stride = grad_output.batch_stride, time_stride = grad_output.time_stride;
    if (epilogue != ConvEpilogue::none) {
      const int64_t active = epilogue == ConvEpilogue::gate ? pre : channels;
      for (int64_t b = chunk.first; b < chunk.last; ++b)
        by_output.epilogue_backward(epilogue, grad + (b - chunk.first) * batch_stride, time_stride,
                                    activated + (b * sizes.time + chunk.begin) * active, reached, channels,
                                    scratch + (b - chunk.first) * reached * pre);
      grad = scratch;
      batch_stride = reached * pre;
      time_stride = pre;
    }
    sum(chunk, worker, grad, batch_stride, time_stride);
    if (!wants_product()) return;

    ConvProduct<T> p = product;
    p.batch = chunk.last - chunk.first;
    p.first_time = chunk.begin == 0 && p.out.past ? -sizes.state_length() : chunk.begin;
    p.times = (p.out.data ? chunk.end : 0) - p.first_time;
    if (p.times <= 0) return;
    p.in.data = grad - chunk.begin * time_stride;
    p.in.batch_stride = batch_stride;
    p.in.time_stride = time_stride;
    p.in.length = chunk.begin + reached;
    if (p.out.data) p.out.data += chunk.first * p.out.batch_stride;
    if (p.out.past) p.out.past += chunk.first * p.out.past_batch_stride;
    (depthwise ? by_input.depthwise_product : by_input.product)(p, 0, p.batch * p.times, pointers);
  }

 private:
  // Adds the chunk's rows to this worker's gradients of weight and bias.
  void sum(const Chunk& chunk, int64_t worker, const T* grad, int64_t batch_stride, int64_t time_stride) const {
    ConvWeightGradient<T> own = weight;
    own.grad = grad - chunk.first * batch_stride - chunk.begin * time_stride;
    own.grad_batch_stride = batch_stride;
    own.grad_time_stride = time_stride;
    own.target = packed_grads ? packed_grads + worker * packed_size : nullptr;
    for (int64_t b = chunk.first; b < chunk.last; ++b)
      for (int64_t begin = chunk.begin; begin < chunk.end; begin += block_rows) {
        const int64_t end = std::min(chunk.end, begin + block_rows);
        if (bias_sums)
          by_output.add_rows(own.grad + b * batch_stride + begin * time_stride, time_stride, end - begin,
                             sizes.pre_channels, bias_sums + worker * sizes.pre_channels);
        if (packed_grads)
          (depthwise ? by_output.depthwise_weight_gradient : by_output.weight_gradient)(own, b, begin, end);
      }
  }
};

template <typename T>
Gradients backward(const CausalConv1dSizes& s, const Tensor& grad_output, const MaybeTensor& grad_new_state,
                   const Tensor& x, const MaybeTensor& state, const Tensor& weight, const Tensor& activated,
                   const Needs& need) {
  using torch::stable::new_empty;
  using torch::stable::new_zeros;
  const int64_t rows = s.batch * s.time, length = s.state_length();
  const bool depthwise = is_depthwise(s);
  const double products = (need.weight ? 1 : 0) + (need.input || need.state ? 1 : 0);
  const int64_t workers =
      worker_count(rows, products * static_cast<double>(rows) * s.pre_channels * s.in_per_group() * s.taps);
  const auto none = [&] { return new_empty(x, {0}); };  // results may not share memory
  Tensor grad_x = need.input ? new_empty(x, {s.batch, s.time, s.in_channels}) : none();
  // Without time steps no row of it would be written.
  Tensor grad_state = !need.state ? none()
                      : s.time    ? new_empty(x, {s.batch, length, s.in_channels})
                                  : new_zeros(x, {s.batch, length, s.in_channels});

  Backward<T> work = {s,
                      kernels<T>(depthwise ? s.groups : s.pre_per_group()),
                      kernels<T>(depthwise ? s.groups : s.in_per_group()),
                      s.activation == ConvActivation::gate   ? ConvEpilogue::gate
                      : s.activation == ConvActivation::relu ? ConvEpilogue::relu
                                                             : ConvEpilogue::none,
                      depthwise,
                      readable<T>(grad_output, std::nullopt, 0),
                      nullptr,
                      {},
                      nullptr,
                      0,
                      nullptr,
                      {},
                      0,
                      0};
  if (work.epilogue != ConvEpilogue::none) work.activated = activated.const_data_ptr<T>();
  work.packed_size = depthwise
                         ? s.taps * s.groups
                         : work.by_output.packed_weights(s.groups, s.pre_per_group(), s.in_per_group(), s.taps, false);
  Tensor packed = need.weight ? new_zeros(x, {workers, work.packed_size}) : none();
  Tensor bias_sums = need.bias ? new_zeros(x, {workers, s.pre_channels}) : none();
  if (need.weight) work.packed_grads = packed.mutable_data_ptr<T>();
  if (need.bias) work.bias_sums = bias_sums.mutable_data_ptr<T>();
  work.weight.taps = s.taps;
  work.weight.first_offset = -length;
  work.weight.offset_step = s.dilation;
  work.weight.groups = s.groups;
  work.weight.depth = s.in_per_group();
  work.weight.columns = s.pre_per_group();
  work.weight.in = readable<T>(x, state, length);

  ConvProduct<T>& p = work.product;
  p.taps = s.taps;
  p.first_offset = length;
  p.offset_step = -s.dilation;
  p.groups = s.groups;
  p.depth = s.pre_per_group();
  p.columns = s.in_per_group();
  p.epilogue = ConvEpilogue::none;
  p.out = writable<T>(need.input ? grad_x.mutable_data_ptr<T>() : nullptr, s.time,
                      need.state && length ? grad_state.mutable_data_ptr<T>() : nullptr, length, s.in_channels);
  if (work.wants_product() && rows > 0) pack_weights<T>(s, work.by_input, weight.const_data_ptr<T>(), nullptr, true, p);

  const int64_t row_bytes = (s.in_channels + s.pre_channels) * static_cast<int64_t>(sizeof(T));
  work.block_rows = std::clamp<int64_t>(kBlockBytes / row_bytes, 32, 1024);
  work.chunk_rows = std::max({kChunkBytes / row_bytes - length, 2 * length, int64_t{96}});
  const int64_t bytes = work.by_input.product_scratch_bytes(p);
  int64_t threads = 1;
  if (rows > 0)
    threads = run(workers, [&](int64_t worker) {
      T* const scratch = thread_scratch<ScratchUse::kernel, T>(work.scratch());
      void* const pointers = thread_scratch<ScratchUse::kernel, char>(bytes);
      for_chunks(rows * worker / workers, rows * (worker + 1) / workers, s.time, work.chunk_rows,
                 [&](const Chunk& chunk) { work(chunk, worker, scratch, pointers); });
    });
  if (grad_new_state) add_state_gradient<T>(s, *grad_new_state, p.out.data, p.out.past);
  count_call(Op::causal_conv1d_backward, std::is_same_v<T, double>, threads);

  Tensor grad_weight = none(), grad_bias = none();
  if (need.weight) {
    grad_weight = new_empty(x, {s.pre_channels, s.in_per_group(), s.taps});
    T* const target = grad_weight.mutable_data_ptr<T>();
    const T* const sums = packed.const_data_ptr<T>();
    if (depthwise) {
      for (int64_t c = 0; c < s.groups; ++c)
        for (int64_t k = 0; k < s.taps; ++k) {
          T sum = 0;
          for (int64_t w = 0; w < workers; ++w) sum += sums[w * work.packed_size + k * s.groups + c];
          target[c * s.taps + k] = sum;
        }
    } else {
      work.by_output.unpack(sums, workers, s.groups, s.pre_per_group(), s.in_per_group(), s.taps, target);
    }
  }
  if (need.bias) {
    grad_bias = new_zeros(x, {s.pre_channels});
    work.by_output.add_rows(bias_sums.const_data_ptr<T>(), s.pre_channels, workers, s.pre_channels,
                            grad_bias.mutable_data_ptr<T>());
  }
  return {grad_x, grad_state, grad_weight, grad_bias};
}

Gradients causal_conv1d_backward(MaybeTensor grad_output, MaybeTensor grad_new_state, Tensor x, MaybeTensor state,
                                 Tensor weight, int64_t dilation, int64_t groups, int64_t activation, Tensor activated,
                                 bool need_input_grad, bool need_state_grad, bool need_weight_grad,
                                 bool need_bias_grad) {
  const char* op = "causal_conv1d_backward";
  const CausalConv1dSizes s = check_causal_conv1d(x, state, weight, std::nullopt, dilation, groups, activation);
  check_causal_conv1d_backward(s, x, grad_output, grad_new_state, activated);
  if (!grad_output) grad_output = torch::stable::new_zeros(x, {s.batch, s.time, s.out_channels()});
  const Needs need = {need_input_grad, need_state_grad, need_weight_grad, need_bias_grad};
  const auto call = [&](auto number) {
    return backward<decltype(number)>(s, channel_contiguous(*grad_output), channel_contiguous(grad_new_state),
                                      channel_contiguous(x), channel_contiguous(state), dense(weight), dense(activated),
                                      need);
  };
  if (x.scalar_type() == ScalarType::Float) return call(float());
  STD_TORCH_CHECK(x.scalar_type() == ScalarType::Double, op, ": x expected float32 or float64, got ",
                  torch::headeronly::toString(x.scalar_type()));
  return call(double());
}

}  // namespace

STABLE_TORCH_LIBRARY_IMPL(seqlight, CPU, m) {
  m.impl("causal_conv1d_forward", TORCH_BOX(&causal_conv1d_forward));
  m.impl("causal_conv1d_backward", TORCH_BOX(&causal_conv1d_backward));
}

}  // namespace seqlight::cpu
