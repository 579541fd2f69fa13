// A recurrent layer on CUDA for any cell: the kernels around the cell's equations, and the loop over time steps.
//
// NOT YET RUN ON A GPU. It compiles with nvcc for sm_80, sm_90 and PTX with warnings as errors, and its logic is tested
// on the CPU, element by element (launch.cuh); nobody has run or timed it on a device.
//
// The form is the simple stepwise one. For a chunk of time steps, one library product gives the input's share of the
// sums; then each step is one library product with the recurrent weights and one kernel for the rest of the cell, layer
// normalisation, recurrent dropout and zoneout included. Backward goes through the steps the other way and takes the
// products for weights and input once per chunk. What layer normalisation needs of the products is not kept: backward
// computes a chunk's products again.
//
// - Everything runs on torch's current stream. No atomics: the same call gives the same bits.
// - Lengths and seeds are on the device and cannot be looked at without waiting for it. seqlight.ops checks them; here
//   a length beyond T counts as T, one below 0 as 0.
//
// A cell is a struct template of the number type with
//   kGates       row blocks of the weights
//   kSaved       numbers per unit and step that backward needs, in saved [T, B, kSaved * H]
//   kCellState   whether it has a state c beside h
//   kTogether    the first so many gates' products are normalised together, the others' each by itself; 0: the
//                products are not normalised, what is normalised is up to the cell
//   kSeparate    whether the gradients for input and recurrent sums differ (and those of the two biases)
//   kExtraTerms  row blocks of its own weights (`extra`), and of
//   kNormTerms   the last rows of the layer norm's weights, whose gradients it writes term by term
//   forward(row, threads), backward(row, threads): one step of one row, of which each thread computes some units.
#pragma once

#include <algorithm>
#include <tuple>
#include <utility>

#include "../call_counts.h"
#include "../cells/philox.h"
#include "../recurrent_checks.h"
#include "layer_norm.cuh"
#include "tensors.cuh"

#ifndef SEQLIGHT_CUDA_CHUNK                     // tests of the chunks set it low
#define SEQLIGHT_CUDA_CHUNK (int64_t{1} << 24)  // numbers in a chunk of time steps: 64 MiB in float32
#endif

namespace seqlight::cuda {

// ------------------------------------------------------------------------------------------------------------ kernels
// Buffers are contiguous in the order of their comment unless strides are given.

// Which time steps belong to a row, and in which order they are run.
struct Rows {
  const int64_t* lengths;  // [B] or null
  int64_t time;
  bool reverse;

  SEQLIGHT_CELL bool contains(int64_t row, int64_t step) const {
    return step >= 0 && step < time && (lengths == nullptr || step < lengths[row]);
  }
  SEQLIGHT_CELL int64_t before(int64_t step) const { return reverse ? step + 1 : step - 1; }
};

// Zoneout of the states h and c: where a random word is below the threshold the state keeps its value; without random
// numbers, both values are mixed in proportion.
template <typename T>
struct Zoneout {
  bool on;
  const int64_t* seed;  // null: no random numbers
  T h, c;               // probabilities
  uint32_t h_below, c_below;
};

// That of one state of one unit: which share of the state before is kept.
template <typename T>
struct Kept {
  bool whole;  // the share is 0 or 1, and the other value must not count even if it is NaN
  T share;

