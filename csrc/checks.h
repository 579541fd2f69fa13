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

inline void check_shape(const char* op, const char* name, const torch::stable::Tensor& tensor, const char* meaning,
                        std::initializer_list<int64_t> expected) {
  bool same = tensor.dim() == static_cast<int64_t>(expected.size());
  int64_t i = 0;
  for (int64_t size : expected) same = same && tensor.size(i++) == size;
  STD_TORCH_CHECK(same, op, ": ", name, " expected ", meaning, " = ", shape_text(expected), ", got ",
                  shape_text(tensor.sizes()));
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

// `tensor` must have the dtype and device of `like`, which is called `like_name` in the message.
inline void check_kind(const char* op, const char* name, const torch::stable::Tensor& tensor, const char* like_name,
                       const torch::stable::Tensor& like) {
  const Kind kind(tensor), expected(like);
  STD_TORCH_CHECK(kind.dtype == expected.dtype, op, ": ", name, " expected the dtype of ", like_name, " (",
                  torch::headeronly::toString(like.scalar_type()), "), got ",
                  torch::headeronly::toString(tensor.scalar_type()));
  STD_TORCH_CHECK(kind.device_type == expected.device_type && kind.device_index == expected.device_index, op, ": ",
                  name, " expected on the device of ", like_name, ", got another one");
}

}  // namespace seqlight
