"""Wrong arguments of the causal convolution: errors name the argument, what was expected and what came."""

import re
from types import ModuleType
from typing import Any

import pytest
import torch

from seqlight.ops import causal_conv1d


def right() -> dict[str, Any]:
    return {
        "x": torch.zeros(2, 5, 6),
        "weight": torch.zeros(4, 3, 2),
        "bias": torch.zeros(4),
        "dilation": 3,
        "groups": 2,
        "state": torch.zeros(2, 3, 6),
    }


ODD = "causal_conv1d: weight expected an even C_out, two halves for activation='gate', got C_out = 5"
WRONG: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"dilation": 0}, ValueError, "causal_conv1d: dilation expected at least 1, got 0"),
    ({"dilation": -2}, ValueError, "causal_conv1d: dilation expected at least 1, got -2"),
    ({"groups": 0}, ValueError, "causal_conv1d: groups expected at least 1, got 0"),
    (
        {"groups": 3},
        ValueError,
        "causal_conv1d: weight expected [C_out, C_in / groups, K] with C_out divisible by ",
    ),
    (
        {"groups": 4},
        ValueError,
        "causal_conv1d: x expected [B, T, C_in] with C_in = 12 = weight.shape[1] * groups",
    ),
    (
        {"activation": "tanh"},
        ValueError,
        "causal_conv1d: activation expected None, 'relu' or 'gate', got 'tanh'",
    ),
    ({"activation": "gate", "groups": 1, "weight": torch.zeros(5, 6, 2), "bias": None}, ValueError, ODD),
    ({"x": torch.zeros(5, 6)}, ValueError, "causal_conv1d: x expected [B, T, C_in] with C_in = 6 = "),
    ({"x": torch.zeros(2, 5, 7)}, ValueError, "causal_conv1d: x expected [B, T, C_in] with C_in = 6 = "),
    ({"x": [[1.0]]}, TypeError, "causal_conv1d: x expected a torch.Tensor, got list"),
    (
        {"x": torch.zeros(2, 5, 6, dtype=torch.int64)},
        TypeError,
        "causal_conv1d: x expected one of the dtypes ",
    ),
    ({"x": torch.zeros(2, 5, 6).double()}, TypeError, "causal_conv1d: weight expected the dtype of x, "),
    (
        {"weight": torch.zeros(4, 3)},
        ValueError,
        "causal_conv1d: weight expected [C_out, C_in / groups, K] with ",
    ),
    (
        {"weight": torch.zeros(4, 3, 0)},
        ValueError,
        "causal_conv1d: weight expected [C_out, C_in / groups, K] ",
    ),
    ({"weight": None}, TypeError, "causal_conv1d: weight expected a torch.Tensor, got NoneType"),
    ({"bias": torch.zeros(5)}, ValueError, "causal_conv1d: bias expected [C_out] = [4], got [5]"),
    (
        {"bias": torch.zeros(4, device="meta")},
        ValueError,
        "causal_conv1d: bias expected on the device of x, cpu",
    ),
    (
        {"state": torch.zeros(2, 4, 6)},
        ValueError,
        "causal_conv1d: state expected [B, (K-1)*dilation, C_in] = [2, 3, 6",
    ),
    (
        {"state": torch.zeros(1, 3, 6)},
        ValueError,
        "causal_conv1d: state expected [B, (K-1)*dilation, C_in] = [2, 3, 6",
    ),
    ({"state": torch.zeros(2, 3, 6).half()}, TypeError, "causal_conv1d: state expected the dtype of x, "),
    ({"backend": "fast"}, ValueError, "backend expected 'auto', 'native' or 'reference', got 'fast'"),
]


@pytest.mark.parametrize(("wrong", "kind", "message"), WRONG, ids=[message[15:70] for *_, message in WRONG])
@pytest.mark.parametrize("backend", ["auto", "reference"])
def test_wrong_argument(wrong: dict[str, Any], kind: type[Exception], message: str, backend: str) -> None:
    arguments = {**right(), "backend": backend}
    causal_conv1d(**arguments)
    with pytest.raises(kind, match="^" + re.escape(message)):
        causal_conv1d(**{**arguments, **wrong})


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"x": torch.zeros(5, 6)}, "causal_conv1d: x expected [B, T, C_in], got [5, 6]"),
        (
            {"weight": torch.zeros(4, 2, 2)},
            "causal_conv1d: weight expected [C_out, C_in / groups, K] = [4, 3, 2], got",
        ),
        (
            {"state": torch.zeros(2, 2, 6)},
            "causal_conv1d: state expected [B, (K - 1) * dilation, C_in] = [2, 3, 6]",
        ),
        ({"bias": torch.zeros(3)}, "causal_conv1d: bias expected [C_out] = [4], got [3]"),
        (
            {"bias": torch.zeros(4).double()},
            "causal_conv1d: bias expected the dtype of x (Float), got Double",
        ),
        ({"dilation": 0}, "causal_conv1d: dilation expected at least 1, got 0"),
        ({"dilation": 1 << 62}, "causal_conv1d: dilation expected below 2^40 / K"),
        ({"groups": 5}, "causal_conv1d: channels 6 (in) and 4 (weight) expected divisible by groups = 5"),
        ({"groups": 0}, "causal_conv1d: groups expected at least 1, got 0"),
        ({"activation": 3}, "causal_conv1d: activation expected 0, 1 or 2, got 3"),
    ],
)
def test_the_kernel_checks_for_itself(native: ModuleType, wrong: dict[str, Any], message: str) -> None:
    """The private op reads raw memory; traced and exported programs call it without the checks in Python."""
    arguments = {**right(), "activation": 0, "save_for_backward": False}
    torch.ops.seqlight.causal_conv1d_forward(**arguments)
    with pytest.raises(RuntimeError, match=re.escape(message)):
        torch.ops.seqlight.causal_conv1d_forward(**{**arguments, **wrong})


def test_the_backward_kernel_checks_for_itself(native: ModuleType) -> None:
    a = right()
    head = (a["x"], a["state"], a["weight"], 3, 2, 1)
    needs = (True, True, True, True)
    with pytest.raises(RuntimeError, match=r"grad_output expected .* = .2, 5, 4., got .2, 4, 4."):
        torch.ops.seqlight.causal_conv1d_backward(
            torch.zeros(2, 4, 4), None, *head, torch.zeros(2, 5, 4), *needs
        )
    with pytest.raises(RuntimeError, match=r"activated expected .* = .2, 5, 4., got .0."):
        torch.ops.seqlight.causal_conv1d_backward(torch.zeros(2, 5, 4), None, *head, torch.zeros(0), *needs)
