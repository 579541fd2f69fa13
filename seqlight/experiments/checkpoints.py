"""Checkpoints of models that no Trainer trained."""

import warnings
from pathlib import Path

import torch
from lightning.pytorch import LightningDataModule, Trainer

from seqlight.intervals import IntervalMethod
from seqlight.models import SeqlightModule
from seqlight.models.lightning.checkpoint import CHECKPOINT_KEY


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
