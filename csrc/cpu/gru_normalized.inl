// The GRU with layer normalisation: of each product, the 2H numbers of the gates r and z together and the H numbers of
// n (Ba et al. 2016). Kept for backward are the normalised products, from which it computes the gates again.

namespace seqlight::cpu {
namespace SEQLIGHT_ISA {

template <typename T>
struct NormalizedGru {
  typedef Vector<T> V;
  static constexpr int kInput = 0, kHidden = 3, kState = 6;  // values saved
  static constexpr int kSpans = 4;                           // gates and n of the input products, then of the others
  static constexpr CellLayout kLayout = {/*rows*/ 3,
                                         /*sums*/ 4,
                                         /*saved: normalised input products and recurrent products, h*/ 7,
                                         /*moments: inverse deviations*/ kSpans,
                                         /*gradients: r, z, n of the input, then of the state*/ 6,
                                         /*biases: r, z, n of the input, n of the state*/ 4,
                                         /*extras: gains*/ 6,
                                         /*cell_state*/ false,
                                         {0, 1, 2, 0},
                                         {0, 1, 3, 0},
                                         {0, 1, 2, 0},
                                         {3, 4, 5, 0},
                                         0,
                                         3,
                                         {0, 1, 2, 0},
                                         {0, 1, 3, 0},
                                         /*first_gain, gains*/ 0,
                                         6};
  static constexpr bool kStaged = true, kNorm = true, kDirect = true;

  typedef RecurrentForwardArguments<T> Arguments;

  // The span of a product's row.
  static constexpr int span_of(int row) { return row / 3 * 2 + row % 3 / 2; }

  template <typename Places>
  static SEQLIGHT_INLINE V gain(const Arguments& a, const Places& places, int row, int64_t place) {
    return places.parameter(a.norm + row * a.hidden_size, place);
  }

  // The cell of one place from the six normalised products; `h_n` is the new gate's recurrent sum.
  template <typename Places>
  static SEQLIGHT_INLINE V cell(const Arguments& a, const Places& places, int64_t place, const V (&products)[6],
                                const V& h_before, GruGates<V>& gates, V& h_n) {
    V scaled[6], bias[4];
#pragma GCC unroll 6
    for (int row = 0; row < 6; ++row) scaled[row] = products[row] * gain(a, places, row, place);
#pragma GCC unroll 4
    for (int s = 0; s < 4; ++s) bias[s] = places.bias(a.bias, 4, s, place);
    h_n = scaled[5] + bias[3];
    return gru_cell<VectorMath<T>, V>(scaled[0] + scaled[3] + bias[0], scaled[1] + scaled[4] + bias[1],
                                      scaled[2] + bias[2], h_n, h_before, gates);
  }

  template <typename Places>
  static void forward_step(const Arguments& a, const ForwardStep<T>& step, const StagedForward<T>& staged,
                           const Places& places) {
    const int64_t block = places.all * kLanes<T>;
    NormSpan<T> spans[kSpans] = {{staged.input_sums, 2, {}},
                                 {staged.input_sums + 2 * block, 1, {}},
                                 {staged.hidden_sums, 2, {}},
                                 {staged.hidden_sums + 2 * block, 1, {}}};
    find_moments(places, 0, spans);
    for (int64_t p = places.first; p < places.last; ++p) {
      const int64_t at = p * kLanes<T>;
      V products[6];
#pragma GCC unroll 6
      for (int row = 0; row < 6; ++row) {
        const T* const sums = row < 3 ? staged.input_sums + row * block : staged.hidden_sums + (row - 3) * block;
        products[row] = spans[span_of(row)].moments.normalize(load<T>(sums + at));
        places.save_value(step, p, kLayout.saved, row, products[row]);
      }
      const V h_before = load<T>(staged.h + at);
      GruGates<V> gates;
      V h_n, h = cell(a, places, p, products, h_before, gates, h_n);
      h = places.zoned(a.zoneout, p, step.time, step.first_row).mix_h(h, h_before);
      finish_place(a, step, staged, places, p, h);
      places.save_value(step, p, kLayout.saved, kState, h);
    }
    if (!places.leads()) return;
    for (int s = 0; s < kSpans; ++s) places.save_moment(step, kLayout.saved, s, spans[s].moments.inverse_deviation);
  }

  template <typename Places>
  static void backward_step(const RecurrentBackwardArguments<T>& a, const BackwardStep<T>& step, const Places& places) {
    constexpr int64_t lanes = kLanes<T>, saves = kLayout.saved;
    const Arguments& f = a.forward;
    const auto span = [&](int s) { return NormGradient<T>(places.saved_moment(step, saves, s)); };
    NormGradient<T> spans[kSpans] = {span(0), span(1), span(2), span(3)};
    for (int64_t p = places.first; p < places.last; ++p) {
      V products[6];
#pragma GCC unroll 6
      for (int row = 0; row < 6; ++row) products[row] = places.saved_value(step, p, saves, row);
      const V h_before = places.state_before(step, p);
      GruGates<V> gates;
      V h_n;
      cell(f, places, p, products, h_before, gates, h_n);
      const V carried = load<T>(step.grad_h + p * lanes);
      V grad_h = carried + places.grad_output(step, p);
      V direct = places.zoned(f.zoneout, p, step.time, step.first_row).split_h(grad_h);
      const GruGradients<V> grad = gru_cell_backward<V>(gates, h_n, h_before, grad_h);
      direct += grad.direct;
      if (step.active) direct = select<T>(*step.active, direct, carried);
      store<T>(step.held + p * lanes, direct);
      const V gradients[4] = {keep_active<T>(step.active, grad.reset), keep_active<T>(step.active, grad.update),
                              keep_active<T>(step.active, grad.input), keep_active<T>(step.active, grad.hidden)};
#pragma GCC unroll 4
      for (int s = 0; s < 4; ++s) add_to<T>(step.grad_bias + (s * places.all + p) * lanes, gradients[s]);
#pragma GCC unroll 6
      for (int row = 0; row < 6; ++row) {
        const V& gradient = gradients[row < 3 ? row : kLayout.hidden_sum[row - 3]];
        spans[span_of(row)].add(gradient * gain(f, places, row, p), products[row]);
        places.set_gradient(step, row, p, gradient);
      }
    }
    finish_sums(places, 1, {2, 1, 2, 1}, spans);

    for (int64_t p = places.first; p < places.last; ++p) {
      V of_gains[6];
#pragma GCC unroll 6
      for (int row = 0; row < 6; ++row) {
        const V gradient = places.gradient(step, row, p), normalized = places.saved_value(step, p, saves, row);
        of_gains[row] = keep_active<T>(step.active, gradient * normalized);
        const V result = spans[span_of(row)](gradient * gain(f, places, row, p), normalized);
        places.set_gradient(step, row, p, keep_active<T>(step.active, result));
      }
      places.add_gains(step.grad_extra, 0, p, of_gains);
    }
  }
};

SEQLIGHT_DEFINE_NORMALIZED(gru, NormalizedGru)

}  // namespace SEQLIGHT_ISA
}  // namespace seqlight::cpu
