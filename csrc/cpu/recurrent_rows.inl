// Recurrent layers on the CPU for batches of few rows: one vector lane is one hidden unit, and a group is the rows
// whose sums fit in registers together. The cells are those of recurrent.inl and, with layer normalisation, the staged
// ones of recurrent_normalized.inl, without recurrent dropout.
//
// Weights are packed in blocks of as many units as a vector has lanes, zeros past the last unit; so are states in
// scratch memory. Weight and input gradients are left to the caller, from the gradients of the sums.

namespace seqlight::cpu {
namespace SEQLIGHT_ISA {

constexpr int kGroupRows = SEQLIGHT_VECTOR_REGISTERS == 32 ? 4 : 2;

inline int64_t padded(int64_t units, int64_t lanes) { return (units + lanes - 1) / lanes * lanes; }

template <typename Cell, typename T>
int64_t rows_forward_scratch(const RecurrentForwardArguments<T>& a) {
  const int64_t H = a.hidden_size, width = padded(H, kLanes<T>);
  if (!Cell::kStaged) return (3 + Cell::kLayout.sums) * kGroupRows * width;
  return (3 + staged_forward_vectors(Cell::kLayout, 1)) * kGroupRows * width + exchanged_numbers<T>(H);
}

template <typename T>
struct RowsForwardStep {
  const T *x[kGroupRows], *h_before[kGroupRows];
  T *h[kGroupRows], *c[kGroupRows];
  T *output[kGroupRows], *saved[kGroupRows];  // of the row and step, or null: nothing is to be written
};

// Applies the cell to the sums of row r and one block of units.
template <typename Cell, typename T>
SEQLIGHT_INLINE void rows_cell(const RecurrentForwardArguments<T>& a, const RowsForwardStep<T>& step, int r,
                               int64_t block, const Vector<T>* sums) {
  typedef Vector<T> V;
  constexpr CellLayout layout = Cell::kLayout;
  constexpr int saves = layout.saved;
  const int64_t H = a.hidden_size, first = block * kLanes<T>;
  const int64_t units = H - first < kLanes<T> ? H - first : kLanes<T>;
  const V h_before = load<T>(step.h_before[r] + first);
  if (!step.output[r]) {
    store<T>(step.h[r] + first, h_before);
    return;
  }
  V saved[saves], extra[layout.extras ? layout.extras : 1], state_before = h_before;
#pragma GCC unroll 4
  for (int e = 0; e < layout.extras; ++e) extra[e] = load_first<T>(a.extra + e * H + first, units);
  if constexpr (layout.cell_state) state_before = load<T>(step.c[r] + first);
  const V h = Cell::forward(extra, sums, h_before, state_before, saved);
  if constexpr (layout.cell_state) store<T>(step.c[r] + first, saved[saves - 1]);
  store<T>(step.h[r] + first, h);
  store_first<T>(step.output[r] + first, h, units);
  if (!step.saved[r]) return;
#pragma GCC unroll 8
  for (int s = 0; s < saves; ++s) store_first<T>(step.saved[r] + s * H + first, saved[s], units);
}

template <typename Cell, int kRows, typename T>
void rows_forward_block(const RecurrentForwardArguments<T>& a, const RowsForwardStep<T>& step, int64_t block) {
  typedef Vector<T> V;
  constexpr CellLayout layout = Cell::kLayout;
  constexpr int lanes = kLanes<T>, rows = layout.rows, count = layout.sums;
  // One chain of additions for each row and sum would wait for itself where they are few.
  constexpr int parts = kRows * rows >= 4 ? 1 : 4 / (kRows * rows);
  const int64_t I = a.input_size, H = a.hidden_size;
  V sums[parts][kRows][count] = {};
#pragma GCC unroll 4
  for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 4
    for (int s = 0; s < count; ++s) sums[0][r][s] = load<T>(a.bias + (block * count + s) * lanes);
  const T* weights = a.weights + block * (I + H) * rows * lanes;
  const auto add = [&](int p, const T* const(&operand)[kGroupRows], int64_t k, const int (&target)[4]) {
    V weight[rows];
#pragma GCC unroll 4
    for (int g = 0; g < rows; ++g) weight[g] = load<T>(weights + g * lanes);
    weights += rows * lanes;
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 4
      for (int g = 0; g < rows; ++g) sums[p][r][target[g]] += weight[g] * operand[r][k];
  };
  for (int64_t k = 0; k < I; ++k) add(0, step.x, k, layout.input_sum);
  int64_t k = 0;
  for (; k + parts <= H; k += parts)
#pragma GCC unroll 4
    for (int p = 0; p < parts; ++p) add(p, step.h_before, k + p, layout.hidden_sum);
  for (; k < H; ++k) add(0, step.h_before, k, layout.hidden_sum);
#pragma GCC unroll 4
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int p = 1; p < parts; ++p)
#pragma GCC unroll 4
      for (int s = 0; s < count; ++s) sums[0][r][s] += sums[p][r][s];
    rows_cell<Cell>(a, step, r, block, sums[0][r]);
  }
}

