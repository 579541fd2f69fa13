// Recurrent layers on the CPU for one instruction set and vector width, for any cell. A cell is a
// struct template over the number type (lstm.inl and its siblings) with
//   kLayout                         its CellLayout
//   kDirect                         whether h_(t-1) reaches h_t other than through weight_hh
//   forward(extra, sums, h_before, state_before, saved)   -> h; the new state is the last one saved
//   backward(extra, saved, state_before, grad_h, grad_c, gradients, extras)  -> direct gradient for h_before
// where state is c for a cell with a state c, and else h. Staged cells are described in recurrent_staged.inl.
//
// One vector lane is one row of the batch. So no hidden size wastes lanes, a weight is a broadcast operand of a fused
// multiply-add, and a group of rows runs through all its time steps without meeting another thread. x and h of a chunk
// of steps sit transposed in cache as slots [x_t | h_(t-1)].

#include "../cells/philox.h"

namespace seqlight::cpu {
namespace SEQLIGHT_ISA {

// clang-format off: the order matters
#include "vector.inl"
#include "activations.inl"
#include "rows.inl"
#include "recurrent_step.inl"
#include "recurrent_staged.inl"
#include "recurrent_normalized.inl"
#include "recurrent_weights.inl"
// clang-format on

template <typename Cell>
constexpr int kUnitsPerTile = Cell::kLayout.sums == 1 ? 12 : kAccumulators / static_cast<int>(Cell::kLayout.sums);

constexpr int64_t kForwardChunkBytes = 48 * 1024;  // transposed input and output of a chunk stay near the L1 cache

inline int64_t chunk_steps(int64_t time, int64_t bytes_per_step, int64_t budget) {
  const int64_t steps = budget / bytes_per_step;
  return steps < 1 ? 1 : steps > time ? time : steps;
}

// ---------------------------------------------------------------------------------------------------------- forward

template <typename T>
int64_t forward_chunk(const RecurrentForwardArguments<T>& a) {
  return chunk_steps(a.time, (a.input_size + 2 * a.hidden_size) * SEQLIGHT_VECTOR_BYTES, kForwardChunkBytes);
}

template <typename Cell, typename T>
int64_t forward_scratch(const RecurrentForwardArguments<T>& a) {
  const int64_t chunk = forward_chunk(a), depth = a.input_size + a.hidden_size;
  int64_t vectors = (chunk + 1) * depth + chunk * a.hidden_size + a.hidden_size;
  if (Cell::kStaged) vectors += staged_forward_vectors(Cell::kLayout, a.hidden_size);
  return vectors * kLanes<T> + (Cell::kStaged ? exchanged_numbers<T>(a.hidden_size) : 0);
}

// Units whose cells are computed side by side.
constexpr int kSideBySide = 6;

// Applies the cell to the sums of kUnits units.
template <typename Cell, int kUnits, typename T>
SEQLIGHT_INLINE void forward_units(const RecurrentForwardArguments<T>& a, const ForwardStep<T>& step,
                                   int64_t first_unit, const Vector<T> (*sums)[Cell::kLayout.sums]) {
  typedef Vectors<T, kUnits> V;
  constexpr CellLayout layout = Cell::kLayout;
  constexpr int lanes = kLanes<T>, count = layout.sums, saves = layout.saved;
  V of_units[count], h_before, state_before, saved[saves], extra[layout.extras ? layout.extras : 1];
#pragma GCC unroll 8
  for (int u = 0; u < kUnits; ++u) {
    const int64_t unit = first_unit + u;
#pragma GCC unroll 4
    for (int s = 0; s < count; ++s) of_units[s].v[u] = sums[u][s];
    h_before.v[u] = load<T>(step.slot + (a.input_size + unit) * lanes);
    state_before.v[u] = layout.cell_state ? load<T>(step.c + unit * lanes) : h_before.v[u];
#pragma GCC unroll 4
    for (int e = 0; e < layout.extras; ++e) extra[e].v[u] = broadcast<T>(a.extra[e * a.hidden_size + unit]);
  }
  const V new_h = Cell::forward(extra, of_units, h_before, state_before, saved);
#pragma GCC unroll 8
  for (int u = 0; u < kUnits; ++u) {
    const int64_t unit = first_unit + u;
    Vector<T> h = new_h.v[u];
    if (step.active) {
      saved[saves - 1].v[u] = select<T>(*step.active, saved[saves - 1].v[u], state_before.v[u]);
      h = select<T>(*step.active, h, h_before.v[u]);
    }
    if constexpr (layout.cell_state) store<T>(step.c + unit * lanes, saved[saves - 1].v[u]);
    store<T>(step.h + unit * lanes, h);
    store<T>(step.output + unit * lanes, h);
    if (step.saved) {
      T* target = step.saved + unit * saves * step.rows;
#pragma GCC unroll 8
      for (int s = 0; s < saves; ++s) save<T>(step, target + s * step.rows, saved[s].v[u]);
    }
  }
}

template <typename Cell, int kUnits, typename T>
void forward_tile(const RecurrentForwardArguments<T>& a, const ForwardStep<T>& step, const T* weights,
                  int64_t first_unit) {
  typedef Vector<T> V;
  constexpr CellLayout layout = Cell::kLayout;
  constexpr int lanes = kLanes<T>, rows = layout.rows, count = layout.sums;
  V sums[kUnits][count];
  const T* bias = a.bias + count * first_unit;
#pragma GCC unroll 24
  for (int u = 0; u < kUnits; ++u)
#pragma GCC unroll 4
    for (int s = 0; s < count; ++s) sums[u][s] = broadcast<T>(bias[count * u + s]);
  const T* operand = step.slot;
#pragma GCC unroll 4
  for (int64_t k = 0; k < a.input_size; ++k, operand += lanes, weights += rows * kUnits) {
    const V v = load<T>(operand);
#pragma GCC unroll 24
    for (int u = 0; u < kUnits; ++u)
#pragma GCC unroll 4
      for (int r = 0; r < rows; ++r) sums[u][layout.input_sum[r]] += v * weights[rows * u + r];
  }
#pragma GCC unroll 4
  for (int64_t k = 0; k < a.hidden_size; ++k, operand += lanes, weights += rows * kUnits) {
    const V v = load<T>(operand);
#pragma GCC unroll 24
    for (int u = 0; u < kUnits; ++u)
#pragma GCC unroll 4
      for (int r = 0; r < rows; ++r) sums[u][layout.hidden_sum[r]] += v * weights[rows * u + r];
  }
  constexpr int first = kUnits < kSideBySide ? kUnits : kSideBySide;
  forward_units<Cell, first>(a, step, first_unit, sums);
  if constexpr (kUnits > first) forward_units<Cell, kUnits - first>(a, step, first_unit + first, sums + first);
}

template <typename Cell, typename T, int... I>
SEQLIGHT_INLINE void forward_tile_of(int64_t units, const RecurrentForwardArguments<T>& a, const ForwardStep<T>& step,
                                     const T* weights, int64_t first_unit, Indices<I...>) {
  typedef void (*Tile)(const RecurrentForwardArguments<T>&, const ForwardStep<T>&, const T*, int64_t);
  static constexpr Tile tiles[] = {&forward_tile<Cell, I + 1, T>...};
  tiles[units - 1](a, step, weights, first_unit);
}

template <typename Cell, typename T>
void forward_group(const RecurrentForwardArguments<T>& a, int64_t group, const RecurrentSlice& slice, T* scratch) {
  constexpr int64_t lanes = kLanes<T>;
  constexpr CellLayout layout = Cell::kLayout;
  const int64_t I = a.input_size, H = a.hidden_size, depth = I + H;
  const int64_t first_row = group * lanes, rows = a.batch - first_row < lanes ? a.batch - first_row : lanes;
  const int64_t chunk = forward_chunk(a), tiles = tile_count(H, kUnitsPerTile<Cell>);
  const int64_t first_tile = tiles * slice.share_begin / slice.shares;
  const int64_t last_tile = tiles * slice.share_end / slice.shares;
  const int64_t arriving = slice.share_end - slice.share_begin;
  const bool leader = slice.share_begin == 0;
  const GroupLengths<T> lengths(a.lengths, first_row, rows, a.time);
  const int64_t time = lengths.longest;

  T* const slots = scratch;
  T* const output = slots + (chunk + 1) * depth * lanes;
  T* const c = output + chunk * H * lanes;
  const StagedForward<T> staged(layout, H, c + H * lanes);
  T* const exchanged = c + (H + staged_forward_vectors(layout, H)) * lanes;
  const bool past_cache = a.saved && writes_past_cache(a, layout.saved, rows);
  const T* const x = a.x + first_row * a.x_batch_stride;
  if (leader) {
    gather_rows<T>(a.h0 + first_row * H, H, rows, H, [&](int64_t u) { return slots + (I + u) * lanes; });
    if constexpr (Cell::kStaged) begin_staged(a, staged, first_row, rows, slots + I * lanes);
    if constexpr (layout.cell_state)
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
    if (slice.team) slice.team->wait(arriving);
    for (int64_t index = 0; index < steps; ++index) {
      const int64_t s = a.reverse ? steps - 1 - index : index, t = begin + s;
      const Mask<T> active = lengths.active(t);
      ForwardStep<T> step;
      step.slot = slots + index * depth * lanes;
      step.h = slots + ((index + 1) * depth + I) * lanes;
      step.output = output + s * H * lanes;
      step.c = c;
      step.saved = a.saved ? a.saved + (t * a.batch + first_row) * layout.kept(H) : nullptr;
      step.rows = rows;
      step.past_cache = past_cache;
      step.active = t < lengths.shortest ? nullptr : &active;
      if constexpr (Cell::kStaged) {
        step.time = t;
        step.first_row = first_row;
        forward_staged<Cell>(a, step, staged, slice, exchanged);
      } else {
        for (int64_t tile = first_tile; tile < last_tile; ++tile) {
          const int64_t unit = tile_begin(tile, tiles, H), units = tile_begin(tile + 1, tiles, H) - unit;
          forward_tile_of<Cell>(units, a, step, a.weights + unit * layout.rows * depth, unit,
                                typename MakeIndices<kUnitsPerTile<Cell>>::type());
        }
      }
      if (slice.team) slice.team->wait(arriving);
    }
    if (leader) {
      scatter_rows<T>([&](int64_t k) { return output + k * lanes; }, a.output + (first_row * a.time + begin) * H,
                      a.time * H, rows, steps * H);
      __builtin_memcpy(slots + I * lanes, slots + (steps * depth + I) * lanes, H * lanes * sizeof(T));
    }
  }
  if (!leader) return;
  const T* const h = Cell::kStaged ? staged.h : slots + I * lanes;
  scatter_rows<T>([&](int64_t u) { return h + u * lanes; }, a.h_n + first_row * H, H, rows, H);
  if constexpr (layout.cell_state)
    scatter_rows<T>([&](int64_t u) { return c + u * lanes; }, a.c_n + first_row * H, H, rows, H);
  for (int64_t r = 0; r < rows; ++r) {
    const int64_t length = a.lengths ? a.lengths[first_row + r] : a.time;
    __builtin_memset(a.output + ((first_row + r) * a.time + length) * H, 0, (a.time - length) * H * sizeof(T));
  }
}

template <typename Cell, typename T>
void forward(const RecurrentForwardArguments<T>& a, const RecurrentSlice& slice, T* scratch) {
  for (int64_t group = slice.first_group; group < slice.last_group; ++group) {
    forward_group<Cell>(a, group, slice, scratch);
    // The next group's leader overwrites what the others of the team may still be reading.
    if (slice.team) slice.team->wait(slice.share_end - slice.share_begin);
  }
}

// --------------------------------------------------------------------------------------------------------- backward

template <typename Cell, typename T>
struct BackwardSizes {
  int64_t sums, slot, chunk;  // sums and slot: vectors from one step's to the next one's

