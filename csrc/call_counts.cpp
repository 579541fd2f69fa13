#include "call_counts.h"

#include <atomic>

namespace seqlight {
namespace {

constexpr const char* kNames[] = {
    "lstm_forward",     "lstm_backward",         "gru_forward",           "gru_backward",
    "rnn_forward",      "rnn_backward",          "causal_conv1d_forward", "causal_conv1d_backward",
    "wavenet_generate", "wavenet_layer_forward", "wavenet_layer_backward"};
constexpr int kOps = sizeof kNames / sizeof kNames[0];

std::atomic<int64_t> counts[kOps][2];
std::atomic<int64_t> thread_count{0};

}  // namespace

void count_call(Op op, bool is_double, int64_t threads) {
  counts[static_cast<int>(op)][is_double].fetch_add(1, std::memory_order_relaxed);
  thread_count.store(threads, std::memory_order_relaxed);
}

std::map<std::string, int64_t> call_counts() {
  std::map<std::string, int64_t> result;
  for (int op = 0; op < kOps; ++op)
    for (int is_double = 0; is_double < 2; ++is_double)
      if (const int64_t n = counts[op][is_double].load(std::memory_order_relaxed))
        result[std::string(kNames[op]) + (is_double ? ".float64" : ".float32")] = n;
  return result;
}

int64_t last_thread_count() { return thread_count.load(std::memory_order_relaxed); }

}  // namespace seqlight
