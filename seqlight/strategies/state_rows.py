"""Rows of a layer's state: which axis they are, taking the first ones, setting some to zero."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from seqlight.nn import ChannelIndependent

BatchDim = int | tuple["BatchDim", ...] | None
"""The batch axis of a state: one for all its tensors, or one for each entry of a tuple; None to find it."""


def state_batch_dim(network: nn.Module) -> BatchDim:
    """Return what ``network.state_batch_dim`` says, or all layers in it that say something alike, or None."""
    own = _own_batch_dim(network)
    if own is not None:
        return own
    found = {_own_batch_dim(module) for module in network.modules()} - {None}
    return found.pop() if len(found) == 1 else None


def _own_batch_dim(module: nn.Module) -> BatchDim:
    found: BatchDim = getattr(module, "state_batch_dim", 1 if isinstance(module, nn.RNNBase) else None)
    return found


def map_tensors(
    state: Any, function: Callable[[Tensor, BatchDim], Tensor], batch_dim: BatchDim = None
) -> Any:
    """Return ``state`` with ``function(tensor, batch_dim)`` in place of each of its tensors.

    Args:
        state: a tensor, or tuples, lists and dicts of them; None stays.
        function: takes a tensor and its batch axis.
        batch_dim: the axis, or one for each entry of a tuple or list.

    Raises:
        TypeError: something else is in it, which a checkpoint could not hold.
        ValueError: ``batch_dim`` is a tuple of another length than the state.
    """
    if state is None:
        return None
    if isinstance(state, Tensor):
        return function(state, batch_dim)
    if isinstance(state, Mapping):
        return {key: map_tensors(value, function, batch_dim) for key, value in state.items()}
    if isinstance(state, tuple | list):
        dims = batch_dim if isinstance(batch_dim, tuple) else (batch_dim,) * len(state)
        if len(dims) != len(state):
            raise ValueError(f"state_batch_dim: expected {len(state)} entries like the state, got {dims}")
        kind = list if isinstance(state, list) else tuple
        return kind(map_tensors(value, function, dim) for value, dim in zip(state, dims, strict=True))
    raise TypeError(
        f"state: expected a tensor, or tuples, lists and dicts of tensors, got {type(state).__name__}"
    )


def has_tensors(state: Any) -> bool:
    """Whether there is any tensor in tuples, lists and dicts."""
    if isinstance(state, Mapping):
        return any(map(has_tensors, state.values()))
    if isinstance(state, tuple | list):
        return any(map(has_tensors, state))
    return isinstance(state, Tensor)


def rows_axis(tensor: Tensor, batch_dim: BatchDim, rows: int) -> int:
    """Return the batch axis of a state's tensor for a batch of ``rows``.

    Raises:
        ValueError: it was not said and cannot be told, or the tensor has another size there.
    """
    shape = list(tensor.shape)
    if isinstance(batch_dim, int):
        if not -len(shape) <= batch_dim < len(shape) or shape[batch_dim] != rows:
            raise ValueError(
                f"state: expected {rows} rows at axis {batch_dim} (state_batch_dim), got a tensor of shape "
                f"{shape}"
            )
        return batch_dim % len(shape)
    candidates = [axis for axis, size in enumerate(shape) if size == rows]
    if not candidates or (len(candidates) > 1 and rows > 1):
        raise ValueError(
            f"state: cannot tell which axis of {shape} is the batch of {rows} rows; set state_batch_dim of "
            "the module: 1 for the states [layers, B, H] of recurrent layers, 0 for [B, ...], a tuple for a "
            "tuple of both"
        )
    return candidates[0]


def repeat_rows(values: Tensor, count: int) -> Tensor:
    """Return all rows ``[B, ...]`` ``count`` times, one repetition after the other: ``[count * B, ...]``."""
    return values.unsqueeze(0).expand(count, *values.shape).flatten(0, 1)


def repeat_state(state: Any, network: nn.Module, rows: int, count: int) -> Any:
    """Return a network's state for its batch ``count`` times, one repetition after the other.

    Args:
        state: of the network.
        network: says where its state has the batch, see :func:`state_batch_dim`.
        rows: number of rows of the batch.
        count: repetitions.

    """
    if isinstance(network, ChannelIndependent):
        rows = rows * network.channels

    def repeated(tensor: Tensor, batch_dim: BatchDim) -> Tensor:
        axis = rows_axis(tensor, batch_dim, rows)
        return torch.cat([tensor] * count, dim=axis) if axis else repeat_rows(tensor, count)

    return map_tensors(state, repeated, state_batch_dim(network))
