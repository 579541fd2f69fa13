"""The causal convolution ops under opcheck, torch.compile and torch.export."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch._dynamo.utils import counters

from seqlight.ops import causal_conv1d

# torch.compile makes an instance of every autograd.Function that it traces, which torch itself deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")


@pytest.mark.parametrize("activation", [0, 1, 2])
@pytest.mark.parametrize("save", [True, False])
def test_opcheck_forward(device: torch.device, activation: int, save: bool) -> None:
    state, bias = (torch.randn(3, 4, 2), torch.randn(6)) if save else (None, None)
    torch.library.opcheck(
        torch.ops.seqlight.causal_conv1d_forward.default,
        (torch.randn(3, 5, 2), state, torch.randn(6, 2, 3), bias, 2, 1, activation, save),
    )


@pytest.mark.parametrize("activation", [0, 1, 2])
@pytest.mark.parametrize("needs", [(True,) * 4, (True, False, False, False), (False, True, False, True)])
def test_opcheck_backward(device: torch.device, activation: int, needs: tuple[bool, ...]) -> None:
    x, state, weight = torch.randn(3, 5, 2), torch.randn(3, 4, 2), torch.randn(6, 2, 3)
    rest = (2, 1, activation)
    output, new_state, saved = torch.ops.seqlight.causal_conv1d_forward(x, state, weight, None, *rest, True)
    torch.library.opcheck(
        torch.ops.seqlight.causal_conv1d_backward.default,
        (
            torch.randn_like(output),
            torch.randn_like(new_state) if needs[0] else None,
            x,
            state if needs[1] else None,
            weight,
            *rest,
            output if activation == 1 else saved,
            *needs,
        ),
    )


@pytest.mark.parametrize(
    ("compiler", "activation"), [("inductor", "gate"), ("aot_eager", "relu"), ("aot_eager", None)]
)
def test_compiles_once_for_all_later_sizes(
    device: torch.device, native_calls: Any, compiler: str, activation: str | None
) -> None:
    torch._dynamo.reset()
    counters.clear()
    weight = torch.randn(6, 3, 2, dtype=torch.float64, requires_grad=True)

    def function(x: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        return causal_conv1d(x, weight, dilation=3, activation=activation)

    def run_and_differentiate(function: Callable, x: Tensor) -> tuple[Tensor, ...]:
        output, state = function(x, weight)
        return output.detach(), *torch.autograd.grad(output.sin().sum() + state.sum(), (x, weight))

    compiled = torch.compile(function, fullgraph=True, backend=compiler)
    graphs = []
    for batch_size, steps in [(4, 5), (6, 7), (3, 9), (8, 2), (16, 40)]:
        x = torch.randn(batch_size, steps, 3, dtype=torch.float64, requires_grad=True)
        eager = run_and_differentiate(function, x)
        with native_calls as calls:
            traced = run_and_differentiate(compiled, x)
        assert (calls["causal_conv1d_forward.float64"], calls["causal_conv1d_backward.float64"]) == (1, 1)
        for ours, expected in zip(traced, eager, strict=True):
            torch.testing.assert_close(ours, expected, rtol=1e-12, atol=1e-13)
        graphs.append(counters["stats"]["unique_graphs"])
    assert graphs == [1, 2, 2, 2, 2], "recompiled after the second (B, T)"


@pytest.mark.parametrize("strict", [False, True])
def test_export_with_dynamic_batch_and_length(device: torch.device, native_calls: Any, strict: bool) -> None:
    class Gated(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.randn(8, 3, 2))

        def forward(self, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
            return causal_conv1d(x, self.weight, dilation=4, state=state, activation="gate")

    module = Gated()
    batch, time = torch.export.Dim("batch"), torch.export.Dim("time")
    program = torch.export.export(
        module,
        (torch.randn(4, 5, 3), torch.randn(4, 4, 3)),
        dynamic_shapes={"x": {0: batch, 1: time}, "state": {0: batch}},
        strict=strict,
    )
    for batch_size, steps in ((4, 5), (2, 9), (33, 2)):
        x, state = torch.randn(batch_size, steps, 3), torch.randn(batch_size, 4, 3)
        with native_calls as calls, torch.no_grad():
            exported = program.module()(x, state)
        assert calls["causal_conv1d_forward.float32"] == 1
        for ours, expected in zip(exported, module(x, state), strict=True):
            assert torch.equal(ours, expected)
