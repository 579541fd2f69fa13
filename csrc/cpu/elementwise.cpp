// The operators `sigmoid` and `tanh` on the CPU, which exist for the test of their accuracy.
#include <torch/csrc/stable/library.h>

#include "elementwise_kernels.h"
#include "recurrent.h"

namespace seqlight::cpu {
namespace {

template <typename T>
ElementwiseKernels<T> kernels() {
  const auto choose = [](const ElementwiseKernels<float>& of_float, const ElementwiseKernels<double>& of_double) {
    if constexpr (std::is_same_v<T, float>)
      return of_float;
    else
      return of_double;
  };
#if defined(__x86_64__)
  if (instruction_set() == InstructionSet::avx512)
    return choose(avx512_512::elementwise_float, avx512_512::elementwise_double);
  if (instruction_set() == InstructionSet::avx2)
    return choose(avx2_256::elementwise_float, avx2_256::elementwise_double);
#endif
  return choose(base::elementwise_float, base::elementwise_double);
}

Tensor sigmoid(Tensor x) {
  x = dense(x);
  Tensor result = torch::stable::empty_like(x);
  return for_dtype("sigmoid", "x", x, [&](auto number) {
    using T = decltype(number);
    kernels<T>().sigmoid(x.const_data_ptr<T>(), x.numel(), result.mutable_data_ptr<T>());
    return result;
  });
}

Tensor tanh(Tensor x) {
  x = dense(x);
  Tensor result = torch::stable::empty_like(x);
  return for_dtype("tanh", "x", x, [&](auto number) {
    using T = decltype(number);
    kernels<T>().tanh(x.const_data_ptr<T>(), x.numel(), result.mutable_data_ptr<T>());
    return result;
  });
}

}  // namespace

STABLE_TORCH_LIBRARY_IMPL(seqlight, CPU, m) {
  m.impl("sigmoid", TORCH_BOX(&sigmoid));
  m.impl("tanh", TORCH_BOX(&tanh));
}

}  // namespace seqlight::cpu
