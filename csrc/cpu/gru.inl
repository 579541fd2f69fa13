// The GRU as a cell for recurrent.inl, which comes before it.
#include "../cells/gru.h"

namespace seqlight::cpu {
namespace SEQLIGHT_ISA {

// The layer has no variants.
template <typename T, bool>
struct GruCell {
  typedef Vector<T> V;
  // Weights' row blocks: r, z, n. Sums: r, z, x_n, h_n. Gradients: x_n, r, z, h_n, so that the three that each weight
  // matrix needs lie side by side.
  static constexpr CellLayout kLayout = {/*rows*/ 3,
                                         /*sums*/ 4,
                                         /*saved: r, z, n, h_n, h*/ 5,
                                         /*moments*/ 0,
                                         /*gradients*/ 4,
                                         /*biases*/ 4,
                                         /*extras*/ 0,
                                         /*cell_state*/ false,
                                         {0, 1, 2, 0},
                                         {0, 1, 3, 0},
                                         {1, 2, 0, 0},
                                         {1, 2, 3, 0},
                                         0,
                                         1,
                                         {1, 2, 0, 0},
                                         {1, 2, 3, 0}};
  static constexpr bool kStaged = false;
  static constexpr bool kDirect = true;

  template <typename Number>
  static SEQLIGHT_INLINE Number forward(const Number*, const Number* sums, const Number& h_before, const Number&,
                                        Number* saved) {
    GruGates<Number> gates;
    const Number h = gru_cell<VectorMath<T>>(sums[0], sums[1], sums[2], sums[3], h_before, gates);
    saved[0] = gates.reset;
    saved[1] = gates.update;
    saved[2] = gates.candidate;
    saved[3] = sums[3];
    saved[4] = h;
    return h;
  }

  static SEQLIGHT_INLINE V backward(const V*, const V* saved, const V& h_before, const V& grad_h, V&, V* gradients,
                                    V*) {
    const GruGates<V> gates = {saved[0], saved[1], saved[2]};
    const GruGradients<V> grad = gru_cell_backward<V>(gates, saved[3], h_before, grad_h);
    gradients[0] = grad.input;
    gradients[1] = grad.reset;
    gradients[2] = grad.update;
    gradients[3] = grad.hidden;
    return grad.direct;
  }
};

SEQLIGHT_DEFINE_RECURRENT(gru, GruCell, false)

}  // namespace SEQLIGHT_ISA
}  // namespace seqlight::cpu
