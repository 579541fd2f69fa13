// The LSTM with the layer normalisation of Ba et al. 2016: the input product and the recurrent product are each
// normalised over their 4H numbers, and the cell state on its way to h. Kept for backward are the normalised products,
// from which it computes the gates again: that takes less time than to write and read them.

namespace seqlight::cpu {
namespace SEQLIGHT_ISA {

template <typename T>
struct NormalizedLstm {
  typedef Vector<T> V;
  static constexpr int kPeepholes = 3;
  static constexpr int kStateGain = 8, kStateBias = 9;       // rows of the norm's parameters
  static constexpr int kInput = 0, kHidden = 4, kState = 8;  // values saved
  enum { kInputMoment, kHiddenMoment, kStateMean, kStateMoment };
  static constexpr CellLayout kLayout = {/*rows*/ 4,
                                         /*sums*/ 4,
                                         /*saved: normalised input products and recurrent products, c*/ 9,
                                         /*moments: inverse deviations of both; the cell state's mean and its*/ 4,
                                         /*gradients: for the input products, for the recurrent ones*/ 8,
                                         /*biases*/ 4,
                                         /*extras: peepholes of i, f, o; gains and biases*/ kPeepholes + 10,
                                         /*cell_state*/ true,
                                         {0, 1, 2, 3},
                                         {0, 1, 2, 3},
                                         {0, 1, 2, 3},
                                         {4, 5, 6, 7},
                                         0,
                                         4,
                                         {0, 1, 2, 3},
                                         {0, 1, 2, 3},
                                         /*first_gain, gains: of the products*/ kPeepholes,
                                         8};
  static constexpr bool kStaged = true, kNorm = true, kDirect = true;

  typedef RecurrentForwardArguments<T> Arguments;

  template <typename Places>
  static SEQLIGHT_INLINE V norm(const Arguments& a, const Places& places, int row, int64_t place) {
    return places.parameter(a.norm + row * a.hidden_size, place);
  }

  template <bool kPeephole, typename Places>
  static SEQLIGHT_INLINE LstmPeephole<V> peephole(const Arguments& a, const Places& places, int64_t place) {
    LstmPeephole<V> weights = {};
    if constexpr (kPeephole) {
      const int64_t H = a.hidden_size;
      weights = {places.parameter(a.extra, place), places.parameter(a.extra + H, place),
                 places.parameter(a.extra + 2 * H, place)};
    }
    return weights;
  }

  // The sums that the gates are activations of.
  template <typename Places>
  static SEQLIGHT_INLINE LstmGates<V> sums(const Arguments& a, const Places& places, int64_t place, const V (&input)[4],
                                           const V (&hidden)[4]) {
    V sums[4];
#pragma GCC unroll 4
    for (int g = 0; g < 4; ++g)
      sums[g] = input[g] * norm(a, places, g, place) + hidden[g] * norm(a, places, 4 + g, place) +
                places.bias(a.bias, 4, g, place);
    return {sums[0], sums[1], sums[2], sums[3]};
  }

  template <typename Places>
  static void forward_step(const Arguments& a, const ForwardStep<T>& step, const StagedForward<T>& staged,
                           const Places& places) {
    NormSpan<T> products[2] = {{staged.input_sums, 4, {}}, {staged.hidden_sums, 4, {}}};
    find_moments(places, 0, products);
    if (a.extra)
      forward_gates<true>(a, step, staged, places, products[0].moments, products[1].moments);
    else
      forward_gates<false>(a, step, staged, places, products[0].moments, products[1].moments);
    NormSpan<T> states[1] = {{staged.candidate, 1, {}}};
    find_moments(places, 1, states);
    const Moments<T>& moments = states[0].moments;
    for (int64_t p = places.first; p < places.last; ++p) {
      const int64_t at = p * kLanes<T>;
      const V c = moments.normalize(load<T>(staged.candidate + at)) * norm(a, places, kStateGain, p) +
                  norm(a, places, kStateBias, p);
      V h = load<T>(staged.gate + at) * tanh<T>(c);
      h = places.zoned(a.zoneout, p, step.time, step.first_row).mix_h(h, load<T>(staged.h + at));
      finish_place(a, step, staged, places, p, h);
    }
    if (!places.leads()) return;
    places.save_moment(step, kLayout.saved, kInputMoment, products[0].moments.inverse_deviation);
    places.save_moment(step, kLayout.saved, kHiddenMoment, products[1].moments.inverse_deviation);
    places.save_moment(step, kLayout.saved, kStateMean, moments.mean);
    places.save_moment(step, kLayout.saved, kStateMoment, moments.inverse_deviation);
  }

