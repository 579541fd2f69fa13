"""Training of ``seqlight forecast``'s model with Lightning's Trainer, and forecasts by it."""

import logging
import sys
import time
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.pytorch import Trainer, seed_everything
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint, RichProgressBar
from numpy.typing import NDArray
from torch import Tensor

from seqlight.cli.bounds_arguments import bounds_arguments
from seqlight.cli.errors import CommandError
from seqlight.cli.forecast.arguments import ForecastArguments
from seqlight.cli.sizes import covariate_arguments
from seqlight.data import CSVDataModule, WindowDataModule
from seqlight.models import Forecaster, LSTMForecaster, NonFiniteError, SeqlightModule, load

LEARNING_RATE = 1e-2  # the peak of a one-cycle schedule, which learns most in few epochs
GRADIENT_NORM = 1.0
# An "epoch" of a long file is a random part of it, so that validation comes round: so many time steps of
# windows, about three seconds on two cores.
TIME_STEPS_PER_EPOCH = 1_000_000
# Without --epochs: so many, and more where the windows are few, for so many steps of the optimiser in all.
EPOCHS = 12
MAX_EPOCHS = 100
OPTIMIZER_STEPS = 600


@dataclass(frozen=True)
class Trained:
    """The best model of a training, its checkpoint file, and a sentence about the training."""

    model: Forecaster
    checkpoint: Path
    summary: str


@dataclass(frozen=True)
class BestEpoch:
    """The best model of a training, its checkpoint file, and a sentence about the epochs."""

    model: Forecaster
    checkpoint: Path
    summary: str
    seconds: float