  explicit BackwardSizes(const RecurrentBackwardArguments<T>& a) {
    const int64_t I = a.forward.input_size, H = a.forward.hidden_size;
    sums = odd(Cell::kLayout.gradients * H + kReadPast);
    slot = a.grad_hidden_weights ? odd(WeightGradient<T>(I).slot_vectors() + WeightGradient<T>(H).slot_vectors()) : 0;
    const int64_t vectors = sums + slot + H + (a.grad_x ? I : 0);
    chunk = chunk_steps(a.forward.time, vectors * SEQLIGHT_VECTOR_BYTES, a.chunk_bytes);
  }
};

template <typename Cell, typename T>
int64_t backward_scratch(const RecurrentBackwardArguments<T>& a) {
  const BackwardSizes<Cell, T> sizes(a);
  const int64_t I = a.forward.input_size, H = a.forward.hidden_size;
  const int64_t per_step = sizes.sums + sizes.slot + H + (a.grad_x ? I : 0);
  const int64_t vectors = sizes.chunk * per_step + (5 + Cell::kLayout.biases + Cell::kLayout.extras) * H;
  return vectors * kLanes<T> + (Cell::kStaged ? exchanged_numbers<T>(H) : 0);
}

template <typename Cell, typename T>
void backward_units(const RecurrentBackwardArguments<T>& a, const BackwardStep<T>& step, int64_t begin, int64_t end) {
  typedef Vector<T> V;
  constexpr CellLayout layout = Cell::kLayout;
  constexpr int64_t lanes = kLanes<T>;
  const int64_t H = a.forward.hidden_size;
  for (int64_t u = begin; u < end; ++u) {
    V saved[layout.saved];
#pragma GCC unroll 8
    for (int s = 0; s < layout.saved; ++s)
      saved[s] = load_first<T>(step.saved + (u * layout.saved + s) * step.rows, step.rows);
    const V before = load_first<T>(step.before + u * step.before_stride, step.before_rows);
    const V carried = load<T>(step.grad_h + u * lanes);
    const V grad_h = carried + load<T>(step.grad_output + u * lanes);
    V grad_c{}, grad_c_after{};
    if constexpr (layout.cell_state) grad_c = grad_c_after = load<T>(step.grad_c + u * lanes);
    V gradients[layout.gradients], extra[layout.extras ? layout.extras : 1], extras[layout.extras ? layout.extras : 1];
#pragma GCC unroll 4
    for (int e = 0; e < layout.extras; ++e) extra[e] = broadcast<T>(a.forward.extra[e * H + u]);
    V direct = Cell::backward(extra, saved, before, grad_h, grad_c, gradients, extras);
    if (step.active) {
#pragma GCC unroll 4
      for (int g = 0; g < layout.gradients; ++g) gradients[g] = select<T>(*step.active, gradients[g], V{});
#pragma GCC unroll 4
      for (int e = 0; e < layout.extras; ++e) extras[e] = select<T>(*step.active, extras[e], V{});
      grad_c = select<T>(*step.active, grad_c, grad_c_after);
      direct = select<T>(*step.active, direct, carried);
    }
    if constexpr (layout.cell_state) store<T>(step.grad_c + u * lanes, grad_c);
    if (Cell::kDirect || step.active) store<T>(step.held + u * lanes, direct);
#pragma GCC unroll 4
    for (int g = 0; g < layout.gradients; ++g) {
      store<T>(step.grad_sums + (g * H + u) * lanes, gradients[g]);
      T* bias = step.grad_bias + (g * H + u) * lanes;
      store<T>(bias, load<T>(bias) + gradients[g]);
    }
#pragma GCC unroll 4
    for (int e = 0; e < layout.extras; ++e) {
      T* extra = step.grad_extra + (e * H + u) * lanes;
      store<T>(extra, load<T>(extra) + extras[e]);
    }
  }
}

// Brings the gradients for the outputs of a chunk of steps to [steps][H][lanes].
template <typename T>
void gather_grad_output(const RecurrentBackwardArguments<T>& a, int64_t first_row, int64_t rows, int64_t begin,
                        int64_t steps, T* target) {
  const int64_t H = a.forward.hidden_size, row_stride = a.grad_output_batch_stride, stride = a.grad_output_time_stride;
  const T* const source = a.grad_output + first_row * row_stride + begin * stride;
  // Steps that follow each other in memory are read as one row: fewer vectors are filled in part.
  const int64_t at_once = stride == H ? steps : 1;
  for (int64_t s = 0; s < steps; s += at_once)
    gather_rows<T>(source + s * stride, row_stride, rows, at_once * H,
                   [&](int64_t k) { return target + (s * H + k) * kLanes<T>; });
}

template <typename Cell, typename T>
void backward_group(const RecurrentBackwardArguments<T>& a, int64_t group, const RecurrentSlice& slice, T* scratch) {
  constexpr int64_t lanes = kLanes<T>;
  constexpr CellLayout layout = Cell::kLayout;
  const RecurrentForwardArguments<T>& f = a.forward;
  const BackwardSizes<Cell, T> sizes(a);
  const int64_t I = f.input_size, H = f.hidden_size, rows_h = layout.rows * H;
  const int64_t first_row = group * lanes, rows = f.batch - first_row < lanes ? f.batch - first_row : lanes;
  const int64_t tiles = tile_count(H, kColumnsPerTile), input_tiles = tile_count(I, kColumnsPerTile);
  const int64_t first_tile = tiles * slice.share_begin / slice.shares;
  const int64_t last_tile = tiles * slice.share_end / slice.shares;
  const int64_t first_unit = tile_begin(first_tile, tiles, H), last_unit = tile_begin(last_tile, tiles, H);
  const int64_t arriving = slice.share_end - slice.share_begin;
  const bool leader = slice.share_begin == 0;
  const GroupLengths<T> lengths(f.lengths, first_row, rows, f.time);
  const int64_t time = lengths.longest;

  const int64_t sums_stride = sizes.sums * lanes, slot_stride = sizes.slot * lanes;
  T* const grad_sums = scratch;
  T* const slots = grad_sums + sizes.chunk * sums_stride;
  T* const grad_output = slots + sizes.chunk * slot_stride;
  T* const grad_x = grad_output + sizes.chunk * H * lanes;
  T* const grad_h = grad_x + (a.grad_x ? sizes.chunk * I * lanes : 0);
  T* const grad_c = grad_h + H * lanes;
  T* const held = grad_c + H * lanes;
  T* const initial = held + H * lanes;
  T* const grad_bias = initial + H * lanes;
  T* const grad_extra = grad_bias + layout.biases * H * lanes;
  T* const mask = grad_extra + layout.extras * H * lanes;  // of recurrent dropout
  T* const exchanged = mask + H * lanes;

  if (leader) {
    if (Cell::kStaged && f.hidden_mask) gather_mask(f, first_row, rows, mask);
    gather_rows<T>((layout.cell_state ? f.c0 : f.h0) + first_row * H, H, rows, H,
                   [&](int64_t u) { return initial + u * lanes; });
    __builtin_memset(grad_h, 0, 2 * H * lanes * sizeof(T));
    if (a.grad_h_n)
      gather_rows<T>(a.grad_h_n + first_row * H, H, rows, H, [&](int64_t u) { return grad_h + u * lanes; });
    if (a.grad_c_n)
      gather_rows<T>(a.grad_c_n + first_row * H, H, rows, H, [&](int64_t u) { return grad_c + u * lanes; });
    __builtin_memset(grad_bias, 0, (layout.biases + layout.extras) * H * lanes * sizeof(T));
    if (!a.grad_output) __builtin_memset(grad_output, 0, sizes.chunk * H * lanes * sizeof(T));
    for (int64_t s = 0; s < sizes.chunk; ++s)  // what the weight gradients read past the last gradient
      __builtin_memset(grad_sums + s * sums_stride + layout.gradients * H * lanes, 0, kReadPast * lanes * sizeof(T));
  }

  for (int64_t left = time, steps; left > 0; left -= steps) {
    steps = left < sizes.chunk ? left : sizes.chunk;
    const int64_t begin = f.reverse ? time - left : left - steps;  // the chunk is the time steps from here
    if (leader && a.grad_output) gather_grad_output(a, first_row, rows, begin, steps, grad_output);
    if (slice.team) slice.team->wait(arriving);
    for (int64_t index = steps - 1; index >= 0; --index) {
      const int64_t s = f.reverse ? steps - 1 - index : index, t = begin + s, before = f.reverse ? t + 1 : t - 1;
      const bool first = f.reverse ? t == time - 1 : t == 0;
      const Mask<T> active = lengths.active(t);
      BackwardStep<T> step;
      step.grad_sums = grad_sums + s * sums_stride;
      step.saved = f.saved + (t * f.batch + first_row) * layout.kept(H);
      step.before =
          first ? initial : f.saved + (before * f.batch + first_row) * layout.kept(H) + (layout.saved - 1) * rows;
      step.before_stride = first ? lanes : layout.saved * rows;
      step.before_rows = first ? lanes : rows;
      step.grad_output = grad_output + s * H * lanes;
      step.grad_h = grad_h;
      step.grad_c = grad_c;
      step.held = held;
      step.grad_bias = grad_bias;
      step.grad_extra = grad_extra;
      step.rows = rows;
      step.active = t < lengths.shortest ? nullptr : &active;
      Ahead ahead;
      if (!first)
        ahead = {f.saved + (before * f.batch + first_row) * layout.kept(H) + first_unit * layout.saved * rows,
                 (last_unit - first_unit) * layout.saved * rows};
      if constexpr (Cell::kStaged) {
        step.time = t;
        step.first_row = first_row;
        Cell::backward_step(a, step, UnitPlaces<T>(slice, H, exchanged));
      } else {
        backward_units<Cell>(a, step, first_unit, last_unit);
      }
      if (slice.team) slice.team->wait(arriving);
      product<T>(step.grad_sums + layout.hidden_first * H * lanes, a.hidden_weights, rows_h, H, first_tile, last_tile,
                 grad_h, ahead);
      if (Cell::kStaged && f.hidden_mask) {
        for (int64_t q = first_unit; q < last_unit; ++q)
          store<T>(grad_h + q * lanes, load<T>(grad_h + q * lanes) * load<T>(mask + q * lanes));
      }
      if (Cell::kDirect || step.active) {
        for (int64_t q = first_unit; q < last_unit; ++q)
          store<T>(grad_h + q * lanes, load<T>(grad_h + q * lanes) + load<T>(held + q * lanes));
      }
      if (a.grad_x)
        product<T>(step.grad_sums + layout.input_first * H * lanes, a.input_weights, rows_h, I,
                   input_tiles * slice.share_begin / slice.shares, input_tiles * slice.share_end / slice.shares,
                   grad_x + s * I * lanes);
      if (slice.team) slice.team->wait(arriving);
    }
    if (a.grad_hidden_weights) {
      const WeightGradient<T> of_input(I), of_hidden(H);
      T* const states = slots + of_input.slot_vectors() * lanes;
      const int64_t from = steps * slice.share_begin / slice.shares, to = steps * slice.share_end / slice.shares;
      gather_inputs<T>(f, lengths, first_row, rows, begin, from, to, of_input, slots, slot_stride);
      gather_states<T>(f, lengths, first_row, rows, begin, from, to, of_hidden, states, slot_stride);
      if (slice.team) slice.team->wait(arriving);
      of_input.add(grad_sums + layout.input_first * H * lanes, sums_stride, slots, slot_stride, steps, rows,
                   layout.rows, H, first_unit, last_unit, slice,
                   a.grad_input_weights + slice.worker * of_input.form.numbers(rows_h));
      of_hidden.add(grad_sums + layout.hidden_first * H * lanes, sums_stride, states, slot_stride, steps, rows,
                    layout.rows, H, first_unit, last_unit, slice,
                    a.grad_hidden_weights + slice.worker * of_hidden.form.numbers(rows_h));
    }
    if (a.grad_x && leader)
      scatter_rows<T>([&](int64_t k) { return grad_x + k * lanes; }, a.grad_x + (first_row * f.time + begin) * I,
                      f.time * I, rows, steps * I);
    if (a.grad_sums) {
      // Each thread those of its own units, which are in its core's cache.
      const int64_t size = layout.gradients * H;
      for (int64_t s = 0; s < steps; ++s)
        for (int64_t g = 0; g < layout.gradients; ++g)
          scatter_rows<T>([&](int64_t j) { return grad_sums + s * sums_stride + (g * H + first_unit + j) * lanes; },
                          a.grad_sums + (first_row * f.time + begin + s) * size + g * H + first_unit, f.time * size,
                          rows, last_unit - first_unit);
    }
    if (slice.team) slice.team->wait(arriving);
  }

  if (!leader) return;
  scatter_rows<T>([&](int64_t u) { return grad_h + u * lanes; }, a.grad_h0 + first_row * H, H, rows, H);
  if constexpr (layout.cell_state)
    scatter_rows<T>([&](int64_t u) { return grad_c + u * lanes; }, a.grad_c0 + first_row * H, H, rows, H);
  if (a.grad_bias)
    for (int64_t j = 0; j < layout.biases * H; ++j)
      a.grad_bias[slice.worker * layout.biases * H + j] += sum_lanes_of<T>(load<T>(grad_bias + j * lanes));
  if (a.grad_extra)
    for (int64_t j = 0; j < layout.extras * H; ++j) {
      const int64_t gain = j / H - layout.first_gain;
      T* const to = a.grad_extra + slice.worker * layout.extras * H + j;
      if (gain >= 0 && gain < layout.gains)
        *to += grad_extra[layout.first_gain * H * lanes + j % H * layout.gains + gain];
      else
        *to += sum_lanes_of<T>(load<T>(grad_extra + j * lanes));
    }
  for (int64_t r = 0; r < rows; ++r) {
    const int64_t row = first_row + r, size = layout.gradients * H;
    if (a.grad_x) __builtin_memset(a.grad_x + (row * f.time + time) * I, 0, (f.time - time) * I * sizeof(T));
    if (a.grad_sums)
      __builtin_memset(a.grad_sums + (row * f.time + time) * size, 0, (f.time - time) * size * sizeof(T));
  }
}

template <typename Cell, typename T>
void backward(const RecurrentBackwardArguments<T>& a, const RecurrentSlice& slice, T* scratch) {
  for (int64_t group = slice.first_group; group < slice.last_group; ++group) {
    backward_group<Cell>(a, group, slice, scratch);
    if (slice.team) slice.team->wait(slice.share_end - slice.share_begin);
  }
}

template <typename Cell, typename T>
constexpr RecurrentKernels<T> lanes_kernels() {
  return {Cell::kStaged ? RecurrentForm::staged : RecurrentForm::lanes,
          Cell::kLayout,
          kLanes<T>,
          kLanes<T>,
          Cell::kStaged ? kColumnsPerTile : kUnitsPerTile<Cell>,
          kColumnsPerTile,
          kDepthPerTile,
          forward_scratch<Cell, T>,
          backward_scratch<Cell, T>,
          forward<Cell, T>,
          backward<Cell, T>};
}

}  // namespace SEQLIGHT_ISA
}  // namespace seqlight::cpu
