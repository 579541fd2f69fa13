// The simple recurrent cell with layer normalisation over the H sums of both products and biases, before the
// activation. Kept for backward are the normalised sums, from which it computes the activation again.

namespace seqlight::cpu {
namespace SEQLIGHT_ISA {

template <typename T>
struct NormalizedRnn {
  typedef Vector<T> V;
  static constexpr int kGain = 0, kBias = 1;         // rows of the norm's parameters
  static constexpr int kNormalized = 0, kState = 1;  // values saved
  static constexpr CellLayout kLayout = {/*rows*/ 1,
                                         /*sums*/ 1,
                                         /*saved: the normalised sum, h*/ 2,
                                         /*moments: inverse deviation*/ 1,
                                         /*gradients*/ 1,
                                         /*biases*/ 1,
                                         /*extras: gain, bias*/ 2,
                                         /*cell_state*/ false,
                                         {0, 0, 0, 0},
                                         {0, 0, 0, 0},
                                         {0, 0, 0, 0},
                                         {0, 0, 0, 0},
                                         0,
                                         0,
                                         {0, 0, 0, 0},
                                         {0, 0, 0, 0}};
  static constexpr bool kStaged = true, kNorm = true, kDirect = true;

  typedef RecurrentForwardArguments<T> Arguments;

  template <typename Places>
  static SEQLIGHT_INLINE V norm(const Arguments& a, const Places& places, int row, int64_t place) {
    return places.parameter(a.norm + row * a.hidden_size, place);
  }

  template <typename Places>
  static SEQLIGHT_INLINE V activated(const Arguments& a, const Places& places, int64_t place, const V& normalized) {
    return rnn_activation<T>(a.relu, normalized * norm(a, places, kGain, place) + norm(a, places, kBias, place));
  }

  template <typename Places>
  static void forward_step(const Arguments& a, const ForwardStep<T>& step, const StagedForward<T>& staged,
                           const Places& places) {
    for (int64_t p = places.first; p < places.last; ++p)
      add_to<T>(staged.input_sums + p * kLanes<T>,
                load<T>(staged.hidden_sums + p * kLanes<T>) + places.bias(a.bias, 1, 0, p));
    NormSpan<T> spans[1] = {{staged.input_sums, 1, {}}};
    find_moments(places, 0, spans);
    const Moments<T>& moments = spans[0].moments;
    for (int64_t p = places.first; p < places.last; ++p) {
      const int64_t at = p * kLanes<T>;
      const V normalized = moments.normalize(load<T>(staged.input_sums + at));
      places.save_value(step, p, kLayout.saved, kNormalized, normalized);
      V h = activated(a, places, p, normalized);
      h = places.zoned(a.zoneout, p, step.time, step.first_row).mix_h(h, load<T>(staged.h + at));
      finish_place(a, step, staged, places, p, h);
      places.save_value(step, p, kLayout.saved, kState, h);
    }
    if (places.leads()) places.save_moment(step, kLayout.saved, 0, moments.inverse_deviation);
  }

  template <typename Places>
  static void backward_step(const RecurrentBackwardArguments<T>& a, const BackwardStep<T>& step, const Places& places) {
    constexpr int64_t lanes = kLanes<T>, saves = kLayout.saved;
    const Arguments& f = a.forward;
    const auto extra = [&](int row, int64_t place) { return step.grad_extra + (row * places.all + place) * lanes; };
    NormGradient<T> spans[1] = {NormGradient<T>(places.saved_moment(step, saves, 0))};
    for (int64_t p = places.first; p < places.last; ++p) {
      const V normalized = places.saved_value(step, p, saves, kNormalized);
      const V carried = load<T>(step.grad_h + p * lanes);
      V grad_h = carried + places.grad_output(step, p);
      V direct = places.zoned(f.zoneout, p, step.time, step.first_row).split_h(grad_h);
      if (step.active) direct = select<T>(*step.active, direct, carried);
      store<T>(step.held + p * lanes, direct);
      const V gradient =
          keep_active<T>(step.active, rnn_activation_backward<T>(f.relu, activated(f, places, p, normalized), grad_h));
      const V of_normalized = gradient * norm(f, places, kGain, p);
      spans[0].add(of_normalized, normalized);
      add_to<T>(extra(kGain, p), keep_active<T>(step.active, gradient * normalized));
      add_to<T>(extra(kBias, p), gradient);
      places.set_gradient(step, 0, p, of_normalized);
    }
    finish_sums(places, 0, {1}, spans);
    for (int64_t p = places.first; p < places.last; ++p) {
      const V result = keep_active<T>(
          step.active, spans[0](places.gradient(step, 0, p), places.saved_value(step, p, saves, kNormalized)));
      places.set_gradient(step, 0, p, result);
      add_to<T>(step.grad_bias + p * lanes, result);  // the biases stand inside the norm
    }
  }
};

SEQLIGHT_DEFINE_NORMALIZED(rnn, NormalizedRnn)

}  // namespace SEQLIGHT_ISA
}  // namespace seqlight::cpu
