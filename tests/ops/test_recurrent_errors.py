"""Wrong arguments of the recurrent ops: each gets one error that names the argument, what was expected and
what came.
"""

import re
from typing import Any

import pytest
import torch
from torch import Tensor

from seqlight.ops import gru, lstm, rnn

BATCH, STEPS, INPUTS, HIDDEN = 2, 5, 3, 20
OPS = {"lstm": lstm, "gru": gru, "rnn": rnn}
NORM_ROWS = {"lstm": 10, "gru": 6, "rnn": 2}


def zeros(*shape: int, **options: Any) -> Tensor:
    return torch.zeros(shape, **options)


# {G*H} and {rows} stand for the rows of the op's weights, in letters and as a number, {norm} for those of
# weight_layer_norm.
WRONG: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"x": zeros(5, 3)}, ValueError, "x expected [B, T, I] with I = 3 as in weight_ih, got [5, 3]; for one "),
    ({"x": zeros(2, 5, 4)}, ValueError, "x expected [B, T, I] with I = 3 as in weight_ih, got [2, 5, 4]"),
    ({"x": zeros(2, 0, 3)}, ValueError, "x expected [B, T, I] with at least one time step, got [2, 0, 3]"),
    ({"x": [[1.0]]}, TypeError, "x expected a torch.Tensor, got list"),
    ({"x": zeros(2, 5, 3).long()}, TypeError, "x expected one of the dtypes float32, float64, "),
    ({"x": zeros(2, 5, 3).cfloat()}, TypeError, "x expected one of the dtypes float32, float64, "),
    ({"x": zeros(2, 5, 3).double()}, TypeError, "h0 expected the dtype of x, torch.float64, got "),
    ({"h0": zeros(2, 21)}, ValueError, "h0 expected [B, H] = [2, 20], got [2, 21]"),
    ({"h0": zeros(3, 20)}, ValueError, "h0 expected [B, H] = [2, 20], got [3, 20]"),
    ({"h0": zeros(1, 2, 20)}, ValueError, "h0 expected [B, H] = [2, 20], got [1, 2, 20]"),
    ({"h0": None}, TypeError, "h0 expected a torch.Tensor, got NoneType"),
    ({"h0": (zeros(2, 20), zeros(2, 20))}, TypeError, "h0 expected a torch.Tensor, got tuple"),
    ({"h0": zeros(2, 20, device="meta")}, ValueError, "h0 expected on the device of x, cpu, got meta"),
    ({"weight_ih": zeros(0, 3)}, ValueError, "weight_ih expected [{G*H}, I] with H and I at least 1, got "),
    ({"weight_ih": zeros(60)}, ValueError, "weight_ih expected [{G*H}, I] with H and I at least 1, got [60]"),
    ({"weight_hh": zeros(84, 20)}, ValueError, "weight_hh expected [{G*H}, H] = [{rows}, 20], got [84, 20]"),
    ({"bias_ih": zeros(21)}, ValueError, "bias_ih expected [{G*H}] = [{rows}], got [21]"),
    ({"bias_hh": 0.0}, TypeError, "bias_hh expected a torch.Tensor, got float"),
    (
        {"weight_layer_norm": zeros(20)},
        ValueError,
        "weight_layer_norm expected [{norm}, H] = [{norm}, 20], got [20]",
    ),
    ({"weight_layer_norm": 1.0}, TypeError, "weight_layer_norm expected a torch.Tensor, got float"),
    ({"lengths": [5, 5]}, TypeError, "lengths expected a torch.Tensor, got list"),
    ({"lengths": zeros(2)}, TypeError, "lengths expected dtype torch.int64, got torch.float32"),
    ({"lengths": torch.tensor([5])}, ValueError, "lengths expected [B] = [2], got [1]"),
    ({"lengths": torch.tensor([5, 6])}, ValueError, "lengths expected values in 0..T = 0..5, got 6 in row 1"),
    (
        {"lengths": torch.tensor([-1, 5])},
        ValueError,
        "lengths expected values in 0..T = 0..5, got -1 in row 0",
    ),
    ({"hidden_mask": 0.5}, TypeError, "hidden_mask expected a torch.Tensor, got float"),
    ({"hidden_mask": zeros(2, 5, 20)}, ValueError, "hidden_mask expected [B, H] = [2, 20], got [2, 5, 20]"),
    ({"hidden_mask": zeros(2, 20).bool()}, TypeError, "hidden_mask expected one of the dtypes float32, "),
    (
        {"hidden_mask": zeros(2, 20, requires_grad=True)},
        ValueError,
        "hidden_mask expected without requires_grad, as no gradient is computed for it; use ",
    ),
    (
        {"hidden_mask": zeros(2, 20, device="meta")},
        ValueError,
        "hidden_mask expected on the device of x, cpu, got meta",
    ),
    ({"zoneout_seed": 7}, TypeError, "zoneout_seed expected a torch.Tensor, got int"),
    ({"zoneout_seed": zeros(1)}, TypeError, "zoneout_seed expected dtype torch.int64, got torch.float32"),
    ({"zoneout_seed": torch.tensor(7)}, ValueError, "zoneout_seed expected [1] = [1], got []"),
]


