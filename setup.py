"""Build of the compiled extension ``seqlight._C``; everything else is declared in pyproject.toml.

Environment variables read here:

``SEQLIGHT_BUILD``
    ``1``: the extension is required, warnings are errors, and whatever stops the build is an error.
    ``0``: no extension; the package runs in plain PyTorch.
    unset: build what this machine can build, and record what was left out and why.
``SEQLIGHT_CUDA``
    ``1``: build the CUDA kernels too, which takes a CUDA build of torch and nvcc. They are off otherwise:
    they compile, but have not been run on a GPU yet.
``SEQLIGHT_BUILD_ISA``
    ``all`` (the default): kernels for every instruction set, of which loading picks one. ``native``: those
    alone that this machine would pick, and what an earlier build in place has, for a build that stays here.
``SEQLIGHT_SANITIZE``
    ``1``: AddressSanitizer and UBSan, for ``make sanitize``.
``CFLAGS``
    An optimisation level in it, such as ``-O0``, takes the place of this file's.
``MAX_JOBS``
    Compiler processes at a time; by default the number of cores this process may use.

torch is not a build requirement, on purpose: pip would fetch another torch into its isolated build
environment. The torch of the environment that seqlight is installed into serves instead.
"""

import importlib.util
import os
import platform
import shlex
import shutil
import site
import sys
import sysconfig
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.command.build_py import build_py

# Relative paths: setuptools wants them, and every build frontend runs this file in its own folder.
CSRC = Path("csrc")
PACKAGE = Path("seqlight")
REASON_FILE = "_build_reason.txt"  # lines "part: reason", read by seqlight/_extension.py
REASON_PARTS = ("native", "cuda")

# The oldest torch whose stable ABI the binary uses: one binary serves this release and all later ones.
STABLE_ABI = "-DTORCH_TARGET_VERSION=0x020b000000000000"
# No -std: torch adds the one that its own headers need. No -march: the sources choose the instruction set
# at run time. The two floating-point flags keep NaN and infinity exact; they only drop errno and traps.
CXX_FLAGS = ["-g0", "-fvisibility=hidden", "-fno-math-errno", "-fno-trapping-math", STABLE_ABI]
if "-O" not in os.environ.get("CFLAGS", ""):
    CXX_FLAGS.append("-O2")
CXX_WARNINGS = ["-Wall", "-Wextra"]
# Kernels are unrolled, so that every check is compiled hundreds of times: hence calls in place of inlined
# checks, and none of UBSan's checks of pointers, whose targets AddressSanitizer watches (and vectors go to
# and from memory by memcpy). -fexpensive-optimizations fuses multiply-add, as the tests expect.
SANITIZE_FLAGS = [
    *("-O1", "-fexpensive-optimizations", "-g1", "-fno-omit-frame-pointer", "-fno-var-tracking"),
    *("-fsanitize=address,undefined", "-fno-sanitize-recover=all"),
    "-fno-sanitize=null,alignment,object-size,pointer-overflow",
    *("--param", "asan-instrumentation-with-call-threshold=0"),
]
NVCC_FLAGS = ["-O3", "-Xcompiler", "-fvisibility=hidden", "-DUSE_CUDA", STABLE_ABI]
CUDA_ARCHITECTURES = "7.5;8.0;9.0+PTX"

# Endings of the sources that are made for one instruction set, the least first, and what of /proc/cpuinfo
# each needs; csrc/cpu/instruction_set.cpp asks the processor the same.
INSTRUCTION_SETS = {
    "base": set(),
    "avx2": {"avx2", "fma"},
    "avx512": {"avx2", "fma", "avx512f", "avx512bw", "avx512dq", "avx512vl"},
}
# One binary serves this Python and all later ones. Those without a global lock have no limited API.
OLDEST_PYTHON = "cp311"
LIMITED_API = not sysconfig.get_config_var("Py_GIL_DISABLED")
RECORD = Path("build", "instruction_sets")  # those of the last build in place, which later ones keep


class CannotBuild(Exception):
    """The extension cannot be built here; the message says why and what would help."""


def build_mode() -> str:
    """``"required"``, ``"none"`` or ``"available"``, from SEQLIGHT_BUILD."""
    value = os.environ.get("SEQLIGHT_BUILD", "")
    modes = {"1": "required", "0": "none", "": "available"}
    if value not in modes:
        raise SystemExit(f"seqlight: SEQLIGHT_BUILD must be 0, 1 or unset, got {value!r}")
    return modes[value]


MODE = build_mode()
REASONS: dict[str, str] = {}


