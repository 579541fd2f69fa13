"""The native GRU and simple RNN against torch.nn and the float64 reference: outputs, states, gradients."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from math import exp, tanh
from types import ModuleType
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from seqlight.ops import reference

# Largest error allowed, relative to the largest element of the float64 result. float32's unit is 6e-8, and
# a gradient sums B * T terms.
TOLERANCE = {
    ("values", torch.float32): 2e-6,
    ("gradients", torch.float32): 5e-6,
    ("values", torch.float64): 1e-13,
    ("gradients", torch.float64): 1e-12,
}

# One either side of the kernels' tiles.
BATCHES = (1, 2, 7, 8, 9, 15, 16, 17, 31, 32, 33)
HIDDEN = (1, 3, 5, 6, 7, 8, 9, 12, 15, 16, 17, 20, 31, 32, 33, 64, 65)
INPUTS = (1, 2, 3, 7, 8, 9, 15, 16, 17, 33)
STEPS = (1, 2, 3, 5, 8, 13)


@dataclass(frozen=True)
class Case:
    batch_size: int
    steps: int
    input_size: int
    hidden_size: int
    dtype: torch.dtype
    biases: tuple[bool, bool]
    lengths: tuple[int, ...] | None
    reverse: bool
    layout: str  # of x and of the output's gradient
    results: tuple[bool, bool]  # which of output and h_n take part in the loss
    wanted: tuple[bool, ...]  # which of the tensors want a gradient
    seed: int


@st.composite
def cases(draw: st.DrawFn) -> Case:
    batch_size, steps = draw(st.sampled_from(BATCHES)), draw(st.sampled_from(STEPS))
    rows = st.tuples(*[st.integers(0, steps)] * batch_size)
    every = (True,) * 6
    states_only, weights_only = (True, True) + (False,) * 4, (False, False) + (True,) * 4
    return Case(
        batch_size=batch_size,
        steps=steps,
        input_size=draw(st.sampled_from(INPUTS)),
        hidden_size=draw(st.sampled_from(HIDDEN)),
        dtype=draw(st.sampled_from((torch.float32, torch.float64))),
        biases=draw(st.sampled_from(((True, True), (False, False), (True, False), (False, True)))),
        lengths=draw(st.none() | rows),
        reverse=draw(st.booleans()),
        layout=draw(st.sampled_from(("dense", "time first", "every second", "expanded"))),
        results=draw(st.sampled_from(((True, True), (True, False), (False, True)))),
        wanted=draw(
            st.sampled_from((every, states_only, weights_only, (False, True) * 3, (True, False) * 3))
        ),
        seed=draw(st.integers(0, 2**31)),
    )


def laid_out(tensor: Tensor, layout: str) -> Tensor:
    """The same values (for "expanded", those of the first row in all rows) in other strides."""
    if layout == "time first":
        return tensor.transpose(0, 1).contiguous().transpose(0, 1)
    if layout == "every second":
        return torch.stack([tensor, tensor + 1], dim=-1)[..., 0]
    if layout == "expanded":
        return tensor[:1].expand_as(tensor)
    return tensor


def draw_tensors(case: Case, cell: Any) -> list[Tensor | None]:
    sizes = (case.batch_size, case.steps, case.input_size, case.hidden_size)
    x, h0, weight_ih, weight_hh, *biases = cell.arguments(*sizes, dtype=case.dtype, seed=case.seed)
    present = [bias if there else None for bias, there in zip(biases, case.biases, strict=True)]
    return [laid_out(x, case.layout), h0, weight_ih, weight_hh, *present]


def results_and_gradients(
    function: Callable[..., tuple[Tensor, ...]],
    case: Case,
    names: tuple[str, ...],
    tensors: list[Tensor | None],
) -> dict[str, Tensor]:
    """Run forward and backward, with a random gradient for each result that takes part in the loss."""
    leaves = [
        None if tensor is None else tensor.detach().requires_grad_(wanted)
        for tensor, wanted in zip(tensors, case.wanted, strict=True)
    ]
    results = function(*leaves)
    generator = torch.Generator().manual_seed(case.seed)
    outer, inner = [], []
    for result, counts in zip(results, case.results, strict=True):
        grad = torch.randn(result.shape, generator=generator, dtype=torch.float64).to(case.dtype)
        if counts:
            outer.append(result)
            inner.append(
                laid_out(grad.to(result.dtype), case.layout) if grad.dim() == 3 else grad.to(result.dtype)
            )
    wanted = {
        name: leaf
        for name, leaf in zip(names, leaves, strict=True)
        if leaf is not None and leaf.requires_grad
    }
    found = {f"values of {name}": result for name, result in zip(("output", "h_n"), results, strict=True)}
    if wanted and any(result.requires_grad for result in outer):
        gradients = torch.autograd.grad(outer, list(wanted.values()), inner, allow_unused=True)
        for name, gradient in zip(wanted, gradients, strict=True):
            found[f"gradients of {name}"] = torch.zeros_like(wanted[name]) if gradient is None else gradient
    return {name: tensor.detach() for name, tensor in found.items()}


def assert_equal(found: dict[str, Tensor], expected: dict[str, Tensor], dtype: torch.dtype) -> None:
    assert found.keys() == expected.keys()
    for name, exact in expected.items():
        assert found[name].dtype == dtype, name
        scale = exact.abs().max().item() if exact.numel() else 0.0
        # Gradients of saturated or cancelled terms may be tiny beside the terms of about 1 that they sum.
        allowed = TOLERANCE[name.split()[0], dtype] * max(scale, 0.5)
        error = (found[name].double() - exact).abs().max().item() if exact.numel() else 0.0
        assert error <= allowed, f"{name}: error {error:.2e}, allowed {allowed:.2e}"


@contextmanager
def one_thread() -> Iterator[None]:
    """For the oracle: its many small products take far longer on several threads of a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def run_against_reference(case: Case, cell: Any) -> None:
    tensors = draw_tensors(case, cell)
    lengths = None if case.lengths is None else torch.tensor(case.lengths, dtype=torch.int64)

    def native(*leaves: Tensor | None) -> tuple[Tensor, ...]:
        return cell(*leaves, lengths=lengths, reverse=case.reverse, backend="native")

    def exact(*leaves: Tensor | None) -> tuple[Tensor, ...]:
        return cell.reference(*leaves, lengths=lengths, reverse=case.reverse)

    doubled = [None if tensor is None else tensor.double() for tensor in tensors]
    found = results_and_gradients(native, case, cell.names, tensors)
    with one_thread():
        expected = results_and_gradients(exact, case, cell.names, doubled)
    assert_equal(found, expected, case.dtype)


