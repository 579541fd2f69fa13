// The simple recurrent layer, h_t = phi(W_x x_t + W_h h_(t-1) + b), as a cell for recurrent.inl, which comes before it.

namespace seqlight::cpu {
namespace SEQLIGHT_ISA {

template <typename T, bool kRelu>
struct RnnCell {
  typedef Vector<T> V;
  static constexpr CellLayout kLayout = {
      /*rows*/ 1,
      /*sums*/ 1,
      /*saved: h*/ 1,
      /*moments*/ 0,
      /*gradients*/ 1,
      /*biases*/ 1,
      /*extras*/ 0,
      /*cell_state*/ false, {0, 0, 0, 0}, {0, 0, 0, 0}, {0, 0, 0, 0}, {0, 0, 0, 0}, 0, 0,
      {0, 0, 0, 0},         {0, 0, 0, 0}};
  static constexpr bool kStaged = false;
  static constexpr bool kDirect = false;

  template <typename Number>
  static SEQLIGHT_INLINE Number forward(const Number*, const Number* sums, const Number&, const Number&,
                                        Number* saved) {
    if constexpr (kRelu)
      saved[0] = rectified<T>(sums[0]);
    else
      saved[0] = tanh<T>(sums[0]);
    return saved[0];
  }

  static SEQLIGHT_INLINE V backward(const V*, const V* saved, const V&, const V& grad_h, V&, V* gradients, V*) {
    if constexpr (kRelu)
      gradients[0] = saved[0] <= T(0) ? V{} : grad_h;  // NaN passes
    else
      gradients[0] = grad_h * (T(1) - saved[0] * saved[0]);
    return V{};
  }
};

SEQLIGHT_DEFINE_RECURRENT(rnn_tanh, RnnCell, false)
SEQLIGHT_DEFINE_RECURRENT(rnn_relu, RnnCell, true)

}  // namespace SEQLIGHT_ISA
}  // namespace seqlight::cpu
