// One time step in stages: the products of all units go to memory before any unit's cell is computed. Layer
// normalisation needs that; the same cells also have recurrent dropout and zoneout. Included by recurrent.inl.
//
// A staged cell is a struct template with kLayout, kDirect = true (see recurrent.inl) and
//   forward_step(a, step, staged, units)
//   backward_step(a, step, staged, units)
// which run the units of one thread, and wait for the team where they need those of the others.

constexpr double kNormEpsilon = 1e-5;  // torch.nn.LayerNorm's

// The units that one thread computes.
struct StagedUnits {
  int64_t first, last;
  Team* team;
  int64_t arriving;

  StagedUnits(const RecurrentSlice& slice, int64_t hidden_size)
      : first(hidden_size * slice.share_begin / slice.shares),
        last(hidden_size * slice.share_end / slice.shares),
        team(slice.team),
        arriving(slice.share_end - slice.share_begin) {}

  void wait() const {
    if (team) team->wait(arriving);
  }
};

// Numbers of vectors in the memory of the two structs below.
inline int64_t staged_forward_vectors(const CellLayout& layout, int64_t hidden_size) {
  return (2 * layout.rows + 4) * hidden_size;
}
inline int64_t staged_backward_vectors(const CellLayout&, int64_t hidden_size) { return 3 * hidden_size; }

template <typename T>
struct StagedForward {
  T *input_sums, *hidden_sums;     // [rows * H][lanes]: products without biases
  T *h, *mask, *candidate, *gate;  // [H][lanes]: the state, recurrent dropout, and what a cell keeps between its stages

  StagedForward(const CellLayout& layout, int64_t hidden_size, T* memory) {
    const int64_t vectors = hidden_size * kLanes<T>;
    input_sums = memory;
    hidden_sums = input_sums + layout.rows * vectors;
    h = hidden_sums + layout.rows * vectors;
    mask = h + vectors;
    candidate = mask + vectors;
    gate = candidate + vectors;
  }
};

template <typename T>
struct StagedBackward {
  T *mask, *candidate, *gradient;  // [H][lanes]

