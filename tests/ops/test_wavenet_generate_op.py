"""The private generation op: opcheck, and errors about parameters that no layer of the package makes."""

from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

from seqlight.ops import WaveNetWeights, wavenet_generate


def weights(**changes: Any) -> WaveNetWeights:
    """Two gated layers: 3 channels in and out, 4 hidden, 5 skip, kernel 2, 2 condition channels."""
    generator = torch.Generator("cpu").manual_seed(0)

    def draw(*shape: int) -> Tensor:
        drawn = torch.randn(shape, generator=generator, device="cpu")
        return drawn.to(torch.get_default_device())

    values: dict[str, Any] = {
        "input_weight": draw(4, 3, 2),
        "input_bias": draw(4),
        "conv_weights": (draw(8, 4, 2), draw(8, 4, 2)),
        "conv_biases": (draw(8), draw(8)),
        "dilations": (1, 2),
        "project_weights": (draw(9, 4), draw(5, 4)),
        "project_biases": (draw(9), draw(5)),
        "head_weights": (draw(5, 5), draw(3, 5)),
        "head_biases": (draw(5), draw(3)),
        "condition_weights": (draw(8, 2), draw(8, 2)),
    }
    return WaveNetWeights(**{**values, **changes})


def state() -> tuple[Tensor, ...]:
    return torch.randn(2, 1, 3), torch.randn(2, 1, 4), torch.randn(2, 2, 4)


@pytest.mark.parametrize("drawn", [False, True])
def test_opcheck(device: torch.device, drawn: bool) -> None:
    net, (inputs, first, second) = weights(), state()
    torch.library.opcheck(
        torch.ops.seqlight.wavenet_generate.default,
        (
            torch.randn(2, 3),
            inputs,
            torch.cat([first, second], 1),
            *net[:4],
            *net[5:7],
            net.condition_weights,
            torch.randn(2, 6, 2),
            torch.randn(2, 2, 8),
            net.head_weights,
            net.head_biases,
            net.dilations,
            6,
            torch.tensor([3]) if drawn else None,
            0.7,
        ),
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"conv_weights": (torch.zeros(8, 4, 2),)}, "conv_weights expected 2 tensors, got 1"),
        ({"conv_biases": (torch.zeros(8), torch.zeros(7))}, r"conv_biases expected .* = \[8\], got \[7\]"),
        (
            {"project_weights": (torch.zeros(8, 4), torch.zeros(5, 4))},
            r"project_weights expected .* = \[9, 4\]",
        ),
        ({"head_biases": (torch.zeros(5), torch.zeros(4))}, r"head_biases expected .* = \[3\], got \[4\]"),
        ({"input_bias": torch.zeros(5)}, r"input_bias expected \[H\] = \[4\], got \[5\]"),
    ],
)
def test_wrong_parameters(native: ModuleType, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(RuntimeError, match="wavenet_generate: " + message):
        wavenet_generate(
            torch.zeros(2, 3),
            4,
            weights(**changes),
            state(),
            condition=torch.zeros(2, 4, 2),
            backend="native",
        )


def test_wrong_arguments(native: ModuleType) -> None:
    first, condition = torch.zeros(2, 3), torch.zeros(2, 4, 2)
    with pytest.raises(ValueError, match=r"condition expected \[B, steps, D\], got None"):
        wavenet_generate(first, 4, weights(), state())
    with pytest.raises(ValueError, match=r"state expected \[B, K-1, I\] = \[2, 1, 3\], got \[2, 1, 4\]"):
        wavenet_generate(first, 4, weights(), state()[1:] + state()[:1], condition=condition)
    with pytest.raises(ValueError, match="seed expected an int64 tensor"):
        wavenet_generate(first, 4, weights(), state(), head="categorical", condition=condition)
    with pytest.raises(TypeError, match="condition expected the dtype"):
        wavenet_generate(first, 4, weights(), state(), condition=condition.double())
