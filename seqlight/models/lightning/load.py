"""Models back from checkpoints."""

import importlib
import os
import sys
from typing import Any, TypeVar, overload

import torch

from seqlight.models.lightning.checkpoint import CHECKPOINT_KEY, MODELS, class_reference, is_of_0_1
from seqlight.models.lightning.module import SeqlightModule

ModuleT = TypeVar("ModuleT", bound=SeqlightModule)


@overload
def load(
    path: str | os.PathLike[str], *, cls: None = None, map_location: torch.device | str = "cpu"
) -> Any: ...
@overload
def load(
    path: str | os.PathLike[str], *, cls: type[ModuleT], map_location: torch.device | str = "cpu"
) -> ModuleT: ...
def load(
    path: str | os.PathLike[str],
    *,
    cls: type[SeqlightModule] | None = None,
    map_location: torch.device | str = "cpu",
) -> SeqlightModule:
    """Return the model of a checkpoint, of its own class, ready for raw values.

    The file is read with ``weights_only=True``, and no module is imported because a checkpoint names it,
    except seqlight's own: a checkpoint from elsewhere cannot run code. So import the module of a class of
    your own before, or pass the class.

    Args:
        path: a checkpoint written by Lightning's Trainer.
        cls: the class to make; needed for a class of a script that was run as ``__main__``.
        map_location: device of the model.

    Returns:
        The model in evaluation mode; call it with raw values, or pass it to a Trainer.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is no checkpoint of a model of seqlight.
        ImportError: the class is not known here, and ``cls`` was not given.

    """
    path = os.fspath(path)
    if not os.path.isfile(path):
        raise FileNotFoundError(f"path: no such checkpoint file: {path}")
    try:
        checkpoint = torch.load(path, map_location=map_location, weights_only=True)
    except Exception as error:
        raise ValueError(f"path: {path} cannot be read as a checkpoint: {_first_line(error)}") from error
    if not isinstance(checkpoint, dict) or CHECKPOINT_KEY not in checkpoint or "state_dict" not in checkpoint:
        raise ValueError(f"path: {path} is no checkpoint of a seqlight model")
    cls = cls or class_named(checkpoint[CHECKPOINT_KEY]["class"])
    arguments = checkpoint.get(cls.CHECKPOINT_HYPER_PARAMS_KEY, {})
    if is_of_0_1(checkpoint):
        arguments = cls.arguments_of_0_1(arguments)
    with torch.random.fork_rng(devices=[]):  # the first weights are drawn, and replaced
        # Lightning's CLI adds private arguments.
        model = cls(**{name: value for name, value in arguments.items() if not name.startswith("_")})
    model.on_load_checkpoint(checkpoint)
    model.load_state_dict(checkpoint["state_dict"])
    return model.to(map_location).eval()


def class_named(reference: str) -> type[SeqlightModule]:
    """Return the class of a reference ``"module:name"``; no module is imported for it but seqlight's own.

    Raises:
        ImportError: the class is not known here.

    """
    module_name, _, qualified_name = reference.partition(":")
    if module_name.startswith(f"{MODELS}."):  # checkpoints of 0.1 name the file
        module_name = MODELS
        reference = f"{MODELS}:{qualified_name}"
    module = sys.modules.get(module_name)
    if module is None and module_name.partition(".")[0] == "seqlight":
        module = importlib.import_module(module_name)
    found: Any = module
    for name in qualified_name.split("."):
        found = getattr(found, name, None)
    if isinstance(found, type) and issubclass(found, SeqlightModule) and class_reference(found) == reference:
        return found
    name = qualified_name.rpartition(".")[2]
    if module_name == "__main__":
        remedy = f"it was made in a script, so pass the class itself: load(path, cls={name})"
    else:
        remedy = f"import {module_name} first, or pass the class itself: load(path, cls={name})"
    raise ImportError(
        f"the checkpoint's class {qualified_name} of module {module_name} is not known here; {remedy}"
    )


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
