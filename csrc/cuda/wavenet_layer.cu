// The operators of the WaveNet layer on CUDA. Schemas and checks are those of the CPU; see
// seqlight/ops/wavenet_layer.py for the semantics.
//
// NOT YET RUN ON A GPU. This file compiles with nvcc for sm_80, sm_90 and PTX with warnings as errors, and its logic is
// tested on the CPU, element by element (launch.cuh); nobody has run or timed it on a device.
//
// The form is the simple one: blocks of rows (time steps of the batch) go through library products, with a kernel
// before and after each. The inputs of all taps, and the condition, are gathered side by side, so that convolution and
// condition are one product. No atomics: the same call gives the same bits.
#include <algorithm>
#include <tuple>

#include "../call_counts.h"
#include "../cells/gate.h"
#include "../wavenet_layer_checks.h"
#include "scalar_math.cuh"
#include "sequences.cuh"

#ifndef SEQLIGHT_CUDA_CHUNK                     // tests of the chunks set it low
#define SEQLIGHT_CUDA_CHUNK (int64_t{1} << 24)  // numbers in a block of rows: 64 MiB in float32
#endif

namespace seqlight::cuda {
namespace {

// ------------------------------------------------------------------------------------------------------------ kernels
// Each is the work of one element. Row r of a buffer is row first_row + r of [B, T]. Buffers are contiguous in the
// order of their comment.

struct LayerShape {
  int64_t time, channels, taps, dilation, condition, skip;
  bool residual;

  SEQLIGHT_CELL int64_t past() const { return (taps - 1) * dilation; }
  SEQLIGHT_CELL int64_t tap_columns() const { return taps * channels; }
  SEQLIGHT_CELL int64_t columns() const { return tap_columns() + condition; }
  SEQLIGHT_CELL int64_t projected() const { return (residual ? channels : 0) + skip; }
};

// [2C, K * C + D]: the convolution's weights [2C, C, K], tap by tap, beside the condition's [2C, D]; or, `split`, back
// again. Element: of the wide matrix.
template <typename T>
struct JoinWeights {
  LayerShape shape;
  bool split;
  T *conv, *condition;  // the latter null where there is no condition, or where it is not wanted
  T* joined;

  __device__ void operator()(int64_t i) const {
    const int64_t row = i / shape.columns(), column = i % shape.columns();
    T* const part = column < shape.tap_columns()
                        ? conv + (row * shape.channels + column % shape.channels) * shape.taps + column / shape.channels
                    : condition ? condition + row * shape.condition + column - shape.tap_columns()
                                : nullptr;
    if (part == nullptr) return;
    if (split)
      *part = joined[i];
    else
      joined[i] = *part;
  }
};

// [rows, K * C + D]: what the taps see, and the condition. Element: (row, column).
template <typename T>
struct GatherTaps {
  LayerShape shape;
  Inputs<T> inputs;
  StridedRows<T> condition;
  int64_t first_row;
  T* target;

  __device__ void operator()(int64_t i) const {
    const int64_t row = first_row + i / shape.columns(), column = i % shape.columns();
    const int64_t batch = row / shape.time, time = row % shape.time;
    if (column >= shape.tap_columns()) {
      target[i] = condition(batch, time, column - shape.tap_columns());
      return;
    }
    const int64_t at = time - shape.past() + column / shape.channels * shape.dilation;
    target[i] = inputs(batch, at, column % shape.channels);
  }
};

// The gated unit [rows, C], from the sums without bias. Element: (row, channel).
template <typename T>
struct GatedUnit {
  LayerShape shape;
  const T* sums;  // [rows, 2C]
  const T* bias;  // [2C]
  StridedRows<T> static_term;
  int64_t first_row;
  T* unit;
  T* activated;  // [rows, 2C] or null

