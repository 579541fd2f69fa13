// The operator wavenet_generate on CUDA. Schema and checks are those of the CPU; see seqlight/ops/wavenet_generate.py
// for the semantics.
//
// NOT YET RUN ON A GPU. This file compiles with nvcc for sm_80, sm_90 and PTX with warnings as errors, and its logic is
// tested on the CPU, element by element (launch.cuh); nobody has run or timed it on a device.
//
// The form is the simple one: two kernels for each layer and step, a thread for each number that they write. The host
// starts them without waiting for the device: what is drawn stays there and is looked up by the next step.
#include <tuple>
#include <vector>

#include "../call_counts.h"
#include "../cells/categorical.h"
#include "../cells/gate.h"
#include "../cells/philox.h"
#include "../wavenet_generate_checks.h"
#include "scalar_math.cuh"
#include "tensors.cuh"

namespace seqlight {
namespace {

// ------------------------------------------------------------------------------------------------------------ kernels
// Each is the work of one element. Buffers are contiguous in the order of their comment.

// The first convolution: what went in at each of its taps' times. Element: (row, hidden channel).
template <typename T>
struct FirstConvolution {
  int64_t step, steps, inputs, hidden, taps;
  const T* input_state;    // [B, K - 1, I]
  const T* first;          // [B, I]
  const T* values;         // [B, steps, I], or null where classes are drawn
  const int64_t* classes;  // [B, steps]
  const T* weight;         // [H, I, K]
  const T* bias;           // [H]
  bool relu;
  T* h;  // [B, H]

  __device__ void operator()(int64_t i) const {
    const int64_t row = i / hidden, channel = i % hidden;
    const T* const own = weight + channel * inputs * taps;
    T sum = bias[channel];
    for (int64_t k = 0; k < taps; ++k) {
      const int64_t time = step - (taps - 1 - k);
      if (time > 0 && !values) {
        sum += own[classes[row * steps + time - 1] * taps + k];
        continue;
      }
      const T* const x = time < 0    ? input_state + (row * (taps - 1) + time + taps - 1) * inputs
                         : time == 0 ? first + row * inputs
                                     : values + (row * steps + time - 1) * inputs;
      for (int64_t c = 0; c < inputs; ++c) sum += x[c] * own[c * taps + k];
    }
    h[i] = relu && sum < T(0) ? T(0) : sum;
  }
};

// The convolution of a layer and what follows in the same channel. Element: (row, hidden channel).
template <typename T>
struct LayerUnit {
  int64_t step, steps, hidden, taps, dilation, condition_size;
  const T* ring;  // [B, slots, H] in rows `ring_stride` apart: the input of time t is in slot t % slots
  int64_t ring_stride;
  const T* h;                 // [B, H]
  const T* weight;            // [2 * H, H, K], without gate [H, H, K]
  const T* bias;              // [2 * H], without gate [H]
  const T* condition;         // [B, steps, D] or null
  const T* condition_weight;  // [2 * H, D]
  const T* static_terms;      // of this layer, `static_stride` apart, or null
  int64_t static_stride;
  bool gated;
  T* unit;  // [B, H]

  SEQLIGHT_CELL T before(int64_t row, int64_t channel) const {
    const int64_t slots = (taps - 1) * dilation;
    T sum = bias[channel];
    for (int64_t k = 0; k < taps; ++k) {
      const T* const x =
          k < taps - 1 ? ring + row * ring_stride + (step + k * dilation) % slots * hidden : h + row * hidden;
      for (int64_t c = 0; c < hidden; ++c) sum += x[c] * weight[(channel * hidden + c) * taps + k];
    }
    if (condition)
      for (int64_t d = 0; d < condition_size; ++d)
        sum += condition[(row * steps + step) * condition_size + d] * condition_weight[channel * condition_size + d];
    return static_terms ? sum + static_terms[row * static_stride + channel] : sum;
  }

  __device__ void operator()(int64_t i) const {
    const int64_t row = i / hidden, channel = i % hidden;
    if (gated) {
      GatePair<T> pair = {before(row, channel), before(row, hidden + channel)};
      unit[i] = gate_unit<ScalarMath<T>>(pair);
      return;
    }
    const T sum = before(row, channel);
    unit[i] = sum < T(0) ? T(0) : sum;
  }
};

// Keeps the layer's input and gives the next one's; adds to the skip connections. Element: (row, hidden channel, then
// skip channel).
template <typename T>
struct LayerOutput {
  int64_t step, hidden, skip, slots;
  bool gated, residual, first;
  const T* unit;    // [B, H]
  const T* weight;  // [H + S, H], without residual [S, H]
  const T* bias;
  T* ring;
  int64_t ring_stride;
  T* h;         // [B, H]
  T* skip_sum;  // [B, S]

