"""Files that Lightning's commands read and write; nothing that is read is written over."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from lightning.pytorch.cli import SaveConfigCallback

from seqlight.callbacks import GradientMonitor
from seqlight.callbacks.gradient_monitor import NORMS_FILE, PLOT_FILE, THROUGH_TIME_FILE
from seqlight.callbacks.prediction_writer import PredictionWriter
from seqlight.cli.errors import CommandError

FILES_OF_LOGGERS = ("metrics.csv", "hparams.yaml")  # beside files with unique names
OPTIONS_OF_OUTPUTS = ("-o", "--output")


def files_read(arguments: Sequence[str], settings: Sequence[Any]) -> list[Path]:
    """Return the files that a command reads, as far as they exist.

    Args:
        arguments: of the command; whatever names a file is read, but for ``--output`` and the arguments of
            the Trainer, whose callbacks write.
        settings: the parts of the parsed configuration, from options or YAML, that name files to read.
    """
    names = [text for part in settings for text in _texts(part)]
    option = ""
    for argument in arguments:
        name, separator, value = argument.partition("=")
        if argument.startswith("-"):
            option = name
            argument = value if separator else ""
        if argument and option not in OPTIONS_OF_OUTPUTS and not option.startswith("--trainer."):
            names.append(argument)
    return [Path(name) for name in dict.fromkeys(names) if _is_file(name)]


def files_written(trainer: Trainer) -> dict[str, Path]:
    """Return the files of known names that the Trainer's callbacks and loggers write, by their option."""
    found = {}
    for callback in trainer.callbacks:  # type: ignore[attr-defined]
        option = f"--trainer.callbacks: {type(callback).__name__}"
        if isinstance(callback, PredictionWriter):
            found[option] = callback.path
        elif isinstance(callback, GradientMonitor) and callback.dirpath is not None:
            for name in (NORMS_FILE, THROUGH_TIME_FILE, PLOT_FILE):
                found[f"{option}'s {name}"] = callback.dirpath / name
    for logger in trainer.loggers:
        folder = getattr(logger, "log_dir", None)
        if folder is not None:
            for name in FILES_OF_LOGGERS:
                found[f"--trainer.logger: {type(logger).__name__}'s {name}"] = Path(folder, name)
    return found


class SaveConfig(SaveConfigCallback):
    """Saves the configuration as ``config.yaml``, or ``config-v1.yaml``, ... where that one is there already.

    So a second run in one folder keeps the first one's, as it does with the checkpoints.
    """

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Choose the name, and save."""
        folder, version = Path(trainer.log_dir or "."), 0
        name = Path(self.config_filename)
        while (folder / self.config_filename).exists() and not self.already_saved:
            version += 1
            self.config_filename = f"{name.stem}-v{version}{name.suffix}"
        super().setup(trainer, pl_module, stage)


class KeepResumedCheckpoint(Callback):
    """Keeps the checkpoint that a fit goes on from: later ones get other names."""

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Check the names, before any work.

        Raises:
            CommandError: a callback without version numbers may write over the checkpoint.
        """
        if trainer.ckpt_path is None:
            return
        resumed = Path(trainer.ckpt_path).resolve()
        for callback in trainer.checkpoint_callbacks:
            if not isinstance(callback, ModelCheckpoint) or callback.dirpath is None:
                continue
            if Path(callback.last_model_path).resolve() == resumed:
                callback.last_model_path = ""  # else it would be written over as the run's own
            template = callback.filename or "{epoch}"
            may_be_written = "{" in template or resumed.stem in (template, callback.CHECKPOINT_NAME_LAST)
            in_folder = Path(callback.dirpath).resolve() == resumed.parent
            if in_folder and may_be_written and not callback._enable_version_counter:
                raise CommandError(
                    f"--ckpt_path: {trainer.ckpt_path} might be written over by ModelCheckpoint; set its "
                    "enable_version_counter to true, or give it another dirpath"
                )


def _texts(value: Any) -> Iterator[str]:
    """Yield every text in nested mappings and lists."""
    if isinstance(value, str | Path):
        yield str(value)
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from _texts(one)
    elif hasattr(value, "as_dict"):  # a Namespace of jsonargparse
        yield from _texts(value.as_dict())
    elif isinstance(value, list | tuple | set):
        for one in value:
            yield from _texts(one)


def _is_file(name: str) -> bool:
    try:
        return Path(name).exists()
    except (OSError, ValueError):  # too long for a name, or holds a zero byte
        return False
