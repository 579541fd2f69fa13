"""csrc/cuda compiled for the CPU: kernels run element by element or on the CPU's threads (launch.cuh).

That tests all but what only a GPU can get wrong: launches, streams, memory shared by threads that do run at
the same time, cuBLAS.
"""

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from filelock import FileLock

from seqlight.ops import causal_conv1d_native, wavenet_layer_native
from seqlight.ops.recurrent_autograd import cells

CSRC = Path(__file__).resolve().parents[2] / "csrc"


@dataclass(frozen=True)
class Build:
    """A library with the ops of csrc/cuda, under their own names but in `namespace`."""

    namespace: str
    defines: tuple[str, ...]
    #: how the names of the ops and their sources begin
    only: str = ""


#: chunks of very few time steps, in numbers; tiles of 8 x 8 numbers by 16 threads, 4 deep; and steps a launch
SMALL = Build(
    "seqlight_cuda_on_cpu",
    ("SEQLIGHT_CUDA_CHUNK=500", "SEQLIGHT_CUDA_TILE=2,4,4", "SEQLIGHT_CUDA_STEPS=8"),
)
#: tiles as on a GPU, whose 256 threads take their time
FULL_TILES = Build("seqlight_cuda_full_tiles_on_cpu", (), only="causal_conv1d")

#: For tests: the plan that csrc/cuda/causal_conv1d_plan.h makes.
PLAN = """
using Plan = std::tuple<bool, bool, bool, int64_t, int64_t, int64_t, int64_t>;
Plan causal_conv1d_plan(int64_t batch, int64_t time, int64_t in_channels, int64_t pre_channels, int64_t taps,
                        int64_t groups, int64_t activation) {
  const auto kind = static_cast<seqlight::ConvActivation>(activation);
  const auto plan = seqlight::cuda::plan_of({batch, time, in_channels, pre_channels, taps, 1, groups, kind});
  return {plan.forward_tiles,       plan.input_tiles,        plan.weight_tiles,    plan.weight_pieces.count,
          plan.weight_pieces.rows,  plan.bias_pieces.count,  plan.bias_pieces.rows};
}
"""
PLAN_SCHEMA = (
    "causal_conv1d_plan(int batch, int time, int in_channels, int pre_channels, int taps, int groups, "
    "int activation) -> (bool, bool, bool, int, int, int, int)"
)


def compiler() -> list[str] | None:
    """The C++ compiler's command, if there is one."""
    command = shlex.split(os.environ.get("CXX", "c++"))
    return command if shutil.which(command[0]) else None


def names(only: str) -> list[str]:
    """All ops whose names begin so, of which every one has a CPU kernel."""
    registered = torch._C._dispatch_get_registrations_for_dispatch_key("CPU")
    return sorted(
        name.removeprefix("seqlight::") for name in registered if name.startswith(f"seqlight::{only}")
    )


def compile_in(folder: Path, build: Build) -> Path:
    """Compile csrc/cuda as one library."""
    from torch.utils.cpp_extension import include_paths, library_paths

    library = folder / "cuda_on_cpu.so"
    if library.exists():
        return library
    includes = [f'#include "cuda/{path.name}"' for path in sorted(CSRC.glob(f"cuda/{build.only}*.cu"))]
    ops = names(build.only)
    schemas = [str(getattr(torch.ops.seqlight, name).default._schema) for name in ops]
    source = folder / "cuda_on_cpu.cpp"
    source.write_text(
        "\n".join(
            [
                *includes,
                '#include "call_counts.cpp"',
                PLAN,
                f"STABLE_TORCH_LIBRARY({build.namespace}, m) {{",
                *(f'  m.def("{schema.removeprefix("seqlight::")}");' for schema in schemas),
                f'  m.def("{PLAN_SCHEMA}");',
                "}",
                f"STABLE_TORCH_LIBRARY_IMPL({build.namespace}, CPU, m) {{",
                *(f'  m.impl("{name}", TORCH_BOX(&seqlight::cuda::{name}));' for name in ops),
                "}",
                f"STABLE_TORCH_LIBRARY_IMPL({build.namespace}, CompositeExplicitAutograd, m) {{",
                '  m.impl("causal_conv1d_plan", TORCH_BOX(&causal_conv1d_plan));',
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
        *(f"-D{define}" for define in ("TORCH_TARGET_VERSION=0x020b000000000000", *build.defines)),
        *(flag for path in include_paths() for flag in ("-isystem", path)),
        *(str(source), "-o", str(folder / "building.so")),
        *(f"-L{path}" for path in library_paths()),
        *("-ltorch", "-ltorch_cpu", "-lc10"),
    ]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr[-3000:]
    (folder / "building.so").rename(library)
    return library


def built_ops(build: Build, factory: pytest.TempPathFactory) -> Any:
    """The ops, built for all processes of pytest-xdist together: the first one compiles, the others wait."""
    folder = factory.getbasetemp()
    if os.environ.get("PYTEST_XDIST_WORKER"):
        folder = folder.parent
    folder = folder / build.namespace
    folder.mkdir(exist_ok=True)
    with FileLock(folder / "lock"):
        library = compile_in(folder, build)
    torch.ops.load_library(library)
    return getattr(torch.ops, build.namespace)


@contextmanager
def in_place_of_the_cpu_ops(ops: Any) -> Iterator[None]:
    """Let seqlight.ops run `ops`, as far as there are, where it would run the CPU's own kernels."""
    # the module, which the function of the same name hides in the package
    generate = sys.modules["seqlight.ops.wavenet_generate"]
    places = [
        (cell, f"{kind}_op", f"{name}_{kind}")
        for name, cell in cells.items()
        for kind in ("forward", "backward", "pack", "step")
    ]
    places += [
        (module, f"_{kind}_op", f"{name}_{kind}")
        for module, name in (
            (causal_conv1d_native, "causal_conv1d"),
            (wavenet_layer_native, "wavenet_layer"),
        )
        for kind in ("forward", "backward")
    ]
    places.append((generate, "_op", "wavenet_generate"))
    with pytest.MonkeyPatch.context() as patch, uninitialised_memory_filled():
        for owner, attribute, name in places:
            if hasattr(ops, name):
                patch.setattr(owner, attribute, getattr(ops, name).default)
        yield


@contextmanager
def uninitialised_memory_filled() -> Iterator[None]:
    """With NaN, which a GPU's reused memory may well hold: nobody may read what nobody wrote."""
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True)
    assert torch.utils.deterministic.fill_uninitialized_memory
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)
