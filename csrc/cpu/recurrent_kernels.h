// What the recurrent operators (recurrent.h, lstm.cpp, ...) hand to the kernels, which exist for each cell and
// instruction set in up to three forms:
//
//   lanes   (recurrent.inl)        one batch row per vector lane, the cell applied to the sums in registers
//   rows    (recurrent_rows.inl)   one hidden unit per vector lane, for batches of few rows
//   staged  (recurrent_staged.inl) as lanes, but with the sums of all units in memory before the cell: what layer
//                                  normalisation needs; it also has recurrent dropout and zoneout. Layer normalisation
//                                  is in the form rows, too
//
// Layout. A *group* is the rows that go through the time steps together: as many as a vector has lanes (lanes, staged)
// or as a register tile holds (rows); the last group may have fewer.
// Weights are packed per *tile*: `total` things in tiles of at most `most` make n = ceil(total / most) tiles that span
// [i * total / n, (i + 1) * total / n), so that tiles differ by one at most.
#pragma once

#include <cstdint>

#include "instruction_set.h"
#include "team.h"

namespace seqlight::cpu {

inline int64_t tile_count(int64_t total, int64_t most) { return (total + most - 1) / most; }
inline int64_t tile_begin(int64_t index, int64_t count, int64_t total) { return index * total / count; }

// How a cell's numbers are laid out. Per hidden unit it has `sums` (of products and biases, the cell's input) and
// `gradients` (of the loss for these sums). weight_ih has `rows` rows for each unit, stacked gate by gate; row block
// r adds to sum input_sum[r], and its gradient is block input_gradient[r]. So for weight_hh.
//
// For backward, `saved` values per unit are kept and, with layer normalisation, `moments` numbers per row and step.
struct CellLayout {
  int64_t rows, sums, saved, moments, gradients, biases, extras;
  bool cell_state;  // has a state c beside h
  int input_sum[4], hidden_sum[4];
  int input_gradient[4], hidden_gradient[4];
  // The gradients' blocks that the input and the hidden weights use lie side by side, `rows` of them from here.
  int input_first, hidden_first;
  int input_bias[4], hidden_bias[4];  // the blocks, of `biases`, of the gradients of bias_ih and bias_hh
  // Extras whose gradients are summed over the rows at each step: many of them would take many lines of the cache, each
  // read and written.
  int first_gain = 0, gains = 0;

  // Numbers that are kept for backward, per row and step.
  constexpr int64_t kept(int64_t hidden_size) const { return saved * hidden_size + moments; }
};

// Zoneout of the states h and c: where a random word is below the threshold the state keeps its value; without random
// numbers, both values are mixed in proportion.
template <typename T>
struct Zoneout {
  bool on, random;
  T h, c;                      // probabilities
  uint32_t h_below, c_below;   // the same times 2^32
  uint32_t key_low, key_high;  // of the random generator
};

template <typename T>
struct RecurrentForwardArguments {
  int64_t batch, time, input_size, hidden_size;
  const T* x;  // [B, T, I], last dimension contiguous
  int64_t x_batch_stride, x_time_stride;
  const T* h0;       // [B, H]
  const T* c0;       // [B, H], or null if the cell has no state c
  const T* weights;  // packed, see RecurrentForm; null with one step of few rows, that takes these:
  const T *weight_ih, *weight_hh, *bias_ih, *bias_hh;  // as given; the biases may be null
  // lanes, staged: [H, sums]; rows: per block of units [sums, lanes]; with `weights` null, only of cells with norms
  const T* bias;
  const T* extra;          // [extras, H]: parameters of the cell's own (peepholes), or null
  const int64_t* lengths;  // [B] or null
  bool reverse;
  // Of staged cells only:
  const T* norm;         // [norms, H]: gains and biases of the layer normalisations, or null
  const T* hidden_mask;  // [B, H], multiplies h where it enters the recurrent product; or null
  bool relu;             // the simple cell's activation
  Zoneout<T> zoneout;
  T* output;  // [B, T, H], written everywhere
  T* h_n;     // [B, H]
  T* c_n;     // [B, H], or null as c0
  // [T, B, saved * H + moments] or null; last of `saved` the state c, else h. lanes, staged: per step and group
  // [H, saved, rows of the group], then [moments, rows of the group]; rows: per step and row [saved, H], [moments].
  T* saved;
};

// How the kernels that have one row per lane sum the gradient [count, columns] of a weight matrix
// (recurrent_weights.inl): where columns fill vectors well, `wide`, as [count, width], else per tile of columns
// [ceil(count / 4), columns, 4].
struct WeightGradientForm {
  bool wide;
  int64_t width;

  WeightGradientForm(int64_t columns, int64_t lanes) {
    const int64_t whole = tile_count(columns, lanes) * lanes;
    wide = 5 * whole <= 6 * columns;
    width = wide ? whole : columns;
  }

