// What AddressSanitizer (`make sanitize`) needs to see every access: memory exactly as large as it was asked for and
// not used again, and masked and non-temporal loads and stores, which the compiler does not instrument, checked by
// hand.
#pragma once

#include <cstdint>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SEQLIGHT_ADDRESS_SANITIZER 1
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define SEQLIGHT_ADDRESS_SANITIZER 1
#endif

#if defined(SEQLIGHT_ADDRESS_SANITIZER)
extern "C" void __asan_loadN(void*, uintptr_t);
extern "C" void __asan_storeN(void*, uintptr_t);
#define SEQLIGHT_CHECK_LOAD(source, count) __asan_loadN((void*)(source), (count) * sizeof *(source))
#define SEQLIGHT_CHECK_STORE(target, count) __asan_storeN((void*)(target), (count) * sizeof *(target))
#else
#define SEQLIGHT_CHECK_LOAD(source, count) ((void)0)
#define SEQLIGHT_CHECK_STORE(target, count) ((void)0)
#endif

namespace seqlight::cpu {

#if defined(SEQLIGHT_ADDRESS_SANITIZER)
inline constexpr bool kAddressSanitizer = true;
#else
inline constexpr bool kAddressSanitizer = false;
#endif

}  // namespace seqlight::cpu
