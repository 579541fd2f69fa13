"""WaveNet in both forms: the equations, the receptive field, streaming, conditions, errors."""

import re
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import prune

from seqlight import use_backend
from seqlight.nn import WaveNet

FORMS = {
    "gated": {},
    "gated, kernel 3, skip 7": {"kernel_size": 3, "skip_size": 7},
    "simple": {"gated": False},
    "simple, kernel 3": {"gated": False, "kernel_size": 3, "num_blocks": 1},
}


def build(form: str, **options: Any) -> WaveNet:
    torch.manual_seed(0)
    sizes = {"hidden_size": 5, "num_blocks": 2, "layers_per_block": 3}
    return WaveNet(2, 4, **{**sizes, **FORMS[form], **options}).double()


def causal(x: Tensor, weight: Tensor, bias: Tensor, dilation: int) -> Tensor:
    """On [B, C, T]."""
    return F.conv1d(F.pad(x, ((weight.shape[2] - 1) * dilation, 0)), weight, bias, dilation=dilation)


@pytest.mark.parametrize("backend", ["auto", "reference"])
def test_simple_form_is_the_stack_of_convolutions(backend: str) -> None:
    net = build("simple")
    assert net.dilations == (1, 2, 4, 1, 2, 4)
    x = torch.randn(3, 30, 2, dtype=torch.float64)
    h = x.transpose(1, 2)
    for layer, dilation in zip(net.layers, net.dilations, strict=True):
        h = torch.relu(causal(h, layer.weight, layer.bias, dilation))
    with use_backend(backend):
        output, _ = net(x)
    torch.testing.assert_close(output, net.head[0](h.transpose(1, 2)))


@pytest.mark.parametrize("backend", ["auto", "reference"])
def test_gated_form_is_the_papers(backend: str) -> None:
    net = build("gated, kernel 3, skip 7", condition_size=3, static_size=2)
    x, condition = torch.randn(3, 30, 2, dtype=torch.float64), torch.randn(3, 30, 3, dtype=torch.float64)
    static = torch.randn(3, 2, dtype=torch.float64)
    h = causal(x.transpose(1, 2), net.input_layer.weight, net.input_layer.bias, 1)
    total = torch.zeros(3, 30, 7, dtype=torch.float64)
    for layer in net.layers:
        before = causal(h, layer.conv.weight, layer.conv.bias, layer.conv.dilation)
        before = before + (condition @ layer.condition.weight.T).transpose(1, 2)
        before = before + (static @ layer.static.weight.T)[:, :, None]
        z = (before[:, :5].tanh() * before[:, 5:].sigmoid()).transpose(1, 2)
        weight, bias = layer.project.weight, layer.project.bias
        if layer.residual:
            h = h + (z @ weight[:5].T + bias[:5]).transpose(1, 2)
            weight, bias = weight[5:], bias[5:]
        total = total + z @ weight.T + bias
    first, second = net.head[1], net.head[3]
    expected = second(torch.relu(first(torch.relu(total))))
    with use_backend(backend):
        output, _ = net(x, condition=condition, static=static)
    torch.testing.assert_close(output, expected)


def test_conditions_of_zeros_change_nothing() -> None:
    """The unfused path of a conditioned net equals the fused one."""
    plain, conditioned = build("gated"), build("gated", condition_size=3, static_size=1)
    conditioned.load_state_dict(plain.state_dict(), strict=False)
    x = torch.randn(2, 20, 2, dtype=torch.float64)
    zeros = {"condition": x.new_zeros(2, 20, 3), "static": x.new_zeros(2, 1)}
    torch.testing.assert_close(conditioned(x, **zeros)[0], plain(x)[0])


@pytest.mark.parametrize("form", FORMS)
def test_causal_with_exactly_this_receptive_field(form: str) -> None:
    """Each input inside moves the output, none outside does."""
    net = build(form)
    if not net.gated:  # keep every ReLU open, which would hide inputs
        for layer in net.layers:
            layer.weight.data.abs_()
            layer.bias.data.abs_()
    field = net.receptive_field
    x = torch.rand(1, field + 6, 2, dtype=torch.float64, requires_grad=True)
    output, _ = net(x)
    at = field + 2
    (gradient,) = torch.autograd.grad(output[:, at].sum(), x)
    moved = gradient.abs().amax(2)[0].nonzero().flatten().tolist()
    assert moved == list(range(at - field + 1, at + 1))


@pytest.mark.parametrize("form", FORMS)
def test_chunks_and_steps_equal_the_whole(form: str) -> None:
    net = build(form)
    x = torch.randn(2, 24, 2, dtype=torch.float64)
    whole, final = net(x)
    state, parts = None, []
    for size in (1, 7, 0, 2, 14):
        begin = sum(part.shape[1] for part in parts)
        part, state = net(x[:, begin : begin + size], state)
        parts.append(part)
    torch.testing.assert_close(torch.cat(parts, 1), whole)
    state, outputs = None, []
    for t in range(24):
        output, state = net.step(x[:, t], state)
        outputs.append(output)
    torch.testing.assert_close(torch.stack(outputs, 1), whole)
    assert len(state) == len(final) == net.state_count
    for ours, right in zip(state, final, strict=True):
        torch.testing.assert_close(ours, right)