// The products of one block of units with input or state, without biases, to where the cell's stages read them: in
// [rows][width] for each row of the batch. `weights` [count, rows, lanes].
template <int kGates, int kRows, typename T>
void rows_products_block(const T* const (&operand)[kGroupRows], const T* weights, int64_t count,
                         T* const (&target)[kGroupRows], int64_t width) {
  typedef Vector<T> V;
  constexpr int lanes = kLanes<T>, parts = kRows * kGates >= 4 ? 1 : 4 / (kRows * kGates);
  V sums[parts][kRows][kGates] = {};
  const auto add = [&](int p, int64_t k) {
#pragma GCC unroll 4
    for (int g = 0; g < kGates; ++g) {
      const V weight = load<T>(weights + (k * kGates + g) * lanes);
#pragma GCC unroll 4
      for (int r = 0; r < kRows; ++r) sums[p][r][g] += weight * operand[r][k];
    }
  };
  int64_t k = 0;
  for (; k + parts <= count; k += parts)
#pragma GCC unroll 4
    for (int p = 0; p < parts; ++p) add(p, k + p);
  for (; k < count; ++k) add(0, k);
#pragma GCC unroll 4
  for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 4
    for (int g = 0; g < kGates; ++g) {
#pragma GCC unroll 4
      for (int p = 1; p < parts; ++p) sums[0][r][g] += sums[p][r][g];
      store<T>(target[r] + g * width, sums[0][r][g]);
    }
}

// Adds the products of `count` rows of a matrix [count, depth] with each of the vectors v[r] to target[r].
template <int kRows, typename T>
void add_dots(const T* matrix, int64_t count, int64_t depth, const T* const (&v)[kGroupRows],
              T* const (&target)[kGroupRows]) {
  typedef Vector<T> V;
  constexpr int64_t lanes = kLanes<T>;
  constexpr int kDots = 4;
  for (int64_t first = 0; first < count; first += kDots) {
    const int64_t dots = count - first < kDots ? count - first : kDots;
    V sums[kRows][kDots] = {};
    for (int64_t k = 0; k < depth; k += lanes) {
      const int64_t width = depth - k < lanes ? depth - k : lanes;
      V operand[kRows];
#pragma GCC unroll 4
      for (int r = 0; r < kRows; ++r) operand[r] = load_first<T>(v[r] + k, width);
#pragma GCC unroll 4
      for (int d = 0; d < kDots; ++d) {
        // Past the last row, the last one once more.
        const V weight = load_first<T>(matrix + (first + (d < dots ? d : dots - 1)) * depth + k, width);
#pragma GCC unroll 4
        for (int r = 0; r < kRows; ++r) sums[r][d] += weight * operand[r];
      }
    }
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r) {
      if constexpr (lanes >= kDots) {
        sum_lanes<kDots, T>(sums[r]);
        for (int64_t d = 0; d < dots; ++d) target[r][first + d] += sums[r][0][d];
      } else {
        for (int64_t d = 0; d < dots; ++d) target[r][first + d] += sum_lanes_of<T>(sums[r][d]);
      }
    }
  }
}

