// Layer normalisation (Ba et al. 2016) of numbers that the threads of a row share.
//
// What is normalised together is a number of blocks of `width` numbers each, one block for each gate. A thread looks at
// the same units in every block, and at those only, so that nothing but the sums passes between threads.
#pragma once

#include "launch.cuh"
#include "scalar_math.cuh"

namespace seqlight::cuda {

template <typename T>
struct Moments {
  T mean, inverse_deviation;

  SEQLIGHT_CELL T normalize(T x) const { return (x - mean) * inverse_deviation; }
};

template <typename Body>
__device__ void each_in_blocks(const Threads& threads, int64_t width, int blocks, const Body& body) {
  threads.each(width, [&](int64_t unit) {
    for (int block = 0; block < blocks; ++block) body(block * width + unit);
  });
}

// Of value(0), ..., value(blocks * width - 1).
template <typename T, typename Value>
__device__ Moments<T> moments_of(const Threads& threads, int64_t width, int blocks, const Value& value) {
  constexpr T kEpsilon = T(1e-5);  // torch.nn.LayerNorm's
  const T count = static_cast<T>(width * blocks);
  T sum[1] = {0}, squares[1] = {0};
  each_in_blocks(threads, width, blocks, [&](int64_t i) { sum[0] += value(i); });
  threads.sum(sum);
  const T mean = sum[0] / count;
  each_in_blocks(threads, width, blocks, [&](int64_t i) {
    const T deviation = value(i) - mean;
    squares[0] += deviation * deviation;
  });
  threads.sum(squares);
  return {mean, T(1) / std::sqrt(squares[0] / count + kEpsilon)};
}

// For n = (x - mean) / deviation, the gradient for x from that for n:
//   dx = (dn - mean(dn) - n mean(dn n)) / deviation
template <typename T>
struct NormGradient {
  T mean_gradient, mean_product, inverse_deviation;

  SEQLIGHT_CELL T operator()(T grad, T normalized) const {
    return (grad - mean_gradient - normalized * mean_product) * inverse_deviation;
  }
};

// From grad(i), the gradient for n, and normalized(i), n itself.
template <typename T, typename Gradient, typename Normalized>
__device__ NormGradient<T> norm_gradient_of(const Threads& threads, int64_t width, int blocks,
                                            const Moments<T>& moments, const Gradient& grad,
                                            const Normalized& normalized) {
  const T count = static_cast<T>(width * blocks);
  T sums[2] = {0, 0};
  each_in_blocks(threads, width, blocks, [&](int64_t i) {
    const T gradient = grad(i);
    sums[0] += gradient;
    sums[1] += gradient * normalized(i);
  });
  threads.sum(sums);
  return {sums[0] / count, sums[1] / count, moments.inverse_deviation};
}

}  // namespace seqlight::cuda
