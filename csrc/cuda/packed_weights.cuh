// Packed weights on CUDA: a copy of all weights in one tensor, as they are. The products are the library's, which needs
// no layout of its own; the copy is one argument for all of them, as on the CPU.
#pragma once

#include <initializer_list>

#include "recurrent.cuh"

namespace seqlight::cuda {

// weight_ih, weight_hh, both biases (zeros for one that there is not) and the cell's own weights.
inline Tensor pack_weights(const char* op, int64_t gates, const Tensor& weight_ih, const Tensor& weight_hh,
                           const MaybeTensor& bias_ih, const MaybeTensor& bias_hh, const MaybeTensor& extra) {
  check_pack(op, gates, weight_ih, weight_hh, bias_ih, bias_hh, extra);
  const int64_t rows = weight_ih.size(0);
  const int64_t total = weight_ih.numel() + weight_hh.numel() + 2 * rows + (extra ? extra->numel() : 0);
  Tensor packed = new_zeros(weight_ih, {total});
  int64_t begin = 0;
  const auto add = [&](const MaybeTensor& weight, int64_t count) {
    if (weight) {
      Tensor part = narrowed(packed, 0, begin, count);
      torch::stable::copy_(part, torch::stable::view(prepared(*weight), {count}));
    }
    begin += count;
  };
  add(weight_ih, weight_ih.numel());
  add(weight_hh, weight_hh.numel());
  add(bias_ih, rows);
  add(bias_hh, rows);
  if (extra) add(extra, extra->numel());
  return packed;
}

// Puts the packed weights in the place of those in `in`. `rows` are those of the weights, `extras` the cell's own.
inline void take_packed(const char* op, const Tensor& packed, const RecurrentSizes& s, int64_t rows, int64_t extras,
                        RecurrentInputs& in) {
  const int64_t I = s.input_size, H = s.hidden_size;
  check_shape(op, "packed", packed, "what was packed from these weights", {rows * (I + H + 2) + extras * H});
  check_kind(op, "packed", packed, "x", in.x);
  const Tensor all = detached(packed);
  int64_t begin = 0;
  const auto take = [&](int64_t count, std::initializer_list<int64_t> shape) {
    begin += count;
    return torch::stable::view(narrowed(all, 0, begin - count, count), shape);
  };
  in.weight_ih = take(rows * I, {rows, I});
  in.weight_hh = take(rows * H, {rows, H});
  in.bias_ih = take(rows, {rows});
  in.bias_hh = take(rows, {rows});
  if (extras) in.extra = take(extras * H, {extras, H});
}

// One step with packed weights and nothing else.
template <typename T, template <typename> typename CellOf>
RecurrentOutputs recurrent_step(const char* op, const RecurrentSizes& s, const Tensor& x, const Tensor& h0,
                                const MaybeTensor& c0, const Tensor& packed, int64_t extras, bool relu) {
  // In the place of the weights, until they are taken: what was packed of them.
  RecurrentInputs in = ready(op, {x, h0, c0, packed, packed, {}, {}, {}, {}, {}, relu, false});
  take_packed(op, packed, s, CellOf<T>::kGates * s.hidden_size, extras, in);
  return recurrent_forward<T, CellOf>(s, in, false);
}

}  // namespace seqlight::cuda
