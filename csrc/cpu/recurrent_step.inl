// What one time step of a group of rows, one row per vector lane, reads and writes, and the product that its stages
// share; included by recurrent.inl after rows.inl.

// Accumulators of one register tile: 24 of 32 registers, or 12 of 16; the rest holds operands. Where one vector operand
// serves many columns, 16 or 12 are enough to hide the latency of an addition, and compile faster.
constexpr int kAccumulators = SEQLIGHT_VECTOR_REGISTERS == 32 ? 24 : 12;
constexpr int kColumnsPerTile = SEQLIGHT_VECTOR_REGISTERS == 32 ? 16 : 12;

// Beyond about the size of a core's own caches.
constexpr int64_t kPastCacheBytes = 4 << 20;

template <typename T>
struct ForwardStep {
  const T* slot;  // [I + H][lanes]: x_t, then h_(t-1), masked by recurrent dropout
  T* h;           // [H][lanes], of the next slot
  T* output;      // [H][lanes], of the chunk
  T* c;           // [H][lanes], updated, if the cell has a state c
  T* saved;       // [H][saved][rows], or null
  int64_t rows;
  bool past_cache;          // write `saved` to memory directly
  const Mask<T>* active;    // null: all
  int64_t time, first_row;  // staged cells: for random numbers
};

// Whether what is kept for backward is written past the caches: it would not stay there until backward reads it, and a
// plain store first fetches the line that it overwrites.
template <typename T>
bool writes_past_cache(const RecurrentForwardArguments<T>& a, int64_t saves, int64_t rows) {
#if defined(__x86_64__) && SEQLIGHT_VECTOR_BYTES >= 32
  const int64_t bytes = a.time * a.batch * saves * a.hidden_size * static_cast<int64_t>(sizeof(T));
  return bytes > kPastCacheBytes && rows == kLanes<T> && a.batch % kLanes<T> == 0 &&
         reinterpret_cast<uintptr_t>(a.saved) % SEQLIGHT_VECTOR_BYTES == 0;
#else
  (void)a, (void)saves, (void)rows;
  return false;
#endif
}

template <typename T>
SEQLIGHT_INLINE void save(const ForwardStep<T>& step, T* target, const Vector<T>& value) {
#if defined(__x86_64__) && SEQLIGHT_VECTOR_BYTES >= 32
  if (step.past_cache) SEQLIGHT_CHECK_STORE(target, kLanes<T>);
#endif
#if defined(__x86_64__) && SEQLIGHT_VECTOR_BYTES == 64
  if (step.past_cache) return _mm512_stream_ps(reinterpret_cast<float*>(target), (__m512)value);
#elif defined(__x86_64__) && SEQLIGHT_VECTOR_BYTES == 32
  if (step.past_cache) return _mm256_stream_ps(reinterpret_cast<float*>(target), (__m256)value);
#endif
  store_first<T>(target, value, step.rows);
}

template <typename T>
struct BackwardStep {
  T* grad_sums;     // [gradients * H][lanes], written
  const T* saved;   // [H][saved][rows]
  const T* before;  // the state before the step, of unit u at u * before_stride
  int64_t before_stride, before_rows;
  const T* grad_output;  // [H][lanes]
  const T* grad_h;       // [H][lanes], from the step after
  T* grad_c;             // [H][lanes], updated, if the cell has a state c
  T* held;               // [H][lanes]: what grad_h of the step before gets besides the product with weight_hh
  T* grad_bias;          // [gradients * H][lanes], added to
  T* grad_extra;         // [extras * H][lanes], added to
  int64_t rows;
  const Mask<T>* active;    // null: all
  int64_t time, first_row;  // staged cells: for random numbers
};

constexpr int64_t kCacheLine = 64;  // bytes; a larger one would be fetched by parts of it

// Memory that the next step reads: what was kept for backward, long gone from the caches. Products fetch it line by
// line while they compute, so that the next step does not wait. Fetched all at once it would take no less time.
struct Ahead {
  const char* next = nullptr;
  int64_t lines = 0;  // that are still to be fetched

  Ahead() = default;
  template <typename T>
  Ahead(const T* from, int64_t count)
      : next(reinterpret_cast<const char*>(from)), lines(count * static_cast<int64_t>(sizeof(T)) / kCacheLine) {}
};

// target[q] = sum over j of weights[j][q] sums[j], one row of the batch per lane. Few columns are summed in several
// parts, since one chain of additions would wait for itself.
template <int kColumns, typename T>
void product_tile(const T* sums, const T* weights, int64_t count, T* target, Ahead& ahead) {
  constexpr int64_t lanes = kLanes<T>;
  constexpr int parts = kColumns >= 8 ? 1 : kColumns >= 4 ? 2 : 4;
  Vector<T> totals[parts][kColumns] = {};
  int64_t j = 0;
  if constexpr (parts == 1) {
    const char* const next = ahead.next;
    const int64_t lines = ahead.lines < count ? ahead.lines : count;
    ahead.next += lines * kCacheLine;
    ahead.lines -= lines;
#pragma GCC unroll 4
    for (; j < lines; ++j, sums += lanes, weights += kColumns) {
      __builtin_prefetch(next + j * kCacheLine);
      const Vector<T> v = load<T>(sums);
#pragma GCC unroll 24
      for (int q = 0; q < kColumns; ++q) totals[0][q] += v * weights[q];
    }
  }
#pragma GCC unroll 4
  for (; j + parts <= count; j += parts, sums += parts * lanes, weights += parts * kColumns) {
#pragma GCC unroll 4
    for (int p = 0; p < parts; ++p) {
      const Vector<T> v = load<T>(sums + p * lanes);
#pragma GCC unroll 24
      for (int q = 0; q < kColumns; ++q) totals[p][q] += v * weights[p * kColumns + q];
    }
  }
  for (; j < count; ++j, sums += lanes, weights += kColumns) {
    const Vector<T> v = load<T>(sums);
#pragma GCC unroll 24
    for (int q = 0; q < kColumns; ++q) totals[0][q] += v * weights[q];
  }
#pragma GCC unroll 24
  for (int q = 0; q < kColumns; ++q) {
#pragma GCC unroll 4
    for (int p = 1; p < parts; ++p) totals[0][q] += totals[p][q];
    store<T>(target + q * lanes, totals[0][q]);
  }
}

template <typename T, int... I>
SEQLIGHT_INLINE void product_tile_of(int64_t columns, const T* sums, const T* weights, int64_t count, T* target,
                                     Ahead& ahead, Indices<I...>) {
  typedef void (*Tile)(const T*, const T*, int64_t, T*, Ahead&);
  static constexpr Tile tiles[] = {&product_tile<I + 1, T>...};
  tiles[columns - 1](sums, weights, count, target, ahead);
}

// The product with the packed tiles [first, last) of a weight matrix of `columns` columns.
template <typename T>
void product(const T* sums, const T* weights, int64_t count, int64_t columns, int64_t first, int64_t last, T* target,
             Ahead ahead = {}) {
  const int64_t tiles = tile_count(columns, kColumnsPerTile);
  for (int64_t tile = first; tile < last; ++tile) {
    const int64_t column = tile_begin(tile, tiles, columns), width = tile_begin(tile + 1, tiles, columns) - column;
    product_tile_of<T>(width, sums, weights + column * count, count, target + column * kLanes<T>, ahead,
                       typename MakeIndices<kColumnsPerTile>::type());
  }
}
