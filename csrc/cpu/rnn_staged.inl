// The simple recurrent cell in stages (recurrent_staged.inl), with layer normalisation if kNorm: over the H sums of
// both products and biases, before the activation.

namespace seqlight {
namespace SEQLIGHT_ISA {

template <typename T, bool kNorm>
struct StagedRnn {
  typedef Vector<T> V;
  static constexpr int kGain = 0, kBias = 1;  // rows of the norm's parameters
  static constexpr CellLayout kLayout = {/*rows*/ 1,
                                         /*sums*/ 1,
                                         /*saved: the activated sum, (the sum,) h*/ kNorm ? 3 : 2,
                                         /*gradients*/ 1,
                                         /*extras: gain, bias*/ kNorm ? 2 : 0,
                                         /*cell_state*/ false,
                                         {0, 0, 0, 0},
                                         {0, 0, 0, 0},
                                         {0, 0, 0, 0},
                                         {0, 0, 0, 0},
                                         0,
                                         0};
  static constexpr bool kStaged = true, kDirect = true;
  static constexpr int kState = kLayout.saved - 1;

  static void forward_step(const RecurrentForwardArguments<T>& a, const ForwardStep<T>& step,
                           const StagedForward<T>& staged, const StagedUnits& units) {
    const int64_t H = a.hidden_size;
    const auto sum = [&](int64_t u) {
      return load<T>(staged.input_sums + u * kLanes<T>) + load<T>(staged.hidden_sums + u * kLanes<T>) + a.bias[u];
    };
    Moments<T> moments{};
    if constexpr (kNorm) moments = moments_of<T>(H, sum);
    for (int64_t u = units.first; u < units.last; ++u) {
      V z = sum(u);
      if constexpr (kNorm) {
        save_unit<T>(step, u, kLayout.saved, 1, z);
        z = moments.normalize(z) * norm_parameter(a, kGain, u) + norm_parameter(a, kBias, u);
      }
      V h = a.relu ? (z < T(0) ? V{} : z) : tanh<T>(z);  // keeps NaN
      save_unit<T>(step, u, kLayout.saved, 0, h);
      h = Zoned<T>(a.zoneout, u, step.time, step.first_row).mix_h(h, load<T>(staged.h + u * kLanes<T>));
      h = finish_unit<T>(a, step, staged, u, h);
      save_unit<T>(step, u, kLayout.saved, kState, h);
    }
  }

  static void backward_step(const RecurrentBackwardArguments<T>& a, const BackwardStep<T>& step,
                            const StagedBackward<T>&, const StagedUnits& units) {
    const RecurrentForwardArguments<T>& f = a.forward;
    const int64_t H = f.hidden_size;
    for (int64_t u = units.first; u < units.last; ++u) {
      const int64_t at = u * kLanes<T>;
      const V activated = load_first<T>(step.saved + u * kLayout.saved * step.rows, step.rows);
      const V carried = load<T>(step.grad_h + at);
      V grad_h = carried + load<T>(step.grad_output + at);
      V direct = Zoned<T>(f.zoneout, u, step.time, step.first_row).split_h(grad_h);
      V grad = f.relu ? (activated <= T(0) ? V{} : grad_h) : grad_h * (T(1) - activated * activated);  // NaN passes
      if (step.active) {
        grad = select<T>(*step.active, grad, V{});
        direct = select<T>(*step.active, direct, carried);
      }
      store<T>(step.held + at, direct);
      store<T>(step.grad_sums + at, grad);
      if constexpr (kNorm) add_to<T>(step.grad_extra + kBias * H * kLanes<T> + at, grad);
    }
    if constexpr (kNorm) {
      static constexpr NormSpan spans[] = {{0, 1, 1, 0}};
      normalize_backward<1>(f, step, kLayout.saved, 0, spans, units);
    }
    for (int64_t u = units.first; u < units.last; ++u)  // the biases stand inside the norm
      add_to<T>(step.grad_bias + u * kLanes<T>, load<T>(step.grad_sums + u * kLanes<T>));
  }
};

SEQLIGHT_DEFINE_STAGED(rnn, StagedRnn)

}  // namespace SEQLIGHT_ISA
}  // namespace seqlight
