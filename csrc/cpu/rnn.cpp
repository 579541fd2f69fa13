// The operators of the simple recurrent layer on the CPU.
#include "../call_counts.h"
#include "recurrent.h"

namespace seqlight {
namespace {

template <typename T>
const RecurrentKernels<T>& kernels(bool relu, int64_t batch) {
  return relu ? SEQLIGHT_RECURRENT_KERNELS(T, rnn_relu, batch) : SEQLIGHT_RECURRENT_KERNELS(T, rnn_tanh, batch);
}

std::tuple<Tensor, Tensor, Tensor> rnn_forward(Tensor x, Tensor h0, Tensor weight_ih, Tensor weight_hh,
                                               MaybeTensor bias_ih, MaybeTensor bias_hh, MaybeTensor lengths, bool relu,
                                               bool reverse, bool save_for_backward) {
  const RecurrentSizes s = check_recurrent("rnn", 1, x, h0, weight_ih, weight_hh, bias_ih, bias_hh, lengths);
  RecurrentInputs in = {x, h0, std::nullopt, weight_ih, weight_hh, bias_ih, bias_hh, std::nullopt, lengths, reverse};
  in.make_dense();
  check_lengths("rnn", in.lengths, s.time);
  return for_dtype("rnn", x, [&](auto number) {
    using T = decltype(number);
    RecurrentOutputs out = recurrent_forward<T>(kernels<T>(relu, s.batch), s, in, save_for_backward);
    count_call(Op::rnn_forward, std::is_same_v<T, double>, out.threads);
    return std::tuple(out.output, out.h_n, out.saved);
  });
}

std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor> rnn_backward(MaybeTensor grad_output, MaybeTensor grad_h_n, Tensor x,
                                                                Tensor h0, Tensor weight_ih, Tensor weight_hh,
                                                                MaybeTensor lengths, bool relu, bool reverse,
                                                                Tensor output, Tensor saved, bool need_input_grad,
                                                                bool need_weight_grad) {
  const char* op = "rnn_backward";
  const RecurrentSizes s = check_recurrent(op, 1, x, h0, weight_ih, weight_hh, std::nullopt, std::nullopt, lengths);
  const int64_t H = s.hidden_size;
  check_gradient(op, "output", output, "[B, T, H]", {s.batch, s.time, H}, x);
  check_gradient(op, "saved", saved, "[T, B, 1, H]", {s.time, s.batch, 1, H}, x);
  check_gradient(op, "grad_output", grad_output, "[B, T, H]", {s.batch, s.time, H}, x);
  check_gradient(op, "grad_h_n", grad_h_n, "[B, H]", {s.batch, H}, x);
  if (grad_output) grad_output = feature_contiguous(*grad_output);
  RecurrentInputs in = {x,       h0,     std::nullopt, weight_ih, weight_hh, std::nullopt, std::nullopt, std::nullopt,
                        lengths, reverse};
  in.make_dense();
  check_lengths(op, in.lengths, s.time);
  return for_dtype(op, x, [&](auto number) {
    using T = decltype(number);
    const RecurrentGradients grad =
        recurrent_backward<T>(kernels<T>(relu, s.batch), s, in, grad_output, dense(grad_h_n), std::nullopt,
                              dense(output), dense(saved), need_input_grad, need_weight_grad);
    count_call(Op::rnn_backward, std::is_same_v<T, double>, grad.threads);
    const auto wanted = [&](const MaybeTensor& gradient) { return RecurrentGradients::or_empty(gradient, x); };
    return std::tuple(wanted(grad.x), wanted(grad.h0), wanted(grad.weight_ih), wanted(grad.weight_hh),
                      wanted(grad.bias_ih));
  });
}

}  // namespace

STABLE_TORCH_LIBRARY_IMPL(seqlight, CPU, m) {
  m.impl("rnn_forward", TORCH_BOX(&rnn_forward));
  m.impl("rnn_backward", TORCH_BOX(&rnn_backward));
}

}  // namespace seqlight
