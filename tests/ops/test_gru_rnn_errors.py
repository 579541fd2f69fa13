"""Wrong arguments of gru and rnn: each gets one error that names the argument and what was expected."""

import re
from typing import Any

import pytest
import torch
from torch import Tensor

from seqlight.ops import gru, rnn

BATCH, STEPS, INPUTS, HIDDEN = 2, 5, 3, 20


def zeros(*shape: int, **options: Any) -> Tensor:
    return torch.zeros(shape, **options)


# {G*H} and {rows} stand for the rows of the op's weights, in letters and as a number.
WRONG: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"x": zeros(5, 3)}, ValueError, "x expected [B, T, I] with I = 3 as in weight_ih, got [5, 3]; for one "),
    ({"x": zeros(2, 0, 3)}, ValueError, "x expected [B, T, I] with at least one time step, got [2, 0, 3]"),
    ({"x": [[1.0]]}, TypeError, "x expected a torch.Tensor, got list"),
    ({"x": zeros(2, 5, 3).long()}, TypeError, "x expected one of the dtypes float32, float64, "),
    ({"x": zeros(2, 5, 3).double()}, TypeError, "h0 expected the dtype of x, torch.float64, got "),
    ({"h0": zeros(2, 21)}, ValueError, "h0 expected [B, H] = [2, 20], got [2, 21]"),
    ({"h0": zeros(1, 2, 20)}, ValueError, "h0 expected [B, H] = [2, 20], got [1, 2, 20]"),
    ({"h0": (zeros(2, 20), zeros(2, 20))}, TypeError, "h0 expected a torch.Tensor, got tuple"),
    ({"h0": zeros(2, 20, device="meta")}, ValueError, "h0 expected on the device of x, cpu, got meta"),
    ({"weight_ih": zeros(0, 3)}, ValueError, "weight_ih expected [{G*H}, I] with H and I at least 1, got "),
    ({"weight_ih": zeros(60)}, ValueError, "weight_ih expected [{G*H}, I] with H and I at least 1, got [60]"),
    ({"weight_hh": zeros(80, 20)}, ValueError, "weight_hh expected [{G*H}, H] = [{rows}, 20], got [80, 20]"),
    ({"bias_ih": zeros(21)}, ValueError, "bias_ih expected [{G*H}] = [{rows}], got [21]"),
    ({"bias_hh": 0.0}, TypeError, "bias_hh expected a torch.Tensor, got float"),
    ({"lengths": [5, 5]}, TypeError, "lengths expected a torch.Tensor, got list"),
    ({"lengths": zeros(2)}, TypeError, "lengths expected dtype torch.int64, got torch.float32"),
    ({"lengths": torch.tensor([5])}, ValueError, "lengths expected [B] = [2], got [1]"),
    ({"lengths": torch.tensor([5, 6])}, ValueError, "lengths expected values in 0..T = 0..5, got 6 in row 1"),
]


@pytest.mark.parametrize(("wrong", "kind", "message"), WRONG, ids=[message[:50] for *_, message in WRONG])
@pytest.mark.parametrize("backend", ["auto", "reference"])
def test_wrong_argument(
    cell: Any, wrong: dict[str, Any], kind: type[Exception], message: str, backend: str
) -> None:
    right = dict(zip(cell.names, cell.arguments(BATCH, STEPS, INPUTS, HIDDEN), strict=True))
    op = {"gru": gru, "rnn": rnn}[cell.op]
    op(**right, **cell.options, backend=backend)
    letters = "H" if cell.gate_count == 1 else f"{cell.gate_count}*H"
    message = message.replace("{G*H}", letters).replace("{rows}", str(cell.gate_count * HIDDEN))
    with pytest.raises(kind, match="^" + re.escape(f"{cell.op}: {message}")):
        op(**{**right, **wrong}, **cell.options, backend=backend)


def test_rows_that_are_no_three_gates() -> None:
    message = "gru: weight_ih expected [3*H, I] with H and I at least 1, got [59, 3]"
    with pytest.raises(ValueError, match=re.escape(message)):
        gru(zeros(2, 5, 3), zeros(2, 20), zeros(59, 3), zeros(60, 20))


def test_unknown_names(cell: Any) -> None:
    with pytest.raises(ValueError, match="backend expected 'auto', 'native' or 'reference', got 'fast'"):
        cell(*cell.arguments(BATCH, STEPS, INPUTS, HIDDEN), backend="fast")
    with pytest.raises(ValueError, match="rnn: nonlinearity expected 'tanh' or 'relu', got 'sigmoid'"):
        rnn(zeros(2, 5, 3), zeros(2, 20), zeros(20, 3), zeros(20, 20), nonlinearity="sigmoid")


def test_native_says_why_it_cannot_run_on_a_device(native: object, cell: Any) -> None:
    tensors = [tensor.to("meta") for tensor in cell.arguments(2, 3, 2, 4)]
    message = f"{cell.op}: backend='native' cannot run: this build has kernels for cpu"
    with pytest.raises(RuntimeError, match=message):
        cell(*tensors, backend="native")
    assert cell(*tensors)[0].shape == (2, 3, 4)  # "auto" falls back


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (0, zeros(2, 3), "x expected [B, T, I], got [2, 3]"),
        (0, zeros(2, 0, 3), "x expected at least one time step, got [2, 0, 3]"),
        (1, zeros(2, 21), "h0 expected [B, H] = [2, 20], got [2, 21]"),
        (2, zeros(7, 3), "weight_ih expected ["),
        (3, zeros(7, 20), "weight_hh expected ["),
        (4, zeros(7), "bias_ih expected ["),
        (6, torch.tensor([6, 1]), "lengths expected values from 0 to T = 5, got 6 at row 0"),
        (6, torch.tensor([5.0, 1.0]), "lengths expected int64, got Float"),
    ],
)
def test_the_kernel_checks_for_itself(
    native: object, cell: Any, place: int, value: Tensor, message: str
) -> None:
    """The private op reads raw memory; traced and exported programs call it without the checks in Python."""
    arguments = [*cell.arguments(BATCH, STEPS, INPUTS, HIDDEN), None]
    arguments[place] = value
    with pytest.raises(RuntimeError, match=re.escape(f"{cell.op}: {message}")):
        cell.private_op("forward")(*arguments, *cell.flags, False, True)
