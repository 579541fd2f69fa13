"""Ops by other ops, which torch's exporter then translates.

The convolutional ops by their own equations: ``Concat`` with the state, ``Conv``, and what follows it.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from seqlight.ops.causal_conv1d_reference import causal_conv1d
from seqlight.ops.wavenet_layer_reference import wavenet_layer

_ACTIVATIONS: tuple[str | None, ...] = (None, "relu", "gate")  # by the op's number


def decompositions() -> dict[Any, Callable[..., Any]]:
    """Give what stands for which op, of those that this build has."""
    table: dict[Any, Callable[..., Any]] = {torch.ops.aten.unbind.int: _unbind}
    for name, function in (
        ("causal_conv1d_forward", _causal_conv1d_forward),
        ("wavenet_layer_forward", _wavenet_layer_forward),
    ):
        if hasattr(torch.ops.seqlight, name):
            table[getattr(torch.ops.seqlight, name).default] = function
    return table


def _unbind(tensor: Tensor, dim: int = 0) -> list[Tensor]:
    """Take a state's layers apart; torch's translation makes ONNX sequences, which few runtimes know."""
    return [tensor.select(dim, index) for index in range(tensor.shape[dim])]


def _causal_conv1d_forward(
    x: Tensor,
    state: Tensor | None,
    weight: Tensor,
    bias: Tensor | None,
    dilation: int,
    groups: int,
    activation: int,
    save_for_backward: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """Compute ``torch.ops.seqlight.causal_conv1d_forward``; nothing is saved for backward."""
    output, new_state = causal_conv1d(
        x,
        weight,
        bias,
        dilation=dilation,
        groups=groups,
        state=state,
        activation=_ACTIVATIONS[activation],
    )
    return output, new_state, x.new_empty(0)


def _wavenet_layer_forward(*arguments: Any) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Compute ``torch.ops.seqlight.wavenet_layer_forward``; nothing is saved for backward."""
    residual = arguments[-2]
    h_next, skip_sum, new_state = wavenet_layer(*arguments[:-1])
    nothing = new_state.new_empty(0)
    return h_next if residual else nothing, skip_sum, new_state, nothing.clone()
