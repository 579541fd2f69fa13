// The gradient for a weight matrix, from a chunk of time steps in cache: for each of `count` gradients of the sums
// (one row of the batch per lane) and each column of the matrix, the sum over steps and rows of gradient times what the
// column multiplies, an input or a state before the step. Included by recurrent.inl.
//
// There are two forms (WeightGradientForm). Narrow matrices are summed with one row per lane, and lanes are added up at
// the end of a chunk. For wide ones, the inputs or states stay as they are in the tensors, one column per lane; then
// there is nothing to transpose and nothing to add up across lanes, and a chunk may be short.

// Columns per register tile of the narrow form.
constexpr int kDepthPerTile = kAccumulators / 4;

// Gradients that a tile of the narrow form may read past the last one.
constexpr int kReadPast = 3;

// An odd number of vectors between steps spreads the columns of a chunk over all sets of the cache.
inline int64_t odd(int64_t n) { return n | 1; }

// Adds, for each four of `count` gradients and kDepth columns of the slots, the sum over steps and lanes of gradient
// times column. The last four may reach past `count`.
template <int kDepth, typename T>
void narrow_gradient_tile(const T* sums, int64_t sums_stride, const T* slots, int64_t slots_stride, int64_t steps,
                          int64_t count, T* target) {
  constexpr int64_t lanes = kLanes<T>;
  for (int64_t j = 0; j < count; j += 4, target += 4 * kDepth) {
    Vector<T> totals[4 * kDepth] = {};
    const T* four = sums + j * lanes;
    const T* column = slots;
#pragma GCC unroll 2
    for (int64_t s = 0; s < steps; ++s, four += sums_stride, column += slots_stride) {
      Vector<T> v[4];
#pragma GCC unroll 4
      for (int g = 0; g < 4; ++g) v[g] = load<T>(four + g * lanes);
#pragma GCC unroll 8
      for (int k = 0; k < kDepth; ++k) {
        const Vector<T> w = load<T>(column + k * lanes);
#pragma GCC unroll 4
        for (int g = 0; g < 4; ++g) totals[4 * k + g] += v[g] * w;
      }
    }
    add_lane_sums<T, 4 * kDepth>(totals, target);
  }
}

template <typename T, int... I>
SEQLIGHT_INLINE void narrow_gradient_tile_of(int64_t depth, const T* sums, int64_t sums_stride, const T* slots,
                                             int64_t slots_stride, int64_t steps, int64_t count, T* target,
                                             Indices<I...>) {
  typedef void (*Tile)(const T*, int64_t, const T*, int64_t, int64_t, int64_t, T*);
  static constexpr Tile tiles[] = {&narrow_gradient_tile<I + 1, T>...};
  tiles[depth - 1](sums, sums_stride, slots, slots_stride, steps, count, target);
}

// The same for all columns and for the fours [first, last) of the gradients.
template <typename T>
void narrow_gradient(const T* sums, int64_t sums_stride, const T* slots, int64_t slots_stride, int64_t steps,
                     int64_t count, int64_t columns, int64_t first, int64_t last, T* target) {
  const int64_t tiles = tile_count(columns, kDepthPerTile), fours = (count + 3) / 4;
  for (int64_t tile = 0; tile < tiles; ++tile) {
    const int64_t column = tile_begin(tile, tiles, columns), width = tile_begin(tile + 1, tiles, columns) - column;
    narrow_gradient_tile_of<T>(width, sums + 4 * first * kLanes<T>, sums_stride, slots + column * kLanes<T>,
                               slots_stride, steps, 4 * (last - first), target + 4 * (column * fours + first * width),
                               typename MakeIndices<kDepthPerTile>::type());
  }
}

