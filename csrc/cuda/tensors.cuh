// What the host side of the CUDA operators does with tensors.
#pragma once

#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>

#include <array>
#include <optional>
#include <type_traits>

#include "../checks.h"
#include "launch.cuh"

namespace seqlight::cuda {

using torch::headeronly::ScalarType;
using torch::stable::new_empty;
using torch::stable::new_zeros;
using torch::stable::Tensor;
using MaybeTensor = std::optional<Tensor>;

inline Tensor dense(const Tensor& tensor) {
  return tensor.is_contiguous() ? tensor : torch::stable::contiguous(tensor);
}

// The same values outside of autograd, so that a product may write to memory of ours in any gradient mode.
inline Tensor detached(const Tensor& tensor) {
  std::array<StableIValue, 1> stack{torch::stable::detail::from(tensor)};
  TORCH_ERROR_CODE_CHECK(torch_call_dispatcher("aten::detach", "", stack.data(), TORCH_ABI_VERSION));
  return torch::stable::detail::to<Tensor>(stack[0]);
}

inline Tensor prepared(const Tensor& tensor) { return dense(detached(tensor)); }

inline MaybeTensor prepared(const MaybeTensor& tensor) {
  if (!tensor) return std::nullopt;
  return prepared(*tensor);
}

inline MaybeTensor detached(const MaybeTensor& tensor) {
  if (!tensor) return std::nullopt;
  return detached(*tensor);
}

inline Tensor transposed(const Tensor& matrix) { return torch::stable::transpose(matrix, 0, 1); }

inline Tensor narrowed(const Tensor& tensor, int64_t dim, int64_t first, int64_t count) {
  return torch::stable::narrow(const_cast<Tensor&>(tensor), dim, first, count);
}

// aten::mm.out follows torch's own settings for TF32 and cuBLAS, and autocast leaves it in the dtype of its arguments.
inline void multiply_into(const Tensor& product, const Tensor& left, const Tensor& right) {
  std::array<StableIValue, 3> stack{torch::stable::detail::from(left), torch::stable::detail::from(right),
                                    torch::stable::detail::from(product)};
  TORCH_ERROR_CODE_CHECK(torch_call_dispatcher("aten::mm", "out", stack.data(), TORCH_ABI_VERSION));
  (void)torch::stable::detail::to<Tensor>(stack[0]);  // takes back the handle of the result, which is `product`
}

// [columns]: the sums over the rows of a matrix.
inline Tensor sum_of_rows(const Tensor& matrix) { return torch::stable::sum(matrix, {{0}}); }

template <typename T>
const T* data_of(const MaybeTensor& tensor) {
  return tensor ? tensor->const_data_ptr<T>() : nullptr;
}

// A sequence [B, T, C], or [B, C] for a single step, of any strides; reads as zeros where there is none.
template <typename T>
struct StridedRows {
  const T* data;
  int64_t batch_stride, time_stride, channel_stride;

  SEQLIGHT_CELL T operator()(int64_t batch, int64_t time, int64_t channel) const {
    return data ? data[batch * batch_stride + time * time_stride + channel * channel_stride] : T(0);
  }
};

template <typename T>
StridedRows<T> rows_of(const MaybeTensor& tensor) {
  if (!tensor) return {nullptr, 0, 0, 0};
  return {tensor->const_data_ptr<T>(), tensor->stride(0), tensor->stride(1), tensor->stride(tensor->dim() - 1)};
}

template <typename T>
struct Accumulate {
  const T* addend;
  T* sum;

  __device__ void operator()(int64_t i) const { sum[i] += addend[i]; }
};

template <typename T>
void add_to(const Tensor& sum, const Tensor& addend, cudaStream_t stream) {
  launch(sum.numel(), stream, Accumulate<T>{addend.const_data_ptr<T>(), sum.mutable_data_ptr<T>()});
}

// Calls body(T()) for the number type T of x, on the device of x.
template <typename Body>
auto for_dtype(const char* op, const char* name, const Tensor& x, const Body& body) {
  [[maybe_unused]] const DeviceGuard guard(x.get_device_index());
  if (x.scalar_type() == ScalarType::Float) return body(float());
  STD_TORCH_CHECK(x.scalar_type() == ScalarType::Double, op, ": ", name, " expected float32 or float64, got ",
                  torch::headeronly::toString(x.scalar_type()));
  return body(double());
}

}  // namespace seqlight::cuda