  template <bool kPeephole, typename Places>
  static void forward_gates(const Arguments& a, const ForwardStep<T>& step, const StagedForward<T>& staged,
                            const Places& places, const Moments<T>& of_input, const Moments<T>& of_hidden) {
    for (int64_t p = places.first; p < places.last; ++p) {
      const int64_t at = p * kLanes<T>;
      V input[4], hidden[4];
#pragma GCC unroll 4
      for (int g = 0; g < 4; ++g) {
        input[g] = of_input.normalize(load<T>(staged.input_sums + g * places.all * kLanes<T> + at));
        hidden[g] = of_hidden.normalize(load<T>(staged.hidden_sums + g * places.all * kLanes<T> + at));
        places.save_value(step, p, kLayout.saved, kInput + g, input[g]);
        places.save_value(step, p, kLayout.saved, kHidden + g, hidden[g]);
      }
      LstmGates<V> gates = sums(a, places, p, input, hidden);
      const V c_before = load<T>(step.c + at);
      const V candidate = lstm_cell_state<kPeephole, VectorMath<T>>(gates, c_before, peephole<kPeephole>(a, places, p));
      V c = places.zoned(a.zoneout, p, step.time, step.first_row).mix_c(candidate, c_before);
      if (step.active) c = select<T>(*step.active, c, c_before);
      store<T>(step.c + at, c);
      places.save_value(step, p, kLayout.saved, kState, c);
      store<T>(staged.candidate + at, candidate);
      store<T>(staged.gate + at, gates.output);
    }
  }

  template <typename Places>
  static void backward_step(const RecurrentBackwardArguments<T>& a, const BackwardStep<T>& step, const Places& places) {
    if (a.forward.extra)
      backward_gates<true>(a.forward, step, places);
    else
      backward_gates<false>(a.forward, step, places);
  }

