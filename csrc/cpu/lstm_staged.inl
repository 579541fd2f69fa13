// The LSTM in stages (recurrent_staged.inl), with the layer normalisation of Ba et al. 2016 if kNorm: the input product
// and the recurrent product are each normalised over their 4H numbers, and the cell state on its way to h.

namespace seqlight {
namespace SEQLIGHT_ISA {

template <typename T, bool kNorm>
struct StagedLstm {
  typedef Vector<T> V;
  static constexpr int kPeepholes = 3;
  static constexpr int kStateGain = 8, kStateBias = 9;  // rows of the norm's parameters
  static constexpr CellLayout kLayout = {
      /*rows*/ 4,
      /*sums*/ 4,
      /*saved: i, f, g, o, (input products, recurrent products,) c*/ kNorm ? 13 : 5,
      /*gradients: for the input products, for the recurrent ones*/ kNorm ? 8 : 4,
      /*extras: peepholes of i, f, o; gains and biases*/ kPeepholes + (kNorm ? 10 : 0),
      /*cell_state*/ true,
      {0, 1, 2, 3},
      {0, 1, 2, 3},
      {0, 1, 2, 3},
      {kNorm ? 4 : 0, kNorm ? 5 : 1, kNorm ? 6 : 2, kNorm ? 7 : 3},
      0,
      kNorm ? 4 : 0};
  static constexpr bool kStaged = true, kDirect = true;
  static constexpr int kState = kLayout.saved - 1;

  typedef RecurrentForwardArguments<T> Arguments;

  static SEQLIGHT_INLINE LstmPeephole<V> peephole(const Arguments& a, int64_t u) {
    const T* const weights = a.extra + u;
    return {broadcast<T>(weights[0]), broadcast<T>(weights[a.hidden_size]), broadcast<T>(weights[2 * a.hidden_size])};
  }

  static void forward_step(const Arguments& a, const ForwardStep<T>& step, const StagedForward<T>& staged,
                           const StagedUnits& units) {
    if (a.extra)
      forward_units<true>(a, step, staged, units);
    else
      forward_units<false>(a, step, staged, units);
    if constexpr (!kNorm) return;
    units.wait();
    const Moments<T> moments = moments_of_vectors<T>(a.hidden_size, staged.candidate);
    for (int64_t u = units.first; u < units.last; ++u) {
      const int64_t at = u * kLanes<T>;
      const V c = moments.normalize(load<T>(staged.candidate + at)) * norm_parameter(a, kStateGain, u) +
                  norm_parameter(a, kStateBias, u);
      const V h = load<T>(staged.gate + at) * tanh<T>(c);
      const Zoned<T> zoned(a.zoneout, u, step.time, step.first_row);
      finish_unit<T>(a, step, staged, u, zoned.mix_h(h, load<T>(staged.h + at)));
    }
  }

  template <bool kPeephole>
  static void forward_units(const Arguments& a, const ForwardStep<T>& step, const StagedForward<T>& staged,
                            const StagedUnits& units) {
    const int64_t H = a.hidden_size;
    Moments<T> of_input{}, of_hidden{};
    if constexpr (kNorm) {
      of_input = moments_of_vectors<T>(4 * H, staged.input_sums);
      of_hidden = moments_of_vectors<T>(4 * H, staged.hidden_sums);
    }
    for (int64_t u = units.first; u < units.last; ++u) {
      const int64_t at = u * kLanes<T>;
      V sums[4];
#pragma GCC unroll 4
      for (int g = 0; g < 4; ++g) {
        V input = load<T>(staged.input_sums + g * H * kLanes<T> + at);
        V hidden = load<T>(staged.hidden_sums + g * H * kLanes<T> + at);
        if constexpr (kNorm) {
          save_unit<T>(step, u, kLayout.saved, 4 + g, input);
          save_unit<T>(step, u, kLayout.saved, 8 + g, hidden);
          input = of_input.normalize(input) * norm_parameter(a, g, u);
          hidden = of_hidden.normalize(hidden) * norm_parameter(a, 4 + g, u);
        }
        sums[g] = input + hidden + a.bias[4 * u + g];
      }
      LstmGates<V> gates = {sums[0], sums[1], sums[2], sums[3]};
      LstmPeephole<V> weights = {};
      if constexpr (kPeephole) weights = peephole(a, u);
      const V c_before = load<T>(step.c + at);
      const V candidate = lstm_cell_state<kPeephole, VectorMath<T>>(gates, c_before, weights);
      const Zoned<T> zoned(a.zoneout, u, step.time, step.first_row);
      V c = zoned.mix_c(candidate, c_before);
      if (step.active) c = select<T>(*step.active, c, c_before);
      store<T>(step.c + at, c);
      save_unit<T>(step, u, kLayout.saved, 0, gates.input);
      save_unit<T>(step, u, kLayout.saved, 1, gates.forget);
      save_unit<T>(step, u, kLayout.saved, 2, gates.cell);
      save_unit<T>(step, u, kLayout.saved, 3, gates.output);
      save_unit<T>(step, u, kLayout.saved, kState, c);
      if constexpr (kNorm) {
        store<T>(staged.candidate + at, candidate);
        store<T>(staged.gate + at, gates.output);
      } else {
        const V h = gates.output * tanh<T>(candidate);
        finish_unit<T>(a, step, staged, u, zoned.mix_h(h, load<T>(staged.h + at)));
      }
    }
  }

