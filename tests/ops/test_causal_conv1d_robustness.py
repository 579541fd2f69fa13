"""The native causal convolution on every instruction set and thread count, and on extreme numbers."""

import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import Tensor

from seqlight.ops import causal_conv1d
from seqlight.ops.causal_conv1d_reference import causal_conv1d as reference


@pytest.fixture(autouse=True)
def restored_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("isa", ["base", "avx2"])
def test_lower_instruction_set(native: ModuleType, isa: str) -> None:
    order = ["base", "avx2", "avx512"]
    if platform.machine() not in ("x86_64", "AMD64") or order.index(native.cpu_isa()) < order.index(isa):
        pytest.skip(f"this processor does not run {isa}")
    run = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("causal_conv1d_on_this_isa.py"))],
        env={**os.environ, "SEQLIGHT_CPU_ISA": isa, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.split() == [isa]


def run_and_differentiate(tensors: list[Tensor], **options: object) -> tuple[Tensor, ...]:
    x, weight, bias = tensors
    output, state = causal_conv1d(x, weight, bias, backend="native", **options)
    return output, state, *torch.autograd.grad(output.sin().sum() + state.sum(), tensors)


@pytest.mark.parametrize(
    "sizes", [(8, 100, 20, 1), (1, 3000, 32, 1), (5, 333, 48, 48), (3, 100, 64, 1)], ids=str
)
@pytest.mark.parametrize("activation", [None, "gate"])
def test_thread_counts_agree(
    native: ModuleType, sizes: tuple[int, int, int, int], activation: str | None
) -> None:
    batch_size, steps, channels, groups = sizes
    torch.manual_seed(0)
    tensors = [
        torch.randn(batch_size, steps, channels, requires_grad=True),
        (torch.randn(2 * channels, channels // groups, 3) * (channels // groups) ** -0.5).requires_grad_(),
        torch.randn(2 * channels, requires_grad=True),
    ]
    found = {}
    for threads in (1, 2, 3, 1):
        torch.set_num_threads(threads)
        found[threads] = run_and_differentiate(tensors, dilation=16, groups=groups, activation=activation)
        assert native.last_thread_count() == threads
    again = run_and_differentiate(tensors, dilation=16, groups=groups, activation=activation)
    assert all(torch.equal(one, other) for one, other in zip(found[1], again, strict=True)), "not repeatable"
    for threads in (2, 3):
        for several, one in zip(found[threads], found[1], strict=True):
            torch.testing.assert_close(several, one, rtol=0, atol=2e-6 * one.abs().max().item())


def test_tiny_work_runs_on_one_thread(native: ModuleType) -> None:
    torch.set_num_threads(2)
    run_and_differentiate(
        [t.requires_grad_() for t in (torch.ones(1, 4, 3), torch.ones(2, 3, 2), torch.ones(2))]
    )
    assert native.last_thread_count() == 1


@pytest.mark.parametrize("activation", [None, "relu", "gate"])
@pytest.mark.parametrize("poison", [float("nan"), float("inf")])
@pytest.mark.parametrize("steps", [3, 40])
def test_nan_and_infinity_go_where_they_are_read(
    device: torch.device, activation: str | None, poison: float, steps: int
) -> None:
    """Only outputs that the tap reads it at change, as in the reference; nothing leaks between lanes."""
    torch.manual_seed(0)
    x, weight, bias = torch.randn(2, steps, 5), torch.randn(6, 5, 2), torch.randn(6)
    x[1, 1, 2] = poison
    options = {"dilation": 4, "activation": activation}
    ours, _ = causal_conv1d(x, weight, bias, backend="native", **options)
    exact, _ = reference(x, weight, bias, **options)
    torch.testing.assert_close(ours, exact, equal_nan=True, rtol=1e-5, atol=1e-5)
    touched = torch.zeros(2, steps, dtype=torch.bool)
    touched[1, [t for t in (1, 5) if t < steps]] = True
    assert ours[~touched].isfinite().all()


def test_nan_passes_through_relu_and_its_gradient(device: torch.device) -> None:
    x = torch.tensor([[[float("nan")], [1.0], [-1.0]]], requires_grad=True)
    found = []
    for function in (causal_conv1d, reference):
        output, _ = function(x, torch.ones(1, 1, 1), activation="relu")
        found.append((output, *torch.autograd.grad(output, x, torch.ones_like(output))))
    torch.testing.assert_close(*found, rtol=0, atol=0, equal_nan=True)


def test_saturated_gate(device: torch.device) -> None:
    x = torch.tensor([-1e30, -1e4, 0.0, 1e4, 1e30]).view(1, 5, 1).requires_grad_()
    weight = torch.tensor([1.0, 1.0]).view(2, 1, 1)
    output, _ = causal_conv1d(x, weight, activation="gate", backend="native")
    torch.testing.assert_close(output.flatten(), torch.tensor([0.0, 0.0, 0.0, 1.0, 1.0]))
    (gradient,) = torch.autograd.grad(output.sum(), x)
    assert gradient.isfinite().all()
