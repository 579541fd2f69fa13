// The LSTM operators on CUDA. Schemas and checks are those of the CPU; see seqlight/ops/lstm.py for the semantics, and
// recurrent.cuh for how it is done. Not yet run on a GPU.
#include "../cells/lstm.h"
#include "packed_weights.cuh"
#include "recurrent.cuh"

namespace seqlight::cuda {
namespace {

template <typename T>
struct CudaLstm {
  static constexpr int kGates = 4;  // i, f, g, o
  static constexpr int kSaved = 5;  // the same, activated, and the cell state
  static constexpr int kTogether = 4;
  static constexpr bool kCellState = true, kSeparate = false;
  static constexpr int kExtraTerms = 3;  // peepholes of i, f, o
  static constexpr int kNormTerms = 2;   // gain and bias of the normalised cell state
  static constexpr int kStateGain = 8, kStateBias = 9;

  SEQLIGHT_CELL static LstmPeephole<T> peephole(const Layer<T>& layer, int64_t u) {
    return {layer.extra[u], layer.extra[layer.hidden + u], layer.extra[2 * layer.hidden + u]};
  }

  // What of the cell state is shown to the hidden state, before tanh.
  SEQLIGHT_CELL static T shown(const Layer<T>& layer, T normalized, int64_t u) {
    return normalized * layer.norm[kStateGain * layer.hidden + u] + layer.norm[kStateBias * layer.hidden + u];
  }

  __device__ static void forward(const ForwardRow<T>& row, const Threads& threads) {
    const Layer<T>& layer = row.layer;
    const int64_t H = layer.hidden;
    T *const candidates = row.from_hidden, *const output_gates = row.from_hidden + H;  // kept between the stages
    threads.each(H, [&](int64_t u) {
      const auto sum = [&](int gate) { return row.input_sum(gate, u) + row.hidden_sum(gate, u); };
      LstmGates<T> gates = {sum(0), sum(1), sum(2), sum(3)};
      const T c_before = row.c[u];
      const T candidate = layer.extra ? lstm_cell_state<true, ScalarMath<T>>(gates, c_before, peephole(layer, u))
                                      : lstm_cell_state<false, ScalarMath<T>>(gates, c_before, {});
      row.c[u] = row.zoneout(u).c.mix(candidate, c_before);
      row.save(0, u, gates.input);
      row.save(1, u, gates.forget);
      row.save(2, u, gates.cell);
      row.save(3, u, gates.output);
      row.save(4, u, row.c[u]);
      if (layer.norm) {
        candidates[u] = candidate;
        output_gates[u] = gates.output;
      } else {
        row.finish(u, gates.output * ScalarMath<T>::tanh(candidate));
      }
    });
    if (layer.norm == nullptr) return;
    const Moments<T> moments = moments_of<T>(threads, H, 1, [&](int64_t u) { return candidates[u]; });
    threads.each(H, [&](int64_t u) {
      row.finish(u, output_gates[u] * ScalarMath<T>::tanh(shown(layer, moments.normalize(candidates[u]), u)));
    });
  }

  // A unit's values of one step, read back.
  struct Unit {
    LstmGates<T> gates;
    T c_before, candidate;

    SEQLIGHT_CELL Unit(const BackwardRow<T>& row, int64_t u)
        : gates{row.kept(0, u), row.kept(1, u), row.kept(2, u), row.kept(3, u)} {
      const Layer<T>& layer = row.layer;
      c_before = row.saved_before ? row.saved_before[4 * layer.hidden + u] : layer.c0[row.row * layer.hidden + u];
      // With zoneout the state that was saved is not the one that the cell computed.
      candidate = layer.zoneout.on ? gates.forget * c_before + gates.input * gates.cell : row.kept(4, u);
    }
  };

