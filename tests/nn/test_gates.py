"""Gates recomputed from the weights."""

from typing import Any

import pytest
import torch
from torch import Tensor

from seqlight import nn


@pytest.mark.parametrize("options", [{}, {"peephole": True}, {"bias": False, "peephole": True}])
def test_lstm_is_the_layers(options: dict[str, Any]) -> None:
    torch.manual_seed(0)
    layer = nn.LSTM(3, 5, **options).double()
    x = torch.randn(2, 7, 3, dtype=torch.float64)
    state = (torch.randn(1, 2, 5, dtype=torch.float64), torch.randn(1, 2, 5, dtype=torch.float64))
    gates = nn.gate_activations(layer, x, state)
    output, (_, c) = layer(x, state)
    torch.testing.assert_close(gates["h"], output)
    torch.testing.assert_close(gates["c"][:, -1], c[0])
    torch.testing.assert_close(gates["h"], gates["output_gate"] * gates["c"].tanh())
    before = torch.cat([state[1][0][:, None], gates["c"][:, :-1]], dim=1)
    kept = gates["forget_gate"] * before + gates["input_gate"] * gates["cell_input"]
    torch.testing.assert_close(gates["c"], kept)


@pytest.mark.parametrize("bias", [True, False])
def test_gru_is_the_layers(bias: bool) -> None:
    torch.manual_seed(0)
    layer = nn.GRU(3, 5, bias=bias).double()
    x = torch.randn(2, 7, 3, dtype=torch.float64)
    gates = nn.gate_activations(layer, x)
    torch.testing.assert_close(gates["h"], layer(x)[0])
    before = torch.cat([torch.zeros(2, 1, 5, dtype=torch.float64), gates["h"][:, :-1]], dim=1)
    z = gates["update_gate"]
    torch.testing.assert_close(gates["h"], (1 - z) * gates["candidate"] + z * before)


def test_nothing_is_differentiated() -> None:
    gates = nn.gate_activations(nn.GRU(1, 2), torch.randn(1, 3, 1, requires_grad=True))
    assert not any(tensor.requires_grad for tensor in gates.values())


@pytest.mark.parametrize(
    ("layer", "error", "message"),
    [
        (nn.RNN(1, 2), TypeError, "layer expected a seqlight.nn.LSTM or GRU, got RNN"),
        (nn.LSTM(1, 2, num_layers=2), ValueError, "single layer"),
        (nn.GRU(1, 2, bidirectional=True), ValueError, "one direction"),
        (nn.GRU(1, 2, layer_norm=True), ValueError, "without layer normalisation"),
    ],
)
def test_refused(layer: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        nn.gate_activations(layer, torch.randn(1, 3, 1))


def test_shapes_are_checked() -> None:
    x: Tensor = torch.randn(1, 3, 2)
    with pytest.raises(ValueError, match=r"x expected \[B, T, C\] with C = 1"):
        nn.gate_activations(nn.LSTM(1, 2), x)
