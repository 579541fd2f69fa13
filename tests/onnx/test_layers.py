"""Every layer exported to ONNX: equal outputs in onnxruntime for other batches and lengths."""

from collections.abc import Iterable
from typing import Any

import pytest
import torch
from torch import Tensor

from seqlight import nn


def batch(batch_size: int, steps: int) -> dict[str, Tensor]:
    return {"x": torch.randn(batch_size, steps, 3, generator=torch.Generator().manual_seed(steps))}


EXAMPLE, OTHERS = batch(3, 5), [batch(7, 11), batch(2, 30)]


def stirred(layer: Any) -> Any:
    """Drawn from a seed, with gains and biases of layer normalisation that differ from 1 and 0."""
    torch.manual_seed(0)
    layer.reset_parameters()
    with torch.no_grad():
        for name, parameter in layer.named_parameters():
            if "layer_norm" in name:
                parameter.add_(torch.randn_like(parameter), alpha=0.3)
    return layer


RECURRENT = {
    "LSTM": [
        nn.LSTM(3, 4),
        nn.LSTM(3, 4, 2, peephole=True, bidirectional=True),
        nn.LSTM(3, 4, bias=False),
    ],
    "GRU": [nn.GRU(3, 4, 2, bidirectional=True)],
    "RNN": [nn.RNN(3, 4), nn.RNN(3, 4, nonlinearity="relu")],
    "Scan": [
        nn.LSTM(3, 4, peephole=True, layer_norm=True),
        nn.LSTM(3, 4, zoneout=(0.2, 0.1), bidirectional=True),
        nn.GRU(3, 4, layer_norm=True, zoneout=0.2, bidirectional=True),
        nn.RNN(3, 4, layer_norm=True, nonlinearity="relu"),
    ],
}


def named(layers: Iterable[Any]) -> dict[str, Any]:
    return {repr(layer).replace(".", "_"): stirred(layer) for layer in layers}


def test_recurrent_layers(exported_equals: Any) -> None:
    """One operator for each layer and direction, whatever the length."""
    found = exported_equals(
        {name: layer for layers in RECURRENT.values() for name, layer in named(layers).items()},
        EXAMPLE,
        OTHERS,
    )
    expected = {
        operator: sum(layer.num_layers * layer.num_directions for layer in layers)
        for operator, layers in RECURRENT.items()
    }
    assert {name: found[name] for name in ("LSTM", "GRU", "RNN", "Scan", "Loop", "If")} == (
        expected | {"Loop": 0, "If": 0}
    )


def test_lengths(exported_equals: Any) -> None:
    """Each row ends, and backwards begins, at its own end, wherever the padding's NaN would spread to."""
    layers = [
        nn.LSTM(3, 4, 2, peephole=True, bidirectional=True),
        nn.LSTM(3, 4, peephole=True, layer_norm=True, bidirectional=True),
        nn.GRU(3, 4, 2, bidirectional=True),
        nn.RNN(3, 4, bidirectional=True),
    ]
    x = torch.randn(7, 11, 3)
    lengths = torch.tensor([11, 3, 5, 1, 0, 11, 7])
    for row, length in enumerate(lengths):
        x[row, length:] = torch.nan
    example = EXAMPLE | {"lengths": torch.tensor([5, 3, 4])}
    others = [{"x": x, "lengths": lengths}, batch(2, 30) | {"lengths": torch.tensor([4, 30])}]
    exported_equals(named(layers), example, others)


@pytest.mark.parametrize(
    ("layers", "state"),
    [
        ([nn.LSTM(3, 4, 2)], lambda b: (torch.randn(2, b, 4), torch.randn(2, b, 4))),
        ([nn.GRU(3, 4, layer_norm=True), nn.GRU(3, 4)], lambda b: torch.randn(1, b, 4)),
        ([nn.CausalConv1d(3, 4, 3, dilation=2)], lambda b: torch.randn(b, 4, 3)),
    ],
    ids=["LSTM", "GRU", "CausalConv1d"],
)
def test_state_goes_in(exported_equals: Any, layers: Any, state: Any) -> None:
    torch.manual_seed(0)
    others = [batch(b, t) | {"state": state(b)} for b, t in ((7, 2), (2, 9))]
    found = exported_equals(named(layers), EXAMPLE | {"state": state(3)}, others)
    assert "SequenceAt" not in found


def test_convolutional_layers(exported_equals: Any) -> None:
    layers = [
        nn.CausalConv1d(3, 6, 3, dilation=2, groups=3),
        nn.CausalConv1d(3, 4, 1, bias=False),
        nn.TCN(3, 4, num_blocks=2, kernel_size=2),
        nn.WaveNet(3, 2, hidden_size=4, num_blocks=1, layers_per_block=2, gated=False),
    ]
    found = exported_equals(
        {f"layer {number}": layer for number, layer in enumerate(layers)}, EXAMPLE, OTHERS
    )
    assert found["Conv"] >= 1 + 1 + 4 + 2


def test_gated_wavenet_with_conditions(exported_equals: Any) -> None:
    net = nn.WaveNet(
        3, 2, hidden_size=4, num_blocks=1, layers_per_block=3, gated=True, condition_size=2, static_size=3
    )

    def inputs(batch_size: int, steps: int) -> dict[str, Tensor]:
        conditions = {
            "condition": torch.randn(batch_size, steps, 2),
            "static": torch.randn(batch_size, 3),
        }
        return batch(batch_size, steps) | conditions

    assert exported_equals(net, inputs(3, 5), [inputs(7, 11), inputs(2, 30)])["Conv"] == 4
