// The arguments of the recurrent operators and their checks, shared by every device.
#pragma once

#include <optional>

#include "checks.h"

namespace seqlight {

struct RecurrentSizes {
  int64_t batch, time, input_size, hidden_size;
};

// What every recurrent operator takes beside states and parameters, none of it differentiable.
struct RecurrentOptions {
  std::optional<torch::stable::Tensor> hidden_mask, zoneout_seed, lengths;
  double zoneout_h = 0, zoneout_c = 0;
};

// What every recurrent operator takes. `gates` is the number of row blocks of the weights, and "[4*H, H]" and the like
// are `hidden_shape`, ..., as they stand in messages.
inline RecurrentSizes check_recurrent(const char* op, int64_t gates, const torch::stable::Tensor& x,
                                      const torch::stable::Tensor& h0, const torch::stable::Tensor& weight_ih,
                                      const torch::stable::Tensor& weight_hh,
                                      const std::optional<torch::stable::Tensor>& bias_ih,
                                      const std::optional<torch::stable::Tensor>& bias_hh,
                                      const RecurrentOptions& options) {
  const std::string rows = gates == 1 ? "H" : std::to_string(gates) + "*H";
  const std::string hidden_shape = "[" + rows + ", H]", input_shape = "[" + rows + ", I]",
                    bias_shape = "[" + rows + "]";
  STD_TORCH_CHECK(x.dim() == 3, op, ": x expected [B, T, I], got ", shape_text(x.sizes()));
  STD_TORCH_CHECK(weight_hh.dim() == 2 && weight_hh.size(1) > 0, op, ": weight_hh expected ", hidden_shape,
                  " with H > 0, got ", shape_text(weight_hh.sizes()));
  const RecurrentSizes s = {x.size(0), x.size(1), x.size(2), weight_hh.size(1)};
  STD_TORCH_CHECK(s.time > 0, op, ": x expected at least one time step, got ", shape_text(x.sizes()));
  STD_TORCH_CHECK(s.time < (int64_t{1} << 31), op, ": x expected fewer than 2^31 time steps, got ", s.time);
  const int64_t H = s.hidden_size;
  check_shape(op, "weight_hh", weight_hh, hidden_shape.c_str(), {gates * H, H});
  check_shape(op, "weight_ih", weight_ih, input_shape.c_str(), {gates * H, s.input_size});
  check_shape(op, "h0", h0, "[B, H]", {s.batch, H});
  check_kind(op, "h0", h0, "x", x);
  check_kind(op, "weight_ih", weight_ih, "x", x);
  check_kind(op, "weight_hh", weight_hh, "x", x);
  if (bias_ih) {
    check_shape(op, "bias_ih", *bias_ih, bias_shape.c_str(), {gates * H});
    check_kind(op, "bias_ih", *bias_ih, "x", x);
  }
  if (bias_hh) {
    check_shape(op, "bias_hh", *bias_hh, bias_shape.c_str(), {gates * H});
    check_kind(op, "bias_hh", *bias_hh, "x", x);
  }
  if (options.hidden_mask) {
    check_shape(op, "hidden_mask", *options.hidden_mask, "[B, H]", {s.batch, H});
    check_kind(op, "hidden_mask", *options.hidden_mask, "x", x);
  }
  for (const double zoneout : {options.zoneout_h, options.zoneout_c})
    STD_TORCH_CHECK(zoneout >= 0 && zoneout < 1, op, ": zoneout expected a probability below 1, got ", zoneout);
  if (const auto& seed = options.zoneout_seed) {
    check_shape(op, "zoneout_seed", *seed, "[1]", {1});
    STD_TORCH_CHECK(seed->scalar_type() == torch::headeronly::ScalarType::Long, op,
                    ": zoneout_seed expected int64, got ", torch::headeronly::toString(seed->scalar_type()));
  }
  if (const auto& lengths = options.lengths) {
    check_shape(op, "lengths", *lengths, "[B]", {s.batch});
    STD_TORCH_CHECK(lengths->scalar_type() == torch::headeronly::ScalarType::Long, op, ": lengths expected int64, got ",
                    torch::headeronly::toString(lengths->scalar_type()));
  }
  return s;
}

inline void check_layer_norm(const char* op, int64_t rows, const std::optional<torch::stable::Tensor>& weight,
                             int64_t hidden_size, const torch::stable::Tensor& x) {
  if (!weight) return;
  std::string expected = std::to_string(rows);
  expected.insert(0, 1, '[').append(", H]");
  check_shape(op, "weight_layer_norm", *weight, expected.c_str(), {rows, hidden_size});
  check_kind(op, "weight_layer_norm", *weight, "x", x);
}

inline RecurrentSizes check_lstm(const torch::stable::Tensor& x, const torch::stable::Tensor& h0,
                                 const torch::stable::Tensor& c0, const torch::stable::Tensor& weight_ih,
                                 const torch::stable::Tensor& weight_hh,
                                 const std::optional<torch::stable::Tensor>& bias_ih,
                                 const std::optional<torch::stable::Tensor>& bias_hh,
                                 const std::optional<torch::stable::Tensor>& weight_peephole,
                                 const std::optional<torch::stable::Tensor>& weight_layer_norm,
                                 const RecurrentOptions& options) {
  const RecurrentSizes s = check_recurrent("lstm", 4, x, h0, weight_ih, weight_hh, bias_ih, bias_hh, options);
  check_shape("lstm", "c0", c0, "[B, H]", {s.batch, s.hidden_size});
  check_kind("lstm", "c0", c0, "x", x);
  if (weight_peephole) {
    check_shape("lstm", "weight_peephole", *weight_peephole, "[3, H]", {3, s.hidden_size});
    check_kind("lstm", "weight_peephole", *weight_peephole, "x", x);
  }
  check_layer_norm("lstm", 10, weight_layer_norm, s.hidden_size, x);
  return s;
}

// A gradient of shape `expected`, if there is one.
inline void check_gradient(const char* op, const char* name, const std::optional<torch::stable::Tensor>& gradient,
                           const char* meaning, std::initializer_list<int64_t> expected,
                           const torch::stable::Tensor& x) {
  if (!gradient) return;
  check_shape(op, name, *gradient, meaning, expected);
  check_kind(op, name, *gradient, "x", x);
}

}  // namespace seqlight
