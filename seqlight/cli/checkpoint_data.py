"""The data module that a checkpoint's model was trained with, as arguments of a command."""

import json
import sys
from collections.abc import Mapping
from typing import Any

from lightning.pytorch import LightningDataModule

import seqlight.data
from seqlight.cli.errors import CommandError
from seqlight.data import (
    CSVDataModule,
    CSVImputationDataModule,
    SyntheticDataModule,
    SyntheticImputationDataModule,
)
from seqlight.models.lightning.checkpoint import CHECKPOINT_KEY, class_reference

# By their arguments, for checkpoints that do not name the class.
GUESSED = (CSVDataModule, SyntheticDataModule, CSVImputationDataModule, SyntheticImputationDataModule)


def data_of_checkpoint(checkpoint: Mapping[str, Any], *, named: bool) -> list[str]:
    """Return ``--data`` with the class and settings of the training's data module.

    Nothing is returned where the checkpoint does not have them. As for models, no module is imported because
    a checkpoint names it, except seqlight's own.

    Args:
        checkpoint: as torch loads it.
        named: whether the user names a data module.

    Raises:
        CommandError: the class is of a module that is not known here, and the user names none.
    """
    settings = checkpoint.get("datamodule_hyper_parameters")
    if not settings:
        return []
    reference = checkpoint.get(CHECKPOINT_KEY, {}).get("data_module")
    cls = guessed_class(settings) if reference is None else recorded_class(reference)
    if cls is None and reference is not None and not named:
        path = reference.replace(":", ".")
        raise CommandError(
            f"--ckpt_path: the data were of class {path}, which is not known here; name it: --data {path}, "
            "with its options"
        )
    if cls is None:
        return []
    class_path = f"{cls.__module__}.{cls.__qualname__}"
    return ["--data", json.dumps({"class_path": class_path, "init_args": dict(settings)})]


def guessed_class(settings: Mapping[str, Any]) -> type[LightningDataModule] | None:
    """Return the first of our classes that has all of these arguments."""
    for cls in GUESSED:
        if set(settings) <= set(cls.__init__.__annotations__):
            return cls
    return None


def recorded_class(reference: str) -> type[LightningDataModule] | None:
    """Return the class of ``"module:name"``, if it is ours or its module is imported; else None."""
    module_name, _, name = reference.partition(":")
    own = module_name.partition(".")[0] == "seqlight"
    found: Any = seqlight.data if own else sys.modules.get(module_name)
    for part in name.split("."):
        found = getattr(found, part, None)
    if not isinstance(found, type) or not issubclass(found, LightningDataModule):
        return None
    return found if own or class_reference(found) == reference else None
