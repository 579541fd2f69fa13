"""The recurrent cells with random arguments, calls that are counted, and where the CUDA sources run."""

import importlib.util
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor


def load(name: str) -> ModuleType:
    """Import a file of this folder, which is no package."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look themselves up there
    spec.loader.exec_module(module)
    return module


recurrent_cells = load("recurrent_cells")
cuda_sources = load("cuda_sources")


@pytest.fixture(scope="session")
def lstm_arguments() -> Callable[..., list[Tensor]]:
    """``lstm_arguments(B, T, I, H)``: the op's eight tensors, from x to weight_peephole."""

    def draw(
        batch_size: int,
        steps: int,
        input_size: int,
        hidden_size: int,
        *,
        dtype: torch.dtype = torch.float32,
        requires_grad: bool = False,
        seed: int = 0,
    ) -> list[Tensor]:
        generator = torch.Generator().manual_seed(seed)
        scale = hidden_size**-0.5
        shapes_and_scales = (
            ((batch_size, steps, input_size), 1.0),
            ((batch_size, hidden_size), 1.0),
            ((batch_size, hidden_size), 1.0),
            ((4 * hidden_size, input_size), scale),
            ((4 * hidden_size, hidden_size), scale),
            ((4 * hidden_size,), scale),
            ((4 * hidden_size,), scale),
            ((3, hidden_size), scale),
        )
        return [
            (scale * torch.randn(shape, generator=generator, dtype=torch.float64, device="cpu"))
            .to(torch.get_default_device(), dtype)
            .requires_grad_(requires_grad)
            for shape, scale in shapes_and_scales
        ]

    return draw


@pytest.fixture(scope="session", params=recurrent_cells.CELLS, ids=str)
def cell(request: pytest.FixtureRequest) -> Any:
    """Each recurrent cell with all its weights, without and with layer norm."""
    return request.param


@pytest.fixture(scope="session")
def lstm_cell() -> Any:
    """The LSTM with peepholes and without layer norm."""
    return recurrent_cells.CELLS[0]


@pytest.fixture(scope="session", params=recurrent_cells.EVERY_CELL, ids=str)
def every_cell(request: pytest.FixtureRequest) -> Any:
    """Each recurrent cell with any of its weights."""
    return request.param


@pytest.fixture(scope="session", params=recurrent_cells.NORM_CELLS, ids=str)
def norm_cell(request: pytest.FixtureRequest) -> Any:
    """Each recurrent cell with layer norm and all its other weights."""
    return request.param


@pytest.fixture(scope="session", params=recurrent_cells.TORCH_CELLS, ids=str)
def torch_cell(request: pytest.FixtureRequest) -> Any:
    """Each recurrent cell that torch.nn has too."""
    return request.param


class Calls:
    """How often each native kernel ran inside the block: ``calls["lstm_forward.float32"]``."""

    def __init__(self, extension: ModuleType) -> None:
        self.extension = extension

    def __enter__(self) -> "Calls":
        self.before = self.extension.call_counts()
        return self

    def __exit__(self, *_: object) -> None:
        after = self.extension.call_counts()
        self.counts = {name: count - self.before.get(name, 0) for name, count in after.items()}

    def __getitem__(self, name: str) -> int:
        return self.counts.get(name, 0)

    @property
    def total(self) -> int:
        return sum(self.counts.values())


@pytest.fixture
def native_calls(native: ModuleType) -> Calls:
    """``with native_calls as calls: ...; calls["lstm_forward.float32"]``."""
    return Calls(native)


def built_on_cpu(build: Any, factory: pytest.TempPathFactory) -> Any:
    if cuda_sources.compiler() is None:
        pytest.skip(f"CUDA LOGIC UNTESTED: no C++ compiler {os.environ.get('CXX', 'c++')}")
    return cuda_sources.built_ops(build, factory)


@pytest.fixture(scope="session")
def cuda_ops_on_cpu(native: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The ops of csrc/cuda, compiled once for all test processes to run on the CPU, in small parts."""
    return built_on_cpu(cuda_sources.SMALL, tmp_path_factory)


@pytest.fixture(scope="session")
def full_tiles_on_cpu(native: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The ops of the causal convolution in csrc/cuda likewise, with tiles as large as on a GPU."""
    return built_on_cpu(cuda_sources.FULL_TILES, tmp_path_factory)


@pytest.fixture(params=["sources on the cpu", "gpu"])
def cuda(request: pytest.FixtureRequest) -> Iterator[torch.device]:
    """Where the CUDA kernels run in the test: on the CPU, in place of the CPU's own, and on a GPU."""
    if request.param == "gpu":
        yield request.getfixturevalue("gpu")
        return
    with cuda_sources.in_place_of_the_cpu_ops(request.getfixturevalue("cuda_ops_on_cpu")):
        yield torch.device("cpu")


@pytest.fixture(params=["sources on the cpu", "gpu"])
def full_tiles(request: pytest.FixtureRequest) -> Iterator[torch.device]:
    """Where the causal convolution's CUDA kernels run in the test, with tiles of full size on the CPU too."""
    if request.param == "gpu":
        yield request.getfixturevalue("gpu")
        return
    with cuda_sources.in_place_of_the_cpu_ops(request.getfixturevalue("full_tiles_on_cpu")):
        yield torch.device("cpu")


@pytest.fixture
def check_in_a_graph(gpu: torch.device) -> Callable[[Callable[[], list[Tensor]], Tensor], None]:
    """``check(run, leaf)``: `run` is captured in a graph, and replayed after `leaf` has changed in place."""

    def check(run: Callable[[], list[Tensor]], leaf: Tensor) -> None:
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            run()
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            captured = run()
        with torch.no_grad():
            leaf.mul_(0.5)
        graph.replay()
        torch.testing.assert_close(captured, run())

    return check


@pytest.fixture
def cuda_ops(request: pytest.FixtureRequest, cuda: torch.device) -> Any:
    """The private ops that run there."""
    return torch.ops.seqlight if cuda.type == "cuda" else request.getfixturevalue("cuda_ops_on_cpu")


@pytest.fixture(params=[torch.float32, torch.float64], ids=str)
def dtype(request: pytest.FixtureRequest) -> torch.dtype:
    """The dtypes that the kernels compute in."""
    value: torch.dtype = request.param
    return value
