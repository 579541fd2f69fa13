// The arguments of the operator wavenet_generate and their checks, shared by every device.
#pragma once

#include <limits>
#include <optional>
#include <vector>

#include "checks.h"

namespace seqlight {

using TensorList = std::vector<torch::stable::Tensor>;

struct WaveNetSizes {
  int64_t batch, steps, inputs, outputs, hidden, skip, taps, condition;
  bool gated;
  std::vector<int64_t> dilations;  // of the layers after the first convolution
  int64_t state_length;            // of all those layers together

  int64_t layers() const { return static_cast<int64_t>(dilations.size()); }
  int64_t layer_state_length(int64_t layer) const { return (taps - 1) * dilations[layer]; }
  bool residual(int64_t layer) const { return layer + 1 < layers(); }
  int64_t pre_channels() const { return gated ? 2 * hidden : hidden; }
  int64_t head_depth() const { return gated ? skip : hidden; }
};

struct WaveNetArguments {
  torch::stable::Tensor first, input_state, states, input_weight, input_bias;
  TensorList conv_weights, conv_biases, project_weights, project_biases, condition_weights;
  std::optional<torch::stable::Tensor> condition, static_terms;
  TensorList head_weights, head_biases;
  std::optional<torch::stable::Tensor> seed;
};

inline void check_list(const char* op, const char* name, const TensorList& list, int64_t count, const char* meaning,
                       std::initializer_list<int64_t> sizes, const torch::stable::Tensor& like) {
  STD_TORCH_CHECK(static_cast<int64_t>(list.size()) == count, op, ": ", name, " expected ", count, " tensors, got ",
                  list.size());
  for (const torch::stable::Tensor& tensor : list) {
    check_shape(op, name, tensor, meaning, sizes);
    check_kind(op, name, tensor, "first", like);
  }
}

inline WaveNetSizes check_wavenet_generate(const WaveNetArguments& a, const std::vector<int64_t>& dilations,
                                           int64_t steps, double temperature) {
  const char* op = "wavenet_generate";
  check_dim(op, "first", a.first, 2, "[B, I]");
  STD_TORCH_CHECK(a.input_weight.dim() == 3 && a.input_weight.numel() > 0, op,
                  ": input_weight expected [H, I, K] with every size at least 1, got ",
                  shape_text(a.input_weight.sizes()));
  STD_TORCH_CHECK(steps >= 0, op, ": steps expected at least 0, got ", steps);
  STD_TORCH_CHECK(!a.head_weights.empty() && a.head_weights.size() == a.head_biases.size(), op,
                  ": head_weights and head_biases expected of the same number, at least 1, got ", a.head_weights.size(),
                  " and ", a.head_biases.size());
  for (const torch::stable::Tensor& weight : a.head_weights) check_dim(op, "head_weights", weight, 2, "[O, I]");
  for (const torch::stable::Tensor& weight : a.project_weights)
    check_dim(op, "project_weights", weight, 2, "[H + S, H]");
  if (a.condition) check_dim(op, "condition", *a.condition, 3, "[B, steps, D]");
  // A step is one of the random generator's 32-bit counters.
  STD_TORCH_CHECK(steps < (int64_t{1} << 32), op, ": steps expected below 2^32, got ", steps);
  const bool gated = !a.project_weights.empty();
  WaveNetSizes s = {a.first.size(0),
                    steps,
                    a.first.size(1),
                    0,
                    a.input_weight.size(0),
                    0,
                    a.input_weight.size(2),
                    a.condition ? a.condition->size(2) : 0,
                    gated,
                    dilations,
                    0};
  s.outputs = a.head_weights.back().size(0);
  check_size(op, "input_weight", "H", s.hidden);
  check_size(op, "first", "I", s.inputs);
  check_size(op, "input_weight", "K", s.taps);
  for (const int64_t dilation : dilations) {
    STD_TORCH_CHECK(dilation >= 1 && dilation < (int64_t{1} << 40) / s.taps, op,
                    ": dilations expected from 1 to 2^40 / K, got ", dilation);
    s.state_length += (s.taps - 1) * dilation;
    check_numbers(op, "dilations", "their sum, times K - 1,", {s.state_length});
  }
  check_numbers(op, "first", "B * (steps + sum of (K - 1) * dilation) * (H + I)",
                {s.batch, steps + s.state_length, s.hidden + s.inputs});
  const auto check = [&](const char* name, const torch::stable::Tensor& tensor, const char* meaning,
                         std::initializer_list<int64_t> sizes) {
    check_shape(op, name, tensor, meaning, sizes);
    check_kind(op, name, tensor, "first", a.first);
  };
  const int64_t H = s.hidden, L = s.layers();
  check("input_weight", a.input_weight, "[H, I, K]", {H, s.inputs, s.taps});
  check("input_bias", a.input_bias, "[H]", {H});
  check("input_state", a.input_state, "[B, K - 1, I]", {s.batch, s.taps - 1, s.inputs});
  check("states", a.states, "[B, sum of (K - 1) * dilation, H]", {s.batch, s.state_length, H});
  STD_TORCH_CHECK(s.outputs == s.inputs, op, ": head_weights expected as many outputs as inputs, ", s.inputs, ", got ",
                  s.outputs, ", since outputs are fed back");
  check_list(op, "conv_weights", a.conv_weights, L, "[2 * H with the gate, else H; H; K]",
             {s.pre_channels(), H, s.taps}, a.first);
  check_list(op, "conv_biases", a.conv_biases, L, "[2 * H with the gate, else H]", {s.pre_channels()}, a.first);
  STD_TORCH_CHECK(gated || a.project_biases.empty(), op, ": project_biases expected none without project_weights, got ",
                  a.project_biases.size());
  if (gated) {
    STD_TORCH_CHECK(static_cast<int64_t>(a.project_weights.size()) == L, op, ": project_weights expected ", L,
                    " tensors, got ", a.project_weights.size());
    s.skip = a.project_weights.back().size(0);
    check_size(op, "project_weights", "S", s.skip);
    const TensorList others(a.project_weights.begin(), a.project_weights.end() - 1);
    check_list(op, "project_weights", others, L - 1, "[H + S, H]", {H + s.skip, H}, a.first);
    check("the last of project_weights", a.project_weights.back(), "[S, H]", {s.skip, H});
    STD_TORCH_CHECK(static_cast<int64_t>(a.project_biases.size()) == L, op, ": project_biases expected ", L,
                    " tensors, got ", a.project_biases.size());
    for (int64_t l = 0; l < L; ++l)
      check("project_biases", a.project_biases[l], "[rows of project_weights]", {a.project_weights[l].size(0)});
  }
  STD_TORCH_CHECK(a.condition || a.condition_weights.empty(), op,
                  ": condition_weights expected none without condition, got ", a.condition_weights.size());
  if (a.condition) {
    STD_TORCH_CHECK(s.condition >= 1, op, ": condition expected [B, steps, D] with D at least 1, got ",
                    shape_text(a.condition->sizes()));
    check_size(op, "condition", "D", s.condition);
    check("condition", *a.condition, "[B, steps, D]", {s.batch, steps, s.condition});
    check_list(op, "condition_weights", a.condition_weights, L, "[2 * H with the gate, else H; D]",
               {s.pre_channels(), s.condition}, a.first);
  }
  if (a.static_terms)
    check("static_terms", *a.static_terms, "[B, L, 2 * H with the gate, else H]", {s.batch, L, s.pre_channels()});
  int64_t depth = s.head_depth();
  for (std::size_t i = 0; i < a.head_weights.size(); ++i) {
    const int64_t rows = a.head_weights[i].size(0);
    check("head_weights", a.head_weights[i], "[O, outputs of the layer before]", {rows, depth});
    check("head_biases", a.head_biases[i], "[O]", {rows});
    depth = rows;
  }
  if (a.seed) {
    check_integers(op, "seed", *a.seed, "[1]", {1}, "first", a.first);
    STD_TORCH_CHECK(temperature > 0 && temperature <= std::numeric_limits<double>::max(), op,
                    ": temperature expected positive and finite, got ", temperature);
  }
  return s;
}

}  // namespace seqlight
