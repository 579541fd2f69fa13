// How a causal convolution runs on CUDA: which of its products go tile by tile (causal_conv1d_tiles.cuh) and which
// number by number (causal_conv1d_elements.cuh), and how many pieces the sums over the batch's rows are split into.
#pragma once

#include <algorithm>

#include "../causal_conv1d_checks.h"
#include "tile.cuh"

namespace seqlight::cuda {

// A tile that is less than a quarter full each way computes more that nobody wants than it saves in reading. Depthwise
// convolutions, and single channels in or out, are such.
inline bool worth_tiles(int64_t rows, int64_t columns, int64_t depth) {
  return rows >= Tile::kSide / 4 && columns >= Tile::kSide / 4 && depth >= Tile::kDepth / 2;
}

// Rows in pieces, each summed by itself, then the pieces' sums in their order.
struct Pieces {
  int64_t count, rows;
};

// For sums that take `blocks` blocks of threads for one piece: so many that all of a GPU has something to do, but none
// of few rows, since what a piece gives is written and read once more.
inline Pieces pieces_of(int64_t rows, int64_t blocks) {
  constexpr int64_t kWantedBlocks = 512, kLeastRows = 256;
  const int64_t most = std::max<int64_t>(1, kWantedBlocks / blocks);
  const int64_t each = std::max(kLeastRows, (rows + most - 1) / most);
  return {(rows + each - 1) / each, each};
}

struct ConvPlan {
  bool forward_tiles, input_tiles, weight_tiles;
  Pieces weight_pieces, bias_pieces;
};

inline ConvPlan plan_of(const CausalConv1dSizes& s) {
  const int64_t rows = s.batch * s.time, in = s.in_per_group(), out = s.pre_per_group(), taps = s.taps;
  // In groups, what a filter reads and what its gate reads are different inputs.
  const bool one_tile_has_the_gate = s.activation != ConvActivation::gate || s.groups == 1;
  ConvPlan plan;
  plan.forward_tiles = one_tile_has_the_gate && worth_tiles(rows, out, taps * in);
  plan.input_tiles = worth_tiles(rows, in, taps * out);
  plan.weight_tiles = worth_tiles(taps * in, out, rows);
  const auto blocks_of = [](int64_t elements) { return (elements + kElementThreads - 1) / kElementThreads; };
  plan.weight_pieces = pieces_of(
      rows, plan.weight_tiles ? TileGrid{s.groups, taps * in, out}.count() : blocks_of(s.pre_channels * in * taps));
  plan.bias_pieces = pieces_of(rows, blocks_of(s.pre_channels));
  return plan;
}

}  // namespace seqlight::cuda