// Adds, for kGradients gradients and kVectors vectors of columns, the sum over steps and rows. `values` has, for each
// step, rows of `width` columns; `target` rows of `width`.
template <int kGradients, int kVectors, typename T>
void wide_gradient_tile(const T* sums, int64_t sums_stride, const T* values, int64_t values_stride, int64_t steps,
                        int64_t rows, int64_t width, T* target) {
  constexpr int64_t lanes = kLanes<T>;
  Vector<T> totals[kGradients][kVectors] = {};
#pragma GCC unroll 24
  for (int g = 0; g < kGradients; ++g)
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) __builtin_prefetch(target + g * width + v * lanes, 1);
  for (int64_t s = 0; s < steps; ++s, sums += sums_stride, values += values_stride) {
    const T* row = values;
#pragma GCC unroll 4
    for (int64_t r = 0; r < rows; ++r, row += width) {
      Vector<T> value[kVectors];
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) value[v] = load<T>(row + v * lanes);
#pragma GCC unroll 24
      for (int g = 0; g < kGradients; ++g) {
        const Vector<T> gradient = broadcast<T>(sums[g * lanes + r]);
#pragma GCC unroll 4
        for (int v = 0; v < kVectors; ++v) totals[g][v] += value[v] * gradient;
      }
    }
  }
#pragma GCC unroll 24
  for (int g = 0; g < kGradients; ++g)
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) {
      T* const to = target + g * width + v * lanes;
      store<T>(to, load<T>(to) + totals[g][v]);
    }
}

// The same for `count` gradients, kGradients at a time, then fewer.
template <int kGradients, int kVectors, typename T>
void wide_gradient_columns(const T* sums, int64_t sums_stride, const T* values, int64_t values_stride, int64_t steps,
                           int64_t rows, int64_t count, int64_t width, T* target) {
  int64_t j = 0;
  for (; j + kGradients <= count; j += kGradients)
    wide_gradient_tile<kGradients, kVectors, T>(sums + j * kLanes<T>, sums_stride, values, values_stride, steps, rows,
                                                width, target + j * width);
  if constexpr (kGradients > 1)
    wide_gradient_columns<kGradients / 2, kVectors, T>(sums + j * kLanes<T>, sums_stride, values, values_stride, steps,
                                                       rows, count - j, width, target + j * width);
}

// The same for all columns from `column` on, kVectors vectors of them at a time, then fewer.
template <int kVectors, typename T>
void wide_gradient(const T* sums, int64_t sums_stride, const T* values, int64_t values_stride, int64_t steps,
                   int64_t rows, int64_t count, int64_t width, int64_t column, T* target) {
  for (; column + kVectors * kLanes<T> <= width; column += kVectors * kLanes<T>)
    wide_gradient_columns<kAccumulators / kVectors, kVectors, T>(sums, sums_stride, values + column, values_stride,
                                                                 steps, rows, count, width, target + column);
  if constexpr (kVectors > 1)
    wide_gradient<kVectors - 1, T>(sums, sums_stride, values, values_stride, steps, rows, count, width, column, target);
}

// How the gradient of a matrix of `columns` columns is summed.
template <typename T>
struct WeightGradient {
  int64_t columns;
  WeightGradientForm form;

  explicit WeightGradient(int64_t columns) : columns(columns), form(columns, kLanes<T>) {}

  // Vectors of scratch memory for one step's inputs or states of a group.
  int64_t slot_vectors() const { return form.width; }

  // Adds the chunk's share to `target`, form.numbers(gates * H) numbers. `slots` as `gather` leaves them. In a team
  // each thread adds the rows of its own units [first_unit, last_unit), whose gradients are in its cache, or in the
  // narrow form as many rows.
  void add(const T* sums, int64_t sums_stride, const T* slots, int64_t slots_stride, int64_t steps, int64_t rows,
           int64_t gates, int64_t hidden_size, int64_t first_unit, int64_t last_unit, const RecurrentSlice& slice,
           T* target) const {
    const int64_t H = hidden_size, count = gates * H;
    if (!form.wide) {
      const int64_t fours = (count + 3) / 4;
      narrow_gradient<T>(sums, sums_stride, slots, slots_stride, steps, count, columns,
                         fours * slice.share_begin / slice.shares, fours * slice.share_end / slice.shares, target);
      return;
    }
    const bool all = last_unit - first_unit == H;
    for (int64_t g = 0; g < (all ? 1 : gates); ++g)
      wide_gradient<kAccumulators == 24 ? 4 : 2, T>(sums + (g * H + first_unit) * kLanes<T>, sums_stride, slots,
                                                    slots_stride, steps, rows, all ? count : last_unit - first_unit,
                                                    form.width, 0, target + (g * H + first_unit) * form.width);
  }

