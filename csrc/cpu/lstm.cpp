// The LSTM operators on the CPU: checks, packing, the split of the work over threads. The arithmetic is in lstm.inl.
#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>

#include <atomic>
#include <cstring>
#include <tuple>
#include <type_traits>

#include "../call_counts.h"
#include "../lstm_checks.h"
#include "floating_point_state.h"
#include "instruction_set.h"
#include "lstm_kernels.h"
#include "scratch.h"

namespace seqlight {
namespace {

using torch::headeronly::ScalarType;
using torch::stable::Tensor;
using MaybeTensor = std::optional<Tensor>;

template <typename T>
const LstmKernels<T>& choose(const LstmKernels<float>& of_float, const LstmKernels<double>& of_double) {
  if constexpr (std::is_same_v<T, float>)
    return of_float;
  else
    return of_double;
}

// The narrowest vectors that hold the whole batch, so that few rows do not drag many empty lanes along. A function of
// the batch alone: forward and backward must agree on it, since groups shape the saved tensor.
template <typename T>
const LstmKernels<T>& kernels(int64_t batch) {
#if defined(__x86_64__)
  const int64_t bytes = batch * static_cast<int64_t>(sizeof(T));
  switch (instruction_set()) {
    case InstructionSet::avx512:
      if (bytes <= 16) return choose<T>(avx512_128::lstm_float, avx512_128::lstm_double);
      if (bytes <= 32) return choose<T>(avx512_256::lstm_float, avx512_256::lstm_double);
      return choose<T>(avx512_512::lstm_float, avx512_512::lstm_double);
    case InstructionSet::avx2:
      if (bytes <= 16) return choose<T>(avx2_128::lstm_float, avx2_128::lstm_double);
      return choose<T>(avx2_256::lstm_float, avx2_256::lstm_double);
    default:
      break;
  }
#endif
  (void)batch;
  return choose<T>(base::lstm_float, base::lstm_double);
}

Tensor dense(const Tensor& tensor) { return tensor.is_contiguous() ? tensor : torch::stable::contiguous(tensor); }

MaybeTensor dense(const MaybeTensor& tensor) {
  if (!tensor) return std::nullopt;
  return dense(*tensor);
}

// The kernels read rows at any batch and time stride, as long as the features of one step lie side by side.
Tensor feature_contiguous(const Tensor& tensor) {
  return tensor.stride(2) == 1 || tensor.size(2) <= 1 ? tensor : torch::stable::contiguous(tensor);
}

template <typename T>
const T* data(const MaybeTensor& tensor) {
  return tensor ? tensor->const_data_ptr<T>() : nullptr;
}

// ------------------------------------------------------------------------------------------------- splitting the work

struct Split {
  int64_t workers;  // tasks given to torch's pool
  bool team;        // the workers share each group, rather than taking whole groups
};

// A step of a group must be worth a barrier, and a call worth waking a second thread; both were measured in units of
// multiply-adds (about 1 and 4 microseconds).
constexpr double kTeamStepWork = 2e5, kParallelWork = 2.5e5;

Split split_work(const LstmSizes& s, int64_t lanes) {
  const int64_t threads = torch::stable::get_num_threads();
  const int64_t groups = tile_count(s.batch, lanes);
  const double step_work = 4.0 * s.hidden_size * (s.input_size + s.hidden_size) * lanes;
  if (threads == 1 || step_work * groups * s.time < kParallelWork) return {1, false};
  const int64_t workers = groups < threads ? groups : threads;
  // Work done one group at a time, over work done if all threads were busy all the time.
  const double imbalance = static_cast<double>(tile_count(groups, workers) * threads) / groups;
  if (imbalance > 1.3 && step_work > kTeamStepWork) return {threads, true};
  return {workers, false};
}

// Runs kernel(slice, scratch) for every part of the work and returns how many threads took part.
template <typename T, typename Kernel>
int64_t run(const Split& split, int64_t groups, int64_t scratch, const Kernel& kernel) {
  std::atomic<int64_t> threads{0};
  Team team(split.workers);
  T* const shared = split.team ? thread_scratch<ScratchUse::kernel, T>(scratch) : nullptr;
  const auto body = [&](int64_t begin, int64_t end) {
    const FlushDenormals flush;
    threads.fetch_add(1, std::memory_order_relaxed);
    if (split.team) {
      kernel(LstmSlice{0, groups, 0, &team, begin, end, split.workers}, shared);
      return;
    }
    T* const own = thread_scratch<ScratchUse::kernel, T>(scratch);
    for (int64_t worker = begin; worker < end; ++worker)
      kernel(
          LstmSlice{groups * worker / split.workers, groups * (worker + 1) / split.workers, worker, nullptr, 0, 1, 1},
          own);
  };
  if (split.workers == 1)
    body(0, 1);
  else
    torch::stable::parallel_for(0, split.workers, 1, body);
  return threads.load();
}

// ------------------------------------------------------------------------------------------------------------ packing

constexpr int64_t kParallelPacking = 1 << 16;  // numbers; below, packing takes less time than waking a thread

template <typename Body>
void for_tiles(int64_t tiles, int64_t numbers, const Body& body) {
  if (numbers < kParallelPacking)
    body(0, tiles);
  else
    torch::stable::parallel_for(0, tiles, 1, body);
}

// Layouts in lstm_kernels.h.
template <typename T>
void pack_forward(const LstmSizes& s, int64_t units_per_tile, const T* weight_ih, const T* weight_hh, const T* bias_ih,
                  const T* bias_hh, T* weights, T* bias) {
  const int64_t I = s.input_size, H = s.hidden_size, depth = I + H, tiles = tile_count(H, units_per_tile);
  for_tiles(tiles, 4 * H * depth, [&](int64_t first, int64_t last) {
    for (int64_t tile = first; tile < last; ++tile) {
      const int64_t begin = tile_begin(tile, tiles, H), units = tile_begin(tile + 1, tiles, H) - begin;
      T* const target = weights + 4 * begin * depth;
      for (int64_t u = 0; u < units; ++u)
        for (int64_t g = 0; g < 4; ++g) {
          const T* row = weight_ih + (g * H + begin + u) * I;
          T* column = target + 4 * u + g;
          for (int64_t k = 0; k < I; ++k, column += 4 * units) *column = row[k];
          row = weight_hh + (g * H + begin + u) * H;
          for (int64_t k = 0; k < H; ++k, column += 4 * units) *column = row[k];
        }
    }
  });
  for (int64_t u = 0; u < H; ++u)
    for (int64_t g = 0; g < 4; ++g)
      bias[4 * u + g] = (bias_ih ? bias_ih[g * H + u] : T(0)) + (bias_hh ? bias_hh[g * H + u] : T(0));
}

template <typename T>
void pack_backward(const LstmSizes& s, int64_t columns, int64_t columns_per_tile, const T* weight_ih,
                   const T* weight_hh, T* weights) {
  const int64_t I = s.input_size, H = s.hidden_size, tiles = tile_count(columns, columns_per_tile);
  for_tiles(tiles, 4 * H * columns, [&](int64_t first, int64_t last) {
    for (int64_t tile = first; tile < last; ++tile) {
      const int64_t begin = tile_begin(tile, tiles, columns), end = tile_begin(tile + 1, tiles, columns);
      const int64_t from_hidden = end < H ? end : begin < H ? H : begin;  // columns before it are weight_hh's
      T* target = weights + begin * 4 * H;
      for (int64_t u = 0; u < H; ++u)
        for (int64_t g = 0; g < 4; ++g, target += end - begin) {
          const T* hidden = weight_hh + (g * H + u) * H;
          const T* input = weight_ih + (g * H + u) * I;
          for (int64_t q = begin; q < from_hidden; ++q) target[q - begin] = hidden[q];
          for (int64_t q = from_hidden; q < end; ++q) target[q - begin] = input[q - H];
        }
    }
  });
}

// ------------------------------------------------------------------------------------------------------------ forward

template <typename T>
LstmForwardArguments<T> forward_arguments(const LstmSizes& s, const Tensor& x, const Tensor& h0, const Tensor& c0,
                                          const MaybeTensor& weight_peephole, const MaybeTensor& lengths,
                                          bool reverse) {
  LstmForwardArguments<T> a = {};
  a.batch = s.batch;
  a.time = s.time;
  a.input_size = s.input_size;
  a.hidden_size = s.hidden_size;
  a.x = x.const_data_ptr<T>();
  a.x_batch_stride = x.stride(0);
  a.x_time_stride = x.stride(1);
  a.h0 = h0.const_data_ptr<T>();
  a.c0 = c0.const_data_ptr<T>();
  a.peephole = data<T>(weight_peephole);
  a.lengths = data<int64_t>(lengths);
  a.reverse = reverse;
  return a;
}

void check_lengths(const MaybeTensor& lengths, int64_t time) {
  if (!lengths) return;
  const int64_t* values = lengths->const_data_ptr<int64_t>();
  for (int64_t row = 0; row < lengths->size(0); ++row)
    STD_TORCH_CHECK(values[row] >= 0 && values[row] <= time, "lstm: lengths expected values from 0 to T = ", time,
                    ", got ", values[row], " at row ", row);
}

template <typename T>
std::tuple<Tensor, Tensor, Tensor, Tensor> forward(const LstmSizes& s, const Tensor& x, const Tensor& h0,
                                                   const Tensor& c0, const Tensor& weight_ih, const Tensor& weight_hh,
                                                   const MaybeTensor& bias_ih, const MaybeTensor& bias_hh,
                                                   const MaybeTensor& weight_peephole, const MaybeTensor& lengths,
                                                   bool reverse, bool save_for_backward) {
  using torch::stable::new_empty;
  const LstmKernels<T>& kernel = kernels<T>(s.batch);
  const int64_t H = s.hidden_size, depth = s.input_size + H;
  Tensor output = new_empty(x, {s.batch, s.time, H}), h_n = new_empty(x, {s.batch, H}),
         c_n = new_empty(x, {s.batch, H});
  Tensor saved = save_for_backward ? new_empty(x, {s.time, s.batch, 5, H}) : new_empty(x, {0});

  T* const weights = thread_scratch<ScratchUse::packed_weights, T>(4 * H * (depth + 1));
  T* const bias = weights + 4 * H * depth;
  pack_forward<T>(s, kernel.units_per_tile, weight_ih.const_data_ptr<T>(), weight_hh.const_data_ptr<T>(),
                  data<T>(bias_ih), data<T>(bias_hh), weights, bias);

  LstmForwardArguments<T> a = forward_arguments<T>(s, x, h0, c0, weight_peephole, lengths, reverse);
  a.weights = weights;
  a.bias = bias;
  a.output = output.mutable_data_ptr<T>();
  a.h_n = h_n.mutable_data_ptr<T>();
  a.c_n = c_n.mutable_data_ptr<T>();
  a.saved = save_for_backward ? saved.mutable_data_ptr<T>() : nullptr;

  const int64_t threads =
      run<T>(split_work(s, kernel.lanes), tile_count(s.batch, kernel.lanes), kernel.forward_scratch(a),
             [&](const LstmSlice& slice, T* scratch) { kernel.forward(a, slice, scratch); });
  count_call(Op::lstm_forward, std::is_same_v<T, double>, threads);
  return {output, h_n, c_n, saved};
}

std::tuple<Tensor, Tensor, Tensor, Tensor> lstm_forward(Tensor x, Tensor h0, Tensor c0, Tensor weight_ih,
                                                        Tensor weight_hh, MaybeTensor bias_ih, MaybeTensor bias_hh,
                                                        MaybeTensor weight_peephole, MaybeTensor lengths, bool reverse,
                                                        bool save_for_backward) {
  const LstmSizes s = check_lstm(x, h0, c0, weight_ih, weight_hh, bias_ih, bias_hh, weight_peephole, lengths);
  lengths = dense(lengths);
  check_lengths(lengths, s.time);
  const auto call = [&](auto number) {
    return forward<decltype(number)>(s, feature_contiguous(x), dense(h0), dense(c0), dense(weight_ih), dense(weight_hh),
                                     dense(bias_ih), dense(bias_hh), dense(weight_peephole), lengths, reverse,
                                     save_for_backward);
  };
  if (x.scalar_type() == ScalarType::Float) return call(float());
  STD_TORCH_CHECK(x.scalar_type() == ScalarType::Double, "lstm: x expected float32 or float64, got ",
                  torch::headeronly::toString(x.scalar_type()));
  return call(double());
}

// ----------------------------------------------------------------------------------------------------------- backward

// Up to this many bytes for one time step of one group, the kernel sums the weight gradient itself, from cache; beyond,
// the reduction at the end of each chunk costs more than writing the gates' gradients out for a library product.
constexpr int64_t kFusedStepBytes = 56 * 1024;

// [B, T, H]: the hidden state before each step; zeros outside a row's length.
template <typename T>
Tensor hidden_before(const LstmForwardArguments<T>& a, const Tensor& output) {
  const int64_t H = a.hidden_size, time = a.time;
  Tensor before = torch::stable::new_empty(output, {a.batch, time, H});
  T* const target = before.mutable_data_ptr<T>();
  const T* const source = output.const_data_ptr<T>();
  torch::stable::parallel_for(0, a.batch, 1, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const int64_t length = a.lengths ? a.lengths[row] : time;
      T* const to = target + row * time * H;
      std::memset(to + length * H, 0, (time - length) * H * sizeof(T));
      if (length == 0) continue;
      const int64_t first = a.reverse ? length - 1 : 0;
      std::memcpy(to + first * H, a.h0 + row * H, H * sizeof(T));
      std::memcpy(to + (a.reverse ? 0 : H), source + (row * time + (a.reverse ? 1 : 0)) * H,
                  (length - 1) * H * sizeof(T));
    }
  });
  return before;
}

