// Philox4x32-10, a counter-based random number generator (Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as
// easy as 1, 2, 3", 2011): ten rounds turn a counter of four 32-bit words and a key of two into four random words.
#pragma once

#include <cstdint>

#include "cell.h"

namespace seqlight {

struct PhiloxWords {
  uint32_t word[4];
};

// The key is the seed's low 32 bits, then its high 32 bits.
SEQLIGHT_CELL PhiloxWords philox4x32(uint64_t seed, PhiloxWords counter) {
  uint32_t key0 = static_cast<uint32_t>(seed), key1 = static_cast<uint32_t>(seed >> 32);
  for (int round = 0; round < 10; ++round) {
    const uint64_t product0 = uint64_t{0xD2511F53} * counter.word[0];
    const uint64_t product1 = uint64_t{0xCD9E8D57} * counter.word[2];
    counter = {{static_cast<uint32_t>(product1 >> 32) ^ counter.word[1] ^ key0, static_cast<uint32_t>(product1),
                static_cast<uint32_t>(product0 >> 32) ^ counter.word[3] ^ key1, static_cast<uint32_t>(product0)}};
    key0 += 0x9E3779B9;  // the golden ratio
    key1 += 0xBB67AE85;  // sqrt(3) - 1
  }
  return counter;
}

// A word as a number in [0, 1).
SEQLIGHT_CELL double philox_uniform(uint32_t word) { return word * 0x1p-32; }

}  // namespace seqlight
