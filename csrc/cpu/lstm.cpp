// The LSTM operators on the CPU.
#include "../call_counts.h"
#include "recurrent.h"

namespace seqlight {
namespace {

template <typename T>
const RecurrentKernels<T>& kernels(bool peephole, int64_t batch) {
  return peephole ? SEQLIGHT_RECURRENT_KERNELS(T, lstm_peephole, batch) : SEQLIGHT_RECURRENT_KERNELS(T, lstm, batch);
}

std::tuple<Tensor, Tensor, Tensor, Tensor> lstm_forward(Tensor x, Tensor h0, Tensor c0, Tensor weight_ih,
                                                        Tensor weight_hh, MaybeTensor bias_ih, MaybeTensor bias_hh,
                                                        MaybeTensor weight_peephole, MaybeTensor lengths, bool reverse,
                                                        bool save_for_backward) {
  const RecurrentSizes s = check_lstm(x, h0, c0, weight_ih, weight_hh, bias_ih, bias_hh, weight_peephole, lengths);
  RecurrentInputs in = {x, h0, c0, weight_ih, weight_hh, bias_ih, bias_hh, weight_peephole, lengths, reverse};
  in.make_dense();
  check_lengths("lstm", in.lengths, s.time);
  return for_dtype("lstm", x, [&](auto number) {
    using T = decltype(number);
    RecurrentOutputs out = recurrent_forward<T>(kernels<T>(in.extra.has_value(), s.batch), s, in, save_for_backward);
    count_call(Op::lstm_forward, std::is_same_v<T, double>, out.threads);
    return std::tuple(out.output, out.h_n, out.c_n, out.saved);
  });
}

std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor> lstm_backward(
    MaybeTensor grad_output, MaybeTensor grad_h_n, MaybeTensor grad_c_n, Tensor x, Tensor h0, Tensor c0,
    Tensor weight_ih, Tensor weight_hh, MaybeTensor weight_peephole, MaybeTensor lengths, bool reverse, Tensor output,
    Tensor saved, bool need_input_grad, bool need_weight_grad) {
  const char* op = "lstm_backward";
  const RecurrentSizes s =
      check_lstm(x, h0, c0, weight_ih, weight_hh, std::nullopt, std::nullopt, weight_peephole, lengths);
  const int64_t H = s.hidden_size;
  check_gradient(op, "output", output, "[B, T, H]", {s.batch, s.time, H}, x);
  check_gradient(op, "saved", saved, "[T, B, 5, H]", {s.time, s.batch, 5, H}, x);
  check_gradient(op, "grad_output", grad_output, "[B, T, H]", {s.batch, s.time, H}, x);
  check_gradient(op, "grad_h_n", grad_h_n, "[B, H]", {s.batch, H}, x);
  check_gradient(op, "grad_c_n", grad_c_n, "[B, H]", {s.batch, H}, x);
  if (grad_output) grad_output = feature_contiguous(*grad_output);
  RecurrentInputs in = {x, h0, c0, weight_ih, weight_hh, std::nullopt, std::nullopt, weight_peephole, lengths, reverse};
  in.make_dense();
  check_lengths(op, in.lengths, s.time);
  return for_dtype(op, x, [&](auto number) {
    using T = decltype(number);
    const RecurrentGradients grad =
        recurrent_backward<T>(kernels<T>(in.extra.has_value(), s.batch), s, in, grad_output, dense(grad_h_n),
                              dense(grad_c_n), dense(output), dense(saved), need_input_grad, need_weight_grad);
    count_call(Op::lstm_backward, std::is_same_v<T, double>, grad.threads);
    const auto wanted = [&](const MaybeTensor& gradient) { return RecurrentGradients::or_empty(gradient, x); };
    return std::tuple(wanted(grad.x), wanted(grad.h0), wanted(grad.c0), wanted(grad.weight_ih), wanted(grad.weight_hh),
                      wanted(grad.bias_ih), wanted(grad.extra));
  });
}

}  // namespace

STABLE_TORCH_LIBRARY_IMPL(seqlight, CPU, m) {
  m.impl("lstm_forward", TORCH_BOX(&lstm_forward));
  m.impl("lstm_backward", TORCH_BOX(&lstm_backward));
}

}  // namespace seqlight
