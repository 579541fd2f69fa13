// Threads of the CPU that stand for those of a block where the kernels are tested without a GPU: what one of them
// wrongly leaves to another, or does alone, shows there too.
//
// They run one at a time, each until it waits for the others, so a barrier that is missing shows in every run and not
// in an unlucky one: whoever runs first then reads what nobody has written yet. From one barrier to the next the order
// of the threads changes, since a thread that is always first, or always last, could hide that.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace seqlight::cuda {

class HostTeam {
 public:
  static constexpr int64_t kMostValues = 2;

  explicit HostTeam(int64_t threads) : parts_(threads), turns_(threads) { running_ = in_order(0); }

  // Until all threads have got here.
  void wait(int64_t thread) {
    std::unique_lock<std::mutex> lock(mutex_);
    pass_on();
    turns_[thread].wait(lock, [&] { return running_ == thread; });
  }

  // Replaces each value by its sum over all threads, added in the same order by everyone.
  template <typename T, int kCount>
  void sum(int64_t thread, T (&values)[kCount]) {
    static_assert(kCount <= kMostValues);
    for (int n = 0; n < kCount; ++n) parts_[thread].values[n] = static_cast<double>(values[n]);
    wait(thread);
    for (int n = 0; n < kCount; ++n) {
      values[n] = T(0);
      for (const Part& part : parts_) values[n] += static_cast<T>(part.values[n]);
    }
    wait(thread);
  }

  // Runs body(thread) on all threads.
  template <typename Body>
  void run(const Body& body) {
    std::vector<std::thread> threads;
    for (int64_t thread = 0; thread < size(); ++thread)
      threads.emplace_back([this, &body, thread] {
        {
          std::unique_lock<std::mutex> lock(mutex_);
          turns_[thread].wait(lock, [&] { return running_ == thread; });
        }
        body(thread);
        const std::lock_guard<std::mutex> lock(mutex_);
        ++ended_;
        pass_on();
      });
    for (std::thread& each : threads) each.join();
  }

 private:
  struct Part {
    double values[kMostValues];
  };

  int64_t size() const { return static_cast<int64_t>(turns_.size()); }
  // A period of three, since a loop with two barriers would meet its parts in the same two orders again and again.
  int64_t in_order(int64_t place) const { return round_ % 3 == 0 ? place : size() - 1 - place; }

  void pass_on() {
    if (++arrived_ == size()) {
      if (ended_ != 0 && ended_ != size()) {
        std::fputs("HostTeam: some threads wait at a barrier, others have ended\n", stderr);
        std::terminate();
      }
      arrived_ = 0;
      ++round_;
    }
    running_ = in_order(arrived_);
    turns_[running_].notify_one();
  }

  std::vector<Part> parts_;
  std::mutex mutex_;
  std::vector<std::condition_variable> turns_;  // of each thread
  int64_t arrived_ = 0, round_ = 0, ended_ = 0, running_ = 0;
};

}  // namespace seqlight::cuda
