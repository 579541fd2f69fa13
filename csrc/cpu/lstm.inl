// The LSTM on the CPU for one instruction set and vector width; lstm_<isa>.cpp includes it once for each width with
// SEQLIGHT_ISA (a namespace), SEQLIGHT_VECTOR_BYTES and SEQLIGHT_VECTOR_REGISTERS set.
//
// One vector lane is one row of the batch. So no hidden size wastes lanes, a weight is a broadcast operand of a fused
// multiply-add, and a group of rows runs through all its time steps without meeting another thread. x and h of a chunk
// of steps sit transposed in cache as slots [x_t | h_(t-1)], so that input and recurrent product are one loop.
#include "../cells/lstm.h"

namespace seqlight {
namespace SEQLIGHT_ISA {

// clang-format off: the order matters
#include "vector.inl"
#include "activations.inl"
#include "rows.inl"
// clang-format on

// Accumulators of one register tile: 24 of 32 registers, or 12 of 16; the rest holds operands.
constexpr int kAccumulators = SEQLIGHT_VECTOR_REGISTERS == 32 ? 24 : 12;
constexpr int kUnitsPerTile = kAccumulators / 4;
constexpr int kColumnsPerTile = kAccumulators;
constexpr int kDepthPerTile = kAccumulators / 4;

constexpr int64_t kForwardChunkBytes = 48 * 1024;    // transposed input and output of a chunk stay near the L1 cache
constexpr int64_t kBackwardChunkBytes = 384 * 1024;  // everything a chunk's weight gradient reads stays in the L2 cache

inline int64_t chunk_steps(int64_t time, int64_t bytes_per_step, int64_t budget) {
  const int64_t steps = budget / bytes_per_step;
  return steps < 1 ? 1 : steps > time ? time : steps;
}

// ---------------------------------------------------------------------------------------------------------- forward

template <typename T>
int64_t forward_chunk(const LstmForwardArguments<T>& a) {
  return chunk_steps(a.time, (a.input_size + 2 * a.hidden_size) * SEQLIGHT_VECTOR_BYTES, kForwardChunkBytes);
}

template <typename T>
int64_t forward_scratch(const LstmForwardArguments<T>& a) {
  const int64_t chunk = forward_chunk(a), depth = a.input_size + a.hidden_size;
  return ((chunk + 1) * depth + chunk * a.hidden_size + a.hidden_size) * kLanes<T>;
}

template <typename T>
struct ForwardStep {
  const T* slot;  // [I + H][lanes]: x_t, then h_(t-1)
  T* h;           // [H][lanes], of the next slot
  T* output;      // [H][lanes], of the chunk
  T* c;           // [H][lanes], updated
  T* saved;       // [H][5][rows], or null
  int64_t rows;
  const Mask<T>* active;  // null: all
};

template <typename T, bool kPeephole, int kUnits>
void forward_tile(const LstmForwardArguments<T>& a, const ForwardStep<T>& step, const T* weights, int64_t first_unit) {
  typedef Vector<T> V;
  constexpr int lanes = kLanes<T>;
  V sums[kUnits][4];
  const T* bias = a.bias + 4 * first_unit;
#pragma GCC unroll 8
  for (int u = 0; u < kUnits; ++u)
#pragma GCC unroll 4
    for (int g = 0; g < 4; ++g) sums[u][g] = broadcast<T>(bias[4 * u + g]);
  const int64_t depth = a.input_size + a.hidden_size;
  const T* operand = step.slot;
  for (int64_t k = 0; k < depth; ++k, operand += lanes, weights += 4 * kUnits) {
    const V v = load<T>(operand);
#pragma GCC unroll 8
    for (int u = 0; u < kUnits; ++u)
#pragma GCC unroll 4
      for (int g = 0; g < 4; ++g) sums[u][g] += v * weights[4 * u + g];
  }
#pragma GCC unroll 8
  for (int u = 0; u < kUnits; ++u) {
    const int64_t unit = first_unit + u;
    LstmGates<V> gates = {sums[u][0], sums[u][1], sums[u][2], sums[u][3]};
    LstmPeephole<V> peephole = {};
    if constexpr (kPeephole) {
      peephole.input = broadcast<T>(a.peephole[unit]);
      peephole.forget = broadcast<T>(a.peephole[a.hidden_size + unit]);
      peephole.output = broadcast<T>(a.peephole[2 * a.hidden_size + unit]);
    }
    const V c_before = load<T>(step.c + unit * lanes);
    V c, h;
    lstm_cell<kPeephole, VectorMath<T>>(gates, c_before, peephole, c, h);
    if (step.active) {
      c = select<T>(*step.active, c, c_before);
      h = select<T>(*step.active, h, load<T>(step.slot + (a.input_size + unit) * lanes));
    }
    store<T>(step.c + unit * lanes, c);
    store<T>(step.h + unit * lanes, h);
    store<T>(step.output + unit * lanes, h);
    if (step.saved) {
      T* saved = step.saved + unit * 5 * step.rows;
      store_first<T>(saved, gates.input, step.rows);
      store_first<T>(saved + step.rows, gates.forget, step.rows);
      store_first<T>(saved + 2 * step.rows, gates.cell, step.rows);
      store_first<T>(saved + 3 * step.rows, gates.output, step.rows);
      store_first<T>(saved + 4 * step.rows, c, step.rows);
    }
  }
}

template <typename T, bool kPeephole, int... I>
SEQLIGHT_INLINE void forward_tile_of(int64_t units, const LstmForwardArguments<T>& a, const ForwardStep<T>& step,
                                     const T* weights, int64_t first_unit, Indices<I...>) {
  typedef void (*Tile)(const LstmForwardArguments<T>&, const ForwardStep<T>&, const T*, int64_t);
  static constexpr Tile tiles[] = {&forward_tile<T, kPeephole, I + 1>...};
  tiles[units - 1](a, step, weights, first_unit);
}

template <typename T, bool kPeephole>
void forward_group(const LstmForwardArguments<T>& a, int64_t group, const LstmSlice& slice, T* scratch) {
  constexpr int64_t lanes = kLanes<T>;
  const int64_t I = a.input_size, H = a.hidden_size, depth = I + H;
  const int64_t first_row = group * lanes, rows = a.batch - first_row < lanes ? a.batch - first_row : lanes;
  const int64_t chunk = forward_chunk(a), tiles = tile_count(H, kUnitsPerTile);
  const int64_t first_tile = tiles * slice.share_begin / slice.shares;
  const int64_t last_tile = tiles * slice.share_end / slice.shares;
  const bool leader = slice.share_begin == 0;
  const GroupLengths<T> lengths(a.lengths, first_row, rows, a.time);
  const int64_t time = lengths.longest;

  T* const slots = scratch;
  T* const output = slots + (chunk + 1) * depth * lanes;
  T* const c = output + chunk * H * lanes;
  const T* const x = a.x + first_row * a.x_batch_stride;
  if (leader) {
    gather_rows<T>(a.h0 + first_row * H, H, rows, H, [&](int64_t u) { return slots + (I + u) * lanes; });
    gather_rows<T>(a.c0 + first_row * H, H, rows, H, [&](int64_t u) { return c + u * lanes; });
  }
  for (int64_t done = 0, steps; done < time; done += steps) {
    steps = time - done < chunk ? time - done : chunk;
    const int64_t begin = a.reverse ? time - done - steps : done;  // the chunk is the time steps from here
    const auto slot_of = [&](int64_t step) { return slots + (a.reverse ? steps - 1 - step : step) * depth * lanes; };
    if (leader) {
      if (a.x_time_stride == I) {
        gather_rows<T>(x + begin * I, a.x_batch_stride, rows, steps * I,
                       [&](int64_t k) { return slot_of(k / I) + k % I * lanes; });
      } else {
        for (int64_t s = 0; s < steps; ++s)
          gather_rows<T>(x + (begin + s) * a.x_time_stride, a.x_batch_stride, rows, I,
                         [&](int64_t k) { return slot_of(s) + k * lanes; });
      }
    }
    if (slice.team) slice.team->wait(slice.share_end - slice.share_begin);
    for (int64_t index = 0; index < steps; ++index) {
      const int64_t s = a.reverse ? steps - 1 - index : index, t = begin + s;
      const Mask<T> active = lengths.active(t);
      ForwardStep<T> step;
      step.slot = slots + index * depth * lanes;
      step.h = slots + ((index + 1) * depth + I) * lanes;
      step.output = output + s * H * lanes;
      step.c = c;
      step.saved = a.saved ? a.saved + (t * a.batch + first_row) * 5 * H : nullptr;
      step.rows = rows;
      step.active = t < lengths.shortest ? nullptr : &active;
      for (int64_t tile = first_tile; tile < last_tile; ++tile) {
        const int64_t unit = tile_begin(tile, tiles, H), units = tile_begin(tile + 1, tiles, H) - unit;
        forward_tile_of<T, kPeephole>(units, a, step, a.weights + unit * 4 * depth, unit,
                                      typename MakeIndices<kUnitsPerTile>::type());
      }
      if (slice.team) slice.team->wait(slice.share_end - slice.share_begin);
    }
    if (leader) {
      scatter_rows<T>([&](int64_t k) { return output + k * lanes; }, a.output + (first_row * a.time + begin) * H,
                      a.time * H, rows, steps * H);
      __builtin_memcpy(slots + I * lanes, slots + (steps * depth + I) * lanes, H * lanes * sizeof(T));
    }
  }
  if (!leader) return;
  scatter_rows<T>([&](int64_t u) { return slots + (I + u) * lanes; }, a.h_n + first_row * H, H, rows, H);
  scatter_rows<T>([&](int64_t u) { return c + u * lanes; }, a.c_n + first_row * H, H, rows, H);
  for (int64_t r = 0; r < rows; ++r) {
    const int64_t length = a.lengths ? a.lengths[first_row + r] : a.time;
    __builtin_memset(a.output + ((first_row + r) * a.time + length) * H, 0, (a.time - length) * H * sizeof(T));
  }
}

template <typename T>
void forward(const LstmForwardArguments<T>& a, const LstmSlice& slice, T* scratch) {
  for (int64_t group = slice.first_group; group < slice.last_group; ++group) {
    if (a.peephole)
      forward_group<T, true>(a, group, slice, scratch);
    else
      forward_group<T, false>(a, group, slice, scratch);
    // The next group's leader overwrites what the others of the team may still be reading.
    if (slice.team) slice.team->wait(slice.share_end - slice.share_begin);
  }
}

// --------------------------------------------------------------------------------------------------------- backward

// An odd number of vectors between steps spreads the columns of a chunk over all sets of the cache.
inline int64_t odd(int64_t n) { return n | 1; }

template <typename T>
struct BackwardSizes {
  int64_t depth, gates, slot, chunk;

