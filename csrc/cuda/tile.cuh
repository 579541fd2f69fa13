// A tile of a matrix product, computed by a block of threads together: strips of both matrices come into shared memory,
// and each thread keeps a small square of the sums in registers.
//
// Whoever multiplies writes the loop: load a strip, wait, add, wait.
#pragma once

#include "../cells/cell.h"
#include "launch.cuh"

#ifndef SEQLIGHT_CUDA_TILE            // tests of the tiles' borders set it low
#define SEQLIGHT_CUDA_TILE 4, 16, 16  // 64 x 64 sums, 256 threads
#endif

namespace seqlight::cuda {

// kAcross x kAcross threads with kPerThread x kPerThread sums each; strips are kDepth deep.
template <int kPerThread_, int kAcross_, int kDepth_>
struct TileSizes {
  static constexpr int kPerThread = kPerThread_, kAcross = kAcross_, kDepth = kDepth_;
  static constexpr int kSide = kPerThread * kAcross, kThreads = kAcross * kAcross;
  static constexpr int kLoads = kSide * kDepth / kThreads;  // numbers of a strip that each thread brings

  // While it loads, a thread stays in one row of the depth, or at one place of the side, and takes steps of this size
  // along the other.
  static constexpr int kSideStep = kThreads / kDepth, kDepthStep = kThreads / kSide;
  static_assert(kThreads % kDepth == 0 && kThreads % kSide == 0 && kSide * kDepth % kThreads == 0);
};
using Tile = TileSizes<SEQLIGHT_CUDA_TILE>;

// Neighbouring numbers, which go through registers and shared memory together.
template <typename T>
struct alignas(sizeof(T) * Tile::kPerThread > 16 ? 16 : sizeof(T) * Tile::kPerThread) TilePack {
  T values[Tile::kPerThread];
};

// In shared memory: kDepth columns of the left matrix and as many rows of the right one.
template <typename T>
struct TileStrips {
  // The pack too many puts neighbours along the depth, which are written at the same time, in different banks.
  TilePack<T> left_packs[Tile::kDepth][Tile::kAcross + 1], right_packs[Tile::kDepth][Tile::kAcross];

  __device__ T& left(int depth, int row) {
    return left_packs[depth][row / Tile::kPerThread].values[row % Tile::kPerThread];
  }
  __device__ T& right(int depth, int column) {
    return right_packs[depth][column / Tile::kPerThread].values[column % Tile::kPerThread];
  }
};

// One thread's sums.
template <typename T>
struct TileSums {
  int row, column;  // of the first, in the tile
  TilePack<T> rows[Tile::kPerThread];

  __device__ explicit TileSums(int thread)
      : row(thread / Tile::kAcross * Tile::kPerThread), column(thread % Tile::kAcross * Tile::kPerThread), rows{} {}

  __device__ void add(const TileStrips<T>& strips) {
    SEQLIGHT_UNROLL
    for (int d = 0; d < Tile::kDepth; ++d) {
      const TilePack<T> left = strips.left_packs[d][row / Tile::kPerThread];
      const TilePack<T> right = strips.right_packs[d][column / Tile::kPerThread];
      SEQLIGHT_UNROLL
      for (int i = 0; i < Tile::kPerThread; ++i) SEQLIGHT_UNROLL
      for (int j = 0; j < Tile::kPerThread; ++j) rows[i].values[j] += left.values[i] * right.values[j];
    }
  }
};

// Where a block's tile is: products lie one after another, tiles of one row side by side.
struct TilePlace {
  int64_t product, row, column;
};

struct TileGrid {
  int64_t products, rows, columns;

  SEQLIGHT_CELL int64_t down() const { return (rows + Tile::kSide - 1) / Tile::kSide; }
  SEQLIGHT_CELL int64_t across() const { return (columns + Tile::kSide - 1) / Tile::kSide; }
  SEQLIGHT_CELL int64_t count() const { return products * down() * across(); }
  SEQLIGHT_CELL TilePlace place(int64_t block) const {
    const int64_t line = block / across();
    return {line / down(), line % down() * Tile::kSide, block % across() * Tile::kSide};
  }
};

}  // namespace seqlight::cuda
