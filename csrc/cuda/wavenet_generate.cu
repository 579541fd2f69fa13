// The operator wavenet_generate on CUDA. Schema and checks are those of the CPU; see seqlight/ops/wavenet_generate.py
// for the semantics.
//
// NOT YET RUN ON A GPU. This file compiles with nvcc for sm_80, sm_90 and PTX with warnings as errors, and its logic is
// tested on the CPU, barriers included (launch.cuh); nobody has run or timed it on a device.
//
// A block of threads generates a row of the batch, many steps in one launch: rows do not meet, so a barrier of the
// block stands where else a kernel would end. Weights are first laid out so that neighbouring threads read neighbouring
// numbers. What a row computes goes through memory of its own, which is small enough for the cache next to its threads
// and has no limit as shared memory has. Nothing comes back to the host on the way.
#include <algorithm>
#include <tuple>
#include <vector>

#include "../call_counts.h"
#include "../cells/categorical.h"
#include "../cells/gate.h"
#include "../cells/philox.h"
#include "../wavenet_generate_checks.h"
#include "scalar_math.cuh"
#include "tensors.cuh"

#ifndef SEQLIGHT_CUDA_STEPS      // tests of several launches set it low
#define SEQLIGHT_CUDA_STEPS 512  // in one launch, so that none takes seconds: a GPU that draws a screen stops those
#endif

namespace seqlight::cuda {
namespace {

// ------------------------------------------------------------------------------------------------------------ kernels
// Buffers are contiguous in the order of their comment. P are the channels before the activation: 2 * H, without gate
// H.

// Of the layers after the first convolution.
template <typename T>
struct GeneratorLayer {
  int64_t dilation, ring;     // ring: the first of its numbers among those of all layers
  const T* conv_weight;       // [K, H, P]
  const T* conv_bias;         // [P]
  const T* condition_weight;  // [D, P] or null
  const T* project_weight;    // [H, H + S], of the last layer [H, S]; null without gate
  const T* project_bias;
  bool residual;
};

// Linear, of the head.
template <typename T>
struct GeneratorHead {
  int64_t outputs;
  const T* weight;  // [outputs of the layer before, outputs]
  const T* bias;
};

// Puts into device memory what the host knows, without waiting as a copy would.
template <typename Entry>
struct SetEntry {
  Entry entry;
  Entry* target;

  __device__ void operator()(int64_t) const { *target = entry; }
};

template <typename T>
SEQLIGHT_CELL T dot(const T* x, int64_t depth, const T* column, int64_t columns) {
  T sum = 0;
  for (int64_t i = 0; i < depth; ++i) sum += x[i] * column[i * columns];
  return sum;
}

template <typename T>
SEQLIGHT_CELL T positive(T x) {
  return x < T(0) ? T(0) : x;  // a NaN stays one
}

// Block: row of the batch.
template <typename T>
struct Generate {
  struct Shared {};
  static constexpr int kThreads = kTeamThreads;

  int64_t steps, inputs, outputs, hidden, skip, taps, condition_size, state_length;
  bool gated;
  int64_t layer_count, head_count, widest_head;
  const GeneratorLayer<T>* layers;
  const GeneratorHead<T>* heads;
  const T* input_state;   // [B, K - 1, I]
  const T* first;         // [B, I]
  const T* input_weight;  // [K, I, H]
  const T* input_bias;    // [H]
  const T* condition;     // [B, steps, D] or null
  const T* static_terms;  // [B, layers, P] or null
  T* rings;               // [B, state_length, H]: of a layer, the input of time t is in slot t % slots
  T* scratch;             // [B, scratch_size()]
  T* values;              // [B, steps, I], or null where classes are drawn
  int64_t* classes;       // [B, steps]
  const int64_t* seed;
  double temperature;
  double* class_weights;            // [B, O], where classes are drawn
  int64_t first_step = 0, end = 0;  // of this launch

  SEQLIGHT_CELL int64_t before() const { return gated ? 2 * hidden : hidden; }
  SEQLIGHT_CELL int64_t parts() const { return taps + (condition ? 1 : 0); }
  SEQLIGHT_CELL int64_t scratch_size() const { return (parts() * before()) + 2 * hidden + skip + 2 * widest_head; }

  // The first convolution: what went in at each of its taps' times.
  SEQLIGHT_CELL T first_convolution(int64_t row, int64_t step, int64_t channel) const {
    T sum = input_bias[channel];
    for (int64_t tap = 0; tap < taps; ++tap) {
      const T* const weight = input_weight + tap * inputs * hidden + channel;
      const int64_t time = step - (taps - 1 - tap);
      if (time > 0 && classes) {
        sum += weight[classes[row * steps + time - 1] * hidden];
        continue;
      }
      const T* const x = time < 0    ? input_state + (row * (taps - 1) + time + taps - 1) * inputs
                         : time == 0 ? first + row * inputs
                                     : values + (row * steps + time - 1) * inputs;
      sum += dot(x, inputs, weight, hidden);
    }
    return gated ? sum : positive(sum);
  }

