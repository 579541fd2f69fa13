// The operator wavenet_generate on the CPU: the loop over time steps, the layers' ring buffers, drawing of classes. The
// arithmetic is in wavenet_generate.inl.
#include <cmath>
#include <cstring>
#include <tuple>

#include "../call_counts.h"
#include "../cells/categorical.h"
#include "../cells/philox.h"
#include "../wavenet_generate_checks.h"
#include "aligned_buffer.h"
#include "causal_conv1d.h"
#include "old_glibc.h"
#include "wavenet_generate_kernels.h"

namespace seqlight::cpu {
namespace {

template <typename T>
const StepKernels<T>& step_kernels() {
  const auto choose = [](const StepKernels<float>& of_float, const StepKernels<double>& of_double) -> const auto& {
    if constexpr (std::is_same_v<T, float>)
      return of_float;
    else
      return of_double;
  };
#if defined(__x86_64__)
  if (instruction_set() == InstructionSet::avx512) return choose(avx512_512::step_float, avx512_512::step_double);
  if (instruction_set() == InstructionSet::avx2) return choose(avx2_256::step_float, avx2_256::step_double);
#endif
  return choose(base::step_float, base::step_double);
}

struct HostMath {
  static double exp(double x) { return std::exp(x); }
};

// A matrix product's packed weights and bias.
template <typename T>
struct PackedProduct {
  int64_t depth, vectors;
  bool gate;
  AlignedBuffer<T> weights, bias;

  // Of `columns` outputs; with `gate`, as many of a and of b.
  PackedProduct(int64_t depth_, int64_t columns, bool gate_)
      : depth(depth_),
        vectors((columns + lanes() - 1) / lanes() * (gate_ ? 2 : 1)),
        gate(gate_),
        weights(depth * vectors * lanes()),
        bias(vectors * lanes()) {}

  static int64_t lanes() { return step_kernels<T>().lanes; }

  // Column c's weight for input d + i is source[c * column_stride + i * input_stride].
  void pack(int64_t d, const T* source, int64_t column_stride, int64_t input_stride, int64_t inputs, int64_t columns) {
    for (int64_t i = 0; i < inputs; ++i)
      step_kernels<T>().pack_row(source + i * input_stride, column_stride, columns, gate, depth, d + i, weights.data());
  }
  void pack_bias(const T* source, int64_t columns) {
    step_kernels<T>().pack_row(source, 1, columns, gate, 1, 0, bias.data());
  }
};

int64_t round_up(int64_t n, int64_t unit) { return (n + unit - 1) / unit * unit; }

// All weights, packed once in a call and shared by all threads.
template <typename T>
struct PackedNet {
  std::vector<PackedProduct<T>> input;  // one for each tap; the bias is the first one's
  std::vector<PackedProduct<T>> conv, project, head;

  PackedNet(const WaveNetSizes& s, const WaveNetArguments& a) {
    const int64_t H = s.hidden, K = s.taps;
    for (int64_t k = 0; k < K; ++k) {
      input.emplace_back(s.inputs, H, false);
      input.back().pack(0, a.input_weight.const_data_ptr<T>() + k, s.inputs * K, K, s.inputs, H);
    }
    input[0].pack_bias(a.input_bias.const_data_ptr<T>(), H);
    for (int64_t l = 0; l < s.layers(); ++l) {
      conv.emplace_back(K * H + s.condition, H, s.gated);
      for (int64_t k = 0; k < K; ++k)
        conv.back().pack(k * H, a.conv_weights[l].const_data_ptr<T>() + k, H * K, K, H, H);
      if (s.condition)
        conv.back().pack(K * H, a.condition_weights[l].const_data_ptr<T>(), s.condition, 1, s.condition, H);
      conv.back().pack_bias(a.conv_biases[l].const_data_ptr<T>(), H);
    }
    for (int64_t l = 0; l < s.layers() && s.gated; ++l) project.push_back(packed_projection(s, a, l));
    for (std::size_t i = 0; i < a.head_weights.size(); ++i) {
      const int64_t columns = a.head_weights[i].size(0), depth = a.head_weights[i].size(1);
      head.emplace_back(depth, columns, false);
      head.back().pack(0, a.head_weights[i].const_data_ptr<T>(), depth, 1, depth, columns);
      head.back().pack_bias(a.head_biases[i].const_data_ptr<T>(), columns);
    }
  }

