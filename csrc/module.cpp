// seqlight._C: tells what was built; importing it registers the operators (registration.cpp, cpu/, cuda/).
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>
#include <torch/headeronly/version.h>

#include "call_counts.h"
#include "cpu/instruction_set.h"

#define SEQLIGHT_TEXT_(x) #x
#define SEQLIGHT_TEXT(x) SEQLIGHT_TEXT_(x)

PYBIND11_MODULE(_C, m) {
  seqlight::cpu::instruction_set();  // a wrong SEQLIGHT_CPU_ISA fails here, at import
  m.def("build_info", [] {
    pybind11::dict info;
    info["torch_headers"] = TORCH_VERSION;
    info["compiler"] = __VERSION__;
    info["cxx_standard"] = static_cast<long>(__cplusplus);
    info["pybind11"] = SEQLIGHT_TEXT(PYBIND11_VERSION_MAJOR) "." SEQLIGHT_TEXT(PYBIND11_VERSION_MINOR);
    pybind11::list instruction_sets;
    for (const char* name : seqlight::cpu::built_instruction_sets()) instruction_sets.append(name);
    info["cpu_isas"] = instruction_sets;
#ifdef SEQLIGHT_CUDA
    info["cuda"] = true;
#else
    info["cuda"] = false;
#endif
    return info;
  });
  m.def("cpu_isa", &seqlight::cpu::instruction_set_name);
  m.def("call_counts", &seqlight::call_counts);
  m.def("last_thread_count", &seqlight::last_thread_count);
}
