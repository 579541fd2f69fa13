// Dilated causal convolution on the CPU for one instruction set and vector width; causal_conv1d_<isa>.cpp includes it
// once for each width with SEQLIGHT_ISA (a namespace), SEQLIGHT_VECTOR_BYTES and SEQLIGHT_VECTOR_REGISTERS set.
//
// One vector lane is one output channel, and an input value is a broadcast operand of a fused multiply-add. All taps
// of a tile of rows (times, also of several sequences) and columns are summed in registers. Every row of a tile has a
// pointer of its own for each tap, so that state, padding, the ends of sequences and any strides cost nothing in the
// inner loop, and nothing is copied: a row that does not exist points to zeros.
#include "../cells/gate.h"

namespace seqlight::cpu {
namespace SEQLIGHT_ISA {

// clang-format off: the order matters
#include "vector.inl"
#include "activations.inl"
#include "rows.inl"
#include "partial.inl"
// clang-format on

constexpr int kMostVectors = 3;

// Rows of a register tile `vectors` wide: up to 24 accumulators in 32 registers, 12 in 16, and no more rows than there
// are general registers for their pointers.
constexpr int tile_rows(int vectors) {
#if SEQLIGHT_VECTOR_REGISTERS == 32
  return vectors == 3 ? 8 : 12;
#else
  return vectors == 3 ? 4 : vectors == 2 ? 6 : 8;
#endif
}

// Rows whose pointers are set up at once. A multiple of every tile's rows.
constexpr int64_t kBlockRows = 96;

// -------------------------------------------------------------------------------------------------------------- layout

struct ConvLayout {
  int64_t groups, columns, depth, taps, vectors, panels, lanes;
  bool gate;