  template <bool kPeephole, typename Places>
  static void backward_gates(const Arguments& f, const BackwardStep<T>& step, const Places& places) {
    constexpr int64_t lanes = kLanes<T>, saves = kLayout.saved;
    const auto extra = [&](int row, int64_t place) { return step.grad_extra + (row * places.all + place) * lanes; };
    // What one pass leaves to the next, where the gradients will stand.
    enum { kInputGate, kForgetGate, kCellGate, kOfOutputGate, kOfState, kNormalizedState };

    const Moments<T> state = {places.saved_moment(step, saves, kStateMean),
                              places.saved_moment(step, saves, kStateMoment)};
    NormGradient<T> of_state[1] = {NormGradient<T>(state.inverse_deviation)};
    for (int64_t p = places.first; p < places.last; ++p) {
      V input[4], hidden[4];
#pragma GCC unroll 4
      for (int g = 0; g < 4; ++g) {
        input[g] = places.saved_value(step, p, saves, kInput + g);
        hidden[g] = places.saved_value(step, p, saves, kHidden + g);
      }
      LstmGates<V> gates = sums(f, places, p, input, hidden);
      const V candidate = lstm_cell_state<kPeephole, VectorMath<T>>(gates, places.state_before(step, p),
                                                                    peephole<kPeephole>(f, places, p));
      const V carried = load<T>(step.grad_h + p * lanes);
      V grad_h = carried + places.grad_output(step, p);
      V direct = places.zoned(f.zoneout, p, step.time, step.first_row).split_h(grad_h);
      if (step.active) {
        grad_h = select<T>(*step.active, grad_h, V{});
        direct = select<T>(*step.active, direct, carried);
      }
      store<T>(step.held + p * lanes, direct);
      const V normalized = keep_active<T>(step.active, state.normalize(candidate));
      const V gain = norm(f, places, kStateGain, p);
      const V squashed = tanh<T>(normalized * gain + norm(f, places, kStateBias, p));
      const V through = keep_active<T>(step.active, grad_h * gates.output);
      const V grad = through * (1 - squashed * squashed);
      const V of_output_gate = keep_active<T>(step.active, through * squashed * (1 - gates.output));
      of_state[0].add(grad * gain, normalized);
      add_to<T>(extra(kPeepholes + kStateGain, p), grad * normalized);
      add_to<T>(extra(kPeepholes + kStateBias, p), grad);
      if constexpr (kPeephole) add_to<T>(extra(2, p), keep_active<T>(step.active, of_output_gate * candidate));
      places.set_gradient(step, kInputGate, p, gates.input);
      places.set_gradient(step, kForgetGate, p, gates.forget);
      places.set_gradient(step, kCellGate, p, gates.cell);
      places.set_gradient(step, kOfOutputGate, p, of_output_gate);
      places.set_gradient(step, kOfState, p, grad * gain);
      places.set_gradient(step, kNormalizedState, p, normalized);
    }
    finish_sums(places, 0, {1}, of_state);

    NormGradient<T> of_products[2] = {NormGradient<T>(places.saved_moment(step, saves, kInputMoment)),
                                      NormGradient<T>(places.saved_moment(step, saves, kHiddenMoment))};
    for (int64_t p = places.first; p < places.last; ++p) {
      const LstmGates<V> gates = {places.gradient(step, kInputGate, p), places.gradient(step, kForgetGate, p),
                                  places.gradient(step, kCellGate, p), V{}};
      const V c_before = places.state_before(step, p), grad_c = load<T>(step.grad_c + p * lanes);
      V total = grad_c, grad_c_before;
      const V direct = places.zoned(f.zoneout, p, step.time, step.first_row).split_c(total);
      total += of_state[0](places.gradient(step, kOfState, p), places.gradient(step, kNormalizedState, p));
      const LstmGates<V> grad =
          lstm_cell_state_backward<kPeephole>(gates, c_before, peephole<kPeephole>(f, places, p),
                                              places.gradient(step, kOfOutputGate, p), total, grad_c_before);
      grad_c_before += direct;
      if (step.active) grad_c_before = select<T>(*step.active, grad_c_before, grad_c);
      store<T>(step.grad_c + p * lanes, grad_c_before);
      const V gradients[4] = {keep_active<T>(step.active, grad.input), keep_active<T>(step.active, grad.forget),
                              keep_active<T>(step.active, grad.cell), grad.output};
      if constexpr (kPeephole) {
        add_to<T>(extra(0, p), keep_active<T>(step.active, gradients[0] * c_before));
        add_to<T>(extra(1, p), keep_active<T>(step.active, gradients[1] * c_before));
      }
#pragma GCC unroll 4
      for (int g = 0; g < 4; ++g) {
        of_products[0].add(gradients[g] * norm(f, places, g, p), places.saved_value(step, p, saves, kInput + g));
        of_products[1].add(gradients[g] * norm(f, places, 4 + g, p), places.saved_value(step, p, saves, kHidden + g));
        add_to<T>(step.grad_bias + (g * places.all + p) * lanes, gradients[g]);
        places.set_gradient(step, g, p, gradients[g]);
      }
    }
    finish_sums(places, 1, {4, 4}, of_products);

    for (int64_t p = places.first; p < places.last; ++p) {
      V of_gains[8];
#pragma GCC unroll 4
      for (int g = 0; g < 4; ++g) {
        const V gradient = places.gradient(step, g, p);
#pragma GCC unroll 2
        for (int product = 0; product < 2; ++product) {
          const int row = 4 * product + g;
          const V normalized = places.saved_value(step, p, saves, row);
          of_gains[row] = keep_active<T>(step.active, gradient * normalized);
          const V result = of_products[product](gradient * norm(f, places, row, p), normalized);
          places.set_gradient(step, row, p, keep_active<T>(step.active, result));
        }
      }
      places.add_gains(step.grad_extra, kPeepholes, p, of_gains);
    }
  }
};

SEQLIGHT_DEFINE_NORMALIZED(lstm, NormalizedLstm)

}  // namespace SEQLIGHT_ISA
}  // namespace seqlight::cpu
