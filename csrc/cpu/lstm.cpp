// The LSTM operators on the CPU.
#include "../call_counts.h"
#include "recurrent.h"

namespace seqlight::cpu {
namespace {

template <typename T>
RecurrentFamily<T> family(bool peephole) {
  if (peephole) return SEQLIGHT_RECURRENT_FAMILY(T, lstm_peephole, lstm);
  return SEQLIGHT_RECURRENT_FAMILY(T, lstm, lstm);
}

std::tuple<Tensor, Tensor, Tensor, Tensor> lstm_forward(Tensor x, Tensor h0, Tensor c0, Tensor weight_ih,
                                                        Tensor weight_hh, MaybeTensor bias_ih, MaybeTensor bias_hh,
                                                        MaybeTensor weight_peephole, MaybeTensor weight_layer_norm,
                                                        MaybeTensor hidden_mask, MaybeTensor zoneout_seed,
                                                        MaybeTensor lengths, double zoneout_h, double zoneout_c,
                                                        bool reverse, MaybeTensor packed, bool save_for_backward) {
  const RecurrentOptions options = {hidden_mask, zoneout_seed, lengths, zoneout_h, zoneout_c};
  const RecurrentSizes s =
      check_lstm(x, h0, c0, weight_ih, weight_hh, bias_ih, bias_hh, weight_peephole, weight_layer_norm, options);
  RecurrentInputs in = {
      x, h0, c0, weight_ih, weight_hh, bias_ih, bias_hh, weight_peephole, weight_layer_norm, options, false, reverse};
  in.make_dense();
  check_lengths("lstm", in.options.lengths, s.time);
  return for_dtype("lstm", "x", x, [&](auto number) {
    using T = decltype(number);
    const RecurrentOutputs out =
        recurrent_forward<T>("lstm", family<T>(in.extra.has_value()), s, in, packed, save_for_backward);
    count_call(Op::lstm_forward, std::is_same_v<T, double>, out.threads);
    return std::tuple(out.output, out.h_n, *out.c_n, or_empty(out.saved, x));
  });
}

std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor> lstm_backward(
    MaybeTensor grad_output, MaybeTensor grad_h_n, MaybeTensor grad_c_n, Tensor x, Tensor h0, Tensor c0,
    Tensor weight_ih, Tensor weight_hh, MaybeTensor bias_ih, MaybeTensor bias_hh, MaybeTensor weight_peephole,
    MaybeTensor weight_layer_norm, Tensor output, Tensor saved, bool need_input_grad, bool need_weight_grad,
    MaybeTensor hidden_mask, MaybeTensor zoneout_seed, MaybeTensor lengths, double zoneout_h, double zoneout_c,
    bool reverse) {
  const char* op = "lstm_backward";
  const RecurrentOptions options = {hidden_mask, zoneout_seed, lengths, zoneout_h, zoneout_c};
  const RecurrentSizes s =
      check_lstm(x, h0, c0, weight_ih, weight_hh, bias_ih, bias_hh, weight_peephole, weight_layer_norm, options);
  RecurrentInputs in = {
      x, h0, c0, weight_ih, weight_hh, bias_ih, bias_hh, weight_peephole, weight_layer_norm, options, false, reverse};
  in.make_dense();
  check_lengths(op, in.options.lengths, s.time);
  return for_dtype(op, "x", x, [&](auto number) {
    using T = decltype(number);
    const RecurrentGradients grad =
        recurrent_backward<T>(op, family<T>(in.extra.has_value()), s, in,
                              {grad_output, grad_h_n, grad_c_n, output, saved, need_input_grad, need_weight_grad});
    count_call(Op::lstm_backward, std::is_same_v<T, double>, grad.threads);
    const auto wanted = [&](const MaybeTensor& gradient) { return or_empty(gradient, x); };
    return std::tuple(wanted(grad.x), wanted(grad.h0), wanted(grad.c0), wanted(grad.weight_ih), wanted(grad.weight_hh),
                      wanted(grad.bias_ih), wanted(grad.extra), wanted(grad.norm));
  });
}

std::tuple<Tensor, Tensor, Tensor> lstm_step(Tensor x, Tensor h0, Tensor c0, Tensor packed) {
  const RecurrentSizes s = check_step("lstm_step", x, h0);
  check_state("lstm_step", "c0", c0, h0, x, s);
  return for_dtype("lstm_step", "x", x, [&](auto number) {
    using T = decltype(number);
    const bool peephole = !family<T>(false).packed_here(s, packed);
    const RecurrentOutputs out = recurrent_step<T>("lstm_step", family<T>(peephole), s, x, h0, c0, packed, false);
    count_call(Op::lstm_forward, std::is_same_v<T, double>, out.threads);
    return std::tuple(out.output, out.h_n, *out.c_n);
  });
}

Tensor lstm_pack(Tensor weight_ih, Tensor weight_hh, MaybeTensor bias_ih, MaybeTensor bias_hh,
                 MaybeTensor weight_peephole, bool general) {
  return recurrent_pack("lstm_pack", 4, weight_ih, weight_hh, bias_ih, bias_hh, weight_peephole,
                        [&](auto number, auto s, auto& in) {
                          return family<decltype(number)>(weight_peephole.has_value()).pack(s, in, general);
                        });
}

}  // namespace

STABLE_TORCH_LIBRARY_IMPL(seqlight, CPU, m) {
  m.impl("lstm_forward", TORCH_BOX(&lstm_forward));
  m.impl("lstm_backward", TORCH_BOX(&lstm_backward));
  m.impl("lstm_pack", TORCH_BOX(&lstm_pack));
  m.impl("lstm_step", TORCH_BOX(&lstm_step));
}

}  // namespace seqlight::cpu
