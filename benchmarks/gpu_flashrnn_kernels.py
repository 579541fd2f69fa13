"""Where FlashRNN's compiled kernels lie, and how it comes to make them there and to take them from there.

FlashRNN 1.0.8 makes a kernel at the first call of each size: it looks for a tiling, compiles and tries it,
half a minute and more. gpu_flashrnn_build.py has that done ahead (`recorded`), gpu_speed.py only loads
(`loaded`). For both, functions inside the package are replaced while a first call runs.
"""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import patch

import torch

from seqlight.benchmark.recurrent_case import RecurrentCase

FOLDER = Path(__file__).resolve().parent.parent / "build" / "flashrnn"
#: What torch's wheels bring of CUDA; a toolkit may be the compiler alone.
CUDA_PACKAGES = Path(torch.__file__).parents[1] / "nvidia"
USUAL_HOME = Path("/usr/local/cuda")


@contextmanager
def recorded(backend: str, case: RecurrentCase) -> Iterator[None]:
    """FlashRNN may make its kernels; if the body succeeds, it is noted where they are."""
    # by their full names: the package's attributes of the same name are functions
    flashrnn, parametric = (
        import_module(f"flashrnn.flashrnn.{name}") for name in ("flashrnn", "cuda_init_parametric")
    )
    original, made = flashrnn.load, []
    note = _note(backend, case)
    note.parent.mkdir(parents=True, exist_ok=True)
    note.unlink(missing_ok=True)  # of another time, and perhaps another torch

    def load(**arguments: Any) -> ModuleType:
        module = original(**arguments)
        made.append(Path(module.__file__).resolve().relative_to(FOLDER.resolve()))
        return module

    libraries = link_folder()
    if libraries is not None:
        os.environ["CUDA_LIB"] = str(libraries)  # which importing flashrnn has set
    with (
        patch.multiple(flashrnn, load=load, get_gpu_info=device_limits),
        patch.object(parametric, "load", load),
    ):
        yield
    note.write_text(str(made[-1]) if made else "")


def loaded(backend: str, case: RecurrentCase) -> AbstractContextManager[Any]:
    """FlashRNN takes the kernels that were recorded.

    Raises:
        RuntimeError: there are none.
    """
    note = _note(backend, case)
    if not note.is_file():
        raise RuntimeError("not built for this size: gpu_flashrnn_build.py failed or has not been run")
    name = note.read_text()
    if not name:  # Triton has its own cache
        return nullcontext()
    flashrnn = import_module("flashrnn.flashrnn.flashrnn")
    kernels = _import_file(FOLDER / name)

    def take(**arguments: Any) -> ModuleType:
        return kernels

    return patch.multiple(
        flashrnn, load=take, load_parametric_and_test_and_bisect=take, get_gpu_info=device_limits
    )


def device_limits(device_id: int) -> dict[str, int]:
    """What the search for a tiling asks of a device: FlashRNN's own query does not compile with CUDA 13."""
    device = torch.cuda.get_device_properties(device_id)
    return {
        "maxThreadsPerBlock": device.max_threads_per_block,
        "regsPerMultiprocessor": device.regs_per_multiprocessor,
        "multiProcessorCount": device.multi_processor_count,
        "sharedMemPerBlockOptin": device.shared_memory_per_block_optin,
    }


def build_environment() -> dict[str, str]:
    """Variables for a process that compiles: where to, and headers that the toolkit may lack."""
    from torch.utils.cpp_extension import CUDA_HOME  # slow, and says so where there is no GPU

    home = Path(CUDA_HOME or USUAL_HOME)
    if not (home / "include" / "cuda_runtime.h").is_file():
        home = USUAL_HOME  # torch guesses from where nvcc is, which may be a script
    variables = {"TORCH_EXTENSIONS_DIR": str(FOLDER), "CUDA_HOME": str(home), "MAX_JOBS": "2"}
    if not (home / "include" / "cublas_v2.h").is_file():
        headers = sorted(str(path) for path in CUDA_PACKAGES.glob("**/include"))
        variables |= {"FLASHRNN_EXTRA_INCLUDE_PATHS": ":".join(headers)} if headers else {}
    return variables


def link_folder() -> Path | None:
    """A folder with torch's own cuBLAS and CUDA runtime by the names that a linker looks for, or None."""
    folder = FOLDER / "lib"
    for name in ("cublas", "cudart"):
        found = sorted(CUDA_PACKAGES.glob(f"**/lib{name}.so.*"))
        if not found:
            return None
        folder.mkdir(parents=True, exist_ok=True)
        link = folder / f"lib{name}.so.{os.getpid()}"
        link.symlink_to(found[-1])
        link.replace(folder / f"lib{name}.so")  # at once: several processes do this
    return folder


def _note(backend: str, case: RecurrentCase) -> Path:
    return FOLDER / f"{backend}-{case.batch}-{case.hidden_size}.txt"


def _import_file(path: Path) -> ModuleType:
    spec = spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise RuntimeError(f"{path} cannot be imported")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
