// Which of the compiled kernel variants this process uses.
#pragma once

#include <vector>

// Marks the kernels of one instruction set. A build for one machine leaves those of the others out, and what is left
// out has the address null. Other object formats than ELF have one instruction set only.
#if defined(__ELF__)
#define SEQLIGHT_MAY_BE_LEFT_OUT __attribute__((weak))
#else
#define SEQLIGHT_MAY_BE_LEFT_OUT
#endif

namespace seqlight::cpu {

enum class InstructionSet { base, avx2, avx512 };

// Chosen once: the best the CPU has, or a lower one named by the environment variable SEQLIGHT_CPU_ISA
// ("base", "avx2" or "avx512"). Throws std::runtime_error for a name that is unknown, that this CPU lacks, or whose
// kernels this build lacks, and where it has none that this CPU can run.
InstructionSet instruction_set();

// "avx512", "avx2", "base" on x86; "neon" on 64-bit Arm, where the base variant is compiled to NEON.
const char* instruction_set_name();

// The names of all variants in this build, the least first.
std::vector<const char*> built_instruction_sets();

}  // namespace seqlight::cpu
