// One time step in stages: the products of all units go to memory before any unit's cell is computed. Layer
// normalisation needs that (recurrent_normalized.inl); the cells without it have recurrent dropout and zoneout.
// Included by recurrent.inl.
//
// A staged cell is a struct template with kLayout, kDirect = true, kNorm (see recurrent.inl) and
//   forward_step(a, step, staged, places)
//   backward_step(a, step, places)
// which run the places of one thread, and wait for the team where they need those of the others.

// Which states of one unit keep their value, one row per lane.
template <typename T>
struct Zoned {
  typedef Vector<T> V;
  const Zoneout<T>& zoneout;
  Mask<T> h, c;  // of random zoneout

  // Draws the words of each lane: the counter is (unit, time step, batch row, 0), word 0 is for h and word 1 for c.
  // Unit and row are those of the first lane, and what is added to them from lane to lane.
  SEQLIGHT_INLINE Zoned(const Zoneout<T>& z, int64_t unit, int64_t unit_stride, int64_t time, int64_t row,
                        int64_t row_stride)
      : zoneout(z), h{}, c{} {
    if (!z.random) return;
    typedef uint64_t Words __attribute__((vector_size(SEQLIGHT_VECTOR_BYTES)));
    constexpr int count = SEQLIGHT_VECTOR_BYTES / 8;
    for (int begin = 0; begin < kLanes<T>; begin += count) {
      uint64_t units[count], rows[count];
      for (int i = 0; i < count; ++i) {
        units[i] = static_cast<uint32_t>(unit + (begin + i) * unit_stride);
        rows[i] = static_cast<uint32_t>(row + (begin + i) * row_stride);
      }
      Words words[4] = {Words{}, Words{} + static_cast<uint64_t>(time), Words{}, Words{}};
      __builtin_memcpy(&words[0], units, sizeof units);
      __builtin_memcpy(&words[2], rows, sizeof rows);
      philox4x32(words, z.key_low, z.key_high);
      const auto h_kept = words[0] < uint64_t{z.h_below}, c_kept = words[1] < uint64_t{z.c_below};
      for (int i = 0; i < count; ++i) {
        h[begin + i] = static_cast<typename VectorOf<T>::integer>(h_kept[i]);
        c[begin + i] = static_cast<typename VectorOf<T>::integer>(c_kept[i]);
      }
    }
  }

  SEQLIGHT_INLINE V mix_h(const V& candidate, const V& before) const { return mix(candidate, before, h, zoneout.h); }
  SEQLIGHT_INLINE V mix_c(const V& candidate, const V& before) const { return mix(candidate, before, c, zoneout.c); }

  // Splits a state's gradient: what the state before gets, and, left in `grad`, what the candidate gets.
  SEQLIGHT_INLINE V split_h(V& grad) const { return split(grad, h, zoneout.h); }
  SEQLIGHT_INLINE V split_c(V& grad) const { return split(grad, c, zoneout.c); }

 private:
  SEQLIGHT_INLINE V mix(const V& candidate, const V& before, const Mask<T>& kept, T share) const {
    if (!zoneout.on) return candidate;
    if (zoneout.random) return select<T>(kept, before, candidate);
    return candidate + share * (before - candidate);
  }

  SEQLIGHT_INLINE V split(V& grad, const Mask<T>& kept, T share) const {
    if (!zoneout.on) return V{};
    const V all = grad, before = zoneout.random ? select<T>(kept, all, V{}) : all * share;
    grad = zoneout.random ? select<T>(kept, V{}, all) : all - before;
    return before;
  }
};

// The part of a step that one thread computes, in *places*: a place is what one vector covers. Threads of a team
// exchange sums over their places, and nothing larger: what another core has just written takes long to fetch.
template <typename T>
struct StagedShare {
  typedef Vector<T> V;
  static constexpr int kAreas = 2, kAreaVectors = 9;
  static constexpr int64_t kExchanged = kAreas * kAreaVectors * kLanes<T>;  // numbers for each share

  int64_t hidden_size, all, first, last;  // places: `all` of them, [first, last) of this thread
  int64_t units;                          // in [first, last)
  Team* team;
  int64_t share_begin, share_end, shares;
  T* exchanged;

  StagedShare(const RecurrentSlice& slice, int64_t hidden_size, int64_t places, int64_t tiles, T* exchanged)
      : hidden_size(hidden_size),
        all(places),
        first(tile_begin(tiles * slice.share_begin / slice.shares, tiles, places)),
        last(tile_begin(tiles * slice.share_end / slice.shares, tiles, places)),
        team(slice.team),
        share_begin(slice.share_begin),
        share_end(slice.share_end),
        shares(slice.shares),
        exchanged(exchanged) {}

