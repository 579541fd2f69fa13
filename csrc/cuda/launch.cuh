// Runs a kernel written as the work of one element. Without nvcc the same source runs on the CPU, element by element,
// which is how its logic is tested on machines that have no GPU (tests/ops/test_lstm_cuda.py).
#pragma once

#include <torch/csrc/stable/macros.h>
#include <torch/csrc/stable/tensor.h>

#include <algorithm>
#include <cstdint>

#if defined(__CUDACC__)
#include <cuda_runtime.h>
#include <torch/csrc/inductor/aoti_torch/c/shim.h>
#include <torch/csrc/stable/accelerator.h>
#else
#define __device__
using cudaStream_t = void*;
#endif

namespace seqlight {

#if defined(__CUDACC__)

using torch::stable::accelerator::DeviceGuard;

template <typename Body>
__global__ void for_each_element(int64_t count, Body body) {
  const int64_t stride = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < count; i += stride) body(i);
}

// Runs body(i) for each i below `count`, in any order.
template <typename Body>
void launch(int64_t count, cudaStream_t stream, const Body& body) {
  constexpr int kThreads = 256;
  constexpr int64_t kMostBlocks = 65535;  // beyond, each thread takes several elements
  if (count == 0) return;
  const int64_t blocks = std::min((count + kThreads - 1) / kThreads, kMostBlocks);
  for_each_element<<<static_cast<unsigned>(blocks), kThreads, 0, stream>>>(count, body);
  STD_CUDA_KERNEL_LAUNCH_CHECK();
}

inline cudaStream_t current_stream(const torch::stable::Tensor& tensor) {
  void* stream = nullptr;
  TORCH_ERROR_CODE_CHECK(aoti_torch_get_current_cuda_stream(tensor.get_device_index(), &stream));
  return static_cast<cudaStream_t>(stream);
}

#else

struct DeviceGuard {
  explicit DeviceGuard(int32_t) {}
};

template <typename Body>
void launch(int64_t count, cudaStream_t, const Body& body) {
  for (int64_t i = count - 1; i >= 0; --i) body(i);  // backwards: a kernel that needs an order fails here
}

inline cudaStream_t current_stream(const torch::stable::Tensor&) { return nullptr; }

#endif

}  // namespace seqlight
