// Which of the compiled kernel variants this process uses.
#pragma once

namespace seqlight::cpu {

enum class InstructionSet { base, avx2, avx512 };

// Chosen once: the best the CPU has, or a lower one named by the environment variable SEQLIGHT_CPU_ISA
// ("base", "avx2" or "avx512"). Throws std::runtime_error for a name that is unknown or that this CPU lacks.
InstructionSet instruction_set();

// "avx512", "avx2", "base" on x86; "neon" on 64-bit Arm, where the base variant is compiled to NEON.
const char* instruction_set_name();

}  // namespace seqlight::cpu
