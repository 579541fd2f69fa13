#include "old_glibc.h"

#if defined(__GLIBC__)
// std::shared_ptr counts without atomic instructions while this is not zero, a variable of glibc 2.32 and later. Ours
// takes its place in this library alone, and says that there may always be other threads, which is right everywhere.
extern "C" __attribute__((visibility("hidden"))) char __libc_single_threaded;
char __libc_single_threaded = 0;
#endif
