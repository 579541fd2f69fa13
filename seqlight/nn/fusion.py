"""Run the recurrent layers of any PyTorch model on the kernels: ``seqlight.nn.fuse(model)``."""

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar, cast

import torch
from torch import nn
from torch.nn.utils import parametrize

from seqlight.nn.drop_in import drop_in_for, is_drop_in, torch_layer_for
from seqlight.nn.fused_layer import CELLS, FusedLayer, cell_of, change_class, is_fused
from seqlight.nn.recurrent import Recurrent
from seqlight.ops.backend import why_not_native

Model = TypeVar("Model", bound=nn.Module)

#: What torch's forward calls; a subclass that has its own of one of them runs that.
_OF_FORWARD = (
    "check_forward_args",
    "check_input",
    "check_hidden_size",
    "get_expected_hidden_size",
    "permute_hidden",
)
_HOOKS = (
    "_forward_hooks",
    "_forward_pre_hooks",
    "_backward_hooks",
    "_backward_pre_hooks",
    "_state_dict_hooks",
    "_state_dict_pre_hooks",
    "_load_state_dict_pre_hooks",
    "_load_state_dict_post_hooks",
)


@dataclass(frozen=True)
class LayerFusion:
    """One recurrent layer in a :class:`FusionReport`."""

    name: str  #: in the model, as in ``named_modules``; "" for the model itself
    kind: str  #: the name of its class
    fused: bool  #: whether its calls go to the kernels
    reason: str | None  #: why they do not; None where they do


@dataclass(frozen=True)
class FusionReport:
    """What :func:`fusion_report` gives: each recurrent layer of a model; ``print`` shows it as a table."""

    layers: tuple[LayerFusion, ...]

    def __str__(self) -> str:
        if not self.layers:
            return "no recurrent layers"
        fused = sum(layer.fused for layer in self.layers)
        width = max(len(layer.name or "(model)") for layer in self.layers)
        kind_width = max(len(layer.kind) for layer in self.layers)
        lines = [f"{fused} of {len(self.layers)} recurrent layers run on seqlight's kernels"]
        for layer in self.layers:
            state = "fused" if layer.reason is None else f"not fused: {layer.reason}"
            lines.append(f"  {layer.name or '(model)':{width}}  {layer.kind:{kind_width}}  {state}")
        return "\n".join(lines)


def fuse(model: Model, *, replace: bool = False) -> Model:
    """Run every torch.nn.LSTM, GRU and RNN inside `model` on the kernels from now on, in place.

    A layer remains what it was: the same object with the same parameters, hooks, options and state_dict
    keys, an instance of its class, called as before. So optimisers, DistributedDataParallel, tied weights,
    parametrisations and checkpoints hold. Outputs and gradients are torch's up to rounding; dropout between
    layers draws other masks. What the kernels do not take (another device, other dtypes, tracing, arguments
    that torch refuses) goes through torch's own forward, per call. Subclasses are fused too: where they
    have a forward of their own, it runs as before, and what it calls by ``super().forward`` is fused.

    Copies and pickles of a fused model are fused, and loading such a pickle needs seqlight; a state_dict
    needs nothing, and :func:`unfuse` makes the model torch's own again, to be pickled for places without
    seqlight. Call it before ``torch.ao.quantization`` and ``torch.jit.script`` too. ``torch.compile`` breaks
    the graph at a fused layer, as it does at torch's own.

    Args:
        model: any module; a recurrent layer itself, too.
        replace: put layers of seqlight.nn in the place of torch's instead. They have the same parameters and
            keys and are called alike, but are no instances of torch's classes. Programs with them compile
            without a graph break (``torch.compile(fullgraph=True)``) and export. Only layers of exactly
            torch's classes, without hooks and parametrisations, are replaced, where they are attributes of
            modules; lists and other references keep the old layer.

    Returns:
        `model`; with ``replace=True``, where `model` is itself such a layer, the layer in its place.

    Raises:
        TypeError: `model` is no torch.nn.Module.

    Warns:
        UserWarning: there is no recurrent layer, or one cannot be fused; :func:`fusion_report` says why.

    Example:
        >>> model = seqlight.nn.fuse(torch.nn.LSTM(8, 32, batch_first=True))
        >>> isinstance(model, torch.nn.LSTM)
        True
    """
    _check_model("fuse", model)
    candidates, kept = sort_layers(model, _obstacle_to_replacing if replace else None)
    if kept is not None:
        warnings.warn(f"fuse: {kept}", stacklevel=2)
    replacements: dict[nn.Module, nn.Module] = {}
    for layer in candidates:
        if replace:
            replacements[layer] = drop_in_for(layer)
        else:
            change_class(layer, FusedLayer)
    return _replaced(model, replacements)


