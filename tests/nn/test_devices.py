"""Layers on a GPU, or on what stands in for one: the values of the CPU, and a host that need not wait."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves, tree_map

from seqlight import use_backend
from seqlight.nn import (
    GRU,
    LSTM,
    RNN,
    TCN,
    CausalConv1d,
    CenteredConv1d,
    EncoderDecoder,
    RecurrentStack,
    WaveNet,
)

NOISE = {"recurrent_dropout": 0.3, "zoneout": 0.2}
#: Layers of 3 channels in, without noise in evaluation.
LAYERS: dict[str, Callable[[], nn.Module]] = {
    "lstm": lambda: LSTM(3, 5, 2, peephole=True, bidirectional=True, dropout=0.2),
    "lstm layer norm": lambda: LSTM(3, 5, 2, peephole=True, layer_norm=True, **NOISE),
    "gru": lambda: GRU(3, 5, dropout=0.0, **NOISE),
    "gru layer norm": lambda: GRU(3, 5, 2, layer_norm=True),
    "rnn": lambda: RNN(3, 5, nonlinearity="relu"),
    "rnn layer norm": lambda: RNN(3, 5, layer_norm=True, **NOISE),
    "convolution": lambda: CausalConv1d(3, 8, 2, dilation=3),
    "depthwise": lambda: CausalConv1d(3, 3, 3, groups=3),
    "tcn": lambda: TCN(3, 4, num_blocks=2),
    "wavenet": lambda: WaveNet(3, 2, hidden_size=4, num_blocks=1, layers_per_block=3),
    "ungated wavenet": lambda: WaveNet(3, 2, hidden_size=4, num_blocks=1, layers_per_block=2, gated=False),
    "stack": lambda: RecurrentStack([LSTM(3, 5), GRU(5, 4)]),
}
every_layer = pytest.mark.parametrize("name", LAYERS)
#: A GPU for which no kernels were built runs the reference.
both_backends = pytest.mark.parametrize("backend", ["native", "reference"])


def run(layer: nn.Module, x: Tensor, **options: Any) -> tuple[list[Tensor], list[Tensor]]:
    """Results of two halves and a step, each with the state of the one before; and all gradients."""
    first, state = layer(x[:, :6], **options)
    second, state = layer(x[:, 6:], state)
    results = [first, second, *tree_leaves(state)]
    if not getattr(layer, "bidirectional", False):
        results.append(layer.step(x[:, 0], state)[0])
    loss = torch.stack([result.square().sum() for result in results]).sum()
    return results, list(torch.autograd.grad(loss, [x, *layer.parameters()]))


def on_cpu(values: Any) -> Any:
    return tree_map(lambda tensor: tensor.detach().cpu(), values)


@both_backends
@every_layer
def test_values_gradients_and_no_waiting(other_device: Any, name: str, backend: Any) -> None:
    torch.manual_seed(0)
    layer = LAYERS[name]().double().eval()
    x = torch.randn(4, 11, 3, dtype=torch.float64)
    expected = run(layer, x.clone().requires_grad_())
    moved = copy.deepcopy(layer).to(other_device.device)
    x_moved = x.to(other_device.device).requires_grad_()
    with other_device.without_waiting(), use_backend(backend):
        found = run(moved, x_moved)
    assert {tensor.device for tensor in tree_leaves(found)} == {x_moved.device}
    torch.testing.assert_close(on_cpu(found), on_cpu(expected), rtol=1e-10, atol=1e-11)


@both_backends
@every_layer
def test_training_with_noise_without_waiting(other_device: Any, name: str, backend: Any) -> None:
    """Masks and seeds are drawn on the device."""
    layer = LAYERS[name]().to(other_device.device).train()
    x = torch.randn(4, 11, 3).to(other_device.device).requires_grad_()
    with other_device.without_waiting(), use_backend(backend):
        results, gradients = run(layer, x)
    assert {tensor.device for tensor in (*results, *gradients)} == {x.device}
    assert all(bool(tensor.isfinite().all()) for tensor in (*results, *gradients))


@both_backends
@pytest.mark.parametrize(
    "name", [name for name in LAYERS if "rnn" in name or "gru" in name or "lstm" in name]
)
def test_rows_of_different_lengths(other_device: Any, name: str, backend: Any) -> None:
    """Lengths of the CPU are moved; those of the device are taken as they are."""
    torch.manual_seed(0)
    layer = LAYERS[name]().double().eval()
    x, lengths = torch.randn(4, 6, 3, dtype=torch.float64), torch.tensor([6, 0, 3, 5])
    expected = layer(x, lengths=lengths)
    moved = copy.deepcopy(layer).to(other_device.device)
    x = x.to(other_device.device)
    torch.testing.assert_close(on_cpu(moved(x, lengths=lengths)), on_cpu(expected), rtol=1e-10, atol=1e-11)
    lengths_moved = lengths.to(x.device)
    with other_device.without_waiting(), use_backend(backend):
        found = moved(x, lengths=lengths_moved)
    torch.testing.assert_close(on_cpu(found), on_cpu(expected), rtol=1e-10, atol=1e-11)
    with pytest.raises(ValueError, match=r"lengths expected values in 0\.\.T = 0\.\.6, got 7 in row 1"):
        moved(x, lengths=torch.tensor([6, 7, 0, 1]))


def test_centered_convolution_and_encoder_decoder(other_device: Any) -> None:
    torch.manual_seed(0)
    convolution, net = CenteredConv1d(3, 4, 3).double(), EncoderDecoder(LSTM(3, 5), LSTM(2, 5), 1).double()
    x, fed = torch.randn(2, 7, 3, dtype=torch.float64), torch.randn(2, 4, 2, dtype=torch.float64)
    expected = convolution(x)[0], net(x, fed)
    convolution, net = convolution.to(other_device.device), net.to(other_device.device)
    x, fed = x.to(other_device.device), fed.to(other_device.device)
    with other_device.without_waiting():
        found = convolution(x)[0], net(x, fed)
    torch.testing.assert_close(on_cpu(found), on_cpu(expected), rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize("head", ["regression", "categorical"])
def test_generation(other_device: Any, head: Any) -> None:
    """The same seed draws the same classes; without one it is drawn on the device."""
    torch.manual_seed(0)
    net = WaveNet(4, 4, hidden_size=5, num_blocks=1, layers_per_block=3).double()
    classes = torch.randint(0, 4, (3, 5))
    prompt = classes if head == "categorical" else nn.functional.one_hot(classes, 4).double()
    seed = torch.tensor([7])
    expected = net.generate(prompt, 9, head=head, seed=seed)
    net, prompt, seed = (value.to(other_device.device) for value in (net, prompt, seed))
    with other_device.without_waiting():
        found = net.generate(prompt, 9, head=head, seed=seed)
        net.generate(prompt, 9, head=head)
    torch.testing.assert_close(on_cpu(found), on_cpu(expected), rtol=1e-10, atol=1e-11)


def test_packed_weights(other_device: Any) -> None:
    layer = LSTM(3, 5, 2, peephole=True).to(other_device.device)
    x = torch.randn(4, 6, 3).to(other_device.device)
    with torch.no_grad():
        expected, state = layer(x)
        step = layer.step(x[:, 0], state)[0]
        with layer.packed(), other_device.without_waiting():
            found = layer(x)[0], layer.step(x[:, 0], state)[0]
    torch.testing.assert_close(on_cpu(found), on_cpu((expected, step)))
