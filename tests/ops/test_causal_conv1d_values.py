"""The causal convolution against float64 F.pad + F.conv1d, its state, and what an output depends on."""

import itertools
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from seqlight.ops import causal_conv1d

TOLERANCE = {torch.float32: 2e-5, torch.float64: 1e-12}
ACTIVATIONS = (None, "relu", "gate")


def draw(*shape: int, seed: int, dtype: torch.dtype = torch.float64) -> Tensor:
    generator = torch.Generator("cpu").manual_seed(seed)
    drawn = torch.randn(shape, generator=generator, dtype=torch.float64, device="cpu")
    return drawn.to(torch.get_default_device(), dtype)


def padded_conv1d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    dilation: int,
    groups: int,
    state: Tensor | None,
    activation: str | None,
) -> Tensor:
    """Independent of the package's reference: pad, torch's conv1d, activate."""
    length = (weight.shape[2] - 1) * dilation
    padded = F.pad(x, (0, 0, length, 0)) if state is None else torch.cat([state, x], 1)
    output = F.conv1d(padded.transpose(1, 2), weight, bias, dilation=dilation, groups=groups).transpose(1, 2)
    if activation == "relu":
        return torch.relu(output)
    if activation == "gate":
        first, second = output.chunk(2, 2)
        return torch.tanh(first) * torch.sigmoid(second)
    return output


def assert_near(ours: Tensor, exact: Tensor, dtype: torch.dtype) -> None:
    scale = exact.abs().max().clamp(min=0.1).item() if exact.numel() else 1.0
    torch.testing.assert_close(ours.double(), exact, rtol=0, atol=TOLERANCE[dtype] * scale)


@st.composite
def problems(draw_from: st.DrawFn) -> dict[str, Any]:
    activation = draw_from(st.sampled_from(ACTIVATIONS))
    groups = draw_from(st.sampled_from([1, 1, 1, 2, 3]))
    per_group = st.sampled_from([1, 2, 3, 4, 7, 8, 16, 20, 33, 50, 65])
    depthwise = draw_from(st.integers(0, 4)) == 0
    if depthwise:
        groups = draw_from(per_group)
    in_channels = groups * (1 if depthwise else draw_from(per_group))
    out_channels = groups * (1 if depthwise else draw_from(per_group))
    return {
        "batch_size": draw_from(st.sampled_from([0, 1, 2, 5])),
        "steps": draw_from(st.sampled_from([1, 2, 4, 9, 31, 100])),
        "in_channels": in_channels,
        "out_channels": out_channels * (2 if activation == "gate" else 1),
        "kernel_size": draw_from(st.integers(1, 9)),
        "dilation": draw_from(st.sampled_from([1, 2, 3, 8, 40, 150])),
        "groups": groups,
        "activation": activation,
        "with_bias": draw_from(st.booleans()),
        "with_state": draw_from(st.booleans()),
        "dtype": draw_from(st.sampled_from([torch.float32, torch.float64])),
        "seed": draw_from(st.integers(0, 1000)),
    }


@pytest.mark.parametrize("backend", ["native", "reference"])
@given(problem=problems())
@settings(max_examples=120)
def test_equals_padded_conv1d(device: torch.device, backend: str, problem: dict[str, Any]) -> None:
    """Outputs, new state and all gradients."""
    p = problem
    kernel_size, dilation, groups, seed = p["kernel_size"], p["dilation"], p["groups"], p["seed"]
    length, depth = (kernel_size - 1) * dilation, p["in_channels"] // groups
    x = draw(p["batch_size"], p["steps"], p["in_channels"], seed=seed)
    weight = draw(p["out_channels"], depth, kernel_size, seed=seed + 1) * (depth * kernel_size) ** -0.5
    bias = draw(p["out_channels"], seed=seed + 2) if p["with_bias"] else None
    state = draw(p["batch_size"], length, p["in_channels"], seed=seed + 3) if p["with_state"] else None
    exact = [None if t is None else t.requires_grad_() for t in (x, weight, bias, state)]
    ours = [None if t is None else t.detach().to(p["dtype"]).requires_grad_() for t in exact]

    options = {"dilation": dilation, "groups": groups, "activation": p["activation"], "backend": backend}
    found, new_state = causal_conv1d(*ours[:3], state=ours[3], **options)
    right = padded_conv1d(*exact[:3], dilation, groups, exact[3], p["activation"])
    before = x.new_zeros(p["batch_size"], length, p["in_channels"]) if state is None else exact[3]
    right_state = torch.cat([before, exact[0]], 1)[:, p["steps"] :]
    assert_near(found, right, p["dtype"])
    assert new_state.shape == right_state.shape
    assert torch.equal(new_state.double(), right_state.to(p["dtype"]).double())

    weights = draw(*right.shape, seed=seed + 4), draw(*right_state.shape, seed=seed + 5)
    leaves = [[t for t in tensors if t is not None] for tensors in (ours, exact)]
    gradients = torch.autograd.grad(
        (found, new_state), leaves[0], [w.to(p["dtype"]) for w in weights], allow_unused=True
    )
    expected = torch.autograd.grad((right, right_state), leaves[1], weights, materialize_grads=True)
    for gradient, value in zip(gradients, expected, strict=True):
        assert_near(torch.zeros_like(value) if gradient is None else gradient, value, p["dtype"])


