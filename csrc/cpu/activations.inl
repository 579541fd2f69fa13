// sigmoid and tanh on vectors, included after vector.inl inside namespace seqlight::cpu::SEQLIGHT_ISA.
//
// Both rest on e^y - 1 = 2^n (1 + p) - 1 with n = round(y / ln 2), r = y - n ln 2 (|r| <= 0.347) and
// p = e^r - 1 = r + r^2 q(r). For float, q is the degree-4 polynomial of least largest relative error of p (1.4e-8,
// found with the Remez algorithm); for double it is Taylor's series to r^13 / 13!. Keeping p apart from the 1 is what
// leaves tanh exact to rounding near 0. NaN passes through: every comparison below keeps a NaN operand.
//
// Promised for every float, and held for one in 513 of them, over all exponents, by tests/ops/test_activations.py, in
// units in the last place of the exact result:
//   tanh 3.5; sigmoid 3.5 for x >= -20 and 6 for -87 <= x < -20; below -87, sigmoid is under 2e-38 in place of its
//   value. For double: 4 for tanh, and 4 for sigmoid in [-700, 700].

// Number is Vector<T>, or several of them side by side (Vectors).

template <typename Number>
struct ExpParts {
  Number power;  // 2^n
  Number p;      // e^r - 1
};

// 2^n from the sum of n and `shift` (see exp_parts), which has n in its low bits.
template <typename T>
SEQLIGHT_INLINE Vector<T> power_of_two(const Vector<T>& shifted) {
  constexpr int mantissa = sizeof(T) == 4 ? 23 : 52;
  constexpr typename VectorOf<T>::integer bias = sizeof(T) == 4 ? 127 : 1023;
  return (Vector<T>)(((Mask<T>)shifted << mantissa) + (bias << mantissa));
}

SEQLIGHT_SIDE_BY_SIDE(power_of_two)

// kScale * x = y, the exponent: a factor of 2 or -1 costs nothing in the constants.
template <typename T, int kScale, typename Number>
SEQLIGHT_INLINE ExpParts<Number> exp_parts(const Number& x) {
  constexpr T scale = kScale, unscale = T(1) / kScale;
  ExpParts<Number> parts;
  if constexpr (sizeof(T) == 4) {
    const T shift = 12582912.f;  // 1.5 * 2^23: adding it rounds to an integer and leaves that in the low bits
    const Number shifted = x * (scale * 1.44269504f) + shift;
    const Number n = shifted - shift;
#if SEQLIGHT_FUSED_MULTIPLY_ADD
    // r / kScale. The product is exact, and this float is ln 2 to 2e-9.
    const Number r = x - n * (unscale * 0.693147182f);
#else
    // ln 2 in two parts, the first exact in 9 bits.
    const Number r = x - n * (unscale * 0.693359375f) + n * (unscale * 2.12194440e-4f);
#endif
    constexpr T s2 = scale * scale, s3 = s2 * scale, s4 = s3 * scale, s5 = s4 * scale, s6 = s5 * scale;
    Number q = r * (s6 * 1.3946427498012781e-3f) + s5 * 8.366571739315987e-3f;
    q = q * r + s4 * 4.166628420352936e-2f;
    q = q * r + s3 * 1.666654348373413e-1f;
    q = q * r + s2 * 0.5f;
    parts.p = r * (q * r + scale);
    parts.power = power_of_two<T>(shifted);
  } else {
    const T shift = 6755399441055744.0;  // 1.5 * 2^52
    const Number y = x * scale;
    const Number shifted = y * 1.4426950408889634 + shift;
    const Number n = shifted - shift;
    Number r = y - n * 0.693147180369123816490;  // the first 32 bits of ln 2, so that n times it is exact
    r = r - n * 1.90821492927058770002e-10;
    Number q = r * (1.0 / 6227020800.0) + 1.0 / 479001600.0;
    q = q * r + 1.0 / 39916800.0;
    q = q * r + 1.0 / 3628800.0;
    q = q * r + 1.0 / 362880.0;
    q = q * r + 1.0 / 40320.0;
    q = q * r + 1.0 / 5040.0;
    q = q * r + 1.0 / 720.0;
    q = q * r + 1.0 / 120.0;
    q = q * r + 1.0 / 24.0;
    q = q * r + 1.0 / 6.0;
    q = q * r + 0.5;
    parts.p = r * r * q + r;
    parts.power = power_of_two<T>(shifted);
  }
  return parts;
}

