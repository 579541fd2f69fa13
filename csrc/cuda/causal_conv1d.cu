// The causal convolution operators on CUDA. Schemas and checks are those of the CPU; see seqlight/ops/causal_conv1d.py
// for the semantics.
//
// NOT YET RUN ON A GPU. This file compiles with nvcc for sm_80, sm_90 and PTX with warnings as errors, and its logic is
// tested on the CPU, element by element (launch.cuh); nobody has run or timed it on a device.
//
// The form is the simple one: a thread computes one output. Weights are first laid out so that neighbouring threads
// read neighbouring numbers. Weight gradients are summed over pieces of the batch's rows, then over the pieces, always
// in the same order. No atomics: the same call gives the same bits.
#include <algorithm>
#include <tuple>

#include "../call_counts.h"
#include "../causal_conv1d_checks.h"
#include "../cells/gate.h"
#include "scalar_math.cuh"
#include "sequences.cuh"

namespace seqlight {
namespace {

// ------------------------------------------------------------------------------------------------------------ kernels
// Each is the work of one element. Buffers are contiguous in the order of their comment unless strides are given.

struct Conv {
  int64_t time, in_channels, pre_channels, taps, dilation, in_per_group, pre_per_group;

  SEQLIGHT_CELL int64_t past() const { return (taps - 1) * dilation; }
};

// [K, C_in / groups, C_out] from [C_out, C_in / groups, K]; `by_input`: [K, C_out, C_in / groups].
template <typename T>
struct LayOutWeights {
  Conv conv;
  const T* weight;
  bool by_input;
  T* target;

  __device__ void operator()(int64_t i) const {
    const int64_t depth = conv.in_per_group, columns = conv.pre_channels;
    const int64_t k = i / depth / columns, place = i % (depth * columns);
    const int64_t out = by_input ? place / depth : place % columns, in = by_input ? place % depth : place / columns;
    target[i] = weight[(out * depth + in) * conv.taps + k];
  }
};

// Element: (b, t, channel of the output).
template <typename T>
struct ConvForward {
  Conv conv;
  Inputs<T> inputs;
  const T* weights;  // [K, C_in / groups, C_out]
  const T* bias;     // [C_out] or null
  ConvActivation activation;
  T* output;
  T* saved;  // [B, T, C_out], tanh(a) and sigmoid(b), or null

  SEQLIGHT_CELL T before(int64_t batch, int64_t time, int64_t channel) const {
    const int64_t first = channel / conv.pre_per_group * conv.in_per_group;
    T sum = bias ? bias[channel] : T(0);
    const T* weight = weights + channel;
    for (int64_t k = 0; k < conv.taps; ++k) {
      const int64_t at = time - conv.past() + k * conv.dilation;
      for (int64_t c = 0; c < conv.in_per_group; ++c, weight += conv.pre_channels)
        sum += inputs(batch, at, first + c) * *weight;
    }
    return sum;
  }

  __device__ void operator()(int64_t i) const {
    const bool gate = activation == ConvActivation::gate;
    const int64_t channels = gate ? conv.pre_channels / 2 : conv.pre_channels;
    const int64_t channel = i % channels, row = i / channels, time = row % conv.time, batch = row / conv.time;
    if (!gate) {
      const T sum = before(batch, time, channel);
      output[i] = activation == ConvActivation::relu && sum < T(0) ? T(0) : sum;
      return;
    }
    GatePair<T> pair = {before(batch, time, channel), before(batch, time, channels + channel)};
    output[i] = gate_unit<ScalarMath<T>>(pair);
    if (!saved) return;
    saved[row * 2 * channels + channel] = pair.filter;
    saved[row * 2 * channels + channels + channel] = pair.gate;
  }
};

// [B, T, C_out]: the gradients before the activation. Element: (b, t, channel of the output).
template <typename T>
struct GradBefore {
  Conv conv;
  StridedRows<T> grad_output;
  const T* activated;
  ConvActivation activation;
  T* target;

  __device__ void operator()(int64_t i) const {
    const bool gate = activation == ConvActivation::gate;
    const int64_t channels = gate ? conv.pre_channels / 2 : conv.pre_channels;
    const int64_t channel = i % channels, row = i / channels;
    const T grad = grad_output(row / conv.time, row % conv.time, channel);
    if (!gate) {
      // A NaN lets the gradient through, as in torch.
      target[i] = activation == ConvActivation::relu && activated[i] <= T(0) ? T(0) : grad;
      return;
    }
    const int64_t first = row * 2 * channels + channel, second = first + channels;
    const GatePair<T> pair = {activated[first], activated[second]};
    const GatePair<T> result = gate_unit_backward(pair, grad);
    target[first] = result.filter;
    target[second] = result.gate;
  }
};

// Element: (b, time from -past() to T - 1, channel of the input).
template <typename T>
struct GradInputs {
  Conv conv;
  const T* grad_before;  // [B, T, C_out]
  const T* weights;      // [K, C_out, C_in / groups]
  StridedRows<T> grad_new_state;
  T* grad_x;      // or null
  T* grad_state;  // or null