# Sizes that a register tile, a block of rows or a chunk of the backward pass does not divide.
LARGE = [
    (2, 1100, 64, 64, 2, 8, 1, "gate"),
    (3, 700, 48, 96, 3, 64, 1, "relu"),
    (1, 5000, 17, 33, 2, 512, 1, None),
    (40, 23, 20, 40, 2, 4, 1, "gate"),
    (2, 900, 100, 100, 4, 16, 100, None),
    (1, 97, 130, 260, 2, 1, 1, "gate"),
]


@pytest.mark.parametrize("sizes", LARGE, ids=str)
def test_large(device: torch.device, sizes: tuple[Any, ...]) -> None:
    batch_size, steps, in_channels, out_channels, kernel_size, dilation, groups, activation = sizes
    depth = in_channels // groups
    exact = [
        draw(batch_size, steps, in_channels, seed=0),
        draw(out_channels, depth, kernel_size, seed=1) * (depth * kernel_size) ** -0.5,
        draw(out_channels, seed=2),
    ]
    ours = [tensor.float().requires_grad_() for tensor in exact]
    exact = [tensor.detach().double().requires_grad_() for tensor in ours]
    found, _ = causal_conv1d(*ours, dilation=dilation, groups=groups, activation=activation, backend="native")
    right = padded_conv1d(*exact, dilation, groups, None, activation)
    assert_near(found, right, torch.float32)
    gradient = draw(*right.shape, seed=3)
    for one, other in zip(
        torch.autograd.grad(found, ours, gradient.float()),
        torch.autograd.grad(right, exact, gradient),
        strict=True,
    ):
        assert_near(one, other, torch.float32)


