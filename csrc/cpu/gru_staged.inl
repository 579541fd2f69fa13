// The GRU in stages (recurrent_staged.inl), with layer normalisation if kNorm: input and recurrent products are each
// normalised, over the 2H numbers of the gates r and z together and over the H numbers of n (Ba et al. 2016).

namespace seqlight {
namespace SEQLIGHT_ISA {

template <typename T, bool kNorm>
struct StagedGru {
  typedef Vector<T> V;
  // Without norms, gradients x_n, r, z, h_n as in gru.inl; with them r, z, n of the input, then of the state.
  static constexpr CellLayout kLayout = {
      /*rows*/ 3,
      /*sums*/ 4,
      /*saved: r, z, n, h_n, (input products, recurrent products,) h*/ kNorm ? 11 : 5,
      /*gradients*/ kNorm ? 6 : 4,
      /*extras: gains*/ kNorm ? 6 : 0,
      /*cell_state*/ false,
      {0, 1, 2, 0},
      {0, 1, 3, 0},
      {kNorm ? 0 : 1, kNorm ? 1 : 2, kNorm ? 2 : 0, 0},
      {kNorm ? 3 : 1, kNorm ? 4 : 2, kNorm ? 5 : 3, 0},
      0,
      kNorm ? 3 : 1};
  static constexpr bool kStaged = true, kDirect = true;
  static constexpr int kState = kLayout.saved - 1;

  static void forward_step(const RecurrentForwardArguments<T>& a, const ForwardStep<T>& step,
                           const StagedForward<T>& staged, const StagedUnits& units) {
    const int64_t H = a.hidden_size;
    Moments<T> of_input[2] = {}, of_hidden[2] = {};  // of the gates, of n
    if constexpr (kNorm) {
      of_input[0] = moments_of_vectors<T>(2 * H, staged.input_sums);
      of_input[1] = moments_of_vectors<T>(H, staged.input_sums + 2 * H * kLanes<T>);
      of_hidden[0] = moments_of_vectors<T>(2 * H, staged.hidden_sums);
      of_hidden[1] = moments_of_vectors<T>(H, staged.hidden_sums + 2 * H * kLanes<T>);
    }
    for (int64_t u = units.first; u < units.last; ++u) {
      const int64_t at = u * kLanes<T>;
      V input[3], hidden[3];
#pragma GCC unroll 3
      for (int g = 0; g < 3; ++g) {
        input[g] = load<T>(staged.input_sums + g * H * kLanes<T> + at);
        hidden[g] = load<T>(staged.hidden_sums + g * H * kLanes<T> + at);
        if constexpr (kNorm) {
          save_unit<T>(step, u, kLayout.saved, 4 + g, input[g]);
          save_unit<T>(step, u, kLayout.saved, 7 + g, hidden[g]);
          input[g] = of_input[g / 2].normalize(input[g]) * norm_parameter(a, g, u);
          hidden[g] = of_hidden[g / 2].normalize(hidden[g]) * norm_parameter(a, 3 + g, u);
        }
      }
      const T* const bias = a.bias + 4 * u;
      const V h_n = hidden[2] + bias[3], h_before = load<T>(staged.h + at);
      GruGates<V> gates;
      V h = gru_cell<VectorMath<T>, V>(input[0] + hidden[0] + bias[0], input[1] + hidden[1] + bias[1],
                                       input[2] + bias[2], h_n, h_before, gates);
      h = Zoned<T>(a.zoneout, u, step.time, step.first_row).mix_h(h, h_before);
      h = finish_unit<T>(a, step, staged, u, h);
      save_unit<T>(step, u, kLayout.saved, 0, gates.reset);
      save_unit<T>(step, u, kLayout.saved, 1, gates.update);
      save_unit<T>(step, u, kLayout.saved, 2, gates.candidate);
      save_unit<T>(step, u, kLayout.saved, 3, h_n);
      save_unit<T>(step, u, kLayout.saved, kState, h);
    }
  }

  static void backward_step(const RecurrentBackwardArguments<T>& a, const BackwardStep<T>& step,
                            const StagedBackward<T>&, const StagedUnits& units) {
    const RecurrentForwardArguments<T>& f = a.forward;
    const int64_t H = f.hidden_size;
    for (int64_t u = units.first; u < units.last; ++u) {
      const int64_t at = u * kLanes<T>;
      V saved[4];
#pragma GCC unroll 4
      for (int s = 0; s < 4; ++s) saved[s] = load_first<T>(step.saved + (u * kLayout.saved + s) * step.rows, step.rows);
      const V h_before = load_first<T>(step.before + u * step.before_stride, step.before_rows);
      const V carried = load<T>(step.grad_h + at);
      V grad_h = carried + load<T>(step.grad_output + at);
      V direct = Zoned<T>(f.zoneout, u, step.time, step.first_row).split_h(grad_h);
      const GruGates<V> gates = {saved[0], saved[1], saved[2]};
      const GruGradients<V> grad = gru_cell_backward<V>(gates, saved[3], h_before, grad_h);
      direct += grad.direct;
      V sums[4] = {grad.input, grad.reset, grad.update, grad.hidden};
      if (step.active) {
#pragma GCC unroll 4
        for (int g = 0; g < 4; ++g) sums[g] = select<T>(*step.active, sums[g], V{});
        direct = select<T>(*step.active, direct, carried);
      }
      store<T>(step.held + at, direct);
      const V of_block[6] = {kNorm ? sums[1] : sums[0],
                             kNorm ? sums[2] : sums[1],
                             kNorm ? sums[0] : sums[2],
                             kNorm ? sums[1] : sums[3],
                             sums[2],
                             sums[3]};
#pragma GCC unroll 6
      for (int block = 0; block < kLayout.gradients; ++block) {
        store<T>(step.grad_sums + block * H * kLanes<T> + at, of_block[block]);
        add_to<T>(step.grad_bias + block * H * kLanes<T> + at, of_block[block]);
      }
    }
    if constexpr (kNorm) {
      static constexpr NormSpan spans[] = {{0, 2, 4, 0}, {2, 1, 6, 2}, {3, 2, 7, 3}, {5, 1, 9, 5}};
      normalize_backward<4>(f, step, kLayout.saved, 0, spans, units);
    }
  }
};

SEQLIGHT_DEFINE_STAGED(gru, StagedGru)

}  // namespace SEQLIGHT_ISA
}  // namespace seqlight
