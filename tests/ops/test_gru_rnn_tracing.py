"""The GRU and RNN ops under opcheck, torch.compile and torch.export."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch._dynamo.utils import counters

from seqlight import ops

# torch.compile makes an instance of every autograd.Function that it traces, which torch itself deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("optional", [True, False])
@pytest.mark.parametrize("save", [True, False])
def test_opcheck_forward(native: object, cell: Any, dtype: torch.dtype, optional: bool, save: bool) -> None:
    tensors: list[Tensor | None] = cell.arguments(3, 4, 2, 5, dtype=dtype)
    lengths = torch.tensor([4, 0, 2]) if optional else None
    if not optional:
        tensors[4:] = [None] * 2
    torch.library.opcheck(cell.private_op("forward"), (*tensors, lengths, *cell.flags, optional, save))


@pytest.mark.parametrize("optional", [True, False])
@pytest.mark.parametrize("needs", [(True, True), (True, False), (False, True), (False, False)])
def test_opcheck_backward(native: object, cell: Any, optional: bool, needs: tuple[bool, bool]) -> None:
    tensors = cell.arguments(3, 4, 2, 5, dtype=torch.float64)
    lengths = torch.tensor([4, 0, 2]) if optional else None
    flags = (lengths, *cell.flags, optional)
    output, h_n, saved = cell.private_op("forward")(*tensors, *flags, True)
    grads = (torch.ones_like(output), torch.ones_like(h_n) if optional else None)
    torch.library.opcheck(cell.private_op("backward"), (*grads, *tensors[:4], *flags, output, saved, *needs))


def run_and_differentiate(
    function: Callable[..., tuple[Tensor, ...]], tensors: list[Tensor], lengths: Tensor | None
) -> tuple[Tensor, ...]:
    output, h_n = function(*tensors, lengths=lengths)
    gradients = torch.autograd.grad(output.sin().sum() + h_n.sum(), tensors)
    return output.detach(), h_n.detach(), *gradients


def compilable(cell: Any) -> Callable[..., tuple[Tensor, Tensor]]:
    """The op with the cell's options, without the test's own class around it."""
    op, options = getattr(ops, cell.op), cell.options

    def run(*tensors: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return op(*tensors, **options, lengths=lengths)

    return run


@pytest.mark.parametrize("with_lengths", [True, False])
def test_compiles_once_for_all_later_sizes(native_calls: Any, cell: Any, with_lengths: bool) -> None:
    torch._dynamo.reset()
    counters.clear()
    compiled = torch.compile(compilable(cell), fullgraph=True, backend="aot_eager")
    graphs = []
    sizes = [(4, 5), (6, 7), (3, 9), (16, 40)]
    for batch_size, steps in sizes:
        tensors = cell.arguments(batch_size, steps, 3, 5, dtype=torch.float64, requires_grad=True)
        lengths = torch.arange(batch_size) % (steps + 1) if with_lengths else None
        eager = run_and_differentiate(cell, tensors, lengths)
        with native_calls as calls:
            traced = run_and_differentiate(compiled, tensors, lengths)
        assert (calls[f"{cell.op}_forward.float64"], calls[f"{cell.op}_backward.float64"]) == (1, 1)
        for ours, expected in zip(traced, eager, strict=True):
            torch.testing.assert_close(ours, expected, rtol=1e-12, atol=1e-13)
        graphs.append(counters["stats"]["unique_graphs"])
    assert graphs[0] == 1
    assert graphs[1:] == [2] * (len(sizes) - 1), "recompiled after the second (B, T)"


def test_compiled_without_gradients_keeps_nothing(native: object, cell: Any) -> None:
    torch._dynamo.reset()
    saved_shapes = []

    def look(graph: torch.fx.GraphModule, _: list[Tensor]) -> Callable:
        forwards = [node for node in graph.graph.nodes if node.target is cell.private_op("forward")]
        saved_shapes.extend(node.args[-1] for node in forwards)
        return graph.forward

    compiled = torch.compile(compilable(cell), fullgraph=True, backend=look)
    with torch.no_grad():
        compiled(*cell.arguments(2, 3, 2, 4, requires_grad=True))
    assert saved_shapes == [False]


def test_length_out_of_range_is_caught_when_compiled(native: object, cell: Any) -> None:
    """Traced code cannot look at the lengths; the kernel does."""
    torch._dynamo.reset()
    compiled = torch.compile(compilable(cell), fullgraph=True, backend="eager")
    with pytest.raises(RuntimeError, match="lengths expected values from 0 to T = 3, got 4 at row 1"):
        compiled(*cell.arguments(2, 3, 2, 4), lengths=torch.tensor([3, 4]))


@pytest.mark.parametrize("strict", [False, True])
def test_export_with_dynamic_batch_and_length(native_calls: Any, cell: Any, strict: bool) -> None:
    class Reversed(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weights = torch.nn.ParameterList(cell.arguments(4, 5, 3, 6)[2:])

        def forward(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, ...]:
            zeros = x.new_zeros(x.shape[0], 6)
            return op(x, zeros, *self.weights, **options, lengths=lengths, reverse=True)

    op, options = getattr(ops, cell.op), cell.options
    module = Reversed()
    batch, time = torch.export.Dim("batch"), torch.export.Dim("time")
    program = torch.export.export(
        module,
        (torch.randn(4, 5, 3), torch.tensor([5, 1, 0, 3])),
        dynamic_shapes={"x": {0: batch, 1: time}, "lengths": {0: batch}},
        strict=strict,
    )
    for batch_size, steps in ((4, 5), (2, 9), (33, 2)):
        x, lengths = torch.randn(batch_size, steps, 3), torch.arange(batch_size) % (steps + 1)
        with native_calls as calls, torch.no_grad():
            exported = program.module()(x, lengths)
        assert calls[f"{cell.op}_forward.float32"] == 1
        for ours, expected in zip(exported, module(x, lengths), strict=True):
            assert torch.equal(ours, expected)