  __device__ void operator()(int64_t i) const {
    const int64_t channel = i % shape.channels, row = i / shape.channels;
    const int64_t filter = row * 2 * shape.channels + channel, gate = filter + shape.channels;
    const auto before = [&](int64_t place, int64_t column) {
      return sums[place] + bias[column] + static_term((first_row + row) / shape.time, 0, column);
    };
    GatePair<T> pair = {before(filter, channel), before(gate, shape.channels + channel)};
    unit[i] = gate_unit<ScalarMath<T>>(pair);
    if (activated == nullptr) return;
    activated[filter] = pair.filter;
    activated[gate] = pair.gate;
  }
};

// Adds the projections to h and to the skip connections. Element: (row, projected channel).
template <typename T>
struct AddProjected {
  LayerShape shape;
  const T* projected;  // [rows, C + S], without residual [rows, S]
  const T* bias;
  StridedRows<T> h, skip;
  int64_t first_row;
  T* h_next;    // [B * T, C]
  T* skip_sum;  // [B * T, S]

  __device__ void operator()(int64_t i) const {
    const int64_t row = first_row + i / shape.projected(), column = i % shape.projected();
    const int64_t batch = row / shape.time, time = row % shape.time;
    const int64_t residuals = shape.projected() - shape.skip;
    const T sum = projected[i] + bias[column];
    if (column < residuals)
      h_next[row * residuals + column] = h(batch, time, column) + sum;
    else
      skip_sum[row * shape.skip + column - residuals] = skip(batch, time, column - residuals) + sum;
  }
};

// [rows, C + S]: the gradients for the projections. Element: (row, projected channel).
template <typename T>
struct GatherProjectedGradient {
  LayerShape shape;
  StridedRows<T> grad_h_next, grad_skip;
  int64_t first_row;
  T* target;

  __device__ void operator()(int64_t i) const {
    const int64_t row = first_row + i / shape.projected(), column = i % shape.projected();
    const int64_t residuals = shape.projected() - shape.skip;
    target[i] = column < residuals ? grad_h_next(row / shape.time, row % shape.time, column)
                                   : grad_skip(row / shape.time, row % shape.time, column - residuals);
  }
};

// The gradients before the gate [rows, 2C], and the unit itself again. Element: (row, channel).
template <typename T>
struct GatedUnitGradient {
  LayerShape shape;
  const T* activated;  // [rows, 2C]
  const T* grad_unit;  // [rows, C]
  T* unit;             // [rows, C]
  T* grad_sums;

  __device__ void operator()(int64_t i) const {
    const int64_t filter = i / shape.channels * 2 * shape.channels + i % shape.channels;
    const int64_t gate = filter + shape.channels;
    const GatePair<T> pair = {activated[filter], activated[gate]};
    const GatePair<T> grad = gate_unit_backward(pair, grad_unit[i]);
    unit[i] = pair.filter * pair.gate;
    grad_sums[filter] = grad.filter;
    grad_sums[gate] = grad.gate;
  }
};

// The inputs' times, from `begin` (0, or -past with the state) to T - 1, of all rows of the batch.
struct InputTimes {
  int64_t begin, time;

  SEQLIGHT_CELL int64_t count() const { return time - begin; }
};

// [rows, K * 2C]: the gradients that reach an input through each tap. Element: (row of InputTimes, column).
template <typename T>
struct GatherTapGradients {
  LayerShape shape;
  InputTimes times;
  const T* grad_sums;  // [B * T, 2C]
  int64_t first_row;
  T* target;

  __device__ void operator()(int64_t i) const {
    const int64_t width = 2 * shape.channels, columns = shape.taps * width;
    const int64_t row = first_row + i / columns, tap = i % columns / width;
    const int64_t at = times.begin + row % times.count() + shape.past() - tap * shape.dilation;
    const bool inside = at >= 0 && at < shape.time;
    target[i] = inside ? grad_sums[(row / times.count() * shape.time + at) * width + i % width] : T(0);
  }
};

// [K * 2C, C] from the convolution's weights [2C, C, K]. Element: of the target.
template <typename T>
struct WeightsByTap {
  LayerShape shape;
  const T* conv;
  T* target;

