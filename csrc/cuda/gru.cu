// The GRU operators on CUDA, in torch.nn.GRU's variant. Schemas and checks are those of the CPU; see
// seqlight/ops/gru.py for the semantics, and recurrent.cuh for how it is done. Not yet run on a GPU.
#include "../cells/gru.h"
#include "packed_weights.cuh"
#include "recurrent.cuh"

namespace seqlight::cuda {
namespace {

template <typename T>
struct CudaGru {
  static constexpr int kGates = 3;  // r, z, n
  static constexpr int kSaved = 4;  // the same, activated, and the recurrent sum of n
  static constexpr int kTogether = 2;
  static constexpr bool kCellState = false, kSeparate = true;
  static constexpr int kExtraTerms = 0, kNormTerms = 0;

  __device__ static void forward(const ForwardRow<T>& row, const Threads& threads) {
    threads.each(row.layer.hidden, [&](int64_t u) {
      const T recurrent = row.hidden_sum(2, u);
      GruGates<T> gates;
      const T h = gru_cell<ScalarMath<T>, T>(row.input_sum(0, u) + row.hidden_sum(0, u),
                                             row.input_sum(1, u) + row.hidden_sum(1, u), row.input_sum(2, u), recurrent,
                                             row.h[u], gates);
      row.save(0, u, gates.reset);
      row.save(1, u, gates.update);
      row.save(2, u, gates.candidate);
      row.save(3, u, recurrent);
      row.finish(u, h);
    });
  }

  __device__ static void backward(const BackwardRow<T>& row, const Threads& threads) {
    const int64_t H = row.layer.hidden;
    threads.each(H, [&](int64_t u) {
      T grad_h = row.grad_h(u);
      const T direct = row.zoneout(u).h.split(grad_h);
      const GruGates<T> gates = {row.kept(0, u), row.kept(1, u), row.kept(2, u)};
      const GruGradients<T> grad = gru_cell_backward<T>(gates, row.kept(3, u), row.h_before(u), grad_h);
      row.carried[u] = direct + grad.direct;
      row.grad_input_sums[u] = row.grad_hidden_sums[u] = grad.reset;
      row.grad_input_sums[H + u] = row.grad_hidden_sums[H + u] = grad.update;
      row.grad_input_sums[2 * H + u] = grad.input;
      row.grad_hidden_sums[2 * H + u] = grad.hidden;
    });
  }
};

RecurrentSizes check_gru(const char* op, const RecurrentInputs& in) {
  const RecurrentSizes s =
      check_recurrent(op, 3, in.x, in.h0, in.weight_ih, in.weight_hh, in.bias_ih, in.bias_hh, in.options);
  check_layer_norm(op, 6, in.norm, s.hidden_size, in.x);
  return s;
}

std::tuple<Tensor, Tensor, Tensor> gru_forward(Tensor x, Tensor h0, Tensor weight_ih, Tensor weight_hh,
                                               MaybeTensor bias_ih, MaybeTensor bias_hh, MaybeTensor weight_layer_norm,
                                               MaybeTensor hidden_mask, MaybeTensor zoneout_seed, MaybeTensor lengths,
                                               double zoneout, bool reverse, MaybeTensor packed,
                                               bool save_for_backward) {
  const RecurrentOptions options = {hidden_mask, zoneout_seed, lengths, zoneout, 0};
  RecurrentInputs in = {x,       h0,           std::nullopt,      weight_ih, weight_hh, bias_ih,
                        bias_hh, std::nullopt, weight_layer_norm, options,   false,     reverse};
  const RecurrentSizes s = check_gru("gru", in);
  return for_dtype("gru", "x", x, [&](auto number) {
    using T = decltype(number);
    in = ready("gru", in);
    if (packed) take_packed("gru", *packed, s, weight_ih.size(0), 0, in);
    const RecurrentOutputs out = recurrent_forward<T, CudaGru>(s, in, save_for_backward);
    count_call(Op::gru_forward, std::is_same_v<T, double>, 1);
    return std::tuple(out.output, out.h_n, out.saved);
  });
}

std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor> gru_backward(
    MaybeTensor grad_output, MaybeTensor grad_h_n, Tensor x, Tensor h0, Tensor weight_ih, Tensor weight_hh,
    MaybeTensor bias_ih, MaybeTensor bias_hh, MaybeTensor weight_layer_norm, Tensor output, Tensor saved,
    bool need_input_grad, bool need_weight_grad, MaybeTensor hidden_mask, MaybeTensor zoneout_seed, MaybeTensor lengths,
    double zoneout, bool reverse) {
  const char* op = "gru_backward";
  const RecurrentOptions options = {hidden_mask, zoneout_seed, lengths, zoneout, 0};
  RecurrentInputs in = {x,       h0,           std::nullopt,      weight_ih, weight_hh, bias_ih,
                        bias_hh, std::nullopt, weight_layer_norm, options,   false,     reverse};
  const RecurrentSizes s = check_gru(op, in);
  return for_dtype(op, "x", x, [&](auto number) {
    using T = decltype(number);
    in = ready(op, in);
    const RecurrentGradients grad = recurrent_backward<T, CudaGru>(
        s, in,
        ready(op, s, in, CudaGru<T>::kSaved,
              {grad_output, grad_h_n, std::nullopt, output, saved, need_input_grad, need_weight_grad}));
    count_call(Op::gru_backward, std::is_same_v<T, double>, 1);
    return std::tuple(grad.x, grad.h0, grad.weight_ih, grad.weight_hh, grad.bias_ih, grad.bias_hh, grad.norm);
  });
}

std::tuple<Tensor, Tensor> gru_step(Tensor x, Tensor h0, Tensor packed) {
  const RecurrentSizes s = check_step("gru_step", x, h0);
  return for_dtype("gru_step", "x", x, [&](auto number) {
    using T = decltype(number);
    const RecurrentOutputs out = recurrent_step<T, CudaGru>("gru_step", s, x, h0, std::nullopt, packed, 0, false);
    count_call(Op::gru_forward, std::is_same_v<T, double>, 1);
    return std::tuple(out.output, out.h_n);
  });
}

Tensor gru_pack(Tensor weight_ih, Tensor weight_hh, MaybeTensor bias_ih, MaybeTensor bias_hh, bool) {
  return pack_weights("gru_pack", 3, weight_ih, weight_hh, bias_ih, bias_hh, std::nullopt);
}

}  // namespace

#if defined(__CUDACC__)
STABLE_TORCH_LIBRARY_IMPL(seqlight, CUDA, m) {
  m.impl("gru_forward", TORCH_BOX(&gru_forward));
  m.impl("gru_backward", TORCH_BOX(&gru_backward));
  m.impl("gru_pack", TORCH_BOX(&gru_pack));
  m.impl("gru_step", TORCH_BOX(&gru_step));
}
#endif

}  // namespace seqlight::cuda
