// The LSTM operators on CUDA. Schemas and checks are those of the CPU; see seqlight/ops/lstm.py for the semantics.
//
// NOT YET RUN ON A GPU. This file compiles with nvcc for sm_80, sm_90 and PTX with warnings as errors, and its logic is
// tested on the CPU, element by element (launch.cuh); nobody has run or timed it on a device.
//
// The form is the simple stepwise one. For a chunk of time steps, one library product gives the input's share of the
// gates; then each step is one library product with the recurrent weights and one kernel for the rest of the cell.
// Backward goes through the steps the other way and takes the products for weights and input once per chunk.
//
// - Products are aten::mm.out, so they follow torch's own settings for TF32 and cuBLAS. The out= form is also the one
//   that autocast leaves in the dtype of its arguments.
// - Everything runs on torch's current stream. No atomics: the same call gives the same bits.
// - Lengths are on the device and cannot be checked without waiting for it. seqlight.ops checks them; here a length
//   beyond T counts as T, one below 0 as 0.
#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>
#include <tuple>
#include <type_traits>
#include <utility>

#include "../call_counts.h"
#include "../cells/lstm.h"
#include "../recurrent_checks.h"
#include "launch.cuh"

#ifndef SEQLIGHT_CUDA_CHUNK                     // tests of the chunks set it low
#define SEQLIGHT_CUDA_CHUNK (int64_t{1} << 24)  // gate numbers in a chunk of time steps: 64 MiB in float32
#endif

namespace seqlight {
namespace {

using torch::headeronly::ScalarType;
using torch::stable::new_empty;
using torch::stable::new_zeros;
using torch::stable::Tensor;
using MaybeTensor = std::optional<Tensor>;

// ------------------------------------------------------------------------------------------------------------ kernels
// Each is the work of one element. Buffers are contiguous in the order of their comment unless strides are given.

template <typename T>
struct Activations {
  SEQLIGHT_CELL static T sigmoid(T x) { return T(1) / (T(1) + std::exp(-x)); }
  SEQLIGHT_CELL static T tanh(T x) { return std::tanh(x); }
};

// Which time steps belong to a row, and in which order they are run.
struct Rows {
  const int64_t* lengths;  // [B] or null
  int64_t time;
  bool reverse;

  SEQLIGHT_CELL bool contains(int64_t row, int64_t step) const {
    return step >= 0 && step < time && (lengths == nullptr || step < lengths[row]);
  }
  SEQLIGHT_CELL int64_t before(int64_t step) const { return reverse ? step + 1 : step - 1; }
};

template <typename T>
struct Strided {
  const T* data;
  int64_t batch_stride, time_stride, feature_stride;

  SEQLIGHT_CELL T operator()(int64_t row, int64_t step, int64_t feature) const {
    return data[row * batch_stride + step * time_stride + feature * feature_stride];
  }
};

template <typename T>
SEQLIGHT_CELL LstmPeephole<T> load_peephole(const T* weights, int64_t hidden, int64_t unit) {
  return {weights[unit], weights[hidden + unit], weights[2 * hidden + unit]};
}

// [steps, B, width] from [B, T, width]: the steps from `first` on, zeros outside each row's length, so that what
// stands there (NaN, too) reaches no sum. Element: (step, row, feature).
template <typename T>
struct GatherSteps {
  Rows rows;
  Strided<T> source;
  int64_t first, batch, width;
  T* target;

  __device__ void operator()(int64_t i) const {
    const int64_t row = i / width % batch, step = first + i / width / batch;
    target[i] = rows.contains(row, step) ? source(row, step, i % width) : T(0);
  }
};

// [steps, B, H]: the hidden state before each step, zeros outside each row's length. Element: (step, row, unit).
template <typename T>
struct GatherHiddenBefore {
  Rows rows;
  const T* output;  // [B, T, H]
  const T* h0;      // [B, H]
  int64_t first, batch, hidden;
  T* target;