  // What one tap, or the condition, brings to a channel before the activation.
  SEQLIGHT_CELL T product(const GeneratorLayer<T>& layer, int64_t row, int64_t step, int64_t part, int64_t channel,
                          const T* ring, const T* h) const {
    if (part == taps)
      return dot(condition + (row * steps + step) * condition_size, condition_size, layer.condition_weight + channel,
                 before());
    const int64_t slots = (taps - 1) * layer.dilation;
    const T* const x = part < taps - 1 ? ring + (step + part * layer.dilation) % slots * hidden : h;
    return dot(x, hidden, layer.conv_weight + part * hidden * before() + channel, before());
  }

  __device__ void operator()(int64_t row, const Threads& threads, Shared&) const {
    T* const products = scratch + row * scratch_size();  // [K, and 1 with a condition; P]
    T* const h = products + parts() * before();          // [H]
    T* const unit = h + hidden;                          // [H]
    T* const skip_sum = unit + hidden;                   // [S]
    T* const between = skip_sum + skip;                  // [2, widest of the head]
    for (int64_t step = first_step; step < end; ++step) {
      threads.each(hidden, [&](int64_t channel) { h[channel] = first_convolution(row, step, channel); });
      threads.wait();
      for (int64_t l = 0; l < layer_count; ++l) {
        const GeneratorLayer<T> layer = layers[l];
        T* const ring = rings + row * state_length * hidden + layer.ring;
        threads.each(parts() * before(),
                     [&](int64_t i) { products[i] = product(layer, row, step, i / before(), i % before(), ring, h); });
        threads.wait();
        threads.each(hidden, [&](int64_t channel) { unit[channel] = activated(layer, row, l, channel, products); });
        threads.wait();
        threads.each(hidden + skip, [&](int64_t i) {
          if (i < hidden)
            next_input(layer, step, i, ring, unit, h);
          else
            add_skip(layer, l, i - hidden, unit, skip_sum);
        });
        threads.wait();
      }
      const T* in = gated ? skip_sum : h;
      int64_t depth = gated ? skip : hidden;
      for (int64_t i = 0; i < head_count; ++i) {
        const GeneratorHead<T> head = heads[i];
        T* const out =
            values && i + 1 == head_count ? values + (row * steps + step) * outputs : between + i % 2 * widest_head;
        const bool relu_before = gated || i > 0;
        threads.each(head.outputs, [&](int64_t o) {
          T sum = head.bias[o];
          for (int64_t d = 0; d < depth; ++d)
            sum += (relu_before ? positive(in[d]) : in[d]) * head.weight[d * head.outputs + o];
          out[o] = sum;
        });
        threads.wait();
        in = out;
        depth = head.outputs;
      }
      if (classes) {
        draw(row, step, in, threads);
        threads.wait();
      }
    }
  }

  SEQLIGHT_CELL T activated(const GeneratorLayer<T>& layer, int64_t row, int64_t l, int64_t channel,
                            const T* products) const {
    const auto sum = [&](int64_t place) {
      T result = layer.conv_bias[place];
      for (int64_t part = 0; part < parts(); ++part) result += products[part * before() + place];
      return static_terms ? result + static_terms[(row * layer_count + l) * before() + place] : result;
    };
    if (!gated) return positive(sum(channel));
    GatePair<T> pair = {sum(channel), sum(hidden + channel)};
    return gate_unit<ScalarMath<T>>(pair);
  }

  // Keeps the layer's input and gives the next one's.
  SEQLIGHT_CELL void next_input(const GeneratorLayer<T>& layer, int64_t step, int64_t channel, T* ring, const T* unit,
                                T* h) const {
    const int64_t slots = (taps - 1) * layer.dilation;
    if (slots) ring[step % slots * hidden + channel] = h[channel];
    if (!gated)
      h[channel] = unit[channel];
    else if (layer.residual)
      h[channel] += layer.project_bias[channel] + dot(unit, hidden, layer.project_weight + channel, hidden + skip);
  }

  SEQLIGHT_CELL void add_skip(const GeneratorLayer<T>& layer, int64_t l, int64_t channel, const T* unit,
                              T* skip_sum) const {
    const int64_t residuals = layer.residual ? hidden : 0, column = residuals + channel;
    const T sum = layer.project_bias[column] + dot(unit, hidden, layer.project_weight + column, residuals + skip);
    skip_sum[channel] = l == 0 ? sum : skip_sum[channel] + sum;
  }

