"""Weights packed once for many calls: what a recurrent layer holds inside ``with layer.packed():``."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from seqlight.ops.recurrent_native import NativeCell


class PackedWeights:
    """The packed weights of all layers and directions, and what the op takes for one step with them.

    Args:
        cell: the native ops.
        weights: for each layer and direction weight_ih, weight_hh, bias_ih, bias_hh and the cell's further
            weights, None where one is absent, in a dtype that the kernels compute in.
        flags: the cell's options as its op takes them, for the forward direction.
        general: whether the calls use layer norm, a hidden mask or zoneout.
        streams: whether :meth:`step` can be used.
        training: the layer's mode.
    """

    def __init__(
        self,
        cell: NativeCell,
        weights: Sequence[Sequence[Tensor | None]],
        flags: tuple[float, ...],
        *,
        general: bool,
        streams: bool,
        training: bool,
    ) -> None:
        self.general = general
        self.streams = streams
        self.training = training
        self.tensors = [cell.pack(of_layer, general=general) for of_layer in weights]
        #: By layer (and direction), the op's arguments behind the states: no mask, no seed, no lengths.
        self.step_arguments: list[tuple[Any, ...]] = [
            (*of_layer, None, None, None, *flags, packed, False)
            for of_layer, packed in zip(weights, self.tensors, strict=True)
        ]
        self.forward_op = cell.forward_op

    def step(self, x_t: Tensor, states: Sequence[Tensor]) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Run all layers for one time step, with no check but those of the op and of unpacking.

        Args:
            x_t: [B, C].
            states: each [num_layers, B, H].

        Returns:
            Output [B, H], and the states [num_layers, B, H].
        """
        x = x_t.unsqueeze(1)
        of_layers = zip(*[state.unbind() for state in states], self.step_arguments, strict=True)
        finals = []
        for arguments in of_layers:
            x, *final, _ = self.forward_op(x, *arguments[:-1], *arguments[-1])
            finals.append(final)
        if len(finals) == 1:
            return x.squeeze(1), tuple([state.unsqueeze(0) for state in finals[0]])
        return x.squeeze(1), tuple([torch.stack(parts) for parts in zip(*finals, strict=True)])