  void wait() const {
    if (team) team->wait(share_end - share_begin);
  }

  bool leads() const { return share_begin == 0; }

  // Calls add(units, values) for every thread of the team, in the same order on all of them, with what it gave as
  // `own`. The two areas are used in turn: while some threads still read one, others may write the other.
  template <int kCount, typename Add>
  SEQLIGHT_INLINE void exchange(int area, const V (&own)[kCount], const Add& add) const {
    static_assert(kCount < kAreaVectors, "");
    constexpr int lanes = kLanes<T>;
    T* const at = exchanged + area * kAreaVectors * lanes;
    for (int64_t s = share_begin; s < share_end; ++s) {
      T* const slot = at + s * kExchanged;
      store<T>(slot, broadcast<T>(s == share_begin ? static_cast<T>(units) : T(0)));
      for (int i = 0; i < kCount; ++i) store<T>(slot + (1 + i) * lanes, own[i]);
    }
    wait();
    for (int64_t s = 0; s < shares; ++s) {
      const T* const slot = at + s * kExchanged;
      if (slot[0] > 0) add(slot[0], slot + lanes);
    }
  }

  // Turns the sums over this thread's places into those over all.
  template <int kCount>
  SEQLIGHT_INLINE void sum_over_team(int area, V (&sums)[kCount]) const {
    if (!team) return;
    V own[kCount];
    for (int i = 0; i < kCount; ++i) {
      own[i] = sums[i];
      sums[i] = V{};
    }
    exchange(area, own, [&](T, const T* values) {
      for (int i = 0; i < kCount; ++i) sums[i] += load<T>(values + i * kLanes<T>);
    });
  }
};

// A place is a unit, of all rows of the group: one row per lane.
template <typename T>
struct UnitPlaces : StagedShare<T> {
  typedef Vector<T> V;

  UnitPlaces(const RecurrentSlice& slice, int64_t hidden_size, T* exchanged)
      : StagedShare<T>(slice, hidden_size, hidden_size, tile_count(hidden_size, kColumnsPerTile), exchanged) {
    this->units = this->last - this->first;
  }

  // The number for each lane out of one for each unit, and the sums of the biases.
  SEQLIGHT_INLINE V parameter(const T* of_units, int64_t place) const { return broadcast<T>(of_units[place]); }
  SEQLIGHT_INLINE V bias(const T* bias, int64_t sums, int64_t sum, int64_t place) const {
    return broadcast<T>(bias[sums * place + sum]);
  }

  // The sum over the units of a vector, for each row; zeros where there is no unit.
  SEQLIGHT_INLINE V total(const V& v) const { return v; }
  SEQLIGHT_INLINE V valid(const V& v, int64_t) const { return v; }

  SEQLIGHT_INLINE Zoned<T> zoned(const Zoneout<T>& zoneout, int64_t place, int64_t time, int64_t row) const {
    return Zoned<T>(zoneout, place, 0, time, row, 1);
  }

  SEQLIGHT_INLINE void write_output(const ForwardStep<T>& step, int64_t place, const V& h) const {
    store<T>(step.output + place * kLanes<T>, h);
  }

  // What is kept for backward: value `index` of `saves`, and the moments behind them.
  SEQLIGHT_INLINE void save_value(const ForwardStep<T>& step, int64_t place, int64_t saves, int64_t index,
                                  const V& value) const {
    if (step.saved) save<T>(step, step.saved + (place * saves + index) * step.rows, value);
  }
  SEQLIGHT_INLINE void save_moment(const ForwardStep<T>& step, int64_t saves, int64_t index, const V& value) const {
    if (step.saved) save<T>(step, step.saved + (this->hidden_size * saves + index) * step.rows, value);
  }
  SEQLIGHT_INLINE V saved_value(const BackwardStep<T>& step, int64_t place, int64_t saves, int64_t index) const {
    return load_first<T>(step.saved + (place * saves + index) * step.rows, step.rows);
  }
  SEQLIGHT_INLINE V saved_moment(const BackwardStep<T>& step, int64_t saves, int64_t index) const {
    return load_first<T>(step.saved + (this->hidden_size * saves + index) * step.rows, step.rows);
  }

  SEQLIGHT_INLINE V state_before(const BackwardStep<T>& step, int64_t place) const {
    return load_first<T>(step.before + place * step.before_stride, step.before_rows);
  }
  SEQLIGHT_INLINE V grad_output(const BackwardStep<T>& step, int64_t place) const {
    return load<T>(step.grad_output + place * kLanes<T>);
  }