  StagedBackward(int64_t hidden_size, T* memory)
      : mask(memory), candidate(mask + hidden_size * kLanes<T>), gradient(candidate + hidden_size * kLanes<T>) {}
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

template <typename T>
void begin_staged(const RecurrentForwardArguments<T>& a, const StagedBackward<T>& staged, int64_t first_row,
                  int64_t rows) {
  if (a.hidden_mask) gather_mask(a, first_row, rows, staged.mask);
}

template <typename Cell, typename T>
void forward_staged(const RecurrentForwardArguments<T>& a, const ForwardStep<T>& step, const StagedForward<T>& staged,
                    const RecurrentSlice& slice) {
  const int64_t I = a.input_size, H = a.hidden_size, columns = Cell::kLayout.rows * H;
  const int64_t tiles = tile_count(columns, kColumnsPerTile);
  const int64_t first = tiles * slice.share_begin / slice.shares, last = tiles * slice.share_end / slice.shares;
  product<T>(step.slot, a.weights, I, columns, first, last, staged.input_sums);
  product<T>(step.slot + I * kLanes<T>, a.weights + columns * I, H, columns, first, last, staged.hidden_sums);
  const StagedUnits units(slice, H);
  units.wait();
  Cell::forward_step(a, step, staged, units);
}

template <typename Cell, typename T>
void backward_staged(const RecurrentBackwardArguments<T>& a, const BackwardStep<T>& step,
                     const StagedBackward<T>& staged, const RecurrentSlice& slice) {
  Cell::backward_step(a, step, staged, StagedUnits(slice, a.forward.hidden_size));
}

// Writes a unit's new state h: raw to the output, masked to the next slot. Rows that have ended keep theirs.
template <typename T>
SEQLIGHT_INLINE Vector<T> finish_unit(const RecurrentForwardArguments<T>& a, const ForwardStep<T>& step,
                                      const StagedForward<T>& staged, int64_t unit, Vector<T> h) {
  const int64_t at = unit * kLanes<T>;
  if (step.active) h = select<T>(*step.active, h, load<T>(staged.h + at));
  store<T>(staged.h + at, h);
  store<T>(step.output + at, h);
  store<T>(step.h + at, a.hidden_mask ? h * load<T>(staged.mask + at) : h);
  return h;
}

template <typename T>
SEQLIGHT_INLINE void save_unit(const ForwardStep<T>& step, int64_t unit, int64_t count, int64_t index,
                               const Vector<T>& value) {
  if (step.saved) save<T>(step, step.saved + (unit * count + index) * step.rows, value);
}

template <typename T>
SEQLIGHT_INLINE void add_to(T* target, const Vector<T>& value) {
  store<T>(target, load<T>(target) + value);
}

// ------------------------------------------------------------------------------------------------ layer normalisation

template <typename T>
SEQLIGHT_INLINE Vector<T> square_root(const Vector<T>& x) {
#if SEQLIGHT_VECTOR_BYTES == 64
  if constexpr (sizeof(T) == 4)
    return (Vector<T>)_mm512_maskz_sqrt_ps(0xffff, (__m512)x);
  else
    return (Vector<T>)_mm512_maskz_sqrt_pd(0xff, (__m512d)x);
#elif SEQLIGHT_VECTOR_BYTES == 32
  if constexpr (sizeof(T) == 4)
    return (Vector<T>)_mm256_sqrt_ps((__m256)x);
  else
    return (Vector<T>)_mm256_sqrt_pd((__m256d)x);
#else
  Vector<T> root;
  for (int i = 0; i < kLanes<T>; ++i) root[i] = sizeof(T) == 4 ? __builtin_sqrtf(x[i]) : __builtin_sqrt(x[i]);
  return root;
#endif
}

// Sums value(0), ..., value(count - 1), in four parts, so that one addition need not wait for the one before.
template <typename T, typename Value>
SEQLIGHT_INLINE Vector<T> sum_of(int64_t count, const Value& value) {
  Vector<T> parts[4] = {};
  int64_t i = 0;
  for (; i + 4 <= count; i += 4)
#pragma GCC unroll 4
    for (int p = 0; p < 4; ++p) parts[p] += value(i + p);
  for (; i < count; ++i) parts[0] += value(i);
  return (parts[0] + parts[1]) + (parts[2] + parts[3]);
}

// x as it is rounded: the compiler may not fuse its last multiplication with an addition to come. What is subtracted
// from a mean of such numbers then cancels exactly where it should, before a small deviation magnifies it.
template <typename T>
SEQLIGHT_INLINE Vector<T> rounded(Vector<T> x) {
#if defined(__x86_64__)
  asm("" : "+x"(x));
#elif defined(__aarch64__)
  asm("" : "+w"(x));
#endif
  return x;
}

template <typename T>
struct Moments {
  Vector<T> mean, inverse_deviation;

