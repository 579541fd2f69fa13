// sigmoid and tanh of the kernels on their own, so that a test can hold them to the accuracy that activations.inl
// promises.
#pragma once

#include <cstdint>

#include "instruction_set.h"

namespace seqlight::cpu {

template <typename T>
struct ElementwiseKernels {
  void (*sigmoid)(const T* x, int64_t count, T* result);
  void (*tanh)(const T* x, int64_t count, T* result);
};

#define SEQLIGHT_DECLARE_ELEMENTWISE(isa)                                              \
  namespace isa {                                                                      \
  SEQLIGHT_MAY_BE_LEFT_OUT extern const ElementwiseKernels<float> elementwise_float;   \
  SEQLIGHT_MAY_BE_LEFT_OUT extern const ElementwiseKernels<double> elementwise_double; \
  }

SEQLIGHT_DECLARE_ELEMENTWISE(base)
SEQLIGHT_DECLARE_ELEMENTWISE(avx2_256)
SEQLIGHT_DECLARE_ELEMENTWISE(avx512_512)

#undef SEQLIGHT_DECLARE_ELEMENTWISE

}  // namespace seqlight::cpu
