// Scratch memory that a thread keeps between calls: glibc would map and fault large buffers anew every time.
#pragma once

#include <cstdlib>
#include <new>

#include "sanitizer.h"

namespace seqlight::cpu {

enum class ScratchUse { packed_weights, kernel, gradients, sequences };

// At least `count` numbers in 64-byte aligned memory, valid until this thread asks for the same use again. Up to 8 MiB
// for each use stay with the thread; more than that is given back by the next call that needs less.
template <ScratchUse kUse, typename T>
T* thread_scratch(std::size_t count) {
  struct Buffer {
    void* memory = nullptr;
    std::size_t size = 0;
    ~Buffer() { std::free(memory); }
  };
  constexpr std::size_t kKept = std::size_t{8} << 20, kPage = 4096;
  static thread_local Buffer buffer;
  std::size_t bytes = (count * sizeof(T) + kPage) / kPage * kPage;
  if (kAddressSanitizer) bytes = count * sizeof(T);
  if (bytes > buffer.size || (buffer.size > kKept && bytes <= kKept) || kAddressSanitizer) {
    std::free(buffer.memory);
    buffer.memory = nullptr;
    buffer.size = 0;
    if (posix_memalign(&buffer.memory, kPage, bytes) != 0) throw std::bad_alloc();
    buffer.size = bytes;
  }
  return static_cast<T*>(buffer.memory);
}

}  // namespace seqlight::cpu
