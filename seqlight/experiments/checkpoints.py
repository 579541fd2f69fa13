"""Checkpoints of models that no Trainer trained."""

import warnings
from pathlib import Path

import torch
from lightning.pytorch import LightningDataModule, Trainer

from seqlight.data import ForecastDataModule
from seqlight.intervals import IntervalMethod
from seqlight.models import EnsembleForecaster, SeqlightModule
from seqlight.models.lightning.checkpoint import CHECKPOINT_KEY
from seqlight.models.lightning.trained_until import last_targets


def save_checkpoint(model: SeqlightModule, data: LightningDataModule, path: Path) -> None:
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


def add_intervals(path: Path, method: IntervalMethod) -> None:
    """Put intervals into a checkpoint, as its forecaster's ``intervals``."""
    checkpoint = torch.load(path, weights_only=True)
    checkpoint[CHECKPOINT_KEY]["intervals"] = method.state()
    torch.save(checkpoint, path)


def add_trained_until(path: Path, model: SeqlightModule, data: ForecastDataModule) -> None:
    """Put into a checkpoint up to which time of each series its model has learned, unless it says so.

    Weights of a network end with the training part, those of an ensemble's mean with the validation part.
    Nothing is learned by a forecaster without parameters.
    """
    if model.trained_until is not None or not any(True for _ in model.parameters()):
        return
    split = data.split
    stop = split.val_stop if isinstance(model, EnsembleForecaster) else split.train_stop
    checkpoint = torch.load(path, weights_only=True)
    checkpoint[CHECKPOINT_KEY]["trained_until"] = last_targets(data, stop)
    torch.save(checkpoint, path)
