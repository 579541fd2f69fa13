"""The native GRU and simple RNN on every instruction set and thread count, and on extreme numbers."""

import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor


@pytest.fixture(autouse=True)
def restored_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def gradients_of(results: tuple[Tensor, ...], tensors: list[Tensor]) -> tuple[Tensor, ...]:
    return torch.autograd.grad(sum(result.sum() for result in results), tensors)


@pytest.mark.parametrize("isa", ["base", "avx2"])
def test_lower_instruction_set(native: ModuleType, isa: str) -> None:
    order = ["base", "avx2", "avx512"]
    if platform.machine() not in ("x86_64", "AMD64") or order.index(native.cpu_isa()) < order.index(isa):
        pytest.skip(f"this processor does not run {isa}")
    run = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("gru_rnn_on_this_isa.py"))],
        env={**os.environ, "SEQLIGHT_CPU_ISA": isa, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.split() == [isa]


@pytest.mark.parametrize(
    "sizes",
    [(64, 20, 8, 33), (3, 6, 64, 200), (1, 6, 64, 256)],
    ids=["rows shared out", "few rows", "one row"],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_thread_counts_agree(
    native: ModuleType, cell: Any, sizes: tuple[int, int, int, int], dtype: torch.dtype
) -> None:
    tensors = cell.arguments(*sizes, dtype=dtype, requires_grad=True)
    found = {}
    for threads in (1, 2, 1):
        torch.set_num_threads(threads)
        results = cell(*tensors, backend="native")
        assert 1 <= native.last_thread_count() <= threads
        if cell.op == "gru" and sizes[0] >= 64:
            assert native.last_thread_count() == threads
        found[threads] = (*results, *gradients_of(results, tensors))
        assert 1 <= native.last_thread_count() <= threads
    unit = torch.finfo(dtype).eps
    for several, one in zip(found[2], found[1], strict=True):
        torch.testing.assert_close(several, one, rtol=0, atol=40 * unit * one.abs().max().item())


def test_tiny_work_runs_on_one_thread(native: ModuleType, cell: Any) -> None:
    torch.set_num_threads(2)
    tensors = cell.arguments(1, 1, 4, 8, requires_grad=True)
    results = cell(*tensors, backend="native")
    assert native.last_thread_count() == 1
    gradients_of(results, tensors)
    assert native.last_thread_count() == 1


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_large_inputs(native: ModuleType, cell: Any, dtype: torch.dtype) -> None:
    """At 1e4 gates and tanh saturate, and the ReLU's states grow."""
    tensors = cell.arguments(9, 8, 3, 17, dtype=dtype)
    tensors[0] = tensors[0] * 1e4
    tensors[1] = tensors[1] * 1e3
    leaves = [tensor.requires_grad_() for tensor in tensors]
    exact_leaves = [leaf.detach().double().requires_grad_() for leaf in leaves]
    results, exact = cell(*leaves, backend="native"), cell.reference(*exact_leaves)
    unit = torch.finfo(dtype).eps
    # The products are near 1e4, so a gate that is not saturated carries an error of 1e4 units.
    for ours, right in zip(results, exact, strict=True):
        torch.testing.assert_close(ours.double(), right, rtol=0, atol=1e5 * unit * right.abs().max().item())
    for gradient in gradients_of(results, leaves):
        assert gradient.isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("sizes", [(20, 5, 3, 9), (3, 5, 3, 130)])
def test_nan_stays_in_its_row(
    native: ModuleType, cell: Any, dtype: torch.dtype, sizes: tuple[int, int, int, int]
) -> None:
    clean = cell.arguments(*sizes, dtype=dtype, requires_grad=True)
    poisoned = cell.arguments(*sizes, dtype=dtype)
    poisoned[0][1, 2, 0] = torch.nan
    for tensor in poisoned:
        tensor.requires_grad_()
    results, expected = cell(*poisoned, backend="native"), cell(*clean, backend="native")
    for ours, right in zip(results, cell.reference(*poisoned), strict=True):
        torch.testing.assert_close(ours, right, equal_nan=True)
    assert not results[0][1, :2].isnan().any()
    assert results[0][1, 2:].isnan().all() and results[1][1].isnan().all()
    others = torch.arange(sizes[0]) != 1
    for ours, right in zip(results, expected, strict=True):
        assert torch.equal(ours[others], right[others])
    gradients, right_gradients = gradients_of(results, poisoned), gradients_of(expected, clean)
    for place in range(2):  # of x and h0
        torch.testing.assert_close(gradients[place][others], right_gradients[place][others])
    # Where the recurrent product met the NaN. A ReLU's own derivative there is 0 or 1, whoever computes it.
    assert gradients[3].isnan().any()


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("sizes", [(5, 6, 3, 7), (5, 6, 3, 130)])
@pytest.mark.parametrize("backend", ["native", "reference"])
def test_padding_is_never_looked_at(
    native: ModuleType, cell: Any, reverse: bool, sizes: tuple[int, int, int, int], backend: str
) -> None:
    """NaN past the rows' ends, in x and in the output's gradient, reaches nothing."""
    lengths = torch.tensor([6, 0, 3, 1, 5])
    padding = torch.arange(6) >= lengths[:, None]
    found = []
    for fill in (0.0, float("nan")):
        tensors = cell.arguments(*sizes, requires_grad=True)
        x = tensors[0].detach().clone()
        x[padding] = fill
        leaves = [x.requires_grad_(), *tensors[1:]]
        output, h_n = cell(*leaves, lengths=lengths, reverse=reverse, backend=backend)
        grad_output = torch.ones_like(output)
        grad_output[padding] = fill
        gradients = torch.autograd.grad((output, h_n), leaves, (grad_output, torch.ones_like(h_n)))
        found.append((output.detach(), h_n.detach(), *gradients))
    for zero_filled, nan_filled in zip(*found, strict=True):
        assert torch.equal(zero_filled, nan_filled)
    assert (found[0][0][padding] == 0).all() and (found[0][2][padding] == 0).all()
    assert torch.equal(found[0][1][1], tensors[1][1])  # length 0: the initial state


def test_work_after_an_error_is_right(native: ModuleType, cell: Any) -> None:
    tensors = cell.arguments(4, 5, 3, 8)
    expected = cell(*tensors, backend="native")
    with pytest.raises(RuntimeError, match="lengths expected values"):
        cell.private_op("forward")(*tensors, torch.tensor([9, 9, 9, 9]), *cell.flags, False, False)
    for ours, right in zip(cell(*tensors, backend="native"), expected, strict=True):
        assert torch.equal(ours, right)
