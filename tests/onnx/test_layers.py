"""Every layer exported to ONNX: equal outputs in onnxruntime for other batches and lengths."""

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


@pytest.mark.parametrize(
    ("layer", "operator", "count"),
    [
        (nn.LSTM(3, 4), "LSTM", 1),
        (nn.LSTM(3, 4, 2, peephole=True, bidirectional=True), "LSTM", 4),
        (nn.LSTM(3, 4, bias=False), "LSTM", 1),
        (nn.LSTM(3, 4, peephole=True, layer_norm=True), "Scan", 1),
        (nn.LSTM(3, 4, zoneout=(0.2, 0.1), bidirectional=True), "Scan", 2),
        (nn.GRU(3, 4, 2, bidirectional=True), "GRU", 4),
        (nn.GRU(3, 4, layer_norm=True, zoneout=0.2, bidirectional=True), "Scan", 2),
        (nn.RNN(3, 4), "RNN", 1),
        (nn.RNN(3, 4, nonlinearity="relu"), "RNN", 1),
        (nn.RNN(3, 4, layer_norm=True, nonlinearity="relu"), "Scan", 1),
    ],
    ids=repr,
)
def test_recurrent_layer(exported_equals: Any, layer: Any, operator: str, count: int) -> None:
    found = exported_equals(stirred(layer), EXAMPLE, OTHERS)
    assert found[operator] == count
    assert sum(found[name] for name in ("LSTM", "GRU", "RNN", "Scan", "Loop", "If")) == count


@pytest.mark.parametrize(
    "layer",
    [
        nn.LSTM(3, 4, 2, peephole=True, bidirectional=True),
        nn.LSTM(3, 4, peephole=True, layer_norm=True, bidirectional=True),
        nn.GRU(3, 4, 2, bidirectional=True),
        nn.RNN(3, 4, bidirectional=True),
    ],
    ids=repr,
)
def test_lengths(exported_equals: Any, layer: Any) -> None:
    """Each row ends, and backwards begins, at its own end, wherever the padding's NaN would spread to."""
    x = torch.randn(7, 11, 3)
    lengths = torch.tensor([11, 3, 5, 1, 0, 11, 7])
    for row, length in enumerate(lengths):
        x[row, length:] = torch.nan
    example = EXAMPLE | {"lengths": torch.tensor([5, 3, 4])}
    others = [{"x": x, "lengths": lengths}, batch(2, 30) | {"lengths": torch.tensor([4, 30])}]
    exported_equals(stirred(layer), example, others)


@pytest.mark.parametrize(
    ("layer", "state"),
    [
        (nn.LSTM(3, 4, 2), lambda b: (torch.randn(2, b, 4), torch.randn(2, b, 4))),
        (nn.GRU(3, 4, layer_norm=True), lambda b: torch.randn(1, b, 4)),
        (nn.CausalConv1d(3, 4, 3, dilation=2), lambda b: torch.randn(b, 4, 3)),
    ],
    ids=["LSTM", "GRU", "CausalConv1d"],
)
def test_state_goes_in(exported_equals: Any, layer: Any, state: Any) -> None:
    torch.manual_seed(0)
    found = exported_equals(
        layer, EXAMPLE | {"state": state(3)}, [batch(b, t) | {"state": state(b)} for b, t in ((7, 2), (2, 9))]
    )
    assert "SequenceAt" not in found


@pytest.mark.parametrize(
    ("layer", "convolutions"),
    [
        (nn.CausalConv1d(3, 6, 3, dilation=2, groups=3), 1),
        (nn.CausalConv1d(3, 4, 1, bias=False), 1),
        (nn.TCN(3, 4, num_blocks=2, kernel_size=2), 4),
        (nn.WaveNet(3, 2, hidden_size=4, num_blocks=1, layers_per_block=2, gated=False), 2),
    ],
    ids=lambda value: type(value).__name__,
)
def test_convolutional_layer(exported_equals: Any, layer: Any, convolutions: int) -> None:
    assert exported_equals(layer, EXAMPLE, OTHERS)["Conv"] >= convolutions


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
