// New tensors at the price of the allocation: torch::stable::new_empty goes through the dispatcher, which costs a
// microsecond more, and an operator makes up to ten.
#pragma once

#include <torch/csrc/inductor/aoti_torch/c/shim.h>
#include <torch/csrc/stable/tensor.h>

#include <array>
#include <initializer_list>

namespace seqlight::cpu {

// Uninitialised and contiguous, with dtype and device (CPU) of `like`; up to four dimensions.
inline torch::stable::Tensor empty(const torch::stable::Tensor& like, std::initializer_list<int64_t> sizes) {
  std::array<int64_t, 4> strides{};
  int64_t stride = 1;
  for (std::size_t i = sizes.size(); i-- > 0; stride *= sizes.begin()[i]) strides[i] = stride;
  int32_t dtype;
  TORCH_ERROR_CODE_CHECK(aoti_torch_get_dtype(like.get(), &dtype));
  AtenTensorHandle handle;
  TORCH_ERROR_CODE_CHECK(aoti_torch_empty_strided(static_cast<int64_t>(sizes.size()), sizes.begin(), strides.data(),
                                                  dtype, aoti_torch_device_type_cpu(), 0, &handle));
  return torch::stable::Tensor(handle);
}

}  // namespace seqlight::cpu