  __device__ void draw(int64_t row, int64_t step, const T* logits, const Threads& threads) const {
    double* const weights = class_weights + row * outputs;
    const double most = largest_logit(logits, outputs);
    threads.each(outputs,
                 [&](int64_t i) { weights[i] = class_weight<ScalarMath<double>>(logits[i], most, temperature); });
    threads.wait();
    if (threads.first != 0) return;
    const PhiloxWords counter = {{0, static_cast<uint32_t>(step), static_cast<uint32_t>(row), 0}};
    const double uniform = philox_uniform(philox4x32(static_cast<uint64_t>(*seed), counter).word[0]);
    classes[row * steps + step] = draw_class(weights, outputs, uniform);
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

// Weights in the order of Generate, [O, I, K] or [O, I] from the last size to the first, and tables of them.
class LaidOut {
 public:
  LaidOut(const Tensor& like, cudaStream_t stream) : like_(like), stream_(stream) {}

  template <typename T>
  const T* weights(const Tensor& tensor) {
    return keep(dense(torch::stable::transpose(tensor, 0, tensor.dim() - 1))).template const_data_ptr<T>();
  }

  template <typename Entry>
  const Entry* table(const std::vector<Entry>& entries) {
    const int64_t count = static_cast<int64_t>(entries.size()), size = sizeof(Entry);
    void* const bytes = keep(new_empty(like_, {count * size}, ScalarType::Byte)).mutable_data_ptr();
    Entry* const target = static_cast<Entry*>(bytes);
    for (int64_t i = 0; i < count; ++i) launch(1, stream_, SetEntry<Entry>{entries[i], target + i});
    return target;
  }

 private:
  const Tensor& keep(Tensor tensor) {
    kept_.push_back(std::move(tensor));
    return kept_.back();
  }

  const Tensor& like_;
  cudaStream_t stream_;
  TensorList kept_;
};

template <typename T>
std::vector<GeneratorLayer<T>> layers_of(const WaveNetSizes& s, const WaveNetArguments& a, LaidOut& laid_out) {
  std::vector<GeneratorLayer<T>> layers;
  int64_t ring = 0;
  for (int64_t l = 0; l < s.layers(); ++l) {
    layers.push_back({s.dilations[l], ring, laid_out.weights<T>(a.conv_weights[l]),
                      a.conv_biases[l].const_data_ptr<T>(),
                      s.condition ? laid_out.weights<T>(a.condition_weights[l]) : nullptr,
                      s.gated ? laid_out.weights<T>(a.project_weights[l]) : nullptr,
                      s.gated ? a.project_biases[l].const_data_ptr<T>() : nullptr, s.residual(l)});
    ring += s.layer_state_length(l) * s.hidden;
  }
  return layers;
}

template <typename T>
std::tuple<Tensor, Tensor> generate(const WaveNetSizes& s, const WaveNetArguments& a, double temperature) {
  const cudaStream_t stream = current_stream(a.first);
  const Tensor& like = a.first;
  Tensor output =
      a.seed ? new_empty(like, {s.batch, s.steps}, ScalarType::Long) : new_empty(like, {s.batch, s.steps, s.outputs});
  Tensor states = new_empty(like, {s.batch, s.state_length, s.hidden});
  Tensor rings = new_empty(like, {s.batch, s.state_length, s.hidden});
  launch(states.numel(), stream, Copy<T>{a.states.const_data_ptr<T>(), rings.mutable_data_ptr<T>()});
  const int64_t ring_stride = s.state_length * s.hidden;

  LaidOut laid_out(like, stream);
  std::vector<GeneratorHead<T>> heads;
  int64_t widest = 0;
  for (std::size_t i = 0; i < a.head_weights.size(); ++i) {
    const int64_t outputs = a.head_weights[i].size(0);
    widest = std::max(widest, outputs);
    heads.push_back({outputs, laid_out.weights<T>(a.head_weights[i]), a.head_biases[i].const_data_ptr<T>()});
  }
  Tensor class_weights = new_empty(like, {s.batch, a.seed ? s.outputs : 0}, ScalarType::Double);
  Generate<T> body = {s.steps,
                      s.inputs,
                      s.outputs,
                      s.hidden,
                      s.skip,
                      s.taps,
                      s.condition,
                      s.state_length,
                      s.gated,
                      s.layers(),
                      static_cast<int64_t>(heads.size()),
                      widest,
                      laid_out.table(layers_of<T>(s, a, laid_out)),
                      laid_out.table(heads),
                      a.input_state.const_data_ptr<T>(),
                      a.first.const_data_ptr<T>(),
                      laid_out.weights<T>(a.input_weight),
                      a.input_bias.const_data_ptr<T>(),
                      s.condition ? a.condition->const_data_ptr<T>() : nullptr,
                      data_of<T>(a.static_terms),
                      rings.mutable_data_ptr<T>(),
                      nullptr,
                      a.seed ? nullptr : output.mutable_data_ptr<T>(),
                      a.seed ? output.mutable_data_ptr<int64_t>() : nullptr,
                      a.seed ? a.seed->const_data_ptr<int64_t>() : nullptr,
                      temperature,
                      class_weights.mutable_data_ptr<double>()};
  Tensor scratch = new_empty(like, {s.batch, body.scratch_size()});
  body.scratch = scratch.mutable_data_ptr<T>();
  for (int64_t step = 0; step < s.steps; step += SEQLIGHT_CUDA_STEPS) {
    body.first_step = step;
    body.end = std::min<int64_t>(s.steps, step + SEQLIGHT_CUDA_STEPS);
    launch_blocks(s.batch, stream, body);
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

}  // namespace seqlight::cuda
