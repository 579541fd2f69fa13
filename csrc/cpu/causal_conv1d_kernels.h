// What the causal convolution operators (causal_conv1d.cpp) hand to the kernels (causal_conv1d.inl), which exist once
// per instruction set and vector width.
//
// Layout. Output channels ("columns") lie in vector lanes. The columns of one group are taken in *panels* of up to
// kMostVectors vectors; weights are packed per panel as [taps][depth][columns of the panel, padded to whole vectors],
// depth being the input channels of one group. With the gate a panel is one vector of a's columns and one of b's.
#pragma once

#include <cstdint>

#include "instruction_set.h"

namespace seqlight::cpu {

// A batch of sequences of rows of channels: times [0, length) lie in `data` and [-past_length, 0) in `past`; rows that
// lie elsewhere, or in a null `past`, are zero. Channels of a row lie side by side.
template <typename T>
struct Sequences {
  T* data;
  int64_t batch_stride, time_stride, length;
  T* past;
  int64_t past_batch_stride, past_time_stride, past_length;
};

enum class ConvEpilogue { none, relu, gate };

// out[b, t] = epilogue(bias + add[b, t] + sum over taps k of in[b, t + first_offset + k * offset_step] weights[k]), for
// `batch` rows b and `times` times t from `first_time` on. Rows (b, t) are counted in this order.
template <typename T>
struct ConvProduct {
  int64_t batch, first_time, times;
  int64_t taps, first_offset, offset_step;
  int64_t groups, depth, columns;  // depth and columns of one group; with the gate, columns of a alone
  Sequences<const T> in;
  Sequences<T> out;
  const T* weights;  // packed
  const T* bias;     // packed like one row of weights
  ConvEpilogue epilogue;
  Sequences<const T> add;  // with the gate, rows of 2 * columns; null `data`: nothing is added. May be `out` itself
  T* saved;                // [B, T, 2 * columns], tanh(a) and sigmoid(b), or null; first_time is 0 then
};

// Adds to `target`, packed like the weights, sum over rows of grad[row, column] in[row + offset of tap, channel].
template <typename T>
struct ConvWeightGradient {
  int64_t taps, first_offset, offset_step;
  int64_t groups, depth, columns;
  Sequences<const T> in;
  const T* grad;  // [B, T, groups * columns] with these strides
  int64_t grad_batch_stride, grad_time_stride;
  T* target;  // of this worker
};

template <typename T>
struct ConvKernels {
  int64_t lanes;

  // Numbers of type T that packed weights and packed bias of these sizes take.
  int64_t (*packed_weights)(int64_t groups, int64_t columns, int64_t depth, int64_t taps, bool gate);
  int64_t (*packed_bias)(int64_t groups, int64_t columns, bool gate);
  // From weight [C_out, depth, K]; with `gate` (one group), a's columns come first in weight.
  void (*pack)(const T* weight, int64_t groups, int64_t columns, int64_t depth, int64_t taps, bool gate, T* target);
  // For the input gradient: depth is the output channels of a group, columns the input channels.
  void (*pack_transposed)(const T* weight, int64_t groups, int64_t columns, int64_t depth, int64_t taps, T* target);
  void (*pack_bias)(const T* bias, int64_t groups, int64_t columns, bool gate, T* target);  // null bias: zeros
  // Adds the packed gradients of `workers` workers up to grad_weight [C_out, depth, K].
  void (*unpack)(const T* packed, int64_t workers, int64_t groups, int64_t columns, int64_t depth, int64_t taps,
                 T* grad_weight);

  int64_t (*product_scratch_bytes)(const ConvProduct<T>&);
  void (*product)(const ConvProduct<T>&, int64_t first_row, int64_t last_row, void* scratch);
  // A few rows without packing: `weights` is weight [C_out, depth, K] and `bias` [C_out] or null.
  int64_t (*direct_scratch_bytes)(const ConvProduct<T>&);
  void (*direct)(const ConvProduct<T>&, int64_t first_row, int64_t last_row, void* scratch);
  void (*weight_gradient)(const ConvWeightGradient<T>&, int64_t batch, int64_t first_time, int64_t last_time);

  // Depthwise: groups == channels in == channels out. Packed weights are [taps][channels].
  void (*depthwise_product)(const ConvProduct<T>&, int64_t first_row, int64_t last_row, void* scratch);
  void (*depthwise_weight_gradient)(const ConvWeightGradient<T>&, int64_t batch, int64_t first_time, int64_t last_time);

  // tanh(a) sigmoid(b) of `activated` [rows, 2 * columns].
  void (*gate_output)(const T* activated, int64_t rows, int64_t columns, T* out);
  // In place on `pre` [rows, 2 * columns]: a and b become tanh(a) and sigmoid(b); writes their product to out.
  void (*gate_rows)(T* pre, int64_t rows, int64_t columns, T* out);
  // Gradients for the pre-activations of `rows` rows; `activated` is saved (gate) or output (relu).
  void (*epilogue_backward)(ConvEpilogue epilogue, const T* grad, int64_t grad_stride, const T* activated, int64_t rows,
                            int64_t columns, T* grad_pre);
  // Adds the sum over rows to target [columns].
  void (*add_rows)(const T* source, int64_t stride, int64_t rows, int64_t columns, T* target);
};

#define SEQLIGHT_DECLARE_CONV(isa)                                       \
  namespace isa {                                                        \
  SEQLIGHT_MAY_BE_LEFT_OUT extern const ConvKernels<float> conv_float;   \
  SEQLIGHT_MAY_BE_LEFT_OUT extern const ConvKernels<double> conv_double; \
  }

SEQLIGHT_DECLARE_CONV(base)
SEQLIGHT_DECLARE_CONV(avx2_128)
SEQLIGHT_DECLARE_CONV(avx2_256)
SEQLIGHT_DECLARE_CONV(avx512_128)
SEQLIGHT_DECLARE_CONV(avx512_256)
SEQLIGHT_DECLARE_CONV(avx512_512)

#undef SEQLIGHT_DECLARE_CONV

}  // namespace seqlight::cpu
