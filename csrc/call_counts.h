// Counts native calls per operator and dtype, so that a test can prove that a kernel ran and no fallback.
#pragma once

#include <cstdint>
#include <map>
#include <string>

namespace seqlight {

enum class Op {
  lstm_forward,
  lstm_backward,
  gru_forward,
  gru_backward,
  rnn_forward,
  rnn_backward,
  causal_conv1d_forward,
  causal_conv1d_backward,
  wavenet_generate,
  wavenet_layer_forward,
  wavenet_layer_backward,
};

// `threads` is how many threads took part in the call.
void count_call(Op op, bool is_double, int64_t threads);

// Like {"lstm_forward.float32": 3}; operators that were not called are missing.
std::map<std::string, int64_t> call_counts();

int64_t last_thread_count();

}  // namespace seqlight
