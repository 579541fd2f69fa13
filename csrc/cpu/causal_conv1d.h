// The host side that the operators on the convolution kernels share: the choice of kernels, packing, sequences, the
// split of the work over threads. The arithmetic is in causal_conv1d.inl.
#pragma once

#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <optional>
#include <type_traits>

#include "../causal_conv1d_checks.h"
#include "causal_conv1d_kernels.h"
#include "floating_point_state.h"
#include "instruction_set.h"
#include "scratch.h"

namespace seqlight::cpu {

using torch::headeronly::ScalarType;
using torch::stable::Tensor;
using MaybeTensor = std::optional<Tensor>;

template <typename T>
const ConvKernels<T>& choose(const ConvKernels<float>& of_float, const ConvKernels<double>& of_double) {
  if constexpr (std::is_same_v<T, float>)
    return of_float;
  else
    return of_double;
}

// The vectors for rows of `columns` numbers: narrower ones where wide ones would be empty for more than a quarter.
template <typename T>
const ConvKernels<T>& kernels(int64_t columns) {
#if defined(__x86_64__)
  const int64_t bytes = columns * static_cast<int64_t>(sizeof(T));
  const auto padded = [&](int64_t vector) { return (bytes + vector - 1) / vector * vector; };
  switch (instruction_set()) {
    case InstructionSet::avx512:
      if (bytes <= 16) return choose<T>(avx512_128::conv_float, avx512_128::conv_double);
      if (4 * padded(32) <= 3 * padded(64)) return choose<T>(avx512_256::conv_float, avx512_256::conv_double);
      return choose<T>(avx512_512::conv_float, avx512_512::conv_double);
    case InstructionSet::avx2:
      if (bytes <= 16) return choose<T>(avx2_128::conv_float, avx2_128::conv_double);
      return choose<T>(avx2_256::conv_float, avx2_256::conv_double);
    default:
      break;
  }
#endif
  (void)columns;
  return choose<T>(base::conv_float, base::conv_double);
}

inline Tensor dense(const Tensor& tensor) {
  return tensor.is_contiguous() ? tensor : torch::stable::contiguous(tensor);
}

inline MaybeTensor dense(const MaybeTensor& tensor) {
  if (!tensor) return std::nullopt;
  return dense(*tensor);
}

// The kernels read rows at any batch and time stride, as long as the channels of one step lie side by side.
inline Tensor channel_contiguous(const Tensor& tensor) {
  return tensor.stride(2) == 1 || tensor.size(2) <= 1 ? tensor : torch::stable::contiguous(tensor);
}

inline MaybeTensor channel_contiguous(const MaybeTensor& tensor) {
  if (!tensor) return std::nullopt;
  return channel_contiguous(*tensor);
}

template <typename T>
const T* data(const MaybeTensor& tensor) {
  return tensor ? tensor->const_data_ptr<T>() : nullptr;
}

template <typename T>
Sequences<const T> readable(const Tensor& sequence, const MaybeTensor& past, int64_t past_length) {
  Sequences<const T> s = {};
  s.data = sequence.const_data_ptr<T>();
  s.batch_stride = sequence.stride(0);
  s.time_stride = sequence.stride(1);
  s.length = sequence.size(1);
  s.past_length = past_length;
  if (past) {
    s.past = past->const_data_ptr<T>();
    s.past_batch_stride = past->stride(0);
    s.past_time_stride = past->stride(1);
  }
  return s;
}

// Of contiguous [B, length, channels] and [B, past_length, channels]; null for none.
template <typename T>
Sequences<T> writable(T* sequence, int64_t length, T* past, int64_t past_length, int64_t channels) {
  return {sequence, length * channels, channels, length, past, past_length * channels, channels, past_length};
}

// The last (K - 1) * dilation rows of state (zeros where there is none) and x.
template <typename T>
Tensor next_state(const CausalConv1dSizes& s, const Sequences<const T>& in, const Tensor& x) {
  const int64_t length = s.state_length(), C = s.in_channels;
  Tensor result = torch::stable::new_empty(x, {s.batch, length, C});
  T* target = result.mutable_data_ptr<T>();
  for (int64_t b = 0; b < s.batch; ++b) {
    const int64_t from_past = std::max<int64_t>(0, length - s.time);
    const T* past = in.past ? in.past + b * in.past_batch_stride + s.time * in.past_time_stride : nullptr;
    for (int64_t i = 0; i < from_past; ++i, target += C) {
      if (past)
        std::memcpy(target, past + i * in.past_time_stride, C * sizeof(T));
      else
        std::memset(target, 0, C * sizeof(T));
    }
    const int64_t rows = length - from_past;
    const T* source = in.data + b * in.batch_stride + (s.time - rows) * in.time_stride;
    if (in.time_stride == C) {
      if (rows) std::memcpy(target, source, rows * C * sizeof(T));
      target += rows * C;
      continue;
    }
    for (int64_t i = 0; i < rows; ++i, target += C) std::memcpy(target, source + i * in.time_stride, C * sizeof(T));
  }
  return result;
}

// Adds the gradient of the new state to those of the rows that were copied there.
template <typename T>
void add_state_gradient(const CausalConv1dSizes& s, const Tensor& grad_new_state, T* grad_x, T* grad_state) {
  const int64_t length = s.state_length(), C = s.in_channels;
  const T* const source = grad_new_state.const_data_ptr<T>();
  for (int64_t b = 0; b < s.batch; ++b)
    for (int64_t i = 0; i < length; ++i) {
      const int64_t time = s.time - length + i;
      T* const sequence = time < 0 ? grad_state : grad_x;
      if (!sequence) continue;
      T* const target = sequence + (time < 0 ? b * length + time + length : b * s.time + time) * C;
      const T* const row = source + b * grad_new_state.stride(0) + i * grad_new_state.stride(1);
      for (int64_t c = 0; c < C; ++c) target[c] += row[c];
    }
}

// ------------------------------------------------------------------------------------------------- splitting the work

// A call must be worth waking a second thread; in multiply-adds, about 4 microseconds.
inline constexpr double kParallelWork = 2.5e5;

inline int64_t worker_count(int64_t rows, double work) {
  const int64_t threads = torch::stable::get_num_threads();
  if (threads == 1 || work < kParallelWork) return 1;
  return std::max<int64_t>(1, std::min(rows, threads));
}

// Runs body(worker) for every worker and returns how many threads took part.
template <typename Body>
int64_t run(int64_t workers, const Body& body) {
  std::atomic<int64_t> threads{0};
  const auto share = [&](int64_t begin, int64_t end) {
    const FlushDenormals flush;
    threads.fetch_add(1, std::memory_order_relaxed);
    for (int64_t worker = begin; worker < end; ++worker) body(worker);
  };
  if (workers == 1)
    share(0, 1);
  else
    torch::stable::parallel_for(0, workers, 1, share);
  return threads.load();
}

inline bool is_depthwise(const CausalConv1dSizes& s) {
  return s.groups > 1 && s.in_channels == s.groups && s.pre_channels == s.groups;
}

// ------------------------------------------------------------------------------------------------------------ packing

// weight [channels, 1, K] as [K, channels], and behind it the bias, zeros where there is none.
template <typename T>
void pack_depthwise(const CausalConv1dSizes& s, const T* weight, const T* bias, T* target) {
  for (int64_t k = 0; k < s.taps; ++k)
    for (int64_t c = 0; c < s.groups; ++c) target[k * s.groups + c] = weight[c * s.taps + k];
  for (int64_t c = 0; c < s.groups; ++c) target[s.taps * s.groups + c] = bias ? bias[c] : T(0);
}

// Points `product` to packed weights in this thread's scratch memory.
template <typename T>
void pack_weights(const CausalConv1dSizes& s, const ConvKernels<T>& kernel, const T* weight, const T* bias,
                  bool transposed, ConvProduct<T>& product) {
  if (is_depthwise(s)) {
    T* const packed = thread_scratch<ScratchUse::packed_weights, T>((s.taps + 1) * s.groups);
    pack_depthwise<T>(s, weight, bias, packed);
    product.weights = packed;
    product.bias = packed + s.taps * s.groups;
    return;
  }
  const bool gate = product.epilogue == ConvEpilogue::gate;
  const int64_t size = kernel.packed_weights(s.groups, product.columns, product.depth, s.taps, gate);
  T* const packed =
      thread_scratch<ScratchUse::packed_weights, T>(size + kernel.packed_bias(s.groups, product.columns, gate));
  if (transposed)
    kernel.pack_transposed(weight, s.groups, product.columns, product.depth, s.taps, packed);
  else
    kernel.pack(weight, s.groups, product.columns, product.depth, s.taps, gate, packed);
  kernel.pack_bias(bias, s.groups, product.columns, gate, packed + size);
  product.weights = packed;
  product.bias = packed + size;
}

}  // namespace seqlight::cpu
