"""The native recurrent cells against torch.nn and the float64 reference: outputs, states, all gradients."""

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

from seqlight.ops import lstm, reference

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
RESULTS = ("output", "h_n", "c_n")


@dataclass(frozen=True)
class Case:
    batch_size: int
    steps: int
    input_size: int
    hidden_size: int
    dtype: torch.dtype
    biases: tuple[bool, bool] = (True, True)
    initial_state: bool = True
    masked: bool = False
    zoneout: float = 0.0
    seeded: bool = False
    lengths: tuple[int, ...] | None = None
    reverse: bool = False
    layout: str = "dense"  # of x and of the output's gradient
    results: tuple[str, ...] = RESULTS  # those that take part in the loss
    wanted: str = "all"  # which of the tensors want a gradient
    seed: int = 3

    @property
    def sizes(self) -> tuple[int, int, int, int]:
        return self.batch_size, self.steps, self.input_size, self.hidden_size

    def wants(self, name: str, place: int) -> bool:
        of_input = name in ("x", "h0", "c0")
        return {
            "all": True,
            "input": of_input,
            "weights": not of_input,
            "even": place % 2 == 0,
            "odd": place % 2 == 1,
        }[self.wanted]


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
        biases=draw(st.sampled_from(((True, True), (False, False), (True, False), (False, True)))),
        initial_state=draw(st.booleans()),
        masked=draw(st.booleans()),
        zoneout=draw(st.sampled_from((0.0, 0.0, 0.01, 0.5))),
        seeded=draw(st.booleans()),
        lengths=draw(st.none() | rows),
        reverse=draw(st.booleans()),
        layout=draw(st.sampled_from(("dense", "time first", "every second", "expanded"))),
        results=draw(st.sampled_from((RESULTS, ("output",), ("h_n", "c_n"), ("c_n", "output"), ("h_n",)))),
        wanted=draw(st.sampled_from(("all", "input", "weights", "even", "odd"))),
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
    named = dict(zip(cell.names, cell.arguments(*case.sizes, dtype=case.dtype, seed=case.seed), strict=True))
    named["x"] = laid_out(named["x"], case.layout)
    if not case.initial_state:
        for name in cell.state_names:
            named[name] = named[name].new_zeros(1, 1).expand_as(named[name])
    for name, there in zip(("bias_ih", "bias_hh"), case.biases, strict=True):
        if not there:
            named[name] = None
    return list(named.values())


def results_and_gradients(
    function: Callable[..., tuple[Tensor, ...]], case: Case, cell: Any, tensors: list[Tensor | None]
) -> dict[str, Tensor]:
    """Run forward and backward, with a random gradient for each result that takes part in the loss."""
    leaves = {
        name: None if tensor is None else tensor.detach().requires_grad_(case.wants(name, place))
        for place, (name, tensor) in enumerate(zip(cell.names, tensors, strict=True))
    }
    results = dict(zip(cell.result_names, function(*leaves.values()), strict=True))
    generator = torch.Generator().manual_seed(case.seed)
    outer, inner = [], []
    for name, result in results.items():
        drawn = torch.randn(result.shape, generator=generator, dtype=torch.float64, device="cpu")
        grad = drawn.to(case.dtype).to(result)
        if name in case.results:
            outer.append(result)
            inner.append(laid_out(grad, case.layout) if grad.dim() == 3 else grad)
    wanted = {name: leaf for name, leaf in leaves.items() if leaf is not None and leaf.requires_grad}
    found = {f"values of {name}": result for name, result in results.items()}
    if wanted and any(result.requires_grad for result in outer):
        gradients = torch.autograd.grad(outer, list(wanted.values()), inner, allow_unused=True)
        for name, gradient in zip(wanted, gradients, strict=True):
            found[f"gradients of {name}"] = torch.zeros_like(wanted[name]) if gradient is None else gradient
    return {name: tensor.detach() for name, tensor in found.items()}


def error_of(found: Tensor, exact: Tensor) -> float:
    return (found.double() - exact).abs().max().item() if exact.numel() else 0.0


