// Vectors for one instruction set, in GCC/Clang vector extensions. Included inside namespace
// seqlight::cpu::SEQLIGHT_ISA by kernels, with SEQLIGHT_VECTOR_BYTES and SEQLIGHT_VECTOR_REGISTERS set by the wrapper.
//
// Sums of products are written plainly; the compiler contracts them where the target has fused multiply-add.

#undef SEQLIGHT_FUSED_MULTIPLY_ADD
#if defined(SEQLIGHT_TARGET_FMA) || defined(__aarch64__)
#define SEQLIGHT_FUSED_MULTIPLY_ADD 1
#else
#define SEQLIGHT_FUSED_MULTIPLY_ADD 0
#endif

#define SEQLIGHT_INLINE inline __attribute__((always_inline))

template <typename T>
struct VectorOf;

template <>
struct VectorOf<float> {
  typedef float type __attribute__((vector_size(SEQLIGHT_VECTOR_BYTES)));
  typedef int32_t mask __attribute__((vector_size(SEQLIGHT_VECTOR_BYTES)));
  typedef int32_t integer;
  typedef float number;
};

template <>
struct VectorOf<double> {
  typedef double type __attribute__((vector_size(SEQLIGHT_VECTOR_BYTES)));
  typedef int64_t mask __attribute__((vector_size(SEQLIGHT_VECTOR_BYTES)));
  typedef int64_t integer;
  typedef double number;
};

template <typename T>
using Vector = typename VectorOf<T>::type;
template <typename T>
using Mask = typename VectorOf<T>::mask;  // lanes are 0 or -1
template <typename T>
constexpr int kLanes = SEQLIGHT_VECTOR_BYTES / sizeof(T);

template <typename T>
SEQLIGHT_INLINE Vector<T> load(const T* source) {
  Vector<T> v;
  __builtin_memcpy(&v, source, sizeof v);
  return v;
}

template <typename T>
SEQLIGHT_INLINE void store(T* target, const Vector<T>& v) {
  __builtin_memcpy(target, &v, sizeof v);
}

// x - 0 is x for every x; 0 + x would turn -0 into +0, so the compiler could not drop it.
template <typename T>
SEQLIGHT_INLINE Vector<T> broadcast(T x) {
  return x - Vector<T>{};
}

// The first `count` lanes from memory, zeros behind them; nothing past them is read.
template <typename T>
SEQLIGHT_INLINE Vector<T> load_first(const T* source, int64_t count) {
  if (count >= kLanes<T>) return load(source);
#if SEQLIGHT_VECTOR_BYTES == 64
  SEQLIGHT_CHECK_LOAD(source, count);
  if constexpr (sizeof(T) == 4)
    return (Vector<T>)_mm512_maskz_loadu_ps((__mmask16)((1u << count) - 1), source);
  else
    return (Vector<T>)_mm512_maskz_loadu_pd((__mmask8)((1u << count) - 1), source);
#else
  Vector<T> v{};
  for (int64_t i = 0; i < count; ++i) v[i] = source[i];
  return v;
#endif
}

template <typename T>
SEQLIGHT_INLINE void store_first(T* target, const Vector<T>& v, int64_t count) {
  if (count >= kLanes<T>) return store(target, v);
#if SEQLIGHT_VECTOR_BYTES == 64
  SEQLIGHT_CHECK_STORE(target, count);
  if constexpr (sizeof(T) == 4)
    _mm512_mask_storeu_ps(target, (__mmask16)((1u << count) - 1), (__m512)v);
  else
    _mm512_mask_storeu_pd(target, (__mmask8)((1u << count) - 1), (__m512d)v);
#else
  for (int64_t i = 0; i < count; ++i) target[i] = v[i];
#endif
}

template <typename T>
SEQLIGHT_INLINE void add_to(T* target, const Vector<T>& value) {
  store<T>(target, load<T>(target) + value);
}

// Lane l of the result is a[index(l)], or b[index(l) - lanes] from `lanes` on.
#if defined(__clang__)
#define SEQLIGHT_SHUFFLE(T, a, b, INDEX) __builtin_shufflevector(a, b, (INDEX)...)
#else
#define SEQLIGHT_SHUFFLE(T, a, b, INDEX) __builtin_shuffle(a, b, Mask<T>{(INDEX)...})
#endif

template <int... I>
struct Indices {};
template <int N, int... I>
struct MakeIndices : MakeIndices<N - 1, N - 1, I...> {};
template <int... I>
struct MakeIndices<0, I...> {
  typedef Indices<I...> type;
};

// Takes from a where bit S of the lane number is clear, and from b, S lanes lower, where it is set.
template <int S, typename T, int... I>
SEQLIGHT_INLINE Vector<T> interleave_low(const Vector<T>& a, const Vector<T>& b, Indices<I...>) {
  return SEQLIGHT_SHUFFLE(T, a, b, (I & S) ? kLanes<T> + I - S : I);
}

// Takes from a, S lanes higher, where bit S of the lane number is clear, and from b where it is set.
template <int S, typename T, int... I>
SEQLIGHT_INLINE Vector<T> interleave_high(const Vector<T>& a, const Vector<T>& b, Indices<I...>) {
  return SEQLIGHT_SHUFFLE(T, a, b, (I & S) ? kLanes<T> + I : I + S);
}