  // Gradients of the sums.
  SEQLIGHT_INLINE V gradient(const BackwardStep<T>& step, int64_t block, int64_t place) const {
    return load<T>(step.grad_sums + (block * this->all + place) * kLanes<T>);
  }
  SEQLIGHT_INLINE void set_gradient(const BackwardStep<T>& step, int64_t block, int64_t place, const V& value) const {
    store<T>(step.grad_sums + (block * this->all + place) * kLanes<T>, value);
  }

  // Adds to the gradients of the extras from `first` on (CellLayout::gains): [units, N], in the memory of N extras.
  template <int N>
  SEQLIGHT_INLINE void add_gains(T* grad_extra, int64_t first, int64_t place, V (&values)[N]) const {
    add_lane_sums<T, N>(values, grad_extra + first * this->all * kLanes<T> + place * N);
  }
};

// A place is a block of units, of one row: one unit per lane. What is kept for backward and the gradients are as long
// as there are units; other buffers are padded to whole blocks, with zeros.
template <typename T>
struct BlockPlaces : StagedShare<T> {
  typedef Vector<T> V;

  BlockPlaces(const RecurrentSlice& slice, int64_t hidden_size, T* exchanged)
      : StagedShare<T>(slice, hidden_size, tile_count(hidden_size, kLanes<T>), tile_count(hidden_size, kLanes<T>),
                       exchanged) {
    const int64_t end = this->last * kLanes<T>;
    this->units = (end < hidden_size ? end : hidden_size) - this->first * kLanes<T>;
  }

  SEQLIGHT_INLINE int64_t count(int64_t place) const { return this->hidden_size - place * kLanes<T>; }  // or more

  SEQLIGHT_INLINE V parameter(const T* of_units, int64_t place) const {
    return load_first<T>(of_units + place * kLanes<T>, count(place));
  }
  SEQLIGHT_INLINE V bias(const T* bias, int64_t sums, int64_t sum, int64_t place) const {
    return load<T>(bias + (place * sums + sum) * kLanes<T>);
  }

  SEQLIGHT_INLINE V total(const V& v) const { return broadcast<T>(sum_lanes_of<T>(v)); }
  SEQLIGHT_INLINE V valid(const V& v, int64_t place) const {
    if (count(place) >= kLanes<T>) return v;
    Mask<T> lane;
    for (int i = 0; i < kLanes<T>; ++i) lane[i] = i;
    return select<T>(lane < (typename VectorOf<T>::integer)count(place), v, V{});
  }

  SEQLIGHT_INLINE Zoned<T> zoned(const Zoneout<T>& zoneout, int64_t place, int64_t time, int64_t row) const {
    return Zoned<T>(zoneout, place * kLanes<T>, 1, time, row, 0);
  }

  SEQLIGHT_INLINE void write_output(const ForwardStep<T>& step, int64_t place, const V& h) const {
    store_first<T>(step.output + place * kLanes<T>, h, count(place));
  }

  SEQLIGHT_INLINE void save_value(const ForwardStep<T>& step, int64_t place, int64_t, int64_t index,
                                  const V& value) const {
    if (step.saved) store_first<T>(step.saved + index * this->hidden_size + place * kLanes<T>, value, count(place));
  }
  SEQLIGHT_INLINE void save_moment(const ForwardStep<T>& step, int64_t saves, int64_t index, const V& value) const {
    if (step.saved) step.saved[saves * this->hidden_size + index] = value[0];
  }
  SEQLIGHT_INLINE V saved_value(const BackwardStep<T>& step, int64_t place, int64_t, int64_t index) const {
    return load_first<T>(step.saved + index * this->hidden_size + place * kLanes<T>, count(place));
  }
  SEQLIGHT_INLINE V saved_moment(const BackwardStep<T>& step, int64_t saves, int64_t index) const {
    return broadcast<T>(step.saved[saves * this->hidden_size + index]);
  }

  SEQLIGHT_INLINE V state_before(const BackwardStep<T>& step, int64_t place) const {
    return load_first<T>(step.before + place * kLanes<T>, count(place));
  }
  SEQLIGHT_INLINE V grad_output(const BackwardStep<T>& step, int64_t place) const {
    if (!step.grad_output) return V{};
    return load_first<T>(step.grad_output + place * kLanes<T>, count(place));
  }

