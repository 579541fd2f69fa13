"""The native recurrent cells on every instruction set and thread count, in threads and forks, on very long
sequences and on extreme numbers.
"""

import os
import platform
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from seqlight.ops import lstm, reference


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
        [sys.executable, str(Path(__file__).with_name("recurrent_on_this_isa.py"))],
        env={**os.environ, "SEQLIGHT_CPU_ISA": isa, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.split() == [isa]


@pytest.mark.parametrize(
    "sizes",
    [(64, 20, 8, 33), (3, 6, 64, 200), (1, 6, 64, 256), (17, 4, 10, 300), (13, 40, 7, 97), (16, 20, 64, 128)],
    ids=[
        "rows shared out",
        "few rows",
        "one row",
        "wide",
        "units shared out, narrow input",
        "and a wide one",
    ],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_thread_counts_agree(
    native: ModuleType, cell: Any, sizes: tuple[int, int, int, int], dtype: torch.dtype
) -> None:
    """Also when the number changes between calls, and between forward and backward."""
    tensors = cell.arguments(*sizes, dtype=dtype, requires_grad=True)
    noise = cell.noise(sizes[0], sizes[3])
    found = {}
    for threads, backward_threads in ((1, 1), (2, 2), (3, 1), (1, 2)):
        torch.set_num_threads(threads)
        results = cell(*tensors, **noise, backend="native")
        assert 1 <= native.last_thread_count() <= threads
        if cell.op != "rnn" and sizes[0] >= 64 and threads == 2:
            assert native.last_thread_count() == 2
        torch.set_num_threads(backward_threads)
        found[threads, backward_threads] = (*results, *gradients_of(results, tensors))
        assert 1 <= native.last_thread_count() <= backward_threads
    unit = torch.finfo(dtype).eps
    for several in found.values():
        for ours, one in zip(several, found[1, 1], strict=True):
            # Layer norm magnifies what summing in another order changes.
            allowed = (400 if cell.layer_norm else 40) * unit * one.abs().max().item()
            torch.testing.assert_close(ours, one, rtol=0, atol=allowed)


def test_tiny_work_runs_on_one_thread(native: ModuleType, cell: Any) -> None:
    torch.set_num_threads(2)
    tensors = cell.arguments(1, 1, 4, 8, requires_grad=True)
    results = cell(*tensors, backend="native")
    assert native.last_thread_count() == 1
    gradients_of(results, tensors)
    assert native.last_thread_count() == 1


def test_two_python_threads_at_once(native: ModuleType, cell: Any) -> None:
    def work(seed: int) -> list[tuple[Tensor, ...]]:
        runs = []
        for repeat in range(6):
            sizes = ((40, 10, 3, 20), (2, 5, 64, 200), (5, 7, 2, 9))[repeat % 3]
            tensors = cell.arguments(*sizes, seed=seed + repeat, requires_grad=True)
            results = cell(*tensors, **cell.noise(sizes[0], sizes[3], seed=seed), backend="native")
            runs.append((*results, *gradients_of(results, tensors)))
        return runs

    torch.set_num_threads(2)
    with ThreadPoolExecutor(2) as pool:
        together = list(pool.map(work, (0, 100)))
    for seed, runs in zip((0, 100), together, strict=True):
        for ours, alone in zip(runs, work(seed), strict=True):
            for one, other in zip(ours, alone, strict=True):
                torch.testing.assert_close(one, other, rtol=0, atol=5e-5 * other.abs().max().item())


class ComputedInWorker(Dataset):
    """Runs forward and backward where the loader asks for the item."""

    def __init__(self, cell: Any) -> None:
        self.cell = cell

    def __len__(self) -> int:
        return 3

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        tensors = self.cell.arguments(40, 10, 3, 20, seed=index, requires_grad=True)
        results = self.cell(*tensors, **self.cell.noise(40, 20, seed=index), backend="native")
        return results[0].detach(), gradients_of(results, tensors)[0]


@pytest.mark.skipif(sys.platform != "linux", reason="workers are forked on Linux")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_forked_workers(native: ModuleType, cell: Any) -> None:
    torch.set_num_threads(2)
    data = ComputedInWorker(cell)
    here = [data[index] for index in range(len(data))]  # the pool of this process is running when it forks
    loader = DataLoader(data, batch_size=None, num_workers=1, multiprocessing_context="fork", timeout=60)
    for theirs, ours in zip(loader, here, strict=True):
        torch.testing.assert_close(theirs, ours)


def test_hundred_thousand_steps(native: ModuleType, cell: Any) -> None:
    """Equals the same in two halves, and the reference over its last steps; gradients reach every step."""
    steps, half = 100_000, 50_000
    x, *rest = cell.arguments(2, steps, 2, 3, dtype=torch.float64, requires_grad=True)
    states, weights = rest[: len(cell.state_names)], rest[len(cell.state_names) :]
    output, *final = cell(x, *states, *weights, backend="native")
    whole = torch.autograd.grad(output.sum(), [x, *rest])
    first, *carried = cell(x[:, :half], *states, *weights, backend="native")
    second, *final_of_halves = cell(x[:, half:], *carried, *weights, backend="native")
    halves = torch.autograd.grad(first.sum() + second.sum(), [x, *rest])
    found = (torch.cat([first, second], dim=1), *final_of_halves)
    torch.testing.assert_close(found, (output, *final), rtol=0, atol=1e-12)
    for ours, expected in zip(halves, whole, strict=True):
        torch.testing.assert_close(ours, expected, rtol=0, atol=1e-11 * expected.abs().max().item())
    # At a single step every ReLU may be cut off.
    assert (whole[0].abs().amax(dim=(0, 2)).unflatten(0, (-1, 100)).amax(dim=1) > 0).all()
    with torch.no_grad():
        _, *before = cell(x[:, : steps - 20], *states, *weights, backend="native")
        ending = cell.reference(x[:, steps - 20 :], *before, *weights)
    torch.testing.assert_close(ending, (output[:, steps - 20 :], *final), rtol=0, atol=1e-11)


def subnormals_live() -> bool:
    """Whether arithmetic of this thread, and of torch's pool, keeps numbers below the normal range."""
    one = torch.full((1,), 1e-40) * 0.5
    many = torch.full((400_000,), 1e-40) * 0.5
    return bool(one.item() > 0) and bool((many > 0).all())


@pytest.fixture
def live_subnormals() -> Iterator[None]:
    if not torch.set_flush_denormal(False):
        pytest.skip("torch cannot set the floating-point state of this processor")
    yield
    torch.set_flush_denormal(False)


def test_decaying_state_and_the_callers_floating_point_state(
    native: ModuleType, live_subnormals: None
) -> None:
    """The LSTM's cell halves at every step, and so falls below float32's normal range after 126."""
    torch.set_num_threads(2)
    batch_size, steps, hidden_size = 64, 300, 16
    x = torch.zeros(batch_size, steps, 1, requires_grad=True)
    h0, c0 = torch.zeros(batch_size, hidden_size), torch.ones(batch_size, hidden_size, requires_grad=True)
    weight_ih, weight_hh = torch.zeros(4 * hidden_size, 1), torch.zeros(4 * hidden_size, hidden_size)
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


def test_states_that_decay_to_nothing(native: ModuleType, cell: Any, live_subnormals: None) -> None:
    """Without biases and inputs every state halves at a step or faster, from 1 to below float32's range."""
    batch_size, steps, hidden_size = 5, 200, 9
    named = dict(zip(cell.names, cell.arguments(batch_size, steps, 2, hidden_size), strict=True))
    for name, tensor in named.items():
        tensor.fill_(0 if name not in cell.state_names else 1)
    if cell.op == "rnn":
        named["weight_hh"].fill_diagonal_(0.5)
    for zoneouts in ({}, {name: 0.5 for name in cell.zoneout_names}):
        leaves = [tensor.clone().requires_grad_() for tensor in named.values()]
        results = cell(*leaves, **zoneouts, backend="native")
        exact = cell.reference(*(tensor.double() for tensor in named.values()), **zoneouts)
        for ours, right in zip(results, exact, strict=True):
            torch.testing.assert_close(ours.double(), right, rtol=1e-4, atol=2e-38)
        assert all(gradient.isfinite().all() for gradient in gradients_of(results, leaves))
        assert subnormals_live()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_large_inputs(device: torch.device, cell: Any, dtype: torch.dtype) -> None:
    """At 1e4 gates and tanh saturate, and the ReLU's states grow."""
    tensors = cell.arguments(9, 8, 3, 17, dtype=dtype)
    tensors[0] = tensors[0] * 1e4
    for place in range(len(cell.state_names)):
        tensors[1 + place] = tensors[1 + place] * 1e3
    leaves = [tensor.requires_grad_() for tensor in tensors]
    exact_leaves = [leaf.detach().double().requires_grad_() for leaf in leaves]
    results, exact = cell(*leaves, backend="native"), cell.reference(*exact_leaves)
    unit = torch.finfo(dtype).eps
    # The products are near 1e4, so a gate that is not saturated carries an error of 1e4 units.
    for ours, right in zip(results, exact, strict=True):
        torch.testing.assert_close(ours.double(), right, rtol=0, atol=1e5 * unit * right.abs().max().item())
    for gradient in gradients_of(results, leaves):
        assert gradient.isfinite().all()


def test_infinite_gates_saturate(device: torch.device, lstm_arguments: Callable[..., list[Tensor]]) -> None:
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
    device: torch.device, cell: Any, dtype: torch.dtype, poison: float, sizes: tuple[int, int, int, int]
) -> None:
    clean = cell.arguments(*sizes, dtype=dtype, requires_grad=True)
    poisoned = cell.arguments(*sizes, dtype=dtype)
    poisoned[0][1, 2, 0] = poison
    for tensor in poisoned:
        tensor.requires_grad_()
    results, expected = cell(*poisoned, backend="native"), cell(*clean, backend="native")
    for ours, right in zip(results, cell.reference(*poisoned), strict=True):
        torch.testing.assert_close(ours, right, equal_nan=True, rtol=1e-4, atol=1e-4)
    assert not results[0][1, :2].isnan().any()
    others = torch.arange(sizes[0]) != 1
    for ours, right in zip(results, expected, strict=True):
        assert torch.equal(ours[others], right[others])
    gradients, right_gradients = gradients_of(results, poisoned), gradients_of(expected, clean)
    for place in range(1 + len(cell.state_names)):  # of x and the states
        torch.testing.assert_close(gradients[place][others], right_gradients[place][others])
    if poison != poison:
        assert results[0][1, 2:].isnan().all() and results[-1][1].isnan().all()
        # Where the recurrent product met the NaN. A ReLU itself passes 0 or 1 times its gradient there.
        assert gradients[cell.place("weight_hh")].isnan().any()


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("sizes", [(5, 6, 3, 7), (5, 6, 3, 130)])
@pytest.mark.parametrize("backend", ["native", "reference"])
def test_padding_is_never_looked_at(
    device: torch.device, cell: Any, reverse: bool, sizes: tuple[int, int, int, int], backend: str
) -> None:
    """NaN past the rows' ends, in x and in the output's gradient, reaches nothing."""
    lengths = torch.tensor([6, 0, 3, 1, 5])
    padding = torch.arange(6) >= lengths[:, None]
    noise = cell.noise(5, sizes[3])
    found = []
    for fill in (0.0, float("nan")):
        tensors = cell.arguments(*sizes, requires_grad=True)
        x = tensors[0].detach().clone()
        x[padding] = fill
        leaves = [x.requires_grad_(), *tensors[1:]]
        output, *finals = cell(*leaves, **noise, lengths=lengths, reverse=reverse, backend=backend)
        grad_output = torch.ones_like(output)
        grad_output[padding] = fill
        ones = [torch.ones_like(final) for final in finals]
        gradients = torch.autograd.grad((output, *finals), leaves, (grad_output, *ones))
        found.append((output.detach(), *(final.detach() for final in finals), *gradients))
    for zero_filled, nan_filled in zip(*found, strict=True):
        assert torch.equal(zero_filled, nan_filled)
    of_x = 1 + len(cell.state_names)
    assert (found[0][0][padding] == 0).all() and (found[0][of_x][padding] == 0).all()
    for place in range(1, of_x):
        assert torch.equal(found[0][place][1], tensors[place][1])  # length 0: the initial state


def test_work_after_an_error_is_right(native: ModuleType, cell: Any) -> None:
    tensors = cell.arguments(4, 5, 3, 8)
    expected = cell(*tensors, backend="native")
    rest = cell.private_rest({}, torch.tensor([9, 9, 9, 9]), False, torch.float32)
    with pytest.raises(RuntimeError, match="lengths expected values"):
        cell.private_op("forward")(*cell.private_tensors(tensors), *rest, None, False)
    for ours, right in zip(cell(*tensors, backend="native"), expected, strict=True):
        assert torch.equal(ours, right)
