// The host side of every recurrent operator on the CPU: packing, the split of the work over threads, what torch's own
// products do. The arithmetic is in recurrent.inl; lstm.cpp and its siblings add schema, checks and cell.
#pragma once

#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <type_traits>

#include "../recurrent_checks.h"
#include "allocate.h"
#include "buffer_pool.h"
#include "cache_size.h"
#include "floating_point_state.h"
#include "instruction_set.h"
#include "recurrent_kernels.h"
#include "scratch.h"

namespace seqlight::cpu {

using torch::stable::Tensor;
using MaybeTensor = std::optional<Tensor>;

// The kernels called `name` for numbers of type T, in the processor's instruction set.
#if defined(__x86_64__)
#define SEQLIGHT_RECURRENT_KERNELS(T, name)                                                      \
  choose_recurrent<T>({&base::name##_float, &avx2_256::name##_float, &avx512_512::name##_float}, \
                      {&base::name##_double, &avx2_256::name##_double, &avx512_512::name##_double})
#else
#define SEQLIGHT_RECURRENT_KERNELS(T, name) choose_recurrent<T>({&base::name##_float}, {&base::name##_double})
#endif

template <typename T>
struct RecurrentVariants {
  const RecurrentKernels<T>*base, *avx2 = nullptr, *avx512 = nullptr;
};

template <typename T>
const RecurrentKernels<T>& choose_recurrent(const RecurrentVariants<float>& of_float,
                                            const RecurrentVariants<double>& of_double) {
  const RecurrentVariants<T>* variants;
  if constexpr (std::is_same_v<T, float>)
    variants = &of_float;
  else
    variants = &of_double;
  const InstructionSet set = instruction_set();
  return set == InstructionSet::avx512 ? *variants->avx512
         : set == InstructionSet::avx2 ? *variants->avx2
                                       : *variants->base;
}

inline Tensor dense(const Tensor& tensor) {
  return tensor.is_contiguous() ? tensor : torch::stable::contiguous(tensor);
}

inline MaybeTensor dense(const MaybeTensor& tensor) {
  if (!tensor) return std::nullopt;
  return dense(*tensor);
}

inline void make_dense(Tensor& tensor) {
  if (!tensor.is_contiguous()) tensor = torch::stable::contiguous(tensor);
}

inline void make_dense(MaybeTensor& tensor) {
  if (tensor) make_dense(*tensor);
}

// The kernels read rows at any batch and time stride, as long as the features of one step lie side by side.
inline void make_feature_contiguous(Tensor& tensor) {
  const int64_t last = tensor.dim() - 1;
  if (tensor.stride(last) != 1 && tensor.size(last) > 1) tensor = torch::stable::contiguous(tensor);
}

// Uninitialised, in the form of the call's sequences or states; see recurrent_checks.h.
inline Tensor empty_sequence(const Tensor& x, const RecurrentSizes& s, int64_t width) {
  return is_single_step(x) ? empty(x, {s.batch, width}) : empty(x, {s.batch, s.time, width});
}

inline Tensor empty_state(const Tensor& state, const RecurrentSizes& s) {
  return state.dim() == 3 ? empty(state, {1, s.batch, s.hidden_size}) : empty(state, {s.batch, s.hidden_size});
}

// The numbers of a tensor that was checked to hold numbers of type T; const_data_ptr<T> would ask for its dtype again.
template <typename T>
const T* data(const Tensor& tensor) {
  return static_cast<const T*>(tensor.const_data_ptr());
}

template <typename T>
const T* data(const MaybeTensor& tensor) {
  return tensor ? data<T>(*tensor) : nullptr;
}

// a b into a new tensor. Autocast, which may be on while gradients are computed, leaves products with a given result
// alone; a plain product it would round to bfloat16.
inline Tensor matrix_product(const Tensor& a, const Tensor& b) {
  Tensor result = empty(a, {a.size(0), b.size(1)});
  std::array<StableIValue, 3> stack{torch::stable::detail::from(a), torch::stable::detail::from(b),
                                    torch::stable::detail::from(result)};
  TORCH_ERROR_CODE_CHECK(torch_call_dispatcher("aten::mm", "out", stack.data(), TORCH_ABI_VERSION));
  return torch::stable::detail::to<Tensor>(stack[0]);
}

// ------------------------------------------------------------------------------------------------- splitting the work

struct Split {
  int64_t workers;  // tasks given to torch's pool
  bool team;        // the workers share each group, rather than taking whole groups
};

// A step of a group must be worth a barrier, and a call worth waking a second thread. In multiply-adds; estimated from
// about 1 and 4 microseconds, not tuned.
inline constexpr double kTeamStepWork = 2e5, kParallelWork = 2.5e5;

template <typename T>
Split split_work(const RecurrentSizes& s, const RecurrentKernels<T>& kernel) {
  const int64_t threads = torch::stable::get_num_threads();
  const int64_t groups = tile_count(s.batch, kernel.group);
  const int64_t most_shares = tile_count(s.hidden_size, std::max(kernel.units_per_tile, kernel.lanes));
  const double step_work =
      static_cast<double>(kernel.layout.rows) * s.hidden_size * (s.input_size + s.hidden_size) * kernel.group;
  if (threads == 1 || step_work * groups * s.time < kParallelWork) return {1, false};
  const int64_t workers = groups < threads ? groups : threads;
  // Work done one group at a time, over work done if all threads were busy all the time.
  const double imbalance = static_cast<double>(tile_count(groups, workers) * threads) / groups;
  if (imbalance > 1.3 && step_work > kTeamStepWork) return {std::min(threads, most_shares), true};
  return {workers, false};
}

// Runs kernel(slice, scratch) for every part of the work and returns how many threads took part.
template <typename T, typename Kernel>
int64_t run(const Split& split, int64_t groups, int64_t scratch, const Kernel& kernel) {
  std::atomic<int64_t> threads{0};
  Team team(split.workers);
  T* const shared = split.team ? thread_scratch<ScratchUse::kernel, T>(scratch) : nullptr;
  const auto body = [&](int64_t begin, int64_t end) {
    const FlushDenormals flush;
    threads.fetch_add(1, std::memory_order_relaxed);
    if (split.team) {
      kernel(RecurrentSlice{0, groups, 0, &team, begin, end, split.workers}, shared);
      return;
    }
    T* const own = thread_scratch<ScratchUse::kernel, T>(scratch);
    for (int64_t worker = begin; worker < end; ++worker)
      kernel(RecurrentSlice{groups * worker / split.workers, groups * (worker + 1) / split.workers, worker, nullptr, 0,
                            1, 1},
             own);
  };
  if (split.workers == 1)
    body(0, 1);
  else
    torch::stable::parallel_for(0, split.workers, 1, body);
  return threads.load();
}

// ------------------------------------------------------------------------------------------------------------ packing

inline constexpr int64_t kParallelPacking = 1 << 16;  // numbers; below, packing takes less time than waking a thread

template <typename Body>
void for_tiles(int64_t tiles, int64_t numbers, const Body& body) {
  if (numbers < kParallelPacking)
    body(0, tiles);
  else
    torch::stable::parallel_for(0, tiles, 1, body);
}

// Numbers in the packed weights of a forward kernel, and in all that it wants packed: weights, then biases.
template <typename T>
int64_t packed_weights(const RecurrentKernels<T>& kernel, const RecurrentSizes& s) {
  const int64_t units =
      kernel.form == RecurrentForm::rows ? tile_count(s.hidden_size, kernel.lanes) * kernel.lanes : s.hidden_size;
  return kernel.layout.rows * units * (s.input_size + s.hidden_size);
}

template <typename T>
int64_t packed_biases(const RecurrentKernels<T>& kernel, int64_t hidden_size) {
  return kernel.layout.sums * tile_count(hidden_size, kernel.lanes) * kernel.lanes;
}

template <typename T>
int64_t packed_size(const RecurrentKernels<T>& kernel, const RecurrentSizes& s) {
  return packed_weights(kernel, s) + packed_biases(kernel, s.hidden_size);
}

// One weight matrix [columns, count], transposed tile by tile of its rows; see RecurrentForm::staged.
template <typename T>
void pack_transposed(int64_t columns, int64_t count, int64_t columns_per_tile, const T* weight, T* packed) {
  const int64_t tiles = tile_count(columns, columns_per_tile);
  for_tiles(tiles, columns * count, [&](int64_t first, int64_t last) {
    for (int64_t tile = first; tile < last; ++tile) {
      const int64_t begin = tile_begin(tile, tiles, columns), width = tile_begin(tile + 1, tiles, columns) - begin;
      for (int64_t q = 0; q < width; ++q) {
        const T* row = weight + (begin + q) * count;
        T* to = packed + begin * count + q;
        for (int64_t k = 0; k < count; ++k, to += width) *to = row[k];
      }
    }
  });
}

// Units [begin, begin + units) of both weight matrices as [I + H, units, rows] (lanes) or, with `width` units of which
// those past `units` are zero, as [I + H, rows, width] (rows).
template <typename T>
void pack_units(const RecurrentSizes& s, int64_t rows, const T* weight_ih, const T* weight_hh, int64_t begin,
                int64_t units, int64_t width, bool unit_first, T* target) {
  const int64_t I = s.input_size, H = s.hidden_size;
  if (units < width) std::memset(target, 0, (I + H) * rows * width * sizeof(T));
  for (int64_t u = 0; u < units; ++u)
    for (int64_t r = 0; r < rows; ++r) {
      T* to = target + (unit_first ? rows * u + r : width * r + u);
      const T* row = weight_ih + (r * H + begin + u) * I;
      for (int64_t k = 0; k < I; ++k, to += rows * width) *to = row[k];
      row = weight_hh + (r * H + begin + u) * H;
      for (int64_t k = 0; k < H; ++k, to += rows * width) *to = row[k];
    }
}

// The sums of both biases as the kernels want them, packed_biases numbers.
template <typename T>
void pack_biases(const RecurrentKernels<T>& kernel, int64_t hidden_size, const T* bias_ih, const T* bias_hh,
                 T* packed) {
  const CellLayout& layout = kernel.layout;
  const int64_t H = hidden_size, width = kernel.form == RecurrentForm::rows ? kernel.lanes : 1;  // units side by side
  std::memset(packed, 0, packed_biases(kernel, H) * sizeof(T));
  for (int64_t u = 0; u < H; ++u)
    for (int64_t r = 0; r < layout.rows; ++r) {
      T* const of_unit = packed + u / width * width * layout.sums + u % width;
      if (bias_ih) of_unit[width * layout.input_sum[r]] += bias_ih[r * H + u];
      if (bias_hh) of_unit[width * layout.hidden_sum[r]] += bias_hh[r * H + u];
    }
}

// Packs weights and biases as the forward kernel wants them (RecurrentForm), packed_size numbers.
template <typename T>
void pack_forward(const RecurrentKernels<T>& kernel, const RecurrentSizes& s, const T* weight_ih, const T* weight_hh,
                  const T* bias_ih, const T* bias_hh, T* packed) {
  const int64_t I = s.input_size, H = s.hidden_size, rows = kernel.layout.rows, numbers = rows * H * (I + H);
  const bool in_blocks = kernel.form == RecurrentForm::rows;
  if (kernel.form == RecurrentForm::staged) {
    for (int64_t r = 0; r < rows; ++r)
      pack_transposed<T>(H, I, kernel.units_per_tile, weight_ih + r * H * I, packed + r * H * I);
    for (int64_t r = 0; r < rows; ++r)
      pack_transposed<T>(H, H, kernel.units_per_tile, weight_hh + r * H * H, packed + rows * H * I + r * H * H);
  } else {
    const int64_t tiles = tile_count(H, in_blocks ? kernel.lanes : kernel.units_per_tile);
    for_tiles(tiles, numbers, [&](int64_t first, int64_t last) {
      for (int64_t tile = first; tile < last; ++tile) {
        const int64_t begin = in_blocks ? tile * kernel.lanes : tile_begin(tile, tiles, H);
        const int64_t end = in_blocks ? std::min(begin + kernel.lanes, H) : tile_begin(tile + 1, tiles, H);
        pack_units<T>(s, rows, weight_ih, weight_hh, begin, end - begin, in_blocks ? kernel.lanes : end - begin,
                      !in_blocks, packed + rows * begin * (I + H));
      }
    });
  }
  pack_biases<T>(kernel, H, bias_ih, bias_hh, packed + packed_weights(kernel, s));
}

// Packs one weight matrix [rows * H, columns] for the product with the gradients of the sums, whose blocks, from
// block `first` on, are in the order that `gradient` gives.
template <typename T>
void pack_backward(int64_t hidden_size, int64_t rows, const int* gradient, int first, int64_t columns,
                   int64_t columns_per_tile, const T* weight, T* packed) {
  const int64_t H = hidden_size, tiles = tile_count(columns, columns_per_tile);
  for_tiles(tiles, rows * H * columns, [&](int64_t first_tile, int64_t last_tile) {
    for (int64_t tile = first_tile; tile < last_tile; ++tile) {
      const int64_t begin = tile_begin(tile, tiles, columns), width = tile_begin(tile + 1, tiles, columns) - begin;
      for (int64_t r = 0; r < rows; ++r) {
        T* target = packed + begin * rows * H + (gradient[r] - first) * H * width;
        const T* source = weight + r * H * columns + begin;
        for (int64_t u = 0; u < H; ++u, target += width, source += columns)
          for (int64_t q = 0; q < width; ++q) target[q] = source[q];
      }
    }
  });
}

// The same for weight_hh and tiles of a vector each, with zeros past the last column.
template <typename T>
void pack_backward_blocks(int64_t hidden_size, int64_t rows, const int* gradient, int first, int64_t lanes,
                          const T* weight, T* packed) {
  const int64_t H = hidden_size, blocks = tile_count(H, lanes);
  for_tiles(blocks, rows * H * H, [&](int64_t first_block, int64_t last_block) {
    for (int64_t block = first_block; block < last_block; ++block) {
      const int64_t begin = block * lanes, width = std::min(lanes, H - begin);
      T* const target = packed + block * rows * H * lanes;
      if (width < lanes) std::memset(target, 0, rows * H * lanes * sizeof(T));
      for (int64_t r = 0; r < rows; ++r)
        for (int64_t u = 0; u < H; ++u)
          std::memcpy(target + ((gradient[r] - first) * H + u) * lanes, weight + (r * H + u) * H + begin,
                      width * sizeof(T));
    }
  });
}

// Sums the workers' gradients of one weight matrix and undoes the kernel's order.
template <typename T>
void unpack_weight_gradient(const RecurrentKernels<T>& kernel, int64_t hidden_size, const int* gradient, int first,
                            int64_t columns, int64_t workers, const T* packed, T* target) {
  const int64_t H = hidden_size, rows = kernel.layout.rows, fours = tile_count(rows * H, 4);
  const WeightGradientForm form(columns, kernel.lanes);
  const int64_t numbers = form.numbers(rows * H), most = form.wide ? columns : kernel.depth_per_tile;
  const int64_t tiles = tile_count(columns, most);
  for (int64_t tile = 0; tile < tiles; ++tile) {
    const int64_t begin = tile_begin(tile, tiles, columns), width = tile_begin(tile + 1, tiles, columns) - begin;
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t u = 0; u < H; ++u) {
        const int64_t j = (gradient[r] - first) * H + u, step = form.wide ? 1 : 4;
        const T* source = packed + (form.wide ? j * form.width : 4 * (begin * fours + j / 4 * width) + j % 4);
        T* const row = target + (r * H + u) * columns + begin;
        for (int64_t q = 0; q < width; ++q) {
          T sum = 0;
          for (int64_t w = 0; w < workers; ++w) sum += source[w * numbers + step * q];
          row[q] = sum;
        }
      }
  }
}

// ------------------------------------------------------------------------------------------------------------ forward

// The arguments of one call, checked, dense where the kernels want it. Those a cell lacks are absent.
struct RecurrentInputs {
  Tensor x, h0;
  MaybeTensor c0;
  Tensor weight_ih, weight_hh;
  MaybeTensor bias_ih, bias_hh, extra, norm;
  RecurrentOptions options;
  bool relu, reverse;

  // Whether the cell is one of recurrent_staged.inl.
  bool staged() const { return norm || options.hidden_mask || options.zoneout_h > 0 || options.zoneout_c > 0; }

  void make_dense() {
    make_feature_contiguous(x);
    for (Tensor* tensor : {&h0, &weight_ih, &weight_hh}) cpu::make_dense(*tensor);
    for (MaybeTensor* tensor : {&c0, &bias_ih, &bias_hh, &extra, &norm, &options.hidden_mask, &options.lengths})
      cpu::make_dense(*tensor);
  }
};

// What an operator returns: a tensor of its own, of shape [0] for an absent one.
inline Tensor or_empty(const MaybeTensor& tensor, const Tensor& like) { return tensor ? *tensor : empty(like, {0}); }

struct RecurrentOutputs {
  Tensor output, h_n;
  MaybeTensor c_n, saved;
  int64_t threads;
};

template <typename T>
Zoneout<T> zoneout_of(const RecurrentOptions& options) {
  Zoneout<T> z = {};
  z.on = options.zoneout_h > 0 || options.zoneout_c > 0;
  z.random = z.on && options.zoneout_seed;
  z.h = static_cast<T>(options.zoneout_h);
  z.c = static_cast<T>(options.zoneout_c);
  const auto below = [](double probability) {
    return static_cast<uint32_t>(std::min(probability * 4294967296.0, 4294967295.0));
  };
  z.h_below = below(options.zoneout_h);
  z.c_below = below(options.zoneout_c);
  if (z.random) {
    const uint64_t seed = static_cast<uint64_t>(*options.zoneout_seed->const_data_ptr<int64_t>());
    z.key_low = static_cast<uint32_t>(seed);
    z.key_high = static_cast<uint32_t>(seed >> 32);
  }
  return z;
}

template <typename T>
RecurrentForwardArguments<T> forward_arguments(const RecurrentSizes& s, const RecurrentInputs& in) {
  RecurrentForwardArguments<T> a = {};
  a.batch = s.batch;
  a.time = s.time;
  a.input_size = s.input_size;
  a.hidden_size = s.hidden_size;
  a.x = data<T>(in.x);
  a.x_batch_stride = in.x.stride(0);
  a.x_time_stride = in.x.stride(1);  // of no meaning for a single step
  a.h0 = data<T>(in.h0);
  a.c0 = data<T>(in.c0);
  a.extra = data<T>(in.extra);
  a.weight_ih = data<T>(in.weight_ih);
  a.weight_hh = data<T>(in.weight_hh);
  a.bias_ih = data<T>(in.bias_ih);
  a.bias_hh = data<T>(in.bias_hh);
  a.norm = data<T>(in.norm);
  a.hidden_mask = data<T>(in.options.hidden_mask);
  a.lengths = data<int64_t>(in.options.lengths);
  a.relu = in.relu;
  a.reverse = in.reverse;
  a.zoneout = zoneout_of<T>(in.options);
  return a;
}

// The kernels of one cell.
template <typename T>
struct RecurrentFamily {
  const RecurrentKernels<T>&lanes, &rows, &staged, &normalized, &normalized_rows;

  // The one for a call. A function of batch and options alone, for it shapes the saved tensor. With one row per lane,
  // few rows would drag many empty lanes along.
  const RecurrentKernels<T>& kernel(const RecurrentSizes& s, const RecurrentInputs& in) const {
    const bool few = 2 * s.batch <= lanes.lanes;
    if (in.norm) return few && !in.options.hidden_mask ? normalized_rows : normalized;
    if (in.staged()) return staged;
    return few ? rows : lanes;
  }

  // The weights of one layer and direction packed for forward calls of every batch size.
  Tensor pack(const RecurrentSizes& s, const RecurrentInputs& in, bool general) const {
    // One of two dimensions is for general calls: of some cells, what both kinds of calls want is as large.
    Tensor packed = general ? empty(in.weight_ih, {1, size(s, true)}) : empty(in.weight_ih, {size(s, false)});
    T* target = packed.mutable_data_ptr<T>();
    const auto add = [&](const RecurrentKernels<T>& kernel) {
      pack_forward<T>(kernel, s, in.weight_ih.const_data_ptr<T>(), in.weight_hh.const_data_ptr<T>(),
                      data<T>(in.bias_ih), data<T>(in.bias_hh), target);
      target += packed_size(kernel, s);
    };
    if (general) {
      add(staged);  // `normalized` wants the same
      add(normalized_rows);
    } else {
      add(lanes);
      add(rows);
      if (extras(s)) std::memcpy(target, data<T>(in.extra), extras(s) * sizeof(T));
    }
    return packed;
  }

  // Where a kernel's weights begin in what `pack` gave.
  const T* packed_for(const char* op, const RecurrentKernels<T>& kernel, const RecurrentSizes& s,
                      const RecurrentInputs& in, const MaybeTensor& packed) const {
    if (!packed) return nullptr;
    const bool general = in.staged();
    const int64_t expected = size(s, general);
    const bool fits = general ? has_shape(*packed, {1, expected}) : has_shape(*packed, {expected});
    STD_TORCH_CHECK(fits && packed->is_contiguous(), op, ": packed expected ", general ? "[1, " : "[", expected,
                    "], contiguous, as packed for these sizes and options, got ", shape_text(packed->sizes()));
    check_kind(op, "packed", *packed, "x", in.x);
    if (kernel.form != RecurrentForm::rows) return packed->const_data_ptr<T>();
    return packed->const_data_ptr<T>() + packed_size(in.staged() ? staged : lanes, s);
  }

  // The cell's own weights in what `pack` gave for calls that are not general; null if it has none.
  const T* packed_extra(const RecurrentSizes& s, const Tensor& packed) const {
    return extras(s) ? data<T>(packed) + size(s, false) - extras(s) : nullptr;
  }

  bool packed_here(const RecurrentSizes& s, const Tensor& packed) const { return packed.numel() == size(s, false); }

 private:
  int64_t extras(const RecurrentSizes& s) const { return lanes.layout.extras * s.hidden_size; }

  int64_t size(const RecurrentSizes& s, bool general) const {
    return general ? packed_size(staged, s) + packed_size(normalized_rows, s)
                   : packed_size(lanes, s) + packed_size(rows, s) + extras(s);
  }
};

#define SEQLIGHT_RECURRENT_FAMILY(T, name, staged)                                                          \
  RecurrentFamily<T> {                                                                                      \
    SEQLIGHT_RECURRENT_KERNELS(T, name), SEQLIGHT_RECURRENT_KERNELS(T, name##_rows),                        \
        SEQLIGHT_RECURRENT_KERNELS(T, staged##_staged), SEQLIGHT_RECURRENT_KERNELS(T, staged##_normalized), \
        SEQLIGHT_RECURRENT_KERNELS(T, staged##_normalized_rows)                                             \
  }

template <typename T>
RecurrentOutputs recurrent_forward(const char* op, const RecurrentFamily<T>& family, const RecurrentSizes& s,
                                   const RecurrentInputs& in, const MaybeTensor& given, bool save_for_backward) {
  const RecurrentKernels<T>& kernel = family.kernel(s, in);
  const T* packed = family.packed_for(op, kernel, s, in, given);
  const CellLayout& layout = kernel.layout;
  const int64_t H = s.hidden_size;
  Tensor output = empty_sequence(in.x, s, H), h_n = empty_state(in.h0, s);
  MaybeTensor c_n;
  if (layout.cell_state) c_n = empty_state(*in.c0, s);
  MaybeTensor saved;
  if (save_for_backward) saved = pooled_empty(in.x, {s.time, s.batch, layout.kept(H)});

  const bool unpacked = kernel.form == RecurrentForm::rows && s.time == 1;
  if (!packed && !unpacked) {
    T* const weights = thread_scratch<ScratchUse::packed_weights, T>(packed_size(kernel, s));
    pack_forward<T>(kernel, s, in.weight_ih.const_data_ptr<T>(), in.weight_hh.const_data_ptr<T>(), data<T>(in.bias_ih),
                    data<T>(in.bias_hh), weights);
    packed = weights;
  }

  RecurrentForwardArguments<T> a = forward_arguments<T>(s, in);
  a.weights = packed;
  if (packed) {
    a.bias = packed + packed_weights(kernel, s);
  } else if (in.norm) {
    T* const bias = thread_scratch<ScratchUse::packed_weights, T>(packed_biases(kernel, H));
    pack_biases<T>(kernel, H, data<T>(in.bias_ih), data<T>(in.bias_hh), bias);
    a.bias = bias;
  }
  a.output = output.mutable_data_ptr<T>();
  a.h_n = h_n.mutable_data_ptr<T>();
  a.c_n = c_n ? c_n->mutable_data_ptr<T>() : nullptr;
  a.saved = saved ? saved->mutable_data_ptr<T>() : nullptr;
  if (given && !in.staged()) a.extra = family.packed_extra(s, *given);

  const int64_t threads = run<T>(packed ? split_work(s, kernel) : Split{1, false}, tile_count(s.batch, kernel.group),
                                 kernel.forward_scratch(a),
                                 [&](const RecurrentSlice& slice, T* scratch) { kernel.forward(a, slice, scratch); });
  return {output, h_n, c_n, saved, threads};
}

inline void check_lengths(const char* op, const MaybeTensor& lengths, int64_t time) {
  if (!lengths) return;
  const int64_t* values = lengths->const_data_ptr<int64_t>();
  for (int64_t row = 0; row < lengths->size(0); ++row)
    STD_TORCH_CHECK(values[row] >= 0 && values[row] <= time, op, ": lengths expected values from 0 to T = ", time,
                    ", got ", values[row], " at row ", row);
}

// One step with weights that were packed for calls that are not general, and with nothing else.
template <typename T>
RecurrentOutputs recurrent_step(const char* op, const RecurrentFamily<T>& family, const RecurrentSizes& s,
                                const Tensor& x, const Tensor& h0, const MaybeTensor& c0, const Tensor& packed,
                                bool relu) {
  // In the place of the weights, which nobody reads: the state.
  RecurrentInputs in = {x, h0, c0, h0, h0, {}, {}, {}, {}, {}, relu, false};
  in.make_dense();
  return recurrent_forward<T>(op, family, s, in, packed, false);
}

// Calls body(T()) with T float or double, as x has it.
template <typename Body>
auto for_dtype(const char* op, const char* name, const Tensor& x, const Body& body) {
  if (x.scalar_type() == torch::headeronly::ScalarType::Float) return body(float());
  STD_TORCH_CHECK(x.scalar_type() == torch::headeronly::ScalarType::Double, op, ": ", name,
                  " expected float32 or float64, got ", torch::headeronly::toString(x.scalar_type()));
  return body(double());
}

// Checks weights on their own, and calls pack(T(), sizes, inputs) to pack them.
template <typename Pack>
Tensor recurrent_pack(const char* op, int64_t gates, const Tensor& weight_ih, const Tensor& weight_hh,
                      const MaybeTensor& bias_ih, const MaybeTensor& bias_hh, const MaybeTensor& extra,
                      const Pack& pack) {
  const RecurrentSizes s = check_pack(op, gates, weight_ih, weight_hh, bias_ih, bias_hh, extra);
  // In the place of input and state, which nobody reads: a weight.
  RecurrentInputs in = {weight_ih, weight_hh, std::nullopt, weight_ih, weight_hh, bias_ih,
                        bias_hh,   extra,     std::nullopt, {},        false,     false};
  in.make_dense();
  return for_dtype(op, "weight_ih", weight_ih, [&](auto number) { return pack(number, s, in); });
}

// ----------------------------------------------------------------------------------------------------------- backward

struct RecurrentGradients {
  MaybeTensor x, h0, c0, weight_ih, weight_hh, bias_ih, bias_hh, extra, norm;  // absent where not wanted
  int64_t threads = 0;
};

// Everything that the weight gradient of a chunk of time steps reads stays in the L2 cache.
inline int64_t backward_chunk_bytes() { return level_two_cache_bytes() * 7 / 10; }

// Up to this many bytes for one time step of one group, the kernel sums the weight gradient itself, from cache. Beyond,
// chunks get so short that adding their sums to the gradient weighs more than writing the sums' gradients out for a
// library product.
inline int64_t fused_step_bytes() { return level_two_cache_bytes() / 5; }

// Few rows: up to this many bytes of sums' gradients, and of weights, the kernel does the remaining products, from
// cache.
inline constexpr int64_t kRowsBytes = 256 * 1024;

// [B, T, H]: the hidden state before each step, as it enters the recurrent product; zeros outside a row's length.
template <typename T>
Tensor hidden_before(const RecurrentForwardArguments<T>& a, const Tensor& output) {
  const int64_t H = a.hidden_size, time = a.time;
  Tensor before = pooled_empty(output, {a.batch, time, H});
  T* const target = before.mutable_data_ptr<T>();
  const T* const source = output.const_data_ptr<T>();
  torch::stable::parallel_for(0, a.batch, 1, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const int64_t length = a.lengths ? a.lengths[row] : time;
      T* const to = target + row * time * H;
      std::memset(to + length * H, 0, (time - length) * H * sizeof(T));
      if (length == 0) continue;
      const int64_t first = a.reverse ? length - 1 : 0;
      std::memcpy(to + first * H, a.h0 + row * H, H * sizeof(T));
      std::memcpy(to + (a.reverse ? 0 : H), source + (row * time + (a.reverse ? 1 : 0)) * H,
                  (length - 1) * H * sizeof(T));
      if (a.hidden_mask)
        for (int64_t i = 0; i < length * H; ++i) to[i] *= a.hidden_mask[row * H + i % H];
    }
  });
  return before;
}

// x, or a copy with zeros outside each row's length: what stands there must not reach the weight gradient (0 * NaN).
template <typename T>
Tensor masked_input(const RecurrentForwardArguments<T>& a, const Tensor& x) {
  if (!a.lengths) return x;
  Tensor copy = torch::stable::clone(torch::stable::contiguous(x));
  const int64_t I = a.input_size;
  T* const target = copy.mutable_data_ptr<T>();
  for (int64_t row = 0; row < a.batch; ++row)
    std::memset(target + (row * a.time + a.lengths[row]) * I, 0, (a.time - a.lengths[row]) * I * sizeof(T));
  return copy;
}

// Moves blocks of `block` numbers between the order of a weight matrix's rows and that of the gradients.
template <typename T>
void permute_blocks(int64_t rows, const int* gradient, int first, int64_t block, bool to_gradients, const T* source,
                    T* target) {
  for (int64_t r = 0; r < rows; ++r) {
    const int64_t at = gradient[r] - first;
    std::memcpy(target + (to_gradients ? at : r) * block, source + (to_gradients ? r : at) * block, block * sizeof(T));
  }
}

// What backward needs beside the inputs of the forward call.
struct RecurrentBackwardInputs {
  MaybeTensor grad_output, grad_h_n, grad_c_n;
  Tensor output, saved;
  bool need_input_grad, need_weight_grad;
};

template <typename T>
RecurrentGradients recurrent_backward(const char* op, const RecurrentFamily<T>& family, const RecurrentSizes& s,
                                      const RecurrentInputs& in, const RecurrentBackwardInputs& back) {
  const RecurrentKernels<T>& kernel = family.kernel(s, in);
  const CellLayout& layout = kernel.layout;
  const bool need_input_grad = back.need_input_grad, need_weight_grad = back.need_weight_grad;
  check_backward(op, back.grad_output, back.grad_h_n, back.grad_c_n, back.output, in.x, in.h0, s);
  check_shape(op, "saved", back.saved, "as forward gave it", {s.time, s.batch, layout.kept(s.hidden_size)});
  check_kind(op, "saved", back.saved, "x", in.x);
  MaybeTensor grad_output = back.grad_output;
  if (grad_output) make_feature_contiguous(*grad_output);
  const MaybeTensor grad_h_n = dense(back.grad_h_n), grad_c_n = dense(back.grad_c_n);
  const Tensor output = dense(back.output), saved = dense(back.saved);
  const int64_t I = s.input_size, H = s.hidden_size, rows = layout.rows, size = layout.gradients * H;
  const Split split = split_work(s, kernel);
  const bool in_rows = kernel.form == RecurrentForm::rows;
  const int64_t step_bytes = (size + 2 * H + 2 * I) * kernel.lanes * static_cast<int64_t>(sizeof(T));
  const int64_t most = std::max(s.batch * s.time * size, rows * H * (I + H));
  const bool in_cache = most * static_cast<int64_t>(sizeof(T)) <= kRowsBytes;
  const bool fused = in_rows ? in_cache && !split.team : step_bytes <= fused_step_bytes();
  const bool fused_weights = fused && need_weight_grad;
  const bool fused_input = fused && need_input_grad;
  const bool write_sums = in_rows || (!fused && (need_input_grad || need_weight_grad));
  // Numbers in which one worker sums the gradient of a weight matrix.
  const auto summed_for = [&](int64_t columns) {
    return in_rows ? rows * H * columns : WeightGradientForm(columns, kernel.lanes).numbers(rows * H);
  };

  RecurrentGradients grad;
  grad.h0 = empty_state(in.h0, s);
  if (layout.cell_state) grad.c0 = empty_state(*in.c0, s);
  MaybeTensor grad_sums;
  if (write_sums) grad_sums = pooled_empty(in.x, {s.batch, s.time, size});
  // Where the workers sum the gradients of the parameters.
  const int64_t copies = split.team ? 1 : split.workers;  // a team shares one
  const int64_t of_input_weights = fused_weights ? copies * summed_for(I) : 0;
  const int64_t of_weights = fused_weights ? of_input_weights + copies * summed_for(H) : 0;
  const int64_t of_extras = split.workers * layout.extras * H;
  const int64_t of_biases = split.workers * layout.biases * H;
  const int64_t summed = of_weights + (need_weight_grad ? of_biases + of_extras : 0);
  T* const sums = thread_scratch<ScratchUse::gradients, T>(summed);
  std::memset(sums, 0, summed * sizeof(T));
  const bool extra = layout.extras && need_weight_grad;

  RecurrentBackwardArguments<T> a = {};
  a.forward = forward_arguments<T>(s, in);
  a.forward.output = const_cast<T*>(output.const_data_ptr<T>());
  a.forward.saved = const_cast<T*>(saved.const_data_ptr<T>());
  const int64_t width = in_rows ? tile_count(H, kernel.lanes) * kernel.lanes : H;
  const int64_t of_products = rows * H * (width + (fused_input ? I : 0));
  T* const weights = thread_scratch<ScratchUse::packed_weights, T>(of_products + packed_biases(kernel, H));
  if (in.norm) {
    pack_biases<T>(kernel, H, data<T>(in.bias_ih), data<T>(in.bias_hh), weights + of_products);
    a.forward.bias = weights + of_products;
  }
  if (in_rows)
    pack_backward_blocks<T>(H, rows, layout.hidden_gradient, layout.hidden_first, kernel.lanes,
                            in.weight_hh.const_data_ptr<T>(), weights);
  else
    pack_backward<T>(H, rows, layout.hidden_gradient, layout.hidden_first, H, kernel.columns_per_tile,
                     in.weight_hh.const_data_ptr<T>(), weights);
  a.hidden_weights = weights;
  if (fused_input) {
    grad.x = empty_sequence(in.x, s, I);
    a.grad_x = grad.x->mutable_data_ptr<T>();
  }
  if (fused_input && !in_rows) {
    pack_backward<T>(H, rows, layout.input_gradient, layout.input_first, I, kernel.columns_per_tile,
                     in.weight_ih.const_data_ptr<T>(), weights + rows * H * H);
    a.input_weights = weights + rows * H * H;
  }
  if (grad_output) {
    a.grad_output = data<T>(grad_output);
    a.grad_output_batch_stride = grad_output->stride(0);
    a.grad_output_time_stride = grad_output->stride(1);
  }
  a.grad_h_n = data<T>(grad_h_n);
  a.grad_c_n = data<T>(grad_c_n);
  a.grad_h0 = grad.h0->mutable_data_ptr<T>();
  a.grad_c0 = layout.cell_state ? grad.c0->mutable_data_ptr<T>() : nullptr;
  a.grad_sums = write_sums ? grad_sums->mutable_data_ptr<T>() : nullptr;
  a.grad_input_weights = fused_weights ? sums : nullptr;
  a.grad_hidden_weights = fused_weights ? sums + of_input_weights : nullptr;
  a.grad_bias = need_weight_grad ? sums + of_weights : nullptr;
  a.grad_extra = extra ? a.grad_bias + of_biases : nullptr;
  a.chunk_bytes = backward_chunk_bytes();

  grad.threads = run<T>(split, tile_count(s.batch, kernel.group), kernel.backward_scratch(a),
                        [&](const RecurrentSlice& slice, T* scratch) { kernel.backward(a, slice, scratch); });

  const int64_t steps = s.batch * s.time;
  const auto block_of = [&](int first) {  // [B * T, rows * H] of the sums' gradients
    Tensor all = torch::stable::view(*grad_sums, {steps, size});
    return torch::stable::narrow(all, 1, first * H, rows * H);
  };
  if (!fused && need_input_grad) {
    Tensor weight = empty(in.x, {rows * H, I});
    permute_blocks<T>(rows, layout.input_gradient, layout.input_first, H * I, true, in.weight_ih.const_data_ptr<T>(),
                      weight.mutable_data_ptr<T>());
    grad.x = torch::stable::view(matrix_product(block_of(layout.input_first), weight), in.x.sizes());
  }
  if (!need_weight_grad) return grad;

  grad.weight_ih = empty(in.x, {rows * H, I});
  grad.weight_hh = empty(in.x, {rows * H, H});
  const auto sum_workers = [&](const T* source, int64_t stride, int64_t count, T* target) {
    for (int64_t j = 0; j < count; ++j) {
      T sum = 0;
      for (int64_t w = 0; w < split.workers; ++w) sum += source[w * stride + j];
      target[j] = sum;
    }
  };
  if (fused && in_rows) {
    sum_workers(a.grad_input_weights, rows * H * I, rows * H * I, grad.weight_ih->mutable_data_ptr<T>());
    sum_workers(a.grad_hidden_weights, rows * H * H, rows * H * H, grad.weight_hh->mutable_data_ptr<T>());
  } else if (fused) {
    unpack_weight_gradient<T>(kernel, H, layout.input_gradient, layout.input_first, I, copies, a.grad_input_weights,
                              grad.weight_ih->mutable_data_ptr<T>());
    unpack_weight_gradient<T>(kernel, H, layout.hidden_gradient, layout.hidden_first, H, copies, a.grad_hidden_weights,
                              grad.weight_hh->mutable_data_ptr<T>());
  } else {
    const Tensor inputs = torch::stable::reshape(masked_input<T>(a.forward, in.x), {steps, I});
    const Tensor states = torch::stable::view(hidden_before<T>(a.forward, output), {steps, H});
    const Tensor from_inputs = matrix_product(torch::stable::transpose(block_of(layout.input_first), 0, 1), inputs);
    const Tensor from_states = matrix_product(torch::stable::transpose(block_of(layout.hidden_first), 0, 1), states);
    permute_blocks<T>(rows, layout.input_gradient, layout.input_first, H * I, false, from_inputs.const_data_ptr<T>(),
                      grad.weight_ih->mutable_data_ptr<T>());
    permute_blocks<T>(rows, layout.hidden_gradient, layout.hidden_first, H * H, false, from_states.const_data_ptr<T>(),
                      grad.weight_hh->mutable_data_ptr<T>());
  }
  grad.bias_ih = empty(in.x, {rows * H});
  grad.bias_hh = empty(in.x, {rows * H});
  for (int64_t r = 0; r < rows; ++r) {
    sum_workers(a.grad_bias + layout.input_bias[r] * H, layout.biases * H, H,
                grad.bias_ih->mutable_data_ptr<T>() + r * H);
    sum_workers(a.grad_bias + layout.hidden_bias[r] * H, layout.biases * H, H,
                grad.bias_hh->mutable_data_ptr<T>() + r * H);
  }
  if (!extra) return grad;
  // The cell's own parameters come first, then those of the norms.
  const int64_t norms = in.norm ? in.norm->size(0) : 0, own = layout.extras - norms;
  const auto gradient_of = [&](int64_t first, int64_t count) {
    Tensor gradient = empty(in.x, {count, H});
    sum_workers(a.grad_extra + first * H, layout.extras * H, count * H, gradient.mutable_data_ptr<T>());
    return gradient;
  };
  if (in.extra) grad.extra = gradient_of(0, own);
  if (in.norm) grad.norm = gradient_of(own, norms);
  return grad;
}

}  // namespace seqlight::cpu