// x, or a copy with zeros outside each row's length: what stands there must not reach the weight gradient (0 * NaN).
template <typename T>
Tensor masked_input(const LstmForwardArguments<T>& a, const Tensor& x) {
  if (!a.lengths) return x;
  Tensor copy = torch::stable::clone(torch::stable::contiguous(x));
  const int64_t I = a.input_size;
  T* const target = copy.mutable_data_ptr<T>();
  for (int64_t row = 0; row < a.batch; ++row)
    std::memset(target + (row * a.time + a.lengths[row]) * I, 0, (a.time - a.lengths[row]) * I * sizeof(T));
  return copy;
}

// Sums the workers' gradients and undoes the kernel's order: for each tile of columns [H, columns, 4].
template <typename T>
void unpack_weight_gradient(const LstmSizes& s, int64_t depth_per_tile, int64_t workers, const T* packed,
                            T* grad_weight_ih, T* grad_weight_hh) {
  const int64_t I = s.input_size, H = s.hidden_size, depth = I + H, tiles = tile_count(depth, depth_per_tile);
  for (int64_t tile = 0; tile < tiles; ++tile) {
    const int64_t begin = tile_begin(tile, tiles, depth), end = tile_begin(tile + 1, tiles, depth);
    const T* source = packed + begin * 4 * H;
    for (int64_t u = 0; u < H; ++u)
      for (int64_t k = begin; k < end; ++k)
        for (int64_t g = 0; g < 4; ++g, ++source) {
          T sum = 0;
          for (int64_t w = 0; w < workers; ++w) sum += source[w * 4 * H * depth];
          if (k < I)
            grad_weight_ih[(g * H + u) * I + k] = sum;
          else
            grad_weight_hh[(g * H + u) * H + k - I] = sum;
        }
  }
}