@pytest.mark.parametrize("backend", ["native", "reference"])
@given(data=st.data())
@settings(max_examples=25)
def test_chunked_equals_whole(device: torch.device, backend: str, data: st.DataObject) -> None:
    """Random cuts, chunks of 0 steps and chunks shorter than the state among them."""
    kernel_size, dilation = data.draw(st.integers(1, 5)), data.draw(st.integers(1, 6))
    cuts = data.draw(st.lists(st.integers(0, 30), max_size=6).map(sorted))
    activation = data.draw(st.sampled_from(ACTIVATIONS))
    groups = data.draw(st.sampled_from([1, 2, 4]))
    x = draw(2, 30, 4, seed=0)
    weight, bias = draw(8, 4 // groups, kernel_size, seed=1), draw(8, seed=2)
    options = {"dilation": dilation, "groups": groups, "activation": activation, "backend": backend}
    whole, final = causal_conv1d(x, weight, bias, **options)
    state, parts = None, []
    for begin, end in itertools.pairwise([0, *cuts, 30]):
        part, state = causal_conv1d(x[:, begin:end], weight, bias, state=state, **options)
        parts.append(part)
    torch.testing.assert_close(torch.cat(parts, 1), whole, rtol=0, atol=1e-12)
    assert torch.equal(state, final)


@pytest.mark.parametrize("steps", [1, 40, 100])  # few rows have a path of their own
@pytest.mark.parametrize(("kernel_size", "dilation"), [(1, 1), (2, 1), (2, 16), (3, 5), (2, 60)])
@pytest.mark.parametrize("groups", [1, 3])
def test_causality_and_receptive_field(
    device: torch.device, steps: int, kernel_size: int, dilation: int, groups: int
) -> None:
    """Each tap's input moves the output, and no other input changes a bit of it."""
    channels, length = 3, (kernel_size - 1) * dilation
    x, state = draw(1, steps, channels, seed=0), draw(1, length, channels, seed=1)
    weight = draw(channels, channels // groups, kernel_size, seed=2)
    options = {"dilation": dilation, "groups": groups, "backend": "native"}
    output, _ = causal_conv1d(x, weight, state=state, **options)
    for moved in range(-length, steps):
        changed_x, changed_state = x.clone(), state.clone()
        (changed_state[:, moved + length] if moved < 0 else changed_x[:, moved]).add_(1)
        changed, _ = causal_conv1d(changed_x, weight, state=changed_state, **options)
        differs = (changed != output).any(2)[0]
        taps = {moved + k * dilation for k in range(kernel_size)}
        assert differs.nonzero().flatten().tolist() == sorted(t for t in taps if 0 <= t < steps)


@pytest.mark.parametrize("backend", ["native", "reference"])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_no_time_steps(device: torch.device, backend: str, activation: str | None) -> None:
    x = torch.zeros(2, 0, 3, requires_grad=True)
    weight, bias = draw(4, 3, 2, seed=0, dtype=torch.float32).requires_grad_(), torch.ones(4)
    state = draw(2, 5, 3, seed=1, dtype=torch.float32).requires_grad_()
    options = {"dilation": 5, "activation": activation, "backend": backend}
    output, new_state = causal_conv1d(x, weight, bias, state=state, **options)
    assert output.shape == (2, 0, 2 if activation == "gate" else 4)
    assert torch.equal(new_state, state) and new_state.data_ptr() != state.data_ptr()
    (grad_state,) = torch.autograd.grad(new_state.sum(), state)
    assert torch.equal(grad_state, torch.ones_like(state))
    assert torch.equal(causal_conv1d(x.detach(), weight, bias, **options)[1], torch.zeros(2, 5, 3))


def test_new_state_is_memory_of_its_own(device: torch.device) -> None:
    x = draw(1, 6, 2, seed=0)
    _, state = causal_conv1d(x, draw(2, 2, 3, seed=1), backend="native")
    expected = state.clone()
    x.zero_()
    assert torch.equal(state, expected)


STRIDED = {
    "transposed": lambda x: x.transpose(1, 2).contiguous().transpose(1, 2),
    "every second step": lambda x: x.repeat_interleave(2, 1)[:, ::2],
    "part of the channels": lambda x: torch.cat([x, x], 2)[:, :, : x.shape[2]],
    "time first": lambda x: x.transpose(0, 1).contiguous().transpose(0, 1),
    "expanded": lambda x: x[:1].expand(x.shape),
}


@pytest.mark.parametrize("layout", STRIDED)
@pytest.mark.parametrize("groups", [1, 4])
def test_any_strides(device: torch.device, layout: str, groups: int) -> None:
    """Of inputs, state and incoming gradients."""
    x, state, gradient = (
        STRIDED[layout](draw(3, size, 4, seed=seed)) for seed, size in ((0, 20), (1, 6), (2, 20))
    )
    weight = draw(4, 4 // groups, 3, seed=3)
    results = []
    for dense in (False, True):
        leaves = [(t.contiguous() if dense else t).detach().requires_grad_() for t in (x, state, weight)]
        incoming = gradient.contiguous() if dense else gradient
        for activation in (None, "relu"):
            output, new_state = causal_conv1d(
                leaves[0],
                leaves[2],
                dilation=3,
                groups=groups,
                state=leaves[1],
                activation=activation,
                backend="native",
            )
            results.append((output, new_state, *torch.autograd.grad(output, leaves, incoming)))
    for ours, right in zip(results[:2], results[2:], strict=True):
        for one, other in zip(ours, right, strict=True):
            torch.testing.assert_close(one, other, rtol=0, atol=1e-12)


def test_a_million_steps_by_chunks(device: torch.device) -> None:
    """The state stays as long as the dilation asks, whatever has gone by."""
    weight = torch.full((1, 1, 2), 0.5)
    state, last = None, 0.0
    for begin in range(0, 1_000_000, 50_000):
        x = torch.arange(begin, begin + 50_000, dtype=torch.float32).view(1, -1, 1)
        output, state = causal_conv1d(x, weight, dilation=64, state=state, backend="native")
        assert state.untyped_storage().nbytes() == 64 * 4
        last = output[0, -1, 0].item()
    assert last == 999_999 - 32