 private:
  // The 1x1 convolutions of residual and skip side by side, each padded to whole vectors; the last layer has the skip
  // alone.
  static PackedProduct<T> packed_projection(const WaveNetSizes& s, const WaveNetArguments& a, int64_t layer) {
    const int64_t lanes = PackedProduct<T>::lanes(), residual = s.residual(layer) ? s.hidden : 0;
    const int64_t before_skip = round_up(residual, lanes), columns = before_skip + round_up(s.skip, lanes);
    const T* const weight = a.project_weights[layer].template const_data_ptr<T>();
    const T* const bias = a.project_biases[layer].template const_data_ptr<T>();
    std::vector<T> padded(columns * s.hidden), padded_bias(columns);
    for (int64_t row = 0; row < residual + s.skip; ++row) {
      const int64_t column = row < residual ? row : before_skip + row - residual;
      std::copy_n(weight + row * s.hidden, s.hidden, padded.begin() + column * s.hidden);
      padded_bias[column] = bias[row];
    }
    PackedProduct<T> result(s.hidden, columns, false);
    result.pack(0, padded.data(), s.hidden, 1, s.hidden, columns);
    result.pack_bias(padded_bias.data(), columns);
    return result;
  }
};

// Generates some rows of the batch. Rows of numbers in its own memory are padded to whole vectors.
template <typename T>
class Generator {
 public:
  Generator(const WaveNetSizes& s, const WaveNetArguments& a, const PackedNet<T>& net, double temperature,
            int64_t first_row, int64_t rows)
      : s_(s),
        a_(a),
        net_(net),
        kernel_(step_kernels<T>()),
        temperature_(temperature),
        first_row_(first_row),
        rows_(rows),
        hidden_(padded(s.hidden)),
        width_(hidden_ + padded(s.skip)),
        head_width_(widest_head(net)),
        x_(rows * padded(s.inputs)),
        coming_(s.taps * rows * hidden_),
        ring_memory_(rows * s.state_length * hidden_),
        residual_and_skip_(rows * width_),
        unit_(rows * hidden_),
        head_(2 * rows * head_width_),
        row_biases_(a.static_terms && s.layers() ? s.layers() * rows * net.conv[0].vectors * kernel_.lanes : 0),
        class_weights_(a.seed ? s.outputs : 0),
        pointers_((s.taps + 1) * rows) {
    T* ring = ring_memory_.data();
    for (int64_t l = 0; l < s.layers(); ++l) {
      rings_.push_back(ring);
      ring += s.layer_state_length(l) * rows * hidden_;
    }
    read_state();
    if (a.static_terms && s.layers()) add_static_terms();
  }

  // `values` [B, steps, O] or, where classes are drawn, `classes` [B, steps].
  void run(T* values, int64_t* classes) {
    const int64_t padded_inputs = padded(s_.inputs);
    const T* const first = a_.first.template const_data_ptr<T>() + first_row_ * s_.inputs;
    for (int64_t r = 0; r < rows_; ++r)
      std::memcpy(x_.data() + r * padded_inputs, first + r * s_.inputs, s_.inputs * sizeof(T));
    for (int64_t step = 0; step < s_.steps; ++step) {
      if (step == 0 || !classes)
        add_input(x_.data(), padded_inputs, step);
      else
        for (int64_t r = 0; r < rows_; ++r) add_class(classes[(first_row_ + r) * s_.steps + step - 1], r, step);
      take_input(step);
      for (int64_t l = 0; l < s_.layers(); ++l) run_layer(l, step);
      const T* const out = run_head();
      for (int64_t r = 0; r < rows_; ++r) {
        const int64_t place = (first_row_ + r) * s_.steps + step;
        if (classes) {
          classes[place] = draw(out + r * head_width_, step, first_row_ + r);
        } else {
          std::memcpy(values + place * s_.outputs, out + r * head_width_, s_.outputs * sizeof(T));
          std::memcpy(x_.data() + r * padded_inputs, out + r * head_width_, s_.outputs * sizeof(T));
        }
      }
    }
  }