def assert_equal(
    found: dict[str, Tensor],
    expected: dict[str, Tensor],
    dtype: torch.dtype,
    peer: dict[str, Tensor] | None = None,
    *,
    times: float = 1.0,
) -> None:
    """Hold results against exact ones; a multiple of the error of a `peer` of the same precision is allowed.

    Layer norm magnifies rounding errors, everyone's, where it divides by a small deviation.
    """
    assert found.keys() == expected.keys()
    for name, exact in expected.items():
        assert found[name].dtype == dtype, name
        scale = exact.abs().max().item() if exact.numel() else 0.0
        # Gradients of saturated or cancelled terms may be tiny beside the terms of about 1 that they sum.
        allowed = times * TOLERANCE[name.split()[0], dtype] * max(scale, 0.5)
        if peer is not None:
            allowed += 20 * error_of(peer[name], exact)
        error = error_of(found[name], exact)
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


def last_digit_changed(tensors: list[Tensor | None], case: Case) -> list[Tensor | None]:
    """Round every element up or down by a unit, at random: the least error that any computation makes."""
    generator = torch.Generator().manual_seed(case.seed)
    changed: list[Tensor | None] = []
    for tensor in tensors:
        if tensor is not None:
            drawn = torch.randn(tensor.shape, generator=generator, dtype=case.dtype, device="cpu")
            tensor = tensor * (1 + torch.finfo(case.dtype).eps * drawn.sign().to(tensor))
        changed.append(tensor)
    return changed


def run_against_reference(case: Case, cell: Any, *, times: float = 1.0) -> None:
    tensors = draw_tensors(case, cell)
    lengths = None if case.lengths is None else torch.tensor(case.lengths, dtype=torch.int64)
    noise = cell.noise(
        case.batch_size,
        case.hidden_size,
        masked=case.masked,
        zoneout=case.zoneout,
        seeded=case.seeded,
        seed=case.seed,
    )
    options = {**noise, "lengths": lengths, "reverse": case.reverse}
    doubled = [None if tensor is None else tensor.double() for tensor in tensors]
    found = results_and_gradients(
        lambda *leaves: cell(*leaves, **options, backend="native"), case, cell, tensors
    )

    def by_reference(*leaves: Tensor | None) -> tuple[Tensor, ...]:
        return cell(*leaves, **options, backend="reference")

    peer = None
    with one_thread():
        expected = results_and_gradients(by_reference, case, cell, doubled)
        if cell.layer_norm:
            peer = results_and_gradients(by_reference, case, cell, last_digit_changed(tensors, case))
    assert_equal(found, expected, case.dtype, peer, times=times)


@given(case=cases())
@settings(max_examples=50)
def test_equals_float64_reference(device: torch.device, every_cell: Any, case: Case) -> None:
    run_against_reference(case, every_cell)


