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

    With several processes the first one writes those of all, in the order in which one process has them.

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
            predictions = in_order(gathered, _windows(trainer))
        if trainer.is_global_zero:
            self.write(predictions, trainer.datamodule)  # type: ignore[attr-defined]


def in_order(gathered: Sequence[Predictions], windows: int | None = None) -> Predictions:
    """Return the predictions of R processes, each of which took every R-th window, as one process has them.

    Args:
        gathered: the batches of each process.
        windows: how many there are; what a process repeated beyond them is left out.

    """
    together = [
        {name: torch.cat([batch[name] for batch in batches]) for name in batches[0]}
        for batches in gathered
        if batches
    ]
    if not together:
        return []
    merged = {}
    for name in together[0]:
        parts = [one[name] for one in together]
        rows = torch.cat(parts)
        # Row k of process r is the window k * R + r.
        places = [torch.arange(len(part)) * len(gathered) + rank for rank, part in enumerate(parts)]
        merged[name] = rows[torch.cat(places).argsort()][:windows]
    return [merged]


def _windows(trainer: Trainer) -> int | None:
    """Return the number of windows of the loader that is predicted, where it tells."""
    loader: Any = trainer.predict_dataloaders
    loader = loader[0] if isinstance(loader, list) and len(loader) == 1 else loader
    dataset: Any = getattr(loader, "dataset", None)
    return len(dataset) if hasattr(dataset, "__len__") else None
