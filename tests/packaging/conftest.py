"""A copy of the build's own files around a toy extension that compiles in a second."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]

TOY_EXTENSION = """
#include <Python.h>
#include "answer.inl"
static PyObject* cpu_isa(PyObject*, PyObject*) { return PyUnicode_FromString("toy"); }
static PyObject* build_info(PyObject*, PyObject*) {
  return Py_BuildValue("{s:O,s:i}", "cuda", Py_False, "answer", ANSWER);
}
static PyMethodDef methods[] = {{"cpu_isa", cpu_isa, METH_NOARGS, nullptr},
                                {"build_info", build_info, METH_NOARGS, nullptr},
                                {nullptr, nullptr, 0, nullptr}};
static PyModuleDef module = {
    PyModuleDef_HEAD_INIT, "_C", nullptr, -1, methods, nullptr, nullptr, nullptr, nullptr};
PyMODINIT_FUNC PyInit__C() { return PyModule_Create(&module); }
"""


class Project:
    """A source tree in ``root`` that is built by this repository's setup.py and pyproject.toml."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for name in ("setup.py", "pyproject.toml", "LICENSE"):
            shutil.copy(REPOSITORY / name, root / name)
        (root / "README.md").touch()
        package = root / "seqlight"
        package.mkdir()
        for name in ("__init__.py", "_extension.py", "py.typed"):
            shutil.copy(REPOSITORY / "seqlight" / name, package / name)
        (root / "csrc").mkdir()
        (root / "csrc" / "module.cpp").write_text(TOY_EXTENSION)
        (root / "csrc" / "answer.inl").write_text("#define ANSWER 42\n")

    @property
    def binaries(self) -> list[Path]:
        """Extensions that lie in the package's folder."""
        return sorted((self.root / "seqlight").glob("_C.*.so"))

    @property
    def reasons(self) -> str:
        """What the build recorded as left out."""
        return (self.root / "seqlight" / "_build_reason.txt").read_text()

    def run(self, *arguments: str, **variables: str | None) -> subprocess.CompletedProcess[str]:
        """Run Python here; ``variables`` change the environment, None removes one."""
        changes = {
            "SEQLIGHT_BUILD": None,
            "SEQLIGHT_BUILD_ISA": None,
            "SEQLIGHT_CUDA": None,
            "SEQLIGHT_DISABLE_NATIVE": None,
            **variables,
        }
        environment = {key: value for key, value in os.environ.items() if key not in changes}
        environment |= {key: value for key, value in changes.items() if value is not None}
        return subprocess.run(
            [sys.executable, *arguments], cwd=self.root, env=environment, capture_output=True, text=True
        )

    def build(self, **variables: str | None) -> subprocess.CompletedProcess[str]:
        """Build in place, as ``make build`` does."""
        return self.run("setup.py", "-q", "build_ext", "--inplace", **variables)

    def build_info(self, **variables: str | None) -> subprocess.CompletedProcess[str]:
        """Print ``seqlight.build_info()`` of this tree as JSON."""
        # An editable installation of the repository would lend its extension where this tree has none.
        code = (
            "import json, sys\n"
            "sys.meta_path[:] = [finder for finder in sys.meta_path if '__editable__' not in repr(finder)]\n"
            "import seqlight\n"
            "print(json.dumps(seqlight.build_info()))"
        )
        return self.run("-c", code, **variables)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)
