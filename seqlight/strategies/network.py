"""Running a network and knowing which input step each of its outputs has seen last."""

from typing import Any

from torch import Tensor, nn

from seqlight.inputs import Window


def run_network(
    network: nn.Module, inputs: Tensor, state: Any, output_size: int, window: Window
) -> tuple[Tensor, Any]:
    """Call ``network(inputs, state)`` and check what it returns.

    Returns:
        The output ``[B, T', output_size]`` in the dtype of ``window.past``, and the network's state.

    Raises:
        TypeError: the network does not return the pair (output, state).
        ValueError: the output has another shape.

    """
    result = network(inputs, state)
    if not isinstance(result, tuple) or len(result) != 2:
        raise TypeError(
            f"{type(network).__name__}.forward must return the pair (output, state), "
            f"with None for a network without state; got {type(result).__name__}"
        )
    output, state = result
    if output.ndim != 3 or output.shape[0] != inputs.shape[0] or output.shape[2] != output_size:
        raise ValueError(
            f"{type(network).__name__}.forward: expected an output of shape [B, T, output_size] = "
            f"[{inputs.shape[0]}, T, {output_size}], got {list(output.shape)}"
        )
    return output.to(window.past.dtype), state


def output_steps(network: nn.Module, length: int, produced: int) -> range:
    """Return, for each of the network's outputs, the last input step (counted from 0) that it has seen.

    A network whose output is as long as its input needs to say nothing. One that shortens the sequence (only
    the last step, or a strided convolution) has a method ``output_steps(length) -> range``; its last output
    must have seen the last input step.

    Args:
        network: the network.
        length: number of input steps.
        produced: number of output steps T' that the network returned.

    Raises:
        ValueError: the network's outputs cannot be placed in time.

    """
    name = type(network).__name__
    declared = getattr(network, "output_steps", None)
    if declared is None:
        if produced != length:
            raise ValueError(
                f"{name}: {produced} outputs for {length} input steps; a network that shortens the sequence "
                "needs a method output_steps(length) -> range that gives the last input step each has seen"
            )
        return range(length)
    steps: range = declared(length)
    if len(steps) != produced or (produced and steps[-1] != length - 1):
        raise ValueError(
            f"{name}.output_steps({length}) = {steps}: expected {produced} steps, one for each output, "
            f"of which the last is {length - 1}"
        )
    return steps
