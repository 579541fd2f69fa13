"""Filled series as a CSV that says which cells were filled."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import BasePredictionWriter
from torch import Tensor

from seqlight.data import ImputationDataModule
from seqlight.models.stitching import Stitcher

from .whole_file import whole_file


class ImputationWriter(BasePredictionWriter):
    """Writes what ``Trainer.predict`` of an imputer filled, by ``ImputationDataModule.filled_csv``.

    Windows are cross-faded to whole series; with several processes the first one writes the windows of all.
    Known cells are written as the data have them. The file appears whole, after the last batch.

    Args:
        path: the CSV to write; its folder is made if need be.

    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        super().__init__(write_interval="batch")
        self.path = Path(path)
        self._predictions: list[dict[str, Tensor]] = []

    def on_predict_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Check, before any work, that the DataModule knows the series."""
        self._predictions = []
        if not isinstance(trainer.datamodule, ImputationDataModule):  # type: ignore[attr-defined]
            raise TypeError(
                "ImputationWriter needs an ImputationDataModule, such as "
                "seqlight.data.CSVImputationDataModule; pass one: trainer.predict(imputer, datamodule=...)"
            )

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
        """Keep a batch of windows."""
        self._predictions.append({name: value.detach().cpu() for name, value in prediction.items()})

    def on_predict_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the CSV."""
        predictions, self._predictions = self._predictions, []
        if trainer.world_size > 1:
            gathered: list[list[dict[str, Tensor]]] = [[] for _ in range(trainer.world_size)]
            torch.distributed.all_gather_object(gathered, predictions)
            predictions = [batch for batches in gathered for batch in batches]
        if trainer.is_global_zero:
            data: ImputationDataModule = trainer.datamodule  # type: ignore[attr-defined]
            values = stitched(predictions, data)
            filled = np.isnan(data.store.values) & np.isfinite(values)
            with whole_file(self.path) as file:
                file.write(data.filled_csv(values, filled))


def stitched(predictions: Sequence[dict[str, Tensor]], data: ImputationDataModule) -> np.ndarray:
    """Put the windows that ``Trainer.predict`` returned together.

    Returns:
        [rows, C] float32 in the order of ``data.store.values``; NaN in series of which there is no window.

    """
    store = data.store
    channels = store.values.shape[1]
    stitchers = [Stitcher(int(length), channels) for length in store.lengths]
    for batch in predictions:
        rows = zip(batch["series_index"].tolist(), batch["start"].tolist(), batch["prediction"], strict=True)
        for series, start, window in rows:
            stitchers[series].add(start, window)
    return torch.cat([stitcher.result() for stitcher in stitchers]).float().numpy()
