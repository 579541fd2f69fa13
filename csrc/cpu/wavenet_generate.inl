// One time step's matrix products on the CPU for one instruction set; wavenet_generate_<isa>.cpp includes it with
// SEQLIGHT_ISA (a namespace), SEQLIGHT_VECTOR_BYTES and SEQLIGHT_VECTOR_REGISTERS set.
//
// For a single row nothing but reading the weights takes time: they exceed the L2 cache in any net worth the name, so
// they are laid out in the order in which they are read, for the processor's own prefetching, and enough sums are kept
// apart to hide the latency of a multiply-add. Several rows share one reading.
#include "../cells/gate.h"

namespace seqlight::cpu {
namespace SEQLIGHT_ISA {

// clang-format off: the order matters
#include "vector.inl"
#include "activations.inl"
// clang-format on

constexpr int kPanelVectors = 8;
#if SEQLIGHT_VECTOR_REGISTERS == 32
constexpr int kStepRows = 3;
#else
constexpr int kStepRows = 1;
#endif

template <typename T>
void pack_row(const T* source, int64_t stride, int64_t columns, bool gate, int64_t depth, int64_t d, T* target) {
  constexpr int64_t lanes = kLanes<T>;
  const int64_t parts = gate ? 2 : 1, per_panel = kPanelVectors / parts;
  const int64_t vectors = (columns + lanes - 1) / lanes;
  for (int64_t first = 0; first < vectors; first += per_panel) {
    const int64_t own = vectors - first < per_panel ? vectors - first : per_panel;
    T* const row = target + (first * depth + d * own) * parts * lanes;
    for (int64_t part = 0; part < parts; ++part)
      for (int64_t i = 0; i < own * lanes; ++i) {
        const int64_t column = first * lanes + i;
        row[part * own * lanes + i] = column < columns ? source[(part * columns + column) * stride] : T(0);
      }
  }
}

template <typename T>
void add_packed_row(const T* weights, int64_t vectors, int64_t depth, int64_t d, T* out) {
  constexpr int64_t lanes = kLanes<T>;
  for (int64_t first = 0; first < vectors; first += kPanelVectors) {
    const int64_t own = vectors - first < kPanelVectors ? vectors - first : kPanelVectors;
    const T* const row = weights + (first * depth + d * own) * lanes;
    for (int64_t v = 0; v < own; ++v)
      store<T>(out + (first + v) * lanes, load<T>(out + (first + v) * lanes) + load<T>(row + v * lanes));
  }
}

template <typename T, int kVectors, int kRows>
void step_tile(const StepProduct<T>& p, int64_t first_row, int64_t first_vector, const T* weights) {
  constexpr int64_t lanes = kLanes<T>;
  // Few sums would each wait for the one before it: then several inputs are summed apart.
  constexpr int kApart = kVectors * kRows >= 6 ? 1 : kVectors * kRows >= 3 ? 2 : 4;
  Vector<T> sums[kApart][kRows][kVectors];
  for (int a = 0; a < kApart; ++a)
    for (int r = 0; r < kRows; ++r) {
      const T* const bias = p.bias + (first_row + r) * p.bias_stride + first_vector * lanes;
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; ++v) sums[a][r][v] = a == 0 ? load<T>(bias + v * lanes) : Vector<T>{};
    }
  for (int64_t s = 0; s < p.segments; ++s) {
    const T* in[kRows];
    for (int r = 0; r < kRows; ++r) in[r] = p.inputs[s * p.rows + first_row + r];
    const int64_t depth = p.depths[s];
    int64_t d = 0;
    for (; d + kApart <= depth; d += kApart, weights += kApart * kVectors * lanes)
#pragma GCC unroll 4
      for (int a = 0; a < kApart; ++a)
#pragma GCC unroll 3
        for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 8
          for (int v = 0; v < kVectors; ++v)
            sums[a][r][v] += in[r][d + a] * load<T>(weights + (a * kVectors + v) * lanes);
    for (; d < depth; ++d, weights += kVectors * lanes)
#pragma GCC unroll 3
      for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 8
        for (int v = 0; v < kVectors; ++v) sums[0][r][v] += in[r][d] * load<T>(weights + v * lanes);
  }
  for (int a = 1; a < kApart; ++a)
    for (int r = 0; r < kRows; ++r)
      for (int v = 0; v < kVectors; ++v) sums[0][r][v] += sums[a][r][v];

  const bool gate = p.epilogue == StepEpilogue::gate;
  for (int r = 0; r < kRows; ++r) {
    T* const out = p.out + (first_row + r) * p.out_stride + (gate ? first_vector / 2 : first_vector) * lanes;
    if constexpr (kVectors % 2 == 0) {
      if (gate) {
        for (int v = 0; v < kVectors / 2; ++v) {
          GatePair<Vector<T>> pair = {sums[0][r][v], sums[0][r][kVectors / 2 + v]};
          store<T>(out + v * lanes, gate_unit<VectorMath<T>>(pair));
        }
        continue;
      }
    }
    for (int v = 0; v < kVectors; ++v) {
      Vector<T> sum = sums[0][r][v];
      if (p.epilogue == StepEpilogue::add) sum += load<T>(out + v * lanes);
      if (p.epilogue == StepEpilogue::relu) sum = sum < T(0) ? Vector<T>{} : sum;  // keeps NaN
      store<T>(out + v * lanes, sum);
    }
  }
}

template <typename T, int kVectors, int... R>
SEQLIGHT_INLINE void step_rows(const StepProduct<T>& p, int64_t first_vector, const T* weights, Indices<R...>) {
  typedef void (*Tile)(const StepProduct<T>&, int64_t, int64_t, const T*);
  static constexpr Tile tiles[] = {&step_tile<T, kVectors, R + 1>...};
  for (int64_t row = 0; row < p.rows;) {
    const int64_t rows = p.rows - row < kStepRows ? p.rows - row : kStepRows;
    tiles[rows - 1](p, row, first_vector, weights);
    row += rows;
  }
}

template <typename T, int kVectors>
void step_panel(const StepProduct<T>& p, int64_t first_vector, const T* weights) {
  step_rows<T, kVectors>(p, first_vector, weights, typename MakeIndices<kStepRows>::type());
}

template <typename T, int... V>
SEQLIGHT_INLINE void step_panels(const StepProduct<T>& p, Indices<V...>) {
  typedef void (*Panel)(const StepProduct<T>&, int64_t, const T*);
  static constexpr Panel panels[] = {&step_panel<T, V + 1>...};
  int64_t depth = 0;
  for (int64_t s = 0; s < p.segments; ++s) depth += p.depths[s];
  const T* weights = p.weights;
  for (int64_t first = 0; first < p.vectors; first += kPanelVectors) {
    const int64_t own = p.vectors - first < kPanelVectors ? p.vectors - first : kPanelVectors;
    panels[own - 1](p, first, weights);
    weights += own * depth * kLanes<T>;
  }
}

template <typename T>
void step_product(const StepProduct<T>& p) {
  step_panels<T>(p, typename MakeIndices<kPanelVectors>::type());
}

extern const StepKernels<float> step_float = {kLanes<float>, kStepRows, pack_row<float>, add_packed_row<float>,
                                              step_product<float>};
extern const StepKernels<double> step_double = {kLanes<double>, kStepRows, pack_row<double>, add_packed_row<double>,
                                                step_product<double>};

}  // namespace SEQLIGHT_ISA
}  // namespace seqlight::cpu

#include "end_of_isa.inl"