  SEQLIGHT_CELL T mix(T candidate, T before) const {
    if (whole) return share != 0 ? before : candidate;
    return candidate + share * (before - candidate);
  }
  // Splits a state's gradient: what the state before gets, and, left in `grad`, what the candidate gets.
  SEQLIGHT_CELL T split(T& grad) const {
    const T all = grad, before = whole ? (share != 0 ? all : T(0)) : all * share;
    grad = whole && share != 0 ? T(0) : all - before;
    return before;
  }
};

template <typename T>
struct UnitZoneout {
  Kept<T> h, c;
};

// The words' counters are (unit, time step, row, 0); word 0 is for h, word 1 for c.
template <typename T>
SEQLIGHT_CELL UnitZoneout<T> unit_zoneout(const Zoneout<T>& z, int64_t unit, int64_t step, int64_t row) {
  if (!z.on) return {{true, T(0)}, {true, T(0)}};
  if (z.seed == nullptr) return {{false, z.h}, {false, z.c}};
  const PhiloxWords words =
      philox4x32(static_cast<uint64_t>(*z.seed),
                 {{static_cast<uint32_t>(unit), static_cast<uint32_t>(step), static_cast<uint32_t>(row), 0}});
  return {{true, words.word[0] < z.h_below ? T(1) : T(0)}, {true, words.word[1] < z.c_below ? T(1) : T(0)}};
}

// What the steps of a layer have in common.
template <typename T>
struct Layer {
  Rows rows;
  int64_t batch, hidden;
  const T* h0;       // [B, H]
  const T* c0;       // [B, H] or null
  const T* bias_ih;  // [G * H] or null; forward only
  const T* bias_hh;  // likewise
  const T* extra;    // [kExtraTerms, H] or null: weights of the cell's own
  const T* norm;     // layer normalisation: gains of the input products, of the recurrent products, the cell's own
  const T* mask;     // [B, H], multiplies h where it enters the recurrent product; or null
  Zoneout<T> zoneout;
  bool relu;

  // The state before a step, from the output [B, T, H]: that of the step before, or the initial one.
  SEQLIGHT_CELL T h_before(const T* output, int64_t row, int64_t step, int64_t unit) const {
    const int64_t before = rows.before(step);
    return rows.contains(row, before) ? output[(row * rows.time + before) * hidden + unit] : h0[row * hidden + unit];
  }
  SEQLIGHT_CELL T masked(T h, int64_t row, int64_t unit) const { return mask ? h * mask[row * hidden + unit] : h; }
};

// [steps, B, width] from [B, T, width]: the steps from `first` on, zeros outside each row's length, so that what
// stands there (NaN, too) reaches no sum. Element: (step, row, feature).
template <typename T>
struct GatherSteps {
  Rows rows;
  StridedRows<T> source;
  int64_t first, batch, width;
  T* target;

  __device__ void operator()(int64_t i) const {
    const int64_t row = i / width % batch, step = first + i / width / batch;
    target[i] = rows.contains(row, step) ? source(row, step, i % width) : T(0);
  }
};

// [steps, B, H]: the hidden state that enters each step's recurrent product, zeros outside each row's length. Element:
// (step, row, unit).
template <typename T>
struct GatherHiddenBefore {
  Layer<T> layer;
  const T* output;  // [B, T, H]
  int64_t first;
  T* target;

  __device__ void operator()(int64_t i) const {
    const int64_t unit = i % layer.hidden, row = i / layer.hidden % layer.batch;
    const int64_t step = first + i / layer.hidden / layer.batch;
    target[i] =
        layer.rows.contains(row, step) ? layer.masked(layer.h_before(output, row, step, unit), row, unit) : T(0);
  }
};

// Back from [steps, B, width] to [B, T, width]; zeros outside each row's length. Element: (step, row, feature).
template <typename T>
struct ScatterSteps {
  Rows rows;
  const T* source;
  int64_t first, batch, width;
  T* target;

  __device__ void operator()(int64_t i) const {
    const int64_t row = i / width % batch, step = first + i / width / batch;
    target[(row * rows.time + step) * width + i % width] = rows.contains(row, step) ? source[i] : T(0);
  }
};

// h0 as it enters the first recurrent product. Element: (row, unit).
template <typename T>
struct MaskHidden {
  const T* h;
  const T* mask;
  T* target;

