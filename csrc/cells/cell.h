// Marks functions that the CPU kernels (for vectors) and the CUDA kernels (for numbers) share.
#pragma once

#if defined(__CUDACC__)
#define SEQLIGHT_CELL __host__ __device__ __forceinline__
#else
#define SEQLIGHT_CELL inline __attribute__((always_inline))
#endif
