// Causal convolutions' view of a sequence: what came before it, and what is left for the one after it.
#pragma once

#include "tensors.cuh"

namespace seqlight::cuda {

// x [B, T, C], and before it the state [B, past, C].
template <typename T>
struct Inputs {
  StridedRows<T> x, state;
  int64_t past;

  SEQLIGHT_CELL T operator()(int64_t batch, int64_t time, int64_t channel) const {
    return time >= 0 ? x(batch, time, channel) : state(batch, time + past, channel);
  }
};

// [B, past, C], the last `past` inputs. Element: (b, row of the state, channel).
template <typename T>
struct NextState {
  Inputs<T> inputs;
  int64_t time, channels;
  T* target;

  __device__ void operator()(int64_t i) const {
    const int64_t row = i / channels, batch = row / inputs.past;
    // Of a short sequence, what is left of the state moves up.
    target[i] = inputs(batch, time - inputs.past + row % inputs.past, i % channels);
  }
};

}  // namespace seqlight::cuda