  // Brings one step's values of a group into a slot: `rows` rows of `columns` numbers, `row_stride` apart. Rows that
  // `absent` names get zeros.
  template <typename Absent>
  void gather(const T* source, int64_t row_stride, int64_t rows, const Absent& absent, T* slot) const {
    if (!form.wide) gather_rows<T>(source, row_stride, rows, columns, [&](int64_t k) { return slot + k * kLanes<T>; });
    for (int64_t r = 0; r < rows; ++r) {
      if (absent(r))
        set_row(slot, r, nullptr);
      else if (form.wide)
        set_row(slot, r, source + r * row_stride);
    }
  }

  // Replaces row r of a slot; null: by zeros.
  void set_row(T* slot, int64_t r, const T* source) const {
    if (form.wide) {
      T* const row = slot + r * form.width;
      const int64_t given = source ? columns : 0;
      if (source) __builtin_memcpy(row, source, columns * sizeof(T));
      __builtin_memset(row + given, 0, (form.width - given) * sizeof(T));
      return;
    }
    for (int64_t k = 0; k < columns; ++k) slot[k * kLanes<T> + r] = source ? source[k] : T(0);
  }

  // Multiplies row r of a slot by a row of as many numbers.
  void multiply_row(T* slot, int64_t r, const T* factors) const {
    const int64_t first = form.wide ? r * form.width : r, step = form.wide ? 1 : kLanes<T>;
    for (int64_t k = 0; k < columns; ++k) slot[first + k * step] *= factors[k];
  }
};

// Fills the slots with x of the steps [from, to) of the chunk that begins at `begin`, from the tensor itself. Rows
// outside their length get zeros, whatever stands there: zero times NaN would reach the weight gradient.
template <typename T>
void gather_inputs(const RecurrentForwardArguments<T>& f, const GroupLengths<T>& lengths, int64_t first_row,
                   int64_t rows, int64_t begin, int64_t from, int64_t to, const WeightGradient<T>& gradient, T* slots,
                   int64_t slot_stride) {
  const T* const x = f.x + first_row * f.x_batch_stride;
  for (int64_t s = from; s < to; ++s) {
    const int64_t t = begin + s;
    const auto absent = [&](int64_t r) { return t >= lengths.shortest && t >= lengths.lengths[r]; };
    gradient.gather(x + t * f.x_time_stride, f.x_batch_stride, rows, absent, slots + s * slot_stride);
  }
}

// The same with h_(t-1), as it enters the recurrent product.
template <typename T>
void gather_states(const RecurrentForwardArguments<T>& f, const GroupLengths<T>& lengths, int64_t first_row,
                   int64_t rows, int64_t begin, int64_t from, int64_t to, const WeightGradient<T>& gradient, T* slots,
                   int64_t slot_stride) {
  const int64_t H = f.hidden_size;
  const T *const h0 = f.h0 + first_row * H, *const h = f.output + first_row * f.time * H;
  for (int64_t s = from; s < to; ++s) {
    T* const slot = slots + s * slot_stride;
    const int64_t t = begin + s, before = f.reverse ? t + 1 : t - 1;
    const bool first = f.reverse ? t == lengths.longest - 1 : t == 0;
    // Outputs outside a row's length are zeros already.
    const auto absent = [&](int64_t) { return false; };
    gradient.gather(first ? h0 : h + before * H, first ? H : f.time * H, rows, absent, slot);
    if (f.reverse && before >= lengths.shortest)
      for (int64_t r = 0; r < rows; ++r)  // a reversed row starts at its own end
        if (before >= lengths.lengths[r]) gradient.set_row(slot, r, h0 + r * H);
    if (!f.hidden_mask) continue;
    for (int64_t r = 0; r < rows; ++r) gradient.multiply_row(slot, r, f.hidden_mask + (first_row + r) * H);
  }
}
