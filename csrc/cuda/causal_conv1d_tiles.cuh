// The causal convolution's products, tile by tile (tile.cuh). No copy with padding: a strip is gathered from where the
// taps look, and what lies before time 0 from the state. The sums take a fixed order, and nothing is atomic.
//
// Buffers as in causal_conv1d_elements.cuh.
#pragma once

#include "causal_conv1d_elements.cuh"
#include "tile.cuh"

namespace seqlight::cuda {

// A row of a product, as a batch row and a time.
struct RowPlace {
  int64_t batch, time;
  bool inside;
};

// Products, one for each group, of rows (batch, time) with columns (channels), each a sum over (tap, channel). Operand
// tells:
//   grid(), depth_channels()                  their sizes; the depth is depth_channels() for each tap
//   times(), begin()                          of how many times, and from which on, the rows of a batch row are
//   value(group, place, tap, channel)         what is multiplied
//   weights [groups, depth, columns], weight_column(column)
//   finish(group, row, place, column, sums)   takes neighbouring columns of one row; the last may lie outside
template <typename T, typename Operand>
struct TapProduct {
  using Shared = TileStrips<T>;
  static constexpr int kThreads = Tile::kThreads;
  Operand operand;

  SEQLIGHT_CELL RowPlace row_place(int64_t row) const {
    return {row / operand.times(), operand.begin() + row % operand.times(), row < operand.grid().rows};
  }

  __device__ void operator()(int64_t block, const Threads& threads, Shared& strips) const {
    const TileGrid grid = operand.grid();
    const TilePlace tile = grid.place(block);
    const int64_t channels = operand.depth_channels(), depth = operand.conv.taps * channels;
    const int thread = static_cast<int>(threads.first);

    // Of the left matrix, whose numbers are neighbours along the depth, a thread loads one place of the depth.
    const int left_depth = thread % Tile::kDepth, left_row = thread / Tile::kDepth;
    int64_t tap = left_depth / channels, channel = left_depth % channels;
    RowPlace places[Tile::kLoads];
    SEQLIGHT_UNROLL
    for (int i = 0; i < Tile::kLoads; ++i) places[i] = row_place(tile.row + left_row + i * Tile::kSideStep);

    // Of the right one, whose numbers are neighbours along the side, one column.
    const int right_column = thread % Tile::kSide, right_depth = thread / Tile::kSide;
    const bool column_inside = tile.column + right_column < grid.columns;
    const T* const weights = operand.weights + tile.product * depth * grid.columns +
                             (column_inside ? operand.weight_column(tile.column + right_column) : 0);

    TileSums<T> sums(thread);
    for (int64_t first = 0; first < depth; first += Tile::kDepth) {
      SEQLIGHT_UNROLL
      for (int i = 0; i < Tile::kLoads; ++i)
        strips.left(left_depth, left_row + i * Tile::kSideStep) =
            places[i].inside && tap < operand.conv.taps ? operand.value(tile.product, places[i], tap, channel) : T(0);
      SEQLIGHT_UNROLL
      for (int i = 0; i < Tile::kLoads; ++i) {
        const int d = right_depth + i * Tile::kDepthStep;
        strips.right(d, right_column) = column_inside && first + d < depth ? weights[(first + d) * grid.columns] : T(0);
      }
      threads.wait();
      sums.add(strips);
      threads.wait();  // until the strips may be written again
      for (channel += Tile::kDepth; channel >= channels; channel -= channels) ++tap;  // instead of a slow division
    }
    SEQLIGHT_UNROLL
    for (int i = 0; i < Tile::kPerThread; ++i) {
      const int64_t row = tile.row + sums.row + i;
      if (row < grid.rows) operand.finish(tile.product, row, row_place(row), tile.column + sums.column, sums.rows[i]);
    }
  }
};

// The output. With the gate, the columns are filter, gate, filter, gate and so on of one output channel after another,
// so that a thread has both sums.
template <typename T>
struct ForwardOperand {
  static_assert(Tile::kPerThread % 2 == 0);
  Conv conv;
  int64_t rows;
  Inputs<T> inputs;
  const T* weights;  // [G, K, I, O]
  ConvOutput<T> target;

  SEQLIGHT_CELL TileGrid grid() const { return {conv.groups, rows, conv.pre_per_group}; }
  SEQLIGHT_CELL int64_t depth_channels() const { return conv.in_per_group; }
  SEQLIGHT_CELL int64_t times() const { return conv.time; }
  SEQLIGHT_CELL int64_t begin() const { return 0; }
  SEQLIGHT_CELL int64_t weight_column(int64_t column) const {
    return target.gate() ? column / 2 + column % 2 * target.channels() : column;
  }

  SEQLIGHT_CELL T value(int64_t group, const RowPlace& place, int64_t tap, int64_t channel) const {
    return inputs(place.batch, place.time - conv.past() + tap * conv.dilation, group * conv.in_per_group + channel);
  }