  __device__ void operator()(int64_t i) const { target[i] = h[i] * mask[i]; }
};

// The spans of gates whose products are normalised together.
template <typename Cell, typename Body>
__device__ void for_each_span(const Body& body) {
  for (int first = 0, last = Cell::kTogether; first < Cell::kGates; first = last, last = Cell::kGates)
    body(first, last - first);
}

// Replaces a row's product [G, H] by gain * normalised.
template <typename Cell, typename T>
__device__ void normalize_product(const Threads& threads, int64_t hidden, const T* gain, T* product) {
  for_each_span<Cell>([&](int first, int blocks) {
    T* const numbers = product + first * hidden;
    const Moments<T> moments = moments_of<T>(threads, hidden, blocks, [&](int64_t i) { return numbers[i]; });
    each_in_blocks(threads, hidden, blocks,
                   [&](int64_t i) { numbers[i] = moments.normalize(numbers[i]) * gain[first * hidden + i]; });
  });
}

// Backward of the same, from the raw product and the gradient [G, H] for what it was turned into. Replaces the product
// by the terms of the gain's gradient.
template <typename Cell, typename T>
__device__ void normalize_product_backward(const Threads& threads, int64_t hidden, const T* gain, const T* grad,
                                           T* product, T* target) {
  for_each_span<Cell>([&](int first, int blocks) {
    const int64_t begin = first * hidden;
    T* const numbers = product + begin;
    const Moments<T> moments = moments_of<T>(threads, hidden, blocks, [&](int64_t i) { return numbers[i]; });
    const auto scaled = [&](int64_t i) { return rounded_product(grad[begin + i], gain[begin + i]); };
    const NormGradient<T> norm = norm_gradient_of<T>(threads, hidden, blocks, moments, scaled,
                                                     [&](int64_t i) { return moments.normalize(numbers[i]); });
    each_in_blocks(threads, hidden, blocks, [&](int64_t i) {
      const T normalized = moments.normalize(numbers[i]);
      target[begin + i] = norm(scaled(i), normalized);
      numbers[i] = grad[begin + i] * normalized;
    });
  });
}

// One step of one row as the cell sees it.
template <typename T>
struct ForwardRow {
  const Layer<T>& layer;
  int64_t step, row;
  T* from_input;   // [G, H], products without biases; a cell may keep numbers of its units there
  T* from_hidden;  // [G, H], likewise
  T* h;            // [H], the state before the step on entry, after it on return
  T* masked_h;     // [H], the same as it enters the next recurrent product; or null
  T* c;            // [H], likewise
  T* output;       // [H]
  T* saved;        // [kSaved, H] or null

  SEQLIGHT_CELL T bias(const T* of_gates, int64_t place) const { return of_gates ? of_gates[place] : T(0); }
  SEQLIGHT_CELL T input_sum(int gate, int64_t unit) const {
    const int64_t place = gate * layer.hidden + unit;
    return from_input[place] + bias(layer.bias_ih, place);
  }
  SEQLIGHT_CELL T hidden_sum(int gate, int64_t unit) const {
    const int64_t place = gate * layer.hidden + unit;
    return from_hidden[place] + bias(layer.bias_hh, place);
  }
  SEQLIGHT_CELL UnitZoneout<T> zoneout(int64_t unit) const { return unit_zoneout(layer.zoneout, unit, step, row); }
  SEQLIGHT_CELL void save(int index, int64_t unit, T value) const {
    if (saved) saved[index * layer.hidden + unit] = value;
  }
  // Writes the new state, of which `candidate` is what the cell itself computed.
  SEQLIGHT_CELL void finish(int64_t unit, T candidate) const {
    const T next = zoneout(unit).h.mix(candidate, h[unit]);
    h[unit] = next;
    if (masked_h) masked_h[unit] = layer.masked(next, row, unit);
    output[unit] = next;
  }
};

template <typename T, template <typename> typename CellOf>
struct ForwardStep {
  using Cell = CellOf<T>;
  Layer<T> layer;
  int64_t step;
  T* from_input;   // [B, G * H] of this step
  T* from_hidden;  // [B, G * H]
  T* h;            // [B, H]
  T* masked_h;     // [B, H] or null
  T* c;            // [B, H] or null
  T* output;       // [B, T, H]
  T* saved;        // [B, kSaved, H] of this step, or null

  __device__ void operator()(int64_t row, const Threads& threads) const {
    const int64_t H = layer.hidden, sums = row * Cell::kGates * H;
    T* const out = output + (row * layer.rows.time + step) * H;
    if (!layer.rows.contains(row, step)) {
      threads.each(H, [&](int64_t unit) { out[unit] = 0; });
      return;
    }
    if constexpr (Cell::kTogether > 0)
      if (layer.norm) {
        normalize_product<Cell>(threads, H, layer.norm, from_input + sums);
        normalize_product<Cell>(threads, H, layer.norm + Cell::kGates * H, from_hidden + sums);
      }
    const auto of_row = [&](T* numbers) { return numbers ? numbers + row * H : nullptr; };
    Cell::forward(ForwardRow<T>{layer, step, row, from_input + sums, from_hidden + sums, of_row(h), of_row(masked_h),
                                of_row(c), out, saved ? saved + row * Cell::kSaved * H : nullptr},
                  threads);
  }
};

// The gradient for the hidden state between two steps: what went past the later step's cell, and, where that step
// belongs to the row, what came through it.
template <typename T>
struct HiddenGradient {
  Layer<T> layer;
  int64_t later;        // the step that ran after this point, or -1 at the end of the sequence
  const T* from_later;  // [B, H], its product of gradients and weight_hh
  T* carried;           // [B, H]

