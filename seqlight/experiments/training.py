"""Training of one module: the recipe that the commands, the examples and the benchmarks share."""

import logging
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar, cast

import torch
from lightning.pytorch import LightningDataModule, LightningModule, Trainer, seed_everything
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint, RichProgressBar

from seqlight.models import NonFiniteError, SeqlightModule, load
from seqlight.whole_files import work_folder

LEARNING_RATE = 1e-2  # the peak of a one-cycle schedule, which learns most in few epochs
GRADIENT_NORM = 1.0
# An "epoch" of a long file is a random part of it, so that validation comes round: so many time steps of
# windows, about three seconds on two cores.
TIME_STEPS_PER_EPOCH = 1_000_000
# Without a number of epochs: so many, and more where the windows are few, for so many optimiser steps in all.
EPOCHS = 12
MAX_EPOCHS = 100
OPTIMIZER_STEPS = 600
LEAST_PATIENCE = 6  # epochs; less would take the schedule's warm-up, where the loss swings, for the end
VALIDATIONS = 10  # in a training of a number of steps

ModuleT = TypeVar("ModuleT", bound=SeqlightModule)
Data = LightningDataModule | tuple[Iterable[Any], Iterable[Any] | None]
Ended = Literal["whole", "early stopping", "time", "not finite"]


class TrainingError(RuntimeError):
    """A training gave no model that could be used.

    Attributes:
        what: what went wrong.
        where: ``"epoch 0, step 12"``, counted from 0 as Lightning does; ``""`` for a training that ended, but
            whose validation loss is not a number.
    """

    def __init__(self, what: str, where: str = "") -> None:
        super().__init__(f"{where}: {what}, before any epoch was complete" if where else what)
        self.what = what
        self.where = where


@dataclass(frozen=True)
class Fitted(Generic[ModuleT]):
    """What came of a training.

    Attributes:
        model: the module in evaluation mode, of the best validation loss or of the end, as was asked.
        checkpoint: its checkpoint; None where no folder was given, or the module of the end is kept.
        epochs: epochs that were begun, the last one maybe cut short.
        steps: steps of the optimiser in all.
        best_epoch: number of the epoch of ``model``, from 1.
        best_step: steps of the optimiser that ``model`` has seen.
        val_loss: validation loss of ``model``; NaN without validation.
        val_losses: validation loss after each validation.
        seconds: wall-clock time.
        ended: what ended the training: "whole" (all that was asked for), "early stopping", "time", or
            "not finite" (a loss or weight, after the epoch of ``model``).
        limit: what was asked for, such as ``"12 epochs"`` or ``"600 steps"``.
        failure: where a loss or a weight was no longer finite; None elsewhere.
    """

    model: ModuleT
    checkpoint: Path | None
    epochs: int
    steps: int
    best_epoch: int
    best_step: int
    val_loss: float
    val_losses: tuple[float, ...]
    seconds: float
    ended: Ended
    limit: str
    failure: NonFiniteError | None = None


class _ValidationLosses(Callback):
    """Keeps the validation loss after each validation."""

    def __init__(self) -> None:
        self.losses: list[float] = []

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take down ``val_loss``."""
        if "val_loss" in trainer.callback_metrics and not trainer.sanity_checking:
            self.losses.append(float(trainer.callback_metrics["val_loss"]))


@contextmanager
def quiet_lightning() -> Iterator[None]:
    """Keep Lightning's notes on devices and its call of a deprecated part of torch off the terminal."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*LeafSpec")
        warnings.filterwarnings("ignore", message=".*but have no `val_dataloader`")  # None was asked for
        for logger in loggers:
            logger.setLevel(logging.WARNING)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)


