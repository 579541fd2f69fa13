"""Filled series as a CSV that says which cells were filled."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from seqlight.callbacks.prediction_writer import Predictions, PredictionWriter
from seqlight.data import ImputationDataModule
from seqlight.models.imputation.stitching import Stitcher
from seqlight.whole_files import write_whole


class ImputationWriter(PredictionWriter):
    """Writes what ``Trainer.predict`` of an imputer filled, by ``ImputationDataModule.filled_csv``.

    Windows are cross-faded to whole series; with several processes the first one writes the windows of all.
    Known cells are written as the data have them. The file appears whole, after the last batch.

    Args:
        path: the CSV to write; its folder is made if need be.

    """

    def check_data(self, datamodule: Any) -> None:
        """Raise TypeError unless the DataModule knows the series."""
        if not isinstance(datamodule, ImputationDataModule):
            raise TypeError(
                "ImputationWriter needs an ImputationDataModule, such as "
                "seqlight.data.CSVImputationDataModule; pass one: trainer.predict(imputer, datamodule=...)"
            )

    def write(self, predictions: Predictions, datamodule: ImputationDataModule) -> None:
        """Write the CSV."""
        values = stitched(predictions, datamodule)
        filled = np.isnan(datamodule.store.values) & np.isfinite(values)
        write_whole(self.path, datamodule.filled_csv(values, filled))


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