  __device__ void operator()(int64_t i) const {
    const int64_t unit = i % hidden, row = i / hidden % batch, step = first + i / hidden / batch;
    const int64_t before = rows.before(step);
    if (!rows.contains(row, step))
      target[i] = 0;
    else if (rows.contains(row, before))
      target[i] = output[(row * rows.time + before) * hidden + unit];
    else
      target[i] = h0[row * hidden + unit];
  }
};

// Back from [steps, B, width] to [B, T, width]; zeros outside each row's length. Element: (step, row, feature).
template <typename T>
struct ScatterSteps {
  Rows rows;
  const T* source;
  int64_t first, batch, width;
  T* target;

  __device__ void operator()(int64_t i) const {
    const int64_t row = i / width % batch, step = first + i / width / batch;
    target[(row * rows.time + step) * width + i % width] = rows.contains(row, step) ? source[i] : T(0);
  }
};

template <typename T>
struct Accumulate {
  const T* addend;
  T* sum;

  __device__ void operator()(int64_t i) const { sum[i] += addend[i]; }
};

// One step of the cell, given its matrix products. Element: (row, unit).
template <typename T, bool kPeephole>
struct ForwardStep {
  Rows rows;
  int64_t step, hidden;
  const T* from_input;   // [B, 4H] of this step, without bias
  const T* from_hidden;  // [B, 4H]
  const T* bias_ih;      // [4H] or null
  const T* bias_hh;      // [4H] or null
  const T* peephole;     // [3, H]
  T* h;                  // [B, H], the state before the step on entry, after it on return
  T* c;                  // [B, H], likewise
  T* output;             // [B, T, H]
  T* saved;              // [B, 5, H] of this step: activated i, f, g, o and the cell state; or null

  __device__ T gate(int64_t row, int64_t column) const {
    T sum = from_input[row * 4 * hidden + column] + from_hidden[row * 4 * hidden + column];
    if (bias_ih != nullptr) sum += bias_ih[column];
    if (bias_hh != nullptr) sum += bias_hh[column];
    return sum;
  }

  __device__ void operator()(int64_t i) const {
    const int64_t row = i / hidden, unit = i % hidden;
    T& out = output[(row * rows.time + step) * hidden + unit];
    if (!rows.contains(row, step)) {
      out = 0;
      return;
    }
    LstmGates<T> gates = {gate(row, unit), gate(row, hidden + unit), gate(row, 2 * hidden + unit),
                          gate(row, 3 * hidden + unit)};
    LstmPeephole<T> weights = {};
    if constexpr (kPeephole) weights = load_peephole(peephole, hidden, unit);
    T c_after, h_after;
    lstm_cell<kPeephole, Activations<T>>(gates, c[i], weights, c_after, h_after);
    c[i] = c_after;
    h[i] = h_after;
    out = h_after;
    if (saved == nullptr) return;
    T* const kept = saved + row * 5 * hidden + unit;
    kept[0] = gates.input;
    kept[hidden] = gates.forget;
    kept[2 * hidden] = gates.cell;
    kept[3 * hidden] = gates.output;
    kept[4 * hidden] = c_after;
  }
};

// The gradient for the hidden state between two steps: what the later step handed down where that step belongs to the
// row, and otherwise what is still carried from behind the row's end.
template <typename T>
struct HiddenGradient {
  Rows rows;
  int64_t later;        // the step that ran after this point, or -1 at the end of the sequence
  const T* from_later;  // [B, H], its product of gate gradients and weight_hh
  const T* carried;     // [B, H]

  SEQLIGHT_CELL T operator()(int64_t row, int64_t i) const {
    return rows.contains(row, later) ? from_later[i] : carried[i];
  }
};

// One step of the cell backward, but for its matrix products. Element: (row, unit).
template <typename T, bool kPeephole>
struct BackwardStep {
  Rows rows;
  int64_t step, batch, hidden;
  HiddenGradient<T> grad_h_after;
  Strided<T> grad_output;  // data may be null
  const T* peephole;       // [3, H]
  const T* c0;             // [B, H]
  const T* saved;          // [T, B, 5, H]
  T* carried;              // [B, H], the gradient for h behind each row's end
  T* grad_c;               // [B, H], for the state after the step on entry, before it on return
  T* grad_gates;           // [B, 4H] of this step, zeros outside each row's length
  T* peephole_terms;       // [B, 3, H] of this step, likewise; or null

