// What the LSTM operator (lstm.cpp) hands to the kernels (lstm.inl), which exist once per instruction set.
//
// Layout. A *group* is as many batch rows as a vector has lanes, one row per lane; the last group may have fewer.
// Weights are packed per *tile*: `tile(i)` of `total` things in tiles of at most `most` spans
// [i * total / n, (i + 1) * total / n) with n = ceil(total / most), so that tiles differ by one at most.
#pragma once

#include <cstdint>

#include "team.h"

namespace seqlight {

inline int64_t tile_count(int64_t total, int64_t most) { return (total + most - 1) / most; }
inline int64_t tile_begin(int64_t index, int64_t count, int64_t total) { return index * total / count; }

template <typename T>
struct LstmForwardArguments {
  int64_t batch, time, input_size, hidden_size;
  const T* x;  // [B, T, I], last dimension contiguous
  int64_t x_batch_stride, x_time_stride;
  const T* h0;             // [B, H]
  const T* c0;             // [B, H]
  const T* weights;        // per tile of units: [I + H, units, 4], the input's rows first, gates i, f, g, o
  const T* bias;           // [H, 4], both biases added
  const T* peephole;       // [3, H] for i, f, o, or null
  const int64_t* lengths;  // [B] or null
  bool reverse;
  T* output;  // [B, T, H], written everywhere
  T* h_n;     // [B, H]
  T* c_n;     // [B, H]
  T* saved;   // [T, B, 5, H] or null: per step and group [H, 5, rows], activated i, f, g, o and the cell state
};

template <typename T>
struct LstmBackwardArguments {
  LstmForwardArguments<T> forward;  // the inputs of the forward call; `weights` and `bias` are not used
  const T* grad_output;             // [B, T, H], last dimension contiguous, or null
  int64_t grad_output_batch_stride, grad_output_time_stride;
  const T* grad_h_n;  // [B, H] or null
  const T* grad_c_n;  // [B, H] or null
  const T* weights;   // per tile of columns: [4 H (unit, then gate), columns]; columns are H, then I if grad_x
  int64_t columns;    // H, or H + I when the kernel computes grad_x
  T* grad_x;          // [B, T, I], contiguous, or null
  T* grad_h0;         // [B, H]
  T* grad_c0;         // [B, H]
  T* grad_gates;      // [B, T, 4 H], contiguous, written everywhere; or null
  T* grad_weights;    // [workers, 4 H (unit, then gate), I + H], zeroed; or null
  T* grad_bias;       // [workers, H, 4], zeroed; or null
  T* grad_peephole;   // [workers, 3, H], zeroed; or null
};

// The part of the work that one thread does: all steps of one group after the other, alone; or, in a team of several
// threads that share each group, the tiles `share` of them.
struct LstmSlice {
  int64_t first_group, last_group;
  int64_t worker;                          // index into the per-worker gradients
  Team* team;                              // null: alone
  int64_t share_begin, share_end, shares;  // of the team's shares, those that are this thread's
};

template <typename T>
struct LstmKernels {
  int64_t lanes, units_per_tile, columns_per_tile;
  // Numbers of type T that the kernels need as scratch memory, 64-byte aligned; shared by a team.
  int64_t (*forward_scratch)(const LstmForwardArguments<T>&);
  int64_t (*backward_scratch)(const LstmBackwardArguments<T>&);
  void (*forward)(const LstmForwardArguments<T>&, const LstmSlice&, T* scratch);
  void (*backward)(const LstmBackwardArguments<T>&, const LstmSlice&, T* scratch);
};

#define SEQLIGHT_DECLARE_LSTM(isa)              \
  namespace isa {                               \
  extern const LstmKernels<float> lstm_float;   \
  extern const LstmKernels<double> lstm_double; \
  }

SEQLIGHT_DECLARE_LSTM(base)
SEQLIGHT_DECLARE_LSTM(avx2_128)
SEQLIGHT_DECLARE_LSTM(avx2_256)
SEQLIGHT_DECLARE_LSTM(avx512_128)
SEQLIGHT_DECLARE_LSTM(avx512_256)
SEQLIGHT_DECLARE_LSTM(avx512_512)

#undef SEQLIGHT_DECLARE_LSTM

}  // namespace seqlight
