// Layer normalisation in the staged cells, and its gradient; included by recurrent.inl after recurrent_staged.inl.

constexpr double kNormEpsilon = 1e-5;  // torch.nn.LayerNorm's

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

// Sums value(first), ..., value(last - 1), in four parts, so that one addition need not wait for the one before.
template <typename T, typename Value>
SEQLIGHT_INLINE Vector<T> sum_of(int64_t first, int64_t last, const Value& value) {
  Vector<T> parts[4] = {};
  int64_t i = first;
  for (; i + 4 <= last; i += 4)
#pragma GCC unroll 4
    for (int p = 0; p < 4; ++p) parts[p] += value(i + p);
  for (; i < last; ++i) parts[0] += value(i);
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

// `blocks` numbers of each unit that are normalised together: [blocks][places], and their moments.
template <typename T>
struct NormSpan {
  const T* values;
  int64_t blocks;
  Moments<T> moments;
};

// The sum over this thread's places of value(x, place), x going through the span.
template <typename Places, typename T, typename Value>
SEQLIGHT_INLINE Vector<T> sum_of_span(const Places& places, const NormSpan<T>& span, const Value& value) {
  Vector<T> sum{};
  for (int64_t block = 0; block < span.blocks; ++block) {
    const T* const values = span.values + block * places.all * kLanes<T>;
    sum += sum_of<T>(places.first, places.last,
                     [&](int64_t place) { return value(load<T>(values + place * kLanes<T>), place); });
  }
  return places.total(sum);
}

// Finds the moments of each span, over the units of the whole team. Two passes over this thread's units; those of
// several threads are merged as by Chan, Golub and LeVeque (1979). `area`: see StagedShare::exchange.
template <int kSpans, typename Places, typename T>
SEQLIGHT_INLINE void find_moments(const Places& places, int area, NormSpan<T> (&spans)[kSpans]) {
  typedef Vector<T> V;
  constexpr int64_t lanes = kLanes<T>;
  V means[kSpans], squares[kSpans];
#pragma GCC unroll 4
  for (int s = 0; s < kSpans; ++s) {
    means[s] = sum_of_span(places, spans[s], [&](const V& x, int64_t) { return x; }) /
               static_cast<T>(spans[s].blocks * places.units);
    squares[s] = sum_of_span(places, spans[s], [&](const V& x, int64_t place) {
      const V d = places.valid(x - means[s], place);
      return d * d;
    });
  }
  if (places.team) {
    V own[2 * kSpans];
    for (int s = 0; s < kSpans; ++s) {
      own[s] = means[s];
      own[kSpans + s] = squares[s];
      means[s] = squares[s] = V{};
    }
    T before = 0;
    places.exchange(area, own, [&](T units, const T* values) {
      const T after = before + units;
      for (int s = 0; s < kSpans; ++s) {
        const V d = load<T>(values + s * lanes) - means[s];
        means[s] += d * (units / after);
        squares[s] += load<T>(values + (kSpans + s) * lanes) +
                      d * d * (static_cast<T>(spans[s].blocks) * (before / after) * units);
      }
      before = after;
    });
  }
#pragma GCC unroll 4
  for (int s = 0; s < kSpans; ++s) {
    const V variance = squares[s] / static_cast<T>(spans[s].blocks * places.hidden_size);
    spans[s].moments = {means[s], T(1) / square_root<T>(variance + static_cast<T>(kNormEpsilon))};
  }
}

// With n = (x - mean) / deviation, and means over the numbers normalised together, the gradient for x is
//   (dn - mean(dn) - n mean(dn n)) / deviation.
template <typename T>
struct NormGradient {
  typedef Vector<T> V;
  V inverse_deviation;
  V mean{}, product{};  // first the sums of dn and dn n

  explicit NormGradient(const V& inverse_deviation) : inverse_deviation(inverse_deviation) {}

  SEQLIGHT_INLINE void add(const V& of_normalized, const V& normalized) {
    mean += of_normalized;
    product += of_normalized * normalized;
  }

  SEQLIGHT_INLINE V operator()(const V& of_normalized, const V& normalized) const {
    return (rounded<T>(of_normalized) - mean - normalized * product) * inverse_deviation;
  }
};

// Makes means of the sums, over `blocks[s]` numbers of each unit of the team.
template <int kSpans, typename Places, typename T>
SEQLIGHT_INLINE void finish_sums(const Places& places, int area, const int (&blocks)[kSpans],
                                 NormGradient<T> (&gradients)[kSpans]) {
  Vector<T> sums[2 * kSpans];
#pragma GCC unroll 4
  for (int s = 0; s < kSpans; ++s) {
    sums[s] = places.total(gradients[s].mean);
    sums[kSpans + s] = places.total(gradients[s].product);
  }
  places.sum_over_team(area, sums);
#pragma GCC unroll 4
  for (int s = 0; s < kSpans; ++s) {
    gradients[s].mean = sums[s] / static_cast<T>(blocks[s] * places.hidden_size);
    gradients[s].product = sums[kSpans + s] / static_cast<T>(blocks[s] * places.hidden_size);
  }
}

template <typename T>
SEQLIGHT_INLINE Vector<T> keep_active(const Mask<T>* active, const Vector<T>& value) {
  return active ? select<T>(*active, value, Vector<T>{}) : value;
}
