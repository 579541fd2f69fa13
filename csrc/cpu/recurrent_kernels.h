// What the recurrent operators (recurrent.h, lstm.cpp, ...) hand to the kernels (recurrent.inl), which exist for each
// cell once per instruction set and vector width.
//
// Layout. A *group* is as many batch rows as a vector has lanes, one row per lane; the last group may have fewer.
// Weights are packed per *tile*: `total` things in tiles of at most `most` make n = ceil(total / most) tiles that span
// [i * total / n, (i + 1) * total / n), so that tiles differ by one at most.
#pragma once

#include <cstdint>

#include "team.h"

namespace seqlight {

inline int64_t tile_count(int64_t total, int64_t most) { return (total + most - 1) / most; }
inline int64_t tile_begin(int64_t index, int64_t count, int64_t total) { return index * total / count; }

// How a cell's numbers are laid out. Per hidden unit it has `sums` (of products and biases, the cell's input) and
// `gradients` (of the loss for these sums). weight_ih has `rows` rows for each unit, stacked gate by gate; row block
// r adds to sum input_sum[r], and its gradient is block input_gradient[r]. So for weight_hh.
struct CellLayout {
  int64_t rows, sums, saved, gradients, extras;
  bool cell_state;  // has a state c beside h
  int input_sum[4], hidden_sum[4];
  int input_gradient[4], hidden_gradient[4];
  // The gradients' blocks that the input and the hidden weights use lie side by side, `rows` of them from here.
  int input_first, hidden_first;
};

template <typename T>
struct RecurrentForwardArguments {
  int64_t batch, time, input_size, hidden_size;
  const T* x;  // [B, T, I], last dimension contiguous
  int64_t x_batch_stride, x_time_stride;
  const T* h0;             // [B, H]
  const T* c0;             // [B, H], or null if the cell has no state c
  const T* weights;        // per tile of units: [I, units, rows] of weight_ih, then [H, units, rows] of weight_hh
  const T* bias;           // [H, sums]
  const T* extra;          // [extras, H]: parameters of the cell's own (peepholes), or null
  const int64_t* lengths;  // [B] or null
  bool reverse;
  T* output;  // [B, T, H], written everywhere
  T* h_n;     // [B, H]
  T* c_n;     // [B, H], or null as c0
  T* saved;   // [T, B, saved, H] or null: per step and group [H, saved, rows of the batch]; last the state c, else h
};

template <typename T>
struct RecurrentBackwardArguments {
  RecurrentForwardArguments<T> forward;  // the inputs of the forward call; `weights` and `bias` are not used
  const T* grad_output;                  // [B, T, H], last dimension contiguous, or null
  int64_t grad_output_batch_stride, grad_output_time_stride;
  const T* grad_h_n;        // [B, H] or null
  const T* grad_c_n;        // [B, H] or null
  const T* hidden_weights;  // per tile of columns of weight_hh: [rows (blocks as in the gradients) * H, columns]
  const T* input_weights;   // so for weight_ih; needed for grad_x
  T* grad_x;                // [B, T, I], contiguous, or null
  T* grad_h0;               // [B, H]
  T* grad_c0;               // [B, H], or null as c0
  T* grad_sums;             // [B, T, gradients * H], contiguous, written everywhere; or null
  T* grad_input_weights;    // [workers, size], zeroed, or null: per tile of columns [ceil(rows * H / 4), columns, 4]
  T* grad_hidden_weights;   // so for weight_hh
  T* grad_bias;             // [workers, gradients * H], zeroed; or null
  T* grad_extra;            // [workers, extras, H], zeroed; or null
};

// The part of the work that one thread does: all steps of one group after the other, alone; or, in a team of several
// threads that share each group, the tiles `share` of them.
struct RecurrentSlice {
  int64_t first_group, last_group;
  int64_t worker;                          // index into the per-worker gradients
  Team* team;                              // null: alone
  int64_t share_begin, share_end, shares;  // of the team's shares, those that are this thread's
};

template <typename T>
struct RecurrentKernels {
  CellLayout layout;
  int64_t lanes, units_per_tile, columns_per_tile, depth_per_tile;
  // Numbers of type T that the kernels need as scratch memory, 64-byte aligned; shared by a team.
  int64_t (*forward_scratch)(const RecurrentForwardArguments<T>&);
  int64_t (*backward_scratch)(const RecurrentBackwardArguments<T>&);
  void (*forward)(const RecurrentForwardArguments<T>&, const RecurrentSlice&, T* scratch);
  void (*backward)(const RecurrentBackwardArguments<T>&, const RecurrentSlice&, T* scratch);
};

// Declares the kernels called `name`: one namespace for each instruction set and vector width. Vectors narrower than
// the widest serve small batches of float only.
#define SEQLIGHT_DECLARE_RECURRENT_FLOAT(isa, name)  \
  namespace isa {                                    \
  extern const RecurrentKernels<float> name##_float; \
  }
#define SEQLIGHT_DECLARE_RECURRENT_BOTH(isa, name)     \
  namespace isa {                                      \
  extern const RecurrentKernels<float> name##_float;   \
  extern const RecurrentKernels<double> name##_double; \
  }
#define SEQLIGHT_DECLARE_RECURRENT(name)             \
  SEQLIGHT_DECLARE_RECURRENT_BOTH(base, name)        \
  SEQLIGHT_DECLARE_RECURRENT_FLOAT(avx2_128, name)   \
  SEQLIGHT_DECLARE_RECURRENT_BOTH(avx2_256, name)    \
  SEQLIGHT_DECLARE_RECURRENT_FLOAT(avx512_128, name) \
  SEQLIGHT_DECLARE_RECURRENT_FLOAT(avx512_256, name) \
  SEQLIGHT_DECLARE_RECURRENT_BOTH(avx512_512, name)

SEQLIGHT_DECLARE_RECURRENT(lstm)
SEQLIGHT_DECLARE_RECURRENT(lstm_peephole)
SEQLIGHT_DECLARE_RECURRENT(gru)
SEQLIGHT_DECLARE_RECURRENT(rnn_tanh)
SEQLIGHT_DECLARE_RECURRENT(rnn_relu)

}  // namespace seqlight
