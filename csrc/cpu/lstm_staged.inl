// The LSTM in stages (recurrent_staged.inl), with recurrent dropout and zoneout.

namespace seqlight::cpu {
namespace SEQLIGHT_ISA {

template <typename T>
struct StagedLstm {
  typedef Vector<T> V;
  static constexpr int kPeepholes = 3;
  static constexpr CellLayout kLayout = {/*rows*/ 4,
                                         /*sums*/ 4,
                                         /*saved: i, f, g, o, c*/ 5,
                                         /*moments*/ 0,
                                         /*gradients*/ 4,
                                         /*biases*/ 4,
                                         /*extras: peepholes of i, f, o*/ kPeepholes,
                                         /*cell_state*/ true,
                                         {0, 1, 2, 3},
                                         {0, 1, 2, 3},
                                         {0, 1, 2, 3},
                                         {0, 1, 2, 3},
                                         0,
                                         0,
                                         {0, 1, 2, 3},
                                         {0, 1, 2, 3}};
  static constexpr bool kStaged = true, kNorm = false, kDirect = true;
  static constexpr int kState = kLayout.saved - 1;

  typedef RecurrentForwardArguments<T> Arguments;

  static SEQLIGHT_INLINE LstmPeephole<V> peephole(const Arguments& a, int64_t u) {
    const T* const weights = a.extra + u;
    return {broadcast<T>(weights[0]), broadcast<T>(weights[a.hidden_size]), broadcast<T>(weights[2 * a.hidden_size])};
  }

  static void forward_step(const Arguments& a, const ForwardStep<T>& step, const StagedForward<T>& staged,
                           const UnitPlaces<T>& units) {
    if (a.extra)
      forward_units<true>(a, step, staged, units);
    else
      forward_units<false>(a, step, staged, units);
  }

  template <bool kPeephole>
  static void forward_units(const Arguments& a, const ForwardStep<T>& step, const StagedForward<T>& staged,
                            const UnitPlaces<T>& units) {
    const int64_t H = a.hidden_size;
    for (int64_t u = units.first; u < units.last; ++u) {
      const int64_t at = u * kLanes<T>;
      V sums[4];
#pragma GCC unroll 4
      for (int g = 0; g < 4; ++g)
        sums[g] = load<T>(staged.input_sums + g * H * kLanes<T> + at) +
                  load<T>(staged.hidden_sums + g * H * kLanes<T> + at) + a.bias[4 * u + g];
      LstmGates<V> gates = {sums[0], sums[1], sums[2], sums[3]};
      LstmPeephole<V> weights = {};
      if constexpr (kPeephole) weights = peephole(a, u);
      const V c_before = load<T>(step.c + at);
      const V candidate = lstm_cell_state<kPeephole, VectorMath<T>>(gates, c_before, weights);
      const Zoned<T> zoned = units.zoned(a.zoneout, u, step.time, step.first_row);
      V c = zoned.mix_c(candidate, c_before);
      if (step.active) c = select<T>(*step.active, c, c_before);
      store<T>(step.c + at, c);
      units.save_value(step, u, kLayout.saved, 0, gates.input);
      units.save_value(step, u, kLayout.saved, 1, gates.forget);
      units.save_value(step, u, kLayout.saved, 2, gates.cell);
      units.save_value(step, u, kLayout.saved, 3, gates.output);
      units.save_value(step, u, kLayout.saved, kState, c);
      V h = zoned.mix_h(gates.output * tanh<T>(candidate), load<T>(staged.h + at));
      finish_place(a, step, staged, units, u, h);
    }
  }

  static void backward_step(const RecurrentBackwardArguments<T>& a, const BackwardStep<T>& step,
                            const UnitPlaces<T>& units) {
    if (a.forward.extra)
      backward_units<true>(a.forward, step, units);
    else
      backward_units<false>(a.forward, step, units);
  }

  template <bool kPeephole>
  static void backward_units(const Arguments& f, const BackwardStep<T>& step, const UnitPlaces<T>& units) {
    const int64_t H = f.hidden_size;
    for (int64_t u = units.first; u < units.last; ++u) {
      const int64_t at = u * kLanes<T>;
      V saved[5];
#pragma GCC unroll 5
      for (int s = 0; s < 5; ++s) saved[s] = units.saved_value(step, u, kLayout.saved, s);
      const LstmGates<V> gates = {saved[0], saved[1], saved[2], saved[3]};
      const V c_before = units.state_before(step, u);
      // With zoneout the state that was saved is not the one that the cell computed.
      const V candidate = f.zoneout.on ? gates.forget * c_before + gates.input * gates.cell : saved[kState];
      const Zoned<T> zoned = units.zoned(f.zoneout, u, step.time, step.first_row);
      V grad_h = load<T>(step.grad_h + at) + units.grad_output(step, u), grad_c = load<T>(step.grad_c + at);
      V direct = zoned.split_h(grad_h), total = grad_c;
      const V grad_c_direct = zoned.split_c(total);
      const V squashed = tanh<T>(candidate);
      total += grad_h * gates.output * (1 - squashed * squashed);
      const V grad_output_gate = grad_h * gates.output * squashed * (1 - gates.output);
      LstmPeephole<V> weights = {};
      if constexpr (kPeephole) weights = peephole(f, u);
      V grad_c_before;
      const LstmGates<V> grad =
          lstm_cell_state_backward<kPeephole>(gates, c_before, weights, grad_output_gate, total, grad_c_before);
      grad_c_before += grad_c_direct;
      V gradients[4] = {grad.input, grad.forget, grad.cell, grad.output};
      V peepholes[3] = {grad.input * c_before, grad.forget * c_before, grad.output * candidate};
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
#pragma GCC unroll 4
      for (int g = 0; g < 4; ++g) {
        units.set_gradient(step, g, u, gradients[g]);
        add_to<T>(step.grad_bias + g * H * kLanes<T> + at, gradients[g]);
      }
      if constexpr (kPeephole)
#pragma GCC unroll 4
        for (int e = 0; e < 3; ++e) add_to<T>(step.grad_extra + e * H * kLanes<T> + at, peepholes[e]);
    }
  }
};

SEQLIGHT_DEFINE_STAGED(lstm, StagedLstm)

}  // namespace SEQLIGHT_ISA
}  // namespace seqlight::cpu
