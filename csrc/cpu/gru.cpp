// The GRU operators on the CPU, in torch.nn.GRU's variant.
#include "../call_counts.h"
#include "recurrent.h"

namespace seqlight::cpu {
namespace {

template <typename T>
RecurrentFamily<T> family() {
  return SEQLIGHT_RECURRENT_FAMILY(T, gru, gru);
}

std::tuple<Tensor, Tensor, Tensor> gru_forward(Tensor x, Tensor h0, Tensor weight_ih, Tensor weight_hh,
                                               MaybeTensor bias_ih, MaybeTensor bias_hh, MaybeTensor weight_layer_norm,
                                               MaybeTensor hidden_mask, MaybeTensor zoneout_seed, MaybeTensor lengths,
                                               double zoneout, bool reverse, MaybeTensor packed,
                                               bool save_for_backward) {
  const RecurrentOptions options = {hidden_mask, zoneout_seed, lengths, zoneout, 0};
  const RecurrentSizes s = check_recurrent("gru", 3, x, h0, weight_ih, weight_hh, bias_ih, bias_hh, options);
  check_layer_norm("gru", 6, weight_layer_norm, s.hidden_size, x);
  RecurrentInputs in = {x,       h0,           std::nullopt,      weight_ih, weight_hh, bias_ih,
                        bias_hh, std::nullopt, weight_layer_norm, options,   false,     reverse};
  in.make_dense();
  check_lengths("gru", in.options.lengths, s.time);
  return for_dtype("gru", "x", x, [&](auto number) {
    using T = decltype(number);
    const RecurrentOutputs out = recurrent_forward<T>("gru", family<T>(), s, in, packed, save_for_backward);
    count_call(Op::gru_forward, std::is_same_v<T, double>, out.threads);
    return std::tuple(out.output, out.h_n, or_empty(out.saved, x));
  });
}

std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor> gru_backward(
    MaybeTensor grad_output, MaybeTensor grad_h_n, Tensor x, Tensor h0, Tensor weight_ih, Tensor weight_hh,
    MaybeTensor bias_ih, MaybeTensor bias_hh, MaybeTensor weight_layer_norm, Tensor output, Tensor saved,
    bool need_input_grad, bool need_weight_grad, MaybeTensor hidden_mask, MaybeTensor zoneout_seed, MaybeTensor lengths,
    double zoneout, bool reverse) {
  const char* op = "gru_backward";
  const RecurrentOptions options = {hidden_mask, zoneout_seed, lengths, zoneout, 0};
  const RecurrentSizes s = check_recurrent(op, 3, x, h0, weight_ih, weight_hh, bias_ih, bias_hh, options);
  check_layer_norm(op, 6, weight_layer_norm, s.hidden_size, x);
  RecurrentInputs in = {x,       h0,           std::nullopt,      weight_ih, weight_hh, bias_ih,
                        bias_hh, std::nullopt, weight_layer_norm, options,   false,     reverse};
  in.make_dense();
  check_lengths(op, in.options.lengths, s.time);
  return for_dtype(op, "x", x, [&](auto number) {
    using T = decltype(number);
    const RecurrentGradients grad =
        recurrent_backward<T>(op, family<T>(), s, in,
                              {grad_output, grad_h_n, std::nullopt, output, saved, need_input_grad, need_weight_grad});
    count_call(Op::gru_backward, std::is_same_v<T, double>, grad.threads);
    const auto wanted = [&](const MaybeTensor& gradient) { return or_empty(gradient, x); };
    return std::tuple(wanted(grad.x), wanted(grad.h0), wanted(grad.weight_ih), wanted(grad.weight_hh),
                      wanted(grad.bias_ih), wanted(grad.bias_hh), wanted(grad.norm));
  });
}

std::tuple<Tensor, Tensor> gru_step(Tensor x, Tensor h0, Tensor packed) {
  const RecurrentSizes s = check_step("gru_step", x, h0);
  return for_dtype("gru_step", "x", x, [&](auto number) {
    using T = decltype(number);
    const RecurrentOutputs out = recurrent_step<T>("gru_step", family<T>(), s, x, h0, std::nullopt, packed, false);
    count_call(Op::gru_forward, std::is_same_v<T, double>, out.threads);
    return std::tuple(out.output, out.h_n);
  });
}

Tensor gru_pack(Tensor weight_ih, Tensor weight_hh, MaybeTensor bias_ih, MaybeTensor bias_hh, bool general) {
  return recurrent_pack("gru_pack", 3, weight_ih, weight_hh, bias_ih, bias_hh, std::nullopt,
                        [&](auto number, auto s, auto& in) { return family<decltype(number)>().pack(s, in, general); });
}

}  // namespace

STABLE_TORCH_LIBRARY_IMPL(seqlight, CPU, m) {
  m.impl("gru_forward", TORCH_BOX(&gru_forward));
  m.impl("gru_backward", TORCH_BOX(&gru_backward));
  m.impl("gru_pack", TORCH_BOX(&gru_pack));
  m.impl("gru_step", TORCH_BOX(&gru_step));
}

}  // namespace seqlight::cpu