  ConvLayout(int64_t lanes_, int64_t groups_, int64_t columns_, int64_t depth_, int64_t taps_, bool gate_)
      : groups(groups_), columns(columns_), depth(depth_), taps(taps_), lanes(lanes_), gate(gate_) {
    vectors = (columns + lanes - 1) / lanes;
    panels = gate ? vectors : (vectors + kMostVectors - 1) / kMostVectors;
  }
  int64_t first_vector(int64_t panel) const { return panel * vectors / panels; }
  int64_t panel_vectors(int64_t panel) const { return first_vector(panel + 1) - first_vector(panel); }
  int64_t panel_columns(int64_t panel) const {
    const int64_t end = first_vector(panel + 1) * lanes;
    return (end < columns ? end : columns) - first_vector(panel) * lanes;
  }
  int64_t parts() const { return gate ? 2 : 1; }
  int64_t bias_offset(int64_t group, int64_t panel) const {
    return (group * vectors + first_vector(panel)) * lanes * parts();
  }
  int64_t weights_offset(int64_t group, int64_t panel) const { return bias_offset(group, panel) * depth * taps; }
};

template <typename T>
int64_t packed_weights(int64_t groups, int64_t columns, int64_t depth, int64_t taps, bool gate) {
  const ConvLayout layout(kLanes<T>, groups, columns, depth, taps, gate);
  return groups * layout.vectors * kLanes<T> * layout.parts() * depth * taps;
}

template <typename T>
int64_t packed_bias(int64_t groups, int64_t columns, bool gate) {
  return packed_weights<T>(groups, columns, 1, 1, gate);
}

template <typename T>
void pack(const T* weight, int64_t groups, int64_t columns, int64_t depth, int64_t taps, bool gate, T* target) {
  constexpr int64_t lanes = kLanes<T>;
  const ConvLayout layout(lanes, groups, columns, depth, taps, gate);
  const int64_t length = depth * taps;  // of one output channel's weights, [depth][taps]
  for (int64_t group = 0; group < groups; ++group)
    for (int64_t panel = 0; panel < layout.panels; ++panel) {
      const int64_t width = layout.panel_vectors(panel) * layout.parts() * lanes;
      T* const packed = target + layout.weights_offset(group, panel);
      for (int64_t v = 0; v < width / lanes; ++v) {
        const int64_t first = (layout.first_vector(panel) + (gate ? 0 : v)) * lanes;
        const int64_t count = columns - first < lanes ? columns - first : lanes;
        const int64_t channel = (gate ? v : group) * columns + first;
        T* const column = packed + v * lanes;
        gather_rows<T>(weight + channel * length, length, count, length,
                       [&](int64_t i) { return column + (taps == 1 ? i : i % taps * depth + i / taps) * width; });
      }
    }
}

template <typename T>
void pack_transposed(const T* weight, int64_t groups, int64_t columns, int64_t depth, int64_t taps, T* target) {
  constexpr int64_t lanes = kLanes<T>;
  const ConvLayout layout(lanes, groups, columns, depth, taps, false);
  for (int64_t group = 0; group < groups; ++group)
    for (int64_t panel = 0; panel < layout.panels; ++panel) {
      const int64_t width = layout.panel_vectors(panel) * lanes, count = layout.panel_columns(panel);
      const int64_t first = layout.first_vector(panel) * lanes;
      T* const packed = target + layout.weights_offset(group, panel);
      for (int64_t d = 0; d < depth; ++d) {
        const T* const source = weight + ((group * depth + d) * columns + first) * taps;
        for (int64_t k = 0; k < taps; ++k) {
          T* const row = packed + (k * depth + d) * width;
          for (int64_t c = 0; c < count; ++c) row[c] = source[c * taps + k];
          for (int64_t c = count; c < width; ++c) row[c] = 0;
        }
      }
    }
}

template <typename T>
void pack_bias(const T* bias, int64_t groups, int64_t columns, bool gate, T* target) {
  constexpr int64_t lanes = kLanes<T>;
  const ConvLayout layout(lanes, groups, columns, 1, 1, gate);
  for (int64_t group = 0; group < groups; ++group)
    for (int64_t panel = 0; panel < layout.panels; ++panel)
      for (int64_t v = 0; v < layout.panel_vectors(panel) * layout.parts(); ++v) {
        const int64_t first = (layout.first_vector(panel) + (gate ? 0 : v)) * lanes;
        T* const packed = target + layout.bias_offset(group, panel) + v * lanes;
        for (int64_t l = 0; l < lanes; ++l)
          packed[l] = bias && first + l < columns ? bias[(gate ? v : group) * columns + first + l] : T(0);
      }
}

template <typename T>
void unpack(const T* packed, int64_t workers, int64_t groups, int64_t columns, int64_t depth, int64_t taps,
            T* grad_weight) {
  constexpr int64_t lanes = kLanes<T>;
  const ConvLayout layout(lanes, groups, columns, depth, taps, false);
  const int64_t size = packed_weights<T>(groups, columns, depth, taps, false);
  for (int64_t group = 0; group < groups; ++group)
    for (int64_t panel = 0; panel < layout.panels; ++panel) {
      const int64_t width = layout.panel_vectors(panel) * lanes, count = layout.panel_columns(panel);
      const T* const source = packed + layout.weights_offset(group, panel);
      T* const target = grad_weight + (group * columns + layout.first_vector(panel) * lanes) * depth * taps;
      for (int64_t c = 0; c < count; ++c)
        for (int64_t d = 0; d < depth; ++d)
          for (int64_t k = 0; k < taps; ++k) {
            const T* const each = source + (k * depth + d) * width + c;
            T sum = 0;
            for (int64_t w = 0; w < workers; ++w) sum += each[w * size];
            target[(c * depth + d) * taps + k] = sum;
          }
    }
}

// -------------------------------------------------------------------------------------------------------- row pointers

// Calls run(pointer, time_stride, count) for stretches of consecutive times that lie in one piece of memory; the
// pointer is null where there is none.
template <typename T, typename Run>
SEQLIGHT_INLINE void for_stretches(const Sequences<T>& s, int64_t batch, int64_t first, int64_t last, const Run& run) {
  const int64_t edges[3] = {-s.past_length, 0, s.length};
  for (int64_t time = first; time < last;) {
    int64_t piece = 0;
    while (piece < 3 && time >= edges[piece]) ++piece;
    const int64_t end = piece < 3 && edges[piece] < last ? edges[piece] : last;
    if (piece == 1 && s.past)
      run(s.past + batch * s.past_batch_stride + (time + s.past_length) * s.past_time_stride, s.past_time_stride,
          end - time);
    else if (piece == 2)
      run(s.data + batch * s.batch_stride + time * s.time_stride, s.time_stride, end - time);
    else
      run(static_cast<T*>(nullptr), 0, end - time);
    time = end;
  }
}

// Writes the pointers of the product's rows [first, last), moved by `offset` times; `missing` where there is no row.
template <typename T>
void row_pointers(const Sequences<T>& s, const int64_t first_time, int64_t times, int64_t offset, int64_t first,
                  int64_t last, T* missing, T** target) {
  for (int64_t row = first; row < last;) {
    const int64_t batch = row / times, time = row % times;
    const int64_t count = times - time < last - row ? times - time : last - row;
    const int64_t begin = first_time + time + offset;
    for_stretches(s, batch, begin, begin + count, [&](T* pointer, int64_t stride, int64_t length) {
      if (!pointer) {
        for (int64_t i = 0; i < length; ++i) *target++ = missing;
        return;
      }
      for (int64_t i = 0; i < length; ++i, pointer += stride) *target++ = pointer;
    });
    row += count;
  }
}

inline int64_t round_up(int64_t n, int64_t unit) { return (n + unit - 1) / unit * unit; }

// The pointers of a block of rows: for each tap, to what is added, and to the outputs; rows that only fill a tile read
// zeros and write to nowhere.
template <typename T>
class RowBlock {
 public:
  static int64_t scratch_bytes(const ConvProduct<T>& a) {
    return round_up(((a.taps + 2) * kBlockRows) * sizeof(T*), 64) + round_up(zero_count(a) * sizeof(T), 64) +
           round_up(a.groups * a.columns * sizeof(T), 64);
  }

