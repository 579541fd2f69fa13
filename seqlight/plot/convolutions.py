"""The causal convolutions of a model, in the order in which a series goes through them."""

from collections.abc import Sequence
from typing import NamedTuple

from torch import nn

from seqlight.nn import CausalConv1d, Recurrent


class Convolution(NamedTuple):
    """One layer of a chain of causal convolutions.

    Attributes:
        name: where the module is found in the model, as ``named_modules`` spells it.
        module: the layer.
        field: number of input steps that its output depends on, itself and all layers below counted.
    """

    name: str
    module: CausalConv1d
    field: int


def find_convolutions(model: nn.Module | Sequence[nn.Module]) -> list[Convolution]:
    """Return the causal convolutions of a model, lowest first, with the receptive field after each.

    They are taken to work one after the other in the order in which the model registered them, as those of
    WaveNet, TCN and of any plain stack do.

    Args:
        model: a :class:`~seqlight.nn.WaveNet`, :class:`~seqlight.nn.TCN`,
            :class:`~seqlight.nn.CausalConv1d`, a module or forecaster that contains one, or a sequence of
            layers.

    Raises:
        TypeError: the model is no module, nor a sequence of modules.
        ValueError: it has no causal convolution; it has recurrent layers, whose output depends on all steps
            before it; or its convolutions do not work one after the other (its own ``receptive_field`` is
            another one).
    """
    if not isinstance(model, nn.Module):
        if not isinstance(model, Sequence) or not all(isinstance(layer, nn.Module) for layer in model):
            raise TypeError(
                f"model: expected a torch.nn.Module or a sequence of them, got {type(model).__name__}"
            )
        model = nn.ModuleList(model)
    found = dict(model.named_modules())
    recurrent = [
        type(module).__name__ for module in found.values() if isinstance(module, Recurrent | nn.RNNBase)
    ]
    if recurrent:
        raise ValueError(
            f"model: expected causal convolutions alone, got a {recurrent[0]} among them; the output of a "
            "recurrent layer depends on all steps before it"
        )
    layers: list[Convolution] = []
    field = 1
    for name, module in found.items():
        if isinstance(module, CausalConv1d):
            field += module.state_length
            layers.append(Convolution(name, module, field))
    if not layers:
        raise ValueError(
            f"model: expected a module with causal convolutions (seqlight.nn.CausalConv1d, WaveNet or TCN), "
            f"got {type(model).__name__} without any"
        )
    stated = getattr(model, "receptive_field", field)
    if stated != field:
        raise ValueError(
            f"model: expected causal convolutions one after the other, which here would see {field} steps; "
            f"{type(model).__name__} has the receptive field {stated}"
        )
    return layers


def name_of(model: nn.Module | Sequence[nn.Module]) -> str:
    """Return what to call a model in a title."""
    if isinstance(model, nn.Module) and type(model) not in (nn.ModuleList, nn.Sequential):
        return type(model).__name__
    return "Causal convolutions"
