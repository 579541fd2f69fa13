"""Between a layer and its twin in torch.nn, whose parameters have the same names and shapes."""

from collections.abc import Iterable
from typing import Any, Protocol

import torch
from torch import nn


class _Sized(Protocol):
    """What layers of both libraries have."""

    input_size: int
    hidden_size: int
    num_layers: int
    bias: bool
    dropout: float
    bidirectional: bool


def shared_arguments(layer: _Sized, weight: torch.Tensor) -> dict[str, Any]:
    """Give the constructor arguments that both libraries know, device and dtype being those of `weight`."""
    return {
        "input_size": layer.input_size,
        "hidden_size": layer.hidden_size,
        "num_layers": layer.num_layers,
        "bias": layer.bias,
        "dropout": layer.dropout,
        "bidirectional": layer.bidirectional,
        "device": weight.device,
        "dtype": weight.dtype,
    }


def check_convertible(name: str, module: object, expected: type[nn.RNNBase]) -> None:
    """Raise unless `module` is an `expected`, without ``proj_size``; `name` is that of the layer to be.

    Raises:
        TypeError: another type.
        ValueError: it has ``proj_size``, which seqlight has no cell for.
    """
    if not isinstance(module, expected):
        raise TypeError(
            f"{name}.from_torch: module expected a torch.nn.{expected.__name__}, got {type(module).__name__}"
        )
    if module.proj_size != 0:
        raise ValueError(
            f"{name}.from_torch: module expected with proj_size=0, got proj_size={module.proj_size}"
        )


def check_plain(layer: nn.Module, peer: type[nn.RNNBase], options: Iterable[str]) -> None:
    """Raise ValueError unless the `options` of `layer`, attributes that `peer` lacks, are all off."""
    for option in options:
        value = getattr(layer, option)
        if value not in (False, 0, (0, 0), [0, 0]):
            name = type(layer).__name__
            raise ValueError(
                f"{name}.to_torch: torch.nn.{peer.__name__} has no {option}; the layer expected without, got "
                f"{option}={value}"
            )


def copy_parameters(source: nn.Module, target: nn.Module) -> None:
    """Copy values and ``requires_grad`` by name, and the training mode."""
    with torch.no_grad():
        for name, parameter in target.named_parameters():
            # By attribute, so that a parametrised source (weight norm) gives the weight that it computes.
            original = getattr(source, name)
            parameter.copy_(original)
            parameter.requires_grad_(original.requires_grad)
    target.train(source.training)