  RowBlock(const ConvProduct<T>& a, void* scratch) : a_(a) {
    taps_ = static_cast<const T**>(scratch);
    adds_ = taps_ + a.taps * kBlockRows;
    outputs_ = static_cast<T**>(scratch) + (a.taps + 1) * kBlockRows;
    char* const rows = static_cast<char*>(scratch) + round_up(((a.taps + 2) * kBlockRows) * sizeof(T*), 64);
    zeros_ = reinterpret_cast<T*>(rows);
    nowhere_ = reinterpret_cast<T*>(rows + round_up(zero_count(a) * sizeof(T), 64));
    __builtin_memset(zeros_, 0, zero_count(a) * sizeof(T));
  }

  void point_to(int64_t first, int64_t last) {
    for (int64_t k = 0; k < a_.taps; ++k) {
      const T** const target = taps_ + k * kBlockRows;
      row_pointers<const T>(a_.in, a_.first_time, a_.times, a_.first_offset + k * a_.offset_step, first, last, zeros_,
                            target);
      for (int64_t i = last - first; i < kBlockRows; ++i) target[i] = zeros_;
    }
    if (a_.add.data) {
      row_pointers<const T>(a_.add, a_.first_time, a_.times, 0, first, last, zeros_, adds_);
      for (int64_t i = last - first; i < kBlockRows; ++i) adds_[i] = zeros_;
    }
    row_pointers<T>(a_.out, a_.first_time, a_.times, 0, first, last, nowhere_, outputs_);
    for (int64_t i = last - first; i < kBlockRows; ++i) outputs_[i] = nowhere_;
  }

  const T* const* tap(int64_t k) const { return taps_ + k * kBlockRows; }
  const T* const* adds() const { return a_.add.data ? adds_ : nullptr; }
  T* const* outputs() const { return outputs_; }

  template <int kRows>
  SEQLIGHT_INLINE bool empty(const T* const* rows) const {
    bool all = true;
    for (int r = 0; r < kRows; ++r) all &= rows[r] == zeros_;
    return all;
  }

 private:
  static int64_t zero_count(const ConvProduct<T>& a) {
    const int64_t in = a.groups * a.depth, added = a.groups * a.columns * (a.epilogue == ConvEpilogue::gate ? 2 : 1);
    return !a.add.data || in > added ? in : added;
  }

