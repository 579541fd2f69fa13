"""The causal convolution layer: torch.nn.Conv1d's parameters, its state, steps, precision and tracing."""

import copy
import re
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import nn

from seqlight.nn import CausalConv1d

pytestmark = pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")


@pytest.mark.parametrize(
    ("kernel_size", "dilation", "groups", "bias"), [(1, 1, 1, True), (3, 4, 2, False), (2, 8, 4, True)]
)
def test_equals_torch_and_back(kernel_size: int, dilation: int, groups: int, bias: bool) -> None:
    torch.manual_seed(0)
    module = nn.Conv1d(4, 8, kernel_size, dilation=dilation, groups=groups, bias=bias)
    module.weight.requires_grad_(False)
    layer = CausalConv1d.from_torch(module.eval())
    assert not layer.training and not layer.weight.requires_grad
    assert layer.weight.data_ptr() != module.weight.data_ptr()
    x = torch.randn(3, 20, 4)
    length = (kernel_size - 1) * dilation
    expected = module(nn.functional.pad(x.transpose(1, 2), (length, 0))).transpose(1, 2)
    torch.testing.assert_close(layer(x)[0], expected)
    back = layer.to_torch()
    torch.testing.assert_close(back(x.transpose(1, 2))[:, :, :20].transpose(1, 2), expected)
    assert {name: value.shape for name, value in layer.state_dict().items()} == {
        name: value.shape for name, value in module.state_dict().items()
    }
    copy.deepcopy(layer).load_state_dict(module.state_dict())


def test_drawn_like_conv1d() -> None:
    torch.manual_seed(3)
    module = nn.Conv1d(6, 9, 4, groups=3)
    torch.manual_seed(3)
    layer = CausalConv1d(6, 9, 4, groups=3)
    torch.testing.assert_close(layer.weight, module.weight)
    torch.testing.assert_close(layer.bias, module.bias)


def test_steps_equal_the_whole() -> None:
    torch.manual_seed(0)
    layer = CausalConv1d(3, 5, 3, dilation=4)
    x = torch.randn(2, 15, 3)
    whole, final = layer(x)
    state, outputs = None, []
    for t in range(15):
        output, state = layer.step(x[:, t], state)
        outputs.append(output)
    torch.testing.assert_close(torch.stack(outputs, 1), whole)
    assert torch.equal(state, final)


def test_receptive_field() -> None:
    layer = CausalConv1d(1, 1, 3, dilation=5)
    assert (layer.receptive_field, layer.state_length) == (11, 10)
    assert CausalConv1d(1, 1, 1).receptive_field == 1
    assert (
        repr(CausalConv1d(3, 4, 2, 8, bias=False))
        == "CausalConv1d(3, 4, kernel_size=2, dilation=8, bias=False)"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"kernel_size": 0}, "CausalConv1d: kernel_size expected an integer of at least 1, got 0"),
        ({"kernel_size": -3}, "CausalConv1d: kernel_size expected an integer of at least 1, got -3"),
        ({"dilation": 0}, "CausalConv1d: dilation expected an integer of at least 1, got 0"),
        ({"dilation": 1.5}, "CausalConv1d: dilation expected an integer of at least 1, got 1.5"),
        ({"groups": 4}, "CausalConv1d: in_channels expected divisible by groups = 4, got 6"),
        ({"groups": 3}, "CausalConv1d: out_channels expected divisible by groups = 3, got 4"),
        ({"in_channels": 0}, "CausalConv1d: in_channels expected an integer of at least 1, got 0"),
    ],
)
def test_wrong_sizes(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match="^" + re.escape(message)):
        CausalConv1d(**{"in_channels": 6, "out_channels": 4, "kernel_size": 2, **arguments})


def test_wrong_calls() -> None:
    layer = CausalConv1d(3, 4, 2, dilation=3)
    with pytest.raises(
        ValueError, match=r"state expected \[B, \(K-1\)\*dilation, C_in\] = \[2, 3, 3\], got \[2, 2, 3\]"
    ):
        layer(torch.zeros(2, 5, 3), torch.zeros(2, 2, 3))
    with pytest.raises(ValueError, match=r"CausalConv1d: x_t expected \[B, C\] with C = 3, got \[2, 4\]"):
        layer.step(torch.zeros(2, 4))
    with pytest.raises(TypeError, match=r"x_t expected a torch\.Tensor, got list"):
        layer.step([1.0])
    with pytest.raises(ValueError, match="module expected with stride=1, got stride=2"):
        CausalConv1d.from_torch(nn.Conv1d(1, 1, 2, stride=2))
    with pytest.raises(ValueError, match="padding_mode='zeros', got padding_mode='circular'"):
        CausalConv1d.from_torch(nn.Conv1d(1, 1, 2, padding_mode="circular"))
    with pytest.raises(TypeError, match=r"module expected a torch\.nn\.Conv1d, got Linear"):
        CausalConv1d.from_torch(nn.Linear(1, 1))


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
def test_every_precision_runs_natively(native: ModuleType, dtype: torch.dtype, compiled: bool) -> None:
    torch._dynamo.reset()
    layer = CausalConv1d(3, 4, 2, dilation=2, dtype=dtype)
    run = torch.compile(layer, fullgraph=True, backend="aot_eager") if compiled else layer
    before = native.call_counts()
    output, state = run(torch.randn(2, 6, 3, dtype=dtype))
    output.sum().backward()
    name = "float64" if dtype == torch.float64 else "float32"
    after = native.call_counts()
    for op in ("causal_conv1d_forward", "causal_conv1d_backward"):
        assert after[f"{op}.{name}"] - before.get(f"{op}.{name}", 0) == 1
    assert output.dtype == state.dtype == layer.weight.grad.dtype == dtype


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast(native: ModuleType, dtype: torch.dtype) -> None:
    layer = CausalConv1d(3, 4, 2, dilation=2)
    before = native.call_counts().get("causal_conv1d_backward.float32", 0)
    with torch.autocast("cpu", dtype):
        output, state = layer(torch.randn(2, 6, 3))
        again, _ = layer(torch.randn(2, 6, 3).to(dtype), state)
    assert output.dtype == state.dtype == again.dtype == dtype
    again.float().sum().backward()
    assert layer.weight.grad.dtype == torch.float32
    assert native.call_counts()["causal_conv1d_backward.float32"] == before + 1


def test_exports_with_dynamic_shapes(native: ModuleType) -> None:
    layer = CausalConv1d(3, 4, 2, dilation=4)
    dims = {0: torch.export.Dim("batch"), 1: torch.export.Dim("time")}
    program = torch.export.export(layer, (torch.randn(4, 5, 3),), dynamic_shapes={"x": dims})
    x = torch.randn(2, 9, 3)
    with torch.no_grad():
        torch.testing.assert_close(program.module()(x), layer(x), rtol=0, atol=0)