// One time step with the weights as they are: packing them would take longer than the product.
template <typename Cell, int kRows, typename T>
void rows_forward_unpacked(const RecurrentForwardArguments<T>& a, const RowsForwardStep<T>& step, T* sums) {
  constexpr CellLayout layout = Cell::kLayout;
  constexpr int64_t lanes = kLanes<T>, count = layout.sums;
  const int64_t I = a.input_size, H = a.hidden_size, width = padded(H, lanes);
  __builtin_memset(sums, 0, kRows * count * width * sizeof(T));
  for (int g = 0; g < layout.rows; ++g) {
    T *of_input[kGroupRows], *of_hidden[kGroupRows];
    for (int r = 0; r < kRows; ++r) {
      of_input[r] = sums + (r * count + layout.input_sum[g]) * width;
      of_hidden[r] = sums + (r * count + layout.hidden_sum[g]) * width;
      for (int64_t u = 0; u < H; ++u) {
        if (a.bias_ih) of_input[r][u] += a.bias_ih[g * H + u];
        if (a.bias_hh) of_hidden[r][u] += a.bias_hh[g * H + u];
      }
    }
    add_dots<kRows>(a.weight_ih + g * H * I, H, I, step.x, of_input);
    add_dots<kRows>(a.weight_hh + g * H * H, H, H, step.h_before, of_hidden);
  }
  for (int64_t block = 0; block < width / lanes; ++block)
    for (int r = 0; r < kRows; ++r) {
      Vector<T> of_block[count];
      for (int s = 0; s < count; ++s) of_block[s] = load<T>(sums + (r * count + s) * width + block * lanes);
      rows_cell<Cell>(a, step, r, block, of_block);
    }
}

// The same for a staged cell: the products alone.
template <typename Cell, int kRows, typename T>
void rows_products_unpacked(const RecurrentForwardArguments<T>& a, const RowsForwardStep<T>& step,
                            const StagedForward<T>* staged) {
  constexpr int rows = Cell::kLayout.rows;
  const int64_t I = a.input_size, H = a.hidden_size, width = padded(H, kLanes<T>);
  for (int r = 0; r < kRows; ++r) __builtin_memset(staged[r].input_sums, 0, 2 * rows * width * sizeof(T));
  for (int g = 0; g < rows; ++g) {
    T *of_input[kGroupRows], *of_hidden[kGroupRows];
    for (int r = 0; r < kRows; ++r) {
      of_input[r] = staged[r].input_sums + g * width;
      of_hidden[r] = staged[r].hidden_sums + g * width;
    }
    add_dots<kRows>(a.weight_ih + g * H * I, H, I, step.x, of_input);
    add_dots<kRows>(a.weight_hh + g * H * H, H, H, step.h_before, of_hidden);
  }
}

// One time step of a staged cell, row by row once the products are there.
template <typename Cell, int kRows, typename T>
void rows_forward_staged(const RecurrentForwardArguments<T>& a, const RowsForwardStep<T>& step, int64_t time,
                         int64_t first_row, const RecurrentSlice& slice, const StagedForward<T>* staged, T* exchanged) {
  constexpr int64_t lanes = kLanes<T>, gates = Cell::kLayout.rows;
  const int64_t I = a.input_size, H = a.hidden_size;
  const BlockPlaces<T> places(slice, H, exchanged);
  if (a.weights)
    for (int64_t block = places.first; block < places.last; ++block) {
      T *of_input[kGroupRows] = {}, *of_hidden[kGroupRows] = {};
      for (int r = 0; r < kRows; ++r) {
        of_input[r] = staged[r].input_sums + block * lanes;
        of_hidden[r] = staged[r].hidden_sums + block * lanes;
      }
      const T* const weights = a.weights + block * (I + H) * gates * lanes;
      rows_products_block<gates, kRows>(step.x, weights, I, of_input, places.all * lanes);
      rows_products_block<gates, kRows>(step.h_before, weights + I * gates * lanes, H, of_hidden, places.all * lanes);
    }
  else
    rows_products_unpacked<Cell, kRows>(a, step, staged);
  for (int r = 0; r < kRows; ++r) {
    if (!step.output[r]) {
      const int64_t first = places.first * kLanes<T>, count = (places.last - places.first) * kLanes<T>;
      __builtin_memcpy(step.h[r] + first, step.h_before[r] + first, count * sizeof(T));
      continue;
    }
    ForwardStep<T> of_row = {};
    of_row.h = step.h[r];
    of_row.output = step.output[r];
    of_row.c = step.c[r];
    of_row.saved = step.saved[r];
    of_row.time = time;
    of_row.first_row = first_row + r;
    StagedForward<T> row_staged = staged[r];
    row_staged.h = const_cast<T*>(step.h_before[r]);
    Cell::forward_step(a, of_row, row_staged, places);
    if (places.team && r + 1 < kRows) places.wait();  // the next row's sums are exchanged in the same memory
  }
}