  const ConvProduct<T>& a_;
  const T** taps_;
  const T** adds_;
  T** outputs_;
  T *zeros_, *nowhere_;
};

// ------------------------------------------------------------------------------------------------------------- product

template <typename T>
struct ConvTile {
  const RowBlock<T>& block;
  int64_t row;  // within the block
  int64_t taps, depth, in_channel, out_channel;
  const T* weights;
  const T* bias;
  Partial<T> last;  // of the panel's vectors
};

// sums[r][v] = bias + all taps' products.
template <typename T, int kVectors, int kRows>
SEQLIGHT_INLINE void sum_taps(const ConvTile<T>& tile, Vector<T> (&sums)[kRows][kVectors]) {
  constexpr int64_t lanes = kLanes<T>;
#pragma GCC unroll 12
  for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 3
    for (int v = 0; v < kVectors; ++v) sums[r][v] = load<T>(tile.bias + v * lanes);
  const T* weights = tile.weights;
  for (int64_t k = 0; k < tile.taps; ++k) {
    const T* const* const pointers = tile.block.tap(k) + tile.row;
    if (tile.block.template empty<kRows>(pointers)) {
      weights += tile.depth * kVectors * lanes;
      continue;
    }
    const T* rows[kRows];
#pragma GCC unroll 12
    for (int r = 0; r < kRows; ++r) rows[r] = pointers[r] + tile.in_channel;
    for (int64_t c = 0; c < tile.depth; ++c, weights += kVectors * lanes) {
      Vector<T> w[kVectors];
#pragma GCC unroll 3
      for (int v = 0; v < kVectors; ++v) w[v] = load<T>(weights + v * lanes);
#pragma GCC unroll 12
      for (int r = 0; r < kRows; ++r) {
        const T x = rows[r][c];
#pragma GCC unroll 3
        for (int v = 0; v < kVectors; ++v) sums[r][v] += x * w[v];
      }
    }
  }
}

template <typename T, int kVectors>
void product_tile(const ConvTile<T>& tile, bool relu) {
  constexpr int kRows = tile_rows(kVectors);
  Vector<T> sums[kRows][kVectors];
  sum_taps<T, kVectors, kRows>(tile, sums);
  T* const* const outputs = tile.block.outputs() + tile.row;
  if (tile.block.adds()) {
    const T* const* const adds = tile.block.adds() + tile.row;
#pragma GCC unroll 12
    for (int r = 0; r < kRows; ++r) {
      const T* const add = adds[r] + tile.out_channel;
#pragma GCC unroll 3
      for (int v = 0; v < kVectors - 1; ++v) sums[r][v] += load<T>(add + v * kLanes<T>);
      sums[r][kVectors - 1] += load_partial<T>(add + (kVectors - 1) * kLanes<T>, tile.last);
    }
  }
  if (relu) {
#pragma GCC unroll 12
    for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 3
      for (int v = 0; v < kVectors; ++v) sums[r][v] = sums[r][v] < T(0) ? Vector<T>{} : sums[r][v];  // keeps NaN
  }
#pragma GCC unroll 12
  for (int r = 0; r < kRows; ++r) {
    T* const output = outputs[r] + tile.out_channel;
#pragma GCC unroll 3
    for (int v = 0; v < kVectors - 1; ++v) store<T>(output + v * kLanes<T>, sums[r][v]);
    store_partial<T>(output + (kVectors - 1) * kLanes<T>, sums[r][kVectors - 1], tile.last);
  }
}

// `saved`: the place of this tile's first row and channel in [rows, 2 * columns], or null.
template <typename T>
void gate_tile(const ConvTile<T>& tile, T* saved, int64_t saved_rows, int64_t columns) {
  constexpr int kRows = tile_rows(2);
  Vector<T> sums[kRows][2];
  sum_taps<T, 2, kRows>(tile, sums);
  T* const* const outputs = tile.block.outputs() + tile.row;
  const T* const* const adds = tile.block.adds();
  // Not unrolled: unrolled, the polynomials would take the accumulators' registers.
  for (int r = 0; r < kRows; ++r) {
    GatePair<Vector<T>> pair = {sums[r][0], sums[r][1]};
    if (adds) {
      const T* const add = adds[tile.row + r] + tile.out_channel;
      pair.filter += load_partial<T>(add, tile.last);
      pair.gate += load_partial<T>(add + columns, tile.last);
    }
    store_partial<T>(outputs[r] + tile.out_channel, gate_unit<VectorMath<T>>(pair), tile.last);
    if (saved && r < saved_rows) {
      store_partial<T>(saved + r * 2 * columns, pair.filter, tile.last);
      store_partial<T>(saved + r * 2 * columns + columns, pair.gate, tile.last);
    }
  }
}

template <typename T, int kVectors>
void product_panel(const ConvProduct<T>& a, ConvTile<T>& tile, int64_t rows) {
  for (tile.row = 0; tile.row < rows; tile.row += tile_rows(kVectors))
    product_tile<T, kVectors>(tile, a.epilogue == ConvEpilogue::relu);
}

template <typename T>
int64_t product_scratch_bytes(const ConvProduct<T>& a) {
  return RowBlock<T>::scratch_bytes(a);
}

template <typename T>
void product(const ConvProduct<T>& a, int64_t first_row, int64_t last_row, void* scratch) {
  constexpr int64_t lanes = kLanes<T>;
  const bool gate = a.epilogue == ConvEpilogue::gate;
  const ConvLayout layout(lanes, a.groups, a.columns, a.depth, a.taps, gate);
  RowBlock<T> block(a, scratch);
  for (int64_t begin = first_row; begin < last_row; begin += kBlockRows) {
    const int64_t rows = last_row - begin < kBlockRows ? last_row - begin : kBlockRows;
    block.point_to(begin, begin + rows);
    for (int64_t group = 0; group < a.groups; ++group)
      for (int64_t panel = 0; panel < layout.panels; ++panel) {
        const int64_t vectors = layout.panel_vectors(panel), first = layout.first_vector(panel) * lanes;
        ConvTile<T> tile = {block,
                            0,
                            a.taps,
                            a.depth,
                            group * a.depth,
                            group * a.columns + first,
                            a.weights + layout.weights_offset(group, panel),
                            a.bias + layout.bias_offset(group, panel),
                            Partial<T>(layout.panel_columns(panel) - (vectors - 1) * lanes)};
        if (gate) {
          for (; tile.row < rows; tile.row += tile_rows(2))
            gate_tile<T>(tile, a.saved ? a.saved + (begin + tile.row) * 2 * a.columns + first : nullptr,
                         rows - tile.row, a.columns);
        } else if (vectors == 1) {
          product_panel<T, 1>(a, tile, rows);
        } else if (vectors == 2) {
          product_panel<T, 2>(a, tile, rows);
        } else {
          product_panel<T, 3>(a, tile, rows);
        }
      }
  }
}

// ------------------------------------------------------------------------------------- epilogues of single rows

template <typename T>
void gate_output(const T* activated, int64_t rows, int64_t columns, T* out) {
  constexpr int64_t lanes = kLanes<T>;
  const int64_t whole = columns / lanes * lanes;
  const Partial<T> rest(columns - whole);
  for (int64_t r = 0; r < rows; ++r, activated += 2 * columns, out += columns) {
    for (int64_t c = 0; c < whole; c += lanes)
      store<T>(out + c, load<T>(activated + c) * load<T>(activated + columns + c));
    if (whole < columns)
      store_partial<T>(out + whole,
                       load_partial<T>(activated + whole, rest) * load_partial<T>(activated + columns + whole, rest),
                       rest);
  }
}

template <typename T>
void gate_rows(T* pre, int64_t rows, int64_t columns, T* out) {
  constexpr int64_t lanes = kLanes<T>;
  for (int64_t r = 0; r < rows; ++r, pre += 2 * columns, out += columns)
    for (int64_t c = 0; c < columns; c += lanes) {
      const int64_t count = columns - c < lanes ? columns - c : lanes;
      GatePair<Vector<T>> pair = {load_first<T>(pre + c, count), load_first<T>(pre + columns + c, count)};
      store_first<T>(out + c, gate_unit<VectorMath<T>>(pair), count);
      store_first<T>(pre + c, pair.filter, count);
      store_first<T>(pre + columns + c, pair.gate, count);
    }
}

// A NaN lets the gradient through, as in torch.
template <typename T>
SEQLIGHT_INLINE Vector<T> relu_backward(const Vector<T>& output, const Vector<T>& grad) {
  return output <= T(0) ? Vector<T>{} : grad;
}

template <typename T>
void epilogue_backward(ConvEpilogue epilogue, const T* grad, int64_t grad_stride, const T* activated, int64_t rows,
                       int64_t columns, T* grad_pre) {
  constexpr int64_t lanes = kLanes<T>;
  const int64_t whole = columns / lanes * lanes;
  const Partial<T> rest(columns - whole);
  if (epilogue == ConvEpilogue::gate) {
    for (int64_t r = 0; r < rows; ++r, grad += grad_stride, activated += 2 * columns, grad_pre += 2 * columns) {
      for (int64_t c = 0; c < whole; c += lanes) {
        const GatePair<Vector<T>> pair = {load<T>(activated + c), load<T>(activated + columns + c)};
        const GatePair<Vector<T>> result = gate_unit_backward(pair, load<T>(grad + c));
        store<T>(grad_pre + c, result.filter);
        store<T>(grad_pre + columns + c, result.gate);
      }
      if (whole == columns) continue;
      const GatePair<Vector<T>> pair = {load_partial<T>(activated + whole, rest),
                                        load_partial<T>(activated + columns + whole, rest)};
      const GatePair<Vector<T>> result = gate_unit_backward(pair, load_partial<T>(grad + whole, rest));
      store_partial<T>(grad_pre + whole, result.filter, rest);
      store_partial<T>(grad_pre + columns + whole, result.gate, rest);
    }
    return;
  }
  for (int64_t r = 0; r < rows; ++r, grad += grad_stride, activated += columns, grad_pre += columns) {
    for (int64_t c = 0; c < whole; c += lanes)
      store<T>(grad_pre + c, relu_backward<T>(load<T>(activated + c), load<T>(grad + c)));
    if (whole < columns)
      store_partial<T>(grad_pre + whole,
                       relu_backward<T>(load_partial<T>(activated + whole, rest), load_partial<T>(grad + whole, rest)),
                       rest);
  }
}

template <typename T>
void add_rows(const T* source, int64_t stride, int64_t rows, int64_t columns, T* target) {
  constexpr int64_t lanes = kLanes<T>;
  int64_t c = 0;
  for (; c + 4 * lanes <= columns; c += 4 * lanes) {
    Vector<T> sums[4] = {};
    for (int64_t r = 0; r < rows; ++r)
      for (int v = 0; v < 4; ++v) sums[v] += load<T>(source + r * stride + c + v * lanes);
    for (int v = 0; v < 4; ++v) store<T>(target + c + v * lanes, load<T>(target + c + v * lanes) + sums[v]);
  }
  for (; c < columns; c += lanes) {
    const Partial<T> part(columns - c < lanes ? columns - c : lanes);
    Vector<T> sum{};
    for (int64_t r = 0; r < rows; ++r) sum += load_partial<T>(source + r * stride + c, part);
    store_partial<T>(target + c, load_partial<T>(target + c, part) + sum, part);
  }
}

// ------------------------------------------------------------------------------------- a few rows, weights as they lie

template <typename T>
int64_t direct_scratch_bytes(const ConvProduct<T>& a) {
  const int64_t pre = a.groups * a.columns * (a.epilogue == ConvEpilogue::gate ? 2 : 1);
  return (a.groups * a.depth * a.taps + pre + 8) * sizeof(T);
}

// The sums of `count` numbers of x times each of four rows of weights.
template <typename T>
SEQLIGHT_INLINE Vector<T> four_dots(const T* x, const T* const (&weights)[4], int64_t count) {
  constexpr int64_t lanes = kLanes<T>;
  Vector<T> sums[4] = {};
  int64_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    const Vector<T> v = load<T>(x + i);
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) sums[j] += v * load<T>(weights[j] + i);
  }
  if (i < count) {
    const Partial<T> rest(count - i);
    const Vector<T> v = load_partial<T>(x + i, rest);
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) sums[j] += v * load_partial<T>(weights[j] + i, rest);
  }
  if constexpr (lanes >= 4) {
    sum_lanes<4, T>(sums);
    return sums[0];
  } else {
    sum_lanes<2, T>(sums);
    sum_lanes<2, T>(sums + 2);
    return sums[0];
  }
}