def test_steps_with_conditions() -> None:
    net = build("gated", condition_size=3, static_size=2)
    x, condition = torch.randn(2, 9, 2, dtype=torch.float64), torch.randn(2, 9, 3, dtype=torch.float64)
    static = torch.randn(2, 2, dtype=torch.float64)
    whole, _ = net(x, condition=condition, static=static)
    state = None
    for t in range(9):
        output, state = net.step(x[:, t], state, condition=condition[:, t], static=static)
        torch.testing.assert_close(output, whole[:, t])


def test_every_parameter_learns() -> None:
    for form in FORMS:
        net = build(form)
        net(torch.randn(4, 40, 2, dtype=torch.float64))[0].square().sum().backward()
        assert all(parameter.grad is not None for parameter in net.parameters())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hidden_size": 0}, "WaveNet: hidden_size expected an integer of at least 1, got 0"),
        ({"kernel_size": 0}, "WaveNet: kernel_size expected an integer of at least 1, got 0"),
        ({"condition_size": -1}, "WaveNet: condition_size expected an integer of at least 0, got -1"),
        (
            {"gated": False, "static_size": 2},
            "WaveNet: condition_size, static_size and skip_size belong to gated",
        ),
    ],
)
def test_wrong_sizes(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match="^" + re.escape(message)):
        WaveNet(1, 1, **options)


def test_wrong_calls() -> None:
    net, conditioned = WaveNet(2, 1), WaveNet(2, 1, condition_size=3)
    x = torch.zeros(4, 5, 2)
    _, state = net(x)
    for call, kind, message in (
        (lambda: net(x[..., :1]), ValueError, "WaveNet: x expected [B, T, C] with C = 2, got [4, 5, 1]"),
        (
            lambda: net(x, state[:3]),
            ValueError,
            "WaveNet: state expected 9 tensors, one per convolution, got 3",
        ),
        (lambda: net(x, state[0]), TypeError, "WaveNet: state expected the tuple of tensors"),
        (lambda: net(x, condition=x), ValueError, "WaveNet: condition expected None, since the net was made"),
        (
            lambda: conditioned(x),
            ValueError,
            "WaveNet: condition expected [B, T, condition_size] = [4, 5, 3]",
        ),
        (
            lambda: conditioned(x, condition=x),
            ValueError,
            "WaveNet: condition expected [B, T, condition_size] ",
        ),
        (lambda: net.step(x), ValueError, "WaveNet: x_t expected [B, C] with C = 2, got [4, 5, 2]"),
    ):
        with pytest.raises(kind, match="^" + re.escape(message)):
            call()


@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")
def test_compiles() -> None:
    torch._dynamo.reset()
    net = build("gated")
    compiled = torch.compile(net, fullgraph=True, backend="aot_eager")
    x = torch.randn(2, 20, 2, dtype=torch.float64)
    torch.testing.assert_close(compiled(x), net(x))


class Adapter(nn.Module):
    """A low-rank term beside a linear layer, as LoRA puts it there."""

    def __init__(self, base: nn.Linear) -> None:
        super().__init__()
        self.base = base
        self.term = nn.Linear(base.in_features, base.out_features, bias=False, dtype=base.weight.dtype)

    weight = property(lambda self: self.base.weight)
    bias = property(lambda self: self.base.bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.base(x) + self.term(x)


@pytest.mark.parametrize("steps", [2, 30])  # few rows have a path of their own
def test_layers_that_were_replaced_are_called(steps: int) -> None:
    net = build("gated").requires_grad_(False)
    for layer in net.layers:
        layer.project = Adapter(layer.project)
    x = torch.randn(1, steps, 2, dtype=torch.float64)
    output, state = net(x)
    stepped, state = [], None
    for x_t in x.unbind(1):
        y_t, state = net.step(x_t, state)
        stepped.append(y_t)
    torch.testing.assert_close(output, torch.stack(stepped, 1))
    output.sum().backward()
    assert all(layer.project.term.weight.grad.abs().max() > 0 for layer in net.layers)
    with pytest.raises(
        RuntimeError, match="generate takes weights alone, and a Adapter has hooks or a forward"
    ):
        net.generate(x, 3)


@pytest.mark.parametrize("part", ["conv", "project", "condition"])
@pytest.mark.parametrize("steps", [2, 30])
def test_hooks_of_layers_are_called(part: str, steps: int) -> None:
    net, calls = build("gated", condition_size=3), []
    getattr(net.layers[1], part).register_forward_hook(lambda module, *_: calls.append(module))
    x = torch.randn(1, steps, 2, dtype=torch.float64)
    net(x, condition=torch.randn(1, steps, 3, dtype=torch.float64))
    assert calls == [getattr(net.layers[1], part)]


def test_pruned_weights_are_those_that_were_loaded() -> None:
    nets = build("gated"), build("gated", num_blocks=2)
    nn.init.zeros_(nets[1].layers[0].project.weight)
    for net in nets:
        for layer in net.layers:
            prune.l1_unstructured(layer.project, "weight", 0.5)
    nets[1].load_state_dict(nets[0].state_dict())
    x = torch.randn(1, 30, 2, dtype=torch.float64)
    for _ in range(2):  # each training step computes the masked weights anew
        outputs = [net(x)[0] for net in nets]
        torch.testing.assert_close(*outputs, rtol=0, atol=0)
        outputs[0].sum().backward()


def test_vmap_over_classes() -> None:
    net = build("simple")
    classes = torch.randint(0, 2, (3, 2, 9))
    torch.testing.assert_close(
        torch.vmap(lambda x: net(x)[0])(classes), torch.stack([net(x)[0] for x in classes])
    )