def sort_layers(
    model: nn.Module, further: Callable[[nn.Module], str | None] | None = None
) -> tuple[list[nn.RNNBase], str | None]:
    """Give the layers that can be fused and are not yet; and a line about those that cannot, or None.

    Args:
        model: any module.
        further: says of a layer that can be fused why it should not be all the same.
    """
    layers = list(_recurrent_layers(model))
    candidates, kept = [], []
    for name, layer in layers:
        if _is_done(layer):
            continue
        reason = _obstacle(layer)
        if reason is None and further is not None:
            reason = further(layer)
        if reason is None:
            candidates.append(cast(nn.RNNBase, layer))
        else:
            kept.append(f"{name or 'the model'} ({reason})")
    if not layers:
        return candidates, "the model has no recurrent layer, so nothing changes"
    if not kept:
        return candidates, None
    return candidates, f"{len(kept)} of {len(layers)} recurrent layers remain torch's: {'; '.join(kept)}"


def unfuse(model: Model) -> Model:
    """Take :func:`fuse` back: every layer runs torch's own forward, with the parameters that it has now.

    Args:
        model: a module; where nothing in it is fused, nothing happens.

    Returns:
        `model`; where it is itself a layer that ``fuse(..., replace=True)`` has made, torch's layer.

    Raises:
        TypeError: `model` is no torch.nn.Module.
    """
    _check_model("unfuse", model)
    replacements: dict[nn.Module, nn.Module] = {}
    for _name, layer in _recurrent_layers(model):
        if is_drop_in(layer):
            replacements[layer] = torch_layer_for(layer)
        elif is_fused(layer):
            change_class(cast(nn.RNNBase, layer), None)
    return _replaced(model, replacements)


def fusion_report(model: nn.Module) -> FusionReport:
    """List the recurrent layers of `model`, and why one does not run on the kernels.

    Layers of seqlight.nn count as fused. A layer that is used in several places is listed once.

    Raises:
        TypeError: `model` is no torch.nn.Module.
    """
    _check_model("fusion_report", model)
    layers = []
    for name, layer in _recurrent_layers(model):
        if _is_done(layer):
            reason = _no_kernels(layer)
        else:
            reason = _obstacle(layer) or "it can be: call seqlight.nn.fuse(model)"
        layers.append(LayerFusion(name, type(layer).__name__, reason is None, reason))
    return FusionReport(tuple(layers))


def _check_model(function: str, model: object) -> None:
    if not isinstance(model, nn.Module):
        raise TypeError(f"{function}: model expected a torch.nn.Module, got {type(model).__name__}")


def _recurrent_layers(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    for name, module in model.named_modules():
        if isinstance(module, nn.RNNBase | nn.RNNCellBase | Recurrent):
            yield name, module


def _is_done(layer: nn.Module) -> bool:
    return is_fused(layer) or isinstance(layer, Recurrent)


def _obstacle(layer: nn.Module) -> str | None:
    """Say why a layer of torch cannot be fused; None where it can."""
    cell = cell_of(layer)
    if isinstance(layer, nn.RNNCellBase):
        return "a cell runs one step for each call; the kernels run whole sequences"
    if cell is None or not isinstance(layer, nn.RNNBase):
        return "it is none of torch.nn.LSTM, GRU and RNN"
    if layer.proj_size != 0:
        return f"proj_size={layer.proj_size}; the kernels have no projection"
    for method in ("forward", *_OF_FORWARD):
        if method in layer.__dict__:
            return f"its {method} has been replaced"
        if method != "forward" and getattr(type(layer), method) is not getattr(cell.torch_class, method):
            return f"its class has a {method} of its own"
    return None


def _obstacle_to_replacing(layer: nn.Module) -> str | None:
    if parametrize.is_parametrized(layer) or set(layer._parameters) != set(layer._flat_weights_names):  # type: ignore[arg-type]
        return "it has computed weights; fuse it without replace=True"
    if type(layer) not in [cell.torch_class for cell in CELLS]:
        return "its class is not exactly torch's; fuse it without replace=True"
    if any(getattr(layer, hooks, None) for hooks in _HOOKS):
        return "it has hooks; fuse it without replace=True"
    return None


def _no_kernels(layer: nn.Module) -> str | None:
    """Say why calls of a fused layer, or of one of ours, do not go to the kernels."""
    if isinstance(layer, Recurrent):
        name = layer.native_cell.name
    else:
        name = next(cell.native.name for cell in CELLS if isinstance(layer, cell.torch_class))
    parameter = next(layer.parameters(), None)
    if parameter is None:
        return None
    half = parameter.dtype in (torch.float16, torch.bfloat16)  # computed in float32
    reason = why_not_native(name, parameter.device, torch.float32 if half else parameter.dtype)
    return None if reason is None else f"{reason}; torch's own layer runs"


def _replaced(model: Model, replacements: dict[nn.Module, nn.Module]) -> Model:
    """Put each layer's replacement wherever a module has it."""
    for parent in list(model.modules()):
        for name, child in parent._modules.items():
            if child in replacements:
                parent._modules[name] = replacements[child]
    return replacements.get(model, model)  # type: ignore[return-value]