  __device__ void operator()(int64_t i) const {
    const int64_t past = conv.past(), all = past + conv.time;
    const int64_t channel = i % conv.in_channels, row = i / conv.in_channels, batch = row / all;
    const int64_t time = row % all - past;
    T* const target = time < 0 ? grad_state : grad_x;
    if (!target) return;
    const int64_t group = channel / conv.in_per_group;
    T sum = time >= conv.time - past ? grad_new_state(batch, time - (conv.time - past), channel) : T(0);
    for (int64_t k = 0; k < conv.taps; ++k) {
      const int64_t at = time + past - k * conv.dilation;
      if (at < 0 || at >= conv.time) continue;
      const T* const grad = grad_before + (batch * conv.time + at) * conv.pre_channels;
      const T* const weight = weights + k * conv.pre_channels * conv.in_per_group + channel % conv.in_per_group;
      for (int64_t o = group * conv.pre_per_group; o < (group + 1) * conv.pre_per_group; ++o)
        sum += grad[o] * weight[o * conv.in_per_group];
    }
    const int64_t place = time < 0 ? batch * past + time + past : batch * conv.time + time;
    target[place * conv.in_channels + channel] = sum;
  }
};

// [pieces, C_out, C_in / groups, K], or, with no weights wanted, [pieces, C_out]: sums over the rows of a piece.
template <typename T>
struct GradWeightPieces {
  Conv conv;
  Inputs<T> inputs;
  const T* grad_before;  // [B, T, C_out]
  int64_t rows, piece_rows;
  bool of_bias;
  T* target;

  __device__ void operator()(int64_t i) const {
    const int64_t numbers = of_bias ? conv.pre_channels : conv.pre_channels * conv.in_per_group * conv.taps;
    const int64_t piece = i / numbers, place = i % numbers;
    const int64_t k = place % conv.taps, c = place / conv.taps % conv.in_per_group;
    const int64_t out = of_bias ? place : place / conv.taps / conv.in_per_group;
    const int64_t channel = out / conv.pre_per_group * conv.in_per_group + c;
    const int64_t begin = piece * piece_rows, end = begin + piece_rows < rows ? begin + piece_rows : rows;
    T sum = 0;
    for (int64_t row = begin; row < end; ++row) {
      const T grad = grad_before[row * conv.pre_channels + out];
      const int64_t at = row % conv.time - conv.past() + k * conv.dilation;
      sum += of_bias ? grad : grad * inputs(row / conv.time, at, channel);
    }
    target[i] = sum;
  }
};

// [numbers]: sums over the pieces.
template <typename T>
struct SumPieces {
  const T* pieces;
  int64_t count, numbers;
  T* target;

