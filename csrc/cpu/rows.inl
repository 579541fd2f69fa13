// Between row-major memory and groups (one row per lane), included after vector.inl.

// Reads `rows` rows of `columns` numbers, `row_stride` apart, and stores column k, one row per lane and zeros in lanes
// without a row, at target(k).
template <typename T, typename Target>
SEQLIGHT_INLINE void gather_rows(const T* source, int64_t row_stride, int64_t rows, int64_t columns, Target target) {
  constexpr int lanes = kLanes<T>;
  for (int64_t begin = 0; begin < columns; begin += lanes) {
    const int64_t count = columns - begin < lanes ? columns - begin : lanes;
    Vector<T> block[lanes];
    for (int r = 0; r < lanes; ++r)
      block[r] = r < rows ? load_first<T>(source + r * row_stride + begin, count) : Vector<T>{};
    transpose<T>(block);
    for (int64_t k = 0; k < count; ++k) store<T>(target(begin + k), block[k]);
  }
}

// The way back: column k, one row per lane, is at source(k).
template <typename T, typename Source>
SEQLIGHT_INLINE void scatter_rows(Source source, T* target, int64_t row_stride, int64_t rows, int64_t columns) {
  constexpr int lanes = kLanes<T>;
  for (int64_t begin = 0; begin < columns; begin += lanes) {
    const int64_t count = columns - begin < lanes ? columns - begin : lanes;
    Vector<T> block[lanes];
    for (int k = 0; k < lanes; ++k) block[k] = k < count ? load<T>(source(begin + k)) : Vector<T>{};
    transpose<T>(block);
    for (int64_t r = 0; r < rows; ++r) store_first<T>(target + r * row_stride + begin, block[r], count);
  }
}

template <typename T>
SEQLIGHT_INLINE Vector<T> select(const Mask<T>& mask, const Vector<T>& yes, const Vector<T>& no) {
  return mask ? yes : no;
}

// The lengths of a group's rows, one per lane; `time` in lanes without a row when there are no lengths.
template <typename T>
struct GroupLengths {
  Mask<T> lengths;  // not a mask: integers as wide as T
  int64_t shortest, longest;

  GroupLengths(const int64_t* all, int64_t first_row, int64_t rows, int64_t time) {
    shortest = longest = time;
    lengths = Mask<T>{} + (typename VectorOf<T>::integer)time;
    if (!all) return;
    shortest = time;
    longest = 0;
    for (int64_t r = 0; r < rows; ++r) {
      const int64_t length = all[first_row + r];
      lengths[r] = (typename VectorOf<T>::integer)length;
      shortest = length < shortest ? length : shortest;
      longest = length > longest ? length : longest;
    }
  }

  SEQLIGHT_INLINE Mask<T> active(int64_t step) const { return lengths > (typename VectorOf<T>::integer)step; }
};
