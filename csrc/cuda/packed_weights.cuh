// Packed weights on CUDA: a copy of all weights in one tensor, as they are. The products are the library's, which needs
// no layout of its own; the copy keeps what `with layer.packed():` promises, the weights as they were at its entry.
#pragma once

#include <initializer_list>

#include "recurrent.cuh"

namespace seqlight {

inline Tensor pack_weights(std::initializer_list<MaybeTensor> weights) {
  int64_t total = 0;
  const Tensor& first = **weights.begin();
  for (const MaybeTensor& weight : weights) total += weight ? weight->numel() : 0;
  Tensor packed = new_empty(first, {total});
  int64_t begin = 0;
  for (const MaybeTensor& weight : weights) {
    if (!weight) continue;
    Tensor part = narrowed(packed, 0, begin, weight->numel());
    torch::stable::copy_(part, torch::stable::view(prepared(*weight), {weight->numel()}));
    begin += weight->numel();
  }
  return packed;
}

// Puts the packed weights, if there are any, in the place of those given, whose order is that of packing.
inline void take_packed(const char* op, const MaybeTensor& packed, RecurrentInputs& in) {
  if (!packed) return;
  MaybeTensor weight_ih = in.weight_ih, weight_hh = in.weight_hh;
  MaybeTensor* const weights[] = {&weight_ih, &weight_hh, &in.bias_ih, &in.bias_hh, &in.extra};
  int64_t total = 0;
  for (const MaybeTensor* weight : weights) total += *weight ? (*weight)->numel() : 0;
  check_shape(op, "packed", *packed, "what was packed from these weights", {total});
  check_kind(op, "packed", *packed, "x", in.x);
  const Tensor all = detached(*packed);
  int64_t begin = 0;
  for (MaybeTensor* weight : weights) {
    if (!*weight) continue;
    const int64_t count = (*weight)->numel();
    *weight = torch::stable::view(narrowed(all, 0, begin, count), (*weight)->sizes());
    begin += count;
  }
  in.weight_ih = *weight_ih;
  in.weight_hh = *weight_hh;
}

}  // namespace seqlight