template <typename T>
void direct(const ConvProduct<T>& a, int64_t first_row, int64_t last_row, void* scratch) {
  const bool gate = a.epilogue == ConvEpilogue::gate;
  const int64_t channels = a.groups * a.depth, length = a.depth * a.taps;
  const int64_t group_columns = a.columns * (gate ? 2 : 1), columns = a.groups * group_columns;
  T* const inputs = static_cast<T*>(scratch);  // [channels][taps], as a row of weights
  T* const pre = inputs + channels * a.taps;   // with room for a whole last vector
  for (int64_t row = first_row; row < last_row; ++row) {
    const int64_t batch = row / a.times, time = a.first_time + row % a.times;
    for (int64_t k = 0; k < a.taps; ++k) {
      const T* source;
      const int64_t from = time + a.first_offset + k * a.offset_step;
      row_pointers<const T>(a.in, from, a.times, 0, batch * a.times, batch * a.times + 1, nullptr, &source);
      for (int64_t c = 0; c < channels; ++c) inputs[c * a.taps + k] = source ? source[c] : T(0);
    }
    for (int64_t group = 0; group < a.groups; ++group)
      for (int64_t c = 0; c < group_columns; c += 4) {
        const T* const own = a.weights + group * group_columns * length;
        const T* weights[4];
        for (int j = 0; j < 4; ++j) weights[j] = own + (c + j < group_columns ? c + j : group_columns - 1) * length;
        T sums[4];
        const int64_t count = group_columns - c < 4 ? group_columns - c : 4;
        if constexpr (kLanes<T> >= 4) {
          const Vector<T> v = four_dots<T>(inputs + group * length, weights, length);
          for (int64_t j = 0; j < 4; ++j) sums[j] = v[j];
        } else {
          for (int j = 0; j < 4; ++j) {
            sums[j] = 0;
            for (int64_t i = 0; i < length; ++i) sums[j] += inputs[group * length + i] * weights[j][i];
          }
        }
        T* const target = pre + group * group_columns + c;
        for (int64_t j = 0; j < count; ++j)
          target[j] = sums[j] + (a.bias ? a.bias[group * group_columns + c + j] : T(0));
      }
    T* output;
    row_pointers<T>(a.out, time, a.times, 0, batch * a.times, batch * a.times + 1, nullptr, &output);
    if (gate) {
      gate_rows<T>(pre, 1, a.columns, output);
      if (a.saved) __builtin_memcpy(a.saved + row * 2 * a.columns, pre, 2 * a.columns * sizeof(T));
    } else {
      const bool relu = a.epilogue == ConvEpilogue::relu;
      for (int64_t c = 0; c < columns; ++c) output[c] = relu && pre[c] < T(0) ? T(0) : pre[c];
    }
  }
}

