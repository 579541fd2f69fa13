// seqlight._C: tells what was built; importing it registers the operators (registration.cpp, cpu/, cuda/).
//
// Written in the limited C API, so that one binary serves every Python from 3.11 on.
#include <Python.h>
#include <torch/headeronly/version.h>

#include <exception>

#include "call_counts.h"
#include "cpu/instruction_set.h"

namespace {

// Puts `value`, whose reference it takes over, into the dict; false, with Python's error set, where that fails.
bool put(PyObject* dict, const char* name, PyObject* value) {
  if (!value) return false;
  const bool done = PyDict_SetItemString(dict, name, value) == 0;
  Py_DECREF(value);
  return done;
}

PyObject* instruction_sets() {
  PyObject* list = PyList_New(0);
  for (const char* name : seqlight::cpu::built_instruction_sets()) {
    PyObject* text = list ? PyUnicode_FromString(name) : nullptr;
    if (!text || PyList_Append(list, text) != 0) {
      Py_CLEAR(list);
    }
    Py_XDECREF(text);
  }
  return list;
}

PyObject* build_info(PyObject*, PyObject*) {
#ifdef SEQLIGHT_CUDA
  const bool cuda = true;
#else
  const bool cuda = false;
#endif
#ifdef Py_LIMITED_API
  const char* const python_abi = "abi3";
#else
  const char* const python_abi = "cp" Py_STRINGIFY(PY_MAJOR_VERSION) Py_STRINGIFY(PY_MINOR_VERSION);
#endif
  PyObject* info = PyDict_New();
  if (info && put(info, "torch_headers", PyUnicode_FromString(TORCH_VERSION)) &&
      put(info, "compiler", PyUnicode_FromString(__VERSION__)) &&
      put(info, "cxx_standard", PyLong_FromLong(__cplusplus)) &&
      put(info, "python_abi", PyUnicode_FromString(python_abi)) && put(info, "cpu_isas", instruction_sets()) &&
      put(info, "cuda", PyBool_FromLong(cuda)))
    return info;
  Py_XDECREF(info);
  return nullptr;
}

PyObject* cpu_isa(PyObject*, PyObject*) { return PyUnicode_FromString(seqlight::cpu::instruction_set_name()); }

PyObject* call_counts(PyObject*, PyObject*) {
  PyObject* counts = PyDict_New();
  for (const auto& [name, count] : seqlight::call_counts())
    if (counts && !put(counts, name.c_str(), PyLong_FromLongLong(count))) Py_CLEAR(counts);
  return counts;
}

PyObject* last_thread_count(PyObject*, PyObject*) { return PyLong_FromLongLong(seqlight::last_thread_count()); }

PyMethodDef methods[] = {{"build_info", build_info, METH_NOARGS, nullptr},
                         {"cpu_isa", cpu_isa, METH_NOARGS, nullptr},
                         {"call_counts", call_counts, METH_NOARGS, nullptr},
                         {"last_thread_count", last_thread_count, METH_NOARGS, nullptr},
                         {nullptr, nullptr, 0, nullptr}};

PyModuleDef definition = {PyModuleDef_HEAD_INIT, "_C", nullptr, -1, methods, nullptr, nullptr, nullptr, nullptr};

}  // namespace

PyMODINIT_FUNC PyInit__C() {
  try {
    seqlight::cpu::instruction_set();  // a wrong SEQLIGHT_CPU_ISA fails here, at import
  } catch (const std::exception& error) {
    PyErr_SetString(PyExc_ImportError, error.what());
    return nullptr;
  }
  return PyModule_Create(&definition);
}
