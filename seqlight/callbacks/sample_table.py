"""Sample paths of forecasts as a long table, and tables as files of the form that their names say."""

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import polars as pl
import torch
from torch import Tensor

from seqlight.callbacks.table_csv import csv_bytes

PARQUET = (".parquet", ".pq")


def samples_frame(
    predictions: Sequence[dict[str, Tensor]],
    datamodule: Any,
    *,
    id_col: str,
    time_col: str,
    whole_numbers: bool = False,
) -> pl.DataFrame:
    """Return sample paths as a table with one row for each series, path and future time step.

    Args:
        predictions: what ``Trainer.predict`` returns for a forecaster whose ``predicted_samples`` are set.
        datamodule: see :func:`seqlight.callbacks.forecast_frame`.
        id_col: name of the column of ids.
        time_col: name of the column of timestamps.
        whole_numbers: make columns of integers, see :func:`seqlight.callbacks.forecast_frame`.

    Returns:
        Columns: id, timestamp, ``sample`` (from 1; the steps of one belong together), and each target; where
        a series has several windows, ``window_start`` after the timestamp. A name that another column has
        gets an underscore more.

    Raises:
        ValueError: no predictions, or one without samples.

    """
    if not predictions:
        raise ValueError("predictions: expected at least one batch, got none")
    if any("samples" not in batch for batch in predictions):
        raise ValueError("predictions: expected samples; set the forecaster's predicted_samples")
    targets = list(datamodule.target_cols)
    sample_col, start_col = "sample", "window_start"
    while sample_col in (id_col, time_col, *targets):
        sample_col += "_"
    while start_col in (id_col, time_col, sample_col, *targets):
        start_col += "_"
    series = torch.cat([batch["series_index"] for batch in predictions]).cpu()
    start = torch.cat([batch["start"] for batch in predictions]).cpu()
    values = torch.cat([batch["samples"].cpu().float() for batch in predictions])  # [W, N, H, C]
    windows, count, horizon, _ = values.shape
    times = pl.concat(
        [
            pl.Series(time_col, datamodule.timestamps(one, first, horizon))
            for one, first in zip(series.tolist(), start.tolist(), strict=True)
        ]
    )
    window, sample, step = torch.meshgrid(
        torch.arange(windows), torch.arange(count), torch.arange(horizon), indexing="ij"
    )
    place = (window * horizon + step).flatten().numpy()
    first = (window * horizon).flatten().numpy()
    ids = pl.Series([str(one) for one in datamodule.series_ids])
    table = pl.DataFrame(
        {
            id_col: ids.gather(series[window.flatten()].numpy()),
            time_col: times.gather(place),
            start_col: times.gather(first),
            sample_col: (sample + 1).flatten().to(torch.int32).numpy(),
            **dict(zip(targets, values.flatten(0, 2).T.numpy(), strict=True)),
        }
    )
    if whole_numbers:
        table = table.with_columns(pl.col(targets).fill_nan(None).round().cast(pl.Int64))
    return table if len(series.unique()) < windows else table.drop(start_col)


def is_parquet(path: Path) -> bool:
    """Return whether a file's name says that it is Parquet; else it is CSV."""
    return path.suffix.lower() in PARQUET


def table_bytes(table: pl.DataFrame, path: Path) -> bytes:
    """Return a table in the form of a file's name: Parquet, or CSV with empty cells for NaN."""
    if not is_parquet(path):
        return csv_bytes(table)
    content = BytesIO()
    table.write_parquet(content)
    return content.getvalue()
