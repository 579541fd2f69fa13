"""The native LSTM against torch.nn.LSTM and the float64 reference: outputs, states and all gradients."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from types import ModuleType

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from seqlight.ops import lstm, reference

# Largest error allowed, relative to the largest element of the float64 result. float32's unit is 6e-8, and
# a gradient sums B * T terms.
TOLERANCE = {
    ("values", torch.float32): 2e-6,
    ("gradients", torch.float32): 5e-6,
    ("values", torch.float64): 1e-13,
    ("gradients", torch.float64): 1e-12,
}

NAMES = ("x", "h0", "c0", "weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_peephole")
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
    bias: bool
    peephole: bool
    initial_state: bool
    lengths: tuple[int, ...] | None
    reverse: bool
    layout: str  # of x and of the outputs' gradients
    results: tuple[bool, bool, bool]  # which of output, h_n, c_n take part in the loss
    wanted: tuple[bool, ...]  # which of the tensors want a gradient
    seed: int


@st.composite
def cases(draw: st.DrawFn) -> Case:
    batch_size, steps = draw(st.sampled_from(BATCHES)), draw(st.sampled_from(STEPS))
    rows = st.tuples(*[st.integers(0, steps)] * batch_size)
    return Case(
        batch_size=batch_size,
        steps=steps,
        input_size=draw(st.sampled_from(INPUTS)),
        hidden_size=draw(st.sampled_from(HIDDEN)),
        dtype=draw(st.sampled_from((torch.float32, torch.float64))),
        bias=draw(st.booleans()),
        peephole=draw(st.booleans()),
        initial_state=draw(st.booleans()),
        lengths=draw(st.none() | rows),
        reverse=draw(st.booleans()),
        layout=draw(st.sampled_from(("dense", "time first", "every second", "expanded"))),
        results=draw(
            st.sampled_from(
                [
                    (True, True, True),
                    (True, False, False),
                    (False, True, False),
                    (False, False, True),
                    (True, True, False),
                    (True, False, True),
                ]
            )
        ),
        wanted=draw(
            st.sampled_from(
                [
                    (True,) * 8,
                    (False, False, False) + (True,) * 5,
                    (True,) * 3 + (False,) * 5,
                    (False, True) * 4,
                    (True, False) * 4,
                ]
            )
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


def draw_tensors(case: Case, arguments: Callable[..., list[Tensor]]) -> list[Tensor | None]:
    tensors: list[Tensor | None] = list(
        arguments(
            case.batch_size,
            case.steps,
            case.input_size,
            case.hidden_size,
            dtype=case.dtype,
            seed=case.seed,
        )
    )
    tensors[0] = laid_out(tensors[0], case.layout)
    if not case.initial_state:
        tensors[1], tensors[2] = torch.zeros_like(tensors[1]), torch.zeros_like(tensors[2])
    if not case.bias:
        tensors[5] = tensors[6] = None
    if not case.peephole:
        tensors[7] = None
    return tensors


def results_and_gradients(
    function: Callable[..., tuple[Tensor, ...]], case: Case, tensors: list[Tensor | None]
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
        grad = (
            torch.randn(result.shape, generator=generator, dtype=torch.float64)
            .to(case.dtype)
            .to(result.dtype)
        )
        if counts:
            outer.append(result)
            inner.append(laid_out(grad, case.layout) if grad.dim() == 3 else grad)
    wanted = {
        name: leaf
        for name, leaf in zip(NAMES, leaves, strict=True)
        if leaf is not None and leaf.requires_grad
    }
    found = {
        f"values of {name}": result for name, result in zip(("output", "h_n", "c_n"), results, strict=True)
    }
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
        # Gradients of saturated or cancelled terms may be tiny beside the numbers that they were summed from.
        allowed = TOLERANCE[name.split()[0], dtype] * max(scale, 0.1)
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


def run_against_reference(case: Case, arguments: Callable[..., list[Tensor]]) -> None:
    tensors = draw_tensors(case, arguments)
    lengths = None if case.lengths is None else torch.tensor(case.lengths, dtype=torch.int64)

    def native(*leaves: Tensor | None) -> tuple[Tensor, ...]:
        return lstm(*leaves, lengths=lengths, reverse=case.reverse, backend="native")

    def exact(*leaves: Tensor | None) -> tuple[Tensor, ...]:
        return reference.lstm(*leaves, lengths=lengths, reverse=case.reverse)

    doubled = [None if tensor is None else tensor.double() for tensor in tensors]
    found = results_and_gradients(native, case, tensors)
    with one_thread():
        expected = results_and_gradients(exact, case, doubled)
    assert_equal(found, expected, case.dtype)


@given(case=cases())
@settings(max_examples=170)
def test_equals_float64_reference(
    native: ModuleType, lstm_arguments: Callable[..., list[Tensor]], case: Case
) -> None:
    run_against_reference(case, lstm_arguments)


@given(case=cases())
@settings(max_examples=60)
def test_equals_torch_lstm(
    native: ModuleType, lstm_arguments: Callable[..., list[Tensor]], case: Case
) -> None:
    """Without peepholes, in float64; variable lengths (1 and more) through torch's PackedSequence."""
    lengths = None if case.lengths is None else tuple(max(length, 1) for length in case.lengths)
    case = replace(case, peephole=False, bias=True, reverse=False, lengths=lengths, dtype=torch.float64)
    tensors = draw_tensors(case, lstm_arguments)
    row_lengths = None if lengths is None else torch.tensor(lengths)
    module = torch.nn.LSTM(case.input_size, case.hidden_size, batch_first=True, dtype=torch.float64)

    def peer(
        x: Tensor,
        h0: Tensor,
        c0: Tensor,
        weight_ih: Tensor,
        weight_hh: Tensor,
        bias_ih: Tensor,
        bias_hh: Tensor,
        _: None,
    ) -> tuple[Tensor, ...]:
        weights = {
            "weight_ih_l0": weight_ih,
            "weight_hh_l0": weight_hh,
            "bias_ih_l0": bias_ih,
            "bias_hh_l0": bias_hh,
        }
        inputs = x
        if row_lengths is not None:
            inputs = pack_padded_sequence(x, row_lengths, batch_first=True, enforce_sorted=False)
        output, (h_n, c_n) = torch.func.functional_call(module, weights, (inputs, (h0[None], c0[None])))
        if row_lengths is not None:
            output, _lengths = pad_packed_sequence(output, batch_first=True, total_length=case.steps)
        return output, h_n[0], c_n[0]

    def ours(*leaves: Tensor | None) -> tuple[Tensor, ...]:
        return lstm(*leaves, lengths=row_lengths, backend="native")

    found = results_and_gradients(ours, case, tensors)
    with one_thread():
        expected = results_and_gradients(peer, case, tensors)
    assert_equal(found, expected, torch.float64)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    "sizes", [(0, 3, 2, 5), (1, 1, 1, 1), (3, 4, 40, 200), (70, 3, 5, 130), (2, 3, 300, 17)]
)
@pytest.mark.parametrize("with_lengths", [False, True])
def test_sizes_beyond_the_tiles(
    native: ModuleType,
    lstm_arguments: Callable[..., list[Tensor]],
    dtype: torch.dtype,
    sizes: tuple[int, int, int, int],
    with_lengths: bool,
) -> None:
    batch_size, steps = sizes[:2]
    lengths = tuple(row % (steps + 1) for row in range(batch_size)) if with_lengths else None
    for reverse in (False, True):
        run_against_reference(
            Case(*sizes, dtype, True, True, True, lengths, reverse, "dense", (True,) * 3, (True,) * 8, 3),
            lstm_arguments,
        )