  __device__ static void backward(const BackwardRow<T>& row, const Threads& threads) {
    const Layer<T>& layer = row.layer;
    const int64_t H = layer.hidden;
    Moments<T> moments = {};
    NormGradient<T> norm = {};
    // The gradient for what is shown of the cell state, from that for h.
    const auto grad_shown = [&](T grad_h, T output_gate, T squashed) {
      return grad_h * output_gate * (1 - squashed * squashed);
    };
    const auto scaled = [&](T grad, int64_t u) { return rounded_product(grad, layer.norm[kStateGain * H + u]); };
    if (layer.norm) {
      moments = moments_of<T>(threads, H, 1, [&](int64_t u) { return Unit(row, u).candidate; });
      const auto normalized = [&](int64_t u) { return moments.normalize(Unit(row, u).candidate); };
      const auto grad = [&](int64_t u) {
        T grad_h = row.grad_h(u);
        row.zoneout(u).h.split(grad_h);
        const T squashed = ScalarMath<T>::tanh(shown(layer, normalized(u), u));
        return scaled(grad_shown(grad_h, row.kept(3, u), squashed), u);
      };
      norm = norm_gradient_of<T>(threads, H, 1, moments, grad, normalized);
    }
    threads.each(H, [&](int64_t u) {
      const Unit unit(row, u);
      const LstmGates<T>& gates = unit.gates;
      const UnitZoneout<T> zoneout = row.zoneout(u);
      T grad_h = row.grad_h(u), total = row.grad_c[u];
      row.carried[u] = zoneout.h.split(grad_h);
      const T grad_c_direct = zoneout.c.split(total);
      const T normalized = layer.norm ? moments.normalize(unit.candidate) : T(0);
      const T squashed = ScalarMath<T>::tanh(layer.norm ? shown(layer, normalized, u) : unit.candidate);
      const T grad_state = grad_shown(grad_h, gates.output, squashed);
      total += layer.norm ? norm(scaled(grad_state, u), normalized) : grad_state;
      T grad_c;
      const T grad_output_gate = grad_h * gates.output * squashed * (1 - gates.output);
      const LstmGates<T> grad =
          layer.extra ? lstm_cell_state_backward<true, T>(gates, unit.c_before, peephole(layer, u), grad_output_gate,
                                                          total, grad_c)
                      : lstm_cell_state_backward<false, T>(gates, unit.c_before, {}, grad_output_gate, total, grad_c);
      row.grad_c[u] = grad_c + grad_c_direct;
      row.grad_input_sums[u] = grad.input;
      row.grad_input_sums[H + u] = grad.forget;
      row.grad_input_sums[2 * H + u] = grad.cell;
      row.grad_input_sums[3 * H + u] = grad.output;
      if (row.extra_terms) {
        row.extra_terms[u] = grad.input * unit.c_before;
        row.extra_terms[H + u] = grad.forget * unit.c_before;
        row.extra_terms[2 * H + u] = grad.output * unit.candidate;
      }
      if (row.norm_terms) {
        row.norm_terms[u] = grad_state * normalized;
        row.norm_terms[H + u] = grad_state;
      }
    });
  }
};

std::tuple<Tensor, Tensor, Tensor, Tensor> lstm_forward(Tensor x, Tensor h0, Tensor c0, Tensor weight_ih,
                                                        Tensor weight_hh, MaybeTensor bias_ih, MaybeTensor bias_hh,
                                                        MaybeTensor weight_peephole, MaybeTensor weight_layer_norm,
                                                        MaybeTensor hidden_mask, MaybeTensor zoneout_seed,
                                                        MaybeTensor lengths, double zoneout_h, double zoneout_c,
                                                        bool reverse, MaybeTensor packed, bool save_for_backward) {
  const RecurrentOptions options = {hidden_mask, zoneout_seed, lengths, zoneout_h, zoneout_c};
  const RecurrentSizes s =
      check_lstm(x, h0, c0, weight_ih, weight_hh, bias_ih, bias_hh, weight_peephole, weight_layer_norm, options);
  return for_dtype("lstm", "x", x, [&](auto number) {
    using T = decltype(number);
    RecurrentInputs in = ready("lstm", {x, h0, c0, weight_ih, weight_hh, bias_ih, bias_hh, weight_peephole,
                                        weight_layer_norm, options, false, reverse});
    if (packed) take_packed("lstm", *packed, s, weight_ih.size(0), in.extra ? 3 : 0, in);
    const RecurrentOutputs out = recurrent_forward<T, CudaLstm>(s, in, save_for_backward);
    count_call(Op::lstm_forward, std::is_same_v<T, double>, 1);
    return std::tuple(out.output, out.h_n, *out.c_n, out.saved);
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
  return for_dtype(op, "x", x, [&](auto number) {
    using T = decltype(number);
    const RecurrentInputs in = ready(op, {x, h0, c0, weight_ih, weight_hh, bias_ih, bias_hh, weight_peephole,
                                          weight_layer_norm, options, false, reverse});
    const RecurrentGradients grad = recurrent_backward<T, CudaLstm>(
        s, in,
        ready(op, s, in, CudaLstm<T>::kSaved,
              {grad_output, grad_h_n, grad_c_n, output, saved, need_input_grad, need_weight_grad}));
    count_call(Op::lstm_backward, std::is_same_v<T, double>, 1);
    return std::tuple(grad.x, grad.h0, *grad.c0, grad.weight_ih, grad.weight_hh, grad.bias_ih, grad.extra, grad.norm);
  });
}

std::tuple<Tensor, Tensor, Tensor> lstm_step(Tensor x, Tensor h0, Tensor c0, Tensor packed) {
  const RecurrentSizes s = check_step("lstm_step", x, h0);
  check_state("lstm_step", "c0", c0, h0, x, s);
  return for_dtype("lstm_step", "x", x, [&](auto number) {
    using T = decltype(number);
    const bool peephole = packed.numel() != 4 * s.hidden_size * (s.input_size + s.hidden_size + 2);
    const RecurrentOutputs out =
        recurrent_step<T, CudaLstm>("lstm_step", s, x, h0, c0, packed, peephole ? 3 : 0, false);
    count_call(Op::lstm_forward, std::is_same_v<T, double>, 1);
    return std::tuple(out.output, out.h_n, *out.c_n);
  });
}

Tensor lstm_pack(Tensor weight_ih, Tensor weight_hh, MaybeTensor bias_ih, MaybeTensor bias_hh,
                 MaybeTensor weight_peephole, bool) {
  return pack_weights("lstm_pack", 4, weight_ih, weight_hh, bias_ih, bias_hh, weight_peephole);
}

}  // namespace

#if defined(__CUDACC__)
STABLE_TORCH_LIBRARY_IMPL(seqlight, CUDA, m) {
  m.impl("lstm_forward", TORCH_BOX(&lstm_forward));
  m.impl("lstm_backward", TORCH_BOX(&lstm_backward));
  m.impl("lstm_pack", TORCH_BOX(&lstm_pack));
  m.impl("lstm_step", TORCH_BOX(&lstm_step));
}
#endif

}  // namespace seqlight::cuda
