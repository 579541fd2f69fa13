// The arguments of the LSTM operators and their checks, shared by every device.
#pragma once

#include <optional>

#include "checks.h"

namespace seqlight {

struct LstmSizes {
  int64_t batch, time, input_size, hidden_size;
};

inline LstmSizes check_lstm(const torch::stable::Tensor& x, const torch::stable::Tensor& h0,
                            const torch::stable::Tensor& c0, const torch::stable::Tensor& weight_ih,
                            const torch::stable::Tensor& weight_hh, const std::optional<torch::stable::Tensor>& bias_ih,
                            const std::optional<torch::stable::Tensor>& bias_hh,
                            const std::optional<torch::stable::Tensor>& weight_peephole,
                            const std::optional<torch::stable::Tensor>& lengths) {
  const char* op = "lstm";
  STD_TORCH_CHECK(x.dim() == 3, op, ": x expected [B, T, I], got ", shape_text(x.sizes()));
  STD_TORCH_CHECK(weight_hh.dim() == 2, op, ": weight_hh expected [4*H, H], got ", shape_text(weight_hh.sizes()));
  const LstmSizes s = {x.size(0), x.size(1), x.size(2), weight_hh.size(1)};
  STD_TORCH_CHECK(s.hidden_size > 0, op, ": weight_hh expected [4*H, H] with H > 0, got ",
                  shape_text(weight_hh.sizes()));
  STD_TORCH_CHECK(s.time > 0, op, ": x expected at least one time step, got ", shape_text(x.sizes()));
  STD_TORCH_CHECK(s.time < (int64_t{1} << 31), op, ": x expected fewer than 2^31 time steps, got ", s.time);
  const int64_t H = s.hidden_size;
  check_shape(op, "weight_hh", weight_hh, "[4*H, H]", {4 * H, H});
  check_shape(op, "weight_ih", weight_ih, "[4*H, I]", {4 * H, s.input_size});
  check_shape(op, "h0", h0, "[B, H]", {s.batch, H});
  check_shape(op, "c0", c0, "[B, H]", {s.batch, H});
  check_kind(op, "h0", h0, "x", x);
  check_kind(op, "c0", c0, "x", x);
  check_kind(op, "weight_ih", weight_ih, "x", x);
  check_kind(op, "weight_hh", weight_hh, "x", x);
  if (bias_ih) {
    check_shape(op, "bias_ih", *bias_ih, "[4*H]", {4 * H});
    check_kind(op, "bias_ih", *bias_ih, "x", x);
  }
  if (bias_hh) {
    check_shape(op, "bias_hh", *bias_hh, "[4*H]", {4 * H});
    check_kind(op, "bias_hh", *bias_hh, "x", x);
  }
  if (weight_peephole) {
    check_shape(op, "weight_peephole", *weight_peephole, "[3, H]", {3, H});
    check_kind(op, "weight_peephole", *weight_peephole, "x", x);
  }
  if (lengths) {
    check_shape(op, "lengths", *lengths, "[B]", {s.batch});
    STD_TORCH_CHECK(lengths->scalar_type() == torch::headeronly::ScalarType::Long, op, ": lengths expected int64, got ",
                    torch::headeronly::toString(lengths->scalar_type()));
  }
  return s;
}

}  // namespace seqlight
