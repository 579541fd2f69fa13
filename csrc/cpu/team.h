// A barrier for threads that work on the same time step together.
#pragma once

#include <atomic>
#include <cstdint>
#include <thread>

namespace seqlight::cpu {

// Counts shares of the work rather than threads: torch's pool may hand several shares to one thread (when it has fewer
// threads than was asked for, or inside another parallel region), and the barrier must not wait for threads that are
// not there. Spinning is right while every thread has a core; after a while the core is given away.
class Team {
 public:
  explicit Team(int64_t shares) : shares_(shares) {}

  void wait(int64_t arriving_shares) {
    const uint64_t round = round_.load(std::memory_order_acquire);
    if (arrived_.fetch_add(arriving_shares, std::memory_order_acq_rel) + arriving_shares == shares_) {
      arrived_.store(0, std::memory_order_relaxed);
      round_.store(round + 1, std::memory_order_release);
      return;
    }
    for (int spins = 0; round_.load(std::memory_order_acquire) == round; ++spins) {
      if (spins > kSpins) {
        std::this_thread::yield();
        continue;
      }
#if defined(__x86_64__)
      __builtin_ia32_pause();
#endif
    }
  }

 private:
  static constexpr int kSpins = 4096;
  const int64_t shares_;
  alignas(64) std::atomic<int64_t> arrived_{0};
  alignas(64) std::atomic<uint64_t> round_{0};
};

}  // namespace seqlight::cpu