  SEQLIGHT_CELL T operator()(int64_t row, int64_t unit) const {
    const int64_t i = row * layer.hidden + unit;
    return layer.rows.contains(row, later) ? carried[i] + layer.masked(from_later[i], row, unit) : carried[i];
  }
};

// One step of one row as the cell sees it backward.
template <typename T>
struct BackwardRow {
  const Layer<T>& layer;
  int64_t step, row;
  const HiddenGradient<T>& grad_after;
  const StridedRows<T>& grad_output;
  const T* output;        // [B, T, H]
  const T* saved;         // [kSaved, H]
  const T* saved_before;  // [kSaved, H] of the step before, or null: then the initial states stand before
  T* carried;             // [H]
  T* grad_c;              // [H], for the state after the step on entry, before it on return; or null
  T* grad_input_sums;     // [G, H]; the same memory as the next if the cell does not tell them apart
  T* grad_hidden_sums;    // [G, H]
  T* extra_terms;         // [kExtraTerms, H] or null
  T* norm_terms;          // [kNormTerms, H] or null

  SEQLIGHT_CELL T grad_h(int64_t unit) const { return grad_after(row, unit) + grad_output(row, step, unit); }
  SEQLIGHT_CELL T h_before(int64_t unit) const { return layer.h_before(output, row, step, unit); }
  SEQLIGHT_CELL T kept(int index, int64_t unit) const { return saved[index * layer.hidden + unit]; }
  SEQLIGHT_CELL UnitZoneout<T> zoneout(int64_t unit) const { return unit_zoneout(layer.zoneout, unit, step, row); }
};

template <typename T, template <typename> typename CellOf>
struct BackwardStep {
  using Cell = CellOf<T>;
  Layer<T> layer;
  int64_t step;
  HiddenGradient<T> grad_after;
  StridedRows<T> grad_output;
  const T* output;      // [B, T, H]
  const T* saved;       // [T, B, kSaved, H]
  T* grad_c;            // [B, H] or null
  T* grad_input_sums;   // [B, G * H] of this step, zeros outside each row's length, like all that follow
  T* grad_hidden_sums;  // likewise; see BackwardRow
  T* input_products;    // with normalised products: these without gains, on return the terms of the gains' gradients
  T* hidden_products;   // likewise
  T* grad_input;        // [B, G * H], for the input products; with no normalisation the sums' memory
  T* grad_hidden;       // likewise
  T* extra_terms;       // [B, kExtraTerms, H] or null
  T* norm_terms;        // [B, kNormTerms, H] or null

  __device__ void operator()(int64_t row, const Threads& threads) const {
    const int64_t H = layer.hidden, sums = row * Cell::kGates * H;
    const auto of_row = [&](T* numbers, int64_t blocks) { return numbers ? numbers + row * blocks * H : nullptr; };
    T* const carried = of_row(grad_after.carried, 1);
    T* const extra = of_row(extra_terms, Cell::kExtraTerms);
    T* const norm = of_row(norm_terms, Cell::kNormTerms);
    if (!layer.rows.contains(row, step)) {
      threads.each(H, [&](int64_t unit) {
        carried[unit] = grad_after(row, unit);
        const auto clear = [&](T* numbers, int blocks) {
          for (int block = 0; numbers && block < blocks; ++block) numbers[block * H + unit] = 0;
        };
        for (T* numbers : {grad_input_sums, grad_hidden_sums, input_products, hidden_products, grad_input, grad_hidden})
          clear(of_row(numbers, Cell::kGates), Cell::kGates);
        clear(extra, Cell::kExtraTerms);
        clear(norm, Cell::kNormTerms);
      });
      return;
    }
    const int64_t before = layer.rows.before(step);
    const auto kept = [&](int64_t at) { return saved + (at * layer.batch + row) * Cell::kSaved * H; };
    Cell::backward(BackwardRow<T>{layer, step, row, grad_after, grad_output, output, kept(step),
                                  layer.rows.contains(row, before) ? kept(before) : nullptr, carried, of_row(grad_c, 1),
                                  grad_input_sums + sums, grad_hidden_sums + sums, extra, norm},
                   threads);
    if constexpr (Cell::kTogether > 0)
      if (layer.norm) {
        normalize_product_backward<Cell>(threads, H, layer.norm, grad_input_sums + sums, input_products + sums,
                                         grad_input + sums);
        normalize_product_backward<Cell>(threads, H, layer.norm + Cell::kGates * H, grad_hidden_sums + sums,
                                         hidden_products + sums, grad_hidden + sums);
      }
  }
};

// The gradient for h0, once all steps are done. Element: (row, unit).
template <typename T>
struct InitialHiddenGradient {
  HiddenGradient<T> grad_h;
  T* target;  // [B, H]

