// The operators of the simple recurrent layer on CUDA. Schemas and checks are those of the CPU; see seqlight/ops/rnn.py
// for the semantics, and recurrent.cuh for how it is done. Not yet run on a GPU.
#include "../cells/rnn.h"
#include "packed_weights.cuh"
#include "recurrent.cuh"

namespace seqlight::cuda {
namespace {

template <typename T>
struct CudaRnn {
  static constexpr int kGates = 1;
  static constexpr int kSaved = 1;     // the activated sum; with layer normalisation the sum itself
  static constexpr int kTogether = 0;  // what is normalised is the sum of both products and biases
  static constexpr bool kCellState = false, kSeparate = false;
  static constexpr int kExtraTerms = 0, kNormTerms = 2;  // gain and bias of the normalised sum

  SEQLIGHT_CELL static T activated(const Layer<T>& layer, T normalized, int64_t u) {
    return rnn_cell<ScalarMath<T>, T>(layer.relu, normalized * layer.norm[u] + layer.norm[layer.hidden + u]);
  }

  __device__ static void forward(const ForwardRow<T>& row, const Threads& threads) {
    const Layer<T>& layer = row.layer;
    const int64_t H = layer.hidden;
    const auto sum = [&](int64_t u) { return row.input_sum(0, u) + row.hidden_sum(0, u); };
    Moments<T> moments = {};
    if (layer.norm) moments = moments_of<T>(threads, H, 1, sum);
    threads.each(H, [&](int64_t u) {
      const T z = sum(u);
      const T h = layer.norm ? activated(layer, moments.normalize(z), u) : rnn_cell<ScalarMath<T>, T>(layer.relu, z);
      row.save(0, u, layer.norm ? z : h);
      row.finish(u, h);
    });
  }