def instruction_sets() -> set[str]:
    """The instruction sets to build kernels for, from SEQLIGHT_BUILD_ISA."""
    value = os.environ.get("SEQLIGHT_BUILD_ISA", "") or "all"
    if value not in ("all", "native"):
        raise SystemExit(f"seqlight: SEQLIGHT_BUILD_ISA must be all, native or unset, got {value!r}")
    description = Path("/proc/cpuinfo")
    if value == "all" or platform.machine() != "x86_64" or not description.is_file():
        return set(INSTRUCTION_SETS)
    flags = next((line for line in description.read_text().splitlines() if line.startswith("flags")), "")
    best = [name for name, needed in INSTRUCTION_SETS.items() if needed <= set(flags.split())][-1]
    built = RECORD.read_text().split() if RECORD.is_file() else []
    return {best, *(name for name in built if name in INSTRUCTION_SETS)}


def leave_out(part: str, reason: str) -> None:
    """Say that ``part`` is not built and keep the reason for ``write_reasons``."""
    REASONS[part] = " ".join(reason.split())
    print(f"seqlight: {part} kernels left out: {REASONS[part]}", file=sys.stderr)


def write_reasons(directory: Path) -> None:
    """Record what was left out beside the package's modules, so that ``build_info()`` can tell it later."""
    directory.mkdir(parents=True, exist_ok=True)
    lines = [f"{part}: {REASONS[part]}\n" for part in REASON_PARTS if part in REASONS]
    (directory / REASON_FILE).write_text("".join(lines), encoding="utf-8")


def remove_extension(directory: Path, keep: str = "") -> None:
    """Remove binaries of earlier builds, which would pass for this one's result; the file ``keep`` stays."""
    for pattern in ("_C.*.so", "_C.so", "_C.*.pyd"):
        for binary in directory.glob(pattern):
            if binary.name != keep:
                binary.unlink()


def import_torch_build_tools():
    """Import ``torch.utils.cpp_extension``, from the target environment where the build is isolated."""
    if importlib.util.find_spec("torch") is None:
        # pip's build isolation hides the environment's packages but runs its interpreter, so the
        # places where that environment keeps packages are still known.
        candidates = [sysconfig.get_path("platlib"), sysconfig.get_path("purelib"), *site.getsitepackages()]
        for directory in candidates:
            if Path(directory, "torch").is_dir():
                sys.path.append(directory)
                break
        else:
            raise CannotBuild(
                "torch was not installed when seqlight was built. Install torch first, then run "
                "`pip install --force-reinstall --no-deps --no-build-isolation` on seqlight again"
            )
    try:
        from torch.utils import cpp_extension
    except Exception as error:
        raise CannotBuild(f"torch could not be imported: {type(error).__name__}: {error}") from error
    return cpp_extension


def check_toolchain() -> None:
    """Raise CannotBuild with a plain reason where a compiler or Python's headers are missing."""
    if os.name == "nt":
        raise CannotBuild("the kernels use vector extensions of GCC and Clang, which MSVC lacks")
    command = shlex.split(os.environ.get("CXX") or sysconfig.get_config_var("CXX") or "c++")
    if shutil.which(command[0]) is None and shutil.which("c++") is None:
        raise CannotBuild(f"no C++ compiler: {command[0]} was not found. Install g++ 11 or later, or Clang")
    if not Path(sysconfig.get_path("include"), "Python.h").is_file():
        raise CannotBuild("Python.h was not found. Install this Python's headers (on Debian: python3-dev)")


def cuda_obstacle(cpp_extension) -> str | None:
    """What stands against building the CUDA kernels, or None."""
    import torch

    if os.environ.get("SEQLIGHT_CUDA") != "1":
        return "off by default, not yet run on a GPU; SEQLIGHT_CUDA=1 at build time builds them"
    if torch.version.cuda is None:
        return f"torch {torch.__version__} was built without CUDA"
    if cpp_extension.CUDA_HOME is None or not Path(cpp_extension.CUDA_HOME, "bin", "nvcc").is_file():
        return "nvcc was not found; set CUDA_HOME to the CUDA toolkit's folder"
    return None


