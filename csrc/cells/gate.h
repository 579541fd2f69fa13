// WaveNet's gated activation unit and its derivative, once, for every kernel.
//
//   y = tanh(a) sigmoid(b)        (van den Oord et al. 2016, equation 2)
//
// Number is a scalar (CUDA) or a vector of channels (CPU). Math names the functions sigmoid and tanh for it.
#pragma once

#if defined(__CUDACC__)
#define SEQLIGHT_GATE __host__ __device__ __forceinline__
#else
#define SEQLIGHT_GATE inline __attribute__((always_inline))
#endif

namespace seqlight {

template <typename Number>
struct GatePair {
  Number filter, gate;  // a and b, or what they are activated to
};

// Activates both parts and returns y.
template <typename Math, typename Number>
SEQLIGHT_GATE Number gate_unit(GatePair<Number>& pair) {
  pair.filter = Math::tanh(pair.filter);
  pair.gate = Math::sigmoid(pair.gate);
  return pair.filter * pair.gate;
}

// From tanh(a), sigmoid(b) and the gradient for y, the gradients for a and b.
template <typename Number>
SEQLIGHT_GATE GatePair<Number> gate_unit_backward(const GatePair<Number>& activated, const Number& grad) {
  const Number grad_gate = grad * activated.gate;
  return {grad_gate * (1 - activated.filter * activated.filter), grad_gate * activated.filter * (1 - activated.gate)};
}

}  // namespace seqlight
