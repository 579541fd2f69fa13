// Compiles one region of a file for one instruction set. Only the five-line wrappers (lstm_avx2.cpp, ...) use it:
// a whole file built with -mavx2 could leak AVX2 copies of inline standard-library functions into the binary.
#pragma once

#include "sanitizer.h"

#define SEQLIGHT_STRINGIFY_(x) #x
#define SEQLIGHT_STRINGIFY(x) SEQLIGHT_STRINGIFY_(x)

#if defined(__clang__)
#define SEQLIGHT_TARGET_BEGIN(features) \
  _Pragma(SEQLIGHT_STRINGIFY(clang attribute push(__attribute__((target(features))), apply_to = function)))
#define SEQLIGHT_TARGET_END _Pragma("clang attribute pop")
#else
#define SEQLIGHT_TARGET_BEGIN(features) _Pragma("GCC push_options") _Pragma(SEQLIGHT_STRINGIFY(GCC target(features)))
#define SEQLIGHT_TARGET_END _Pragma("GCC pop_options")
#endif
