#include "instruction_set.h"

#include <cstdlib>
#include <stdexcept>
#include <string>

#include "elementwise_kernels.h"

namespace seqlight::cpu {
namespace {

// Of each instruction set all kernels are built, or none.
bool is_built(InstructionSet set) {
#if defined(__x86_64__)
  if (set == InstructionSet::avx512) return &avx512_512::elementwise_float != nullptr;
  if (set == InstructionSet::avx2) return &avx2_256::elementwise_float != nullptr;
#endif
  return set == InstructionSet::base && &base::elementwise_float != nullptr;
}

const char* name_of(InstructionSet set) {
  if (set == InstructionSet::avx512) return "avx512";
  if (set == InstructionSet::avx2) return "avx2";
#if defined(__aarch64__)
  return "neon";
#else
  return "base";
#endif
}

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
  while (choice > InstructionSet::base && !is_built(choice))
    choice = static_cast<InstructionSet>(static_cast<int>(choice) - 1);
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
  if (!is_built(choice)) {
    std::string built;
    for (const char* name : built_instruction_sets()) built += (built.empty() ? "" : ", ") + std::string(name);
    throw std::runtime_error((wanted.empty() ? "this CPU needs " : "SEQLIGHT_CPU_ISA asks for ") +
                             std::string(name_of(choice)) + ", but seqlight was built for " + built +
                             " only; build it with SEQLIGHT_BUILD_ISA=all (in a source tree: make build-all)");
  }
  return choice;
}

}  // namespace

InstructionSet instruction_set() {
  static const InstructionSet chosen = choose();
  return chosen;
}

const char* instruction_set_name() { return name_of(instruction_set()); }

std::vector<const char*> built_instruction_sets() {
  std::vector<const char*> names;
  for (const InstructionSet set : {InstructionSet::base, InstructionSet::avx2, InstructionSet::avx512})
    if (is_built(set)) names.push_back(name_of(set));
  return names;
}

}  // namespace seqlight::cpu