  SEQLIGHT_CELL void finish(int64_t group, int64_t row, const RowPlace&, int64_t column,
                            const TilePack<T>& sums) const {
    if (target.gate()) {
      SEQLIGHT_UNROLL
      for (int j = 0; j < Tile::kPerThread; j += 2)
        if (column + j < conv.pre_per_group)
          target.write_gated(row, (column + j) / 2, sums.values[j], sums.values[j + 1]);
      return;
    }
    SEQLIGHT_UNROLL
    for (int j = 0; j < Tile::kPerThread; ++j)
      if (column + j < conv.pre_per_group) target.write(row, group * conv.pre_per_group + column + j, sums.values[j]);
  }
};

// The inputs' gradients.
template <typename T>
struct InputGradientOperand {
  Conv conv;
  int64_t batch_size;
  InputGradient<T> gradient;
  const T* weights;  // [G, K, O, I]

  SEQLIGHT_CELL TileGrid grid() const { return {conv.groups, batch_size * times(), conv.in_per_group}; }
  SEQLIGHT_CELL int64_t depth_channels() const { return conv.pre_per_group; }
  SEQLIGHT_CELL int64_t times() const { return gradient.times(); }
  SEQLIGHT_CELL int64_t begin() const { return gradient.begin; }
  SEQLIGHT_CELL int64_t weight_column(int64_t column) const { return column; }

  SEQLIGHT_CELL T value(int64_t group, const RowPlace& place, int64_t tap, int64_t channel) const {
    return gradient.through(place.batch, place.time, tap, group * conv.pre_per_group + channel);
  }

  SEQLIGHT_CELL void finish(int64_t group, int64_t, const RowPlace& place, int64_t column,
                            const TilePack<T>& sums) const {
    SEQLIGHT_UNROLL
    for (int j = 0; j < Tile::kPerThread; ++j)
      if (column + j < conv.in_per_group)
        gradient.write(place.batch, place.time, group * conv.in_per_group + column + j, sums.values[j]);
  }
};

// [pieces, G, K * I, O]: for each piece and group the product of (tap, channel) with (channel), a sum over the rows of
// the piece.
template <typename T>
struct WeightGradientTiles {
  using Shared = TileStrips<T>;
  static constexpr int kThreads = Tile::kThreads;
  Conv conv;
  Inputs<T> inputs;
  const T* grad_before;  // [B, T, C_out]
  int64_t rows, pieces, piece_rows;
  T* target;

  SEQLIGHT_CELL TileGrid grid() const {
    return {pieces * conv.groups, conv.taps * conv.in_per_group, conv.pre_per_group};
  }

  __device__ void operator()(int64_t block, const Threads& threads, Shared& strips) const {
    const TileGrid sizes = grid();
    const TilePlace tile = sizes.place(block);
    const int64_t group = tile.product % conv.groups, begin = tile.product / conv.groups * piece_rows;
    const int64_t end = begin + piece_rows < rows ? begin + piece_rows : rows;
    const int thread = static_cast<int>(threads.first);

    // Both matrices have neighbours along the side: a thread loads one row of the left and one column of the right.
    const int side = thread % Tile::kSide, first_depth = thread / Tile::kSide;
    const bool row_inside = tile.row + side < sizes.rows, column_inside = tile.column + side < sizes.columns;
    const int64_t tap = (tile.row + side) / conv.in_per_group;
    const int64_t in = group * conv.in_per_group + (tile.row + side) % conv.in_per_group;
    const int64_t out = group * conv.pre_per_group + tile.column + side;
    const int64_t offset = tap * conv.dilation - conv.past();
    int64_t batch[Tile::kLoads], time[Tile::kLoads];
    SEQLIGHT_UNROLL
    for (int i = 0; i < Tile::kLoads; ++i) {
      const int64_t row = begin + first_depth + i * Tile::kDepthStep;
      batch[i] = row / conv.time;
      time[i] = row % conv.time;
    }

    TileSums<T> sums(thread);
    for (int64_t first = begin; first < end; first += Tile::kDepth) {
      SEQLIGHT_UNROLL
      for (int i = 0; i < Tile::kLoads; ++i) {
        const int d = first_depth + i * Tile::kDepthStep;
        const bool inside = first + d < end;
        strips.left(d, side) = inside && row_inside ? inputs(batch[i], time[i] + offset, in) : T(0);
        strips.right(d, side) = inside && column_inside ? grad_before[(first + d) * conv.pre_channels() + out] : T(0);
        for (time[i] += Tile::kDepth; time[i] >= conv.time; time[i] -= conv.time) ++batch[i];
      }
      threads.wait();
      sums.add(strips);
      threads.wait();  // until the strips may be written again
    }
    SEQLIGHT_UNROLL
    for (int i = 0; i < Tile::kPerThread; ++i)
      for (int j = 0; j < Tile::kPerThread; ++j) {
        const int64_t row = tile.row + sums.row + i, column = tile.column + sums.column + j;
        if (row < sizes.rows && column < sizes.columns)
          target[(tile.product * sizes.rows + row) * sizes.columns + column] = sums.rows[i].values[j];
      }
  }
};

}  // namespace seqlight::cuda