// ----------------------------------------------------------------------------------------------------- weight gradient

// Calls run(x, x_stride, grad, rows) for the stretches of times of which the tap reads rows that exist.
template <typename T, typename Run>
SEQLIGHT_INLINE void for_tap_stretches(const ConvWeightGradient<T>& a, int64_t tap, int64_t batch, int64_t first,
                                       int64_t last, const Run& run) {
  const int64_t offset = a.first_offset + tap * a.offset_step;
  const T* grad = a.grad + batch * a.grad_batch_stride + first * a.grad_time_stride;
  for_stretches(a.in, batch, first + offset, last + offset, [&](const T* x, int64_t stride, int64_t rows) {
    if (x) run(x, stride, grad, rows);
    grad += rows * a.grad_time_stride;
  });
}

// target[i][column] += sum over rows of grad[row][column] * x[row][i].
template <typename T, int kVectors, int kInputs>
void weight_gradient_tile(const T* x, int64_t x_stride, const T* grad, int64_t grad_stride, int64_t rows,
                          const Partial<T>& last, T* target) {
  constexpr int64_t lanes = kLanes<T>;
  Vector<T> sums[kInputs][kVectors] = {};
  for (int64_t r = 0; r < rows; ++r, x += x_stride, grad += grad_stride) {
    Vector<T> g[kVectors];
#pragma GCC unroll 3
    for (int v = 0; v < kVectors - 1; ++v) g[v] = load<T>(grad + v * lanes);
    g[kVectors - 1] = load_partial<T>(grad + (kVectors - 1) * lanes, last);
#pragma GCC unroll 12
    for (int i = 0; i < kInputs; ++i)
#pragma GCC unroll 3
      for (int v = 0; v < kVectors; ++v) sums[i][v] += x[i] * g[v];
  }
#pragma GCC unroll 12
  for (int i = 0; i < kInputs; ++i)
#pragma GCC unroll 3
    for (int v = 0; v < kVectors; ++v) {
      T* const place = target + (i * kVectors + v) * lanes;
      store<T>(place, load<T>(place) + sums[i][v]);
    }
}