  // Into [B, state_length, H], as it came in.
  void write_state(T* states) const {
    for_ring_rows(s_.steps, [&](int64_t r, int64_t row, const T* slot) {
      std::memcpy(states + ((first_row_ + r) * s_.state_length + row) * s_.hidden, slot, s_.hidden * sizeof(T));
    });
  }

 private:
  int64_t padded(int64_t n) const { return round_up(n, kernel_.lanes); }

  static int64_t widest_head(const PackedNet<T>& net) {
    int64_t vectors = 0;
    for (const PackedProduct<T>& layer : net.head) vectors = std::max(vectors, layer.vectors);
    return vectors * PackedProduct<T>::lanes();
  }

  // Calls body(row of the batch, row of the state, place) for the rings' rows at time `step`, the oldest first.
  template <typename Body>
  void for_ring_rows(int64_t step, const Body& body) const {
    for (int64_t l = 0, first = 0; l < s_.layers(); ++l) {
      const int64_t slots = s_.layer_state_length(l);
      for (int64_t i = 0; i < slots; ++i)
        for (int64_t r = 0; r < rows_; ++r) body(r, first + i, rings_[l] + ((step + i) % slots * rows_ + r) * hidden_);
      first += slots;
    }
  }

  void read_state() {
    const T* const states = a_.states.template const_data_ptr<T>();
    for_ring_rows(0, [&](int64_t r, int64_t row, T* slot) {
      std::memcpy(slot, states + ((first_row_ + r) * s_.state_length + row) * s_.hidden, s_.hidden * sizeof(T));
    });
    // What the inputs before the first one add to steps 0 ... K - 2; what they added to steps before is dropped.
    const int64_t before = s_.taps - 1, inputs = padded(s_.inputs);
    const T* const state = a_.input_state.template const_data_ptr<T>();
    AlignedBuffer<T> row(rows_ * inputs);
    for (int64_t step = -before; step < 0; ++step) {
      for (int64_t r = 0; r < rows_; ++r)
        std::memcpy(row.data() + r * inputs, state + ((first_row_ + r) * before + step + before) * s_.inputs,
                    s_.inputs * sizeof(T));
      add_input(row.data(), inputs, step);
      std::memset(coming(step), 0, rows_ * hidden_ * sizeof(T));
    }
  }

  void add_static_terms() {
    const int64_t channels = s_.pre_channels(), packed = net_.conv[0].vectors * kernel_.lanes;
    std::vector<T> sum(channels);
    for (int64_t l = 0; l < s_.layers(); ++l)
      for (int64_t r = 0; r < rows_; ++r) {
        const T* const bias = a_.conv_biases[l].template const_data_ptr<T>();
        const T* const terms =
            a_.static_terms->template const_data_ptr<T>() + ((first_row_ + r) * s_.layers() + l) * channels;
        for (int64_t c = 0; c < channels; ++c) sum[c] = bias[c] + terms[c];
        kernel_.pack_row(sum.data(), 1, s_.hidden, s_.gated, 1, 0, row_biases_.data() + (l * rows_ + r) * packed);
      }
  }

  // What inputs up to now add to the first convolution's output at `step`, [rows][hidden_].
  T* coming(int64_t step) const { return coming_.data() + (step + s_.taps) % s_.taps * rows_ * hidden_; }

  void product(const PackedProduct<T>& weights, int64_t segments, const int64_t* depths, const T* bias,
               int64_t bias_stride, StepEpilogue epilogue, T* out, int64_t out_stride) {
    kernel_.product({rows_, segments, pointers_.data(), depths, weights.vectors, weights.weights.data(), bias,
                     bias_stride, epilogue, out, out_stride});
  }