def test_long_sequence(native: ModuleType, lstm_arguments: Callable[..., list[Tensor]]) -> None:
    run_against_reference(
        Case(
            2,
            10_000,
            2,
            5,
            torch.float64,
            True,
            True,
            True,
            (10_000, 9_999),
            False,
            "dense",
            (True,) * 3,
            (True,) * 8,
            4,
        ),
        lstm_arguments,
    )


def test_reference_matches_the_equations_step_by_step() -> None:
    """One row by hand in scalars, so that the oracle itself is held against the published equations."""
    from math import exp, tanh

    def sigmoid(value: float) -> float:
        return 1 / (1 + exp(-value))

    weight_ih, weight_hh = [0.5, -0.3, 0.8, 0.2], [0.1, 0.4, -0.6, 0.7]
    bias, peephole = [0.05, 1.0, -0.2, 0.3], [0.9, -0.5, 0.6]
    h, c, outputs = 0.3, -0.4, []
    for x in (1.0, -2.0, 0.5):
        i, f, g, o = (w * x + u * h + b for w, u, b in zip(weight_ih, weight_hh, bias, strict=True))
        i, f = sigmoid(i + peephole[0] * c), sigmoid(f + peephole[1] * c)
        c = f * c + i * tanh(g)
        h = sigmoid(o + peephole[2] * c) * tanh(c)
        outputs.append(h)

    def column(values: list[float]) -> Tensor:
        return torch.tensor(values, dtype=torch.float64).reshape(-1, 1)

    output, h_n, c_n = reference.lstm(
        column([1.0, -2.0, 0.5]).reshape(1, 3, 1),
        column([0.3]),
        column([-0.4]),
        column(weight_ih),
        column(weight_hh),
        column(bias).flatten(),
        None,
        column(peephole),
    )
    assert output.flatten().tolist() == pytest.approx(outputs, rel=1e-14)
    assert (h_n.item(), c_n.item()) == pytest.approx((h, c), rel=1e-14)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_overlapping_windows_of_one_series(
    native: ModuleType, lstm_arguments: Callable[..., list[Tensor]], dtype: torch.dtype
) -> None:
    """Windows by arithmetic share memory, one step apart; their gradients add up in the series."""
    _, *rest = lstm_arguments(9, 6, 3, 7, dtype=dtype)
    series = torch.randn(14, 3, dtype=dtype, requires_grad=True)
    windows = series.as_strided((9, 6, 3), (3, 3, 1))
    same_step_repeated = series[:9, None].expand(9, 6, 3)
    for x in (windows, same_step_repeated):
        results = [lstm(x, *rest, backend=backend)[0] for backend in ("native", "reference")]
        gradients = [
            torch.autograd.grad(result.sin().sum(), series, retain_graph=True)[0] for result in results
        ]
        tolerance = 20 * torch.finfo(dtype).eps
        torch.testing.assert_close(results[0], results[1], rtol=tolerance, atol=tolerance)
        torch.testing.assert_close(
            gradients[0], gradients[1], rtol=0, atol=tolerance * gradients[1].abs().max().item()
        )
