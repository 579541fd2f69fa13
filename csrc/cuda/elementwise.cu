// The operators `sigmoid` and `tanh` on CUDA, which exist for the test of their accuracy. Not yet run on a GPU.
#include "scalar_math.cuh"
#include "tensors.cuh"

namespace seqlight::cuda {
namespace {

template <typename T>
struct ElementwiseSigmoid {
  const T* x;
  T* target;

  __device__ void operator()(int64_t i) const { target[i] = ScalarMath<T>::sigmoid(x[i]); }
};

template <typename T>
struct ElementwiseTanh {
  const T* x;
  T* target;

  __device__ void operator()(int64_t i) const { target[i] = ScalarMath<T>::tanh(x[i]); }
};

template <template <typename> typename Function>
Tensor elementwise(const char* op, const Tensor& x) {
  return for_dtype(op, "x", x, [&](auto number) {
    using T = decltype(number);
    const Tensor source = dense(x);
    Tensor result = torch::stable::empty_like(source);
    launch(source.numel(), current_stream(x), Function<T>{source.const_data_ptr<T>(), result.mutable_data_ptr<T>()});
    return result;
  });
}

Tensor sigmoid(Tensor x) { return elementwise<ElementwiseSigmoid>("sigmoid", x); }
Tensor tanh(Tensor x) { return elementwise<ElementwiseTanh>("tanh", x); }

}  // namespace

#if defined(__CUDACC__)
STABLE_TORCH_LIBRARY_IMPL(seqlight, CUDA, m) {
  m.impl("sigmoid", TORCH_BOX(&sigmoid));
  m.impl("tanh", TORCH_BOX(&tanh));
}
#endif

}  // namespace seqlight::cuda