  void product(const PackedProduct<T>& weights, const T* in, int64_t in_stride, StepEpilogue epilogue, T* out,
               int64_t out_stride) {
    for (int64_t r = 0; r < rows_; ++r) pointers_[r] = in + r * in_stride;
    product(weights, 1, &weights.depth, weights.bias.data(), 0, epilogue, out, out_stride);
  }

  // Adds the input of `step` to the outputs that it reaches. The first tap's weights carry the bias, and reach last.
  void add_input(const T* in, int64_t in_stride, int64_t step) {
    for (int64_t k = 0; k < s_.taps; ++k)
      product(net_.input[k], in, in_stride, StepEpilogue::add, coming(step + s_.taps - 1 - k), hidden_);
  }

  void add_class(int64_t index, int64_t r, int64_t step) {
    for (int64_t k = 0; k < s_.taps; ++k) {
      const PackedProduct<T>& tap = net_.input[k];
      T* const target = coming(step + s_.taps - 1 - k) + r * hidden_;
      kernel_.add_packed_row(tap.weights.data(), tap.vectors, tap.depth, index, target);
      if (k == 0) kernel_.add_packed_row(tap.bias.data(), tap.vectors, 1, 0, target);
    }
  }

  void take_input(int64_t step) {
    T* const ready = coming(step);
    for (int64_t r = 0; r < rows_; ++r) {
      T* const target = residual_and_skip_.data() + r * width_;
      for (int64_t h = 0; h < hidden_; ++h) {
        const T value = ready[r * hidden_ + h];
        target[h] = !s_.gated && value < T(0) ? T(0) : value;
      }
      std::memset(target + hidden_, 0, (width_ - hidden_) * sizeof(T));
    }
    std::memset(ready, 0, rows_ * hidden_ * sizeof(T));
  }

  void run_layer(int64_t l, int64_t step) {
    const int64_t slots = s_.layer_state_length(l), dilation = s_.dilations[l], K = s_.taps;
    T* const inputs = residual_and_skip_.data();
    T* const ring = rings_[l];
    int64_t segments = 0;
    for (int64_t k = 0; k < K - 1; ++k, ++segments)
      for (int64_t r = 0; r < rows_; ++r)
        pointers_[segments * rows_ + r] = ring + ((step + k * dilation) % slots * rows_ + r) * hidden_;
    for (int64_t r = 0; r < rows_; ++r) pointers_[segments * rows_ + r] = inputs + r * width_;
    ++segments;
    if (s_.condition) {
      const T* const condition = a_.condition->template const_data_ptr<T>();
      for (int64_t r = 0; r < rows_; ++r)
        pointers_[segments * rows_ + r] = condition + ((first_row_ + r) * s_.steps + step) * s_.condition;
      ++segments;
    }
    depths_.assign(segments, s_.hidden);
    if (s_.condition) depths_.back() = s_.condition;
    const PackedProduct<T>& conv = net_.conv[l];
    const int64_t packed = conv.vectors * kernel_.lanes;
    const T* const bias = a_.static_terms ? row_biases_.data() + l * rows_ * packed : conv.bias.data();
    product(conv, segments, depths_.data(), bias, a_.static_terms ? packed : 0,
            s_.gated ? StepEpilogue::gate : StepEpilogue::relu, unit_.data(), hidden_);
    if (slots)
      for (int64_t r = 0; r < rows_; ++r)
        std::memcpy(ring + (step % slots * rows_ + r) * hidden_, inputs + r * width_, hidden_ * sizeof(T));
    if (s_.gated)
      product(net_.project[l], unit_.data(), hidden_, StepEpilogue::add, inputs + (s_.residual(l) ? 0 : hidden_),
              width_);
    else
      for (int64_t r = 0; r < rows_; ++r)
        std::memcpy(inputs + r * width_, unit_.data() + r * hidden_, hidden_ * sizeof(T));
  }

