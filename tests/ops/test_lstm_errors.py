"""Wrong arguments: each gets one error that names the argument, what was expected and what came."""

import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from seqlight.ops import lstm

NAMES = ("x", "h0", "c0", "weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_peephole")
BATCH, STEPS, INPUTS, HIDDEN = 2, 5, 3, 20


def zeros(*shape: int, **options: Any) -> Tensor:
    return torch.zeros(shape, **options)


WRONG: list[tuple[dict[str, Any], type[Exception], str]] = [
    (
        {"x": zeros(5, 3)},
        ValueError,
        "lstm: x expected [B, T, I] with I = 3 as in weight_ih, got [5, 3]; for one ",
    ),
    (
        {"x": zeros(2, 5, 4)},
        ValueError,
        "lstm: x expected [B, T, I] with I = 3 as in weight_ih, got [2, 5, 4]",
    ),
    (
        {"x": zeros(2, 0, 3)},
        ValueError,
        "lstm: x expected [B, T, I] with at least one time step, got [2, 0, 3]",
    ),
    ({"x": [[1.0]]}, TypeError, "lstm: x expected a torch.Tensor, got list"),
    (
        {"x": zeros(2, 5, 3, dtype=torch.int64)},
        TypeError,
        "lstm: x expected one of the dtypes float32, float64, ",
    ),
    ({"x": zeros(2, 5, 3, dtype=torch.complex64)}, TypeError, "lstm: x expected one of the dtypes float32, "),
    (
        {"x": zeros(2, 5, 3, dtype=torch.float64)},
        TypeError,
        "lstm: h0 expected the dtype of x, torch.float64, got ",
    ),
    ({"h0": zeros(2, 21)}, ValueError, "lstm: h0 expected [B, H] = [2, 20], got [2, 21]"),
    ({"h0": zeros(3, 20)}, ValueError, "lstm: h0 expected [B, H] = [2, 20], got [3, 20]"),
    ({"h0": zeros(1, 2, 20)}, ValueError, "lstm: h0 expected [B, H] = [2, 20], got [1, 2, 20]"),
    ({"h0": None}, TypeError, "lstm: h0 expected a torch.Tensor, got NoneType"),
    ({"c0": zeros(2, 19)}, ValueError, "lstm: c0 expected [B, H] = [2, 20], got [2, 19]"),
    (
        {"c0": zeros(2, 20, dtype=torch.float16)},
        TypeError,
        "lstm: c0 expected the dtype of x, torch.float32, got ",
    ),
    ({"c0": zeros(2, 20, device="meta")}, ValueError, "lstm: c0 expected on the device of x, cpu, got meta"),
    (
        {"weight_ih": zeros(82, 3)},
        ValueError,
        "lstm: weight_ih expected [4*H, I] with H and I at least 1, got [82, 3]",
    ),
    (
        {"weight_ih": zeros(0, 3)},
        ValueError,
        "lstm: weight_ih expected [4*H, I] with H and I at least 1, got [0, 3]",
    ),
    (
        {"weight_ih": zeros(80)},
        ValueError,
        "lstm: weight_ih expected [4*H, I] with H and I at least 1, got [80]",
    ),
    ({"weight_hh": zeros(80, 21)}, ValueError, "lstm: weight_hh expected [4*H, H] = [80, 20], got [80, 21]"),
    (
        {"weight_hh": zeros(80, 20, dtype=torch.float64)},
        TypeError,
        "lstm: weight_hh expected the dtype of x, ",
    ),
    ({"bias_ih": zeros(20)}, ValueError, "lstm: bias_ih expected [4*H] = [80], got [20]"),
    ({"bias_hh": zeros(80, 1)}, ValueError, "lstm: bias_hh expected [4*H] = [80], got [80, 1]"),
    ({"bias_hh": 0.0}, TypeError, "lstm: bias_hh expected a torch.Tensor, got float"),
    ({"weight_peephole": zeros(60)}, ValueError, "lstm: weight_peephole expected [3, H] = [3, 20], got [60]"),
    (
        {"weight_peephole": zeros(3, 20, device="meta")},
        ValueError,
        "lstm: weight_peephole expected on the device ",
    ),
    ({"lengths": [5, 5]}, TypeError, "lstm: lengths expected a torch.Tensor, got list"),
    (
        {"lengths": torch.tensor([5.0, 5.0])},
        TypeError,
        "lstm: lengths expected dtype torch.int64, got torch.float32",
    ),
    ({"lengths": torch.tensor([5, 5, 5])}, ValueError, "lstm: lengths expected [B] = [2], got [3]"),
    (
        {"lengths": torch.tensor([5, 6])},
        ValueError,
        "lstm: lengths expected values in 0..T = 0..5, got 6 in row 1",
    ),
    (
        {"lengths": torch.tensor([-1, 5])},
        ValueError,
        "lstm: lengths expected values in 0..T = 0..5, got -1 in row 0",
    ),
    ({"backend": "fast"}, ValueError, "backend expected 'auto', 'native' or 'reference', got 'fast'"),
]


@pytest.mark.parametrize(("wrong", "kind", "message"), WRONG, ids=[message[:60] for *_, message in WRONG])
@pytest.mark.parametrize("backend", ["auto", "reference"])
def test_wrong_argument(
    lstm_arguments: Callable[..., list[Tensor]],
    wrong: dict[str, Any],
    kind: type[Exception],
    message: str,
    backend: str,
) -> None:
    right = dict(zip(NAMES, lstm_arguments(BATCH, STEPS, INPUTS, HIDDEN), strict=True))
    lstm(**right, backend=backend)
    with pytest.raises(kind, match="^" + re.escape(message)):
        lstm(**{**right, "backend": backend, **wrong})


def test_autocast_does_not_mix_float64(lstm_arguments: Callable[..., list[Tensor]]) -> None:
    tensors = lstm_arguments(BATCH, STEPS, INPUTS, HIDDEN)
    with (
        torch.autocast("cpu"),
        pytest.raises(TypeError, match="weight_ih expected the dtype of x"),
    ):
        lstm(*tensors[:3], tensors[3].double(), *tensors[4:])


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (0, zeros(2, 3), "lstm: x expected [B, T, I], got [2, 3]"),
        (0, zeros(2, 0, 3), "lstm: x expected at least one time step, got [2, 0, 3]"),
        (1, zeros(2, 21), "lstm: h0 expected [B, H] = [2, 20], got [2, 21]"),
        (3, zeros(80, 4), "lstm: weight_ih expected [4*H, I] = [80, 3], got [80, 4]"),
        (4, zeros(80, 21), "lstm: weight_hh expected [4*H, H] = [84, 21], got [80, 21]"),
        (5, zeros(80, dtype=torch.float64), "lstm: bias_ih expected the dtype of x (Float), got Double"),
        (7, zeros(4, 20), "lstm: weight_peephole expected [3, H] = [3, 20], got [4, 20]"),
        (8, torch.tensor([6, 1]), "lstm: lengths expected values from 0 to T = 5, got 6 at row 0"),
        (8, torch.tensor([5.0, 1.0]), "lstm: lengths expected int64, got Float"),
    ],
)
def test_the_kernel_checks_for_itself(
    native: object, lstm_arguments: Callable[..., list[Tensor]], place: int, value: Tensor, message: str
) -> None:
    """The private op reads raw memory; traced and exported programs call it without the checks in Python."""
    arguments = [*lstm_arguments(BATCH, STEPS, INPUTS, HIDDEN), None]
    arguments[place] = value
    with pytest.raises(RuntimeError, match=re.escape(message)):
        torch.ops.seqlight.lstm_forward(*arguments, False, True)