  __device__ static void backward(const BackwardRow<T>& row, const Threads& threads) {
    const Layer<T>& layer = row.layer;
    const int64_t H = layer.hidden;
    Moments<T> moments = {};
    NormGradient<T> norm = {};
    const auto normalized = [&](int64_t u) { return moments.normalize(row.kept(0, u)); };
    // For what is activated, from the gradient for h.
    const auto grad_of = [&](int64_t u, T grad_h) {
      const T h = layer.norm ? activated(layer, normalized(u), u) : row.kept(0, u);
      return rnn_cell_backward<T>(layer.relu, h, grad_h);
    };
    const auto scaled = [&](int64_t u, T grad) { return rounded_product(grad, layer.norm[u]); };
    if (layer.norm) {
      moments = moments_of<T>(threads, H, 1, [&](int64_t u) { return row.kept(0, u); });
      const auto grad = [&](int64_t u) {
        T grad_h = row.grad_h(u);
        row.zoneout(u).h.split(grad_h);
        return scaled(u, grad_of(u, grad_h));
      };
      norm = norm_gradient_of<T>(threads, H, 1, moments, grad, normalized);
    }
    threads.each(H, [&](int64_t u) {
      T grad_h = row.grad_h(u);
      row.carried[u] = row.zoneout(u).h.split(grad_h);
      const T grad = grad_of(u, grad_h);
      row.grad_input_sums[u] = layer.norm ? norm(scaled(u, grad), normalized(u)) : grad;
      if (row.norm_terms) {
        row.norm_terms[u] = grad * normalized(u);
        row.norm_terms[H + u] = grad;
      }
    });
  }
};

RecurrentSizes check_rnn(const char* op, const RecurrentInputs& in) {
  const RecurrentSizes s =
      check_recurrent(op, 1, in.x, in.h0, in.weight_ih, in.weight_hh, in.bias_ih, in.bias_hh, in.options);
  check_layer_norm(op, 2, in.norm, s.hidden_size, in.x);
  return s;
}

std::tuple<Tensor, Tensor, Tensor> rnn_forward(Tensor x, Tensor h0, Tensor weight_ih, Tensor weight_hh,
                                               MaybeTensor bias_ih, MaybeTensor bias_hh, MaybeTensor weight_layer_norm,
                                               MaybeTensor hidden_mask, MaybeTensor zoneout_seed, MaybeTensor lengths,
                                               double zoneout, bool relu, bool reverse, MaybeTensor packed,
                                               bool save_for_backward) {
  const RecurrentOptions options = {hidden_mask, zoneout_seed, lengths, zoneout, 0};
  RecurrentInputs in = {x,       h0,           std::nullopt,      weight_ih, weight_hh, bias_ih,
                        bias_hh, std::nullopt, weight_layer_norm, options,   relu,      reverse};
  const RecurrentSizes s = check_rnn("rnn", in);
  return for_dtype("rnn", "x", x, [&](auto number) {
    using T = decltype(number);
    in = ready("rnn", in);
    if (packed) take_packed("rnn", *packed, s, weight_ih.size(0), 0, in);
    const RecurrentOutputs out = recurrent_forward<T, CudaRnn>(s, in, save_for_backward);
    count_call(Op::rnn_forward, std::is_same_v<T, double>, 1);
    return std::tuple(out.output, out.h_n, out.saved);
  });
}

std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor, Tensor> rnn_backward(
    MaybeTensor grad_output, MaybeTensor grad_h_n, Tensor x, Tensor h0, Tensor weight_ih, Tensor weight_hh,
    MaybeTensor bias_ih, MaybeTensor bias_hh, MaybeTensor weight_layer_norm, Tensor output, Tensor saved,
    bool need_input_grad, bool need_weight_grad, MaybeTensor hidden_mask, MaybeTensor zoneout_seed, MaybeTensor lengths,
    double zoneout, bool relu, bool reverse) {
  const char* op = "rnn_backward";
  const RecurrentOptions options = {hidden_mask, zoneout_seed, lengths, zoneout, 0};
  RecurrentInputs in = {x,       h0,           std::nullopt,      weight_ih, weight_hh, bias_ih,
                        bias_hh, std::nullopt, weight_layer_norm, options,   relu,      reverse};
  const RecurrentSizes s = check_rnn(op, in);
  return for_dtype(op, "x", x, [&](auto number) {
    using T = decltype(number);
    in = ready(op, in);
    const RecurrentGradients grad = recurrent_backward<T, CudaRnn>(
        s, in,
        ready(op, s, in, CudaRnn<T>::kSaved,
              {grad_output, grad_h_n, std::nullopt, output, saved, need_input_grad, need_weight_grad}));
    count_call(Op::rnn_backward, std::is_same_v<T, double>, 1);
    return std::tuple(grad.x, grad.h0, grad.weight_ih, grad.weight_hh, grad.bias_ih, grad.norm);
  });
}

std::tuple<Tensor, Tensor> rnn_step(Tensor x, Tensor h0, Tensor packed, bool relu) {
  const RecurrentSizes s = check_step("rnn_step", x, h0);
  return for_dtype("rnn_step", "x", x, [&](auto number) {
    using T = decltype(number);
    const RecurrentOutputs out = recurrent_step<T, CudaRnn>("rnn_step", s, x, h0, std::nullopt, packed, 0, relu);
    count_call(Op::rnn_forward, std::is_same_v<T, double>, 1);
    return std::tuple(out.output, out.h_n);
  });
}

Tensor rnn_pack(Tensor weight_ih, Tensor weight_hh, MaybeTensor bias_ih, MaybeTensor bias_hh, bool) {
  return pack_weights("rnn_pack", 1, weight_ih, weight_hh, bias_ih, bias_hh, std::nullopt);
}

}  // namespace

#if defined(__CUDACC__)
STABLE_TORCH_LIBRARY_IMPL(seqlight, CUDA, m) {
  m.impl("rnn_forward", TORCH_BOX(&rnn_forward));
  m.impl("rnn_backward", TORCH_BOX(&rnn_backward));
  m.impl("rnn_pack", TORCH_BOX(&rnn_pack));
  m.impl("rnn_step", TORCH_BOX(&rnn_step));
}
#endif

}  // namespace seqlight::cuda
