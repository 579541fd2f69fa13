// Memory for one call.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>

namespace seqlight::cpu {

// Zeros, aligned to cache lines, so that no vector load touches two of them.
template <typename T>
class AlignedBuffer {
 public:
  explicit AlignedBuffer(int64_t count = 0) {
    const std::size_t bytes = (count * sizeof(T) + 127) / 64 * 64;
    memory_.reset(static_cast<T*>(std::aligned_alloc(64, bytes)));
    if (!memory_) throw std::bad_alloc();
    std::memset(memory_.get(), 0, bytes);
  }
  T* data() const { return memory_.get(); }

 private:
  struct Free {
    void operator()(T* memory) const { std::free(memory); }
  };
  std::unique_ptr<T, Free> memory_;
};

}  // namespace seqlight::cpu