// Copies one row of H numbers between a tensor and padded scratch memory, zeros past its end.
template <typename T>
void copy_padded(const T* source, int64_t count, T* target) {
  const int64_t whole = padded(count, kLanes<T>);
  __builtin_memcpy(target, source, count * sizeof(T));
  __builtin_memset(target + count, 0, (whole - count) * sizeof(T));
}

template <typename Cell, int kRows, typename T>
void rows_forward_group(const RecurrentForwardArguments<T>& a, int64_t first_row, const RecurrentSlice& slice,
                        T* scratch) {
  constexpr CellLayout layout = Cell::kLayout;
  const int64_t H = a.hidden_size, width = padded(H, kLanes<T>), blocks = width / kLanes<T>;
  const int64_t first_block = blocks * slice.share_begin / slice.shares;
  const int64_t last_block = blocks * slice.share_end / slice.shares;
  const int64_t arriving = slice.share_end - slice.share_begin;
  const bool leader = slice.share_begin == 0;
  T* const states[2] = {scratch, scratch + kGroupRows * width};
  T* const c = scratch + 2 * kGroupRows * width;
  T* const behind = c + kGroupRows * width;
  const int64_t staged_size = staged_forward_vectors(layout, 1) * width;
  StagedForward<T> staged[kRows];
  if (Cell::kStaged)
    for (int r = 0; r < kRows; ++r) staged[r] = StagedForward<T>(layout, width / kLanes<T>, behind + r * staged_size);
  int64_t length[kRows], longest = 0;
  for (int r = 0; r < kRows; ++r) {
    length[r] = a.lengths ? a.lengths[first_row + r] : a.time;
    longest = length[r] > longest ? length[r] : longest;
    if (!leader) continue;
    copy_padded(a.h0 + (first_row + r) * H, H, states[0] + r * width);
    if constexpr (layout.cell_state) copy_padded(a.c0 + (first_row + r) * H, H, c + r * width);
  }
  if (slice.team) slice.team->wait(arriving);
  for (int64_t index = 0; index < longest; ++index) {
    const int64_t t = a.reverse ? longest - 1 - index : index;
    RowsForwardStep<T> step;
    for (int r = 0; r < kRows; ++r) {
      const int64_t row = first_row + r;
      step.x[r] = a.x + row * a.x_batch_stride + t * a.x_time_stride;
      step.h_before[r] = states[index % 2] + r * width;
      step.h[r] = states[(index + 1) % 2] + r * width;
      step.c[r] = c + r * width;
      step.output[r] = t < length[r] ? a.output + (row * a.time + t) * H : nullptr;
      step.saved[r] = a.saved ? a.saved + (t * a.batch + row) * layout.kept(H) : nullptr;
    }
    if constexpr (Cell::kStaged)
      rows_forward_staged<Cell, kRows>(a, step, t, first_row, slice, staged, behind + kGroupRows * staged_size);
    else if (a.weights)
      for (int64_t block = first_block; block < last_block; ++block) rows_forward_block<Cell, kRows>(a, step, block);
    else
      rows_forward_unpacked<Cell, kRows>(a, step, behind);
    if (slice.team) slice.team->wait(arriving);
  }
  if (!leader) return;
  for (int r = 0; r < kRows; ++r) {
    const int64_t row = first_row + r, rest = a.time - length[r];
    __builtin_memcpy(a.h_n + row * H, states[longest % 2] + r * width, H * sizeof(T));
    if constexpr (layout.cell_state) __builtin_memcpy(a.c_n + row * H, c + r * width, H * sizeof(T));
    __builtin_memset(a.output + (row * a.time + length[r]) * H, 0, rest * H * sizeof(T));
    if (a.saved && rest)
      for (int64_t t = length[r]; t < a.time; ++t)
        __builtin_memset(a.saved + (t * a.batch + row) * layout.kept(H), 0, layout.kept(H) * sizeof(T));
  }
}

