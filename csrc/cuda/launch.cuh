// Runs a kernel written as the work of one element, of the threads that share a row, or of a block of threads with
// memory in common. Without nvcc the same source runs on the CPU, element by element, with a few threads for a row and
// with as many for a block as it asks for, which is how its logic is tested on machines that have no GPU
// (tests/ops/cuda_sources.py).
#pragma once

#include <torch/csrc/stable/macros.h>
#include <torch/csrc/stable/tensor.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <type_traits>

#if defined(__CUDACC__)
#include <cuda_runtime.h>
#include <torch/csrc/inductor/aoti_torch/c/shim.h>
#include <torch/csrc/stable/accelerator.h>
#else
#include "host_team.h"
#define __device__
using cudaStream_t = void*;
#endif

// Before a loop over an array that has to stay in registers. The host compilers know the pragma by other names.
#if defined(__CUDA_ARCH__)
#define SEQLIGHT_UNROLL _Pragma("unroll")
#else
#define SEQLIGHT_UNROLL
#endif

namespace seqlight::cuda {

constexpr int kWarp = 32;
constexpr int kElementThreads = 256;
constexpr int kMostRowThreads = 512;  // of one block that shares a row
#if defined(__CUDACC__)
constexpr int kTeamThreads = 256;  // of a block whose work is of any size
#else
constexpr int kTeamThreads = 3;
#endif

// The threads that share a row or a block, seen by one of them. Of a row of numbers it takes every `stride`-th from
// `first` on; of a block it is number `first`.
struct Threads {
  int64_t first, stride;
#if !defined(__CUDACC__)
  HostTeam* team = nullptr;
#endif

  template <typename Body>
  __device__ void each(int64_t count, const Body& body) const {
    for (int64_t i = first; i < count; i += stride) body(i);
  }

  // Until all threads of the block have got here; all must. What each wrote before, all read after it. Not in rows,
  // which more than one block may share.
  __device__ void wait() const {
#if defined(__CUDACC__)
    __syncthreads();
#else
    team->wait(first);
#endif
  }

  // Replaces each value by its sum over all threads of the row, added in the same order by everyone. Only in rows that
  // were launched as a whole, and all threads must get here.
  template <typename T, int kCount>
  __device__ void sum(T (&values)[kCount]) const {
#if defined(__CUDACC__)
    __shared__ T of_warp[kCount][kMostRowThreads / kWarp];
    const int warp = threadIdx.x / kWarp, warps = blockDim.x / kWarp;
    for (int n = 0; n < kCount; ++n)
      for (int offset = kWarp / 2; offset > 0; offset /= 2)
        values[n] += __shfl_xor_sync(0xffffffffu, values[n], offset);
    __syncthreads();  // until everyone has read the sums before these
    if (threadIdx.x % kWarp == 0)
      for (int n = 0; n < kCount; ++n) of_warp[n][warp] = values[n];
    __syncthreads();
    for (int n = 0; n < kCount; ++n) {
      values[n] = of_warp[n][0];
      for (int w = 1; w < warps; ++w) values[n] += of_warp[n][w];
    }
#else
    team->sum(first, values);
#endif
  }
};

#if defined(__CUDACC__)

using torch::stable::accelerator::DeviceGuard;

template <typename Body>
__global__ void for_each_element(int64_t count, Body body) {
  const int64_t stride = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < count; i += stride) body(i);
}

template <typename Body>
__global__ void __launch_bounds__(kMostRowThreads) for_each_row(int64_t rows, Body body) {
  const Threads threads = {int64_t{blockIdx.y} * blockDim.x + threadIdx.x, int64_t{gridDim.y} * blockDim.x};
  for (int64_t row = blockIdx.x; row < rows; row += gridDim.x) body(row, threads);
}

template <typename Body>
__global__ void __launch_bounds__(Body::kThreads) for_each_block(int64_t blocks, Body body) {
  __shared__ typename Body::Shared shared;
  for (int64_t block = blockIdx.x; block < blocks; block += gridDim.x) {
    body(block, Threads{threadIdx.x, Body::kThreads}, shared);
    __syncthreads();  // until everyone is done with what is shared
  }
}

// Runs body(i) for each i below `count`, in any order.
template <typename Body>
void launch(int64_t count, cudaStream_t stream, const Body& body) {
  constexpr int64_t kMostBlocks = 65535;  // beyond, each thread takes several elements
  if (count == 0) return;
  const int64_t blocks = std::min((count + kElementThreads - 1) / kElementThreads, kMostBlocks);
  for_each_element<<<static_cast<unsigned>(blocks), kElementThreads, 0, stream>>>(count, body);
  STD_CUDA_KERNEL_LAUNCH_CHECK();
}

// Runs body(row, threads) for each row of `width` numbers, in any order. Where the threads' sums are wanted, one block
// takes a row as a whole.
template <typename Body>
void launch_rows(int64_t rows, int64_t width, bool whole, cudaStream_t stream, const Body& body) {
  constexpr int64_t kMostRows = 1 << 20, kMostParts = 65535;
  if (rows == 0 || width == 0) return;
  const int64_t most = whole ? kMostRowThreads : kElementThreads;
  const int64_t threads = std::min((width + kWarp - 1) / kWarp * kWarp, most);
  const int64_t parts = whole ? 1 : std::min((width + threads - 1) / threads, kMostParts);
  const dim3 grid(static_cast<unsigned>(std::min(rows, kMostRows)), static_cast<unsigned>(parts));
  for_each_row<<<grid, static_cast<unsigned>(threads), 0, stream>>>(rows, body);
  STD_CUDA_KERNEL_LAUNCH_CHECK();
}

// Runs body(block, threads, shared) for each block of Body::kThreads threads, in any order. `shared` is a Body::Shared,
// with nothing in it yet.
template <typename Body>
void launch_blocks(int64_t blocks, cudaStream_t stream, const Body& body) {
  constexpr int64_t kMostBlocks = 1 << 30;
  if (blocks == 0) return;
  for_each_block<<<static_cast<unsigned>(std::min(blocks, kMostBlocks)), Body::kThreads, 0, stream>>>(blocks, body);
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

// Backwards, so that a kernel that needs an order fails here.
template <typename Body>
void launch(int64_t count, cudaStream_t, const Body& body) {
  for (int64_t i = count - 1; i >= 0; --i) body(i);
}

template <typename Body>
void launch_rows(int64_t rows, int64_t width, bool whole, cudaStream_t, const Body& body) {
  if (whole) {
    HostTeam team(kTeamThreads);
    return team.run([&](int64_t thread) {
      for (int64_t row = rows - 1; row >= 0; --row) body(row, Threads{thread, kTeamThreads, &team});
    });
  }
  for (int64_t row = rows - 1; row >= 0; --row)
    for (int64_t i = width - 1; i >= 0; --i) body(row, Threads{i, width});
}

template <typename Body>
void launch_blocks(int64_t blocks, cudaStream_t, const Body& body) {
  static_assert(std::is_trivial_v<typename Body::Shared>);
  if (blocks == 0) return;
  typename Body::Shared shared;
  HostTeam team(Body::kThreads);
  team.run([&](int64_t thread) {
    const Threads threads = {thread, Body::kThreads, &team};
    for (int64_t block = blocks - 1; block >= 0; --block) {
      if (thread == 0) std::memset(&shared, 0xff, sizeof shared);  // NaN: nobody may read what nobody wrote
      threads.wait();
      body(block, threads, shared);
      threads.wait();
    }
  });
}

inline cudaStream_t current_stream(const torch::stable::Tensor&) { return nullptr; }

#endif

}  // namespace seqlight::cuda
