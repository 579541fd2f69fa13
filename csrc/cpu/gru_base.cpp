#include "recurrent_kernels.h"
#if defined(__aarch64__)
#define SEQLIGHT_VECTOR_REGISTERS 32
#else
#define SEQLIGHT_VECTOR_REGISTERS 16
#endif

#define SEQLIGHT_ISA base
#define SEQLIGHT_VECTOR_BYTES 16
#include "gru_kernels.inl"
