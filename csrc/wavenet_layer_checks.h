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
  WaveNetLayerSizes s = {
      check_causal_conv1d(h, state, conv_weight, std::nullopt, dilation, 1, static_cast<int64_t>(ConvActivation::gate)),
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
  STD_TORCH_CHECK(condition.has_value() == condition_weight.has_value(), op,
                  ": condition and condition_weight expected both or neither");
  if (condition) {
    STD_TORCH_CHECK(s.condition >= 1, op, ": condition expected [B, T, D] with D at least 1, got ",
                    shape_text(condition->sizes()));
    check_shape(op, "condition", *condition, "[B, T, D]", {s.conv.batch, s.conv.time, s.condition});
    check_kind(op, "condition", *condition, "h", h);
    check_shape(op, "condition_weight", *condition_weight, "[2 * C, D]", {2 * s.channels(), s.condition});
    check_kind(op, "condition_weight", *condition_weight, "h", h);
  }
  return s;
}

}  // namespace seqlight