// Calls group.template operator()<rows>(first_row) for the rows [first, last) of a batch, as many at once as fit.
template <int kMost, typename Group>
void for_row_groups(int64_t first, int64_t last, const Group& group) {
  for (; first + kMost <= last; first += kMost) group(std::integral_constant<int, kMost>(), first);
  if constexpr (kMost > 1) for_row_groups<kMost - 1>(first, last, group);
}

template <typename Cell, typename T>
void rows_forward(const RecurrentForwardArguments<T>& a, const RecurrentSlice& slice, T* scratch) {
  const int64_t end = slice.last_group * kGroupRows, last = end < a.batch ? end : a.batch;
  for_row_groups<kGroupRows>(slice.first_group * kGroupRows, last, [&](auto rows, int64_t first_row) {
    rows_forward_group<Cell, decltype(rows)::value>(a, first_row, slice, scratch);
    if (slice.team) slice.team->wait(slice.share_end - slice.share_begin);
  });
}

template <typename Cell, typename T>
int64_t rows_backward_scratch(const RecurrentBackwardArguments<T>& a) {
  const int64_t H = a.forward.hidden_size, width = padded(H, kLanes<T>);
  const int64_t staged = Cell::kStaged ? exchanged_numbers<T>(H) : 0;
  return (3 * kGroupRows + Cell::kLayout.biases + Cell::kLayout.extras) * width + staged;
}

// target[r] = the sum over j of grad_sums[r][j] times row j of the packed weights, for kBlocks vectors of columns, plus
// what is in `held`.
template <int kRows, int kBlocks, typename T>
void rows_product(const T* const (&grad_sums)[kGroupRows], int64_t count, const T* weights, int64_t block_size,
                  const T* held, T* target, int64_t width) {
  typedef Vector<T> V;
  constexpr int lanes = kLanes<T>, parts = kRows * kBlocks >= 4 ? 1 : 4 / (kRows * kBlocks);
  V totals[parts][kRows][kBlocks] = {};
  int64_t j = 0;
  const auto add = [&](int p, int64_t j) {
    V weight[kBlocks];
#pragma GCC unroll 4
    for (int b = 0; b < kBlocks; ++b) weight[b] = load<T>(weights + b * block_size + j * lanes);
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 4
      for (int b = 0; b < kBlocks; ++b) totals[p][r][b] += weight[b] * grad_sums[r][j];
  };
  for (; j + parts <= count; j += parts)
#pragma GCC unroll 4
    for (int p = 0; p < parts; ++p) add(p, j + p);
  for (; j < count; ++j) add(0, j);
#pragma GCC unroll 4
  for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 4
    for (int b = 0; b < kBlocks; ++b) {
      V total = totals[0][r][b];
#pragma GCC unroll 4
      for (int p = 1; p < parts; ++p) total += totals[p][r][b];
      store<T>(target + r * width + b * lanes, total + load<T>(held + r * width + b * lanes));
    }
}

// Adds to target [count, columns] the sum over steps s of gradients(s)[j] times values(s)[q], for the rows from `first`
// on: kAtOnce of them at a time, then fewer.
template <int kAtOnce, typename T, typename Gradients, typename Values>
void add_outer_products(int64_t steps, int64_t first, int64_t count, int64_t columns, const Gradients& gradients,
                        const Values& values, T* target) {
  typedef Vector<T> V;
  constexpr int64_t lanes = kLanes<T>;
  for (; first + kAtOnce <= count; first += kAtOnce)
    for (int64_t q = 0; q < columns; q += lanes) {
      const int64_t width = columns - q < lanes ? columns - q : lanes;
      V sums[kAtOnce] = {};
      for (int64_t s = 0; s < steps; ++s) {
        const T* const gradient = gradients(s) + first;
        const V value = load_first<T>(values(s) + q, width);
#pragma GCC unroll 8
        for (int i = 0; i < kAtOnce; ++i) sums[i] += value * gradient[i];
      }
#pragma GCC unroll 8
      for (int i = 0; i < kAtOnce; ++i) {
        T* const at = target + (first + i) * columns + q;
        store_first<T>(at, load_first<T>(at, width) + sums[i], width);
      }
    }
  if constexpr (kAtOnce > 1)
    add_outer_products<kAtOnce / 2, T>(steps, first, count, columns, gradients, values, target);
}