  __device__ void operator()(int64_t i) const {
    const int64_t row = i / shape.channels, width = 2 * shape.channels;
    target[i] = conv[(row % width * shape.channels + i % shape.channels) * shape.taps + row / width];
  }
};

// Adds to what came through the taps what went past them. Element: (row of InputTimes, channel).
template <typename T>
struct AddInputGradients {
  LayerShape shape;
  InputTimes times;
  const T* through_taps;  // [rows, C]
  StridedRows<T> grad_h_next, grad_new_state;
  int64_t first_row;
  T* grad_h;      // [B, T, C] or null
  T* grad_state;  // [B, past, C] or null

  __device__ void operator()(int64_t i) const {
    const int64_t channel = i % shape.channels, row = first_row + i / shape.channels, batch = row / times.count();
    const int64_t time = times.begin + row % times.count(), kept_from = shape.time - shape.past();
    T* const target = time < 0 ? grad_state : grad_h;
    if (target == nullptr) return;
    T sum = through_taps[i];
    if (time >= kept_from) sum += grad_new_state(batch, time - kept_from, channel);
    if (time >= 0) sum += grad_h_next(batch, time, channel);
    const int64_t place = time < 0 ? batch * shape.past() + time + shape.past() : batch * shape.time + time;
    target[place * shape.channels + channel] = sum;
  }
};

// --------------------------------------------------------------------------------------------------------------- host

LayerShape shape_of(const WaveNetLayerSizes& s) {
  return {s.conv.time, s.channels(), s.conv.taps, s.conv.dilation, s.condition, s.skip, s.residual};
}

// Calls body(first, count) for blocks of rows, of which buffers have at most `width` numbers each.
class RowBlocks {
 public:
  RowBlocks(int64_t rows, int64_t width)
      : rows_(rows), most_(std::clamp<int64_t>(SEQLIGHT_CUDA_CHUNK / width, 1, std::max<int64_t>(1, rows))) {}

  int64_t most() const { return most_; }
  template <typename Body>
  void each(const Body& body) const {
    for (int64_t first = 0; first < rows_; first += most_) body(first, std::min(most_, rows_ - first));
  }