using Gradients = std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor>;

template <typename T>
Gradients backward(const LstmSizes& s, const MaybeTensor& grad_output, const MaybeTensor& grad_h_n,
                   const MaybeTensor& grad_c_n, const Tensor& x, const Tensor& h0, const Tensor& c0,
                   const Tensor& weight_ih, const Tensor& weight_hh, const MaybeTensor& weight_peephole,
                   const MaybeTensor& lengths, bool reverse, const Tensor& output, const Tensor& saved,
                   bool need_input_grad, bool need_weight_grad) {
  using torch::stable::new_empty;
  using torch::stable::new_zeros;
  const LstmKernels<T>& kernel = kernels<T>(s.batch);
  const int64_t I = s.input_size, H = s.hidden_size, depth = I + H;
  const Split split = split_work(s, kernel.lanes);
  const bool fused = !split.team && (6 * H + 2 * I) * kernel.lanes * static_cast<int64_t>(sizeof(T)) <= kFusedStepBytes;
  const bool fused_weights = fused && need_weight_grad;
  const bool fused_input = fused && need_input_grad;

  Tensor none = new_empty(x, {0});
  Tensor grad_x = fused_input ? new_empty(x, {s.batch, s.time, I}) : none;
  Tensor grad_h0 = new_empty(x, {s.batch, H}), grad_c0 = new_empty(x, {s.batch, H});
  const bool write_gates = !fused && (need_input_grad || need_weight_grad);
  Tensor grad_gates = write_gates ? new_empty(x, {s.batch, s.time, 4 * H}) : none;
  Tensor packed_grad = fused_weights ? new_zeros(x, {split.workers, 4 * H * depth}) : none;
  Tensor bias_grad = need_weight_grad ? new_zeros(x, {split.workers, H, 4}) : none;
  const bool peephole = weight_peephole && need_weight_grad;
  Tensor peephole_grad = peephole ? new_zeros(x, {split.workers, 3, H}) : none;

  LstmBackwardArguments<T> a = {};
  a.forward = forward_arguments<T>(s, x, h0, c0, weight_peephole, lengths, reverse);
  a.forward.output = const_cast<T*>(output.const_data_ptr<T>());
  a.forward.saved = const_cast<T*>(saved.const_data_ptr<T>());
  a.columns = fused_input ? H + I : H;
  T* const weights = thread_scratch<ScratchUse::packed_weights, T>(4 * H * a.columns);
  pack_backward<T>(s, a.columns, kernel.columns_per_tile, weight_ih.const_data_ptr<T>(), weight_hh.const_data_ptr<T>(),
                   weights);
  a.weights = weights;
  if (grad_output) {
    a.grad_output = data<T>(grad_output);
    a.grad_output_batch_stride = grad_output->stride(0);
    a.grad_output_time_stride = grad_output->stride(1);
  }
  a.grad_h_n = data<T>(grad_h_n);
  a.grad_c_n = data<T>(grad_c_n);
  a.grad_x = fused_input ? grad_x.mutable_data_ptr<T>() : nullptr;
  a.grad_h0 = grad_h0.mutable_data_ptr<T>();
  a.grad_c0 = grad_c0.mutable_data_ptr<T>();
  a.grad_gates = write_gates ? grad_gates.mutable_data_ptr<T>() : nullptr;
  a.grad_weights = fused_weights ? packed_grad.mutable_data_ptr<T>() : nullptr;
  a.grad_bias = need_weight_grad ? bias_grad.mutable_data_ptr<T>() : nullptr;
  a.grad_peephole = peephole ? peephole_grad.mutable_data_ptr<T>() : nullptr;

  const int64_t threads = run<T>(split, tile_count(s.batch, kernel.lanes), kernel.backward_scratch(a),
                                 [&](const LstmSlice& slice, T* scratch) { kernel.backward(a, slice, scratch); });
  count_call(Op::lstm_backward, std::is_same_v<T, double>, threads);

  const int64_t rows = s.batch * s.time;
  Tensor gates = write_gates ? torch::stable::view(grad_gates, {rows, 4 * H}) : none;
  if (write_gates && need_input_grad)
    grad_x = torch::stable::view(torch::stable::matmul(gates, weight_ih), {s.batch, s.time, I});
  if (!need_weight_grad) return {grad_x, grad_h0, grad_c0, none, none, none, none};

  Tensor grad_weight_ih = none, grad_weight_hh = none;
  if (fused) {
    grad_weight_ih = new_empty(x, {4 * H, I});
    grad_weight_hh = new_empty(x, {4 * H, H});
    unpack_weight_gradient<T>(s, kernel.units_per_tile, split.workers, a.grad_weights,
                              grad_weight_ih.mutable_data_ptr<T>(), grad_weight_hh.mutable_data_ptr<T>());
  } else {
    const Tensor transposed = torch::stable::transpose(gates, 0, 1);
    const Tensor inputs = torch::stable::reshape(masked_input<T>(a.forward, x), {rows, I});
    const Tensor states = torch::stable::view(hidden_before<T>(a.forward, output), {rows, H});
    grad_weight_ih = torch::stable::matmul(transposed, inputs);
    grad_weight_hh = torch::stable::matmul(transposed, states);
  }
  Tensor grad_bias = new_empty(x, {4 * H});
  T* const bias = grad_bias.mutable_data_ptr<T>();
  for (int64_t u = 0; u < H; ++u)
    for (int64_t g = 0; g < 4; ++g) {
      T sum = 0;
      for (int64_t w = 0; w < split.workers; ++w) sum += a.grad_bias[(w * H + u) * 4 + g];
      bias[g * H + u] = sum;
    }
  if (!peephole) return {grad_x, grad_h0, grad_c0, grad_weight_ih, grad_weight_hh, grad_bias, none};
  Tensor grad_peephole = new_empty(x, {3, H});
  T* const target = grad_peephole.mutable_data_ptr<T>();
  for (int64_t j = 0; j < 3 * H; ++j) {
    T sum = 0;
    for (int64_t w = 0; w < split.workers; ++w) sum += a.grad_peephole[w * 3 * H + j];
    target[j] = sum;
  }
  return {grad_x, grad_h0, grad_c0, grad_weight_ih, grad_weight_hh, grad_bias, grad_peephole};
}