  SEQLIGHT_CELL T product(int64_t row, int64_t out) const {
    T sum = bias[out];
    for (int64_t c = 0; c < hidden; ++c) sum += unit[row * hidden + c] * weight[out * hidden + c];
    return sum;
  }

  __device__ void operator()(int64_t i) const {
    const int64_t row = i / (hidden + skip), place = i % (hidden + skip);
    if (place >= hidden) {
      T& sum = skip_sum[row * skip + place - hidden];
      sum = (first ? T(0) : sum) + product(row, place - (residual ? 0 : hidden));
      return;
    }
    T& own = h[row * hidden + place];
    if (slots) ring[row * ring_stride + step % slots * hidden + place] = own;
    if (!gated)
      own = unit[row * hidden + place];
    else if (residual)
      own += product(row, place);
  }
};

// A linear layer. Element: (row, output).
template <typename T>
struct HeadLayer {
  int64_t depth, outputs;
  bool relu_before;
  const T* in;      // [B, depth]
  const T* weight;  // [outputs, depth]
  const T* bias;
  T* out;  // rows `out_stride` apart
  int64_t out_stride;

  __device__ void operator()(int64_t i) const {
    const int64_t row = i / outputs, o = i % outputs;
    T sum = bias[o];
    for (int64_t d = 0; d < depth; ++d) {
      const T x = in[row * depth + d];
      sum += (relu_before && x < T(0) ? T(0) : x) * weight[o * depth + d];
    }
    out[row * out_stride + o] = sum;
  }
};

// Element: row.
template <typename T>
struct DrawClasses {
  int64_t step, steps, outputs;
  double temperature;
  const int64_t* seed;
  const T* logits;       // [B, O]
  double* exponentials;  // [B, O]
  int64_t* classes;      // [B, steps]

  __device__ void operator()(int64_t row) const {
    const PhiloxWords counter = {{0, static_cast<uint32_t>(step), static_cast<uint32_t>(row), 0}};
    const double uniform = philox_uniform(philox4x32(static_cast<uint64_t>(*seed), counter).word[0]);
    classes[row * steps + step] = draw_class<ScalarMath<double>>(logits + row * outputs, outputs, temperature, uniform,
                                                                 exponentials + row * outputs);
  }
};

// The rings in the order of time, [B, state_length, H]. Element: (row, slot of this layer, channel).
template <typename T>
struct UnrollRing {
  int64_t steps, hidden, slots;
  const T* ring;
  int64_t ring_stride;
  T* target;

  __device__ void operator()(int64_t i) const {
    const int64_t channel = i % hidden, slot = i / hidden % slots, row = i / hidden / slots;
    target[row * ring_stride + slot * hidden + channel] =
        ring[row * ring_stride + (steps + slot) % slots * hidden + channel];
  }
};

template <typename T>
struct Copy {
  const T* source;
  T* target;

