"""The LSTM ops under opcheck, torch.compile and torch.export."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch._dynamo.utils import counters

from seqlight.ops import lstm, use_backend

Arguments = Callable[..., list[Tensor]]

# torch.compile makes an instance of every autograd.Function that it traces, which torch itself deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("optional", [True, False])
@pytest.mark.parametrize("save", [True, False])
def test_opcheck_forward(
    native: object, lstm_arguments: Arguments, dtype: torch.dtype, optional: bool, save: bool
) -> None:
    tensors: list[Tensor | None] = list(lstm_arguments(3, 4, 2, 5, dtype=dtype))
    lengths = torch.tensor([4, 0, 2]) if optional else None
    if not optional:
        tensors[5:] = [None] * 3
    torch.library.opcheck(torch.ops.seqlight.lstm_forward.default, (*tensors, lengths, optional, save))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("optional", [True, False])
@pytest.mark.parametrize("needs", [(True, True), (True, False), (False, True), (False, False)])
def test_opcheck_backward(
    native: object, lstm_arguments: Arguments, dtype: torch.dtype, optional: bool, needs: tuple[bool, bool]
) -> None:
    tensors: list[Tensor | None] = list(lstm_arguments(3, 4, 2, 5, dtype=dtype))
    lengths = torch.tensor([4, 0, 2]) if optional else None
    if not optional:
        tensors[7] = None
    output, h_n, _, saved = torch.ops.seqlight.lstm_forward(*tensors, lengths, optional, True)
    grads = (torch.ones_like(output), torch.ones_like(h_n) if optional else None, None)
    torch.library.opcheck(
        torch.ops.seqlight.lstm_backward.default,
        (*grads, *tensors[:5], tensors[7], lengths, optional, output, saved, *needs),
    )


def run_and_differentiate(
    function: Callable[..., tuple[Tensor, ...]], tensors: list[Tensor], lengths: Tensor | None
) -> tuple[Tensor, ...]:
    output, h_n, c_n = function(*tensors, lengths=lengths)
    gradients = torch.autograd.grad(output.sin().sum() + c_n.sum(), tensors)
    return output.detach(), h_n.detach(), c_n.detach(), *gradients


@pytest.mark.parametrize(("compiler", "with_lengths"), [("inductor", True), ("aot_eager", False)])
def test_compiles_once_for_all_later_sizes(
    native_calls: object, lstm_arguments: Arguments, compiler: str, with_lengths: bool
) -> None:
    torch._dynamo.reset()
    counters.clear()
    compiled = torch.compile(lstm, fullgraph=True, backend=compiler)
    graphs = []
    sizes = [(4, 5), (6, 7), (3, 9), (8, 2), (16, 40)]
    for batch_size, steps in sizes:
        tensors = lstm_arguments(batch_size, steps, 3, 5, dtype=torch.float64, requires_grad=True)
        lengths = torch.arange(batch_size) % (steps + 1) if with_lengths else None
        eager = run_and_differentiate(lstm, tensors, lengths)
        with native_calls as calls:
            traced = run_and_differentiate(compiled, tensors, lengths)
        assert (calls["lstm_forward.float64"], calls["lstm_backward.float64"]) == (1, 1)
        for ours, expected in zip(traced, eager, strict=True):
            torch.testing.assert_close(ours, expected, rtol=1e-12, atol=1e-13)
        graphs.append(counters["stats"]["unique_graphs"])
    assert graphs[0] == 1
    assert graphs[1:] == [2] * (len(sizes) - 1), "recompiled after the second (B, T)"


def test_compiled_without_gradients_keeps_nothing(native: object, lstm_arguments: Arguments) -> None:
    torch._dynamo.reset()
    saved_shapes = []

    def look(graph: torch.fx.GraphModule, _: list[Tensor]) -> Callable:
        saved_shapes.extend(
            node.args[-1]
            for node in graph.graph.nodes
            if node.target is torch.ops.seqlight.lstm_forward.default
        )
        return graph.forward

    compiled = torch.compile(lstm, fullgraph=True, backend=look)
    with torch.no_grad():
        compiled(*lstm_arguments(2, 3, 2, 4, requires_grad=True))
    assert saved_shapes == [False]


def test_backend_is_honoured_when_compiled(native_calls: object, lstm_arguments: Arguments) -> None:
    torch._dynamo.reset()
    tensors = lstm_arguments(2, 3, 2, 4)
    compiled = torch.compile(lstm, fullgraph=True, backend="eager")

    @torch.compile(fullgraph=True, backend="eager")
    def inside(*tensors: Tensor) -> tuple[Tensor, ...]:
        with use_backend("reference"):
            return lstm(*tensors)

    with native_calls as calls:
        compiled(*tensors)
    assert calls.total == 1
    with native_calls as calls:
        with use_backend("reference"):
            around = compiled(*tensors)
        within = inside(*tensors)
    assert calls.total == 0
    with native_calls as calls:
        native_again = compiled(*tensors)
    assert calls.total == 1
    for results in zip(around, within, native_again, strict=True):
        torch.testing.assert_close(results[0], results[1])
        torch.testing.assert_close(results[0], results[2])


@pytest.mark.parametrize("strict", [False, True])
def test_export_with_dynamic_batch_and_length(
    native_calls: object, lstm_arguments: Arguments, strict: bool
) -> None:
    class Reversed(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weights = torch.nn.ParameterList(lstm_arguments(4, 5, 3, 6)[3:])

        def forward(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, ...]:
            zeros = x.new_zeros(x.shape[0], 6)
            return lstm(x, zeros, zeros, *self.weights, lengths=lengths, reverse=True)

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
        assert calls["lstm_forward.float32"] == 1
        for ours, expected in zip(exported, module(x, lengths), strict=True):
            assert torch.equal(ours, expected)


def test_length_out_of_range_is_caught_when_compiled(native: object, lstm_arguments: Arguments) -> None:
    """Traced code cannot look at the lengths; the kernel does."""
    torch._dynamo.reset()
    compiled = torch.compile(lstm, fullgraph=True, backend="eager")
    with pytest.raises(RuntimeError, match="lengths expected values from 0 to T = 3, got 4 at row 1"):
        compiled(*lstm_arguments(2, 3, 2, 4), lengths=torch.tensor([3, 4]))