@given(case=cases())
@settings(max_examples=60)
def test_equals_float64_reference(native: ModuleType, cell: Any, case: Case) -> None:
    run_against_reference(case, cell)


@given(case=cases())
@settings(max_examples=60)
def test_equals_torch(native: ModuleType, cell: Any, case: Case) -> None:
    """In float64; variable lengths (1 and more) through torch's PackedSequence."""
    lengths = None if case.lengths is None else tuple(max(length, 1) for length in case.lengths)
    case = replace(case, biases=(True, True), reverse=False, lengths=lengths, dtype=torch.float64)
    tensors = draw_tensors(case, cell)
    row_lengths = None if lengths is None else torch.tensor(lengths)
    module = cell.peer(
        case.input_size, case.hidden_size, batch_first=True, dtype=torch.float64, **cell.options
    )

    def peer(x: Tensor, h0: Tensor, *parameters: Tensor) -> tuple[Tensor, ...]:
        weights = dict(zip((f"{name}_l0" for name in cell.names[2:]), parameters, strict=True))
        inputs = x
        if row_lengths is not None:
            inputs = pack_padded_sequence(x, row_lengths, batch_first=True, enforce_sorted=False)
        output, h_n = torch.func.functional_call(module, weights, (inputs, h0[None]))
        if row_lengths is not None:
            output, _lengths = pad_packed_sequence(output, batch_first=True, total_length=case.steps)
        return output, h_n[0]

    def ours(*leaves: Tensor | None) -> tuple[Tensor, ...]:
        return cell(*leaves, lengths=row_lengths, backend="native")

    found = results_and_gradients(ours, case, cell.names, tensors)
    with one_thread():
        expected = results_and_gradients(peer, case, cell.names, tensors)
    assert_equal(found, expected, torch.float64)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    "sizes", [(0, 3, 2, 5), (1, 1, 1, 1), (3, 4, 40, 200), (70, 3, 5, 130), (2, 3, 300, 17)]
)
@pytest.mark.parametrize("with_lengths", [False, True])
def test_sizes_beyond_the_tiles(
    native: ModuleType, cell: Any, dtype: torch.dtype, sizes: tuple[int, int, int, int], with_lengths: bool
) -> None:
    batch_size, steps = sizes[:2]
    lengths = tuple(row % (steps + 1) for row in range(batch_size)) if with_lengths else None
    both = (True, True)
    for reverse in (False, True):
        case = Case(*sizes, dtype, both, lengths, reverse, "dense", both, (True,) * 6, seed=3)
        run_against_reference(case, cell)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("cuts", [(1,), (7, 8, 20), tuple(range(1, 30))], ids=["two", "four", "steps"])