  SEQLIGHT_INLINE Vector<T> normalize(const Vector<T>& x) const { return (x - mean) * inverse_deviation; }
};

// Of one row per lane, over value(0), ..., value(count - 1).
template <typename T, typename Value>
SEQLIGHT_INLINE Moments<T> moments_of(int64_t count, const Value& value) {
  Moments<T> m;
  m.mean = sum_of<T>(count, value) / static_cast<T>(count);
  const Vector<T> squares = sum_of<T>(count, [&](int64_t i) {
    const Vector<T> d = value(i) - m.mean;
    return d * d;
  });
  m.inverse_deviation = T(1) / square_root<T>(squares / static_cast<T>(count) + static_cast<T>(kNormEpsilon));
  return m;
}

template <typename T>
SEQLIGHT_INLINE Moments<T> moments_of_vectors(int64_t count, const T* vectors) {
  return moments_of<T>(count, [&](int64_t i) { return load<T>(vectors + i * kLanes<T>); });
}

template <typename T>
SEQLIGHT_INLINE Vector<T> norm_parameter(const RecurrentForwardArguments<T>& a, int64_t row, int64_t unit) {
  return broadcast<T>(a.norm[row * a.hidden_size + unit]);
}

// Products that are normalised together: `blocks` blocks of gradients from block `first` on, whose raw products are
// saved from index `saved` on, and whose gains are rows of the norm's parameters from `gain` on.
struct NormSpan {
  int first, blocks, saved, gain;
};

// For n = (x - mean) / deviation, with means over the numbers normalised together,
//   dx = (dn - mean(dn) - n mean(dn n)) / deviation.
// Turns step.grad_sums, which hold the gradients for gain * normalised + bias, into those for the raw products, and
// adds the gains' gradients to rows `norms` + gain of grad_extra. `saves` is the cell's number of saved values.
template <int kSpans, typename T>
void normalize_backward(const RecurrentForwardArguments<T>& f, const BackwardStep<T>& step, int saves, int norms,
                        const NormSpan (&spans)[kSpans], const StagedUnits& units) {
  constexpr int64_t lanes = kLanes<T>;
  const int64_t H = f.hidden_size;
  units.wait();  // until all gradients are there
  Moments<T> moments[kSpans];
  Vector<T> means[kSpans], products[kSpans];
  for (int s = 0; s < kSpans; ++s) {
    const NormSpan& span = spans[s];
    const int64_t count = span.blocks * H;
    const auto raw = [&](int block, int64_t u) {
      return load_first<T>(step.saved + (u * saves + span.saved + block) * step.rows, step.rows);
    };
    Vector<T> total{}, squares{}, gradient{}, product{};
    for (int block = 0; block < span.blocks; ++block) total += sum_of<T>(H, [&](int64_t u) { return raw(block, u); });
    moments[s].mean = total / static_cast<T>(count);
    for (int block = 0; block < span.blocks; ++block)
      squares += sum_of<T>(H, [&](int64_t u) {
        const Vector<T> d = raw(block, u) - moments[s].mean;
        return d * d;
      });
    moments[s].inverse_deviation =
        T(1) / square_root<T>(squares / static_cast<T>(count) + static_cast<T>(kNormEpsilon));
    for (int block = 0; block < span.blocks; ++block) {
      const T* const gradients = step.grad_sums + (span.first + block) * H * lanes;
      const auto of_normalized = [&](int64_t u) {
        return load<T>(gradients + u * lanes) * norm_parameter(f, span.gain + block, u);
      };
      gradient += sum_of<T>(H, of_normalized);
      product += sum_of<T>(H, [&](int64_t u) { return of_normalized(u) * moments[s].normalize(raw(block, u)); });
    }
    means[s] = gradient / static_cast<T>(count);
    products[s] = product / static_cast<T>(count);
  }
  units.wait();  // until everybody has read them
  for (int s = 0; s < kSpans; ++s)
    for (int block = 0; block < spans[s].blocks; ++block)
      for (int64_t u = units.first; u < units.last; ++u) {
        T* const at = step.grad_sums + ((spans[s].first + block) * H + u) * lanes;
        const Vector<T> raw = load_first<T>(step.saved + (u * saves + spans[s].saved + block) * step.rows, step.rows);
        const Vector<T> normalized = moments[s].normalize(raw), gradient = load<T>(at);
        Vector<T> of_gain = gradient * normalized;
        const Vector<T> scaled = rounded<T>(gradient * norm_parameter(f, spans[s].gain + block, u));
        Vector<T> result = (scaled - means[s] - normalized * products[s]) * moments[s].inverse_deviation;
        if (step.active) {
          of_gain = select<T>(*step.active, of_gain, Vector<T>{});
          result = select<T>(*step.active, result, Vector<T>{});
        }
        store<T>(at, result);
        add_to<T>(step.grad_extra + ((norms + spans[s].gain + block) * H + u) * lanes, of_gain);
      }
}

// ------------------------------------------------------------------------------------------------------------ zoneout

// Which states of one unit keep their value, one row per lane.
template <typename T>
struct Zoned {
  typedef Vector<T> V;
  const Zoneout<T>& zoneout;
  Mask<T> h, c;  // of random zoneout

  // Draws the words of one unit: the counter is (unit, time step, batch row, 0), word 0 is for h and word 1 for c.
  SEQLIGHT_INLINE Zoned(const Zoneout<T>& z, int64_t unit, int64_t time, int64_t first_row) : zoneout(z), h{}, c{} {
    if (!z.random) return;
    typedef uint64_t Words __attribute__((vector_size(SEQLIGHT_VECTOR_BYTES)));
    constexpr int count = SEQLIGHT_VECTOR_BYTES / 8;
    for (int begin = 0; begin < kLanes<T>; begin += count) {
      uint64_t row[count];
      for (int i = 0; i < count; ++i) row[i] = static_cast<uint32_t>(first_row + begin + i);
      Words words[4] = {Words{} + static_cast<uint64_t>(unit), Words{} + static_cast<uint64_t>(time), Words{}, Words{}};
      __builtin_memcpy(&words[2], row, sizeof row);
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