  __device__ const T* kept(int64_t row, int64_t at, int64_t unit) const {
    return saved + (at * batch + row) * 5 * hidden + unit;
  }

  __device__ void operator()(int64_t i) const {
    const int64_t row = i / hidden, unit = i % hidden;
    T* const gate_target = grad_gates + row * 4 * hidden + unit;
    T* const term_target = peephole_terms == nullptr ? nullptr : peephole_terms + row * 3 * hidden + unit;
    T grad_h = grad_h_after(row, i);
    if (!rows.contains(row, step)) {
      carried[i] = grad_h;
      for (int gate = 0; gate < 4; ++gate) gate_target[gate * hidden] = 0;
      if (term_target != nullptr)
        for (int gate = 0; gate < 3; ++gate) term_target[gate * hidden] = 0;
      return;
    }
    if (grad_output.data != nullptr) grad_h += grad_output(row, step, unit);
    const T* const now = kept(row, step, unit);
    const LstmGates<T> gates = {now[0], now[hidden], now[2 * hidden], now[3 * hidden]};
    const T c = now[4 * hidden];
    const int64_t before = rows.before(step);
    const T c_before = rows.contains(row, before) ? kept(row, before, unit)[4 * hidden] : c0[i];
    LstmPeephole<T> weights = {};
    if constexpr (kPeephole) weights = load_peephole(peephole, hidden, unit);
    const LstmGates<T> grad =
        lstm_cell_backward<kPeephole, Activations<T>>(gates, c_before, c, weights, grad_h, grad_c[i]);
    gate_target[0] = grad.input;
    gate_target[hidden] = grad.forget;
    gate_target[2 * hidden] = grad.cell;
    gate_target[3 * hidden] = grad.output;
    if (term_target == nullptr) return;
    term_target[0] = grad.input * c_before;
    term_target[hidden] = grad.forget * c_before;
    term_target[2 * hidden] = grad.output * c;
  }
};

// The gradient for h0, once all steps are done. Element: (row, unit).
template <typename T>
struct InitialHiddenGradient {
  HiddenGradient<T> grad_h;
  int64_t hidden;
  T* target;  // [B, H]

  __device__ void operator()(int64_t i) const { target[i] = grad_h(i / hidden, i); }
};

// ------------------------------------------------------------------------------------------------------------ tensors

Tensor dense(const Tensor& tensor) { return tensor.is_contiguous() ? tensor : torch::stable::contiguous(tensor); }

// The same values outside of autograd, so that a product may write to memory of ours in any gradient mode.
Tensor detached(const Tensor& tensor) {
  std::array<StableIValue, 1> stack{torch::stable::detail::from(tensor)};
  TORCH_ERROR_CODE_CHECK(torch_call_dispatcher("aten::detach", "", stack.data(), TORCH_ABI_VERSION));
  return torch::stable::detail::to<Tensor>(stack[0]);
}

void multiply_into(const Tensor& product, const Tensor& left, const Tensor& right) {
  std::array<StableIValue, 3> stack{torch::stable::detail::from(left), torch::stable::detail::from(right),
                                    torch::stable::detail::from(product)};
  TORCH_ERROR_CODE_CHECK(torch_call_dispatcher("aten::mm", "out", stack.data(), TORCH_ABI_VERSION));
  (void)torch::stable::detail::to<Tensor>(stack[0]);  // takes back the handle of the result, which is `product`
}

Tensor transposed(const Tensor& matrix) { return torch::stable::transpose(matrix, 0, 1); }

template <typename T>
const T* data(const MaybeTensor& tensor) {
  return tensor ? tensor->const_data_ptr<T>() : nullptr;
}

template <typename T>
Strided<T> strided(const MaybeTensor& tensor) {
  if (!tensor) return {};
  return {tensor->const_data_ptr<T>(), tensor->stride(0), tensor->stride(1), tensor->stride(2)};
}

// The steps are gone through in chunks, so that the memory beyond inputs and results stays bounded.
struct Chunk {
  int64_t first, steps;
};

class Chunks {
 public:
  Chunks(const RecurrentSizes& s, bool ascending)
      : time_(s.time),
        most_(std::clamp<int64_t>(kNumbers / std::max<int64_t>(1, 4 * s.batch * s.hidden_size), 1, s.time)),
        ascending_(ascending) {}