  // A unit's values of one step, read back.
  struct Unit {
    LstmGates<V> gates;
    V c_before, candidate;

    SEQLIGHT_INLINE Unit(const Arguments& f, const BackwardStep<T>& step, int64_t u) {
      V saved[5];
#pragma GCC unroll 5
      for (int s = 0; s < 5; ++s)
        saved[s] = load_first<T>(step.saved + (u * kLayout.saved + (s < 4 ? s : kState)) * step.rows, step.rows);
      gates = {saved[0], saved[1], saved[2], saved[3]};
      c_before = load_first<T>(step.before + u * step.before_stride, step.before_rows);
      // With zoneout the state that was saved is not the one that the cell computed.
      candidate = f.zoneout.on ? gates.forget * c_before + gates.input * gates.cell : saved[4];
    }
  };

  static SEQLIGHT_INLINE V total_grad_h(const BackwardStep<T>& step, int64_t u) {
    return load<T>(step.grad_h + u * kLanes<T>) + load<T>(step.grad_output + u * kLanes<T>);
  }

  static void backward_step(const RecurrentBackwardArguments<T>& a, const BackwardStep<T>& step,
                            const StagedBackward<T>& staged, const StagedUnits& units) {
    const Arguments& f = a.forward;
    const int64_t H = f.hidden_size;
    Moments<T> moments{};
    Vector<T> mean_gradient{}, mean_product{};
    if constexpr (kNorm) {
      for (int64_t u = units.first; u < units.last; ++u)
        store<T>(staged.candidate + u * kLanes<T>, Unit(f, step, u).candidate);
      units.wait();
      moments = moments_of_vectors<T>(H, staged.candidate);
      // The gradients for the normalised cell state.
      for (int64_t u = units.first; u < units.last; ++u) {
        V grad_h = total_grad_h(step, u);
        Zoned<T>(f.zoneout, u, step.time, step.first_row).split_h(grad_h);
        const V o = load_first<T>(step.saved + (u * kLayout.saved + 3) * step.rows, step.rows);
        const V normalized = moments.normalize(load<T>(staged.candidate + u * kLanes<T>));
        const V gain = norm_parameter(f, kStateGain, u);
        const V squashed = tanh<T>(normalized * gain + norm_parameter(f, kStateBias, u));
        V grad = grad_h * o * (1 - squashed * squashed);
        store<T>(staged.gradient + u * kLanes<T>, grad * gain);
        V of_gain = grad * normalized;
        if (step.active) {
          grad = select<T>(*step.active, grad, V{});
          of_gain = select<T>(*step.active, of_gain, V{});
        }
        add_to<T>(step.grad_extra + ((kPeepholes + kStateGain) * H + u) * kLanes<T>, of_gain);
        add_to<T>(step.grad_extra + ((kPeepholes + kStateBias) * H + u) * kLanes<T>, grad);
      }
      units.wait();
      mean_gradient =
          sum_of<T>(H, [&](int64_t u) { return load<T>(staged.gradient + u * kLanes<T>); }) / static_cast<T>(H);
      mean_product = sum_of<T>(H,
                               [&](int64_t u) {
                                 return load<T>(staged.gradient + u * kLanes<T>) *
                                        moments.normalize(load<T>(staged.candidate + u * kLanes<T>));
                               }) /
                     static_cast<T>(H);
    }
    if (f.extra)
      backward_units<true>(a, step, staged, units, moments, mean_gradient, mean_product);
    else
      backward_units<false>(a, step, staged, units, moments, mean_gradient, mean_product);
    if constexpr (kNorm) {
      static constexpr NormSpan spans[] = {{0, 4, 4, 0}, {4, 4, 8, 4}};
      normalize_backward<2>(f, step, kLayout.saved, kPeepholes, spans, units);
    }
  }

