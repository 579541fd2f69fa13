// The GRU in stages (recurrent_staged.inl), with recurrent dropout and zoneout.

namespace seqlight::cpu {
namespace SEQLIGHT_ISA {

template <typename T>
struct StagedGru {
  typedef Vector<T> V;
  static constexpr CellLayout kLayout = GruCell<T, false>::kLayout;  // gradients x_n, r, z, h_n as there
  static constexpr bool kStaged = true, kNorm = false, kDirect = true;
  static constexpr int kState = kLayout.saved - 1;

  static void forward_step(const RecurrentForwardArguments<T>& a, const ForwardStep<T>& step,
                           const StagedForward<T>& staged, const UnitPlaces<T>& units) {
    const int64_t H = a.hidden_size;
    for (int64_t u = units.first; u < units.last; ++u) {
      const int64_t at = u * kLanes<T>;
      V input[3], hidden[3];
#pragma GCC unroll 3
      for (int g = 0; g < 3; ++g) {
        input[g] = load<T>(staged.input_sums + g * H * kLanes<T> + at);
        hidden[g] = load<T>(staged.hidden_sums + g * H * kLanes<T> + at);
      }
      const T* const bias = a.bias + 4 * u;
      const V h_n = hidden[2] + bias[3], h_before = load<T>(staged.h + at);
      GruGates<V> gates;
      V h = gru_cell<VectorMath<T>, V>(input[0] + hidden[0] + bias[0], input[1] + hidden[1] + bias[1],
                                       input[2] + bias[2], h_n, h_before, gates);
      h = units.zoned(a.zoneout, u, step.time, step.first_row).mix_h(h, h_before);
      finish_place(a, step, staged, units, u, h);
      units.save_value(step, u, kLayout.saved, 0, gates.reset);
      units.save_value(step, u, kLayout.saved, 1, gates.update);
      units.save_value(step, u, kLayout.saved, 2, gates.candidate);
      units.save_value(step, u, kLayout.saved, 3, h_n);
      units.save_value(step, u, kLayout.saved, kState, h);
    }
  }

  static void backward_step(const RecurrentBackwardArguments<T>& a, const BackwardStep<T>& step,
                            const UnitPlaces<T>& units) {
    const RecurrentForwardArguments<T>& f = a.forward;
    const int64_t H = f.hidden_size;
    for (int64_t u = units.first; u < units.last; ++u) {
      const int64_t at = u * kLanes<T>;
      V saved[4];
#pragma GCC unroll 4
      for (int s = 0; s < 4; ++s) saved[s] = units.saved_value(step, u, kLayout.saved, s);
      const V carried = load<T>(step.grad_h + at);
      V grad_h = carried + units.grad_output(step, u);
      V direct = units.zoned(f.zoneout, u, step.time, step.first_row).split_h(grad_h);
      const GruGates<V> gates = {saved[0], saved[1], saved[2]};
      const GruGradients<V> grad = gru_cell_backward<V>(gates, saved[3], units.state_before(step, u), grad_h);
      direct += grad.direct;
      V sums[4] = {grad.input, grad.reset, grad.update, grad.hidden};
      if (step.active) {
#pragma GCC unroll 4
        for (int g = 0; g < 4; ++g) sums[g] = select<T>(*step.active, sums[g], V{});
        direct = select<T>(*step.active, direct, carried);
      }
      store<T>(step.held + at, direct);
#pragma GCC unroll 4
      for (int g = 0; g < 4; ++g) {
        units.set_gradient(step, g, u, sums[g]);
        add_to<T>(step.grad_bias + g * H * kLanes<T> + at, sums[g]);
      }
    }
  }
};

SEQLIGHT_DEFINE_STAGED(gru, StagedGru)

}  // namespace SEQLIGHT_ISA
}  // namespace seqlight::cpu
