#include "instruction_set.h"

#include <cstdlib>
#include <stdexcept>
#include <string>

namespace seqlight::cpu {
namespace {

InstructionSet best_supported() {
#if defined(__x86_64__)
  __builtin_cpu_init();
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  if (avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
    return InstructionSet::avx512;
  if (avx2) return InstructionSet::avx2;
#endif
  return InstructionSet::base;
}

InstructionSet choose() {
  const InstructionSet best = best_supported();
  const char* variable = std::getenv("SEQLIGHT_CPU_ISA");
  const std::string wanted = variable ? variable : "";
  InstructionSet choice = best;
  if (wanted == "base" || wanted == "neon") {
    choice = InstructionSet::base;
  } else if (wanted == "avx2") {
    choice = InstructionSet::avx2;
  } else if (wanted == "avx512") {
    choice = InstructionSet::avx512;
  } else if (!wanted.empty()) {
    throw std::runtime_error("SEQLIGHT_CPU_ISA expected base, avx2 or avx512, got '" + wanted + "'");
  }
  if (choice > best) throw std::runtime_error("SEQLIGHT_CPU_ISA asks for " + wanted + ", which this CPU does not have");
  return choice;
}

}  // namespace

InstructionSet instruction_set() {
  static const InstructionSet chosen = choose();
  return chosen;
}

const char* instruction_set_name() {
  switch (instruction_set()) {
    case InstructionSet::avx512:
      return "avx512";
    case InstructionSet::avx2:
      return "avx2";
    default:
#if defined(__aarch64__)
      return "neon";
#else
      return "base";
#endif
  }
}

}  // namespace seqlight::cpu
