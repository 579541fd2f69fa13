"""What forecasters write into checkpoints beside Lightning's own entries."""

from collections.abc import Mapping
from types import FrameType
from typing import Any

from lightning.pytorch.core.mixins import HyperparametersMixin
from lightning.pytorch.utilities.parsing import collect_init_args
from torch import nn

CHECKPOINT_KEY = "seqlight"
"""The entry of a checkpoint that holds what :func:`~seqlight.models.load` and resuming need."""

CHECKPOINT_FORMAT = 2
"""Counts what changed in the meaning of a checkpoint; those of version 0.1 do not say theirs."""

MODELS = "seqlight.models"
"""Where all models of the package are found; which file they stand in is nobody's business."""

_COMPILED = "_orig_mod."


def class_reference(cls: type) -> str:
    """Return ``"module:qualified name"`` of a class; for our own models the module is ``seqlight.models``."""
    module = MODELS if cls.__module__.startswith(f"{MODELS}.") else cls.__module__
    return f"{module}:{cls.__qualname__}"


def is_of_0_1(checkpoint: Mapping[str, Any]) -> bool:
    """Return whether a checkpoint was written by version 0.1."""
    return "format" not in checkpoint.get(CHECKPOINT_KEY, {})


def plain_names(state_dict: Mapping[str, Any]) -> dict[str, Any]:
    """Return a state dict without the prefix of ``module.network = torch.compile(...)`` in its names."""
    return {name.replace(_COMPILED, ""): value for name, value in state_dict.items()}


def names_of_module(module: nn.Module, state_dict: Mapping[str, Any]) -> dict[str, Any]:
    """Return a state dict under the names that ``module`` has for them, compiled or not."""
    own = {name.replace(_COMPILED, ""): name for name in module.state_dict()}
    return {own.get(name, name): value for name, value in plain_names(state_dict).items()}


def constructor_arguments(frame: FrameType | None) -> frozenset[str]:
    """Return the names of the arguments that the outermost constructor around ``frame`` was given.

    Lightning's hyperparameters also hold those that a subclass passes on to its base class by itself, as in
    ``super().__init__(transform="none", **kwargs)``; given to the subclass they would come twice.
    """
    if frame is None:
        raise RuntimeError("this Python has no frames, which Lightning's save_hyperparameters needs too")
    return frozenset(collect_init_args(frame, [], classes=(HyperparametersMixin,))[-1])
