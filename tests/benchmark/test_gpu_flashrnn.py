"""FlashRNN as a peer in ``make gpu``: its weights, its kernels' place, and what stands there without it."""

import sys
from dataclasses import replace
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

from seqlight.benchmark.recurrent_case import parse_cases
from seqlight.benchmark.recurrent_families import LSTM_FAMILY

CASES = parse_cases("3,6,4,5", "2,4,8,8")
TOLERANCES = pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-6), ("bfloat16", 3e-2)])


def states_by_equations(
    products: Tensor,
    recurrent: Tensor,
    bias: Tensor,
    states: None = None,
    function: str = "lstm",
    config: None = None,
    backend: str = "cuda_fused",
    dtype: str = "bfloat16",
) -> tuple[Tensor, Tensor]:
    """What FlashRNN documents: products [B, T, 4, heads, width] to all states [2, B, T, heads, width]."""
    assert states is None and function == "lstm" and dtype == str(products.dtype).removeprefix("torch.")
    batch, steps, gates, heads, width = products.shape
    assert recurrent.shape == (gates, heads, width, width) and bias.shape == (gates, heads, width)
    h = c = products.new_zeros(batch, heads, width)
    every = []
    for step in range(steps):
        i, f, z, o = (products[:, step] + torch.einsum("gnop,bnp->bgno", recurrent, h) + bias).unbind(1)
        c = f.sigmoid() * c + i.sigmoid() * z.tanh()
        h = o.sigmoid() * c.tanh()
        every.append(torch.stack([h, c]))
    return torch.stack(every, 2), every[-1].unsqueeze(2)


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A package `flashrnn` in whose place the equations stand."""
    module = ModuleType("flashrnn")
    module.__spec__ = ModuleSpec("flashrnn", None)
    module.flashrnn = states_by_equations
    monkeypatch.setitem(sys.modules, "flashrnn", module)
    return module


def measure(program: Any, *backends: str, dtype: str = "float32") -> list[Any]:
    """Figures of training with FlashRNN's backends, on the CPU."""
    speed = program("gpu_speed")
    family = replace(LSTM_FAMILY, peers=program("gpu_flashrnn").flashrnn_peers(*backends))
    ceilings = program("gpu_timing").Ceilings(torch.device("cpu"), size=8, bytes_copied=2**12)
    rows = speed.rows_of(family, CASES, dtype, modes="training")
    return speed.measure(rows, torch.device("cpu"), ceilings, seconds=60.0, compiling=False)


@TOLERANCES
@pytest.mark.usefixtures("stub")
def test_weights_and_gradients_agree(program: Any, dtype: str, tolerance: float) -> None:
    figures = measure(program, "vanilla", dtype=dtype)
    assert [figure.name for figure in figures] == ["FlashRNN vanilla"] * len(CASES)
    for figure in figures:
        assert figure.milliseconds is not None, figure.remark
        assert figure.error < tolerance


def test_a_wrong_gate_order_is_not_timed(program: Any, stub: ModuleType) -> None:
    order = [1, 0, 2, 3]
    stub.flashrnn = lambda products, recurrent, bias, **options: states_by_equations(
        products[:, :, order], recurrent[order], bias[order], **options
    )
    for figure in measure(program, "vanilla"):
        assert figure.milliseconds is None and "relative error" in figure.remark


@TOLERANCES
def test_the_package_itself(program: Any, dtype: str, tolerance: float) -> None:
    pytest.importorskip("flashrnn", reason="flashrnn, a peer of `make gpu` alone, is not installed")
    for figure in measure(program, "vanilla", dtype=dtype):
        assert figure.milliseconds is not None, figure.remark
        assert figure.error < tolerance


def test_without_the_package(program: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program("gpu_flashrnn"), "find_spec", lambda name: None)
    figures = measure(program, *program("gpu_flashrnn").BACKENDS)
    assert len(figures) == 3 * len(CASES)
    assert all(figure.remark == "flashrnn is not installed" for figure in figures)