def make_extension(cpp_extension) -> Extension:
    """Describe ``seqlight._C``: sources, flags, libraries."""
    sources = sorted([*CSRC.glob("*.cpp"), *CSRC.glob("cpu/*.cpp")])
    left_out = {f"_{name}" for name in INSTRUCTION_SETS.keys() - instruction_sets()}
    sources = [path for path in sources if not path.stem.endswith(tuple(left_out))]
    if not sources:
        raise CannotBuild(f"no C++ sources in {CSRC.resolve()}; the source distribution is incomplete")
    # -isystem keeps our own warning flags away from torch's headers.
    system_includes = [flag for path in cpp_extension.include_paths() for flag in ("-isystem", path)]
    warnings = [*CXX_WARNINGS, "-Werror"] if MODE == "required" else []
    sanitize = os.environ.get("SEQLIGHT_SANITIZE") == "1"
    flags = [*CXX_FLAGS, *SANITIZE_FLAGS] if sanitize else [*CXX_FLAGS, *warnings]
    compile_args = {"cxx": [*flags, *system_includes]}
    macros, libraries = [], ["torch", "torch_cpu", "c10"]

    obstacle = cuda_obstacle(cpp_extension)
    if obstacle is None:
        sources += sorted(CSRC.glob("cuda/*.cu"))
        macros.append(("SEQLIGHT_CUDA", "1"))
        # This brings along the CUDA runtime that torch itself runs on. CUDA_HOME may have none to link with:
        # torch guesses it from where nvcc is, which may be a script.
        libraries += ["torch_cuda"]
        compile_args["nvcc"] = [*NVCC_FLAGS, *system_includes]
        os.environ.setdefault("TORCH_CUDA_ARCH_LIST", CUDA_ARCHITECTURES)
    elif os.environ.get("SEQLIGHT_CUDA") == "1" and MODE == "required":
        raise CannotBuild(f"SEQLIGHT_CUDA=1: {obstacle}")
    else:
        leave_out("cuda", obstacle)

    depends = [path for suffix in ("cpp", "h", "inl", "cuh") for path in CSRC.rglob(f"*.{suffix}")]
    return Extension(
        f"{PACKAGE}._C",
        [str(path) for path in sources],
        include_dirs=[str(CSRC.resolve())],
        define_macros=macros,
        library_dirs=cpp_extension.library_paths(),
        libraries=libraries,
        extra_compile_args=compile_args,
        extra_link_args=["-fsanitize=address,undefined"] if sanitize else [],
        depends=[str(path) for path in sorted(depends)],
        language="c++",
        py_limited_api=LIMITED_API,
    )


class BuildPython(build_py):
    """Copies the Python modules and records what was left out."""

    def run(self) -> None:
        super().run()
        if getattr(self, "editable_mode", False):
            directory = PACKAGE
            if MODE == "none":
                remove_extension(directory)
        else:
            directory = Path(self.build_lib, PACKAGE)
        write_reasons(directory)


def guarded(base: type[build_ext]) -> type[build_ext]:
    """``base`` with this project's answer to a build that fails: an error if required, else a reason."""

    class BuildExtension(base):
        def run(self) -> None:
            directories = [Path(self.build_lib, PACKAGE)]
            if self.inplace or getattr(self, "editable_mode", False):
                directories.append(PACKAGE)
            wanted = " ".join(sorted(instruction_sets()))
            if not (RECORD.is_file() and RECORD.read_text() == wanted):
                self.force = True  # a binary newer than its sources may lack some of them
            try:
                super().run()
                if PACKAGE in directories:
                    RECORD.parent.mkdir(exist_ok=True)
                    RECORD.write_text(wanted)
            except (Exception, SystemExit) as error:
                if MODE == "required":
                    raise
                failure = f"{type(error).__name__}: {error}"
                leave_out("native", f"compiling failed ({failure}); see the build's output")
            # Python takes a file that is named after its own version before one that is named abi3.
            built = Path(self.get_ext_filename(f"{PACKAGE}._C")).name
            for directory in directories:
                remove_extension(directory, keep="" if "native" in REASONS else built)
                write_reasons(directory)

        def build_extension(self, extension: Extension) -> None:
            # setuptools sorts the sources by name. The widest instruction sets take longest to compile;
            # started first, they do not keep the other cores waiting at the end.
            compile_sorted = self.compiler.compile
            self.compiler.compile = lambda sources, *rest, **named: compile_sorted(
                sorted(sources, key=lambda name: ("avx512" not in name, "avx2" not in name)), *rest, **named
            )
            super().build_extension(extension)

        def get_outputs(self) -> list[str]:
            return [] if "native" in REASONS else super().get_outputs()

        def get_output_mapping(self) -> dict[str, str]:
            return {} if "native" in REASONS else super().get_output_mapping()

    return BuildExtension


def extension_arguments() -> dict:
    """The arguments of ``setup`` that depend on this machine."""
    commands = {"build_py": BuildPython, "build_ext": guarded(build_ext)}
    if MODE == "none":
        leave_out("native", "SEQLIGHT_BUILD=0 at build time")
        return {"cmdclass": commands}
    try:
        check_toolchain()
        cpp_extension = import_torch_build_tools()
        extension = make_extension(cpp_extension)
    except (CannotBuild, ImportError) as error:
        if MODE == "required":
            raise SystemExit(
                f"seqlight: SEQLIGHT_BUILD=1, but the extension was not built: {error}"
            ) from error
        leave_out("native", str(error))
        return {"cmdclass": commands}

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    os.environ.setdefault("MAX_JOBS", str(cores))
    # ninja recompiles exactly what changed, headers included, and runs compilers in parallel.
    ninja = cpp_extension.is_ninja_available()
    commands["build_ext"] = guarded(cpp_extension.BuildExtension.with_options(use_ninja=ninja))
    arguments = {"ext_modules": [extension], "cmdclass": commands}
    if LIMITED_API:
        arguments["options"] = {"bdist_wheel": {"py_limited_api": OLDEST_PYTHON}}
    return arguments


setup(**extension_arguments())
