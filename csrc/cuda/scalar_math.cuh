// The functions that the cells' equations (csrc/cells) call, for single numbers.
#pragma once

#include <cmath>

#include "../cells/cell.h"

namespace seqlight::cuda {

template <typename T>
struct ScalarMath {
  SEQLIGHT_CELL static T sigmoid(T x) { return T(1) / (T(1) + std::exp(-x)); }
  SEQLIGHT_CELL static T tanh(T x) { return std::tanh(x); }
  SEQLIGHT_CELL static T exp(T x) { return std::exp(x); }
};

// The product as it is rounded: the compiler may not fuse it with an addition to come. What is subtracted from a mean
// of such products then cancels exactly where it should, before a small deviation magnifies it.
SEQLIGHT_CELL float rounded_product(float a, float b) {
#if defined(__CUDA_ARCH__)
  return __fmul_rn(a, b);
#else
  return a * b;
#endif
}

SEQLIGHT_CELL double rounded_product(double a, double b) {
#if defined(__CUDA_ARCH__)
  return __dmul_rn(a, b);
#else
  return a * b;
#endif
}

}  // namespace seqlight::cuda
