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

// A sequence is [B, T, width], or [B, width] for a single step; the output has the same form.
inline bool is_single_step(const torch::stable::Tensor& x) { return x.dim() == 2; }

inline void check_output(const char* op, const char* name, const torch::stable::Tensor& tensor,
                         const torch::stable::Tensor& x, const RecurrentSizes& s) {
  if (is_single_step(x))
    check_shape(op, name, tensor, "[B, H]", {s.batch, s.hidden_size});
  else
    check_shape(op, name, tensor, "[B, T, H]", {s.batch, s.time, s.hidden_size});
  check_kind(op, name, tensor, "x", x);
}

// A state is [B, H], or [1, B, H] as a layer hands it on; all states and their gradients have the form of h0.
inline void check_state(const char* op, const char* name, const torch::stable::Tensor& state,
                        const torch::stable::Tensor& h0, const torch::stable::Tensor& x, const RecurrentSizes& s) {
  if (h0.dim() == 3)
    check_shape(op, name, state, "[1, B, H]", {1, s.batch, s.hidden_size});
  else
    check_shape(op, name, state, "[B, H]", {s.batch, s.hidden_size});
  check_kind(op, name, state, "x", x);
}

struct WeightShapes {
  const char *hidden, *input, *bias;
};

// As messages spell them, by the number of row blocks of the weights.
inline const WeightShapes& weight_shapes(int64_t gates) {
  static constexpr WeightShapes one = {"[H, H]", "[H, I]", "[H]"}, three = {"[3*H, H]", "[3*H, I]", "[3*H]"},
                                four = {"[4*H, H]", "[4*H, I]", "[4*H]"};
  return gates == 1 ? one : gates == 3 ? three : four;
}

// Weights and biases, held against `like`.
inline void check_weights(const char* op, int64_t gates, int64_t input_size, const torch::stable::Tensor& weight_ih,
                          const torch::stable::Tensor& weight_hh, const std::optional<torch::stable::Tensor>& bias_ih,
                          const std::optional<torch::stable::Tensor>& bias_hh, const char* like_name,
                          const torch::stable::Tensor& like) {
  const auto& [hidden_shape, input_shape, bias_shape] = weight_shapes(gates);
  STD_TORCH_CHECK(weight_hh.dim() == 2 && weight_hh.size(1) > 0, op, ": weight_hh expected ", hidden_shape,
                  " with H > 0, got ", shape_text(weight_hh.sizes()));
  const int64_t H = weight_hh.size(1);
  check_size(op, "weight_hh", "H", H);
  check_size(op, "weight_ih", "I", input_size);
  check_shape(op, "weight_hh", weight_hh, hidden_shape, {gates * H, H});
  check_shape(op, "weight_ih", weight_ih, input_shape, {gates * H, input_size});
  check_kind(op, "weight_ih", weight_ih, like_name, like);
  check_kind(op, "weight_hh", weight_hh, like_name, like);
  if (bias_ih) {
    check_shape(op, "bias_ih", *bias_ih, bias_shape, {gates * H});
    check_kind(op, "bias_ih", *bias_ih, like_name, like);
  }
  if (bias_hh) {
    check_shape(op, "bias_hh", *bias_hh, bias_shape, {gates * H});
    check_kind(op, "bias_hh", *bias_hh, like_name, like);
  }
}

inline void check_peephole(const char* op, const std::optional<torch::stable::Tensor>& weight, int64_t hidden_size,
                           const char* like_name, const torch::stable::Tensor& like) {
  if (!weight) return;
  check_shape(op, "weight_peephole", *weight, "[3, H]", {3, hidden_size});
  check_kind(op, "weight_peephole", *weight, like_name, like);
}

// What the operators that pack weights take. Gives the sizes of weights, with no rows and steps.
inline RecurrentSizes check_pack(const char* op, int64_t gates, const torch::stable::Tensor& weight_ih,
                                 const torch::stable::Tensor& weight_hh,
                                 const std::optional<torch::stable::Tensor>& bias_ih,
                                 const std::optional<torch::stable::Tensor>& bias_hh,
                                 const std::optional<torch::stable::Tensor>& weight_peephole) {
  check_dim(op, "weight_ih", weight_ih, 2, weight_shapes(gates).input);
  check_weights(op, gates, weight_ih.size(1), weight_ih, weight_hh, bias_ih, bias_hh, "weight_ih", weight_ih);
  check_peephole(op, weight_peephole, weight_hh.size(1), "weight_ih", weight_ih);
  return {0, 1, weight_ih.size(1), weight_hh.size(1)};
}

