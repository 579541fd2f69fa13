"""Predicted labels of series as a CSV."""

from collections.abc import Sequence
from typing import Any, ClassVar

import polars as pl
import torch
from torch import Tensor

from seqlight.callbacks.forecast_writer import ForecastWriter, column_name
from seqlight.callbacks.prediction_writer import Predictions


def label_frame(predictions: Sequence[dict[str, Tensor]], datamodule: Any) -> pl.DataFrame:
    """Return labels as a table with one row for each series, or for each of its steps.

    Args:
        predictions: what ``Trainer.predict`` returns for a ``SequenceClassifier``, ``StepClassifier`` or
            ``SequenceRegressor``.
        datamodule: has ``series_ids`` (a list of str); its ``id_col`` names the first column if it is there
            and not None (else ``series_id``).

    Returns:
        Columns: the series' id; for a class of each step, ``step``, counted from 0; of classes, ``label`` and
        the ``probability_0``, ``probability_1``, ... of each; of numbers, ``label_0``, ``label_1``, ...

    """
    if not predictions:
        raise ValueError("predictions: expected at least one batch, got none")
    series = torch.cat([batch["series_index"] for batch in predictions])
    columns: dict[str, Any] = {}
    if "probability" in predictions[0]:
        label = torch.cat([batch["label"] for batch in predictions])
        probability = torch.cat([batch["probability"] for batch in predictions])
        if label.ndim == 2:
            columns["step"] = torch.arange(label.shape[1]).repeat(len(label)).numpy()
            series = series.repeat_interleave(label.shape[1])
        columns["label"] = label.flatten().numpy()
        values, name = probability.flatten(0, -2), "probability"
    else:
        values, name = torch.cat([batch["prediction"] for batch in predictions]), "label"
    columns |= {f"{name}_{index}": part.float().numpy() for index, part in enumerate(values.unbind(1))}
    id_col = column_name(datamodule, "id_col", "series_id")
    return pl.DataFrame({id_col: [datamodule.series_ids[index] for index in series.tolist()], **columns})


class LabelWriter(ForecastWriter):
    """Writes the labels of ``Trainer.predict`` to a CSV with series ids, see :func:`label_frame`.

    The file appears whole, after the last batch; with several processes the first one writes the rows of all.

    Args:
        path: the CSV to write; its folder is made if need be.

    """

    needs: ClassVar[tuple[str, ...]] = ("series_ids",)

    def table(self, predictions: Predictions, datamodule: Any) -> pl.DataFrame:
        """Return the labels, see :func:`label_frame`."""
        return label_frame(predictions, datamodule)

    def note(self, table: pl.DataFrame, datamodule: Any) -> None:
        """Say nothing: labels are never missing."""
