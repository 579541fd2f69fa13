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
        if len(self.step_arguments) == 1:
            return self._step_of_one_layer(x_t, states)
        x = x_t.unsqueeze(1)
        finals = []
        of_layers = zip(*[state.unbind() for state in states], self.step_arguments, strict=True)
        for *states_of_layer, arguments in of_layers:
            x, *final, _ = self.forward_op(x, *states_of_layer, *arguments)
            finals.append(final)
        return x.squeeze(1), tuple([torch.stack(parts) for parts in zip(*finals, strict=True)])

    def _step_of_one_layer(self, x_t: Tensor, states: Sequence[Tensor]) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Do the same with as few views as can be: at batch size 1 they take longer than the work itself.

        The op returns the new hidden state twice, as output [B, 1, H] and as state [B, H], in memory of their
        own. Here the second serves as output and the first as state.
        """
        if len(states) == 1:
            (h,) = states
            if h.dim() != 3:
                raise ValueError("states expected [1, B, H]")
            output, h_n, _ = self.forward_op(x_t.unsqueeze(1), h.squeeze(0), *self.step_arguments[0])
            return h_n, (output.transpose(0, 1),)
        h, c = states
        if h.dim() != 3 or c.dim() != 3:
            raise ValueError("states expected [1, B, H]")
        output, h_n, c_n, _ = self.forward_op(
            x_t.unsqueeze(1), h.squeeze(0), c.squeeze(0), *self.step_arguments[0]
        )
        return h_n, (output.transpose(0, 1), c_n.unsqueeze(0))
