"""Layers of seqlight.nn that are called as torch.nn's are, to be put in their place."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from seqlight.nn.gru import GRU
from seqlight.nn.lstm import LSTM
from seqlight.nn.recurrent import Recurrent
from seqlight.nn.rnn import RNN
from seqlight.nn.torch_conversion import shared_arguments


class _DropIn(Recurrent[Any]):
    """Takes torch's ``layer(input, hx=None)``, in either layout, with a batch or without."""

    def forward(self, input: Any, hx: Any = None) -> Any:  # type: ignore[override]
        """Run the layers over [B, T, C], [T, B, C] without ``batch_first``, [T, C], or a PackedSequence."""
        if isinstance(input, PackedSequence) or not isinstance(input, Tensor) or input.dim() not in (2, 3):
            return super().forward(input, hx)
        batched = input.dim() == 3
        x = input if batched else input.unsqueeze(0)
        if batched and not self.batch_first:
            x = x.transpose(0, 1)
        if hx is not None and not batched:
            hx = self.join_state(tuple(part.unsqueeze(1) for part in self.split_state(hx).values()))
        output, state = super().forward(x, hx)
        if batched:
            return (output if self.batch_first else output.transpose(0, 1).contiguous()), state
        return output.squeeze(0), self.join_state(
            tuple(part.squeeze(1) for part in self.split_state(state).values())
        )

    def extra_repr(self) -> str:
        """List the sizes, and what differs from torch's defaults."""
        return super().extra_repr() + (", batch_first=True" if self.batch_first else "")


class DropInLSTM(_DropIn, LSTM):
    """:class:`seqlight.nn.LSTM` called as torch.nn.LSTM is; ``fuse(model, replace=True)`` makes it."""


class DropInGRU(_DropIn, GRU):
    """:class:`seqlight.nn.GRU` called as torch.nn.GRU is; ``fuse(model, replace=True)`` makes it."""


class DropInRNN(_DropIn, RNN):
    """:class:`seqlight.nn.RNN` called as torch.nn.RNN is; ``fuse(model, replace=True)`` makes it."""


_CLASSES: dict[type[nn.RNNBase], type[_DropIn]] = {nn.LSTM: DropInLSTM, nn.GRU: DropInGRU, nn.RNN: DropInRNN}


def is_drop_in(layer: nn.Module) -> bool:
    """Say whether the layer has been put in the place of one of torch.nn."""
    return isinstance(layer, _DropIn)


def drop_in_for(layer: nn.RNNBase) -> nn.Module:
    """Make the layer of seqlight.nn that takes the place of `layer`, with the same Parameter objects."""
    # on the device meta, where parameters take neither memory nor random numbers
    made = _CLASSES[type(layer)](**_arguments(layer))
    made.batch_first = layer.batch_first
    return _with_parameters_of(layer, made)


def torch_layer_for(layer: Any) -> nn.RNNBase:
    """Make the layer of torch.nn whose place `layer` has taken, with the same Parameter objects."""
    torch_class = next(theirs for theirs, ours in _CLASSES.items() if isinstance(layer, ours))
    made = torch_class(**_arguments(layer), batch_first=layer.batch_first)
    _with_parameters_of(layer, made)
    made._init_flat_weights()
    return made


def _arguments(layer: Any) -> dict[str, Any]:
    arguments = shared_arguments(layer, torch.empty(0, device="meta"))
    if hasattr(layer, "nonlinearity"):
        arguments["nonlinearity"] = layer.nonlinearity
    return arguments


def _with_parameters_of(source: nn.Module, target: Any) -> Any:
    for name in list(target._parameters):
        setattr(target, name, source._parameters[name])
    return target.train(source.training)