 private:
  int64_t rows_, most_;
};

// The same term of every batch row, at any time.
template <typename T>
StridedRows<T> at_any_time(const MaybeTensor& rows) {
  if (!rows) return {nullptr, 0, 0, 0};
  return {rows->const_data_ptr<T>(), rows->stride(0), 0, rows->stride(1)};
}

template <typename T>
Tensor joined_weights(const LayerShape& shape, const Tensor& conv_weight, const MaybeTensor& condition_weight,
                      cudaStream_t stream) {
  const Tensor joined = new_empty(conv_weight, {2 * shape.channels, shape.columns()});
  launch(joined.numel(), stream,
         JoinWeights<T>{shape, false, const_cast<T*>(conv_weight.const_data_ptr<T>()),
                        const_cast<T*>(data_of<T>(condition_weight)), joined.mutable_data_ptr<T>()});
  return joined;
}

struct WaveNetLayerInputs {
  Tensor h;
  MaybeTensor state, skip;
  Tensor conv_weight, conv_bias, project_weight, project_bias;
  MaybeTensor condition, condition_weight, static_term;
  bool save_for_backward;
};

using WaveNetLayerOutputs = std::tuple<Tensor, Tensor, Tensor, Tensor>;

template <typename T>
WaveNetLayerOutputs run_wavenet_layer(const WaveNetLayerSizes& s, const WaveNetLayerInputs& a) {
  const cudaStream_t stream = current_stream(a.h);
  const LayerShape shape = shape_of(s);
  const int64_t B = s.conv.batch, C = shape.channels, P = shape.projected();
  Tensor h_next = s.residual ? new_empty(a.h, {B, shape.time, C}) : new_empty(a.h, {0});
  Tensor skip_sum = new_empty(a.h, {B, shape.time, s.skip});
  Tensor new_state = new_empty(a.h, {B, shape.past(), C});
  Tensor activated = a.save_for_backward ? new_empty(a.h, {B, shape.time, 2 * C}) : new_empty(a.h, {0});
  const Inputs<T> inputs = {rows_of<T>(a.h), rows_of<T>(a.state), shape.past()};
  launch(new_state.numel(), stream, NextState<T>{inputs, shape.time, C, new_state.mutable_data_ptr<T>()});

  const Tensor weights = joined_weights<T>(shape, a.conv_weight, a.condition_weight, stream);
  const RowBlocks blocks(B * shape.time, std::max({shape.columns(), 2 * C, P}));
  const Tensor taps = new_empty(a.h, {blocks.most(), shape.columns()});
  const Tensor sums = new_empty(a.h, {blocks.most(), 2 * C}), unit = new_empty(a.h, {blocks.most(), C});
  const Tensor projected = new_empty(a.h, {blocks.most(), P});
  blocks.each([&](int64_t first, int64_t count) {
    const auto rows = [&](const Tensor& buffer) { return narrowed(buffer, 0, 0, count); };
    launch(count * shape.columns(), stream,
           GatherTaps<T>{shape, inputs, rows_of<T>(a.condition), first, taps.mutable_data_ptr<T>()});
    multiply_into(rows(sums), rows(taps), transposed(weights));
    launch(count * C, stream,
           GatedUnit<T>{shape, sums.const_data_ptr<T>(), a.conv_bias.const_data_ptr<T>(), at_any_time<T>(a.static_term),
                        first, unit.mutable_data_ptr<T>(),
                        a.save_for_backward ? activated.mutable_data_ptr<T>() + first * 2 * C : nullptr});
    multiply_into(rows(projected), rows(unit), transposed(a.project_weight));
    launch(count * P, stream,
           AddProjected<T>{shape, projected.const_data_ptr<T>(), a.project_bias.const_data_ptr<T>(), rows_of<T>(a.h),
                           rows_of<T>(a.skip), first, h_next.mutable_data_ptr<T>(), skip_sum.mutable_data_ptr<T>()});
  });
  count_call(Op::wavenet_layer_forward, std::is_same_v<T, double>, 1);
  return {h_next, skip_sum, new_state, activated};
}

WaveNetLayerOutputs wavenet_layer_forward(Tensor h, MaybeTensor state, MaybeTensor skip, Tensor conv_weight,
                                          Tensor conv_bias, Tensor project_weight, Tensor project_bias,
                                          MaybeTensor condition, MaybeTensor condition_weight, MaybeTensor static_term,
                                          int64_t dilation, bool residual, bool save_for_backward) {
  const WaveNetLayerSizes s =
      check_wavenet_layer(h, state, conv_weight, project_weight, condition, condition_weight, dilation, residual);
  check_wavenet_layer_forward(s, h, skip, conv_bias, project_weight, project_bias, static_term);
  return for_dtype("wavenet_layer", "h", h, [&](auto number) {
    return run_wavenet_layer<decltype(number)>(
        s, {detached(h), detached(state), detached(skip), prepared(conv_weight), prepared(conv_bias),
            prepared(project_weight), prepared(project_bias), detached(condition), prepared(condition_weight),
            detached(static_term), save_for_backward});
  });
}

struct WaveNetLayerGradientInputs {
  MaybeTensor grad_h_next, grad_skip, grad_new_state;
  Tensor h;
  MaybeTensor state;
  Tensor conv_weight, project_weight;
  MaybeTensor condition, condition_weight;
  Tensor activated;
  bool need_h, need_state, need_weights, need_condition, need_condition_weight, need_static;
};

using WaveNetLayerGradients = std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor>;

template <typename T>
WaveNetLayerGradients run_wavenet_layer_backward(const WaveNetLayerSizes& s, const WaveNetLayerGradientInputs& a) {
  const cudaStream_t stream = current_stream(a.h);
  const LayerShape shape = shape_of(s);
  const int64_t B = s.conv.batch, C = shape.channels, P = shape.projected(), D = s.condition, K = shape.taps;
  const auto result = [&](bool needed, std::initializer_list<int64_t> sizes) {
    return needed ? new_empty(a.h, sizes) : new_empty(a.h, {0});
  };
  const auto sum = [&](bool needed, std::initializer_list<int64_t> sizes) {
    return needed ? new_zeros(a.h, sizes) : new_empty(a.h, {0});
  };
  const auto pointer = [](const Tensor& tensor) { return tensor.numel() ? tensor.mutable_data_ptr<T>() : nullptr; };
  Tensor grad_h = result(a.need_h, {B, shape.time, C}), grad_state = result(a.need_state, {B, shape.past(), C});
  Tensor grad_conv_weight = result(a.need_weights, {2 * C, C, K}), grad_conv_bias = sum(a.need_weights, {2 * C});
  Tensor grad_project_weight = sum(a.need_weights, {P, C}), grad_project_bias = sum(a.need_weights, {P});
  Tensor grad_condition = result(a.need_condition, {B, shape.time, D});
  Tensor grad_condition_weight = result(a.need_condition_weight, {2 * C, D});

  const bool need_joined = a.need_weights || a.need_condition_weight;
  const Inputs<T> inputs = {rows_of<T>(a.h), rows_of<T>(a.state), shape.past()};
  const Tensor grad_sums = new_empty(a.h, {B * shape.time, 2 * C});
  const Tensor grad_joined = sum(need_joined, {2 * C, shape.columns()});
  const Tensor joined_term = result(need_joined, {2 * C, shape.columns()});
  const Tensor project_term = result(a.need_weights, {P, C});
  const RowBlocks blocks(B * shape.time, std::max({shape.columns(), 2 * C, P}));
  const Tensor grad_projected = new_empty(a.h, {blocks.most(), P});
  const Tensor grad_unit = new_empty(a.h, {blocks.most(), C}), unit = new_empty(a.h, {blocks.most(), C});
  const Tensor taps = result(need_joined, {blocks.most(), shape.columns()});
  blocks.each([&](int64_t first, int64_t count) {
    const auto rows = [&](const Tensor& buffer) { return narrowed(buffer, 0, 0, count); };
    const Tensor own_sums = narrowed(grad_sums, 0, first, count);
    launch(count * P, stream,
           GatherProjectedGradient<T>{shape, rows_of<T>(a.grad_h_next), rows_of<T>(a.grad_skip), first,
                                      grad_projected.mutable_data_ptr<T>()});
    multiply_into(rows(grad_unit), rows(grad_projected), a.project_weight);
    launch(count * C, stream,
           GatedUnitGradient<T>{shape, a.activated.const_data_ptr<T>() + first * 2 * C, grad_unit.const_data_ptr<T>(),
                                unit.mutable_data_ptr<T>(), own_sums.mutable_data_ptr<T>()});
    if (a.need_weights) {
      multiply_into(project_term, transposed(rows(grad_projected)), rows(unit));
      add_to<T>(grad_project_weight, project_term, stream);
      add_to<T>(grad_project_bias, sum_of_rows(rows(grad_projected)), stream);
      add_to<T>(grad_conv_bias, sum_of_rows(own_sums), stream);
    }
    if (need_joined) {
      launch(count * shape.columns(), stream,
             GatherTaps<T>{shape, inputs, rows_of<T>(a.condition), first, taps.mutable_data_ptr<T>()});
      multiply_into(joined_term, transposed(own_sums), rows(taps));
      add_to<T>(grad_joined, joined_term, stream);
    }
    if (a.need_condition)
      multiply_into(narrowed(torch::stable::view(grad_condition, {B * shape.time, D}), 0, first, count), own_sums,
                    *a.condition_weight);
  });
  if (need_joined) {
    const Tensor conv = a.need_weights ? grad_conv_weight : new_empty(a.h, {2 * C, C, K});
    launch(grad_joined.numel(), stream,
           JoinWeights<T>{shape, true, conv.mutable_data_ptr<T>(), pointer(grad_condition_weight),
                          grad_joined.mutable_data_ptr<T>()});
  }
  Tensor grad_static = result(false, {});
  if (a.need_static) grad_static = torch::stable::sum(torch::stable::view(grad_sums, {B, shape.time, 2 * C}), {{1}});

  if (a.need_h || a.need_state) {
    const InputTimes times = {a.need_state ? -shape.past() : 0, shape.time};
    const Tensor by_tap = new_empty(a.h, {K * 2 * C, C});
    launch(by_tap.numel(), stream,
           WeightsByTap<T>{shape, a.conv_weight.const_data_ptr<T>(), by_tap.mutable_data_ptr<T>()});
    const RowBlocks input_blocks(B * times.count(), K * 2 * C);
    const Tensor tap_gradients = new_empty(a.h, {input_blocks.most(), K * 2 * C});
    const Tensor through_taps = new_empty(a.h, {input_blocks.most(), C});
    input_blocks.each([&](int64_t first, int64_t count) {
      launch(count * K * 2 * C, stream,
             GatherTapGradients<T>{shape, times, grad_sums.const_data_ptr<T>(), first,
                                   tap_gradients.mutable_data_ptr<T>()});
      multiply_into(narrowed(through_taps, 0, 0, count), narrowed(tap_gradients, 0, 0, count), by_tap);
      launch(count * C, stream,
             AddInputGradients<T>{shape, times, through_taps.const_data_ptr<T>(), rows_of<T>(a.grad_h_next),
                                  rows_of<T>(a.grad_new_state), first, pointer(grad_h), pointer(grad_state)});
    });
  }
  count_call(Op::wavenet_layer_backward, std::is_same_v<T, double>, 1);
  return {grad_h,
          grad_state,
          grad_conv_weight,
          grad_conv_bias,
          grad_project_weight,
          grad_project_bias,
          grad_condition,
          grad_condition_weight,
          grad_static};
}

WaveNetLayerGradients wavenet_layer_backward(MaybeTensor grad_h_next, MaybeTensor grad_skip, MaybeTensor grad_new_state,
                                             Tensor h, MaybeTensor state, Tensor conv_weight, Tensor project_weight,
                                             MaybeTensor condition, MaybeTensor condition_weight, int64_t dilation,
                                             bool residual, Tensor activated, bool need_h, bool need_state,
                                             bool need_weights, bool need_condition, bool need_condition_weight,
                                             bool need_static) {
  const char* op = "wavenet_layer_backward";
  const WaveNetLayerSizes s =
      check_wavenet_layer(h, state, conv_weight, project_weight, condition, condition_weight, dilation, residual);
  check_wavenet_layer_backward(s, h, grad_h_next, grad_skip, grad_new_state, condition, activated, need_condition,
                               need_condition_weight);
  return for_dtype(op, "h", h, [&](auto number) {
    return run_wavenet_layer_backward<decltype(number)>(
        s, {detached(grad_h_next), detached(grad_skip), detached(grad_new_state), detached(h), detached(state),
            prepared(conv_weight), prepared(project_weight), detached(condition), prepared(condition_weight),
            prepared(activated), need_h, need_state, need_weights, need_condition, need_condition_weight, need_static});
  });
}

}  // namespace

#if defined(__CUDACC__)
STABLE_TORCH_LIBRARY_IMPL(seqlight, CUDA, m) {
  m.impl("wavenet_layer_forward", TORCH_BOX(&wavenet_layer_forward));
  m.impl("wavenet_layer_backward", TORCH_BOX(&wavenet_layer_backward));
}
#endif

}  // namespace seqlight::cuda
