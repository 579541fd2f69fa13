// Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"): four random words from a counter
// of four words and a key of two. No state, so that any thread makes the same number for the same element.
#pragma once

#include <cstdint>

#include "cell.h"

namespace seqlight {

// Replaces the counter by the random words. Integer is uint64_t, or a vector of them, that holds a word of 32 bits.
template <typename Integer>
SEQLIGHT_CELL void philox4x32(Integer (&words)[4], uint32_t key_low, uint32_t key_high) {
  constexpr uint64_t kWord = 0xffffffff;
  for (int round = 0; round < 10; ++round) {
    const Integer first = words[0] * uint64_t{0xd2511f53}, second = words[2] * uint64_t{0xcd9e8d57};
    words[0] = (second >> 32) ^ words[1] ^ uint64_t { key_low };
    words[1] = second & kWord;
    words[2] = (first >> 32) ^ words[3] ^ uint64_t { key_high };
    words[3] = first & kWord;
    key_low += 0x9e3779b9;
    key_high += 0xbb67ae85;
  }
}

struct PhiloxWords {
  uint32_t word[4];
};

// The same for one counter; the key is the seed's low 32 bits, then its high 32 bits.
SEQLIGHT_CELL PhiloxWords philox4x32(uint64_t seed, const PhiloxWords& counter) {
  uint64_t words[4] = {counter.word[0], counter.word[1], counter.word[2], counter.word[3]};
  philox4x32(words, static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32));
  return {{static_cast<uint32_t>(words[0]), static_cast<uint32_t>(words[1]), static_cast<uint32_t>(words[2]),
           static_cast<uint32_t>(words[3])}};
}

// A word as a number in [0, 1).
SEQLIGHT_CELL double philox_uniform(uint32_t word) { return word * 0x1p-32; }

}  // namespace seqlight
