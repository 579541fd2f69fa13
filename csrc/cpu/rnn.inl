// The simple recurrent layer, h_t = phi(W_x x_t + W_h h_(t-1) + b), as a cell for recurrent.inl, which comes before it.

namespace seqlight {
namespace SEQLIGHT_ISA {

template <typename T, bool kRelu>
struct RnnCell {
  typedef Vector<T> V;
  static constexpr CellLayout kLayout = {
      /*rows*/ 1,           /*sums*/ 1,   /*saved: h*/ 1, /*gradients*/ 1, /*extras*/ 0,
      /*cell_state*/ false, {0, 0, 0, 0}, {0, 0, 0, 0},   {0, 0, 0, 0},    {0, 0, 0, 0}, 0, 0};
  static constexpr bool kDirect = false;

  static SEQLIGHT_INLINE V forward(const RecurrentForwardArguments<T>&, int64_t, const V* sums, const V&, const V&,
                                   V* saved) {
    if constexpr (kRelu)
      saved[0] = sums[0] < T(0) ? V{} : sums[0];  // keeps NaN
    else
      saved[0] = tanh<T>(sums[0]);
    return saved[0];
  }

  static SEQLIGHT_INLINE V backward(const RecurrentForwardArguments<T>&, int64_t, const V* saved, const V&,
                                    const V& grad_h, V&, V* gradients, V*) {
    if constexpr (kRelu)
      gradients[0] = saved[0] <= T(0) ? V{} : grad_h;  // NaN passes
    else
      gradients[0] = grad_h * (T(1) - saved[0] * saved[0]);
    return V{};
  }
};

extern const RecurrentKernels<float> rnn_tanh_float = kernels_of<RnnCell<float, false>, float>();
#if SEQLIGHT_VECTOR_BYTES == SEQLIGHT_WIDEST_VECTOR_BYTES
extern const RecurrentKernels<double> rnn_tanh_double = kernels_of<RnnCell<double, false>, double>();
#endif
extern const RecurrentKernels<float> rnn_relu_float = kernels_of<RnnCell<float, true>, float>();
#if SEQLIGHT_VECTOR_BYTES == SEQLIGHT_WIDEST_VECTOR_BYTES
extern const RecurrentKernels<double> rnn_relu_double = kernels_of<RnnCell<double, true>, double>();
#endif

}  // namespace SEQLIGHT_ISA
}  // namespace seqlight
