"""Training of ``seqlight impute``'s networks with Lightning's Trainer."""

import sys
import time
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Trainer, seed_everything
from lightning.pytorch.callbacks import Callback, ModelCheckpoint, RichProgressBar

from seqlight.cli.errors import CommandError
from seqlight.cli.impute.arguments import ImputeArguments
from seqlight.cli.impute.plan import ImputePlan
from seqlight.cli.training import GRADIENT_NORM, fit_until_not_finite, time_limit_note
from seqlight.data import CSVImputationDataModule
from seqlight.models import ConvImputer, Imputer, RNNImputer, load

LEARNING_RATES = {"rnn": 1e-2, "conv": 3e-3}  # the peaks of one-cycle schedules
VALIDATIONS = 10  # in a training


@dataclass(frozen=True)
class TrainedImputer:
    """The best state of a training, its checkpoint file, its validation loss and a sentence about it."""

    model: Imputer
    checkpoint: Path
    val_loss: float
    summary: str


def train_imputer(
    method: str, given: ImputeArguments, plan: ImputePlan, data: CSVImputationDataModule, folder: Path
) -> TrainedImputer:
    """Train a network and return its best state, by the loss on the cells held out for validation.

    Args:
        method: ``"rnn"`` or ``"conv"``.
        given: limits and seed.
        plan: sizes.
        data: a data module that is set up.
        folder: for checkpoints, temporary.

    Raises:
        CommandError: no validation loss was finite.
    """
    seed_everything(given.seed, verbose=False)
    arguments: dict[str, Any] = {
        "target_size": data.target_size,
        "covariate_size": data.covariate_size,
        "window_length": data.window_length,
        "longest_gap": plan.longest_gap,
        "hidden_size": given.hidden_size,
        "lr": LEARNING_RATES[method],
        "lr_schedule": "one_cycle",
    }
    model: Imputer = RNNImputer(**arguments) if method == "rnn" else ConvImputer(**arguments)
    name = {"rnn": "recurrent", "conv": "convolutional"}[method]
    every = max(1, given.steps // VALIDATIONS)
    best = ModelCheckpoint(dirpath=folder / method, filename="best", monitor="val_loss")
    callbacks: list[Callback] = [best]
    progress = given.progress and sys.stdout.isatty()
    if progress:
        callbacks.append(RichProgressBar(refresh_rate=10, leave=False))
    trainer = Trainer(
        max_steps=given.steps,
        max_epochs=-1,
        max_time=timedelta(seconds=given.max_time),
        val_check_interval=every,
        check_val_every_n_epoch=None,
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
        raise CommandError(
            f"the {name} network, {failure.where}: {failure.what}; look for very large values in the data, "
            "or use --model linear"
        )
    if best.best_model_score is None or not torch.isfinite(best.best_model_score):
        raise CommandError(
            f"the {name} network could not be judged: its validation loss is not a number; "
            "use --model linear, or give it more time with --max-time"
        )
    checkpoint = Path(best.best_model_path)
    steps = torch.load(checkpoint, weights_only=True)["global_step"]
    # Nothing but the time ends a training before its steps.
    stopped = ""
    if failure is not None:
        stopped = f"; training ended in {failure.where}, for {failure.what}"
    elif trainer.global_step < given.steps:
        stopped = time_limit_note(given.max_time, f"after {trainer.global_step} of {given.steps} steps")
    return TrainedImputer(
        model=load(checkpoint, cls=type(model)),
        checkpoint=checkpoint,
        val_loss=float(best.best_model_score),
        summary=(
            f"trained a {name} network ({given.hidden_size} units, windows of {data.window_length} rows): "
            f"{trainer.global_step} steps in {seconds:.1f} s, the best was after {steps}{stopped}"
        ),
    )
