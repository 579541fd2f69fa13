"""What the compiled extension asks of the system and of torch: no more than its wheel promises."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import seqlight
from seqlight import _extension

PURE_PYTHON = os.environ.get("SEQLIGHT_BUILD") == "0" or os.environ.get("SEQLIGHT_DISABLE_NATIVE") == "1"
pytestmark = [
    pytest.mark.skipif(PURE_PYTHON, reason="asked for the pure Python package"),
    pytest.mark.skipif(sys.platform != "linux", reason="symbols have versions on Linux"),
]

# The newest that a system of manylinux_2_28 has, as torch's own wheels ask for.
NEWEST = {"GLIBC_2": 28, "GLIBCXX_3.4": 25, "CXXABI_1.3": 11}


def path() -> Path:
    assert _extension.extension is not None
    return Path(str(_extension.extension.__file__))


@pytest.mark.parametrize("library", NEWEST)
def test_symbols_are_those_of_old_systems(library: str) -> None:
    versions = re.findall(re.escape(library).encode() + rb"\.(\d+)", path().read_bytes())
    assert versions, "a binary that asks for nothing of this library was not read right"
    assert max(map(int, versions)) <= NEWEST[library], f"see csrc/cpu/old_glibc.h: {library}.{versions}"


@pytest.mark.skipif(shutil.which("nm") is None, reason="needs nm, which comes with the compiler")
def test_functions_of_torch_are_those_of_its_stable_interface() -> None:
    """A name of C++ would be another one, or mean another layout, in another torch."""
    listed = subprocess.run(
        ["nm", "-D", "--undefined-only", path()], check=True, capture_output=True, text=True
    )
    names = re.findall(r"^ *U (\w+)", listed.stdout, flags=re.MULTILINE)
    assert "torch_from_blob" in names
    assert [name for name in names if re.match(r"_ZN?K?(2at|3c10|5torch)", name)] == []


def test_one_binary_serves_every_python() -> None:
    assert seqlight.build_info()["python_abi"] == "abi3"
    assert path().name == "_C.abi3.so"
