// Argument checks whose messages name the operator, the argument, what was expected and what came:
// "lstm: weight_hh expected [4*H, H] = [80, 20], got [80, 21]".
#pragma once

#include <torch/csrc/inductor/aoti_torch/c/shim.h>
#include <torch/csrc/stable/tensor.h>
#include <torch/headeronly/core/ScalarType.h>
#include <torch/headeronly/util/Exception.h>

#include <cstdint>
#include <initializer_list>
#include <string>

namespace seqlight {

template <typename Sizes>
inline std::string shape_text(const Sizes& sizes) {
  std::string text = "[";
  for (auto size : sizes) text += (text.size() > 1 ? ", " : "") + std::to_string(size);
  return text + "]";
}

inline bool has_shape(const torch::stable::Tensor& tensor, std::initializer_list<int64_t> expected) {
  bool same = tensor.dim() == static_cast<int64_t>(expected.size());
  int64_t i = 0;
  for (int64_t size : expected) same = same && tensor.size(i++) == size;
  return same;
}

inline void check_shape(const char* op, const char* name, const torch::stable::Tensor& tensor, const char* meaning,
                        std::initializer_list<int64_t> expected) {
  STD_TORCH_CHECK(has_shape(tensor, expected), op, ": ", name, " expected ", meaning, " = ", shape_text(expected),
                  ", got ", shape_text(tensor.sizes()));
}

// Comes before any look at single sizes, which torch refuses without saying of what.
inline void check_dim(const char* op, const char* name, const torch::stable::Tensor& tensor, int64_t dim,
                      const char* meaning) {
  STD_TORCH_CHECK(tensor.dim() == dim, op, ": ", name, " expected ", meaning, ", got ", shape_text(tensor.sizes()));
}

// Sizes of which the kernels multiply two, and then a small number. Tensors of no numbers, or of one that is expanded,
// have them at no cost.
inline void check_size(const char* op, const char* name, const char* meaning, int64_t size) {
  STD_TORCH_CHECK(size < (int64_t{1} << 31), op, ": ", name, " expected with ", meaning, " below 2^31, got ", size);
}

// How many numbers a call may read or write for one of its tensors. More than a processor can address, and so few that
// no index or count of bytes computed from them overflows.
inline void check_numbers(const char* op, const char* name, const char* meaning, std::initializer_list<int64_t> sizes) {
  double numbers = 1;
  for (const int64_t size : sizes) numbers *= static_cast<double>(size);
  STD_TORCH_CHECK(numbers < 17592186044416.0, op, ": ", name, " expected with ", meaning, " below 2^44, got ",
                  shape_text(sizes));
}

// Dtype and device in torch's own numbers, which is all that a comparison needs: scalar_type() and device() ask torch
// for the number of one dtype and device after another.
struct Kind {
  explicit Kind(const torch::stable::Tensor& tensor) {
    TORCH_ERROR_CODE_CHECK(aoti_torch_get_dtype(tensor.get(), &dtype));
    TORCH_ERROR_CODE_CHECK(aoti_torch_get_device_type(tensor.get(), &device_type));
    TORCH_ERROR_CODE_CHECK(aoti_torch_get_device_index(tensor.get(), &device_index));
  }

  int32_t dtype, device_type, device_index;
};

inline std::string device_text(const Kind& kind) {
  if (kind.device_type == aoti_torch_device_type_cpu()) return "cpu";
  if (kind.device_type == aoti_torch_device_type_cuda()) return "cuda:" + std::to_string(kind.device_index);
  return "a device of torch's type " + std::to_string(kind.device_type);
}

inline void check_device(const char* op, const char* name, const Kind& kind, const char* like_name, const Kind& like) {
  STD_TORCH_CHECK(kind.device_type == like.device_type && kind.device_index == like.device_index, op, ": ", name,
                  " expected on the device of ", like_name, ", ", device_text(like), ", got ", device_text(kind));
}

// `tensor` must have the dtype and device of `like`, which is called `like_name` in the message.
inline void check_kind(const char* op, const char* name, const torch::stable::Tensor& tensor, const char* like_name,
                       const torch::stable::Tensor& like) {
  const Kind kind(tensor), expected(like);
  STD_TORCH_CHECK(kind.dtype == expected.dtype, op, ": ", name, " expected the dtype of ", like_name, " (",
                  torch::headeronly::toString(like.scalar_type()), "), got ",
                  torch::headeronly::toString(tensor.scalar_type()));
  check_device(op, name, kind, like_name, expected);
}

// An int64 tensor of one shape on the device of `like`; lengths and seeds are such ones.
inline void check_integers(const char* op, const char* name, const torch::stable::Tensor& tensor, const char* meaning,
                           std::initializer_list<int64_t> sizes, const char* like_name,
                           const torch::stable::Tensor& like) {
  check_shape(op, name, tensor, meaning, sizes);
  const Kind kind(tensor);
  STD_TORCH_CHECK(kind.dtype == aoti_torch_dtype_int64(), op, ": ", name, " expected int64, got ",
                  torch::headeronly::toString(tensor.scalar_type()));
  check_device(op, name, kind, like_name, Kind(like));
}

}  // namespace seqlight