@pytest.mark.filterwarnings(
    "ignore:RNN module weights are not part:UserWarning"
)  # cuDNN would like them to be
@given(case=cases())
@settings(max_examples=40)
def test_equals_torch(device: torch.device, torch_cell: Any, case: Case) -> None:
    """In float64; variable lengths (1 and more) through torch's PackedSequence."""
    cell = torch_cell
    lengths = None if case.lengths is None else tuple(max(length, 1) for length in case.lengths)
    case = replace(case, biases=(True, True), reverse=False, lengths=lengths, dtype=torch.float64)
    tensors = draw_tensors(case, cell)
    row_lengths = None if lengths is None else torch.tensor(lengths)
    module = cell.peer(
        case.input_size, case.hidden_size, batch_first=True, dtype=torch.float64, **cell.options
    )

    def peer(x: Tensor, *others: Tensor) -> tuple[Tensor, ...]:
        states, parameters = others[: len(cell.state_names)], others[len(cell.state_names) :]
        names = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
        initial = tuple(state[None] for state in states)
        inputs = x
        if row_lengths is not None:
            inputs = pack_padded_sequence(x, row_lengths.cpu(), batch_first=True, enforce_sorted=False)
        output, final = torch.func.functional_call(
            module,
            dict(zip(names, parameters, strict=True)),
            (inputs, initial if len(initial) > 1 else initial[0]),
        )
        if row_lengths is not None:
            output, _lengths = pad_packed_sequence(output, batch_first=True, total_length=case.steps)
        return output, *(state[0] for state in (final if len(initial) > 1 else (final,)))

    def ours(*leaves: Tensor | None) -> tuple[Tensor, ...]:
        return cell(*leaves, lengths=row_lengths, backend="native")

    found = results_and_gradients(ours, case, cell, tensors)
    with one_thread():
        expected = results_and_gradients(peer, case, cell, tensors)
    assert_equal(found, expected, torch.float64)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    "sizes",
    [(0, 3, 2, 5), (1, 1, 1, 1), (7, 2, 1, 3), (3, 4, 40, 200), (70, 3, 5, 130), (2, 3, 300, 17)],
    ids=str,
)
@pytest.mark.parametrize("noisy", [False, True])
def test_sizes_beyond_the_tiles(
    device: torch.device, cell: Any, dtype: torch.dtype, sizes: tuple[int, int, int, int], noisy: bool
) -> None:
    batch_size, steps = sizes[:2]
    lengths = tuple(row % (steps + 1) for row in range(batch_size)) if noisy else None
    noise = {"masked": True, "zoneout": 0.2, "seeded": True} if noisy else {}
    run_against_reference(Case(*sizes, dtype, lengths=lengths, reverse=noisy, **noise), cell)


def test_widest_hidden_size(device: torch.device, cell: Any) -> None:
    # Sums of 1026 terms; processors without fused multiply-add round each product too.
    for batch_size in (1, 3):
        run_against_reference(Case(batch_size, 2, 3, 1023, torch.float32), cell, times=1.5)


def test_rounding_errors_do_not_pile_up(device: torch.device, cell: Any) -> None:
    run_against_reference(Case(2, 500, 2, 5, torch.float64, lengths=(500, 499), seed=4), cell)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("cuts", [(1,), (7, 8, 20), tuple(range(1, 30))], ids=["two", "four", "steps"])
def test_chunked_equals_whole(
    device: torch.device, cell: Any, dtype: torch.dtype, cuts: tuple[int, ...]
) -> None:
    """Also with zoneout in expectation and one mask for all chunks, in which nothing is drawn."""
    count = 1 + len(cell.state_names)
    x, *rest = cell.arguments(9, 30, 3, 17, dtype=dtype)
    states, weights = rest[: count - 1], rest[count - 1 :]
    for noise in ({}, cell.noise(9, 17, seeded=False)):
        whole = cell(x, *states, *weights, **noise, backend="native")
        outputs, carried = [], states
        for chunk in x.tensor_split(cuts, dim=1):
            output, *carried = cell(chunk, *carried, *weights, **noise, backend="native")
            outputs.append(output)
        tolerance = 1e-12 if dtype == torch.float64 else 2e-6
        torch.testing.assert_close((torch.cat(outputs, 1), *carried), whole, rtol=0, atol=tolerance)


def column(values: list[float]) -> Tensor:
    return torch.tensor(values, dtype=torch.float64).reshape(-1, 1)


def sigmoid(value: float) -> float:
    return 1 / (1 + exp(-value))


def test_lstm_reference_matches_the_equations_step_by_step() -> None:
    """One row by hand in scalars, so that the oracle itself is held against the published equations."""
    weight_ih, weight_hh = [0.5, -0.3, 0.8, 0.2], [0.1, 0.4, -0.6, 0.7]
    bias, peephole = [0.05, 1.0, -0.2, 0.3], [0.9, -0.5, 0.6]
    h, c, outputs = 0.3, -0.4, []
    for x in (1.0, -2.0, 0.5):
        i, f, g, o = (w * x + u * h + b for w, u, b in zip(weight_ih, weight_hh, bias, strict=True))
        i, f = sigmoid(i + peephole[0] * c), sigmoid(f + peephole[1] * c)
        c = f * c + i * tanh(g)
        h = sigmoid(o + peephole[2] * c) * tanh(c)
        outputs.append(h)
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


def test_gru_reference_matches_the_equations_step_by_step() -> None:
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
