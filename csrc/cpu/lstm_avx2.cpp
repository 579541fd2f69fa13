#include "lstm_kernels.h"
#include "target.h"
#if defined(__x86_64__)
#include <immintrin.h>
SEQLIGHT_TARGET_BEGIN("avx2,fma")
#define SEQLIGHT_ISA avx2
#define SEQLIGHT_VECTOR_BYTES 32
#define SEQLIGHT_VECTOR_REGISTERS 16
#include "lstm.inl"
SEQLIGHT_TARGET_END
#endif
