"""Layer upon layer, in one or both directions: the order in which a recurrent stack runs its cells."""

from collections.abc import Callable, Sequence
from typing import Protocol

import torch
from torch import Tensor
from torch.nn.functional import dropout


class _Stacked(Protocol):
    """What layers of seqlight.nn and of torch.nn have."""

    num_layers: int
    bidirectional: bool
    dropout: float
    training: bool


def run_stack(
    layer: _Stacked,
    x: Tensor,
    initial_states: Sequence[tuple[Tensor, ...]],
    run: Callable[[Tensor, tuple[Tensor, ...], int], tuple[Tensor, ...]],
) -> tuple[Tensor, list[tuple[Tensor, ...]]]:
    """Give each layer the output of the one below; give the last output and all final states.

    Args:
        layer: says how many layers and directions there are, and what is dropped between layers.
        x: the input.
        initial_states: of each layer and direction.
        run: ``run(x, states, index) -> (output, *final_states)``, one layer in one direction.
    """
    num_directions = 2 if layer.bidirectional else 1
    final_states: list[tuple[Tensor, ...]] = []
    for level in range(layer.num_layers):
        outputs = []
        for index in range(level * num_directions, (level + 1) * num_directions):
            output, *final = run(x, initial_states[index], index)
            outputs.append(output)
            final_states.append(tuple(final))
        x = outputs[0] if num_directions == 1 else torch.cat(outputs, dim=-1)
        if layer.dropout > 0 and level < layer.num_layers - 1:
            x = dropout(x, layer.dropout, layer.training)
    return x, final_states
