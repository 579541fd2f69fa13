// The GRU operators on the CPU, in torch.nn.GRU's variant.
#include "../call_counts.h"
#include "recurrent.h"

namespace seqlight {
namespace {

template <typename T>
const RecurrentKernels<T>& kernels(int64_t batch) {
  return SEQLIGHT_RECURRENT_KERNELS(T, gru, batch);
}

std::tuple<Tensor, Tensor, Tensor> gru_forward(Tensor x, Tensor h0, Tensor weight_ih, Tensor weight_hh,
                                               MaybeTensor bias_ih, MaybeTensor bias_hh, MaybeTensor lengths,
                                               bool reverse, bool save_for_backward) {
  const RecurrentSizes s = check_recurrent("gru", 3, x, h0, weight_ih, weight_hh, bias_ih, bias_hh, lengths);
  RecurrentInputs in = {x, h0, std::nullopt, weight_ih, weight_hh, bias_ih, bias_hh, std::nullopt, lengths, reverse};
  in.make_dense();
  check_lengths("gru", in.lengths, s.time);
  return for_dtype("gru", x, [&](auto number) {
    using T = decltype(number);
    RecurrentOutputs out = recurrent_forward<T>(kernels<T>(s.batch), s, in, save_for_backward);
    count_call(Op::gru_forward, std::is_same_v<T, double>, out.threads);
    return std::tuple(out.output, out.h_n, out.saved);
  });
}

std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor, Tensor> gru_backward(MaybeTensor grad_output, MaybeTensor grad_h_n,
                                                                        Tensor x, Tensor h0, Tensor weight_ih,
                                                                        Tensor weight_hh, MaybeTensor lengths,
                                                                        bool reverse, Tensor output, Tensor saved,
                                                                        bool need_input_grad, bool need_weight_grad) {
  const char* op = "gru_backward";
  const RecurrentSizes s = check_recurrent(op, 3, x, h0, weight_ih, weight_hh, std::nullopt, std::nullopt, lengths);
  const int64_t H = s.hidden_size;
  check_gradient(op, "output", output, "[B, T, H]", {s.batch, s.time, H}, x);
  check_gradient(op, "saved", saved, "[T, B, 5, H]", {s.time, s.batch, 5, H}, x);
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
        recurrent_backward<T>(kernels<T>(s.batch), s, in, grad_output, dense(grad_h_n), std::nullopt, dense(output),
                              dense(saved), need_input_grad, need_weight_grad);
    count_call(Op::gru_backward, std::is_same_v<T, double>, grad.threads);
    const auto wanted = [&](const MaybeTensor& gradient) { return RecurrentGradients::or_empty(gradient, x); };
    return std::tuple(wanted(grad.x), wanted(grad.h0), wanted(grad.weight_ih), wanted(grad.weight_hh),
                      wanted(grad.bias_ih), wanted(grad.bias_hh));
  });
}

}  // namespace

STABLE_TORCH_LIBRARY_IMPL(seqlight, CPU, m) {
  m.impl("gru_forward", TORCH_BOX(&gru_forward));
  m.impl("gru_backward", TORCH_BOX(&gru_backward));
}

}  // namespace seqlight
