// Threads of the CPU that stand for those of a block where the kernels are tested without a GPU: what one of them
// wrongly leaves to another, or does alone, shows there too.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>
#include <vector>

namespace seqlight {

class HostTeam {
 public:
  static constexpr int64_t kThreads = 3, kMostValues = 2;

  // Replaces each value by its sum over all threads, added in the same order by everyone.
  template <typename T, int kCount>
  void sum(int64_t thread, T (&values)[kCount]) {
    static_assert(kCount <= kMostValues);
    for (int n = 0; n < kCount; ++n) parts_[thread][n] = static_cast<double>(values[n]);
    wait();
    for (int n = 0; n < kCount; ++n) {
      values[n] = T(0);
      for (const auto& part : parts_) values[n] += static_cast<T>(part[n]);
    }
    wait();
  }

  // Runs body(thread) on all threads at once.
  template <typename Body>
  static void run(const Body& body) {
    std::vector<std::thread> threads;
    for (int64_t thread = 0; thread < kThreads; ++thread) threads.emplace_back([&body, thread] { body(thread); });
    for (std::thread& each : threads) each.join();
  }

 private:
  void wait() {
    std::unique_lock<std::mutex> lock(mutex_);
    const int64_t round = round_;
    if (++arrived_ == kThreads) {
      arrived_ = 0;
      ++round_;
      everyone_.notify_all();
    } else {
      everyone_.wait(lock, [&] { return round_ != round; });
    }
  }

  double parts_[kThreads][kMostValues] = {};
  std::mutex mutex_;
  std::condition_variable everyone_;
  int64_t arrived_ = 0, round_ = 0;
};

}  // namespace seqlight
