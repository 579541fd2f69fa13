// The LSTM as a cell for recurrent.inl, which comes before it.
#include "../cells/lstm.h"

namespace seqlight {
namespace SEQLIGHT_ISA {

template <typename T, bool kPeephole>
struct LstmCell {
  typedef Vector<T> V;
  static constexpr CellLayout kLayout = {/*rows*/ 4,
                                         /*sums*/ 4,
                                         /*saved: i, f, g, o, c*/ 5,
                                         /*gradients*/ 4,
                                         /*extras: peepholes of i, f, o*/ kPeephole ? 3 : 0,
                                         /*cell_state*/ true,
                                         {0, 1, 2, 3},
                                         {0, 1, 2, 3},
                                         {0, 1, 2, 3},
                                         {0, 1, 2, 3},
                                         0,
                                         0};
  static constexpr bool kDirect = false;

  static SEQLIGHT_INLINE LstmPeephole<V> peephole(const RecurrentForwardArguments<T>& a, int64_t unit) {
    LstmPeephole<V> weights = {};
    if constexpr (kPeephole) {
      weights.input = broadcast<T>(a.extra[unit]);
      weights.forget = broadcast<T>(a.extra[a.hidden_size + unit]);
      weights.output = broadcast<T>(a.extra[2 * a.hidden_size + unit]);
    }
    return weights;
  }

  static SEQLIGHT_INLINE V forward(const RecurrentForwardArguments<T>& a, int64_t unit, const V* sums, const V&,
                                   const V& c_before, V* saved) {
    LstmGates<V> gates = {sums[0], sums[1], sums[2], sums[3]};
    V h;
    lstm_cell<kPeephole, VectorMath<T>>(gates, c_before, peephole(a, unit), saved[4], h);
    saved[0] = gates.input;
    saved[1] = gates.forget;
    saved[2] = gates.cell;
    saved[3] = gates.output;
    return h;
  }

  static SEQLIGHT_INLINE V backward(const RecurrentForwardArguments<T>& a, int64_t unit, const V* saved,
                                    const V& c_before, const V& grad_h, V& grad_c, V* gradients, V* extras) {
    const LstmGates<V> gates = {saved[0], saved[1], saved[2], saved[3]};
    const V& c = saved[4];
    const LstmGates<V> grad =
        lstm_cell_backward<kPeephole, VectorMath<T>>(gates, c_before, c, peephole(a, unit), grad_h, grad_c);
    gradients[0] = grad.input;
    gradients[1] = grad.forget;
    gradients[2] = grad.cell;
    gradients[3] = grad.output;
    if constexpr (kPeephole) {
      extras[0] = grad.input * c_before;
      extras[1] = grad.forget * c_before;
      extras[2] = grad.output * c;
    }
    return V{};
  }
};

extern const RecurrentKernels<float> lstm_float = kernels_of<LstmCell<float, false>, float>();
#if SEQLIGHT_VECTOR_BYTES == SEQLIGHT_WIDEST_VECTOR_BYTES
extern const RecurrentKernels<double> lstm_double = kernels_of<LstmCell<double, false>, double>();
#endif
extern const RecurrentKernels<float> lstm_peephole_float = kernels_of<LstmCell<float, true>, float>();
#if SEQLIGHT_VECTOR_BYTES == SEQLIGHT_WIDEST_VECTOR_BYTES
extern const RecurrentKernels<double> lstm_peephole_double = kernels_of<LstmCell<double, true>, double>();
#endif

}  // namespace SEQLIGHT_ISA
}  // namespace seqlight