  __device__ void operator()(int64_t i) const { target[i] = grad_h(i / grad_h.layer.hidden, i % grad_h.layer.hidden); }
};

// --------------------------------------------------------------------------------------------------------------- host

// The arguments that forward and backward have in common.
struct RecurrentInputs {
  Tensor x, h0;
  MaybeTensor c0;
  Tensor weight_ih, weight_hh;
  MaybeTensor bias_ih, bias_hh, extra, norm;
  RecurrentOptions options;
  bool relu, reverse;
};

// On one device, outside of autograd, and contiguous but for x.
inline RecurrentInputs ready(const char* op, const RecurrentInputs& given) {
  RecurrentInputs in = given;
  for (const auto& [name, tensor] :
       {std::pair{"lengths", &in.options.lengths}, std::pair{"zoneout_seed", &in.options.zoneout_seed}})
    STD_TORCH_CHECK(!*tensor || (*tensor)->device() == in.x.device(), op, ": ", name,
                    " expected on the device of x, got another one");
  in.x = detached(in.x);
  for (Tensor* tensor : {&in.h0, &in.weight_ih, &in.weight_hh}) *tensor = prepared(*tensor);
  for (MaybeTensor* tensor : {&in.c0, &in.bias_ih, &in.bias_hh, &in.extra, &in.norm, &in.options.hidden_mask,
                              &in.options.zoneout_seed, &in.options.lengths})
    *tensor = prepared(*tensor);
  return in;
}

template <typename T>
Layer<T> layer_of(const RecurrentSizes& s, const RecurrentInputs& in) {
  const RecurrentOptions& options = in.options;
  const auto below = [](double probability) {
    return static_cast<uint32_t>(std::min(probability * 0x1p32, 0x1p32 - 1));
  };
  const Zoneout<T> zoneout = {options.zoneout_h > 0 || options.zoneout_c > 0,
                              data_of<int64_t>(options.zoneout_seed),
                              static_cast<T>(options.zoneout_h),
                              static_cast<T>(options.zoneout_c),
                              below(options.zoneout_h),
                              below(options.zoneout_c)};
  return {{data_of<int64_t>(options.lengths), s.time, in.reverse},
          s.batch,
          s.hidden_size,
          in.h0.const_data_ptr<T>(),
          data_of<T>(in.c0),
          data_of<T>(in.bias_ih),
          data_of<T>(in.bias_hh),
          data_of<T>(in.extra),
          data_of<T>(in.norm),
          data_of<T>(options.hidden_mask),
          zoneout,
          in.relu};
}

// The steps are gone through in chunks, so that the memory beyond inputs and results stays bounded.
struct Chunk {
  int64_t first, steps;
};

class Chunks {
 public:
  // `width` is the most numbers that a buffer of the caller has for a row and step.
  Chunks(const RecurrentSizes& s, int64_t width, bool ascending)
      : time_(s.time),
        most_(std::clamp<int64_t>(SEQLIGHT_CUDA_CHUNK / std::max<int64_t>(1, width * s.batch), 1, s.time)),
        ascending_(ascending) {}