  explicit BackwardSizes(const LstmBackwardArguments<T>& a) {
    const int64_t I = a.forward.input_size, H = a.forward.hidden_size;
    depth = I + H;
    gates = odd(4 * H);
    slot = a.grad_weights ? odd(depth) : 0;
    const int64_t vectors = gates + slot + H + (a.grad_x ? I : 0);
    chunk = chunk_steps(a.forward.time, vectors * SEQLIGHT_VECTOR_BYTES, kBackwardChunkBytes);
  }
};

template <typename T>
int64_t backward_scratch(const LstmBackwardArguments<T>& a) {
  const BackwardSizes<T> sizes(a);
  const int64_t I = a.forward.input_size, H = a.forward.hidden_size;
  const int64_t per_step = sizes.gates + sizes.slot + H + (a.grad_x ? I : 0);
  return (sizes.chunk * per_step + a.columns + 3 * H + 7 * H) * kLanes<T>;
}

template <typename T>
struct BackwardStep {
  T* grad_gates;      // [4 H][lanes], written
  const T* saved;     // [H][5][rows]
  const T* c_before;  // of unit u at u * c_before_stride
  int64_t c_before_stride, c_before_rows;
  const T* grad_output;  // [H][lanes]
  const T* grad_h;       // [H][lanes], from the step after
  T* grad_c;             // [H][lanes], updated
  T* held;               // [H][lanes]: grad_h of the rows that do not take part in this step
  T* grad_bias;          // [4 H][lanes], added to
  T* grad_peephole;      // [3][H][lanes], added to
  int64_t rows;
  const Mask<T>* active;  // null: all
};

template <typename T, bool kPeephole>
void backward_units(const LstmBackwardArguments<T>& a, const BackwardStep<T>& step, int64_t begin, int64_t end) {
  typedef Vector<T> V;
  constexpr int64_t lanes = kLanes<T>;
  const int64_t H = a.forward.hidden_size;
  for (int64_t u = begin; u < end; ++u) {
    const T* saved = step.saved + u * 5 * step.rows;
    const LstmGates<V> gates = {load_first<T>(saved, step.rows), load_first<T>(saved + step.rows, step.rows),
                                load_first<T>(saved + 2 * step.rows, step.rows),
                                load_first<T>(saved + 3 * step.rows, step.rows)};
    const V c = load_first<T>(saved + 4 * step.rows, step.rows);
    const V c_before = load_first<T>(step.c_before + u * step.c_before_stride, step.c_before_rows);
    LstmPeephole<V> peephole = {};
    if constexpr (kPeephole) {
      peephole.input = broadcast<T>(a.forward.peephole[u]);
      peephole.forget = broadcast<T>(a.forward.peephole[H + u]);
      peephole.output = broadcast<T>(a.forward.peephole[2 * H + u]);
    }
    const V carried = load<T>(step.grad_h + u * lanes), grad_c_after = load<T>(step.grad_c + u * lanes);
    V grad_h = carried + load<T>(step.grad_output + u * lanes), grad_c = grad_c_after;
    LstmGates<V> grad = lstm_cell_backward<kPeephole, VectorMath<T>>(gates, c_before, c, peephole, grad_h, grad_c);
    if (step.active) {
      const V zero{};
      grad.input = select<T>(*step.active, grad.input, zero);
      grad.forget = select<T>(*step.active, grad.forget, zero);
      grad.cell = select<T>(*step.active, grad.cell, zero);
      grad.output = select<T>(*step.active, grad.output, zero);
      grad_c = select<T>(*step.active, grad_c, grad_c_after);
      store<T>(step.held + u * lanes, select<T>(*step.active, zero, carried));
    }
    store<T>(step.grad_c + u * lanes, grad_c);
    const V each[4] = {grad.input, grad.forget, grad.cell, grad.output};
#pragma GCC unroll 4
    for (int g = 0; g < 4; ++g) {
      store<T>(step.grad_gates + (4 * u + g) * lanes, each[g]);
      T* bias = step.grad_bias + (4 * u + g) * lanes;
      store<T>(bias, load<T>(bias) + each[g]);
    }
    if constexpr (kPeephole) {
      T* input = step.grad_peephole + u * lanes;
      T* forget = step.grad_peephole + (H + u) * lanes;
      T* output = step.grad_peephole + (2 * H + u) * lanes;
      store<T>(input, load<T>(input) + grad.input * c_before);
      store<T>(forget, load<T>(forget) + grad.forget * c_before);
      store<T>(output, load<T>(output) + grad.output * c);
    }
  }
}

// target[q] = sum over j of weights[j][q] gates[j], one row per lane.
template <typename T, int kColumns>
void product_tile(const T* gates, const T* weights, int64_t count, T* target) {
  constexpr int64_t lanes = kLanes<T>;
  Vector<T> sums[kColumns] = {};
  for (int64_t j = 0; j < count; ++j, gates += lanes, weights += kColumns) {
    const Vector<T> v = load<T>(gates);
#pragma GCC unroll 24
    for (int q = 0; q < kColumns; ++q) sums[q] += v * weights[q];
  }
#pragma GCC unroll 24
  for (int q = 0; q < kColumns; ++q) store<T>(target + q * lanes, sums[q]);
}

template <typename T, int... I>
SEQLIGHT_INLINE void product_tile_of(int64_t columns, const T* gates, const T* weights, int64_t count, T* target,
                                     Indices<I...>) {
  typedef void (*Tile)(const T*, const T*, int64_t, T*);
  static constexpr Tile tiles[] = {&product_tile<T, I + 1>...};
  tiles[columns - 1](gates, weights, count, target);
}

// Sums the lanes of `count` vectors and adds the results to `target`.
template <typename T, int kCount>
SEQLIGHT_INLINE void add_lane_sums(Vector<T>* v, T* target) {
  constexpr int limit = kCount < kLanes<T> ? kCount : kLanes<T>;
  constexpr int block = limit >= 16 ? 16 : limit >= 8 ? 8 : limit >= 4 ? 4 : limit >= 2 ? 2 : 1;
  sum_lanes<block, T>(v);
  store_first<T>(target, load_first<T>(target, block) + v[0], block);
  if constexpr (kCount > block) add_lane_sums<T, kCount - block>(v + block, target + block);
}

// Adds, for 4 gates of each unit and kDepth columns of the slots, the sum over steps and lanes of gate times column.
template <typename T, int kDepth>
void weight_gradient_tile(const T* gates, int64_t gates_stride, const T* slots, int64_t slots_stride, int64_t steps,
                          int64_t units, T* target) {
  constexpr int64_t lanes = kLanes<T>;
  for (int64_t u = 0; u < units; ++u, target += 4 * kDepth) {
    Vector<T> sums[4 * kDepth] = {};
    const T* gate = gates + 4 * u * lanes;
    const T* column = slots;
    for (int64_t s = 0; s < steps; ++s, gate += gates_stride, column += slots_stride) {
      Vector<T> v[4];
#pragma GCC unroll 4
      for (int g = 0; g < 4; ++g) v[g] = load<T>(gate + g * lanes);
#pragma GCC unroll 8
      for (int k = 0; k < kDepth; ++k) {
        const Vector<T> w = load<T>(column + k * lanes);
#pragma GCC unroll 4
        for (int g = 0; g < 4; ++g) sums[4 * k + g] += v[g] * w;
      }
    }
    add_lane_sums<T, 4 * kDepth>(sums, target);
  }
}

template <typename T, int... I>
SEQLIGHT_INLINE void weight_gradient_tile_of(int64_t depth, const T* gates, int64_t gates_stride, const T* slots,
                                             int64_t slots_stride, int64_t steps, int64_t units, T* target,
                                             Indices<I...>) {
  typedef void (*Tile)(const T*, int64_t, const T*, int64_t, int64_t, int64_t, T*);
  static constexpr Tile tiles[] = {&weight_gradient_tile<T, I + 1>...};
  tiles[depth - 1](gates, gates_stride, slots, slots_stride, steps, units, target);
}

template <typename T>
SEQLIGHT_INLINE void gather_steps(const T* source, int64_t row_stride, int64_t time_stride, int64_t rows, int64_t steps,
                                  int64_t columns, T* target, int64_t target_stride) {
  constexpr int64_t lanes = kLanes<T>;
  for (int64_t s = 0; s < steps; ++s)
    gather_rows<T>(source + s * time_stride, row_stride, rows, columns,
                   [&](int64_t k) { return target + s * target_stride + k * lanes; });
}

template <typename T, bool kPeephole>
void backward_group(const LstmBackwardArguments<T>& a, int64_t group, const LstmSlice& slice, T* scratch) {
  constexpr int64_t lanes = kLanes<T>;
  const LstmForwardArguments<T>& f = a.forward;
  const BackwardSizes<T> sizes(a);
  const int64_t I = f.input_size, H = f.hidden_size, T_ = f.time;
  const int64_t first_row = group * lanes, rows = f.batch - first_row < lanes ? f.batch - first_row : lanes;
  const int64_t tiles = tile_count(a.columns, kColumnsPerTile);
  const int64_t first_tile = tiles * slice.share_begin / slice.shares;
  const int64_t last_tile = tiles * slice.share_end / slice.shares;
  const int64_t first_unit = H * slice.share_begin / slice.shares, last_unit = H * slice.share_end / slice.shares;
  const int64_t arriving = slice.share_end - slice.share_begin;
  const bool leader = slice.share_begin == 0;
  const GroupLengths<T> lengths(f.lengths, first_row, rows, T_);
  const int64_t time = lengths.longest;

  const int64_t gates_stride = sizes.gates * lanes, slot_stride = sizes.slot * lanes;
  T* const gates = scratch;
  T* const slots = gates + sizes.chunk * gates_stride;
  T* const grad_output = slots + sizes.chunk * slot_stride;
  T* const grad_x = grad_output + sizes.chunk * H * lanes;
  T* const grad_h = grad_x + (a.grad_x ? sizes.chunk * I * lanes : 0);  // and, behind it, grad_x of one step
  T* const grad_c = grad_h + a.columns * lanes;
  T* const held = grad_c + H * lanes;
  T* const c0 = held + H * lanes;
  T* const grad_bias = c0 + H * lanes;
  T* const grad_peephole = grad_bias + 4 * H * lanes;

  if (leader) {
    gather_rows<T>(f.c0 + first_row * H, H, rows, H, [&](int64_t u) { return c0 + u * lanes; });
    __builtin_memset(grad_h, 0, (a.columns + H) * lanes * sizeof(T));
    if (a.grad_h_n)
      gather_rows<T>(a.grad_h_n + first_row * H, H, rows, H, [&](int64_t u) { return grad_h + u * lanes; });
    if (a.grad_c_n)
      gather_rows<T>(a.grad_c_n + first_row * H, H, rows, H, [&](int64_t u) { return grad_c + u * lanes; });
    __builtin_memset(grad_bias, 0, 7 * H * lanes * sizeof(T));
    if (!a.grad_output) __builtin_memset(grad_output, 0, sizes.chunk * H * lanes * sizeof(T));
  }

  for (int64_t left = time, steps; left > 0; left -= steps) {
    steps = left < sizes.chunk ? left : sizes.chunk;
    const int64_t begin = f.reverse ? time - left : left - steps;  // the chunk is the time steps from here
    if (leader && a.grad_output)
      gather_steps<T>(a.grad_output + first_row * a.grad_output_batch_stride + begin * a.grad_output_time_stride,
                      a.grad_output_batch_stride, a.grad_output_time_stride, rows, steps, H, grad_output, H * lanes);
    if (slice.team) slice.team->wait(arriving);
    for (int64_t index = steps - 1; index >= 0; --index) {
      const int64_t s = f.reverse ? steps - 1 - index : index, t = begin + s, before = f.reverse ? t + 1 : t - 1;
      const bool first = f.reverse ? t == time - 1 : t == 0;
      const Mask<T> active = lengths.active(t);
      BackwardStep<T> step;
      step.grad_gates = gates + s * gates_stride;
      step.saved = f.saved + (t * f.batch + first_row) * 5 * H;
      step.c_before = first ? c0 : f.saved + (before * f.batch + first_row) * 5 * H + 4 * rows;
      step.c_before_stride = first ? lanes : 5 * rows;
      step.c_before_rows = first ? lanes : rows;
      step.grad_output = grad_output + s * H * lanes;
      step.grad_h = grad_h;
      step.grad_c = grad_c;
      step.held = held;
      step.grad_bias = grad_bias;
      step.grad_peephole = grad_peephole;
      step.rows = rows;
      step.active = t < lengths.shortest ? nullptr : &active;
      backward_units<T, kPeephole>(a, step, first_unit, last_unit);
      if (slice.team) slice.team->wait(arriving);
      for (int64_t tile = first_tile; tile < last_tile; ++tile) {
        const int64_t column = tile_begin(tile, tiles, a.columns);
        const int64_t columns = tile_begin(tile + 1, tiles, a.columns) - column;
        product_tile_of<T>(columns, step.grad_gates, a.weights + column * 4 * H, 4 * H, grad_h + column * lanes,
                           typename MakeIndices<kColumnsPerTile>::type());
        if (step.active)
          for (int64_t q = column; q < column + columns && q < H; ++q)
            store<T>(grad_h + q * lanes, load<T>(grad_h + q * lanes) + load<T>(held + q * lanes));
      }
      if (a.grad_x) __builtin_memcpy(grad_x + s * I * lanes, grad_h + H * lanes, I * lanes * sizeof(T));
      if (slice.team) slice.team->wait(arriving);
    }
    if (a.grad_weights) {
      gather_steps<T>(f.x + first_row * f.x_batch_stride + begin * f.x_time_stride, f.x_batch_stride, f.x_time_stride,
                      rows, steps, I, slots, slot_stride);
      for (int64_t s = 0; s < steps; ++s) {
        const int64_t t = begin + s, before = f.reverse ? t + 1 : t - 1;
        T* const slot = slots + s * slot_stride;
        const bool first = f.reverse ? t == time - 1 : t == 0;
        gather_rows<T>(first ? f.h0 + first_row * H : f.output + (first_row * T_ + before) * H, first ? H : T_ * H,
                       rows, H, [&](int64_t u) { return slot + (I + u) * lanes; });
        if (t < lengths.shortest && before < lengths.shortest) continue;
        // Rows outside their length take no part, whatever stands in x there; a reversed row starts at its own end.
        const Mask<T> active = lengths.active(t), started = lengths.active(before);
        for (int64_t k = 0; k < I; ++k)
          store<T>(slot + k * lanes, select<T>(active, load<T>(slot + k * lanes), Vector<T>{}));
        if (!f.reverse) continue;
        for (int64_t r = 0; r < rows; ++r)
          if (!started[r])
            for (int64_t u = 0; u < H; ++u) slot[(I + u) * lanes + r] = f.h0[(first_row + r) * H + u];
      }
      T* const target = a.grad_weights + slice.worker * 4 * H * sizes.depth;
      const int64_t parts = tile_count(sizes.depth, kDepthPerTile);
      for (int64_t part = 0; part < parts; ++part) {
        const int64_t column = tile_begin(part, parts, sizes.depth);
        const int64_t columns = tile_begin(part + 1, parts, sizes.depth) - column;
        weight_gradient_tile_of<T>(columns, gates, gates_stride, slots + column * lanes, slot_stride, steps, H,
                                   target + column * 4 * H, typename MakeIndices<kDepthPerTile>::type());
      }
    }
    if (a.grad_x && leader)
      scatter_rows<T>([&](int64_t k) { return grad_x + k * lanes; }, a.grad_x + (first_row * T_ + begin) * I, T_ * I,
                      rows, steps * I);
    if (a.grad_gates) {
      for (int64_t s = steps * slice.share_begin / slice.shares; s < steps * slice.share_end / slice.shares; ++s)
        for (int64_t g = 0; g < 4; ++g)
          scatter_rows<T>([&](int64_t u) { return gates + s * gates_stride + (4 * u + g) * lanes; },
                          a.grad_gates + ((first_row * T_ + begin + s) * 4 + g) * H, T_ * 4 * H, rows, H);
    }
    if (slice.team) slice.team->wait(arriving);
  }

  if (!leader) return;
  scatter_rows<T>([&](int64_t u) { return grad_h + u * lanes; }, a.grad_h0 + first_row * H, H, rows, H);
  scatter_rows<T>([&](int64_t u) { return grad_c + u * lanes; }, a.grad_c0 + first_row * H, H, rows, H);
  if (a.grad_bias)
    for (int64_t j = 0; j < 4 * H; ++j)
      a.grad_bias[slice.worker * 4 * H + j] += sum_lanes_of<T>(load<T>(grad_bias + j * lanes));
  if (a.grad_peephole)
    for (int64_t j = 0; j < 3 * H; ++j)
      a.grad_peephole[slice.worker * 3 * H + j] += sum_lanes_of<T>(load<T>(grad_peephole + j * lanes));
  for (int64_t r = 0; r < rows; ++r) {
    const int64_t row = first_row + r;
    if (a.grad_x) __builtin_memset(a.grad_x + (row * T_ + time) * I, 0, (T_ - time) * I * sizeof(T));
    if (a.grad_gates) __builtin_memset(a.grad_gates + (row * T_ + time) * 4 * H, 0, (T_ - time) * 4 * H * sizeof(T));
  }
}

template <typename T>
void backward(const LstmBackwardArguments<T>& a, const LstmSlice& slice, T* scratch) {
  for (int64_t group = slice.first_group; group < slice.last_group; ++group) {
    if (a.forward.peephole)
      backward_group<T, true>(a, group, slice, scratch);
    else
      backward_group<T, false>(a, group, slice, scratch);
    if (slice.team) slice.team->wait(slice.share_end - slice.share_begin);
  }
}

extern const LstmKernels<float> lstm_float = {kLanes<float>,          kUnitsPerTile,           kColumnsPerTile,
                                              forward_scratch<float>, backward_scratch<float>, forward<float>,
                                              backward<float>};
extern const LstmKernels<double> lstm_double = {
    kLanes<double>,           kUnitsPerTile,   kColumnsPerTile, forward_scratch<double>,
    backward_scratch<double>, forward<double>, backward<double>};

}  // namespace SEQLIGHT_ISA
}  // namespace seqlight

#undef SEQLIGHT_ISA
#undef SEQLIGHT_VECTOR_BYTES
#undef SEQLIGHT_INLINE
#undef SEQLIGHT_SHUFFLE
