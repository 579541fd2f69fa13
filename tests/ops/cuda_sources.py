"""csrc/cuda compiled for the CPU: without nvcc, each kernel runs element by element (launch.cuh).

That tests all but what only a GPU can get wrong: launches, streams, threads that share a row, cuBLAS.
"""

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from filelock import FileLock

from seqlight.ops import causal_conv1d_native, wavenet_layer_native
from seqlight.ops.recurrent_native import _cells

CSRC = Path(__file__).resolve().parents[2] / "csrc"
NAMESPACE = "seqlight_cuda_on_cpu"
CHUNK = 500  # numbers: chunks of very few time steps


def compiler() -> list[str] | None:
    """The C++ compiler's command, if there is one."""
    command = shlex.split(os.environ.get("CXX", "c++"))
    return command if shutil.which(command[0]) else None


def names() -> list[str]:
    """All ops, of which every one has a CPU kernel."""
    registered = torch._C._dispatch_get_registrations_for_dispatch_key("CPU")
    return sorted(name.removeprefix("seqlight::") for name in registered if name.startswith("seqlight::"))


def build(folder: Path) -> Path:
    """Compile all of csrc/cuda as one library with ops of the same names under NAMESPACE."""
    from torch.utils.cpp_extension import include_paths, library_paths

    library = folder / "cuda_on_cpu.so"
    if library.exists():
        return library
    includes = [f'#include "cuda/{path.name}"' for path in sorted(CSRC.glob("cuda/*.cu"))]
    schemas = [str(getattr(torch.ops.seqlight, name).default._schema) for name in names()]
    source = folder / "cuda_on_cpu.cpp"
    source.write_text(
        "\n".join(
            [
                *includes,
                '#include "call_counts.cpp"',
                f"STABLE_TORCH_LIBRARY({NAMESPACE}, m) {{",
                *(f'  m.def("{schema.removeprefix("seqlight::")}");' for schema in schemas),
                "}",
                f"STABLE_TORCH_LIBRARY_IMPL({NAMESPACE}, CPU, m) {{",
                *(f'  m.impl("{name}", TORCH_BOX(&seqlight::{name}));' for name in names()),
                "}\n",
            ]
        )
    )
    command = compiler()
    assert command is not None
    command += [
        f"-std={'c++20' if torch.__version__ >= '2.13' else 'c++17'}",
        *(
            "-O0",
            "-pthread",
            "-shared",
            "-fPIC",
            "-fvisibility=hidden",
            "-Wall",
            "-Wextra",
            "-Werror",
            f"-I{CSRC}",
        ),
        *("-DTORCH_TARGET_VERSION=0x020b000000000000", f"-DSEQLIGHT_CUDA_CHUNK={CHUNK}"),
        *(flag for path in include_paths() for flag in ("-isystem", path)),
        *(str(source), "-o", str(folder / "building.so")),
        *(f"-L{path}" for path in library_paths()),
        *("-ltorch", "-ltorch_cpu", "-lc10"),
    ]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr[-3000:]
    (folder / "building.so").rename(library)
    return library


def build_once(factory: pytest.TempPathFactory) -> Path:
    """Build for all processes of pytest-xdist together: the first one compiles, the others wait."""
    folder = factory.getbasetemp()
    if os.environ.get("PYTEST_XDIST_WORKER"):
        folder = folder.parent
    folder = folder / "cuda_on_cpu"
    folder.mkdir(exist_ok=True)
    with FileLock(folder / "lock"):
        return build(folder)


def load(library: Path) -> Any:
    """Load the library, and give its ops."""
    torch.ops.load_library(library)
    return getattr(torch.ops, NAMESPACE)


@contextmanager
def in_place_of_the_cpu_ops(ops: Any) -> Iterator[None]:
    """Let seqlight.ops run `ops` where it would run the CPU's own kernels."""
    # the module, which the function of the same name hides in the package
    generate = sys.modules["seqlight.ops.wavenet_generate"]
    with pytest.MonkeyPatch.context() as patch:
        for name, cell in _cells.items():
            for kind in ("forward", "backward", "pack", "step"):
                patch.setattr(cell, f"{kind}_op", getattr(ops, f"{name}_{kind}").default)
        for module, name in (
            (causal_conv1d_native, "causal_conv1d"),
            (wavenet_layer_native, "wavenet_layer"),
        ):
            for kind in ("forward", "backward"):
                patch.setattr(module, f"_{kind}_op", getattr(ops, f"{name}_{kind}").default)
        patch.setattr(generate, "_op", ops.wavenet_generate.default)
        yield
