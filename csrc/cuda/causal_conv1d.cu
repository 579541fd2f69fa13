// The causal convolution operators on CUDA. Schemas and checks are those of the CPU; see seqlight/ops/causal_conv1d.py
// for the semantics.
//
// NOT YET RUN ON A GPU. This file compiles with nvcc for sm_80, sm_90 and PTX with warnings as errors, and its logic is
// tested on the CPU, barriers and borders of tiles included (launch.cuh); nobody has run or timed it on a device.
//
// The products of dense convolutions, forward, for the inputs' gradients and for the weights', go through tiles in
// shared memory with sums in registers; depthwise ones and those of few channels compute a number per thread. No tensor
// cores and no asynchronous copies. Weight gradients are summed over pieces of the batch's rows, then over the pieces,
// always in the same order. No atomics: the same call gives the same bits.
#include <tuple>

#include "../call_counts.h"
#include "causal_conv1d_elements.cuh"
#include "causal_conv1d_plan.h"
#include "causal_conv1d_tiles.cuh"

namespace seqlight::cuda {
namespace {

Conv conv_of(const CausalConv1dSizes& s) {
  return {s.time, s.groups, s.in_per_group(), s.pre_per_group(), s.taps, s.dilation};
}

template <typename T>
Tensor laid_out(const Conv& conv, const Tensor& weight, bool by_input, cudaStream_t stream) {
  const Tensor source = dense(weight);
  Tensor result = torch::stable::empty_like(source);
  launch(weight.numel(), stream,
         LayOutWeights<T>{conv, source.const_data_ptr<T>(), by_input, result.mutable_data_ptr<T>()});
  return result;
}

template <typename T>
std::tuple<Tensor, Tensor, Tensor> forward(const CausalConv1dSizes& s, const Tensor& x, const MaybeTensor& state,
                                           const Tensor& weight, const MaybeTensor& bias, bool save_for_backward) {
  const cudaStream_t stream = current_stream(x);
  const Conv conv = conv_of(s);
  const Inputs<T> inputs = {rows_of<T>(x), rows_of<T>(state), s.state_length()};
  Tensor output = new_empty(x, {s.batch, s.time, s.out_channels()});
  const bool keep = save_for_backward && s.activation == ConvActivation::gate;
  Tensor saved = keep ? new_empty(x, {s.batch, s.time, s.pre_channels}) : new_empty(x, {0});
  Tensor new_state = new_empty(x, {s.batch, s.state_length(), s.in_channels});
  const Tensor weights = laid_out<T>(conv, weight, false, stream);
  MaybeTensor dense_bias;
  if (bias) dense_bias = dense(*bias);
  const ConvOutput<T> target = {s.pre_channels, data_of<T>(dense_bias), s.activation, output.mutable_data_ptr<T>(),
                                keep ? saved.mutable_data_ptr<T>() : nullptr};
  if (plan_of(s).forward_tiles) {
    const ForwardOperand<T> operand = {conv, s.batch * s.time, inputs, weights.const_data_ptr<T>(), target};
    launch_blocks(operand.grid().count(), stream, TapProduct<T, ForwardOperand<T>>{operand});
  } else {
    launch(output.numel(), stream, ConvForward<T>{conv, inputs, weights.const_data_ptr<T>(), target});
  }
  launch(new_state.numel(), stream, NextState<T>{inputs, s.time, s.in_channels, new_state.mutable_data_ptr<T>()});
  count_call(Op::causal_conv1d_forward, std::is_same_v<T, double>, 1);
  return {output, new_state, saved};
}

std::tuple<Tensor, Tensor, Tensor> causal_conv1d_forward(Tensor x, MaybeTensor state, Tensor weight, MaybeTensor bias,
                                                         int64_t dilation, int64_t groups, int64_t activation,
                                                         bool save_for_backward) {
  const CausalConv1dSizes s = check_causal_conv1d(x, state, weight, bias, dilation, groups, activation);
  return for_dtype("causal_conv1d", "x", x, [&](auto number) {
    return forward<decltype(number)>(s, x, state, weight, bias, save_for_backward);
  });
}

using Gradients = std::tuple<Tensor, Tensor, Tensor, Tensor>;

template <typename T>
Gradients backward(const CausalConv1dSizes& s, const MaybeTensor& grad_output, const MaybeTensor& grad_new_state,
                   const Tensor& x, const MaybeTensor& state, const Tensor& weight, const Tensor& activated,
                   bool need_input, bool need_state, bool need_weight, bool need_bias) {
  const cudaStream_t stream = current_stream(x);
  const Conv conv = conv_of(s);
  const Inputs<T> inputs = {rows_of<T>(x), rows_of<T>(state), s.state_length()};
  const int64_t rows = s.batch * s.time;
  Tensor before = new_empty(x, {s.batch, s.time, s.pre_channels});
  const Tensor kept = dense(activated);
  launch(rows * s.out_channels(), stream,
         GradBefore<T>{s.time, s.pre_channels, rows_of<T>(grad_output), kept.const_data_ptr<T>(), s.activation,
                       before.mutable_data_ptr<T>()});
  const T* const grad_before = before.const_data_ptr<T>();
  const ConvPlan plan = plan_of(s);

  const auto none = [&] { return new_empty(x, {0}); };  // results may not share memory
  Tensor grad_x = need_input ? new_empty(x, {s.batch, s.time, s.in_channels}) : none();
  Tensor grad_state = need_state ? new_empty(x, {s.batch, s.state_length(), s.in_channels}) : none();
  if (need_input || need_state) {
    const Tensor weights = laid_out<T>(conv, weight, true, stream);
    const InputGradient<T> gradient = {conv,
                                       need_state ? -s.state_length() : 0,
                                       need_input ? s.time : 0,
                                       grad_before,
                                       rows_of<T>(grad_new_state),
                                       grad_x.mutable_data_ptr<T>(),
                                       grad_state.mutable_data_ptr<T>()};
    if (plan.input_tiles) {
      const InputGradientOperand<T> operand = {conv, s.batch, gradient, weights.const_data_ptr<T>()};
      launch_blocks(operand.grid().count(), stream, TapProduct<T, InputGradientOperand<T>>{operand});
    } else {
      launch(s.batch * gradient.times() * s.in_channels, stream, GradInputs<T>{gradient, weights.const_data_ptr<T>()});
    }
  }
  Tensor grad_weight = need_weight ? new_empty(x, {s.pre_channels, s.in_per_group(), s.taps}) : none();
  if (need_weight) {
    const auto [count, each] = plan.weight_pieces;
    const Tensor pieces = new_empty(x, {count, conv.numbers()});
    if (plan.weight_tiles) {
      const WeightGradientTiles<T> tiles = {conv, inputs, grad_before, rows, count, each, pieces.mutable_data_ptr<T>()};
      launch_blocks(tiles.grid().count(), stream, tiles);
    } else {
      launch(pieces.numel(), stream,
             GradWeightPieces<T>{conv, inputs, grad_before, rows, each, pieces.mutable_data_ptr<T>()});
    }
    launch(conv.numbers(), stream,
           SumWeightPieces<T>{conv, pieces.const_data_ptr<T>(), count, grad_weight.mutable_data_ptr<T>()});
  }
  Tensor grad_bias = need_bias ? new_empty(x, {s.pre_channels}) : none();
  if (need_bias) {
    const auto [count, each] = plan.bias_pieces;
    const Tensor pieces = new_empty(x, {count, s.pre_channels});
    launch(pieces.numel(), stream,
           GradBiasPieces<T>{rows, each, s.pre_channels, grad_before, pieces.mutable_data_ptr<T>()});
    launch(s.pre_channels, stream,
           SumBiasPieces<T>{count, s.pre_channels, pieces.const_data_ptr<T>(), grad_bias.mutable_data_ptr<T>()});
  }
  count_call(Op::causal_conv1d_backward, std::is_same_v<T, double>, 1);
  return {grad_x, grad_state, grad_weight, grad_bias};
}

Gradients causal_conv1d_backward(MaybeTensor grad_output, MaybeTensor grad_new_state, Tensor x, MaybeTensor state,
                                 Tensor weight, int64_t dilation, int64_t groups, int64_t activation, Tensor activated,
                                 bool need_input_grad, bool need_state_grad, bool need_weight_grad,
                                 bool need_bias_grad) {
  const char* op = "causal_conv1d_backward";
  const CausalConv1dSizes s = check_causal_conv1d(x, state, weight, std::nullopt, dilation, groups, activation);
  check_causal_conv1d_backward(s, x, grad_output, grad_new_state, activated);
  return for_dtype(op, "x", x, [&](auto number) {
    return backward<decltype(number)>(s, grad_output, grad_new_state, x, state, weight, activated, need_input_grad,
                                      need_state_grad, need_weight_grad, need_bias_grad);
  });
}

}  // namespace

#if defined(__CUDACC__)
STABLE_TORCH_LIBRARY_IMPL(seqlight, CUDA, m) {
  m.impl("causal_conv1d_forward", TORCH_BOX(&causal_conv1d_forward));
  m.impl("causal_conv1d_backward", TORCH_BOX(&causal_conv1d_backward));
}
#endif

}  // namespace seqlight::cuda