  int64_t most() const { return most_; }
  int64_t count() const { return (time_ + most_ - 1) / most_; }
  Chunk operator[](int64_t index) const {
    const int64_t first = (ascending_ ? index : count() - 1 - index) * most_;
    return {first, std::min(most_, time_ - first)};
  }
  // The k-th step of a chunk in the order in which they are run.
  int64_t step(const Chunk& chunk, int64_t k) const {
    return ascending_ ? chunk.first + k : chunk.first + chunk.steps - 1 - k;
  }

 private:
  int64_t time_, most_;
  bool ascending_;
};

// The first `steps` of [most, B, width] as a matrix [steps * B, width].
inline Tensor as_matrix(const Tensor& buffer, int64_t steps) {
  return torch::stable::view(narrowed(buffer, 0, 0, steps), {steps * buffer.size(1), buffer.size(2)});
}

// Uninitialised, in the form of the call's sequences or states; see recurrent_checks.h.
inline Tensor new_sequence(const Tensor& x, const RecurrentSizes& s, int64_t width) {
  return is_single_step(x) ? new_empty(x, {s.batch, width}) : new_empty(x, {s.batch, s.time, width});
}

// [B, H] of a state in either form, in the same memory.
inline Tensor as_rows(const Tensor& state, const RecurrentSizes& s) {
  return torch::stable::view(state, {s.batch, s.hidden_size});
}

struct RecurrentOutputs {
  Tensor output, h_n;
  MaybeTensor c_n;
  Tensor saved;
};

template <typename T, template <typename> typename CellOf>
RecurrentOutputs recurrent_forward(const RecurrentSizes& s, const RecurrentInputs& in, bool save_for_backward) {
  constexpr int64_t G = CellOf<T>::kGates, S = CellOf<T>::kSaved;
  const cudaStream_t stream = current_stream(in.x);
  const int64_t B = s.batch, I = s.input_size, H = s.hidden_size;
  const Layer<T> layer = layer_of<T>(s, in);
  Tensor output = new_sequence(in.x, s, H);
  Tensor h = torch::stable::clone(in.h0);
  MaybeTensor c;
  if (in.c0) c = torch::stable::clone(*in.c0);
  Tensor saved = save_for_backward ? new_empty(in.x, {s.time, B, S * H}) : new_empty(in.x, {0});
  if (B == 0) return {output, h, c, saved};

  const Chunks chunks(s, std::max(I, G * H), !in.reverse);
  const Tensor inputs = new_empty(in.x, {chunks.most(), B, I});
  const Tensor from_input = new_empty(in.x, {chunks.most(), B, G * H});
  const Tensor from_hidden = new_empty(in.x, {B, G * H});
  const Tensor input_weights = transposed(in.weight_ih), hidden_weights = transposed(in.weight_hh);
  Tensor entering = as_rows(h, s);  // what enters the recurrent product
  if (layer.mask) {
    entering = new_empty(in.x, {B, H});
    launch(B * H, stream, MaskHidden<T>{layer.h0, layer.mask, entering.mutable_data_ptr<T>()});
  }
  for (int64_t index = 0; index < chunks.count(); ++index) {
    const Chunk chunk = chunks[index];
    launch(chunk.steps * B * I, stream,
           GatherSteps<T>{layer.rows, rows_of<T>(in.x), chunk.first, B, I, inputs.mutable_data_ptr<T>()});
    multiply_into(as_matrix(from_input, chunk.steps), as_matrix(inputs, chunk.steps), input_weights);
    for (int64_t k = 0; k < chunk.steps; ++k) {
      const int64_t step = chunks.step(chunk, k);
      multiply_into(from_hidden, entering, hidden_weights);
      launch_rows(
          B, H, layer.norm != nullptr, stream,
          ForwardStep<T, CellOf>{layer, step, from_input.mutable_data_ptr<T>() + (step - chunk.first) * B * G * H,
                                 from_hidden.mutable_data_ptr<T>(), h.mutable_data_ptr<T>(),
                                 layer.mask ? entering.mutable_data_ptr<T>() : nullptr,
                                 c ? c->mutable_data_ptr<T>() : nullptr, output.mutable_data_ptr<T>(),
                                 save_for_backward ? saved.mutable_data_ptr<T>() + step * B * S * H : nullptr});
    }
  }
  return {output, h, c, saved};
}

// What backward takes beside the inputs.
struct RecurrentResults {
  MaybeTensor grad_output, grad_h_n, grad_c_n;
  Tensor output, saved;
  bool need_input_grad, need_weight_grad;
};

// [0] where none was asked for.
struct RecurrentGradients {
  Tensor x, h0;
  MaybeTensor c0;
  Tensor weight_ih, weight_hh, bias_ih, bias_hh, extra, norm;
};

template <typename T, template <typename> typename CellOf>
RecurrentGradients recurrent_backward(const RecurrentSizes& s, const RecurrentInputs& in,
                                      const RecurrentResults& results) {
  using Cell = CellOf<T>;
  constexpr int64_t G = Cell::kGates;
  const cudaStream_t stream = current_stream(in.x);
  const int64_t B = s.batch, I = s.input_size, H = s.hidden_size;
  const bool need_input = results.need_input_grad, need_weights = results.need_weight_grad;
  const Layer<T> layer = layer_of<T>(s, in);
  const bool normalized = Cell::kTogether > 0 && in.norm;
  const auto buffer = [&](bool needed, std::initializer_list<int64_t> shape) {
    return needed ? new_empty(in.x, shape) : new_empty(in.x, {0});
  };
  const auto zeros = [&](bool needed, std::initializer_list<int64_t> shape) {
    return needed ? new_zeros(in.x, shape) : new_empty(in.x, {0});
  };
  const auto pointer = [](const Tensor& tensor) { return tensor.numel() ? tensor.mutable_data_ptr<T>() : nullptr; };
  const auto copy_or_zeros = [&](const MaybeTensor& tensor) {
    return tensor ? torch::stable::clone(*tensor) : new_zeros(in.x, in.h0.sizes());
  };
  const int64_t norm_rows = in.norm ? in.norm->size(0) : 0;
  RecurrentGradients grad = {need_input ? new_sequence(in.x, s, I) : new_empty(in.x, {0}),
                             new_empty(in.x, in.h0.sizes()),
                             std::nullopt,
                             zeros(need_weights, {G * H, I}),
                             zeros(need_weights, {G * H, H}),
                             zeros(need_weights, {G * H}),
                             zeros(need_weights && Cell::kSeparate, {G * H}),
                             zeros(need_weights && in.extra, {Cell::kExtraTerms, H}),
                             zeros(need_weights && in.norm, {norm_rows, H})};
  if (Cell::kCellState) grad.c0 = copy_or_zeros(results.grad_c_n);
  if (B == 0) return grad;

  const Chunks chunks(s, std::max(I, G * H), in.reverse);  // the other way round than forward
  const int64_t most = chunks.most();
  const Tensor grad_input_sums = new_empty(in.x, {most, B, G * H});
  const Tensor grad_hidden_sums = Cell::kSeparate ? new_empty(in.x, {most, B, G * H}) : grad_input_sums;
  const Tensor input_products = buffer(normalized, {most, B, G * H});
  const Tensor hidden_products = buffer(normalized, {most, B, G * H});
  const Tensor grad_input = normalized ? new_empty(in.x, {most, B, G * H}) : grad_input_sums;
  const Tensor grad_hidden = normalized ? new_empty(in.x, {most, B, G * H}) : grad_hidden_sums;
  const Tensor extra_terms = buffer(need_weights && in.extra, {most, B, Cell::kExtraTerms * H});
  const Tensor norm_terms = buffer(need_weights && in.norm && Cell::kNormTerms, {most, B, Cell::kNormTerms * H});
  const Tensor inputs = buffer(need_weights || need_input || normalized, {most, B, I});
  const Tensor states = buffer(need_weights || normalized, {most, B, H});
  const Tensor weight_ih_term = buffer(need_weights, {G * H, I});
  const Tensor weight_hh_term = buffer(need_weights, {G * H, H});
  const Tensor from_later = new_empty(in.x, {B, H});
  const Tensor carried = copy_or_zeros(results.grad_h_n);
  HiddenGradient<T> grad_after = {layer, -1, from_later.const_data_ptr<T>(), carried.mutable_data_ptr<T>()};
  const T* const output = results.output.const_data_ptr<T>();

  for (int64_t index = 0; index < chunks.count(); ++index) {
    const Chunk chunk = chunks[index];
    const auto matrix = [&](const Tensor& of_chunk) { return as_matrix(of_chunk, chunk.steps); };
    if (need_weights || normalized) {
      launch(chunk.steps * B * I, stream,
             GatherSteps<T>{layer.rows, rows_of<T>(in.x), chunk.first, B, I, inputs.mutable_data_ptr<T>()});
      launch(chunk.steps * B * H, stream,
             GatherHiddenBefore<T>{layer, output, chunk.first, states.mutable_data_ptr<T>()});
    }
    if (normalized) {
      multiply_into(matrix(input_products), matrix(inputs), transposed(in.weight_ih));
      multiply_into(matrix(hidden_products), matrix(states), transposed(in.weight_hh));
    }
    for (int64_t k = 0; k < chunk.steps; ++k) {
      const int64_t step = chunks.step(chunk, k), offset = step - chunk.first;
      const auto of_step = [&](const Tensor& of_chunk) {
        T* const numbers = pointer(of_chunk);
        return numbers ? numbers + offset * B * of_chunk.size(2) : nullptr;
      };
      launch_rows(
          B, H, layer.norm != nullptr, stream,
          BackwardStep<T, CellOf>{layer, step, grad_after, rows_of<T>(results.grad_output), output,
                                  results.saved.const_data_ptr<T>(), grad.c0 ? grad.c0->mutable_data_ptr<T>() : nullptr,
                                  of_step(grad_input_sums), of_step(grad_hidden_sums), of_step(input_products),
                                  of_step(hidden_products), of_step(grad_input), of_step(grad_hidden),
                                  of_step(extra_terms), of_step(norm_terms)});
      multiply_into(from_later, torch::stable::select(grad_hidden, 0, offset), in.weight_hh);
      grad_after.later = step;
    }
    if (need_weights) {
      const auto add_rows = [&](const Tensor& sum, const Tensor& of_chunk) {
        if (of_chunk.numel()) add_to<T>(sum, sum_of_rows(matrix(of_chunk)), stream);
      };
      multiply_into(weight_ih_term, transposed(matrix(grad_input)), matrix(inputs));
      multiply_into(weight_hh_term, transposed(matrix(grad_hidden)), matrix(states));
      add_to<T>(grad.weight_ih, weight_ih_term, stream);
      add_to<T>(grad.weight_hh, weight_hh_term, stream);
      add_rows(grad.bias_ih, grad_input_sums);
      if (Cell::kSeparate) add_rows(grad.bias_hh, grad_hidden_sums);
      add_rows(grad.extra, extra_terms);
      if (normalized) {
        add_rows(narrowed(grad.norm, 0, 0, G), input_products);
        add_rows(narrowed(grad.norm, 0, G, G), hidden_products);
      }
      if (in.norm && Cell::kNormTerms)
        add_rows(narrowed(grad.norm, 0, norm_rows - Cell::kNormTerms, Cell::kNormTerms), norm_terms);
    }
    if (need_input) {  // last, because `inputs` now takes the gradient
      multiply_into(matrix(inputs), matrix(grad_input), in.weight_ih);
      launch(chunk.steps * B * I, stream,
             ScatterSteps<T>{layer.rows, inputs.const_data_ptr<T>(), chunk.first, B, I, grad.x.mutable_data_ptr<T>()});
    }
  }
  launch(B * H, stream, InitialHiddenGradient<T>{grad_after, grad.h0.mutable_data_ptr<T>()});
  return grad;
}

// Checks what backward takes beside the inputs, and makes it ready.
inline RecurrentResults ready(const char* op, const RecurrentSizes& s, const RecurrentInputs& in, int64_t saved_count,
                              const RecurrentResults& given) {
  RecurrentResults results = given;
  check_backward(op, given.grad_output, given.grad_h_n, given.grad_c_n, given.output, in.x, in.h0, s);
  check_shape(op, "saved", given.saved, "[T, B, numbers saved * H]", {s.time, s.batch, saved_count * s.hidden_size});
  check_kind(op, "saved", given.saved, "x", in.x);
  results.output = prepared(given.output);
  results.saved = prepared(given.saved);
  results.grad_output = detached(given.grad_output);
  results.grad_h_n = prepared(given.grad_h_n);
  results.grad_c_n = prepared(given.grad_c_n);
  return results;
}

}  // namespace seqlight::cuda