// Keeps a NaN in x: the x86 instructions return their second operand when either is NaN.
template <typename T>
SEQLIGHT_INLINE Vector<T> clamp_magnitude(const Vector<T>& x, T bound) {
  const Vector<T> high = broadcast(bound), low = broadcast(-bound);
#if SEQLIGHT_VECTOR_BYTES == 64
  if constexpr (sizeof(T) == 4)
    return (Vector<T>)_mm512_maskz_max_ps(0xffff, (__m512)low, _mm512_maskz_min_ps(0xffff, (__m512)high, (__m512)x));
  else
    return (Vector<T>)_mm512_maskz_max_pd(0xff, (__m512d)low, _mm512_maskz_min_pd(0xff, (__m512d)high, (__m512d)x));
#elif SEQLIGHT_VECTOR_BYTES == 32
  if constexpr (sizeof(T) == 4)
    return (Vector<T>)_mm256_max_ps((__m256)low, _mm256_min_ps((__m256)high, (__m256)x));
  else
    return (Vector<T>)_mm256_max_pd((__m256d)low, _mm256_min_pd((__m256d)high, (__m256d)x));
#else
  const Vector<T> y = x > high ? high : x;
  return y < low ? low : y;
#endif
}

template <typename T, int N>
SEQLIGHT_INLINE Vectors<T, N> clamp_magnitude(const Vectors<T, N>& x, T bound) {
  Vectors<T, N> result;
#pragma GCC unroll 8
  for (int i = 0; i < N; ++i) result.v[i] = clamp_magnitude<T>(x.v[i], bound);
  return result;
}

// 1 / x for finite x of at least 1. (The zeroing forms of the AVX-512 functions avoid a false warning of GCC 12.)
// AVX-512 refines its 14-bit estimate once, which is faster than dividing.
template <typename T>
SEQLIGHT_INLINE Vector<T> reciprocal_estimate(const Vector<T>& x) {
#if SEQLIGHT_VECTOR_BYTES == 64
  if constexpr (sizeof(T) == 4) return (Vector<T>)_mm512_maskz_rcp14_ps(0xffff, (__m512)x);
#endif
  return T(1) / x;
}

SEQLIGHT_SIDE_BY_SIDE(reciprocal_estimate)

template <typename T, typename Number>
SEQLIGHT_INLINE Number reciprocal(const Number& x) {
  const Number estimate = reciprocal_estimate<T>(x);
  if constexpr (SEQLIGHT_VECTOR_BYTES == 64 && sizeof(T) == 4)
    return estimate * (T(1) - x * estimate) + estimate;
  else
    return estimate;
}

// 1 / (1 + e^-x). Beyond +-87 (float) or +-708 (double) the argument is held there, where e^|x| is still finite.
template <typename T, typename Number>
SEQLIGHT_INLINE Number sigmoid(const Number& x) {
  const ExpParts<Number> e = exp_parts<T, -1>(clamp_magnitude<T>(x, sizeof(T) == 4 ? T(87) : T(708)));
  return reciprocal<T>(e.power * (e.p + T(1)) + T(1));
}

// m / (m + 2) with m = e^2x - 1. From |x| = 9.1 (float) or 19.1 (double) on, tanh rounds to +-1.
template <typename T, typename Number>
SEQLIGHT_INLINE Number tanh(const Number& x) {
  const ExpParts<Number> e = exp_parts<T, 2>(clamp_magnitude<T>(x, sizeof(T) == 4 ? T(9.1) : T(19.1)));
  const Number m = e.power * e.p + (e.power - T(1));
  return m * reciprocal<T>(m + T(2));
}

// 0 where x < 0; keeps a NaN.
template <typename T>
SEQLIGHT_INLINE Vector<T> rectified(const Vector<T>& x) {
  return x < T(0) ? Vector<T>{} : x;
}

SEQLIGHT_SIDE_BY_SIDE(rectified)

// The functions that a cell's equations (cells/*.h) ask for, on vectors of T.
template <typename T>
struct VectorMath {
  template <typename Number>
  static SEQLIGHT_INLINE Number sigmoid(const Number& x) {
    return SEQLIGHT_ISA::sigmoid<T>(x);
  }
  template <typename Number>
  static SEQLIGHT_INLINE Number tanh(const Number& x) {
    return SEQLIGHT_ISA::tanh<T>(x);
  }
};