  int64_t most() const { return most_; }
  int64_t count() const { return (time_ + most_ - 1) / most_; }
  Chunk operator[](int64_t index) const {
    const int64_t first = (ascending_ ? index : count() - 1 - index) * most_;
    return {first, std::min(most_, time_ - first)};
  }
  // The k-th step of a chunk in the order in which they are run.
  int64_t step(const Chunk& chunk, int64_t k) const {
    return ascending_ ? chunk.first + k : chunk.first + chunk.steps - 1 - k;
  }

 private:
  static constexpr int64_t kNumbers = SEQLIGHT_CUDA_CHUNK;
  int64_t time_, most_;
  bool ascending_;
};

// The first `steps` of [most, B, width] as a matrix [steps * B, width].
Tensor as_matrix(const Tensor& buffer, int64_t steps) {
  const Tensor part = torch::stable::narrow(const_cast<Tensor&>(buffer), 0, 0, steps);
  return torch::stable::view(part, {steps * buffer.size(1), buffer.size(2)});
}

void check_lengths_device(const MaybeTensor& lengths, const Tensor& x) {
  STD_TORCH_CHECK(!lengths || lengths->device() == x.device(),
                  "lstm: lengths expected on the device of x, got another one");
}

// ------------------------------------------------------------------------------------------------------------ forward

template <typename T>
std::tuple<Tensor, Tensor, Tensor, Tensor> forward(const RecurrentSizes& s, const Tensor& x, const Tensor& h0,
                                                   const Tensor& c0, const Tensor& weight_ih, const Tensor& weight_hh,
                                                   const MaybeTensor& bias_ih, const MaybeTensor& bias_hh,
                                                   const MaybeTensor& weight_peephole, const MaybeTensor& lengths,
                                                   bool reverse, bool save_for_backward) {
  const cudaStream_t stream = current_stream(x);
  const int64_t B = s.batch, I = s.input_size, H = s.hidden_size;
  const Rows rows = {data<int64_t>(lengths), s.time, reverse};
  Tensor output = new_empty(x, {B, s.time, H});
  Tensor h = torch::stable::clone(h0), c = torch::stable::clone(c0);
  Tensor saved = save_for_backward ? new_empty(x, {s.time, B, 5, H}) : new_empty(x, {0});
  count_call(Op::lstm_forward, std::is_same_v<T, double>, 1);
  if (B == 0) return {output, h, c, saved};

  const Chunks chunks(s, !reverse);
  const Tensor inputs = new_empty(x, {chunks.most(), B, I});
  const Tensor from_input = new_empty(x, {chunks.most(), B, 4 * H});
  const Tensor from_hidden = new_empty(x, {B, 4 * H});
  const Tensor input_weights = transposed(weight_ih), hidden_weights = transposed(weight_hh);

  for (int64_t index = 0; index < chunks.count(); ++index) {
    const Chunk chunk = chunks[index];
    launch(chunk.steps * B * I, stream,
           GatherSteps<T>{rows, strided<T>(x), chunk.first, B, I, inputs.mutable_data_ptr<T>()});
    multiply_into(as_matrix(from_input, chunk.steps), as_matrix(inputs, chunk.steps), input_weights);
    for (int64_t k = 0; k < chunk.steps; ++k) {
      const int64_t step = chunks.step(chunk, k);
      multiply_into(from_hidden, h, hidden_weights);
      const auto run = [&](auto peephole) {
        launch(B * H, stream,
               ForwardStep<T, decltype(peephole)::value>{
                   rows, step, H, from_input.const_data_ptr<T>() + (step - chunk.first) * B * 4 * H,
                   from_hidden.const_data_ptr<T>(), data<T>(bias_ih), data<T>(bias_hh), data<T>(weight_peephole),
                   h.mutable_data_ptr<T>(), c.mutable_data_ptr<T>(), output.mutable_data_ptr<T>(),
                   save_for_backward ? saved.mutable_data_ptr<T>() + step * B * 5 * H : nullptr});
      };
      weight_peephole ? run(std::true_type()) : run(std::false_type());
    }
  }
  return {output, h, c, saved};
}

MaybeTensor prepared(const MaybeTensor& tensor) {
  if (!tensor) return std::nullopt;
  return dense(detached(*tensor));
}

// The options that have no kernel here yet; seqlight.ops runs them by the reference.
void check_plain(const char* op, const MaybeTensor& weight_layer_norm, const RecurrentOptions& options,
                 const MaybeTensor& packed) {
  STD_TORCH_CHECK(
      !weight_layer_norm && !options.hidden_mask && options.zoneout_h == 0 && options.zoneout_c == 0 && !packed, op,
      ": layer normalisation, recurrent dropout, zoneout and packed weights have no CUDA kernel");
}

std::tuple<Tensor, Tensor, Tensor, Tensor> lstm_forward(Tensor x, Tensor h0, Tensor c0, Tensor weight_ih,
                                                        Tensor weight_hh, MaybeTensor bias_ih, MaybeTensor bias_hh,
                                                        MaybeTensor weight_peephole, MaybeTensor weight_layer_norm,
                                                        MaybeTensor hidden_mask, MaybeTensor zoneout_seed,
                                                        MaybeTensor lengths, double zoneout_h, double zoneout_c,
                                                        bool reverse, MaybeTensor packed, bool save_for_backward) {
  const RecurrentOptions options = {hidden_mask, zoneout_seed, lengths, zoneout_h, zoneout_c};
  const RecurrentSizes s =
      check_lstm(x, h0, c0, weight_ih, weight_hh, bias_ih, bias_hh, weight_peephole, weight_layer_norm, options);
  check_plain("lstm", weight_layer_norm, options, packed);
  check_lengths_device(lengths, x);
  [[maybe_unused]] const DeviceGuard guard(x.get_device_index());
  const auto call = [&](auto number) {
    return forward<decltype(number)>(s, detached(x), dense(detached(h0)), dense(detached(c0)),
                                     dense(detached(weight_ih)), dense(detached(weight_hh)), prepared(bias_ih),
                                     prepared(bias_hh), prepared(weight_peephole), prepared(lengths), reverse,
                                     save_for_backward);
  };
  if (x.scalar_type() == ScalarType::Float) return call(float());
  STD_TORCH_CHECK(x.scalar_type() == ScalarType::Double, "lstm: x expected float32 or float64, got ",
                  torch::headeronly::toString(x.scalar_type()));
  return call(double());
}

// ----------------------------------------------------------------------------------------------------------- backward

using Gradients = std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor>;

template <typename T>
void add_to(const Tensor& sum, const Tensor& addend, cudaStream_t stream) {
  launch(sum.numel(), stream, Accumulate<T>{addend.const_data_ptr<T>(), sum.mutable_data_ptr<T>()});
}

Tensor copy_or_zeros(const MaybeTensor& tensor, const Tensor& like) {
  return tensor ? torch::stable::clone(*tensor) : new_zeros(like, like.sizes());
}

template <typename T>
Gradients backward(const RecurrentSizes& s, const MaybeTensor& grad_output, const MaybeTensor& grad_h_n,
                   const MaybeTensor& grad_c_n, const Tensor& x, const Tensor& h0, const Tensor& c0,
                   const Tensor& weight_ih, const Tensor& weight_hh, const MaybeTensor& weight_peephole,
                   const MaybeTensor& lengths, bool reverse, const Tensor& output, const Tensor& saved,
                   bool need_input_grad, bool need_weight_grad) {
  const cudaStream_t stream = current_stream(x);
  const int64_t B = s.batch, I = s.input_size, H = s.hidden_size;
  const Rows rows = {data<int64_t>(lengths), s.time, reverse};
  const bool need_peephole_grad = need_weight_grad && weight_peephole;
  const Tensor none = new_empty(x, {0});
  const auto weight_grad = [&](bool needed, std::initializer_list<int64_t> shape) {
    return needed ? new_zeros(x, shape) : none;
  };
  Tensor grad_x = need_input_grad ? new_empty(x, {B, s.time, I}) : none;
  Tensor grad_weight_ih = weight_grad(need_weight_grad, {4 * H, I});
  Tensor grad_weight_hh = weight_grad(need_weight_grad, {4 * H, H});
  Tensor grad_bias = weight_grad(need_weight_grad, {4 * H});
  Tensor grad_peephole = weight_grad(need_peephole_grad, {3, H});
  Tensor carried = copy_or_zeros(grad_h_n, h0), grad_c = copy_or_zeros(grad_c_n, c0);
  count_call(Op::lstm_backward, std::is_same_v<T, double>, 1);
  if (B == 0) return {grad_x, carried, grad_c, grad_weight_ih, grad_weight_hh, grad_bias, grad_peephole, none};

  const Chunks chunks(s, reverse);  // the other way round than forward
  const Tensor grad_gates = new_empty(x, {chunks.most(), B, 4 * H});
  const Tensor peephole_terms = need_peephole_grad ? new_empty(x, {chunks.most(), B, 3 * H}) : none;
  const Tensor inputs = need_weight_grad || need_input_grad ? new_empty(x, {chunks.most(), B, I}) : none;
  const Tensor states = need_weight_grad ? new_empty(x, {chunks.most(), B, H}) : none;
  const Tensor weight_ih_term = need_weight_grad ? new_empty(x, {4 * H, I}) : none;
  const Tensor weight_hh_term = need_weight_grad ? new_empty(x, {4 * H, H}) : none;
  const Tensor from_later = new_empty(x, {B, H});
  HiddenGradient<T> grad_h = {rows, -1, from_later.const_data_ptr<T>(), carried.const_data_ptr<T>()};

  for (int64_t index = 0; index < chunks.count(); ++index) {
    const Chunk chunk = chunks[index];
    for (int64_t k = 0; k < chunk.steps; ++k) {
      const int64_t step = chunks.step(chunk, k), offset = step - chunk.first;
      const auto run = [&](auto peephole) {
        launch(B * H, stream,
               BackwardStep<T, decltype(peephole)::value>{
                   rows, step, B, H, grad_h, strided<T>(grad_output), data<T>(weight_peephole), c0.const_data_ptr<T>(),
                   saved.const_data_ptr<T>(), carried.mutable_data_ptr<T>(), grad_c.mutable_data_ptr<T>(),
                   grad_gates.mutable_data_ptr<T>() + offset * B * 4 * H,
                   need_peephole_grad ? peephole_terms.mutable_data_ptr<T>() + offset * B * 3 * H : nullptr});
      };
      weight_peephole ? run(std::true_type()) : run(std::false_type());
      multiply_into(from_later, torch::stable::select(grad_gates, 0, offset), weight_hh);
      grad_h.later = step;
    }

    const Tensor gates = as_matrix(grad_gates, chunk.steps);
    if (need_weight_grad) {
      launch(chunk.steps * B * I, stream,
             GatherSteps<T>{rows, strided<T>(x), chunk.first, B, I, inputs.mutable_data_ptr<T>()});
      launch(chunk.steps * B * H, stream,
             GatherHiddenBefore<T>{rows, output.const_data_ptr<T>(), h0.const_data_ptr<T>(), chunk.first, B, H,
                                   states.mutable_data_ptr<T>()});
      multiply_into(weight_ih_term, transposed(gates), as_matrix(inputs, chunk.steps));
      multiply_into(weight_hh_term, transposed(gates), as_matrix(states, chunk.steps));
      add_to<T>(grad_weight_ih, weight_ih_term, stream);
      add_to<T>(grad_weight_hh, weight_hh_term, stream);
      add_to<T>(grad_bias, torch::stable::sum(gates, {{0}}), stream);
    }
    if (need_peephole_grad)
      add_to<T>(grad_peephole, torch::stable::sum(as_matrix(peephole_terms, chunk.steps), {{0}}), stream);
    if (need_input_grad) {  // last, because `inputs` now takes the gradient
      multiply_into(as_matrix(inputs, chunk.steps), gates, weight_ih);
      launch(chunk.steps * B * I, stream,
             ScatterSteps<T>{rows, inputs.const_data_ptr<T>(), chunk.first, B, I, grad_x.mutable_data_ptr<T>()});
    }
  }
  Tensor grad_h0 = new_empty(x, {B, H});
  launch(B * H, stream, InitialHiddenGradient<T>{grad_h, H, grad_h0.mutable_data_ptr<T>()});
  return {grad_x, grad_h0, grad_c, grad_weight_ih, grad_weight_hh, grad_bias, grad_peephole, none};
}

Gradients lstm_backward(MaybeTensor grad_output, MaybeTensor grad_h_n, MaybeTensor grad_c_n, Tensor x, Tensor h0,
                        Tensor c0, Tensor weight_ih, Tensor weight_hh, MaybeTensor weight_peephole,
                        MaybeTensor weight_layer_norm, MaybeTensor hidden_mask, MaybeTensor zoneout_seed,
                        MaybeTensor lengths, double zoneout_h, double zoneout_c, bool reverse, Tensor output,
                        Tensor saved, bool need_input_grad, bool need_weight_grad) {
  const char* op = "lstm_backward";
  const RecurrentOptions options = {hidden_mask, zoneout_seed, lengths, zoneout_h, zoneout_c};
  const RecurrentSizes s = check_lstm(x, h0, c0, weight_ih, weight_hh, std::nullopt, std::nullopt, weight_peephole,
                                      weight_layer_norm, options);
  check_plain(op, weight_layer_norm, options, std::nullopt);
  check_lengths_device(lengths, x);
  const int64_t H = s.hidden_size;
  check_shape(op, "output", output, "[B, T, H]", {s.batch, s.time, H});
  check_shape(op, "saved", saved, "[T, B, 5, H]", {s.time, s.batch, 5, H});
  check_kind(op, "output", output, "x", x);
  check_kind(op, "saved", saved, "x", x);
  if (grad_output) {
    check_shape(op, "grad_output", *grad_output, "[B, T, H]", {s.batch, s.time, H});
    check_kind(op, "grad_output", *grad_output, "x", x);
    grad_output = detached(*grad_output);
  }
  for (const auto& [name, grad] : {std::pair{"grad_h_n", &grad_h_n}, std::pair{"grad_c_n", &grad_c_n}}) {
    if (!*grad) continue;
    check_shape(op, name, **grad, "[B, H]", {s.batch, H});
    check_kind(op, name, **grad, "x", x);
    *grad = prepared(*grad);
  }
  [[maybe_unused]] const DeviceGuard guard(x.get_device_index());
  const auto call = [&](auto number) {
    return backward<decltype(number)>(s, grad_output, grad_h_n, grad_c_n, detached(x), dense(detached(h0)),
                                      dense(detached(c0)), dense(detached(weight_ih)), dense(detached(weight_hh)),
                                      prepared(weight_peephole), prepared(lengths), reverse, dense(detached(output)),
                                      dense(detached(saved)), need_input_grad, need_weight_grad);
  };
  if (x.scalar_type() == ScalarType::Float) return call(float());
  STD_TORCH_CHECK(x.scalar_type() == ScalarType::Double, op, ": x expected float32 or float64, got ",
                  torch::headeronly::toString(x.scalar_type()));
  return call(double());
}

}  // namespace

#if defined(__CUDACC__)
STABLE_TORCH_LIBRARY_IMPL(seqlight, CUDA, m) {
  m.impl("lstm_forward", TORCH_BOX(&lstm_forward));
  m.impl("lstm_backward", TORCH_BOX(&lstm_backward));
}
#endif

}  // namespace seqlight