  __device__ void operator()(int64_t i) const {
    T sum = 0;
    for (int64_t piece = 0; piece < count; ++piece) sum += pieces[piece * numbers + i];
    target[i] = sum;
  }
};

// --------------------------------------------------------------------------------------------------------------- host

Conv conv_of(const CausalConv1dSizes& s) {
  return {s.time, s.in_channels, s.pre_channels, s.taps, s.dilation, s.in_per_group(), s.pre_per_group()};
}

template <typename T>
Tensor laid_out(const Conv& conv, const Tensor& weight, bool by_input, cudaStream_t stream) {
  const Tensor source = dense(weight);
  Tensor result = torch::stable::empty_like(source);
  launch(weight.numel(), stream,
         LayOutWeights<T>{conv, source.const_data_ptr<T>(), by_input, result.mutable_data_ptr<T>()});
  return result;
}

template <typename T>
std::tuple<Tensor, Tensor, Tensor> forward(const CausalConv1dSizes& s, const Tensor& x, const MaybeTensor& state,
                                           const Tensor& weight, const MaybeTensor& bias, bool save_for_backward) {
  const cudaStream_t stream = current_stream(x);
  const Conv conv = conv_of(s);
  const Inputs<T> inputs = {rows_of<T>(x), rows_of<T>(state), s.state_length()};
  Tensor output = new_empty(x, {s.batch, s.time, s.out_channels()});
  const bool keep = save_for_backward && s.activation == ConvActivation::gate;
  Tensor saved = keep ? new_empty(x, {s.batch, s.time, s.pre_channels}) : new_empty(x, {0});
  Tensor new_state = new_empty(x, {s.batch, s.state_length(), s.in_channels});
  const Tensor weights = laid_out<T>(conv, weight, false, stream);
  MaybeTensor dense_bias;
  if (bias) dense_bias = dense(*bias);
  launch(
      output.numel(), stream,
      ConvForward<T>{conv, inputs, weights.const_data_ptr<T>(), dense_bias ? dense_bias->const_data_ptr<T>() : nullptr,
                     s.activation, output.mutable_data_ptr<T>(), keep ? saved.mutable_data_ptr<T>() : nullptr});
  launch(new_state.numel(), stream, NextState<T>{inputs, s.time, s.in_channels, new_state.mutable_data_ptr<T>()});
  count_call(Op::causal_conv1d_forward, std::is_same_v<T, double>, 1);
  return {output, new_state, saved};
}

std::tuple<Tensor, Tensor, Tensor> causal_conv1d_forward(Tensor x, MaybeTensor state, Tensor weight, MaybeTensor bias,
                                                         int64_t dilation, int64_t groups, int64_t activation,
                                                         bool save_for_backward) {
  const CausalConv1dSizes s = check_causal_conv1d(x, state, weight, bias, dilation, groups, activation);
  return for_dtype("causal_conv1d", "x", x, [&](auto number) {
    return forward<decltype(number)>(s, x, state, weight, bias, save_for_backward);
  });
}

using Gradients = std::tuple<Tensor, Tensor, Tensor, Tensor>;

template <typename T>
Gradients backward(const CausalConv1dSizes& s, const MaybeTensor& grad_output, const MaybeTensor& grad_new_state,
                   const Tensor& x, const MaybeTensor& state, const Tensor& weight, const Tensor& activated,
                   bool need_input, bool need_state, bool need_weight, bool need_bias) {
  const cudaStream_t stream = current_stream(x);
  const Conv conv = conv_of(s);
  const Inputs<T> inputs = {rows_of<T>(x), rows_of<T>(state), s.state_length()};
  const int64_t rows = s.batch * s.time;
  Tensor before = new_empty(x, {s.batch, s.time, s.pre_channels});
  const Tensor kept = dense(activated);
  launch(rows * s.out_channels(), stream,
         GradBefore<T>{conv, rows_of<T>(grad_output), kept.const_data_ptr<T>(), s.activation,
                       before.mutable_data_ptr<T>()});
  const T* const grad_before = before.const_data_ptr<T>();

  const auto none = [&] { return new_empty(x, {0}); };  // results may not share memory
  Tensor grad_x = need_input ? new_empty(x, {s.batch, s.time, s.in_channels}) : none();
  Tensor grad_state = need_state ? new_empty(x, {s.batch, s.state_length(), s.in_channels}) : none();
  if (need_input || need_state) {
    const Tensor weights = laid_out<T>(conv, weight, true, stream);
    launch(s.batch * (s.state_length() + s.time) * s.in_channels, stream,
           GradInputs<T>{conv, grad_before, weights.const_data_ptr<T>(), rows_of<T>(grad_new_state),
                         need_input ? grad_x.mutable_data_ptr<T>() : nullptr,
                         need_state ? grad_state.mutable_data_ptr<T>() : nullptr});
  }
  constexpr int64_t kLeastRows = 256, kMostPieces = 64;
  const int64_t piece_rows = std::max(kLeastRows, (rows + kMostPieces - 1) / kMostPieces);
  const int64_t count = (rows + piece_rows - 1) / piece_rows;
  const auto sum = [&](Tensor& target, bool of_bias) {
    Tensor pieces = new_empty(x, {count, target.numel()});
    launch(pieces.numel(), stream,
           GradWeightPieces<T>{conv, inputs, grad_before, rows, piece_rows, of_bias, pieces.mutable_data_ptr<T>()});
    launch(target.numel(), stream,
           SumPieces<T>{pieces.const_data_ptr<T>(), count, target.numel(), target.mutable_data_ptr<T>()});
  };
  Tensor grad_weight = need_weight ? new_empty(x, {s.pre_channels, s.in_per_group(), s.taps}) : none();
  Tensor grad_bias = need_bias ? new_empty(x, {s.pre_channels}) : none();
  if (need_weight) sum(grad_weight, false);
  if (need_bias) sum(grad_bias, true);
  count_call(Op::causal_conv1d_backward, std::is_same_v<T, double>, 1);
  return {grad_x, grad_state, grad_weight, grad_bias};
}

Gradients causal_conv1d_backward(MaybeTensor grad_output, MaybeTensor grad_new_state, Tensor x, MaybeTensor state,
                                 Tensor weight, int64_t dilation, int64_t groups, int64_t activation, Tensor activated,
                                 bool need_input_grad, bool need_state_grad, bool need_weight_grad,
                                 bool need_bias_grad) {
  const char* op = "causal_conv1d_backward";
  const CausalConv1dSizes s = check_causal_conv1d(x, state, weight, std::nullopt, dilation, groups, activation);
  check_causal_conv1d_backward(s, x, grad_output, grad_new_state, activated);
  return for_dtype(op, "x", x, [&](auto number) {
    return backward<decltype(number)>(s, grad_output, grad_new_state, x, state, weight, activated, need_input_grad,
                                      need_state_grad, need_weight_grad, need_bias_grad);
  });
}

}  // namespace

#if defined(__CUDACC__)
STABLE_TORCH_LIBRARY_IMPL(seqlight, CUDA, m) {
  m.impl("causal_conv1d_forward", TORCH_BOX(&causal_conv1d_forward));
  m.impl("causal_conv1d_backward", TORCH_BOX(&causal_conv1d_backward));
}
#endif

}  // namespace seqlight
