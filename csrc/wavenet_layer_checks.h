// The arguments of the WaveNet layer's operators and their checks, shared by every device.
#pragma once

#include "causal_conv1d_checks.h"

namespace seqlight {

// `conv` describes the dilated convolution, with the gate.
struct WaveNetLayerSizes {
  CausalConv1dSizes conv;
  int64_t skip, condition;  // channels
  bool residual;

  int64_t channels() const { return conv.in_channels; }
};

inline WaveNetLayerSizes check_wavenet_layer(const torch::stable::Tensor& h,
                                             const std::optional<torch::stable::Tensor>& state,
                                             const torch::stable::Tensor& conv_weight,
                                             const torch::stable::Tensor& project_weight,
                                             const std::optional<torch::stable::Tensor>& condition,
                                             const std::optional<torch::stable::Tensor>& condition_weight,
                                             int64_t dilation, bool residual) {
  const char* op = "wavenet_layer";
  if (condition) check_dim(op, "condition", *condition, 3, "[B, T, D]");
  WaveNetLayerSizes s = {check_causal_conv1d(h, state, conv_weight, std::nullopt, dilation, 1,
                                             static_cast<int64_t>(ConvActivation::gate), {op, "h", "conv_weight"}),
                         0, condition ? condition->size(2) : 0, residual};
  check_shape(op, "conv_weight", conv_weight, "[2 * C, C, K]", {2 * s.channels(), s.channels(), s.conv.taps});
  const int64_t before_skip = residual ? s.channels() : 0;
  STD_TORCH_CHECK(project_weight.dim() == 2 && project_weight.size(0) > before_skip, op,
                  ": project_weight expected [C + S, C], [S, C] without residual, with S at least 1, got ",
                  shape_text(project_weight.sizes()));
  s.skip = project_weight.size(0) - before_skip;
  check_shape(op, "project_weight", project_weight, "[C + S, C], [S, C] without residual",
              {before_skip + s.skip, s.channels()});
  check_kind(op, "project_weight", project_weight, "h", h);
  check_size(op, "project_weight", "S", s.skip);
  check_numbers(op, "project_weight", "B * T * S", {s.conv.batch, s.conv.time, s.skip});
  STD_TORCH_CHECK(condition.has_value() == condition_weight.has_value(), op,
                  ": condition and condition_weight expected both or neither");
  if (condition) {
    STD_TORCH_CHECK(s.condition >= 1, op, ": condition expected [B, T, D] with D at least 1, got ",
                    shape_text(condition->sizes()));
    check_size(op, "condition", "D", s.condition);
    check_shape(op, "condition", *condition, "[B, T, D]", {s.conv.batch, s.conv.time, s.condition});
    check_kind(op, "condition", *condition, "h", h);
    check_shape(op, "condition_weight", *condition_weight, "[2 * C, D]", {2 * s.channels(), s.condition});
    check_kind(op, "condition_weight", *condition_weight, "h", h);
  }
  return s;
}

// What the forward operator has beside that.
inline void check_wavenet_layer_forward(const WaveNetLayerSizes& s, const torch::stable::Tensor& h,
                                        const std::optional<torch::stable::Tensor>& skip,
                                        const torch::stable::Tensor& conv_bias,
                                        const torch::stable::Tensor& project_weight,
                                        const torch::stable::Tensor& project_bias,
                                        const std::optional<torch::stable::Tensor>& static_term) {
  const auto check = [&](const char* name, const torch::stable::Tensor& tensor, const char* meaning,
                         std::initializer_list<int64_t> sizes) {
    check_shape("wavenet_layer", name, tensor, meaning, sizes);
    check_kind("wavenet_layer", name, tensor, "h", h);
  };
  check("conv_bias", conv_bias, "[2 * C]", {2 * s.channels()});
  check("project_bias", project_bias, "[rows of project_weight]", {project_weight.size(0)});
  if (skip) check("skip", *skip, "[B, T, S]", {s.conv.batch, s.conv.time, s.skip});
  if (static_term) check("static_term", *static_term, "[B, 2 * C]", {s.conv.batch, 2 * s.channels()});
}

// What the backward operator has beside that.
inline void check_wavenet_layer_backward(const WaveNetLayerSizes& s, const torch::stable::Tensor& h,
                                         const std::optional<torch::stable::Tensor>& grad_h_next,
                                         const std::optional<torch::stable::Tensor>& grad_skip,
                                         const std::optional<torch::stable::Tensor>& grad_new_state,
                                         const std::optional<torch::stable::Tensor>& condition,
                                         const torch::stable::Tensor& activated, bool need_condition,
                                         bool need_condition_weight) {
  const char* op = "wavenet_layer_backward";
  const auto check = [&](const char* name, const torch::stable::Tensor& tensor, const char* meaning,
                         std::initializer_list<int64_t> sizes) {
    check_shape(op, name, tensor, meaning, sizes);
    check_kind(op, name, tensor, "h", h);
  };
  const int64_t B = s.conv.batch, T = s.conv.time, C = s.channels();
  STD_TORCH_CHECK(s.residual || !grad_h_next, op, ": grad_h_next expected None without residual");
  if (grad_h_next) check("grad_h_next", *grad_h_next, "[B, T, C]", {B, T, C});
  if (grad_skip) check("grad_skip", *grad_skip, "[B, T, S]", {B, T, s.skip});
  if (grad_new_state)
    check("grad_new_state", *grad_new_state, "[B, (K - 1) * dilation, C]", {B, s.conv.state_length(), C});
  check("activated", activated, "[B, T, 2 * C]", {B, T, 2 * C});
  STD_TORCH_CHECK(condition || (!need_condition && !need_condition_weight), op,
                  ": condition expected where its gradient is wanted");
}

}  // namespace seqlight