// What every recurrent operator takes. `gates` is the number of row blocks of the weights.
inline RecurrentSizes check_recurrent(const char* op, int64_t gates, const torch::stable::Tensor& x,
                                      const torch::stable::Tensor& h0, const torch::stable::Tensor& weight_ih,
                                      const torch::stable::Tensor& weight_hh,
                                      const std::optional<torch::stable::Tensor>& bias_ih,
                                      const std::optional<torch::stable::Tensor>& bias_hh,
                                      const RecurrentOptions& options) {
  STD_TORCH_CHECK(x.dim() == 3 || is_single_step(x), op, ": x expected [B, T, I] or [B, I], got ",
                  shape_text(x.sizes()));
  const int64_t input_size = x.size(x.dim() - 1);
  check_weights(op, gates, input_size, weight_ih, weight_hh, bias_ih, bias_hh, "x", x);
  const int64_t H = weight_hh.size(1);
  const RecurrentSizes s = {x.size(0), is_single_step(x) ? 1 : x.size(1), input_size, H};
  STD_TORCH_CHECK(s.time > 0, op, ": x expected at least one time step, got ", shape_text(x.sizes()));
  STD_TORCH_CHECK(s.time < (int64_t{1} << 31), op, ": x expected fewer than 2^31 time steps, got ", s.time);
  check_numbers(op, "x", "B * T * (I + H)", {s.batch, s.time, input_size + H});
  check_state(op, "h0", h0, h0, x, s);
  if (options.hidden_mask) {
    check_shape(op, "hidden_mask", *options.hidden_mask, "[B, H]", {s.batch, H});
    check_kind(op, "hidden_mask", *options.hidden_mask, "x", x);
  }
  for (const double zoneout : {options.zoneout_h, options.zoneout_c})
    STD_TORCH_CHECK(zoneout >= 0 && zoneout < 1, op, ": zoneout expected a probability below 1, got ", zoneout);
  if (options.zoneout_seed) check_integers(op, "zoneout_seed", *options.zoneout_seed, "[1]", {1}, "x", x);
  if (options.lengths) check_integers(op, "lengths", *options.lengths, "[B]", {s.batch}, "x", x);
  return s;
}

// What the operators for one step with packed weights take. The packed weights are checked where they are taken apart.
inline RecurrentSizes check_step(const char* op, const torch::stable::Tensor& x, const torch::stable::Tensor& h0) {
  check_dim(op, "x", x, 2, "[B, I]");
  STD_TORCH_CHECK(h0.dim() == 2 || h0.dim() == 3, op, ": h0 expected [B, H] or [1, B, H], got ",
                  shape_text(h0.sizes()));
  const RecurrentSizes s = {x.size(0), 1, x.size(1), h0.size(h0.dim() - 1)};
  STD_TORCH_CHECK(s.hidden_size > 0, op, ": h0 expected with H > 0, got ", shape_text(h0.sizes()));
  check_size(op, "h0", "H", s.hidden_size);
  check_size(op, "x", "I", s.input_size);
  check_numbers(op, "x", "B * (I + H)", {s.batch, s.input_size + s.hidden_size});
  check_state(op, "h0", h0, h0, x, s);
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
  check_state("lstm", "c0", c0, h0, x, s);
  check_peephole("lstm", weight_peephole, s.hidden_size, "x", x);
  check_layer_norm("lstm", 10, weight_layer_norm, s.hidden_size, x);
  return s;
}

// What backward takes beside the inputs of the forward call: the gradients, if there are any, and the output.
inline void check_backward(const char* op, const std::optional<torch::stable::Tensor>& grad_output,
                           const std::optional<torch::stable::Tensor>& grad_h_n,
                           const std::optional<torch::stable::Tensor>& grad_c_n, const torch::stable::Tensor& output,
                           const torch::stable::Tensor& x, const torch::stable::Tensor& h0, const RecurrentSizes& s) {
  check_output(op, "output", output, x, s);
  if (grad_output) check_output(op, "grad_output", *grad_output, x, s);
  if (grad_h_n) check_state(op, "grad_h_n", *grad_h_n, h0, x, s);
  if (grad_c_n) check_state(op, "grad_c_n", *grad_c_n, h0, x, s);
}

}  // namespace seqlight