@pytest.mark.usefixtures("stub")
def test_sizes(program: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flashrnn = program("gpu_flashrnn")
    monkeypatch.setattr(program("gpu_flashrnn_kernels"), "FOLDER", tmp_path)
    reasons = [flashrnn.unfit(case, "training", backend="triton_fused") for case in flashrnn.CASES]
    assert reasons == [None] + ["heads of at most 64, by its documentation"] * 4
    for figure in measure(program, "cuda_fused"):
        assert figure.remark.startswith("RuntimeError: not built for this size")


def test_kernels_that_were_made_are_found(
    program: Any, stub: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernels = program("gpu_flashrnn_kernels")
    monkeypatch.setattr(kernels, "FOLDER", tmp_path)
    monkeypatch.setattr(kernels, "CUDA_PACKAGES", tmp_path)  # holds no libraries
    inside = {
        name: ModuleType(f"flashrnn.flashrnn.{name}")
        for name in ("flashrnn", "cuda_init", "cuda_init_parametric")
    }

    def compile_(*, name: str) -> ModuleType:
        (tmp_path / name).mkdir()
        path = tmp_path / name / f"{name}.py"
        path.write_text(f"size = {name!r}")
        module = ModuleType(name)
        module.__file__ = str(path)
        return module

    main, parametric = inside["flashrnn"], inside["cuda_init_parametric"]
    main.load = parametric.load = compile_
    main.get_gpu_info = main.load_parametric_and_test_and_bisect = None
    monkeypatch.setitem(sys.modules, "flashrnn.flashrnn", ModuleType("flashrnn.flashrnn"))
    for module in inside.values():
        monkeypatch.setitem(sys.modules, module.__name__, module)

    with kernels.recorded("cuda_fused", CASES[0]):
        parametric.load(name="first")
        parametric.load(name="second")  # a better tiling
    with pytest.raises(ZeroDivisionError), kernels.recorded("cuda", CASES[0]):
        main.load(name="third")
        raise ZeroDivisionError
    with kernels.recorded("triton_fused", CASES[0]):
        pass
    assert main.load is compile_ and parametric.load is compile_

    with kernels.loaded("cuda_fused", CASES[0]):
        assert main.load_parametric_and_test_and_bisect(name="any").size == "second"
        assert main.get_gpu_info is kernels.device_limits
    assert main.get_gpu_info is None
    with kernels.loaded("triton_fused", CASES[0]):
        assert main.load is compile_
    for backend, case in (("cuda", CASES[0]), ("cuda_fused", CASES[1])):
        with pytest.raises(RuntimeError, match="not built for this size"):
            kernels.loaded(backend, case)


def test_headers_and_libraries_that_a_toolkit_lacks(
    program: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernels = program("gpu_flashrnn_kernels")
    packages, home, folder = (tmp_path / name for name in ("packages", "home", "folder"))
    for path in ("cu13/include/cublas_v2.h", "cu13/lib/libcublas.so.13", "cu13/lib/libcudart.so.13"):
        (packages / path).parent.mkdir(parents=True, exist_ok=True)
        (packages / path).touch()
    monkeypatch.setattr(kernels, "CUDA_PACKAGES", packages)
    monkeypatch.setattr(kernels, "USUAL_HOME", home)
    monkeypatch.setattr(kernels, "FOLDER", folder)
    monkeypatch.setattr("torch.utils.cpp_extension.CUDA_HOME", str(tmp_path / "no toolkit"))
    environment = kernels.build_environment()
    assert environment["CUDA_HOME"] == str(home)
    assert environment["FLASHRNN_EXTRA_INCLUDE_PATHS"] == str(packages / "cu13/include")
    for _ in range(2):
        assert kernels.link_folder() == folder / "lib"
    assert {path.name: path.resolve().name for path in (folder / "lib").iterdir()} == {
        "libcublas.so": "libcublas.so.13",
        "libcudart.so": "libcudart.so.13",
    }
    (home / "include").mkdir(parents=True)
    (home / "include" / "cublas_v2.h").touch()
    assert "FLASHRNN_EXTRA_INCLUDE_PATHS" not in kernels.build_environment()
