// The causal convolution's kernels that are the work of one element: all of it where tiles make no sense
// (causal_conv1d_plan.h), and what comes before and after the tiles.
//
// Buffers are contiguous in the order of their comment unless strides are given. G are the groups, I and O the channels
// in and out of one.
#pragma once

#include "../causal_conv1d_checks.h"
#include "../cells/gate.h"
#include "scalar_math.cuh"
#include "sequences.cuh"

namespace seqlight::cuda {

struct Conv {
  int64_t time, groups, in_per_group, pre_per_group, taps, dilation;

  SEQLIGHT_CELL int64_t past() const { return (taps - 1) * dilation; }
  SEQLIGHT_CELL int64_t in_channels() const { return groups * in_per_group; }
  SEQLIGHT_CELL int64_t pre_channels() const { return groups * pre_per_group; }
  SEQLIGHT_CELL int64_t numbers() const { return pre_channels() * in_per_group * taps; }  // of the weights

  // Of number i of the weights laid out [G, K, I, O]: where it is in [G * O, I, K].
  SEQLIGHT_CELL int64_t weight_place(int64_t i) const {
    const int64_t out = i % pre_per_group, in = i / pre_per_group % in_per_group;
    const int64_t tap = i / pre_per_group / in_per_group % taps, group = i / pre_per_group / in_per_group / taps;
    return ((group * pre_per_group + out) * in_per_group + in) * taps + tap;
  }
  // The same for [G, K, O, I].
  SEQLIGHT_CELL int64_t weight_place_by_input(int64_t i) const {
    const int64_t in = i % in_per_group, out = i / in_per_group % pre_per_group;
    const int64_t tap = i / in_per_group / pre_per_group % taps, group = i / in_per_group / pre_per_group / taps;
    return ((group * pre_per_group + out) * in_per_group + in) * taps + tap;
  }
};

// One matrix [K * I, O] for each group, or `by_input` [K * O, I], so that neighbouring threads read neighbours.
template <typename T>
struct LayOutWeights {
  Conv conv;
  const T* weight;  // [G * O, I, K]
  bool by_input;
  T* target;

  __device__ void operator()(int64_t i) const {
    target[i] = weight[by_input ? conv.weight_place_by_input(i) : conv.weight_place(i)];
  }
};

// ------------------------------------------------------------------------------------------------------------ forward

// What becomes of the sums: bias, activation, and what is kept for backward.
template <typename T>
struct ConvOutput {
  int64_t pre_channels;
  const T* bias;  // [C_out] or null
  ConvActivation activation;
  T* output;  // [B * T, C], of the gate half as many channels as C_out
  T* saved;   // [B * T, C_out], tanh(a) and sigmoid(b), or null

  SEQLIGHT_CELL bool gate() const { return activation == ConvActivation::gate; }
  SEQLIGHT_CELL int64_t channels() const { return gate() ? pre_channels / 2 : pre_channels; }
  SEQLIGHT_CELL T biased(T sum, int64_t channel) const { return bias ? sum + bias[channel] : sum; }

  SEQLIGHT_CELL void write(int64_t row, int64_t channel, T sum) const {
    const T before = biased(sum, channel);
    // A NaN goes through, as in torch.
    output[row * pre_channels + channel] = activation == ConvActivation::relu && before < T(0) ? T(0) : before;
  }

  // `channel` is that of the output: the filter's sum, and the gate's.
  SEQLIGHT_CELL void write_gated(int64_t row, int64_t channel, T filter, T gate) const {
    GatePair<T> pair = {biased(filter, channel), biased(gate, channels() + channel)};
    output[row * channels() + channel] = gate_unit<ScalarMath<T>>(pair);
    if (!saved) return;
    saved[row * pre_channels + channel] = pair.filter;
    saved[row * pre_channels + channels() + channel] = pair.gate;
  }
};

// Element: (b, t, channel of the output).
template <typename T>
struct ConvForward {
  Conv conv;
  Inputs<T> inputs;
  const T* weights;  // [G, K, I, O]
  ConvOutput<T> target;

  SEQLIGHT_CELL T sum(int64_t row, int64_t channel) const {
    const int64_t group = channel / conv.pre_per_group, batch = row / conv.time;
    const T* weight =
        weights + group * conv.taps * conv.in_per_group * conv.pre_per_group + channel % conv.pre_per_group;
    T result = 0;
    for (int64_t tap = 0; tap < conv.taps; ++tap) {
      const int64_t at = row % conv.time - conv.past() + tap * conv.dilation;
      for (int64_t c = 0; c < conv.in_per_group; ++c, weight += conv.pre_per_group)
        result += inputs(batch, at, group * conv.in_per_group + c) * *weight;
    }
    return result;
  }

  __device__ void operator()(int64_t i) const {
    const int64_t channels = target.channels(), channel = i % channels, row = i / channels;
    if (target.gate())
      target.write_gated(row, channel, sum(row, channel), sum(row, channels + channel));
    else
      target.write(row, channel, sum(row, channel));
  }
};

// ----------------------------------------------------------------------------------------------------------- backward

// [B, T, C_out]: the gradients before the activation. Element: (b, t, channel of the output).
template <typename T>
struct GradBefore {
  int64_t time, pre_channels;
  StridedRows<T> grad_output;
  const T* activated;
  ConvActivation activation;
  T* target;