@pytest.mark.parametrize(("wrong", "kind", "message"), WRONG, ids=[message[:50] for *_, message in WRONG])
@pytest.mark.parametrize("backend", ["auto", "reference"])
def test_wrong_argument(
    cell: Any, wrong: dict[str, Any], kind: type[Exception], message: str, backend: str
) -> None:
    right = dict(zip(cell.names, cell.arguments(BATCH, STEPS, INPUTS, HIDDEN), strict=True))
    letters = "H" if cell.gate_count == 1 else f"{cell.gate_count}*H"
    numbers = {"{rows}": str(cell.gate_count * HIDDEN), "{norm}": str(NORM_ROWS[cell.op])}
    for name, text in {"{G*H}": letters, **numbers}.items():
        message = message.replace(name, text)
    with pytest.raises(kind, match="^" + re.escape(f"{cell.op}: {message}")):
        OPS[cell.op](**{**right, **wrong}, **cell.options, backend=backend)


@pytest.mark.parametrize(
    ("value", "kind", "message"),
    [
        (1.0, ValueError, "expected a probability p with 0 <= p < 1, got 1.0"),
        (-0.1, ValueError, "expected a probability p with 0 <= p < 1, got -0.1"),
        (float("nan"), ValueError, "expected a probability p with 0 <= p < 1, got nan"),
        ("0.1", TypeError, "expected a number, got str"),
        (True, TypeError, "expected a number, got bool"),
    ],
)
def test_wrong_probability(cell: Any, value: object, kind: type[Exception], message: str) -> None:
    for name in cell.zoneout_names:
        with pytest.raises(kind, match="^" + re.escape(f"{cell.op}: {name} {message}")):
            cell(*cell.arguments(2, 3, 2, 4), **{name: value})


def test_what_the_lstm_alone_takes() -> None:
    right = [zeros(2, 5, 3), zeros(2, 20), zeros(2, 20), zeros(80, 3), zeros(80, 20)]
    for place, value, kind, message in (
        (2, zeros(2, 19), ValueError, "c0 expected [B, H] = [2, 20], got [2, 19]"),
        (2, zeros(2, 20).half(), TypeError, "c0 expected the dtype of x, torch.float32, got "),
        (3, zeros(82, 3), ValueError, "weight_ih expected [4*H, I] with H and I at least 1, got [82, 3]"),
    ):
        with pytest.raises(kind, match="^" + re.escape(f"lstm: {message}")):
            lstm(*right[:place], value, *right[place + 1 :])
    with pytest.raises(
        ValueError, match=re.escape("lstm: weight_peephole expected [3, H] = [3, 20], got [60]")
    ):
        lstm(*right, weight_peephole=zeros(60))
    with pytest.raises(ValueError, match="lstm: weight_peephole expected on the device of x, cpu, got meta"):
        lstm(*right, weight_peephole=zeros(3, 20, device="meta"))


def test_rows_that_are_no_three_gates() -> None:
    message = "gru: weight_ih expected [3*H, I] with H and I at least 1, got [59, 3]"
    with pytest.raises(ValueError, match=re.escape(message)):
        gru(zeros(2, 5, 3), zeros(2, 20), zeros(59, 3), zeros(60, 20))


def test_unknown_names(cell: Any) -> None:
    with pytest.raises(ValueError, match="backend expected 'auto', 'native' or 'reference', got 'fast'"):
        cell(*cell.arguments(BATCH, STEPS, INPUTS, HIDDEN), backend="fast")
    with pytest.raises(ValueError, match="rnn: nonlinearity expected 'tanh' or 'relu', got 'sigmoid'"):
        rnn(zeros(2, 5, 3), zeros(2, 20), zeros(20, 3), zeros(20, 20), nonlinearity="sigmoid")