template <int S, typename T>
SEQLIGHT_INLINE void transpose_stage(Vector<T> (&rows)[kLanes<T>]) {
  typename MakeIndices<kLanes<T>>::type indices;
#pragma GCC unroll 16
  for (int i = 0; i < kLanes<T>; ++i) {
    if (i & S) continue;
    const Vector<T> a = rows[i], b = rows[i + S];
    rows[i] = interleave_low<S, T>(a, b, indices);
    rows[i + S] = interleave_high<S, T>(a, b, indices);
  }
}

// rows[i][l] becomes rows[l][i].
template <typename T>
SEQLIGHT_INLINE void transpose(Vector<T> (&rows)[kLanes<T>]) {
  if constexpr (kLanes<T> >= 16) transpose_stage<8, T>(rows);
  if constexpr (kLanes<T> >= 8) transpose_stage<4, T>(rows);
  if constexpr (kLanes<T> >= 4) transpose_stage<2, T>(rows);
  transpose_stage<1, T>(rows);
}

template <int S, int N, typename T>
SEQLIGHT_INLINE void add_pairs(Vector<T>* v) {
  if constexpr (S < kLanes<T>) {
    typename MakeIndices<kLanes<T>>::type indices;
    constexpr int pairs = N > 1 ? N / 2 : 1;
#pragma GCC unroll 16
    for (int i = 0; i < pairs; ++i) {
      const Vector<T> a = v[N > 1 ? 2 * i : 0], b = v[N > 1 ? 2 * i + 1 : 0];
      v[i] = interleave_low<S, T>(a, b, indices) + interleave_high<S, T>(a, b, indices);
    }
    add_pairs<2 * S, pairs, T>(v);
  }
}

// Sums the lanes of each of N vectors (N a power of two, at most kLanes): lane i of v[0] becomes the sum of v[i].
template <int N, typename T>
SEQLIGHT_INLINE void sum_lanes(Vector<T>* v) {
  add_pairs<1, N, T>(v);
}

template <typename T>
SEQLIGHT_INLINE T sum_lanes_of(Vector<T> v) {
  sum_lanes<1, T>(&v);
  return v[0];
}

// Sums the lanes of `count` vectors and adds the results to `target`.
template <typename T, int kCount>
SEQLIGHT_INLINE void add_lane_sums(Vector<T>* v, T* target) {
  constexpr int limit = kCount < kLanes<T> ? kCount : kLanes<T>;
  constexpr int block = limit >= 16 ? 16 : limit >= 8 ? 8 : limit >= 4 ? 4 : limit >= 2 ? 2 : 1;
  sum_lanes<block, T>(v);
  store_first<T>(target, load_first<T>(target, block) + v[0], block);
  if constexpr (kCount > block) add_lane_sums<T, kCount - block>(v + block, target + block);
}

// ---------------------------------------------------------------------------------------------- several side by side

// N vectors that go through the same arithmetic side by side: each operation is done for all of them before the next,
// so that none waits for its own last result. Used like a vector, by the functions that take a Number.
template <typename T, int N>
struct Vectors {
  Vector<T> v[N];
};

// An overload for Vectors of a function of one vector. (A lambda without captures would do, but GCC compiles its
// conversion to a function pointer for the processor of the build's flags, not for this file's target.)
#define SEQLIGHT_SIDE_BY_SIDE(function)                                                    \
  template <typename T, int N>                                                             \
  SEQLIGHT_INLINE Vectors<T, N> function(const Vectors<T, N>& x) {                         \
    Vectors<T, N> result;                                                                  \
    _Pragma("GCC unroll 8") for (int i = 0; i < N; ++i) result.v[i] = function<T>(x.v[i]); \
    return result;                                                                         \
  }

#define SEQLIGHT_VECTORS_OPERATOR(op)                                                                 \
  template <typename T, int N>                                                                        \
  SEQLIGHT_INLINE Vectors<T, N> operator op(const Vectors<T, N>& a, const Vectors<T, N>& b) {         \
    Vectors<T, N> result;                                                                             \
    _Pragma("GCC unroll 8") for (int i = 0; i < N; ++i) result.v[i] = a.v[i] op b.v[i];               \
    return result;                                                                                    \
  }                                                                                                   \
  template <typename T, int N>                                                                        \
  SEQLIGHT_INLINE Vectors<T, N> operator op(const Vectors<T, N>& a, typename VectorOf<T>::number b) { \
    Vectors<T, N> result;                                                                             \
    _Pragma("GCC unroll 8") for (int i = 0; i < N; ++i) result.v[i] = a.v[i] op b;                    \
    return result;                                                                                    \
  }                                                                                                   \
  template <typename T, int N>                                                                        \
  SEQLIGHT_INLINE Vectors<T, N> operator op(typename VectorOf<T>::number a, const Vectors<T, N>& b) { \
    Vectors<T, N> result;                                                                             \
    _Pragma("GCC unroll 8") for (int i = 0; i < N; ++i) result.v[i] = a op b.v[i];                    \
    return result;                                                                                    \
  }
SEQLIGHT_VECTORS_OPERATOR(+)
SEQLIGHT_VECTORS_OPERATOR(-)
SEQLIGHT_VECTORS_OPERATOR(*)
#undef SEQLIGHT_VECTORS_OPERATOR

template <typename T, int N>
SEQLIGHT_INLINE Vectors<T, N>& operator+=(Vectors<T, N>& a, const Vectors<T, N>& b) {
  return a = a + b;
}