// The gradients for the weights, and for x, of one row: few numbers, that are still in cache. A library product would
// take longer to call.
template <typename Cell, typename T>
void rows_input_gradients(const RecurrentBackwardArguments<T>& a, int64_t row, int64_t worker) {
  typedef Vector<T> V;
  constexpr CellLayout layout = Cell::kLayout;
  constexpr int64_t lanes = kLanes<T>;
  const RecurrentForwardArguments<T>& f = a.forward;
  const int64_t I = f.input_size, H = f.hidden_size, size = layout.gradients * H;
  const int64_t length = f.lengths ? f.lengths[row] : f.time;
  const T* const sums = a.grad_sums + row * f.time * size;
  const T* const x = f.x + row * f.x_batch_stride;
  const auto state_before = [&](int64_t t) {
    const int64_t before = f.reverse ? t + 1 : t - 1;
    return before < 0 || before >= length ? f.h0 + row * H : f.output + (row * f.time + before) * H;
  };
  for (int g = 0; g < layout.rows; ++g) {
    const T* const of_input = sums + layout.input_gradient[g] * H;
    const T* const of_hidden = sums + layout.hidden_gradient[g] * H;
    if (a.grad_hidden_weights) {
      add_outer_products<8, T>(
          length, 0, H, I, [&](int64_t t) { return of_input + t * size; },
          [&](int64_t t) { return x + t * f.x_time_stride; },
          a.grad_input_weights + (worker * layout.rows + g) * H * I);
      add_outer_products<8, T>(
          length, 0, H, H, [&](int64_t t) { return of_hidden + t * size; }, state_before,
          a.grad_hidden_weights + (worker * layout.rows + g) * H * H);
    }
    if (!a.grad_x) continue;
    for (int64_t t = 0; t < f.time; ++t) {
      T* const target = a.grad_x + (row * f.time + t) * I;
      for (int64_t q = 0; q < I; q += lanes) {
        const int64_t width = I - q < lanes ? I - q : lanes;
        V parts[4] = {};
        const T* const weights = f.weight_ih + g * H * I + q;
        int64_t u = 0;
        for (; u + 4 <= H; u += 4)
#pragma GCC unroll 4
          for (int p = 0; p < 4; ++p)
            parts[p] += load_first<T>(weights + (u + p) * I, width) * of_input[t * size + u + p];
        for (; u < H; ++u) parts[0] += load_first<T>(weights + u * I, width) * of_input[t * size + u];
        V total = (parts[0] + parts[1]) + (parts[2] + parts[3]);
        if (g > 0) total += load_first<T>(target + q, width);
        store_first<T>(target + q, total, width);
      }
    }
  }
}

// Where one row and time step is in the tensors.
template <typename T>
struct RowsBackwardStep {
  T* grad_sums;             // [gradients, H]
  const T *saved, *before;  // what was kept, and the state before
  const T* grad_output;     // [H], or null
};

