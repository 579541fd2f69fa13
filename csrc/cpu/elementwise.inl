// The functions of activations.inl over an array; elementwise_<isa>.cpp includes it for the widest vectors.

namespace seqlight::cpu {
namespace SEQLIGHT_ISA {

// clang-format off: the order matters
#include "vector.inl"
#include "activations.inl"
// clang-format on

template <typename T>
void sigmoid_of(const T* x, int64_t count, T* result) {
  for (int64_t i = 0; i < count; i += kLanes<T>)
    store_first<T>(result + i, sigmoid<T>(load_first<T>(x + i, count - i)), count - i);
}

template <typename T>
void tanh_of(const T* x, int64_t count, T* result) {
  for (int64_t i = 0; i < count; i += kLanes<T>)
    store_first<T>(result + i, tanh<T>(load_first<T>(x + i, count - i)), count - i);
}

extern const ElementwiseKernels<float> elementwise_float = {sigmoid_of<float>, tanh_of<float>};
extern const ElementwiseKernels<double> elementwise_double = {sigmoid_of<double>, tanh_of<double>};

}  // namespace SEQLIGHT_ISA
}  // namespace seqlight::cpu

#include "end_of_isa.inl"
