"""What the linker keeps one copy of is the same thing everywhere, and runs on the processor it is kept for.

Inline functions, templates and implicit destructors are *weak* symbols: every object has its own copy, and
the linker keeps any one of them for all. So
- a name of ours that both CPU and CUDA objects define must come from a header that both share: what csrc/cpu
  and csrc/cuda define themselves lies in the namespaces seqlight::cpu and seqlight::cuda;
- instructions of AVX and later stand only in functions whose names tell that instruction set, in the objects
  made for it: a weak function compiled with them would be kept for lesser processors too;
- all objects link into one library.

    python tests/packaging/check_symbols.py build/temp.linux-x86_64-cpython-311 build/cuda-check

The second folder, that of the CUDA objects, may be missing; then only the CPU objects are looked at.
"""

import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

CSRC = Path(__file__).resolve().parents[2] / "csrc"

#: Names that belong to no namespace, or to namespaces whose headers both compilers read from the same files.
SHARED_ELSEWHERE = re.compile(r"^(DW\.ref\.|std::|torch::|c10::|at::|__gnu_cxx::|operator (new|delete))")
#: Symbol types of nm whose definitions are visible to the linker: functions, data, and the weak ones.
GLOBAL_TYPES = set("TDBRVWu")
#: Instruction sets that need more than x86-64 itself, and the registers that a lesser one of them lacks.
WIDE_SETS = {"avx2": re.compile(r"%zmm|%k[0-7]|%[xy]mm(1[6-9]|2\d|3[01])\b"), "avx512": None}
VEX_MNEMONIC = re.compile(r"^v(?!er[rw]\b|mcall\b)")


def output_of(*command: str | Path, text: str | None = None) -> str:
    """What a command prints; it must succeed."""
    return subprocess.run(command, check=True, capture_output=True, text=True, input=text).stdout


def demangled(names: Iterable[str]) -> dict[str, str]:
    """Return C++'s spelling of each mangled name."""
    names = list(names)
    return (
        dict(zip(names, output_of("c++filt", text="\n".join(names)).splitlines(), strict=True))
        if names
        else {}
    )


def defined(objects: Iterable[Path]) -> set[str]:
    """Return the mangled names that these objects define for the linker to see."""
    lines = output_of("nm", "--defined-only", *objects).splitlines()
    fields = [line.split() for line in lines]
    return {field[2] for field in fields if len(field) == 3 and field[1] in GLOBAL_TYPES}


def shared_words(csrc: Path) -> set[str]:
    """Return the words of the headers that CPU and CUDA sources share, comments left out."""
    headers = [*csrc.glob("*.h"), *csrc.glob("cells/*.h")]
    return {word for path in headers for word in re.findall(r"\w+", re.sub(r"//.*", "", path.read_text()))}


def names_with_two_meanings(cpu: Iterable[Path], cuda: Iterable[Path], csrc: Path = CSRC) -> list[str]:
    """Return a line for each name that both sets define and that no shared header declares."""
    words = shared_words(csrc)
    problems = []
    for name in sorted(demangled(defined(cpu) & defined(cuda)).values()):
        ours = re.findall(r"seqlight::([\w:]+)", name)
        if not ours and SHARED_ELSEWHERE.match(
            name.removeprefix("typeinfo for ").removeprefix("vtable for ")
        ):
            continue
        if not ours and re.match(
            r"\S.* (std|torch|c10)::", name
        ):  # a template, whose result type comes first
            continue
        declared = {part for path in ours for part in path.split("::") if part}
        if not ours or not declared <= words:
            problems.append(f"defined by CPU and CUDA objects, but in no header they share: {name}")
    return problems


def instructions(path: Path) -> Iterator[tuple[str, str, str]]:
    """Yield (mangled name of the function, mnemonic, operands) of each instruction."""
    function = ""
    for line in output_of("objdump", "-d", "--no-show-raw-insn", path).splitlines():
        if line.endswith(">:"):
            function = line[line.index("<") + 1 : -2]
        elif "\t" in line:
            mnemonic, _, operands = line.split("\t", 1)[1].strip().partition(" ")
            yield function, mnemonic, operands


def instruction_set_of(path: Path) -> str:
    """Return the wide instruction set that an object is made for by its name, or an empty string."""
    return next((name for name in WIDE_SETS if path.stem.endswith(f"_{name}")), "")


def misplaced_instructions(objects: Iterable[Path]) -> list[str]:
    """Return a line for each function that uses instructions which its name or object does not tell."""
    problems = []
    for path in objects:
        wide = instruction_set_of(path)
        beyond = WIDE_SETS.get(wide)
        found: dict[str, str] = {}
        for function, mnemonic, operands in instructions(path):
            named = wide and f"{wide}_" in function
            if VEX_MNEMONIC.match(mnemonic) and (not named or (beyond and beyond.search(operands))):
                found.setdefault(function, f"{mnemonic} {operands}".strip())
        spelled = demangled(found)
        problems += [f"{path.name}: {spelled[name]} uses `{example}`" for name, example in found.items()]
    return problems


def link_errors(objects: Iterable[Path]) -> list[str]:
    """Link the objects into one library, torch and the CUDA runtime left undefined; return what is said."""
    with tempfile.TemporaryDirectory() as folder:
        command = [*shlex.split(os.environ.get("CXX", "c++")), "-shared", *map(str, objects)]
        linked = subprocess.run(
            [*command, "-o", f"{folder}/all.so"], capture_output=True, text=True, check=False
        )
    return [f"linking failed: {linked.stderr.strip()[-2000:]}"] if linked.returncode else []


def objects_in(folder: Path) -> list[Path]:
    """Return the objects below a folder."""
    return sorted(folder.rglob("*.o"))


def main() -> None:
    """Check the objects in the given folders and exit with 1 where something is wrong."""
    cpu = objects_in(Path(sys.argv[1]))
    cuda = objects_in(Path(sys.argv[2])) if len(sys.argv) > 2 else []
    if not cpu:
        sys.exit(f"symbols-check: no objects in {sys.argv[1]}; run `make build`")
    wide = {instruction_set_of(path) for path in cpu} - {""}
    if not cuda:
        print("symbols-check: CUDA OBJECTS NOT COMPARED: there are none, for want of nvcc")
    problems = names_with_two_meanings(cpu, cuda) if cuda else []
    if wide:
        problems += misplaced_instructions(cpu)
    else:
        print("symbols-check: INSTRUCTIONS NOT CHECKED: no object here is made for AVX")
    problems += link_errors([*cpu, *cuda])
    if problems:
        sys.exit("\n".join(["symbols-check: failed", *problems]))
    print(f"symbols-check: {len(cpu)} CPU and {len(cuda)} CUDA objects agree on every name and link together")


if __name__ == "__main__":
    main()