// Applies the cell's derivative to one row and the blocks [first_block, last_block).
template <typename Cell, typename T>
void rows_cell_backward(const RecurrentForwardArguments<T>& f, const RowsBackwardStep<T>& step, int64_t first_block,
                        int64_t last_block, const T* grad_h, T* grad_c, T* held, T* grad_bias, T* grad_extra) {
  typedef Vector<T> V;
  constexpr CellLayout layout = Cell::kLayout;
  constexpr int64_t lanes = kLanes<T>;
  const int64_t H = f.hidden_size, width = padded(H, lanes);
  for (int64_t first = first_block * lanes; first < last_block * lanes; first += lanes) {
    const int64_t units = H - first < lanes ? H - first : lanes;
    V saved[layout.saved], extra[layout.extras ? layout.extras : 1], gradients[layout.gradients],
        extras[layout.extras ? layout.extras : 1];
#pragma GCC unroll 8
    for (int s = 0; s < layout.saved; ++s) saved[s] = load_first<T>(step.saved + s * H + first, units);
#pragma GCC unroll 4
    for (int e = 0; e < layout.extras; ++e) extra[e] = load_first<T>(f.extra + e * H + first, units);
    V grad = load<T>(grad_h + first), grad_c_here{};
    if (step.grad_output) grad += load_first<T>(step.grad_output + first, units);
    if constexpr (layout.cell_state) grad_c_here = load<T>(grad_c + first);
    const V direct =
        Cell::backward(extra, saved, load_first<T>(step.before + first, units), grad, grad_c_here, gradients, extras);
    if constexpr (layout.cell_state) store<T>(grad_c + first, grad_c_here);
    store<T>(held + first, direct);
#pragma GCC unroll 4
    for (int g = 0; g < layout.gradients; ++g) {
      store_first<T>(step.grad_sums + g * H + first, gradients[g], units);
      add_to<T>(grad_bias + g * width + first, gradients[g]);
    }
#pragma GCC unroll 4
    for (int e = 0; e < layout.extras; ++e) add_to<T>(grad_extra + e * width + first, extras[e]);
  }
}