def test_autocast_does_not_mix_float64(cell: Any) -> None:
    tensors = cell.arguments(BATCH, STEPS, INPUTS, HIDDEN)
    place = cell.place("weight_ih")
    tensors[place] = tensors[place].double()
    with torch.autocast("cpu"), pytest.raises(TypeError, match="weight_ih expected the dtype of x"):
        cell(*tensors)


def test_native_says_why_it_cannot_run_on_a_device(native: object, cell: Any) -> None:
    tensors = [tensor.to("meta") for tensor in cell.arguments(2, 3, 2, 4)]
    message = f"{cell.op}: backend='native' cannot run: this build has kernels for cpu"
    with pytest.raises(RuntimeError, match=message):
        cell(*tensors, backend="native")
    assert cell(*tensors)[0].shape == (2, 3, 4)  # "auto" falls back


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("x", zeros(3), "x expected [B, T, I] or [B, I], got [3]"),
        ("x", zeros(2, 0, 3), "x expected at least one time step, got [2, 0, 3]"),
        ("h0", zeros(2, 21), "h0 expected [B, H] = [2, 20], got [2, 21]"),
        ("h0", zeros(2, 2, 20), "h0 expected [1, B, H] = [1, 2, 20], got [2, 2, 20]"),
        ("weight_ih", zeros(7, 3), "weight_ih expected ["),
        ("weight_hh", zeros(7, 20), "weight_hh expected ["),
        ("bias_ih", zeros(7), "bias_ih expected ["),
        ("bias_ih", torch.zeros((), dtype=torch.float64), "bias_ih expected"),
        ("weight_layer_norm", zeros(4, 20), "weight_layer_norm expected ["),
        ("hidden_mask", zeros(2, 19), "hidden_mask expected [B, H] = [2, 20], got [2, 19]"),
        ("hidden_mask", zeros(2, 20).double(), "hidden_mask expected"),
        ("zoneout_seed", zeros(1), "zoneout_seed expected"),
        ("lengths", torch.tensor([6, 1]), "lengths expected values from 0 to T = 5, got 6 at row 0"),
        ("lengths", torch.tensor([5.0, 1.0]), "lengths expected int64, got Float"),
        ("packed", zeros(3), "packed expected"),
    ],
)
def test_the_kernel_checks_for_itself(
    native: object, cell: Any, name: str, value: Tensor, message: str
) -> None:
    """The private op reads raw memory; traced and exported programs call it without the checks in Python."""
    with pytest.raises(RuntimeError, match=re.escape(f"{cell.op}: {message}")):
        call_private_op(cell, name, value)


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (0, zeros(2, 5, 3), "x expected [B, I], got [2, 5, 3]"),
        (1, zeros(20), "h0 expected [B, H] or [1, B, H], got [20]"),
        (1, zeros(3, 20), "h0 expected [B, H] = [2, 20], got [3, 20]"),
        (-1, zeros(7), "packed expected"),
        (-1, zeros(7).double(), "packed expected"),
    ],
)
def test_the_step_checks_for_itself(
    native: object, cell: Any, place: int, value: Tensor, message: str
) -> None:
    arguments = [zeros(2, 3), *(zeros(2, 20) for _ in cell.state_names), zeros(7)]
    arguments[place] = value
    with pytest.raises(RuntimeError, match=re.escape(f"{cell.op}_step: {message}")):
        cell.private_op("step")(*arguments)


def call_private_op(cell: Any, name: str, value: Tensor) -> None:
    """Call the forward op with right arguments but one."""
    tensors = cell.private_tensors(cell.arguments(BATCH, STEPS, INPUTS, HIDDEN))
    rest = cell.private_rest(cell.noise(BATCH, HIDDEN), None, False, torch.float32)
    op = cell.private_op("forward")
    names = [argument.name for argument in op._schema.arguments]
    arguments = dict(zip(names, (*tensors, *rest, None, True), strict=True))
    assert name in arguments
    op(*{**arguments, name: value}.values())


def test_the_lstm_kernel_checks_peepholes_for_itself(native: object, lstm_cell: Any) -> None:
    message = "lstm: weight_peephole expected [3, H] = [3, 20], got [4, 20]"
    with pytest.raises(RuntimeError, match=re.escape(message)):
        call_private_op(lstm_cell, "weight_peephole", zeros(4, 20))
