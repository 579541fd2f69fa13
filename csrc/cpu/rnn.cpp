// The operators of the simple recurrent layer on the CPU.
#include "../call_counts.h"
#include "recurrent.h"

namespace seqlight::cpu {
namespace {

template <typename T>
RecurrentFamily<T> family(bool relu) {
  if (relu) return SEQLIGHT_RECURRENT_FAMILY(T, rnn_relu, rnn);
  return SEQLIGHT_RECURRENT_FAMILY(T, rnn_tanh, rnn);
}

std::tuple<Tensor, Tensor, Tensor> rnn_forward(Tensor x, Tensor h0, Tensor weight_ih, Tensor weight_hh,
                                               MaybeTensor bias_ih, MaybeTensor bias_hh, MaybeTensor weight_layer_norm,
                                               MaybeTensor hidden_mask, MaybeTensor zoneout_seed, MaybeTensor lengths,
                                               double zoneout, bool relu, bool reverse, MaybeTensor packed,
                                               bool save_for_backward) {
  const RecurrentOptions options = {hidden_mask, zoneout_seed, lengths, zoneout, 0};
  const RecurrentSizes s = check_recurrent("rnn", 1, x, h0, weight_ih, weight_hh, bias_ih, bias_hh, options);
  check_layer_norm("rnn", 2, weight_layer_norm, s.hidden_size, x);
  RecurrentInputs in = {x,       h0,           std::nullopt,      weight_ih, weight_hh, bias_ih,
                        bias_hh, std::nullopt, weight_layer_norm, options,   relu,      reverse};
  in.make_dense();
  check_lengths("rnn", in.options.lengths, s.time);
  return for_dtype("rnn", "x", x, [&](auto number) {
    using T = decltype(number);
    const RecurrentOutputs out = recurrent_forward<T>("rnn", family<T>(relu), s, in, packed, save_for_backward);
    count_call(Op::rnn_forward, std::is_same_v<T, double>, out.threads);
    return std::tuple(out.output, out.h_n, or_empty(out.saved, x));
  });
}

std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor, Tensor> rnn_backward(
    MaybeTensor grad_output, MaybeTensor grad_h_n, Tensor x, Tensor h0, Tensor weight_ih, Tensor weight_hh,
    MaybeTensor bias_ih, MaybeTensor bias_hh, MaybeTensor weight_layer_norm, Tensor output, Tensor saved,
    bool need_input_grad, bool need_weight_grad, MaybeTensor hidden_mask, MaybeTensor zoneout_seed, MaybeTensor lengths,
    double zoneout, bool relu, bool reverse) {
  const char* op = "rnn_backward";
  const RecurrentOptions options = {hidden_mask, zoneout_seed, lengths, zoneout, 0};
  const RecurrentSizes s = check_recurrent(op, 1, x, h0, weight_ih, weight_hh, bias_ih, bias_hh, options);
  check_layer_norm(op, 2, weight_layer_norm, s.hidden_size, x);
  RecurrentInputs in = {x,       h0,           std::nullopt,      weight_ih, weight_hh, bias_ih,
                        bias_hh, std::nullopt, weight_layer_norm, options,   relu,      reverse};
  in.make_dense();
  check_lengths(op, in.options.lengths, s.time);
  return for_dtype(op, "x", x, [&](auto number) {
    using T = decltype(number);
    const RecurrentGradients grad =
        recurrent_backward<T>(op, family<T>(relu), s, in,
                              {grad_output, grad_h_n, std::nullopt, output, saved, need_input_grad, need_weight_grad});
    count_call(Op::rnn_backward, std::is_same_v<T, double>, grad.threads);
    const auto wanted = [&](const MaybeTensor& gradient) { return or_empty(gradient, x); };
    return std::tuple(wanted(grad.x), wanted(grad.h0), wanted(grad.weight_ih), wanted(grad.weight_hh),
                      wanted(grad.bias_ih), wanted(grad.norm));
  });
}

std::tuple<Tensor, Tensor> rnn_step(Tensor x, Tensor h0, Tensor packed, bool relu) {
  const RecurrentSizes s = check_step("rnn_step", x, h0);
  return for_dtype("rnn_step", "x", x, [&](auto number) {
    using T = decltype(number);
    const RecurrentOutputs out = recurrent_step<T>("rnn_step", family<T>(relu), s, x, h0, std::nullopt, packed, relu);
    count_call(Op::rnn_forward, std::is_same_v<T, double>, out.threads);
    return std::tuple(out.output, out.h_n);
  });
}

Tensor rnn_pack(Tensor weight_ih, Tensor weight_hh, MaybeTensor bias_ih, MaybeTensor bias_hh, bool general) {
  return recurrent_pack(
      "rnn_pack", 1, weight_ih, weight_hh, bias_ih, bias_hh, std::nullopt,
      [&](auto number, auto s, auto& in) { return family<decltype(number)>(false).pack(s, in, general); });
}

}  // namespace

STABLE_TORCH_LIBRARY_IMPL(seqlight, CPU, m) {
  m.impl("rnn_forward", TORCH_BOX(&rnn_forward));
  m.impl("rnn_backward", TORCH_BOX(&rnn_backward));
  m.impl("rnn_pack", TORCH_BOX(&rnn_pack));
  m.impl("rnn_step", TORCH_BOX(&rnn_step));
}

}  // namespace seqlight::cpu
