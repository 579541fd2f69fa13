// The LSTM as a cell for recurrent.inl, which comes before it.
#include "../cells/lstm.h"

namespace seqlight::cpu {
namespace SEQLIGHT_ISA {

template <typename T, bool kPeephole>
struct LstmCell {
  typedef Vector<T> V;
  static constexpr CellLayout kLayout = {/*rows*/ 4,
                                         /*sums*/ 4,
                                         /*saved: i, f, g, o, c*/ 5,
                                         /*moments*/ 0,
                                         /*gradients*/ 4,
                                         /*biases*/ 4,
                                         /*extras: peepholes of i, f, o*/ kPeephole ? 3 : 0,
                                         /*cell_state*/ true,
                                         {0, 1, 2, 3},
                                         {0, 1, 2, 3},
                                         {0, 1, 2, 3},
                                         {0, 1, 2, 3},
                                         0,
                                         0,
                                         {0, 1, 2, 3},
                                         {0, 1, 2, 3}};
  static constexpr bool kStaged = false;
  static constexpr bool kDirect = false;

  template <typename Number>
  static SEQLIGHT_INLINE LstmPeephole<Number> peephole(const Number* extra) {
    LstmPeephole<Number> weights = {};
    if constexpr (kPeephole) weights = {extra[0], extra[1], extra[2]};
    return weights;
  }

  template <typename Number>
  static SEQLIGHT_INLINE Number forward(const Number* extra, const Number* sums, const Number&, const Number& c_before,
                                        Number* saved) {
    LstmGates<Number> gates = {sums[0], sums[1], sums[2], sums[3]};
    Number h;
    lstm_cell<kPeephole, VectorMath<T>>(gates, c_before, peephole(extra), saved[4], h);
    saved[0] = gates.input;
    saved[1] = gates.forget;
    saved[2] = gates.cell;
    saved[3] = gates.output;
    return h;
  }

  static SEQLIGHT_INLINE V backward(const V* extra, const V* saved, const V& c_before, const V& grad_h, V& grad_c,
                                    V* gradients, V* extras) {
    const LstmGates<V> gates = {saved[0], saved[1], saved[2], saved[3]};
    const V& c = saved[4];
    const LstmGates<V> grad =
        lstm_cell_backward<kPeephole, VectorMath<T>>(gates, c_before, c, peephole(extra), grad_h, grad_c);
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

SEQLIGHT_DEFINE_RECURRENT(lstm, LstmCell, false)
SEQLIGHT_DEFINE_RECURRENT(lstm_peephole, LstmCell, true)

}  // namespace SEQLIGHT_ISA
}  // namespace seqlight::cpu
