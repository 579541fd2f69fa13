// How much of a core's own cache the kernels may plan with.
#pragma once

#include <algorithm>
#include <cstdint>
#if defined(__linux__)
#include <unistd.h>
#endif

namespace seqlight::cpu {

// Bytes of the L2 cache, as far as the system tells: 1 MiB if it does not, and no more than 2, for a larger one is
// shared between cores.
inline int64_t level_two_cache_bytes() {
#if defined(_SC_LEVEL2_CACHE_SIZE)
  static const int64_t told = sysconf(_SC_LEVEL2_CACHE_SIZE);
  if (told > 0) return std::min<int64_t>(told, int64_t{2} << 20);
#endif
  return int64_t{1} << 20;
}

}  // namespace seqlight::cpu
