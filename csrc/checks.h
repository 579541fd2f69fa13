// Argument checks whose messages name the operator, the argument, what was expected and what came:
// "lstm: weight_hh expected [4*H, H] = [80, 20], got [80, 21]".
#pragma once

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

// `tensor` must have the dtype and device of `like`, which is called `like_name` in the message.
inline void check_kind(const char* op, const char* name, const torch::stable::Tensor& tensor, const char* like_name,
                       const torch::stable::Tensor& like) {
  STD_TORCH_CHECK(tensor.scalar_type() == like.scalar_type(), op, ": ", name, " expected the dtype of ", like_name,
                  " (", torch::headeronly::toString(like.scalar_type()), "), got ",
                  torch::headeronly::toString(tensor.scalar_type()));
  STD_TORCH_CHECK(tensor.device() == like.device(), op, ": ", name, " expected on the device of ", like_name,
                  ", got another one");
}

}  // namespace seqlight
