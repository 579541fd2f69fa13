"""Building ONNX nodes in the middle of torch's exporter."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx_ir as ir
from onnxscript import evaluator


class Builder:
    """Makes nodes one after the other: ``builder.Gather(data, indices, axis=0)``.

    An argument None is an optional input that is left out; keywords are attributes.
    """

    def __init__(self) -> None:
        self.nodes: list[ir.Node] = []

    def __getattr__(self, operator: str) -> Callable[..., Any]:
        def make(*inputs: ir.Value | None, outputs: int = 1, **attributes: Any) -> Any:
            while inputs and inputs[-1] is None:
                inputs = inputs[:-1]
            node = ir.node(operator, inputs, attributes, num_outputs=outputs)
            self.nodes.append(node)
            return node.outputs[0] if outputs == 1 else node.outputs

        return make


#: Gives the next states and the step's output; its arguments are the body's builder, states and inputs.
Step = Callable[[Builder, Sequence[ir.Value], Sequence[ir.Value]], tuple[Sequence[ir.Value], ir.Value]]


def record(builder: Builder) -> None:
    """Add the nodes of `builder` to the graph that torch's exporter is building.

    The exporter calls a translation under an onnxscript evaluator that collects nodes. Its operators know
    neither subgraphs nor how many outputs a Scan has, so nodes are made by `builder` and handed over whole.
    """
    collecting: Any = evaluator.default()
    collecting.nodes.extend(builder.nodes)


def constant(builder: Builder, value: Any, dtype: Any = np.int64) -> ir.Value:
    """Make a constant tensor."""
    made: ir.Value = builder.Constant(value=ir.tensor(np.asarray(value, dtype=dtype)))
    return made


def rows(builder: Builder, tensor: ir.Value, indices: Sequence[int]) -> ir.Value:
    """Take rows of `tensor` by their indices, in that order."""
    taken: ir.Value = builder.Gather(tensor, constant(builder, indices), axis=0)
    return taken


def size_of(tensor: ir.Value, axis: int) -> int:
    """Give a size that is no dynamic one, such as a weight's."""
    assert tensor.shape is not None, "the exporter knows the shape of every argument"
    size = tensor.shape[axis]
    assert isinstance(size, int), "weights have no dynamic sizes"
    return size


def scan(
    builder: Builder,
    step: Step,
    states: Sequence[ir.Value],
    sequences: Sequence[ir.Value],
    *,
    reverse: bool = False,
) -> Sequence[ir.Value]:
    """Make a Scan over the second axis of `sequences`.

    Args:
        builder: of the surrounding graph, whose values the body may use as they are.
        step: makes the body.
        states: before the first step, each [B, H].
        sequences: each [B, T, ...]; the body sees [B, ...].
        reverse: whether to run from the last step to the first; the output keeps the order of `sequences`.

    Returns:
        The states after the last step, and the outputs [B, T, H].
    """
    carried = [ir.Value(type=state.type, shape=state.shape) for state in states]
    slices = [
        ir.Value(type=sequence.type, shape=None if sequence.shape is None else _without_time(sequence.shape))
        for sequence in sequences
    ]
    body = Builder()
    next_states, output = step(body, carried, slices)
    # Each result a value of its own: a body may not return one value twice.
    results = [body.Identity(value) for value in (*next_states, output)]
    for result in results:
        result.type = states[0].type
        result.shape = states[0].shape
    graph = ir.Graph([*carried, *slices], results, nodes=body.nodes, name="step")
    directions = [int(reverse)]
    made: Sequence[ir.Value] = builder.Scan(
        *states,
        *sequences,
        body=graph,
        num_scan_inputs=len(sequences),
        scan_input_axes=[1] * len(sequences),
        scan_input_directions=directions * len(sequences),
        scan_output_axes=[1],
        scan_output_directions=directions,
        outputs=len(results),
    )
    return made


def _without_time(shape: ir.Shape) -> ir.Shape:
    return ir.Shape([size for axis, size in enumerate(shape) if axis != 1])