template <typename T, int kVectors, int... I>
SEQLIGHT_INLINE void weight_gradient_tile_of(int64_t inputs, const T* x, int64_t x_stride, const T* grad,
                                             int64_t grad_stride, int64_t rows, const Partial<T>& last, T* target,
                                             Indices<I...>) {
  typedef void (*Tile)(const T*, int64_t, const T*, int64_t, int64_t, const Partial<T>&, T*);
  static constexpr Tile tiles[] = {&weight_gradient_tile<T, kVectors, I + 1>...};
  tiles[inputs - 1](x, x_stride, grad, grad_stride, rows, last, target);
}

// All input channels of one group, for one tap and panel.
template <typename T, int kVectors>
void weight_gradient_panel(const T* x, int64_t x_stride, const T* grad, int64_t grad_stride, int64_t rows,
                           int64_t depth, const Partial<T>& last, T* target) {
  constexpr int kMost = tile_rows(kVectors);
  const int64_t tiles = (depth + kMost - 1) / kMost;
  for (int64_t tile = 0; tile < tiles; ++tile) {
    const int64_t begin = tile * depth / tiles, end = (tile + 1) * depth / tiles;
    weight_gradient_tile_of<T, kVectors>(end - begin, x + begin, x_stride, grad, grad_stride, rows, last,
                                         target + begin * kVectors * kLanes<T>, typename MakeIndices<kMost>::type());
  }
}

// A stretch of rows for one tap. (Not a lambda: GCC 12 compiles lambdas in templates for the base instruction set.)
template <typename T>
void weight_gradient_stretch(const ConvWeightGradient<T>& a, int64_t tap, const T* x, int64_t x_stride, const T* grad,
                             int64_t rows) {
  constexpr int64_t lanes = kLanes<T>;
  const ConvLayout layout(lanes, a.groups, a.columns, a.depth, a.taps, false);
  for (int64_t group = 0; group < a.groups; ++group)
    for (int64_t panel = 0; panel < layout.panels; ++panel) {
      const int64_t vectors = layout.panel_vectors(panel);
      const Partial<T> last(layout.panel_columns(panel) - (vectors - 1) * lanes);
      T* const target = a.target + layout.weights_offset(group, panel) + tap * a.depth * vectors * lanes;
      const T* const own = grad + group * a.columns + layout.first_vector(panel) * lanes;
      const auto run = vectors == 1   ? weight_gradient_panel<T, 1>
                       : vectors == 2 ? weight_gradient_panel<T, 2>
                                      : weight_gradient_panel<T, 3>;
      run(x + group * a.depth, x_stride, own, a.grad_time_stride, rows, a.depth, last, target);
    }
}

