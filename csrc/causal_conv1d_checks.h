// The arguments of the causal convolution operators and their checks, shared by every device.
#pragma once

#include <optional>

#include "checks.h"

namespace seqlight {

// The operators' integer argument `activation`.
enum class ConvActivation : int64_t { none = 0, relu = 1, gate = 2 };

struct CausalConv1dSizes {
  int64_t batch, time, in_channels, pre_channels;  // pre_channels: before the activation, weight's first size
  int64_t taps, dilation, groups;
  ConvActivation activation;

  int64_t out_channels() const { return activation == ConvActivation::gate ? pre_channels / 2 : pre_channels; }
  int64_t state_length() const { return (taps - 1) * dilation; }
  int64_t in_per_group() const { return in_channels / groups; }
  int64_t pre_per_group() const { return pre_channels / groups; }
};

// What messages call the operator, its input and its weight.
struct CausalConv1dNames {
  const char *op = "causal_conv1d", *x = "x", *weight = "weight";
};

inline CausalConv1dSizes check_causal_conv1d(const torch::stable::Tensor& x,
                                             const std::optional<torch::stable::Tensor>& state,
                                             const torch::stable::Tensor& weight,
                                             const std::optional<torch::stable::Tensor>& bias, int64_t dilation,
                                             int64_t groups, int64_t activation, const CausalConv1dNames& names = {}) {
  const char* op = names.op;
  check_dim(op, names.x, x, 3, "[B, T, C_in]");
  STD_TORCH_CHECK(weight.dim() == 3 && weight.numel() > 0, op, ": ", names.weight,
                  " expected [C_out, C_in / groups, K] with every size at least 1, got ", shape_text(weight.sizes()));
  STD_TORCH_CHECK(dilation >= 1, op, ": dilation expected at least 1, got ", dilation);
  STD_TORCH_CHECK(groups >= 1, op, ": groups expected at least 1, got ", groups);
  STD_TORCH_CHECK(activation >= 0 && activation <= 2, op, ": activation expected 0, 1 or 2, got ", activation);
  const CausalConv1dSizes s = {x.size(0),      x.size(1), x.size(2), weight.size(0),
                               weight.size(2), dilation,  groups,    static_cast<ConvActivation>(activation)};
  check_size(op, names.x, "C_in", s.in_channels);
  check_size(op, names.weight, "C_out", s.pre_channels);
  check_size(op, names.weight, "K", s.taps);
  STD_TORCH_CHECK(s.in_channels % groups == 0 && s.pre_channels % groups == 0, op, ": channels ", s.in_channels,
                  " (in) and ", s.pre_channels, " (weight) expected divisible by groups = ", groups);
  STD_TORCH_CHECK(s.activation != ConvActivation::gate || s.pre_channels % 2 == 0, op, ": ", names.weight,
                  " expected an even number of output channels for the gate, got ", s.pre_channels);
  // No index into the sequences may overflow.
  STD_TORCH_CHECK(dilation < (int64_t{1} << 40) / s.taps, op, ": dilation expected below 2^40 / K, got ", dilation);
  check_numbers(op, names.x, "T", {s.time});
  check_numbers(op, names.x, "B * (T + (K - 1) * dilation) * (C_in + C_out)",
                {s.batch, s.time + s.state_length(), s.in_channels + s.pre_channels});
  check_shape(op, names.weight, weight, "[C_out, C_in / groups, K]", {s.pre_channels, s.in_per_group(), s.taps});
  check_kind(op, names.weight, weight, names.x, x);
  if (state) {
    check_shape(op, "state", *state, "[B, (K - 1) * dilation, C_in]", {s.batch, s.state_length(), s.in_channels});
    check_kind(op, "state", *state, names.x, x);
  }
  if (bias) {
    check_shape(op, "bias", *bias, "[C_out]", {s.pre_channels});
    check_kind(op, "bias", *bias, names.x, x);
  }
  return s;
}

// What the backward operator has beside the forward one's arguments.
inline void check_causal_conv1d_backward(const CausalConv1dSizes& s, const torch::stable::Tensor& x,
                                         const std::optional<torch::stable::Tensor>& grad_output,
                                         const std::optional<torch::stable::Tensor>& grad_new_state,
                                         const torch::stable::Tensor& activated) {
  const char* op = "causal_conv1d_backward";
  if (grad_output) {
    check_shape(op, "grad_output", *grad_output, "[B, T, channels of the output]", {s.batch, s.time, s.out_channels()});
    check_kind(op, "grad_output", *grad_output, "x", x);
  }
  if (grad_new_state) {
    check_shape(op, "grad_new_state", *grad_new_state, "[B, (K - 1) * dilation, C_in]",
                {s.batch, s.state_length(), s.in_channels});
    check_kind(op, "grad_new_state", *grad_new_state, "x", x);
  }
  if (s.activation != ConvActivation::none) {
    const int64_t kept = s.activation == ConvActivation::gate ? s.pre_channels : s.out_channels();
    check_shape(op, "activated", activated, "[B, T, channels kept by the forward pass]", {s.batch, s.time, kept});
  }
  // Where it is not read its shape is free, and torch lets None pass for a tensor.
  STD_TORCH_CHECK(activated.defined(), op, ": activated expected a tensor, got None");
  check_kind(op, "activated", activated, "x", x);
}

}  // namespace seqlight
