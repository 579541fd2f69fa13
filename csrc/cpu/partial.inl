// Vectors of which only the first lanes are in memory, for loops that read or write many of the same width; included
// after vector.inl. Unlike load_first and store_first, the lanes are worked out once, before the loop.

template <typename T>
struct Partial {
  int64_t count;
#if defined(__x86_64__) && SEQLIGHT_VECTOR_REGISTERS == 32
  __mmask16 bits;
  explicit Partial(int64_t lanes) : count(lanes), bits((__mmask16)((1u << lanes) - 1)) {}
#elif SEQLIGHT_VECTOR_BYTES == 32
  __m256i lanes_mask;
  explicit Partial(int64_t lanes) : count(lanes) {
    Mask<T> mask{};
    for (int i = 0; i < kLanes<T>; ++i) mask[i] = i < lanes ? -1 : 0;
    lanes_mask = (__m256i)mask;
  }
#else
  explicit Partial(int64_t lanes) : count(lanes) {}
#endif
};

// The lanes in memory, zeros behind them; nothing past them is read.
template <typename T>
SEQLIGHT_INLINE Vector<T> load_partial(const T* source, const Partial<T>& lanes) {
#if defined(__x86_64__) && SEQLIGHT_VECTOR_REGISTERS == 32
  SEQLIGHT_CHECK_LOAD(source, lanes.count);
#define SEQLIGHT_MASKED_LOAD(prefix, mask, suffix) (Vector<T>)prefix##_maskz_loadu_##suffix((mask)lanes.bits, source)
#if SEQLIGHT_VECTOR_BYTES == 64
  if constexpr (sizeof(T) == 4)
    return SEQLIGHT_MASKED_LOAD(_mm512, __mmask16, ps);
  else
    return SEQLIGHT_MASKED_LOAD(_mm512, __mmask8, pd);
#elif SEQLIGHT_VECTOR_BYTES == 32
  if constexpr (sizeof(T) == 4)
    return SEQLIGHT_MASKED_LOAD(_mm256, __mmask8, ps);
  else
    return SEQLIGHT_MASKED_LOAD(_mm256, __mmask8, pd);
#else
  if constexpr (sizeof(T) == 4)
    return SEQLIGHT_MASKED_LOAD(_mm, __mmask8, ps);
  else
    return SEQLIGHT_MASKED_LOAD(_mm, __mmask8, pd);
#endif
#undef SEQLIGHT_MASKED_LOAD
#elif SEQLIGHT_VECTOR_BYTES == 32
  SEQLIGHT_CHECK_LOAD(source, lanes.count);
  if constexpr (sizeof(T) == 4)
    return (Vector<T>)_mm256_maskload_ps(source, lanes.lanes_mask);
  else
    return (Vector<T>)_mm256_maskload_pd(source, lanes.lanes_mask);
#else
  if (lanes.count == kLanes<T>) return load<T>(source);
  Vector<T> v{};
  for (int64_t i = 0; i < lanes.count; ++i) v[i] = source[i];
  return v;
#endif
}

template <typename T>
SEQLIGHT_INLINE void store_partial(T* target, const Vector<T>& v, const Partial<T>& lanes) {
#if defined(__x86_64__) && SEQLIGHT_VECTOR_REGISTERS == 32
  SEQLIGHT_CHECK_STORE(target, lanes.count);
#define SEQLIGHT_MASKED_STORE(prefix, mask, vector, suffix) \
  prefix##_mask_storeu_##suffix(target, (mask)lanes.bits, (vector)v)
#if SEQLIGHT_VECTOR_BYTES == 64
  if constexpr (sizeof(T) == 4)
    SEQLIGHT_MASKED_STORE(_mm512, __mmask16, __m512, ps);
  else
    SEQLIGHT_MASKED_STORE(_mm512, __mmask8, __m512d, pd);
#elif SEQLIGHT_VECTOR_BYTES == 32
  if constexpr (sizeof(T) == 4)
    SEQLIGHT_MASKED_STORE(_mm256, __mmask8, __m256, ps);
  else
    SEQLIGHT_MASKED_STORE(_mm256, __mmask8, __m256d, pd);
#else
  if constexpr (sizeof(T) == 4)
    SEQLIGHT_MASKED_STORE(_mm, __mmask8, __m128, ps);
  else
    SEQLIGHT_MASKED_STORE(_mm, __mmask8, __m128d, pd);
#endif
#undef SEQLIGHT_MASKED_STORE
#else
  // In pieces of powers of two; masked stores are slow on some AVX2 processors.
  if (lanes.count == kLanes<T>) return store<T>(target, v);
  T buffer[kLanes<T>];
  store<T>(buffer, v);
  int64_t done = 0;
  if constexpr (kLanes<T> > 4)
    if (lanes.count & 4) {
      __builtin_memcpy(target, buffer, 4 * sizeof(T));
      done = 4;
    }
  if constexpr (kLanes<T> > 2)
    if (lanes.count & 2) {
      __builtin_memcpy(target + done, buffer + done, 2 * sizeof(T));
      done += 2;
    }
  if (lanes.count & 1) target[done] = buffer[done];
#endif
}
