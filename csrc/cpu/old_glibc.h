// Keeps the binary loadable where glibc is 2.28, as torch's own wheels are, whatever glibc it is built on.
//
// A newer glibc gives `exp` a second version, which the linker would take; both compute the same. What else a newer one
// adds is in old_glibc.cpp, or not used: std::mutex::try_lock, whose function moved from libpthread to libc.
// `make wheels` has auditwheel look at every symbol.
#pragma once

#include <cstddef>  // defines __GLIBC__ where there is one

#if defined(__GLIBC__) && defined(__x86_64__)
__asm__(".symver exp, exp@GLIBC_2.2.5");
#endif