  template <bool kPeephole>
  static void backward_units(const RecurrentBackwardArguments<T>& a, const BackwardStep<T>& step,
                             const StagedBackward<T>& staged, const StagedUnits& units, const Moments<T>& moments,
                             const V& mean_gradient, const V& mean_product) {
    const Arguments& f = a.forward;
    const int64_t H = f.hidden_size;
    for (int64_t u = units.first; u < units.last; ++u) {
      const int64_t at = u * kLanes<T>;
      const Unit unit(f, step, u);
      const LstmGates<V>& gates = unit.gates;
      const Zoned<T> zoned(f.zoneout, u, step.time, step.first_row);
      V grad_h = total_grad_h(step, u), grad_c = load<T>(step.grad_c + at);
      V direct = zoned.split_h(grad_h), total = grad_c;
      const V grad_c_direct = zoned.split_c(total);
      V squashed;
      if constexpr (kNorm) {
        const V normalized = moments.normalize(unit.candidate);
        squashed = tanh<T>(normalized * norm_parameter(f, kStateGain, u) + norm_parameter(f, kStateBias, u));
        total +=
            (load<T>(staged.gradient + at) - mean_gradient - normalized * mean_product) * moments.inverse_deviation;
      } else {
        squashed = tanh<T>(unit.candidate);
        total += grad_h * gates.output * (1 - squashed * squashed);
      }
      const V grad_output_gate = grad_h * gates.output * squashed * (1 - gates.output);
      LstmPeephole<V> weights = {};
      if constexpr (kPeephole) weights = peephole(f, u);
      V grad_c_before;
      const LstmGates<V> grad =
          lstm_cell_state_backward<kPeephole>(gates, unit.c_before, weights, grad_output_gate, total, grad_c_before);
      grad_c_before += grad_c_direct;
      V gradients[4] = {grad.input, grad.forget, grad.cell, grad.output};
      V peepholes[3] = {grad.input * unit.c_before, grad.forget * unit.c_before, grad.output * unit.candidate};
      if (step.active) {
#pragma GCC unroll 4
        for (int g = 0; g < 4; ++g) gradients[g] = select<T>(*step.active, gradients[g], V{});
#pragma GCC unroll 4
        for (int e = 0; e < 3; ++e) peepholes[e] = select<T>(*step.active, peepholes[e], V{});
        grad_c_before = select<T>(*step.active, grad_c_before, grad_c);
        direct = select<T>(*step.active, direct, load<T>(step.grad_h + at));
      }
      store<T>(step.grad_c + at, grad_c_before);
      store<T>(step.held + at, direct);
#pragma GCC unroll 8
      for (int block = 0; block < kLayout.gradients; ++block) {
        store<T>(step.grad_sums + block * H * kLanes<T> + at, gradients[block % 4]);
        add_to<T>(step.grad_bias + block * H * kLanes<T> + at, gradients[block % 4]);
      }
      if constexpr (kPeephole)
#pragma GCC unroll 4
        for (int e = 0; e < 3; ++e) add_to<T>(step.grad_extra + e * H * kLanes<T> + at, peepholes[e]);
    }
  }
};

SEQLIGHT_DEFINE_STAGED(lstm, StagedLstm)

}  // namespace SEQLIGHT_ISA
}  // namespace seqlight