  int64_t numbers(int64_t count) const { return (wide ? count : tile_count(count, 4) * 4) * width; }
};

template <typename T>
struct RecurrentBackwardArguments {
  RecurrentForwardArguments<T> forward;  // the inputs of the forward call, without `weights`; `bias` with norms only
  const T* grad_output;                  // [B, T, H], last dimension contiguous, or null
  int64_t grad_output_batch_stride, grad_output_time_stride;
  const T* grad_h_n;  // [B, H] or null
  const T* grad_c_n;  // [B, H] or null
  // Per tile of columns of weight_hh: [rows (blocks as in the gradients) * H, columns]. rows: a tile is a vector.
  const T* hidden_weights;
  const T* input_weights;  // so for weight_ih; needed for grad_x
  T* grad_x;               // [B, T, I], contiguous, or null
  T* grad_h0;              // [B, H]
  T* grad_c0;              // [B, H], or null as c0
  T* grad_sums;            // [B, T, gradients * H], contiguous, written everywhere; or null
  T* grad_input_weights;   // [workers, or 1 for a team, numbers], zeroed, or null; see WeightGradientForm
  T* grad_hidden_weights;  // so for weight_hh
  T* grad_bias;            // [workers, biases * H], zeroed; or null
  T* grad_extra;           // [workers, extras, H], zeroed; or null
  int64_t chunk_bytes;     // what the time steps whose weight gradients are summed at once may take of the cache
};

// The part of the work that one thread does: all steps of one group after the other, alone; or, in a team of several
// threads that share each group, the tiles `share` of them.
struct RecurrentSlice {
  int64_t first_group, last_group;
  int64_t worker;                          // index into the per-worker gradients
  Team* team;                              // null: alone
  int64_t share_begin, share_end, shares;  // of the team's shares, those that are this thread's
};

// How the forward kernel wants its weights packed.
//   lanes   per tile of units: [I, units, rows] of weight_ih, then [H, units, rows] of weight_hh
//   rows    per block of units (a vector): [I + H, rows, lanes], zeros past the last unit
//   staged  for each block of H rows of weight_ih, per tile of units [I, units]; then weight_hh so
enum class RecurrentForm { lanes, rows, staged };

template <typename T>
struct RecurrentKernels {
  RecurrentForm form;
  CellLayout layout;
  int64_t group;  // rows of the batch
  int64_t lanes, units_per_tile, columns_per_tile, depth_per_tile;
  // Numbers of type T that the kernels need as scratch memory, 64-byte aligned; shared by a team.
  int64_t (*forward_scratch)(const RecurrentForwardArguments<T>&);
  int64_t (*backward_scratch)(const RecurrentBackwardArguments<T>&);
  void (*forward)(const RecurrentForwardArguments<T>&, const RecurrentSlice&, T* scratch);
  void (*backward)(const RecurrentBackwardArguments<T>&, const RecurrentSlice&, T* scratch);
};

// Declares the kernels called `name`, one namespace for each instruction set.
#define SEQLIGHT_DECLARE_RECURRENT_OF(isa, name)                                \
  namespace isa {                                                               \
  SEQLIGHT_MAY_BE_LEFT_OUT extern const RecurrentKernels<float> name##_float;   \
  SEQLIGHT_MAY_BE_LEFT_OUT extern const RecurrentKernels<double> name##_double; \
  }
#define SEQLIGHT_DECLARE_RECURRENT(name)        \
  SEQLIGHT_DECLARE_RECURRENT_OF(base, name)     \
  SEQLIGHT_DECLARE_RECURRENT_OF(avx2_256, name) \
  SEQLIGHT_DECLARE_RECURRENT_OF(avx512_512, name)

SEQLIGHT_DECLARE_RECURRENT(lstm)
SEQLIGHT_DECLARE_RECURRENT(lstm_rows)
SEQLIGHT_DECLARE_RECURRENT(lstm_peephole)
SEQLIGHT_DECLARE_RECURRENT(lstm_peephole_rows)
SEQLIGHT_DECLARE_RECURRENT(lstm_staged)
SEQLIGHT_DECLARE_RECURRENT(lstm_normalized)
SEQLIGHT_DECLARE_RECURRENT(lstm_normalized_rows)
SEQLIGHT_DECLARE_RECURRENT(gru)
SEQLIGHT_DECLARE_RECURRENT(gru_rows)
SEQLIGHT_DECLARE_RECURRENT(gru_staged)
SEQLIGHT_DECLARE_RECURRENT(gru_normalized)
SEQLIGHT_DECLARE_RECURRENT(gru_normalized_rows)
SEQLIGHT_DECLARE_RECURRENT(rnn_tanh)
SEQLIGHT_DECLARE_RECURRENT(rnn_tanh_rows)
SEQLIGHT_DECLARE_RECURRENT(rnn_relu)
SEQLIGHT_DECLARE_RECURRENT(rnn_relu_rows)
SEQLIGHT_DECLARE_RECURRENT(rnn_staged)
SEQLIGHT_DECLARE_RECURRENT(rnn_normalized)
SEQLIGHT_DECLARE_RECURRENT(rnn_normalized_rows)

}  // namespace seqlight::cpu
