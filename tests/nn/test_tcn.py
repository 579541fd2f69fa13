"""TCN: the blocks of Bai et al., the receptive field, streaming, dropout, errors."""

import re

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import weight_norm

from seqlight.nn import TCN


def build(dropout: float = 0.0) -> TCN:
    torch.manual_seed(0)
    return TCN(2, 5, num_blocks=3, kernel_size=3, dropout=dropout).double()


def test_equals_blocks_of_torch_layers() -> None:
    net = build()
    x = torch.randn(3, 40, 2, dtype=torch.float64)
    h = x.transpose(1, 2)
    for index, block in enumerate(net.blocks):
        residual = h
        for conv in block.convs:
            twin = weight_norm(nn.Conv1d(h.shape[1], 5, 3, dilation=2**index).double())
            twin.load_state_dict(conv.state_dict())
            h = torch.relu(twin(F.pad(h, (2 * 2**index, 0))))
        if residual.shape[1] != 5:
            residual = block.shortcut(residual.transpose(1, 2)).transpose(1, 2)
        h = torch.relu(h + residual)
    torch.testing.assert_close(net(x)[0], h.transpose(1, 2))
    assert [block.shortcut is None for block in net.blocks] == [False, True, True]


def test_causal_with_exactly_this_receptive_field() -> None:
    """Each input inside moves the output, none outside does; positive weights keep every ReLU open."""
    net = build()
    for block in net.blocks:
        for conv in block.convs:
            conv.weight = conv.weight.detach().abs()
            conv.bias.data.abs_()
    net.blocks[0].shortcut.weight.data.abs_()
    field = net.receptive_field
    assert field == 1 + 2 * 2 * (1 + 2 + 4)
    x = torch.rand(1, field + 6, 2, dtype=torch.float64, requires_grad=True)
    at = field + 2
    (gradient,) = torch.autograd.grad(net(x)[0][:, at].sum(), x)
    moved = gradient.abs().amax(2)[0].nonzero().flatten().tolist()
    assert moved == list(range(at - field + 1, at + 1))


def test_chunks_and_steps_equal_the_whole() -> None:
    net = build()
    x = torch.randn(2, 20, 2, dtype=torch.float64)
    whole, final = net(x)
    head, state = net(x[:, :9])
    tail, state = net(x[:, 9:], state)
    torch.testing.assert_close(torch.cat([head, tail], 1), whole)
    torch.testing.assert_close(state, final)
    state = None
    for t in range(20):
        output, state = net.step(x[:, t], state)
        torch.testing.assert_close(output, whole[:, t])


def test_dropout_acts_in_training_only() -> None:
    net = build(dropout=0.5)
    x = torch.randn(2, 20, 2, dtype=torch.float64)
    assert not torch.equal(net(x)[0], net(x)[0])
    net.eval()
    assert torch.equal(net(x)[0], net(x)[0])


def test_every_parameter_learns() -> None:
    net = build()
    net(torch.randn(2, 40, 2, dtype=torch.float64))[0].square().sum().backward()
    assert all(parameter.grad is not None for parameter in net.parameters())


def test_errors() -> None:
    for options, message in (
        ({"num_blocks": 0}, "TCN: num_blocks expected an integer of at least 1, got 0"),
        ({"dropout": 1.5}, "TCN: dropout expected a probability between 0 and 1, got 1.5"),
    ):
        with pytest.raises(ValueError, match="^" + re.escape(message)):
            TCN(1, 2, **options)
    net = TCN(2, 3, num_blocks=2)
    _, state = net(torch.zeros(1, 4, 2))
    with pytest.raises(ValueError, match="TCN: state expected 4 tensors, two per block, got 3"):
        net(torch.zeros(1, 4, 2), state[:3])
    with pytest.raises(TypeError, match="TCN: state expected the tuple of tensors"):
        net(torch.zeros(1, 4, 2), state[0])


def test_weights_may_be_drawn_anew() -> None:
    """Weight normalisation takes what is drawn apart."""
    net = TCN(1, 4, num_blocks=1)
    convolution = net.blocks[0].convs[0]
    for tensor in (*convolution.parameters(),):
        nn.init.zeros_(tensor)
    convolution.reset_parameters()
    weight = convolution.weight
    bound = (weight.shape[1] * weight.shape[2]) ** -0.5
    assert weight.abs().min() > 0 and weight.abs().max() <= bound * (1 + 1e-6)
