"""Initialisation of recurrent layers beside torch.nn's."""

from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

RecurrentInit = Literal["uniform", "orthogonal"]


def check_initialization(
    layer: str, recurrent_init: RecurrentInit, forget_bias: float | None = None, *, bias: bool = True
) -> None:
    """Check the arguments of a layer's constructor that :func:`init_recurrent_` will be given.

    Raises:
        ValueError: an unknown initialisation, or a forget bias for a layer without biases.
    """
    choices = get_args(RecurrentInit)
    if recurrent_init not in choices:
        raise ValueError(
            f"{layer}: recurrent_init expected one of {', '.join(map(repr, choices))}, got {recurrent_init!r}"
        )
    if forget_bias is not None and not bias:
        raise ValueError(f"{layer}: forget_bias expected None with bias=False, got {forget_bias!r}")


def init_recurrent_(
    layer: nn.Module, recurrent_init: RecurrentInit = "uniform", forget_bias: float | None = None
) -> None:
    """Draw the recurrent weights of a layer anew, and set its forget gates' biases, in place.

    Args:
        layer: an RNN, LSTM or GRU of :mod:`seqlight.nn` or :mod:`torch.nn`.
        recurrent_init: ``"orthogonal"`` makes each gate's [H, H] block of every ``weight_hh`` a random
            orthogonal matrix (Saxe et al., "Exact solutions to the nonlinear dynamics of learning in deep
            linear neural networks", 2014), which keeps the norm of what it is applied to, forward and
            backward; ``"uniform"`` leaves the weights as they are.
        forget_bias: the sum of the two biases of an LSTM's forget gates; 1 lets gradients through at the
            beginning of training (Jozefowicz et al., "An empirical exploration of recurrent network
            architectures", 2015). None leaves the biases as they are.

    Raises:
        ValueError: an unknown initialisation, or a forget bias for a layer that has no forget gate's bias.
    """
    found: Any = layer
    check_initialization(type(layer).__name__, recurrent_init, forget_bias, bias=bool(found.bias))
    hidden_size: int = found.hidden_size
    for name, parameter in layer.named_parameters():
        if name.startswith("weight_hh") and recurrent_init == "orthogonal":
            for gate in parameter.detach().split(hidden_size):
                gate.copy_(_orthogonal(hidden_size, gate))
        elif name.startswith("bias_") and forget_bias is not None:
            if parameter.shape[0] != 4 * hidden_size:
                raise ValueError(
                    f"{type(layer).__name__}: forget_bias expected None, for the layer has no forget gate"
                )
            forget_gate = parameter.detach()[hidden_size : 2 * hidden_size]  # of i, f, g, o
            forget_gate.fill_(forget_bias if name.startswith("bias_ih") else 0.0)


def _orthogonal(size: int, like: Tensor) -> Tensor:
    """Draw a random orthogonal matrix, in at least float32, which its decomposition needs."""
    dtype = torch.promote_types(like.dtype, torch.float32)
    return nn.init.orthogonal_(torch.empty(size, size, dtype=dtype, device=like.device))