template <typename T>
void weight_gradient(const ConvWeightGradient<T>& a, int64_t batch, int64_t first_time, int64_t last_time) {
  for (int64_t k = 0; k < a.taps; ++k)
    for_tap_stretches(a, k, batch, first_time, last_time, [&](const T* x, int64_t stride, const T* grad, int64_t rows) {
      weight_gradient_stretch<T>(a, k, x, stride, grad, rows);
    });
}

// ----------------------------------------------------------------------------------------------------------- depthwise

template <typename T>
void depthwise_product(const ConvProduct<T>& a, int64_t first_row, int64_t last_row, void* scratch) {
  constexpr int64_t lanes = kLanes<T>;
  constexpr int kRows = 8;
  const int64_t channels = a.groups;
  const bool relu = a.epilogue == ConvEpilogue::relu;
  RowBlock<T> block(a, scratch);
  for (int64_t begin = first_row; begin < last_row; begin += kBlockRows) {
    const int64_t rows = last_row - begin < kBlockRows ? last_row - begin : kBlockRows;
    block.point_to(begin, begin + rows);
    for (int64_t row = 0; row < rows; row += kRows)
      for (int64_t c = 0; c < channels; c += lanes) {
        const Partial<T> part(channels - c < lanes ? channels - c : lanes);
        const Vector<T> bias = load_partial<T>(a.bias + c, part);
        Vector<T> sums[kRows];
#pragma GCC unroll 8
        for (int r = 0; r < kRows; ++r) sums[r] = bias;
        for (int64_t k = 0; k < a.taps; ++k) {
          const Vector<T> w = load_partial<T>(a.weights + k * channels + c, part);
          const T* const* const sources = block.tap(k) + row;
#pragma GCC unroll 8
          for (int r = 0; r < kRows; ++r) sums[r] += w * load_partial<T>(sources[r] + c, part);
        }
        T* const* const outputs = block.outputs() + row;
#pragma GCC unroll 8
        for (int r = 0; r < kRows; ++r) {
          if (relu) sums[r] = sums[r] < T(0) ? Vector<T>{} : sums[r];
          store_partial<T>(outputs[r] + c, sums[r], part);
        }
      }
  }
}

template <typename T>
void depthwise_stretch(const T* x, int64_t x_stride, const T* grad, int64_t grad_stride, int64_t rows, int64_t channels,
                       T* target) {
  constexpr int64_t lanes = kLanes<T>;
  for (int64_t c = 0; c < channels; c += lanes) {
    const Partial<T> part(channels - c < lanes ? channels - c : lanes);
    const T *x_row = x + c, *grad_row = grad + c;
    Vector<T> sums[4] = {};
    int64_t r = 0;
    for (; r + 4 <= rows; r += 4, x_row += 4 * x_stride, grad_row += 4 * grad_stride)
#pragma GCC unroll 4
      for (int j = 0; j < 4; ++j)
        sums[j] += load_partial<T>(x_row + j * x_stride, part) * load_partial<T>(grad_row + j * grad_stride, part);
    for (; r < rows; ++r, x_row += x_stride, grad_row += grad_stride)
      sums[0] += load_partial<T>(x_row, part) * load_partial<T>(grad_row, part);
    const Vector<T> sum = (sums[0] + sums[1]) + (sums[2] + sums[3]);
    store_partial<T>(target + c, load_partial<T>(target + c, part) + sum, part);
  }
}

template <typename T>
void depthwise_weight_gradient(const ConvWeightGradient<T>& a, int64_t batch, int64_t first_time, int64_t last_time) {
  for (int64_t k = 0; k < a.taps; ++k)
    for_tap_stretches(a, k, batch, first_time, last_time, [&](const T* x, int64_t stride, const T* grad, int64_t rows) {
      depthwise_stretch<T>(x, stride, grad, a.grad_time_stride, rows, a.groups, a.target + k * a.groups);
    });
}

template <typename T>
constexpr ConvKernels<T> conv_kernels() {
  return {kLanes<T>,
          packed_weights<T>,
          packed_bias<T>,
          pack<T>,
          pack_transposed<T>,
          pack_bias<T>,
          unpack<T>,
          product_scratch_bytes<T>,
          product<T>,
          direct_scratch_bytes<T>,
          direct<T>,
          weight_gradient<T>,
          depthwise_product<T>,
          depthwise_weight_gradient<T>,
          gate_output<T>,
          gate_rows<T>,
          epilogue_backward<T>,
          add_rows<T>};
}

extern const ConvKernels<float> conv_float = conv_kernels<float>();
extern const ConvKernels<double> conv_double = conv_kernels<double>();

}  // namespace SEQLIGHT_ISA
}  // namespace seqlight::cpu

#include "end_of_isa.inl"
