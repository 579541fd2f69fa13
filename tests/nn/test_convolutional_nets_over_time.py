"""What every net of causal convolutions promises about time, for random nets: causality, the exact receptive
field, chunks equal to the whole, any length.
"""

import itertools
from collections.abc import Callable
from types import ModuleType

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from seqlight import use_backend
from seqlight.nn import TCN, WaveNet

CHANNELS = 2


def open_every_relu(net: nn.Module) -> None:
    """Make all parameters positive, so that for positive inputs no ReLU hides what is behind it."""
    for parameter in net.parameters():
        parameter.data.abs_()


@st.composite
def nets(draw_from: st.DrawFn) -> nn.Module:
    torch.manual_seed(draw_from(st.integers(0, 100)))
    kernel_size = draw_from(st.integers(1, 3))
    hidden_size = draw_from(st.sampled_from([1, 4, 17]))
    kind = draw_from(st.sampled_from(["gated", "simple", "TCN"]))
    if kind == "TCN":
        blocks = draw_from(st.integers(1, 3))
        return TCN(CHANNELS, hidden_size, num_blocks=blocks, kernel_size=kernel_size).double()
    return WaveNet(
        CHANNELS,
        3,
        hidden_size=hidden_size,
        kernel_size=kernel_size,
        num_blocks=draw_from(st.integers(1, 2)),
        layers_per_block=draw_from(st.integers(1, 4)),
        gated=kind == "gated",
    ).double()


@given(net=nets())
@settings(max_examples=25)
def test_exact_receptive_field(native: ModuleType, net: nn.Module) -> None:
    """Each input inside moves the output, and none outside does."""
    open_every_relu(net)
    field = net.receptive_field
    x = torch.rand(1, field + 5, CHANNELS, dtype=torch.float64, requires_grad=True)
    at = field + 1
    (gradient,) = torch.autograd.grad(net(x)[0][:, at].sum(), x)
    moved = gradient.abs().amax(2)[0].nonzero().flatten().tolist()
    assert moved == list(range(at - field + 1, at + 1))


@given(net=nets(), steps=st.integers(1, 60), data=st.data())
@settings(max_examples=25)
def test_causality(native: ModuleType, net: nn.Module, steps: int, data: st.DataObject) -> None:
    """A changed input leaves every bit of the outputs before it, and of those it does not reach any more."""
    moved = data.draw(st.integers(0, steps - 1))
    x = torch.randn(2, steps, CHANNELS, dtype=torch.float64)
    changed = x.clone()
    changed[:, moved] += 1
    differs = (net(changed)[0] != net(x)[0]).any(2).any(0).nonzero().flatten().tolist()
    assert all(moved <= t < moved + net.receptive_field for t in differs)


@pytest.mark.parametrize("backend", ["native", "reference"])
@given(net=nets(), steps=st.sampled_from([1, 2, 9, 60]), data=st.data())
@settings(max_examples=20)
def test_chunks_equal_the_whole(
    native: ModuleType, backend: str, net: nn.Module, steps: int, data: st.DataObject
) -> None:
    """Random cuts, chunks of 0 steps, of 1 and shorter than the receptive field among them."""
    cuts = data.draw(st.lists(st.integers(0, steps), max_size=5).map(sorted))
    x = torch.randn(2, steps, CHANNELS, dtype=torch.float64)
    with use_backend(backend):
        whole, final = net(x)
        state, parts = None, []
        for begin, end in itertools.pairwise([0, *cuts, steps]):
            part, state = net(x[:, begin:end], state)
            parts.append(part)
    torch.testing.assert_close(torch.cat(parts, 1), whole, rtol=0, atol=1e-12)
    for ours, right in zip(state, final, strict=True):
        torch.testing.assert_close(ours, right, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    "build",
    [
        lambda: WaveNet(1, 1, hidden_size=2, num_blocks=1, layers_per_block=6),
        lambda: WaveNet(1, 1, hidden_size=2, num_blocks=1, layers_per_block=6, gated=False),
        lambda: TCN(1, 2, num_blocks=3),
    ],
    ids=["gated", "simple", "TCN"],
)
def test_a_million_steps_by_chunks(native: ModuleType, build: Callable[[], nn.Module]) -> None:
    """The state stays as large as the receptive field asks, and forgets what is behind that."""
    torch.manual_seed(0)
    net = build()
    generator = torch.Generator().manual_seed(0)
    state, sizes = None, set()
    with torch.no_grad():
        for _ in range(20):
            x = torch.randn(1, 50_000, 1, generator=generator)
            output, state = net(x, state)
            sizes.add(sum(part.untyped_storage().nbytes() for part in state))
        recent, _ = net(x[:, -net.receptive_field :])
    assert sizes == {sum(4 * part.numel() for part in state)}, "a state holds on to memory behind it"
    torch.testing.assert_close(output[:, -1], recent[:, -1])


@pytest.mark.parametrize("batch_size", [0, 2])
def test_no_time_steps(native: ModuleType, batch_size: int) -> None:
    for net in (WaveNet(CHANNELS, 3), WaveNet(CHANNELS, 3, gated=False), TCN(CHANNELS, 3)):
        before = net(torch.randn(batch_size, 4, CHANNELS))[1]
        output, state = net(torch.zeros(batch_size, 0, CHANNELS), before)
        assert output.shape == (batch_size, 0, 3)
        assert all(torch.equal(ours, right) for ours, right in zip(state, before, strict=True))
