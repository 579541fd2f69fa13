// The simple recurrent cell in stages (recurrent_staged.inl), with recurrent dropout and zoneout.

namespace seqlight::cpu {
namespace SEQLIGHT_ISA {

// The activation, and the gradient for its argument from the gradient for what it gave. Both keep NaN.
template <typename T>
SEQLIGHT_INLINE Vector<T> rnn_activation(bool relu, const Vector<T>& z) {
  return relu ? (z < T(0) ? Vector<T>{} : z) : tanh<T>(z);
}

template <typename T>
SEQLIGHT_INLINE Vector<T> rnn_activation_backward(bool relu, const Vector<T>& activated, const Vector<T>& grad) {
  return relu ? (activated <= T(0) ? Vector<T>{} : grad) : grad * (T(1) - activated * activated);
}

template <typename T>
struct StagedRnn {
  typedef Vector<T> V;
  static constexpr CellLayout kLayout = {/*rows*/ 1,
                                         /*sums*/ 1,
                                         /*saved: the activated sum, h*/ 2,
                                         /*moments*/ 0,
                                         /*gradients*/ 1,
                                         /*biases*/ 1,
                                         /*extras*/ 0,
                                         /*cell_state*/ false,
                                         {0, 0, 0, 0},
                                         {0, 0, 0, 0},
                                         {0, 0, 0, 0},
                                         {0, 0, 0, 0},
                                         0,
                                         0,
                                         {0, 0, 0, 0},
                                         {0, 0, 0, 0}};
  static constexpr bool kStaged = true, kNorm = false, kDirect = true;
  static constexpr int kActivated = 0, kState = 1;

  static void forward_step(const RecurrentForwardArguments<T>& a, const ForwardStep<T>& step,
                           const StagedForward<T>& staged, const UnitPlaces<T>& units) {
    for (int64_t u = units.first; u < units.last; ++u) {
      const int64_t at = u * kLanes<T>;
      V h = rnn_activation<T>(a.relu, load<T>(staged.input_sums + at) + load<T>(staged.hidden_sums + at) + a.bias[u]);
      units.save_value(step, u, kLayout.saved, kActivated, h);
      h = units.zoned(a.zoneout, u, step.time, step.first_row).mix_h(h, load<T>(staged.h + at));
      finish_place(a, step, staged, units, u, h);
      units.save_value(step, u, kLayout.saved, kState, h);
    }
  }

  static void backward_step(const RecurrentBackwardArguments<T>& a, const BackwardStep<T>& step,
                            const UnitPlaces<T>& units) {
    const RecurrentForwardArguments<T>& f = a.forward;
    for (int64_t u = units.first; u < units.last; ++u) {
      const int64_t at = u * kLanes<T>;
      const V carried = load<T>(step.grad_h + at);
      V grad_h = carried + units.grad_output(step, u);
      V direct = units.zoned(f.zoneout, u, step.time, step.first_row).split_h(grad_h);
      V grad = rnn_activation_backward<T>(f.relu, units.saved_value(step, u, kLayout.saved, kActivated), grad_h);
      if (step.active) {
        grad = select<T>(*step.active, grad, V{});
        direct = select<T>(*step.active, direct, carried);
      }
      store<T>(step.held + at, direct);
      units.set_gradient(step, 0, u, grad);
      add_to<T>(step.grad_bias + at, grad);
    }
  }
};

SEQLIGHT_DEFINE_STAGED(rnn, StagedRnn)

}  // namespace SEQLIGHT_ISA
}  // namespace seqlight::cpu
