"""What the callbacks that write the results of ``Trainer.predict`` share."""

import os
from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import BasePredictionWriter
from torch import Tensor

Predictions = list[dict[str, Tensor]]


class PredictionWriter(BasePredictionWriter):
    """Keeps the predictions and writes all of them, on the CPU, after the last batch; a base class.

    With several processes the first one writes those of all.

    Args:
        path: the file to write; its folder is made if need be.

    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        super().__init__(write_interval="batch")
        self.path = Path(path)
        self._predictions: Predictions = []

    @abstractmethod
    def check_data(self, datamodule: Any) -> None:
        """Raise TypeError unless the Trainer's DataModule (None if it has none) is one to write for."""

    @abstractmethod
    def write(self, predictions: Predictions, datamodule: Any) -> None:
        """Write the file."""

    def on_predict_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Check, before any work, that there is a DataModule to write for."""
        self._predictions = []
        self.check_data(trainer.datamodule)  # type: ignore[attr-defined]

    def write_on_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        prediction: Any,
        batch_indices: Sequence[int] | None,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int,
    ) -> None:
        """Keep a batch of predictions."""
        self._predictions.append({name: value.detach().cpu() for name, value in prediction.items()})

    def on_predict_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Gather what the processes have, and write."""
        predictions, self._predictions = self._predictions, []
        if trainer.world_size > 1:
            gathered: list[Predictions] = [[] for _ in range(trainer.world_size)]
            torch.distributed.all_gather_object(gathered, predictions)
            predictions = [batch for batches in gathered for batch in batches]
        if trainer.is_global_zero:
            self.write(predictions, trainer.datamodule)  # type: ignore[attr-defined]