def fit(
    model: ModuleT | Callable[[], ModuleT],
    data: Data,
    *,
    seed: int | None = None,
    epochs: int | None = None,
    steps: int | None = None,
    batches_per_epoch: int | None = None,
    max_time: float | None = None,
    patience: int | Literal["auto"] | None = "auto",
    keep: Literal["best", "last"] = "best",
    gradient_norm: float | None = GRADIENT_NORM,
    folder: Path | None = None,
    progress: bool = False,
    callbacks: Sequence[Callback] = (),
    **trainer_options: Any,
) -> Fitted[ModuleT]:
    """Train a module with Lightning's Trainer and return it as it was when its validation loss was lowest.

    Optimiser and schedule are the module's own. Gradients are clipped, training ends when the validation
    loss has stopped falling, when the time is up, or when a loss or weight is no longer finite; the best
    epoch before that is what is returned.

    Args:
        model: the module, or a function that makes it, which is called after ``seed`` was set, so that the
            first weights come of it too.
        data: a LightningDataModule, or the loaders of training and validation (None for no validation).
        seed: of all random numbers; None leaves them as they are.
        epochs: at most so many; None for a number by the length of an epoch, 12 to 100.
        steps: so many steps of the optimiser in place of epochs, with ten validations between them.
        batches_per_epoch: training batches of an epoch; None for all, but for DataModules of windows no more
            than a million time steps hold.
        max_time: seconds after which training ends; None for no limit.
        patience: epochs without a better validation loss after which training ends; "auto" for a third of
            ``epochs`` and at least 6, None for no end. With ``steps`` there is no early end.
        keep: "best", the state of the lowest validation loss, or "last", that of the end.
        gradient_norm: gradients of a larger norm are scaled down to it; None for no clipping.
        folder: for the checkpoint; None for a temporary one that is deleted.
        progress: show a bar, where standard output is a terminal.
        callbacks: more callbacks for the Trainer.
        trainer_options: more arguments of ``lightning.Trainer``.

    Returns:
        The module and what there is to know of its training.

    Raises:
        TrainingError: no epoch had a finite validation loss.
        ValueError: both ``epochs`` and ``steps`` are given, or "best" is wanted without validation.

    """
    if epochs is not None and steps is not None:
        raise ValueError(f"epochs, steps: expected one of them, got epochs={epochs} and steps={steps}")
    if folder is None:
        with work_folder() as temporary:
            fitted = fit(
                model,
                data,
                seed=seed,
                epochs=epochs,
                steps=steps,
                batches_per_epoch=batches_per_epoch,
                max_time=max_time,
                patience=patience,
                keep=keep,
                gradient_norm=gradient_norm,
                folder=temporary,
                progress=progress,
                callbacks=callbacks,
                **trainer_options,
            )
        return replace(fitted, checkpoint=None)
    if seed is not None:
        seed_everything(seed, verbose=False)
    module = cast(ModuleT, model if isinstance(model, SeqlightModule) else model())
    loaders = () if isinstance(data, LightningDataModule) else data
    if keep == "best" and loaders and loaders[1] is None:
        raise ValueError("keep: expected 'last' without validation data, got 'best'")

    if loaders and loaders[1] is None:
        trainer_options.setdefault("limit_val_batches", 0)
    if trainer_options.get("limit_val_batches") == 0:
        patience = None

    losses = _ValidationLosses()
    best = ModelCheckpoint(dirpath=folder, filename="best", monitor="val_loss") if keep == "best" else None
    options: dict[str, Any] = {"max_time": None if max_time is None else timedelta(seconds=max_time)}
    stopping = None
    if steps is not None:
        every = max(1, steps // VALIDATIONS)
        options |= {"max_steps": steps, "max_epochs": -1}
        if trainer_options.get("limit_val_batches") != 0:
            options |= {"val_check_interval": every, "check_val_every_n_epoch": None}
    else:
        batches = batches_per_epoch or _batches_per_epoch(data)
        epochs = epochs or min(max(EPOCHS, OPTIMIZER_STEPS // max(batches or 1, 1)), MAX_EPOCHS)
        options |= {"max_epochs": epochs, "limit_train_batches": batches}
        if patience is not None:
            patience = max(LEAST_PATIENCE, epochs // 3) if patience == "auto" else patience
            stopping = EarlyStopping(monitor="val_loss", patience=patience)
    progress = progress and sys.stdout.isatty()
    bars = [RichProgressBar(refresh_rate=10, leave=False)] if progress else []
    own = [callback for callback in (losses, best, stopping, *bars) if callback is not None]
    with quiet_lightning():
        trainer = Trainer(
            gradient_clip_val=gradient_norm,
            callbacks=[*own, *callbacks],
            enable_progress_bar=progress,
            enable_model_summary=False,
            enable_checkpointing=best is not None,
            logger=False,
            num_sanity_val_steps=0,
            default_root_dir=folder,
            **{"devices": 1} | options | trainer_options,
        )
    started = time.monotonic()
    failure = None
    with quiet_lightning():
        try:
            if isinstance(data, LightningDataModule):
                trainer.fit(module, datamodule=data)
            else:
                trainer.fit(module, *data)
        except NonFiniteError as error:  # the epochs before are good
            failure = error
    seconds = time.monotonic() - started
    ended: Ended = "whole"
    if failure is not None:
        ended = "not finite"
    elif stopping is not None and stopping.stopped_epoch:
        ended = "early stopping"
    elif max_time is not None and seconds >= max_time and trainer.global_step < _wanted(trainer, steps):
        ended = "time"  # steps are counted, for the last epoch may be cut short
    best_epoch, best_step, checkpoint = trainer.current_epoch, trainer.global_step, None
    if best is None:
        if failure is not None:
            raise failure
        loss = losses.losses[-1] if losses.losses else float("nan")
        module.eval()
    else:
        if failure is not None and not best.best_model_path:
            raise TrainingError(failure.what, failure.where) from failure
        if best.best_model_score is None or not torch.isfinite(best.best_model_score):
            raise TrainingError("the model could not be judged: its validation loss is not a number")
        checkpoint = Path(best.best_model_path)
        loss = float(best.best_model_score)
        saved = torch.load(checkpoint, weights_only=True)
        best_epoch, best_step = saved["epoch"] + 1, saved["global_step"]
        module = load(checkpoint, cls=type(module))
    return Fitted(
        model=module,
        checkpoint=checkpoint,
        epochs=trainer.current_epoch,
        steps=trainer.global_step,
        best_epoch=best_epoch,
        best_step=best_step,
        val_loss=loss,
        val_losses=tuple(losses.losses),
        seconds=seconds,
        ended=ended,
        limit=f"{epochs} epochs" if steps is None else f"{steps} steps",
        failure=failure,
    )


def _batches_per_epoch(data: Data) -> int | None:
    """Return the training batches of an epoch of windows; None for all of other data."""
    sizes = [getattr(data, name, None) for name in ("batch_size", "context_length", "prediction_length")]
    if any(size is None for size in sizes) or not isinstance(data, LightningDataModule):
        return None
    batch_size, context_length, prediction_length = sizes
    window = int(context_length or 0) + int(prediction_length or 0)
    most = max(1, TIME_STEPS_PER_EPOCH // (int(batch_size or 1) * window))
    return min(len(data.train_dataloader()), most)


def _wanted(trainer: Trainer, steps: int | None) -> float:
    """Return the optimiser steps of the whole training."""
    if steps is not None:
        return steps
    assert trainer.max_epochs is not None
    return trainer.max_epochs * trainer.num_training_batches