  SEQLIGHT_INLINE V gradient(const BackwardStep<T>& step, int64_t block, int64_t place) const {
    return load_first<T>(step.grad_sums + block * this->hidden_size + place * kLanes<T>, count(place));
  }
  SEQLIGHT_INLINE void set_gradient(const BackwardStep<T>& step, int64_t block, int64_t place, const V& value) const {
    store_first<T>(step.grad_sums + block * this->hidden_size + place * kLanes<T>, value, count(place));
  }

  template <int N>
  SEQLIGHT_INLINE void add_gains(T* grad_extra, int64_t first, int64_t place, V (&values)[N]) const {
#pragma GCC unroll 8
    for (int i = 0; i < N; ++i) add_to<T>(grad_extra + ((first + i) * this->all + place) * kLanes<T>, values[i]);
  }
};

// Memory that the threads of a team exchange sums in: split_work gives no more shares than there are tiles or blocks.
template <typename T>
int64_t exchanged_numbers(int64_t hidden_size) {
  return tile_count(hidden_size, kLanes<T> < kColumnsPerTile ? kLanes<T> : kColumnsPerTile) *
         StagedShare<T>::kExchanged;
}

// Vectors in the memory of a StagedForward.
inline int64_t staged_forward_vectors(const CellLayout& layout, int64_t places) {
  return (2 * layout.rows + 4) * places;
}

template <typename T>
struct StagedForward {
  T *input_sums, *hidden_sums;  // [rows][places]: products without biases
  T *h, *mask;                  // [places]: the state, and recurrent dropout
  T *candidate, *gate;          // [places]: what a cell keeps between its stages

  StagedForward() = default;
  StagedForward(const CellLayout& layout, int64_t places, T* memory) {
    const int64_t numbers = places * kLanes<T>;
    input_sums = memory;
    hidden_sums = input_sums + layout.rows * numbers;
    h = hidden_sums + layout.rows * numbers;
    mask = h + numbers;
    candidate = mask + numbers;
    gate = candidate + numbers;
  }
};

template <typename T>
void gather_mask(const RecurrentForwardArguments<T>& a, int64_t first_row, int64_t rows, T* mask) {
  const int64_t H = a.hidden_size;
  gather_rows<T>(a.hidden_mask + first_row * H, H, rows, H, [&](int64_t u) { return mask + u * kLanes<T>; });
}

// Takes h0 from the first slot, and masks it there.
template <typename T>
void begin_staged(const RecurrentForwardArguments<T>& a, const StagedForward<T>& staged, int64_t first_row,
                  int64_t rows, T* slot) {
  __builtin_memcpy(staged.h, slot, a.hidden_size * kLanes<T> * sizeof(T));
  if (!a.hidden_mask) return;
  gather_mask(a, first_row, rows, staged.mask);
  for (int64_t u = 0; u < a.hidden_size; ++u)
    store<T>(slot + u * kLanes<T>, load<T>(staged.h + u * kLanes<T>) * load<T>(staged.mask + u * kLanes<T>));
}

// Each thread computes all sums of its own units.
template <typename Cell, typename T>
void forward_staged(const RecurrentForwardArguments<T>& a, const ForwardStep<T>& step, const StagedForward<T>& staged,
                    const RecurrentSlice& slice, T* exchanged) {
  const int64_t I = a.input_size, H = a.hidden_size, tiles = tile_count(H, kColumnsPerTile);
  const int64_t first = tiles * slice.share_begin / slice.shares, last = tiles * slice.share_end / slice.shares;
  const T* weights = a.weights;
  for (int r = 0; r < Cell::kLayout.rows; ++r, weights += H * I)
    product<T>(step.slot, weights, I, H, first, last, staged.input_sums + r * H * kLanes<T>);
  for (int r = 0; r < Cell::kLayout.rows; ++r, weights += H * H)
    product<T>(step.slot + I * kLanes<T>, weights, H, H, first, last, staged.hidden_sums + r * H * kLanes<T>);
  Cell::forward_step(a, step, staged, UnitPlaces<T>(slice, H, exchanged));
}

// Writes a place's new state h: raw to the output, masked to where the next step's product reads it. Rows that have
// ended keep theirs.
template <typename Places, typename T>
SEQLIGHT_INLINE void finish_place(const RecurrentForwardArguments<T>& a, const ForwardStep<T>& step,
                                  const StagedForward<T>& staged, const Places& places, int64_t place, Vector<T>& h) {
  const int64_t at = place * kLanes<T>;
  if (step.active) h = select<T>(*step.active, h, load<T>(staged.h + at));
  store<T>(staged.h + at, h);
  places.write_output(step, place, h);
  store<T>(step.h + at, a.hidden_mask ? h * load<T>(staged.mask + at) : h);
}
