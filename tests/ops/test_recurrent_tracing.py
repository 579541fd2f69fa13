"""The recurrent ops under opcheck, torch.compile and torch.export."""

import os
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch._dynamo.utils import counters

from seqlight import ops
from seqlight.ops import lstm, use_backend

# torch.compile makes an instance of every autograd.Function that it traces, which torch itself deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("optional", [True, False])
@pytest.mark.parametrize("save", [True, False])
def test_opcheck_forward(
    device: torch.device, cell: Any, dtype: torch.dtype, optional: bool, save: bool
) -> None:
    tensors = cell.private_tensors(cell.arguments(3, 4, 2, 5, dtype=dtype))
    biases = 3 + len(cell.state_names)
    if not optional:
        tensors[biases : biases + 2] = [None] * 2
    # opcheck compares the results of two calls. Of steps past a sequence's end nothing is kept for backward;
    # what memory holds there may differ.
    lengths = torch.tensor([4, 4, 4] if save else [4, 0, 2]) if optional else None
    rest = cell.private_rest(cell.noise(3, 5) if optional else {}, lengths, optional, dtype)
    torch.library.opcheck(cell.private_op("forward"), (*tensors, *rest, None, save))


@pytest.mark.parametrize("optional", [True, False])
@pytest.mark.parametrize("needs", [(True, True), (True, False), (False, True), (False, False)])
def test_opcheck_backward(device: torch.device, cell: Any, optional: bool, needs: tuple[bool, bool]) -> None:
    tensors = cell.private_tensors(cell.arguments(3, 4, 2, 5, dtype=torch.float64))
    lengths = torch.tensor([4, 0, 2]) if optional else None
    rest = cell.private_rest(cell.noise(3, 5) if optional else {}, lengths, optional, torch.float64)
    output, *finals, saved = cell.private_op("forward")(*tensors, *rest, None, True)
    grads = [torch.ones_like(output), torch.ones_like(finals[0]) if optional else None, None]
    torch.library.opcheck(
        cell.private_op("backward"), (*grads[: 1 + len(finals)], *tensors, output, saved, *needs, *rest)
    )


def test_opcheck_one_step_of_a_layer(device: torch.device, cell: Any) -> None:
    """The other form of the arguments: x [B, I], states [1, B, H]; with the values of the first."""
    tensors = cell.private_tensors(cell.arguments(3, 1, 2, 5, dtype=torch.float64))
    states = range(1, 1 + len(cell.state_names))
    x, *others = tensors
    of_layer = [x.squeeze(1), *others]
    for place in states:
        of_layer[place] = others[place - 1].unsqueeze(0)
    forward, backward = cell.private_op("forward"), cell.private_op("backward")
    torch.library.opcheck(forward, of_layer)
    expected, found = forward(*tensors, save_for_backward=True), forward(*of_layer, save_for_backward=True)
    for results in zip(
        (expected[0].squeeze(1), *(expected[place].unsqueeze(0) for place in states)), found[:-1], strict=True
    ):
        torch.testing.assert_close(*results, rtol=0, atol=0)

    def arguments(tensors: list[Tensor | None], results: tuple[Tensor, ...]) -> tuple[Any, ...]:
        grads = [torch.ones_like(result) for result in results[:-1]]
        return (*grads, *tensors, results[0], results[-1], True, True)

    torch.library.opcheck(backward, arguments(of_layer, found))
    expected, found = backward(*arguments(tensors, expected)), backward(*arguments(of_layer, found))
    for place, (of_sequence, of_step) in enumerate(zip(expected, found, strict=True)):
        assert of_step.shape == (of_layer[place].shape if place in (0, *states) else of_sequence.shape)
        torch.testing.assert_close(of_step, of_sequence.reshape(of_step.shape), rtol=0, atol=0)


def test_opcheck_step(device: torch.device, cell: Any) -> None:
    """One step with packed weights alone, with the values of the forward op."""
    if cell.layer_norm:
        pytest.skip("layer norm's calls are general")
    for biases in (True, False):
        tensors = cell.private_tensors(cell.arguments(3, 1, 2, 5, dtype=torch.float64))
        states = range(1, 1 + len(cell.state_names))
        if not biases:
            tensors[states.stop + 2 : states.stop + 4] = [None, None]
        packed = cell.private_op("pack")(*tensors[states.stop : -1], False)
        rest = cell.private_rest({}, None, False, torch.float64)
        of_step = (tensors[0].squeeze(1), *(tensors[place].unsqueeze(0) for place in states), packed)
        arguments = (*of_step, *rest[3 + len(states) : -1])
        torch.library.opcheck(cell.private_op("step"), arguments)
        expected = cell.private_op("forward")(*tensors, *rest)[:-1]
        for found, result in zip(cell.private_op("step")(*arguments), expected, strict=True):
            torch.testing.assert_close(found, result.reshape(found.shape), rtol=0, atol=1e-14)


def run_and_differentiate(
    function: Callable[..., tuple[Tensor, ...]], tensors: list[Tensor], **options: Any
) -> tuple[Tensor, ...]:
    output, *_, last = function(*tensors, **options)
    gradients = torch.autograd.grad(output.sin().sum() + last.sum(), tensors)
    return output.detach(), last.detach(), *gradients


