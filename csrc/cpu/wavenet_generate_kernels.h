// What the operator wavenet_generate (wavenet_generate.cpp) hands to the kernels (wavenet_generate.inl), which exist
// once per instruction set.
//
// Layout. Outputs ("columns") lie in vector lanes, in *panels* of up to kPanelVectors vectors; a panel's weights are
// packed as [depth][columns of the panel], so that a step streams them once, from the first to the last. With the gate
// a panel holds as many vectors of a's columns as of b's, a's first. Rows of numbers that the kernels read and write
// are padded with zeros to whole vectors.
#pragma once

#include <cstdint>

#include "instruction_set.h"

namespace seqlight::cpu {

enum class StepEpilogue { none, relu, gate, add };

// out[r] = epilogue(bias[r] + sum over segments s of inputs[s * rows + r] weights), for each row r. With `gate`, the
// product of tanh(a) and sigmoid(b); with `add`, what `out` held is added.
template <typename T>
struct StepProduct {
  int64_t rows, segments;
  const T* const* inputs;  // [segments][rows]
  const int64_t* depths;   // [segments]: how many numbers an input has
  int64_t vectors;         // of the output; with the gate, of a and b together
  const T* weights;        // packed
  const T* bias;           // packed like one row of the weights
  int64_t bias_stride;     // between rows; 0 where they share it
  StepEpilogue epilogue;
  T* out;
  int64_t out_stride;
};

template <typename T>
struct StepKernels {
  int64_t lanes, most_rows;  // rows whose products share one pass over the weights

  // Writes row d of a layer's packed weights (or its bias): columns [0, columns) from source[column * stride]; those
  // of b, with `gate`, from `columns` on. `target` is where the packed weights begin, `depth` how many rows they have.
  void (*pack_row)(const T* source, int64_t stride, int64_t columns, bool gate, int64_t depth, int64_t d, T* target);
  // out[0 ... vectors) += row d of packed weights without gate.
  void (*add_packed_row)(const T* weights, int64_t vectors, int64_t depth, int64_t d, T* out);
  void (*product)(const StepProduct<T>&);
};

#define SEQLIGHT_DECLARE_STEP(isa)                                       \
  namespace isa {                                                        \
  SEQLIGHT_MAY_BE_LEFT_OUT extern const StepKernels<float> step_float;   \
  SEQLIGHT_MAY_BE_LEFT_OUT extern const StepKernels<double> step_double; \
  }

SEQLIGHT_DECLARE_STEP(base)
SEQLIGHT_DECLARE_STEP(avx2_256)
SEQLIGHT_DECLARE_STEP(avx512_512)

#undef SEQLIGHT_DECLARE_STEP

}  // namespace seqlight::cpu