  __device__ void operator()(int64_t i) const {
    const bool gate = activation == ConvActivation::gate;
    const int64_t channels = gate ? pre_channels / 2 : pre_channels;
    const int64_t channel = i % channels, row = i / channels;
    const T grad = grad_output(row / time, row % time, channel);
    if (!gate) {
      // A NaN lets the gradient through, as in torch.
      target[i] = activation == ConvActivation::relu && activated[i] <= T(0) ? T(0) : grad;
      return;
    }
    const int64_t first = row * pre_channels + channel, second = first + channels;
    const GatePair<T> pair = {activated[first], activated[second]};
    const GatePair<T> result = gate_unit_backward(pair, grad);
    target[first] = result.filter;
    target[second] = result.gate;
  }
};

// The inputs' gradients, of the times from `begin` (0, or -past with the state) to before `end` (T, or 0 for the state
// alone): what each tap brings, and where the sum goes.
template <typename T>
struct InputGradient {
  Conv conv;
  int64_t begin, end;
  const T* grad_before;  // [B, T, C_out]
  StridedRows<T> grad_new_state;
  T* grad_x;      // [B, T, C_in]
  T* grad_state;  // [B, past, C_in]

  SEQLIGHT_CELL int64_t times() const { return end - begin; }

  // The output's gradient that reaches `time` through a tap, of a channel of C_out.
  SEQLIGHT_CELL T through(int64_t batch, int64_t time, int64_t tap, int64_t channel) const {
    const int64_t at = time + conv.past() - tap * conv.dilation;
    return at >= 0 && at < conv.time ? grad_before[(batch * conv.time + at) * conv.pre_channels() + channel] : T(0);
  }

  SEQLIGHT_CELL void write(int64_t batch, int64_t time, int64_t channel, T sum) const {
    const int64_t kept_from = conv.time - conv.past();  // the last inputs went into the new state as well
    if (time >= kept_from) sum += grad_new_state(batch, time - kept_from, channel);
    if (time >= 0)
      grad_x[(batch * conv.time + time) * conv.in_channels() + channel] = sum;
    else
      grad_state[(batch * conv.past() + time + conv.past()) * conv.in_channels() + channel] = sum;
  }
};

// Element: (b, time, channel of the input).
template <typename T>
struct GradInputs {
  InputGradient<T> gradient;
  const T* weights;  // [G, K, O, I]

  __device__ void operator()(int64_t i) const {
    const Conv& conv = gradient.conv;
    const int64_t channel = i % conv.in_channels(), row = i / conv.in_channels(), batch = row / gradient.times();
    const int64_t time = gradient.begin + row % gradient.times(), group = channel / conv.in_per_group;
    const T* weight =
        weights + group * conv.taps * conv.pre_per_group * conv.in_per_group + channel % conv.in_per_group;
    T sum = 0;
    for (int64_t tap = 0; tap < conv.taps; ++tap)
      for (int64_t o = 0; o < conv.pre_per_group; ++o, weight += conv.in_per_group)
        sum += gradient.through(batch, time, tap, group * conv.pre_per_group + o) * *weight;
    gradient.write(batch, time, channel, sum);
  }
};

// [pieces, G, K, I, O]: sums over the rows of a piece. Element: of the target.
template <typename T>
struct GradWeightPieces {
  Conv conv;
  Inputs<T> inputs;
  const T* grad_before;  // [B, T, C_out]
  int64_t rows, piece_rows;
  T* target;

  __device__ void operator()(int64_t i) const {
    const int64_t place = i % conv.numbers(), begin = i / conv.numbers() * piece_rows;
    const int64_t end = begin + piece_rows < rows ? begin + piece_rows : rows;
    const int64_t line = place / conv.pre_per_group, matrix = line / conv.in_per_group;
    const int64_t group = matrix / conv.taps, tap = matrix % conv.taps;
    const int64_t in = group * conv.in_per_group + line % conv.in_per_group;
    const int64_t out = group * conv.pre_per_group + place % conv.pre_per_group;
    T sum = 0;
    for (int64_t row = begin; row < end; ++row) {
      const int64_t at = row % conv.time - conv.past() + tap * conv.dilation;
      sum += inputs(row / conv.time, at, in) * grad_before[row * conv.pre_channels() + out];
    }
    target[i] = sum;
  }
};

// [G * O, I, K]: sums over the pieces. Element: of a piece.
template <typename T>
struct SumWeightPieces {
  Conv conv;
  const T* pieces;  // [pieces, G, K, I, O]
  int64_t count;
  T* target;

  __device__ void operator()(int64_t i) const {
    T sum = 0;
    for (int64_t piece = 0; piece < count; ++piece) sum += pieces[piece * conv.numbers() + i];
    target[conv.weight_place(i)] = sum;
  }
};

// [pieces, C_out]: sums over the rows of a piece. Element: of the target.
template <typename T>
struct GradBiasPieces {
  int64_t rows, piece_rows, channels;
  const T* grad_before;  // [rows, C_out]
  T* target;

  __device__ void operator()(int64_t i) const {
    const int64_t begin = i / channels * piece_rows, end = begin + piece_rows < rows ? begin + piece_rows : rows;
    T sum = 0;
    for (int64_t row = begin; row < end; ++row) sum += grad_before[row * channels + i % channels];
    target[i] = sum;
  }
};

// [C_out]: sums over the pieces. Element: of a piece.
template <typename T>
struct SumBiasPieces {
  int64_t count, channels;
  const T* pieces;
  T* target;

  __device__ void operator()(int64_t i) const {
    T sum = 0;
    for (int64_t piece = 0; piece < count; ++piece) sum += pieces[piece * channels + i];
    target[i] = sum;
  }
};

}  // namespace seqlight::cuda