  // Gives the output of each row, head_width_ apart.
  const T* run_head() {
    const T* in = residual_and_skip_.data() + (s_.gated ? hidden_ : 0);
    int64_t in_stride = width_;
    if (s_.gated)
      for (int64_t r = 0; r < rows_; ++r) {
        T* const skip = residual_and_skip_.data() + r * width_ + hidden_;
        for (int64_t c = 0; c < s_.skip; ++c) skip[c] = skip[c] < T(0) ? T(0) : skip[c];
      }
    for (std::size_t i = 0; i < net_.head.size(); ++i) {
      T* const out = head_.data() + i % 2 * rows_ * head_width_;
      product(net_.head[i], in, in_stride, i + 1 < net_.head.size() ? StepEpilogue::relu : StepEpilogue::none, out,
              head_width_);
      in = out;
      in_stride = head_width_;
    }
    return in;
  }

  int64_t draw(const T* logits, int64_t step, int64_t row) {
    const uint64_t seed = static_cast<uint64_t>(*a_.seed->template const_data_ptr<int64_t>());
    const PhiloxWords words = philox4x32(seed, {{0, static_cast<uint32_t>(step), static_cast<uint32_t>(row), 0}});
    const double most = largest_logit(logits, s_.outputs);
    for (int64_t i = 0; i < s_.outputs; ++i)
      class_weights_.data()[i] = class_weight<HostMath>(logits[i], most, temperature_);
    return draw_class(class_weights_.data(), s_.outputs, philox_uniform(words.word[0]));
  }

  const WaveNetSizes& s_;
  const WaveNetArguments& a_;
  const PackedNet<T>& net_;
  const StepKernels<T>& kernel_;
  const double temperature_;
  const int64_t first_row_, rows_, hidden_, width_, head_width_;
  AlignedBuffer<T> x_, coming_, ring_memory_, residual_and_skip_, unit_, head_, row_biases_;
  AlignedBuffer<double> class_weights_;
  // By layer, [slots][rows][hidden_]: what was its input at time t lies in slot t % slots.
  std::vector<T*> rings_;
  std::vector<const T*> pointers_;
  std::vector<int64_t> depths_;
};

template <typename T>
std::tuple<Tensor, Tensor> generate(const WaveNetSizes& s, const WaveNetArguments& a, double temperature) {
  Tensor output = a.seed ? torch::stable::new_empty(a.first, {s.batch, s.steps}, ScalarType::Long)
                         : torch::stable::new_empty(a.first, {s.batch, s.steps, s.outputs});
  Tensor states = torch::stable::new_empty(a.states, {s.batch, s.state_length, s.hidden});
  if (s.batch == 0) return {output, states};
  T* const values = a.seed ? nullptr : output.mutable_data_ptr<T>();
  int64_t* const classes = a.seed ? output.mutable_data_ptr<int64_t>() : nullptr;
  T* const new_states = states.mutable_data_ptr<T>();
  const PackedNet<T> net(s, a);

  // Rows that share one reading of the weights stay with one thread.
  const int64_t most_rows = step_kernels<T>().most_rows;
  const double work = static_cast<double>(s.batch) * s.steps * s.layers() * s.taps * s.hidden * s.pre_channels();
  const int64_t workers = worker_count((s.batch + most_rows - 1) / most_rows, work);
  const int64_t threads = run(workers, [&](int64_t worker) {
    const int64_t first = s.batch * worker / workers, last = s.batch * (worker + 1) / workers;
    Generator<T> generator(s, a, net, temperature, first, last - first);
    generator.run(values, classes);
    generator.write_state(new_states);
  });
  count_call(Op::wavenet_generate, std::is_same_v<T, double>, threads);
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
  a.condition = dense(a.condition);
  a.static_terms = dense(a.static_terms);
  if (first.scalar_type() == ScalarType::Float) return generate<float>(s, a, temperature);
  STD_TORCH_CHECK(first.scalar_type() == ScalarType::Double,
                  "wavenet_generate: first expected float32 or float64, got ",
                  torch::headeronly::toString(first.scalar_type()));
  return generate<double>(s, a, temperature);
}

}  // namespace

STABLE_TORCH_LIBRARY_IMPL(seqlight, CPU, m) { m.impl("wavenet_generate", TORCH_BOX(&wavenet_generate)); }

}  // namespace seqlight::cpu