@contextmanager
def quiet_lightning() -> Iterator[None]:
    """Keep Lightning's notes on devices and its call of a deprecated part of torch off the terminal."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*LeafSpec")
        for logger in loggers:
            logger.setLevel(logging.WARNING)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)


def train(given: ForecastArguments, data: CSVDataModule, folder: Path) -> Trained:
    """Train a peephole LSTM on the training part and return its best epoch, by the validation loss.

    Args:
        given: sizes, limits and seed.
        data: a data module that is set up.
        folder: for checkpoints, temporary.

    Raises:
        CommandError: no epoch had a finite validation loss.
    """
    seed_everything(given.seed, verbose=False)
    model = LSTMForecaster(
        context_length=data.context_length,
        prediction_length=data.prediction_length,
        target_size=data.target_size,
        **covariate_arguments(data),
        **bounds_arguments(given),
        observed_indicator=data.observed_indicator,
        hidden_size=given.hidden_size,
        num_layers=given.num_layers,
        peephole=True,
        lr=LEARNING_RATE,
        lr_schedule="one_cycle",
    )
    best = fit_best(
        model,
        data,
        folder,
        epochs=given.epochs,
        max_time=given.max_time,
        progress=given.progress,
        advice="look for very large values in the data, or use --model linear",
    )
    return Trained(
        model=best.model,
        checkpoint=best.checkpoint,
        summary=(
            f"trained a peephole LSTM ({given.hidden_size} units, {data.context_length} steps in, "
            f"{data.prediction_length} out) on {len(data.dataset('train')):,} windows: "
            f"{best.summary}"
        ),
    )


def fit_best(
    model: Forecaster,
    data: WindowDataModule,
    folder: Path,
    *,
    epochs: int | None,
    max_time: float,
    progress: bool,
    advice: str,
) -> BestEpoch:
    """Train a forecaster and return its best epoch, by the validation loss.

    Args:
        model: the forecaster.
        data: a data module that is set up.
        folder: for checkpoints, temporary.
        epochs: at most so many; None for a number by the number of windows.
        max_time: seconds after which training ends.
        progress: whether to show a bar, on a terminal.
        advice: what to try where the training fails before its first epoch is complete.

    Raises:
        CommandError: no epoch had a finite validation loss.
    """
    steps = min(
        len(data.train_dataloader()),
        max(1, TIME_STEPS_PER_EPOCH // (data.batch_size * (data.context_length + data.prediction_length))),
    )
    epochs = epochs or min(max(EPOCHS, OPTIMIZER_STEPS // steps), MAX_EPOCHS)
    # Less patience would take the schedule's warm-up, where the loss swings, for the end.
    patience = max(6, epochs // 3)
    best = ModelCheckpoint(dirpath=folder, filename="best", monitor="val_loss")
    stopping = EarlyStopping(monitor="val_loss", patience=patience)
    callbacks: list[Callback] = [best, stopping]
    progress = progress and sys.stdout.isatty()
    if progress:
        callbacks.append(RichProgressBar(refresh_rate=10, leave=False))
    trainer = Trainer(
        max_epochs=epochs,
        max_time=timedelta(seconds=max_time),
        limit_train_batches=steps,
        gradient_clip_val=GRADIENT_NORM,
        callbacks=callbacks,
        enable_progress_bar=progress,
        enable_model_summary=False,
        logger=False,
        devices=1,
        num_sanity_val_steps=0,
        default_root_dir=folder,
    )
    started = time.monotonic()
    failure = fit_until_not_finite(trainer, model, data)
    seconds = time.monotonic() - started
    if failure is not None and not best.best_model_path:
        raise CommandError(f"{failure.where}: {failure.what}, before any epoch was complete; {advice}")
    if best.best_model_score is None or not torch.isfinite(best.best_model_score):
        raise CommandError(
            "the model could not be judged: its validation loss is not a number; is the validation part "
            "(the last tenth before the test part) all missing?"
        )
    checkpoint = Path(best.best_model_path)
    run = trainer.current_epoch
    summary = (
        f"{run} epoch{'s' * (run != 1)} in {seconds:.1f} s, "
        f"the best was number {torch.load(checkpoint, weights_only=True)['epoch'] + 1}"
    )
    if failure is not None:
        summary += f"; training ended in {failure.where}, for {failure.what}"
    # Steps, for the last epoch may be cut short. Else nothing but early stopping and the time end a training.
    elif trainer.global_step < epochs * steps and not stopping.stopped_epoch:
        summary += time_limit_note(max_time, f"in epoch {run} of {epochs}")
    return BestEpoch(model=load(checkpoint), checkpoint=checkpoint, summary=summary, seconds=seconds)


def fit_until_not_finite(trainer: Trainer, model: SeqlightModule, data: Any) -> NonFiniteError | None:
    """Train, and return the error where a loss or a weight was no longer finite: earlier epochs are good."""
    try:
        trainer.fit(model, datamodule=data)
    except NonFiniteError as error:
        return error
    return None


def time_limit_note(max_time: float, where: str) -> str:
    """What a summary of a training that ``--max-time`` ended says at its end."""
    return f"; stopped by --max-time {max_time:g} {where}; more time may give a better model"


def save_checkpoint(model: Forecaster, data: CSVDataModule, path: Path) -> None:
    """Write the checkpoint of a model that no Trainer trained, with all that one writes of model and data."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of an unused GPU, and of the data, said before
        trainer = Trainer(
            accelerator="cpu",
            devices=1,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        trainer.predict(model, datamodule=data, return_predictions=False)  # makes model and data known to it
    trainer.save_checkpoint(path)


def predict(model: Forecaster, data: CSVDataModule) -> list[dict[str, Tensor]]:
    """The forecast of the time after each series' last row, as ``Trainer.predict`` returns it."""
    with torch.inference_mode():
        return [model.predict_step(batch, index) for index, batch in enumerate(data.predict_dataloader())]


def predict_windows(
    model: Forecaster, batches: Iterable[dict[str, Tensor]]
) -> tuple[NDArray[Any], NDArray[Any], NDArray[np.int64]]:
    """Forecasts [W, H, C], what came [W, H, C] (NaN where missing), and the series [W] of all windows."""
    preds, target, series = [], [], []
    with torch.inference_mode():
        for index, batch in enumerate(batches):
            preds.append(model.predict_step(batch, index)["prediction"])
            target.append(batch["future_target"])
            series.append(batch["series_index"])
    return torch.cat(preds).numpy(), torch.cat(target).numpy(), torch.cat(series).numpy()