Gradients lstm_backward(MaybeTensor grad_output, MaybeTensor grad_h_n, MaybeTensor grad_c_n, Tensor x, Tensor h0,
                        Tensor c0, Tensor weight_ih, Tensor weight_hh, MaybeTensor weight_peephole, MaybeTensor lengths,
                        bool reverse, Tensor output, Tensor saved, bool need_input_grad, bool need_weight_grad) {
  const char* op = "lstm_backward";
  const LstmSizes s = check_lstm(x, h0, c0, weight_ih, weight_hh, std::nullopt, std::nullopt, weight_peephole, lengths);
  const int64_t H = s.hidden_size;
  lengths = dense(lengths);
  check_lengths(lengths, s.time);
  check_shape(op, "output", output, "[B, T, H]", {s.batch, s.time, H});
  check_shape(op, "saved", saved, "[T, B, 5, H]", {s.time, s.batch, 5, H});
  check_kind(op, "output", output, "x", x);
  check_kind(op, "saved", saved, "x", x);
  if (grad_output) {
    check_shape(op, "grad_output", *grad_output, "[B, T, H]", {s.batch, s.time, H});
    check_kind(op, "grad_output", *grad_output, "x", x);
    grad_output = feature_contiguous(*grad_output);
  }
  for (const auto& [name, grad] : {std::pair{"grad_h_n", &grad_h_n}, std::pair{"grad_c_n", &grad_c_n}}) {
    if (!*grad) continue;
    check_shape(op, name, **grad, "[B, H]", {s.batch, H});
    check_kind(op, name, **grad, "x", x);
    *grad = dense(*grad);
  }
  const auto call = [&](auto number) {
    return backward<decltype(number)>(s, grad_output, grad_h_n, grad_c_n, feature_contiguous(x), dense(h0), dense(c0),
                                      dense(weight_ih), dense(weight_hh), dense(weight_peephole), lengths, reverse,
                                      dense(output), dense(saved), need_input_grad, need_weight_grad);
  };
  if (x.scalar_type() == ScalarType::Float) return call(float());
  STD_TORCH_CHECK(x.scalar_type() == ScalarType::Double, op, ": x expected float32 or float64, got ",
                  torch::headeronly::toString(x.scalar_type()));
  return call(double());
}

}  // namespace

STABLE_TORCH_LIBRARY_IMPL(seqlight, CPU, m) {
  m.impl("lstm_forward", TORCH_BOX(&lstm_forward));
  m.impl("lstm_backward", TORCH_BOX(&lstm_backward));
}

}  // namespace seqlight
