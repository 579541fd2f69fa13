#include "recurrent_kernels.h"
#include "target.h"
#if defined(__x86_64__)
#include <immintrin.h>
SEQLIGHT_TARGET_BEGIN("avx2,fma")
#define SEQLIGHT_TARGET_FMA
#define SEQLIGHT_VECTOR_REGISTERS 16
#define SEQLIGHT_ISA avx2_256
#define SEQLIGHT_VECTOR_BYTES 32
#include "lstm_kernels.inl"
SEQLIGHT_TARGET_END
#endif
