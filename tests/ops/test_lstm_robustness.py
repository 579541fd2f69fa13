"""The native LSTM on every instruction set and thread count, in threads and forks, and on extreme numbers."""

import os
import platform
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from seqlight.ops import lstm, reference

Arguments = Callable[..., list[Tensor]]


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
        [sys.executable, str(Path(__file__).with_name("lstm_on_this_isa.py"))],
        env={**os.environ, "SEQLIGHT_CPU_ISA": isa, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.split() == [isa]


@pytest.mark.parametrize(
    "sizes",
    [(64, 20, 8, 33), (3, 6, 64, 200), (1, 6, 64, 256), (17, 4, 10, 300)],
    ids=["rows shared out", "few rows", "one row", "wide"],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_thread_counts_agree(
    native: ModuleType, lstm_arguments: Arguments, sizes: tuple[int, int, int, int], dtype: torch.dtype
) -> None:
    tensors = lstm_arguments(*sizes, dtype=dtype, requires_grad=True)
    found = {}
    for threads in (1, 2, 3, 1):
        torch.set_num_threads(threads)
        results = lstm(*tensors, backend="native")
        assert 1 <= native.last_thread_count() <= threads
        if sizes[0] >= 64 and threads == 2:
            assert native.last_thread_count() == 2
        found[threads] = (*results, *gradients_of(results, tensors))
        assert 1 <= native.last_thread_count() <= threads
    unit = torch.finfo(dtype).eps
    for threads in (2, 3):
        for several, one in zip(found[threads], found[1], strict=True):
            torch.testing.assert_close(several, one, rtol=0, atol=40 * unit * one.abs().max().item())


def test_tiny_work_runs_on_one_thread(native: ModuleType, lstm_arguments: Arguments) -> None:
    torch.set_num_threads(2)
    tensors = lstm_arguments(1, 1, 4, 8, requires_grad=True)
    results = lstm(*tensors, backend="native")
    assert native.last_thread_count() == 1
    gradients_of(results, tensors)
    assert native.last_thread_count() == 1


def test_two_python_threads_at_once(native: ModuleType, lstm_arguments: Arguments) -> None:
    def work(seed: int) -> list[tuple[Tensor, ...]]:
        runs = []
        for repeat in range(12):
            sizes = ((40, 10, 3, 20), (2, 5, 64, 200), (5, 7, 2, 9))[repeat % 3]
            tensors = lstm_arguments(*sizes, seed=seed + repeat, requires_grad=True)
            results = lstm(*tensors, backend="native")
            runs.append((*results, *gradients_of(results, tensors)))
        return runs

    torch.set_num_threads(2)
    with ThreadPoolExecutor(2) as pool:
        together = list(pool.map(work, (0, 100)))
    for seed, runs in zip((0, 100), together, strict=True):
        for ours, alone in zip(runs, work(seed), strict=True):
            for one, other in zip(ours, alone, strict=True):
                torch.testing.assert_close(one, other, rtol=0, atol=5e-6 * other.abs().max().item())


class ComputedInWorker(Dataset):
    """Runs forward and backward where the loader asks for the item."""

    def __init__(self, arguments: Arguments) -> None:
        self.arguments = arguments

    def __len__(self) -> int:
        return 3

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        tensors = self.arguments(40, 10, 3, 20, seed=index, requires_grad=True)
        results = lstm(*tensors, backend="native")
        return results[0].detach(), gradients_of(results, tensors)[0]


@pytest.mark.skipif(sys.platform != "linux", reason="workers are forked on Linux")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_forked_workers(native: ModuleType, lstm_arguments: Arguments) -> None:
    torch.set_num_threads(2)
    data = ComputedInWorker(lstm_arguments)
    here = [data[index] for index in range(len(data))]  # the pool of this process is running when it forks
    loader = DataLoader(data, batch_size=None, num_workers=1, multiprocessing_context="fork", timeout=60)
    for theirs, ours in zip(loader, here, strict=True):
        torch.testing.assert_close(theirs, ours)


def subnormals_live() -> bool:
    """Whether arithmetic of this thread, and of torch's pool, keeps numbers below the normal range."""
    one = torch.full((1,), 1e-40) * 0.5
    many = torch.full((400_000,), 1e-40) * 0.5
    return bool(one.item() > 0) and bool((many > 0).all())


def test_decaying_state_and_the_callers_floating_point_state(native: ModuleType) -> None:
    """The cell halves at every step, and so falls below float32's normal range after 126."""
    torch.set_num_threads(2)
    batch_size, steps, hidden_size = 64, 300, 16
    x = torch.zeros(batch_size, steps, 1, requires_grad=True)
    h0, c0 = torch.zeros(batch_size, hidden_size), torch.ones(batch_size, hidden_size, requires_grad=True)
    weight_ih, weight_hh = torch.zeros(4 * hidden_size, 1), torch.zeros(4 * hidden_size, hidden_size)
    if not torch.set_flush_denormal(False):
        pytest.skip("torch cannot set the floating-point state of this processor")
    try:
        assert subnormals_live()
        output, h_n, c_n = lstm(x, h0, c0, weight_ih, weight_hh, backend="native")
        (grad_c0,) = torch.autograd.grad(output.sum(), c0)
        assert native.last_thread_count() == 2
        assert subnormals_live()
        exact = reference.lstm(*(t.double() for t in (x, h0, c0, weight_ih, weight_hh)))
        torch.testing.assert_close(output.double(), exact[0], rtol=1e-6, atol=2e-38)
        torch.testing.assert_close(c_n.double(), exact[2], rtol=0, atol=2e-38)
        assert h_n.abs().max() < 2e-38 and (grad_c0 > 0).all()
        torch.set_flush_denormal(True)
        lstm(x, h0, c0, weight_ih, weight_hh, backend="native")
        assert (torch.full((1,), 1e-40) * 0.5).item() == 0
    finally:
        torch.set_flush_denormal(False)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_saturated_gates(native: ModuleType, lstm_arguments: Arguments, dtype: torch.dtype) -> None:
    tensors = lstm_arguments(9, 8, 3, 17, dtype=dtype)
    tensors[0] = tensors[0] * 1e4
    tensors[1] = tensors[1] * 1e3
    tensors[2] = tensors[2] * 1e3
    leaves = [tensor.requires_grad_() for tensor in tensors]
    exact_leaves = [leaf.detach().double().requires_grad_() for leaf in leaves]
    results, exact = lstm(*leaves, backend="native"), reference.lstm(*exact_leaves)
    unit = torch.finfo(dtype).eps
    # The products are near 1e4, so a gate that is not saturated carries an error of 1e4 units.
    for ours, right in zip(results, exact, strict=True):
        torch.testing.assert_close(ours.double(), right, rtol=0, atol=1e5 * unit * right.abs().max().item())
    for gradient in gradients_of(results, leaves):
        assert gradient.isfinite().all()


def test_infinite_gates_saturate(native: ModuleType, lstm_arguments: Arguments) -> None:
    """1e38 times the weights overflows: the gates are exactly 0 or 1, as in the reference."""
    tensors = lstm_arguments(3, 2, 1, 4)
    tensors[0] = torch.full_like(tensors[0], 3e38)
    tensors[3] = tensors[3].sign() * 10
    for ours, right in zip(lstm(*tensors, backend="native"), reference.lstm(*tensors), strict=True):
        assert right.isfinite().all()
        torch.testing.assert_close(ours, right, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("poison", [float("nan"), float("inf")])
@pytest.mark.parametrize("sizes", [(20, 5, 3, 9), (3, 5, 3, 130)])
def test_nan_and_infinity_stay_in_their_row(
    native: ModuleType,
    lstm_arguments: Arguments,
    dtype: torch.dtype,
    poison: float,
    sizes: tuple[int, int, int, int],
) -> None:
    clean = lstm_arguments(*sizes, dtype=dtype, requires_grad=True)
    poisoned = lstm_arguments(*sizes, dtype=dtype)
    poisoned[0][1, 2, 0] = poison
    for tensor in poisoned:
        tensor.requires_grad_()
    results, expected = lstm(*poisoned, backend="native"), lstm(*clean, backend="native")
    for ours, right in zip(results, reference.lstm(*poisoned), strict=True):
        torch.testing.assert_close(ours, right, equal_nan=True)
    assert not results[0][1, :2].isnan().any()
    others = torch.arange(sizes[0]) != 1
    for ours, right in zip(results, expected, strict=True):
        assert torch.equal(ours[others], right[others])
    gradients, right_gradients = gradients_of(results, poisoned), gradients_of(expected, clean)
    for place in range(3):  # of x, h0, c0
        torch.testing.assert_close(gradients[place][others], right_gradients[place][others])
    if poison != poison:
        assert (
            results[0][1, 2:].isnan().all() and results[2][1].isnan().all() and gradients[0][1].isnan().any()
        )


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("sizes", [(5, 6, 3, 7), (5, 6, 3, 130)])
def test_padding_is_never_looked_at(
    native: ModuleType, lstm_arguments: Arguments, reverse: bool, sizes: tuple[int, int, int, int]
) -> None:
    """NaN past the rows' ends, in x and in the output's gradient, reaches nothing."""
    lengths = torch.tensor([6, 0, 3, 1, 5])
    padding = torch.arange(6) >= lengths[:, None]
    for backend in ("native", "reference"):
        found = []
        for fill in (0.0, float("nan")):
            tensors = lstm_arguments(*sizes, requires_grad=True)
            x = tensors[0].detach().clone()
            x[padding] = fill
            leaves = [x.requires_grad_(), *tensors[1:]]
            output, h_n, c_n = lstm(*leaves, lengths=lengths, reverse=reverse, backend=backend)
            grad_output = torch.ones_like(output)
            grad_output[padding] = fill
            gradients = torch.autograd.grad((output, h_n), leaves, (grad_output, torch.ones_like(h_n)))
            found.append((output.detach(), h_n.detach(), c_n.detach(), *gradients))
        for zero_filled, nan_filled in zip(*found, strict=True):
            assert torch.equal(zero_filled, nan_filled)
        assert (found[0][0][padding] == 0).all() and (found[0][3][padding] == 0).all()
        assert torch.equal(found[0][1][1], tensors[1][1])  # length 0: the initial state


def test_work_after_an_error_is_right(native: ModuleType, lstm_arguments: Arguments) -> None:
    tensors = lstm_arguments(4, 5, 3, 8)
    expected = lstm(*tensors, backend="native")
    with pytest.raises(RuntimeError, match="lengths expected values"):
        torch.ops.seqlight.lstm_forward(*tensors, torch.tensor([9, 9, 9, 9]), False, False)
    for ours, right in zip(lstm(*tensors, backend="native"), expected, strict=True):
        assert torch.equal(ours, right)