def test_chunked_equals_whole(
    native: ModuleType, cell: Any, dtype: torch.dtype, cuts: tuple[int, ...]
) -> None:
    x, h, *weights = cell.arguments(9, 30, 3, 17, dtype=dtype)
    whole = cell(x, h, *weights, backend="native")
    outputs = []
    for chunk in x.tensor_split(cuts, dim=1):
        output, h = cell(chunk, h, *weights, backend="native")
        outputs.append(output)
    tolerance = 1e-12 if dtype == torch.float64 else 2e-6
    torch.testing.assert_close((torch.cat(outputs, 1), h), whole, rtol=0, atol=tolerance)


def column(values: list[float]) -> Tensor:
    return torch.tensor(values, dtype=torch.float64).reshape(-1, 1)


def test_gru_reference_matches_the_equations_step_by_step() -> None:
    """One row by hand in scalars, so that the oracle itself is held against the published equations."""

    def sigmoid(value: float) -> float:
        return 1 / (1 + exp(-value))

    weight_ih, weight_hh = [0.5, -0.3, 0.8], [0.1, 0.4, -0.6]
    bias_ih, bias_hh = [0.05, 1.0, -0.2], [0.3, -0.7, 0.9]
    h, outputs = 0.3, []
    for x in (1.0, -2.0, 0.5):
        of_x = [w * x + b for w, b in zip(weight_ih, bias_ih, strict=True)]
        of_h = [u * h + b for u, b in zip(weight_hh, bias_hh, strict=True)]
        r, z = sigmoid(of_x[0] + of_h[0]), sigmoid(of_x[1] + of_h[1])
        h = (1 - z) * tanh(of_x[2] + r * of_h[2]) + z * h
        outputs.append(h)
    output, h_n = reference.gru(
        column([1.0, -2.0, 0.5]).reshape(1, 3, 1),
        column([0.3]),
        column(weight_ih),
        column(weight_hh),
        column(bias_ih).flatten(),
        column(bias_hh).flatten(),
    )
    assert output.flatten().tolist() == pytest.approx(outputs, rel=1e-14)
    assert h_n.item() == pytest.approx(h, rel=1e-14)


@pytest.mark.parametrize("nonlinearity", ["tanh", "relu"])
def test_rnn_reference_matches_the_equation_step_by_step(nonlinearity: Any) -> None:
    activation = tanh if nonlinearity == "tanh" else lambda value: max(value, 0.0)
    h, outputs = 0.3, []
    for x in (1.0, -2.0, 0.5):
        h = activation(0.5 * x + 0.1 - 0.8 * h + 0.2)
        outputs.append(h)
    output, h_n = reference.rnn(
        column([1.0, -2.0, 0.5]).reshape(1, 3, 1),
        column([0.3]),
        column([0.5]),
        column([-0.8]),
        column([0.1]).flatten(),
        column([0.2]).flatten(),
        nonlinearity=nonlinearity,
    )
    assert output.flatten().tolist() == pytest.approx(outputs, rel=1e-14)
    assert h_n.item() == pytest.approx(h, rel=1e-14)
