#include "recurrent_kernels.h"
#include "target.h"
#if defined(__x86_64__)
#include <immintrin.h>
SEQLIGHT_TARGET_BEGIN("avx512f,avx512dq,avx512vl,avx512bw,avx2,fma")
#define SEQLIGHT_TARGET_FMA
#define SEQLIGHT_VECTOR_REGISTERS 32
#define SEQLIGHT_ISA avx512_512
#define SEQLIGHT_VECTOR_BYTES 64
#include "gru_kernels.inl"
SEQLIGHT_TARGET_END
#endif