def compilable(cell: Any) -> Callable[..., tuple[Tensor, ...]]:
    """The op with the cell's options, without the test's own class around it."""
    op, names, of_cell = getattr(ops, cell.op), cell.names, cell.options

    def run(*tensors: Tensor, **options: Any) -> tuple[Tensor, ...]:
        return op(**dict(zip(names, tensors, strict=True)), **of_cell, **options)

    return run


@pytest.mark.parametrize("noisy", [True, False])
def test_compiles_once_for_all_later_sizes(
    device: torch.device, native_calls: Any, cell: Any, noisy: bool
) -> None:
    torch._dynamo.reset()
    counters.clear()
    compiled = torch.compile(compilable(cell), fullgraph=True, backend="aot_eager")
    graphs = []
    sizes = [(4, 5), (6, 7), (3, 9), (16, 40)]
    for batch_size, steps in sizes:
        tensors = cell.arguments(batch_size, steps, 3, 5, dtype=torch.float64, requires_grad=True)
        options = cell.noise(batch_size, 5) if noisy else {}
        options["lengths"] = torch.arange(batch_size) % (steps + 1) if noisy else None
        eager = run_and_differentiate(cell, tensors, **options)
        with native_calls as calls:
            traced = run_and_differentiate(compiled, tensors, **options)
        assert (calls[f"{cell.op}_forward.float64"], calls[f"{cell.op}_backward.float64"]) == (1, 1)
        for ours, expected in zip(traced, eager, strict=True):
            torch.testing.assert_close(ours, expected, rtol=1e-12, atol=1e-13)
        graphs.append(counters["stats"]["unique_graphs"])
    assert graphs[0] == 1
    assert graphs[1:] == [2] * (len(sizes) - 1), "recompiled after the second (B, T)"


def test_inductor_compiles(device: torch.device, native_calls: Any, lstm_cell: Any) -> None:
    torch._dynamo.reset()
    compiled = torch.compile(compilable(lstm_cell), fullgraph=True)
    tensors = lstm_cell.arguments(4, 5, 3, 5, dtype=torch.float64, requires_grad=True)
    options = {**lstm_cell.noise(4, 5), "lengths": torch.tensor([5, 0, 2, 4])}
    eager = run_and_differentiate(lstm_cell, tensors, **options)
    with native_calls as calls:
        try:
            traced = run_and_differentiate(compiled, tensors, **options)
        except torch._dynamo.exc.BackendCompilerFailed as error:
            # torch told to take this processor for a lesser one writes code that lacks one of its headers.
            if "CppCompileError" not in str(error) or os.environ.get("ATEN_CPU_CAPABILITY") != "default":
                raise
            torch._dynamo.reset()
            compiled = torch.compile(compilable(lstm_cell), fullgraph=True, backend="aot_eager")
            traced = run_and_differentiate(compiled, tensors, **options)
    assert (calls["lstm_forward.float64"], calls["lstm_backward.float64"]) == (1, 1)
    for ours, expected in zip(traced, eager, strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-12, atol=1e-13)


def test_compiled_without_gradients_keeps_nothing(device: torch.device, cell: Any) -> None:
    torch._dynamo.reset()
    kept = []

    def look(graph: torch.fx.GraphModule, _: list[Tensor]) -> Callable:
        forwards = [node for node in graph.graph.nodes if node.target is cell.private_op("forward")]
        kept.extend("save_for_backward" in node.kwargs for node in forwards)
        return graph.forward

    compiled = torch.compile(compilable(cell), fullgraph=True, backend=look)
    with torch.no_grad():
        compiled(*cell.arguments(2, 3, 2, 4, requires_grad=True))
    assert kept == [False]


def test_length_out_of_range_is_caught_when_compiled(native: object, cell: Any) -> None:
    """Traced code cannot look at the lengths; the kernel does."""
    torch._dynamo.reset()
    compiled = torch.compile(compilable(cell), fullgraph=True, backend="eager")
    with pytest.raises(RuntimeError, match="lengths expected values from 0 to T = 3, got 4 at row 1"):
        compiled(*cell.arguments(2, 3, 2, 4), lengths=torch.tensor([3, 4]))


def test_backend_is_honoured_when_compiled(
    native_calls: Any, lstm_arguments: Callable[..., list[Tensor]]
) -> None:
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
    device: torch.device, native_calls: Any, cell: Any, strict: bool
) -> None:
    """With zoneout in expectation, as a layer in evaluation runs it."""
    weights = 1 + len(cell.state_names)
    names, state_names, zoneouts = (
        cell.names[weights:],
        cell.state_names,
        cell.noise(4, 6, masked=False, seeded=False),
    )
    op, options = getattr(ops, cell.op), {**cell.options, **zoneouts}

    class Reversed(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weights = torch.nn.ParameterList(cell.arguments(4, 5, 3, 6)[weights:])

        def forward(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, ...]:
            zeros = x.new_zeros(x.shape[0], 6)
            named = dict(zip(names, self.weights, strict=True)) | {name: zeros for name in state_names}
            return op(x, **named, **options, lengths=lengths, reverse=True)

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