  __device__ void operator()(int64_t i) const { target[i] = source[i]; }
};

// --------------------------------------------------------------------------------------------------------------- host

template <typename T>
std::tuple<Tensor, Tensor> generate(const WaveNetSizes& s, const WaveNetArguments& a, double temperature) {
  const cudaStream_t stream = current_stream(a.first);
  const Tensor& like = a.first;
  Tensor output =
      a.seed ? new_empty(like, {s.batch, s.steps}, ScalarType::Long) : new_empty(like, {s.batch, s.steps, s.outputs});
  Tensor states = new_empty(like, {s.batch, s.state_length, s.hidden});
  Tensor rings = new_empty(like, {s.batch, s.state_length, s.hidden});
  launch(states.numel(), stream, Copy<T>{a.states.const_data_ptr<T>(), rings.mutable_data_ptr<T>()});
  Tensor h = new_empty(like, {s.batch, s.hidden}), unit = new_empty(like, {s.batch, s.hidden});
  Tensor skip = new_empty(like, {s.batch, s.skip}), logits = new_empty(like, {s.batch, s.outputs});
  Tensor exponentials = new_empty(like, {s.batch, a.seed ? s.outputs : 0}, ScalarType::Double);
  T* const values = a.seed ? nullptr : output.mutable_data_ptr<T>();
  int64_t* const classes = a.seed ? output.mutable_data_ptr<int64_t>() : nullptr;
  const int64_t ring_stride = s.state_length * s.hidden;
  TensorList between;  // outputs of the head's layers but the last
  for (std::size_t i = 0; i + 1 < a.head_weights.size(); ++i)
    between.push_back(new_empty(like, {s.batch, a.head_weights[i].size(0)}));

  for (int64_t step = 0; step < s.steps; ++step) {
    launch(h.numel(), stream,
           FirstConvolution<T>{step, s.steps, s.inputs, s.hidden, s.taps, a.input_state.const_data_ptr<T>(),
                               a.first.const_data_ptr<T>(), values, classes, a.input_weight.const_data_ptr<T>(),
                               a.input_bias.const_data_ptr<T>(), !s.gated, h.mutable_data_ptr<T>()});
    T* ring = rings.mutable_data_ptr<T>();
    for (int64_t l = 0; l < s.layers(); ++l) {
      const int64_t slots = s.layer_state_length(l);
      const T* const terms = a.static_terms ? a.static_terms->const_data_ptr<T>() + l * s.pre_channels() : nullptr;
      launch(
          unit.numel(), stream,
          LayerUnit<T>{step, s.steps, s.hidden, s.taps, s.dilations[l], s.condition, ring, ring_stride,
                       h.const_data_ptr<T>(), a.conv_weights[l].const_data_ptr<T>(),
                       a.conv_biases[l].const_data_ptr<T>(), s.condition ? a.condition->const_data_ptr<T>() : nullptr,
                       s.condition ? a.condition_weights[l].const_data_ptr<T>() : nullptr, terms,
                       s.layers() * s.pre_channels(), s.gated, unit.mutable_data_ptr<T>()});
      launch(s.batch * (s.hidden + s.skip), stream,
             LayerOutput<T>{step, s.hidden, s.skip, slots, s.gated, s.residual(l), l == 0, unit.const_data_ptr<T>(),
                            s.gated ? a.project_weights[l].const_data_ptr<T>() : nullptr,
                            s.gated ? a.project_biases[l].const_data_ptr<T>() : nullptr, ring, ring_stride,
                            h.mutable_data_ptr<T>(), skip.mutable_data_ptr<T>()});
      ring += slots * s.hidden;
    }
    const T* in = s.gated ? skip.const_data_ptr<T>() : h.const_data_ptr<T>();
    for (std::size_t i = 0; i < a.head_weights.size(); ++i) {
      const bool last = i + 1 == a.head_weights.size();
      const int64_t outputs = a.head_weights[i].size(0);
      T* const out = !last    ? between[i].mutable_data_ptr<T>()
                     : values ? values + step * s.outputs
                              : logits.mutable_data_ptr<T>();
      launch(
          s.batch * outputs, stream,
          HeadLayer<T>{a.head_weights[i].size(1), outputs, s.gated || i > 0, in, a.head_weights[i].const_data_ptr<T>(),
                       a.head_biases[i].const_data_ptr<T>(), out, last && values ? s.steps * s.outputs : outputs});
      in = out;
    }
    if (classes)
      launch(s.batch, stream,
             DrawClasses<T>{step, s.steps, s.outputs, temperature, a.seed->const_data_ptr<int64_t>(),
                            logits.const_data_ptr<T>(), exponentials.mutable_data_ptr<double>(), classes});
  }
  for (int64_t l = 0, first = 0; l < s.layers(); ++l) {
    const int64_t slots = s.layer_state_length(l);
    launch(s.batch * slots * s.hidden, stream,
           UnrollRing<T>{s.steps, s.hidden, slots, rings.const_data_ptr<T>() + first * s.hidden, ring_stride,
                         states.mutable_data_ptr<T>() + first * s.hidden});
    first += slots;
  }
  count_call(Op::wavenet_generate, std::is_same_v<T, double>, 1);
  return {output, states};
}

std::tuple<Tensor, Tensor> wavenet_generate(Tensor first, Tensor input_state, Tensor states, Tensor input_weight,
                                            Tensor input_bias, TensorList conv_weights, TensorList conv_biases,
                                            TensorList project_weights, TensorList project_biases,
                                            TensorList condition_weights, MaybeTensor condition,
                                            MaybeTensor static_terms, TensorList head_weights, TensorList head_biases,
                                            std::vector<int64_t> dilations, int64_t steps, MaybeTensor seed,
                                            double temperature) {
  WaveNetArguments a = {first,        input_state,  states,          input_weight,   input_bias,
                        conv_weights, conv_biases,  project_weights, project_biases, condition_weights,
                        condition,    static_terms, head_weights,    head_biases,    seed};
  const WaveNetSizes s = check_wavenet_generate(a, dilations, steps, temperature);
  for (Tensor* tensor : {&a.first, &a.input_state, &a.states, &a.input_weight, &a.input_bias}) *tensor = dense(*tensor);
  for (TensorList* list : {&a.conv_weights, &a.conv_biases, &a.project_weights, &a.project_biases, &a.condition_weights,
                           &a.head_weights, &a.head_biases})
    for (Tensor& tensor : *list) tensor = dense(tensor);
  if (a.condition) a.condition = dense(*a.condition);
  if (a.static_terms) a.static_terms = dense(*a.static_terms);
  return for_dtype("wavenet_generate", "first", first,
                   [&](auto number) { return generate<decltype(number)>(s, a, temperature); });
}

}  // namespace

#if defined(__CUDACC__)
STABLE_TORCH_LIBRARY_IMPL(seqlight, CUDA, m) { m.impl("wavenet_generate", TORCH_BOX(&wavenet_generate)); }
#endif

}  // namespace seqlight
