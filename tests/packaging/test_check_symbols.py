"""check_symbols.py finds what it is there for, on small objects made for it."""

import os
import platform
import runpy
import shlex
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

check_symbols = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("check_symbols.py"))))

CXX = shlex.split(os.environ.get("CXX", "c++"))
pytestmark = pytest.mark.skipif(
    any(shutil.which(tool) is None for tool in (CXX[0], "nm", "c++filt", "objdump")),
    reason="needs binutils and C++",
)


def compiled(path: Path, code: str, *flags: str) -> Path:
    source = path.with_suffix(".cpp")
    source.write_text(code)
    subprocess.run([*CXX, "-std=c++17", "-O1", "-fPIC", *flags, "-c", source, "-o", path], check=True)
    return path


def gates(namespace: str, members: str) -> str:
    """A struct, an inline function, which is a weak symbol, and one that calls it."""
    return f"""
#include <vector>
namespace {namespace} {{
struct Gates {{ {members} }};
__attribute__((noinline)) inline void fill(Gates& gates) {{ gates.kept.push_back(1); }}
}}
int use_of_{members.count(";")}() {{ {namespace}::Gates gates{{}}; fill(gates); return gates.kept[0]; }}
"""


@pytest.fixture
def csrc(tmp_path: Path) -> Path:
    (tmp_path / "csrc").mkdir()
    (tmp_path / "csrc" / "checks.h").write_text("// Gates\nvoid check();\n")
    return tmp_path / "csrc"


def test_two_structs_of_one_name_are_found(tmp_path: Path, csrc: Path) -> None:
    cpu = compiled(tmp_path / "cpu.o", gates("seqlight", "std::vector<int> kept;"))
    cuda = compiled(tmp_path / "cuda.o", gates("seqlight", "int more; std::vector<int> kept;"))
    problems = check_symbols.names_with_two_meanings([cpu], [cuda], csrc)
    assert [line.split(": ")[1] for line in problems] == ["seqlight::fill(seqlight::Gates&)"]
    # the linker itself says nothing, which is why there is a check
    assert check_symbols.link_errors([cpu, cuda]) == []


def test_names_outside_of_any_namespace_are_found(tmp_path: Path, csrc: Path) -> None:
    code = "struct Plan { int a; };\n__attribute__((noinline)) inline int sum(Plan p) { return p.a; }\n"
    cpu = compiled(tmp_path / "cpu.o", code + "int first(Plan p) { return sum(p); }")
    cuda = compiled(tmp_path / "cuda.o", code + "int second(Plan p) { return sum(p); }")
    (problem,) = check_symbols.names_with_two_meanings([cpu], [cuda], csrc)
    assert problem.endswith("sum(Plan)")


def test_namespaces_of_their_own_and_shared_headers_pass(tmp_path: Path, csrc: Path) -> None:
    cpu = compiled(tmp_path / "cpu.o", gates("seqlight::cpu", "std::vector<int> kept;"))
    cuda = compiled(tmp_path / "cuda.o", gates("seqlight::cuda", "int more; std::vector<int> kept;"))
    assert check_symbols.names_with_two_meanings([cpu], [cuda], csrc) == []

    (csrc / "checks.h").write_text(
        "struct Gates { std::vector<int> kept; }; inline void fill(Gates& gates);\n"
    )
    code = gates("seqlight", "std::vector<int> kept;")
    cpu, cuda = (
        compiled(tmp_path / "cpu.o", code),
        compiled(tmp_path / "cuda.o", code.replace("use_of", "run")),
    )
    assert check_symbols.names_with_two_meanings([cpu], [cuda], csrc) == []


def test_one_function_in_two_objects_does_not_link(tmp_path: Path) -> None:
    objects = [compiled(tmp_path / f"{name}.o", "int same() { return 1; }") for name in ("one", "two")]
    (problem,) = check_symbols.link_errors(objects)
    assert "same" in problem


@pytest.mark.skipif(platform.machine() != "x86_64", reason="instruction sets of x86-64")
def test_instructions_beyond_what_is_promised_are_found(tmp_path: Path) -> None:
    def region(function: str, features: str) -> str:
        begin = f'#pragma GCC push_options\n#pragma GCC target("{features}")\n'
        return f"{begin}{function}\n#pragma GCC pop_options\n"

    body = "{ for (int i = 0; i < 64; ++i) x[i] *= 2.0f; }"
    own = f"namespace avx2_256 {{ void twice(float* x) {body} }}"
    good = compiled(tmp_path / "twice_avx2.o", region(own, "avx2,fma"), "-O3")
    assert check_symbols.misplaced_instructions([good]) == []

    # a weak function, which might be kept for the base objects
    weak = f"__attribute__((noinline)) inline void twice(float* x) {body}"
    weak += "\nvoid avx2_use(float* x) { twice(x); }"
    leaking = compiled(tmp_path / "leak_avx2.o", region(weak, "avx2,fma"), "-O3")
    (problem,) = check_symbols.misplaced_instructions([leaking])
    assert problem.startswith("leak_avx2.o: twice(float*) uses `v")

    too_wide = compiled(tmp_path / "wide_avx2.o", region(own, "avx512f,prefer-vector-width=512"), "-O3")
    assert "zmm" in check_symbols.misplaced_instructions([too_wide])[0]

    base = compiled(tmp_path / "twice_base.o", f"void twice(float* x) {body}", "-O3", "-mavx2")
    assert len(check_symbols.misplaced_instructions([base])) == 1