template <typename Cell, int kRows, typename T>
void rows_backward_group(const RecurrentBackwardArguments<T>& a, int64_t first_row, const RecurrentSlice& slice,
                         T* scratch) {
  constexpr CellLayout layout = Cell::kLayout;
  constexpr int64_t lanes = kLanes<T>;
  constexpr int kBlocks = kRows >= 3 ? 2 : 4;
  const RecurrentForwardArguments<T>& f = a.forward;
  const int64_t H = f.hidden_size, width = padded(H, lanes), blocks = width / lanes, size = layout.gradients * H;
  const int64_t first_block = blocks * slice.share_begin / slice.shares;
  const int64_t last_block = blocks * slice.share_end / slice.shares;
  const int64_t arriving = slice.share_end - slice.share_begin;
  const bool leader = slice.share_begin == 0;
  T* const grad_h = scratch;
  T* const grad_c = grad_h + kGroupRows * width;
  T* const held = grad_c + kGroupRows * width;
  T* const grad_bias = held + kGroupRows * width;
  T* const grad_extra = grad_bias + layout.biases * width;
  T* const exchanged = grad_extra + layout.extras * width;
  int64_t length[kRows], longest = 0;
  for (int r = 0; r < kRows; ++r) {
    const int64_t row = first_row + r;
    length[r] = f.lengths ? f.lengths[row] : f.time;
    longest = length[r] > longest ? length[r] : longest;
    if (!leader) continue;
    __builtin_memset(grad_h + r * width, 0, width * sizeof(T));
    __builtin_memset(grad_c + r * width, 0, width * sizeof(T));
    if (a.grad_h_n) __builtin_memcpy(grad_h + r * width, a.grad_h_n + row * H, H * sizeof(T));
    if (a.grad_c_n) __builtin_memcpy(grad_c + r * width, a.grad_c_n + row * H, H * sizeof(T));
    __builtin_memset(a.grad_sums + (row * f.time + length[r]) * size, 0, (f.time - length[r]) * size * sizeof(T));
  }
  if (leader) __builtin_memset(grad_bias, 0, (layout.biases + layout.extras) * width * sizeof(T));
  if (slice.team) slice.team->wait(arriving);

  for (int64_t index = longest - 1; index >= 0; --index) {
    const int64_t t = f.reverse ? longest - 1 - index : index;
    const T* sums[kGroupRows] = {};
    for (int r = 0; r < kRows; ++r) {
      const int64_t row = first_row + r;
      T* const grad_sums = a.grad_sums + (row * f.time + t) * size;
      sums[r] = grad_sums + layout.hidden_first * H;
      const int64_t before_step = f.reverse ? t + 1 : t - 1;
      const bool starts = f.reverse ? before_step >= length[r] : before_step < 0;
      RowsBackwardStep<T> step;
      step.grad_sums = grad_sums;
      step.saved = f.saved + (t * f.batch + row) * layout.kept(H);
      step.before = starts ? (layout.cell_state ? f.c0 : f.h0) + row * H
                           : f.saved + (before_step * f.batch + row) * layout.kept(H) + (layout.saved - 1) * H;
      step.grad_output =
          a.grad_output ? a.grad_output + row * a.grad_output_batch_stride + t * a.grad_output_time_stride : nullptr;
      if (t >= length[r]) {
        const int64_t first = first_block * lanes, count = (last_block - first_block) * lanes;
        __builtin_memcpy(held + r * width + first, grad_h + r * width + first, count * sizeof(T));
      } else if constexpr (Cell::kStaged) {
        BackwardStep<T> of_row = {};
        of_row.grad_sums = step.grad_sums;
        of_row.saved = step.saved;
        of_row.before = step.before;
        of_row.grad_output = step.grad_output;
        of_row.grad_h = grad_h + r * width;
        of_row.grad_c = grad_c + r * width;
        of_row.held = held + r * width;
        of_row.grad_bias = grad_bias;
        of_row.grad_extra = grad_extra;
        of_row.time = t;
        of_row.first_row = row;
        const BlockPlaces<T> places(slice, H, exchanged);
        Cell::backward_step(a, of_row, places);
        if (places.team && r + 1 < kRows) places.wait();  // the next row's sums are exchanged in the same memory
      } else {
        rows_cell_backward<Cell>(f, step, first_block, last_block, grad_h + r * width, grad_c + r * width,
                                 held + r * width, grad_bias, grad_extra);
      }
    }
    if (slice.team) slice.team->wait(arriving);
    // Rows that have ended take part with the zeros that stand in their gradients.
    const int64_t count = layout.rows * H, block_size = count * lanes;
    int64_t block = first_block;
    const auto run = [&](auto at_once) {
      constexpr int n = decltype(at_once)::value;
      for (; block + n <= last_block; block += n)
        rows_product<kRows, n>(sums, count, a.hidden_weights + block * block_size, block_size, held + block * lanes,
                               grad_h + block * lanes, width);
    };
    run(std::integral_constant<int, kBlocks>());
    run(std::integral_constant<int, 1>());
    if (slice.team) slice.team->wait(arriving);
  }

  if (!leader) return;
  for (int r = 0; r < kRows; ++r) {
    const int64_t row = first_row + r;
    __builtin_memcpy(a.grad_h0 + row * H, grad_h + r * width, H * sizeof(T));
    if constexpr (layout.cell_state) __builtin_memcpy(a.grad_c0 + row * H, grad_c + r * width, H * sizeof(T));
  }
  const auto add_rows = [&](const T* source, int64_t count, T* target) {
    for (int64_t g = 0; g < count; ++g)
      for (int64_t u = 0; u < H; ++u) target[g * H + u] += source[g * width + u];
  };
  if (a.grad_x || a.grad_hidden_weights)
    for (int r = 0; r < kRows; ++r) rows_input_gradients<Cell>(a, first_row + r, slice.worker);
  if (a.grad_bias) add_rows(grad_bias, layout.biases, a.grad_bias + slice.worker * layout.biases * H);
  if (a.grad_extra) add_rows(grad_extra, layout.extras, a.grad_extra + slice.worker * layout.extras * H);
}

template <typename Cell, typename T>
void rows_backward(const RecurrentBackwardArguments<T>& a, const RecurrentSlice& slice, T* scratch) {
  const int64_t end = slice.last_group * kGroupRows, batch = a.forward.batch, last = end < batch ? end : batch;
  for_row_groups<kGroupRows>(slice.first_group * kGroupRows, last, [&](auto rows, int64_t first_row) {
    rows_backward_group<Cell, decltype(rows)::value>(a, first_row, slice, scratch);
    if (slice.team) slice.team->wait(slice.share_end - slice.share_begin);
  });
}

template <typename Cell, typename T>
constexpr RecurrentKernels<T> rows_kernels() {
  return {RecurrentForm::rows,
          Cell::kLayout,
          kGroupRows,
          kLanes<T>,
          0,
          0,
          0,
          rows_forward_scratch<Cell, T>,
          rows_backward_scratch<Cell, T>,
          rows_forward<Cell, T>,
          rows_backward<Cell, T>};
}

}  // namespace SEQLIGHT_ISA
}  // namespace seqlight::cpu
