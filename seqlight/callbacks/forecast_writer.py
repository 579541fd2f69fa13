"""Forecasts as a CSV with series ids and timestamps."""

import warnings
from collections.abc import Sequence
from typing import Any, ClassVar

import polars as pl
from torch import Tensor

from .prediction_writer import Predictions, PredictionWriter
from .table_csv import empty_cells_note, write_csv


def forecast_frame(predictions: Sequence[dict[str, Tensor]], datamodule: Any) -> pl.DataFrame:
    """Return forecasts as a table with one row for each series and future time step.

    Args:
        predictions: what ``Trainer.predict`` returns for a forecaster.
        datamodule: has ``series_ids`` (a list of str), ``timestamps(series_index, start, count)``, and
            ``target_cols``; its ``id_col`` and ``time_col`` name the first two columns if they are there
            and not None (else ``series_id`` and ``timestamp``, with an underscore more where the data has a
            column of that name).

    Returns:
        Columns: the series' id, the timestamp, and one for each target. Where a series has several windows, a
        column ``window_start`` holds the first timestamp of each row's forecast.

    """
    id_col = column_name(datamodule, "id_col", "series_id")
    time_col = column_name(datamodule, "time_col", "timestamp")
    window_start_col = _free_name("window_start", [id_col, time_col, *datamodule.target_cols])
    schema = [id_col, time_col, window_start_col, *datamodule.target_cols]
    frames = []
    windows_of_series: dict[int, int] = {}
    for batch in predictions:
        rows = zip(
            batch["series_index"].tolist(), batch["start"].tolist(), batch["prediction"].cpu(), strict=True
        )
        for series, start, values in rows:
            windows_of_series[series] = windows_of_series.get(series, 0) + 1
            times = pl.Series(time_col, datamodule.timestamps(series, start, len(values)))
            frame = pl.DataFrame({time_col: times}).with_columns(
                pl.lit(datamodule.series_ids[series]).alias(id_col),
                pl.lit(times[0], dtype=times.dtype).alias(window_start_col),
                *(
                    pl.Series(name, channel.numpy())
                    for name, channel in zip(datamodule.target_cols, values.float().unbind(-1), strict=True)
                ),
            )
            frames.append(frame.select(schema))
    if not frames:
        raise ValueError("predictions: expected at least one batch, got none")
    table = pl.concat(frames)
    return table if max(windows_of_series.values()) > 1 else table.drop(window_start_col)


def column_name(datamodule: Any, attribute: str, otherwise: str) -> str:
    """Return the name in an attribute of a DataModule, where it has one; a name may be empty.

    Else it is ``otherwise``, or a name like it that no other column of the forecast has.
    """
    name = getattr(datamodule, attribute, None)
    if name is not None:
        return name
    others = [getattr(datamodule, other, None) for other in ("id_col", "time_col")]
    return _free_name(otherwise, [*others, *getattr(datamodule, "target_cols", ())])


def _free_name(name: str, taken: Sequence[str | None]) -> str:
    while name in taken:
        name += "_"
    return name


class ForecastWriter(PredictionWriter):
    """Writes the forecasts of ``Trainer.predict`` to a CSV with series ids and timestamps.

    The ids and timestamps come from the Trainer's DataModule, see :func:`forecast_frame`. The cells of a
    series without a known value to forecast from are empty, and a warning names it. The file appears whole,
    after the last batch; with several processes the first one writes the rows of all.

    Args:
        path: the CSV to write; its folder is made if need be.

    """

    #: What the DataModule must have.
    needs: ClassVar[tuple[str, ...]] = ("series_ids", "timestamps", "target_cols")

    def check_data(self, datamodule: Any) -> None:
        """Raise TypeError unless the DataModule can name series and times."""
        missing = [name for name in self.needs if not hasattr(datamodule, name)]
        if missing:
            raise TypeError(
                f"{type(self).__name__} needs a DataModule with {', '.join(self.needs)}, such as "
                f"seqlight.data.CSVDataModule; this Trainer's lacks {', '.join(missing)}. "
                "Pass one: trainer.predict(forecaster, datamodule=...)"
            )

    def write(self, predictions: Predictions, datamodule: Any) -> None:
        """Write the CSV; warn where cells are empty because nothing is known to forecast from."""
        table = self.table(predictions, datamodule)
        write_csv(table, self.path)
        note = self.note(table, datamodule)
        if note is not None:
            warnings.warn(note, UserWarning, stacklevel=2)

    def note(self, table: pl.DataFrame, datamodule: Any) -> str | None:
        """Return what is to be said of empty cells."""
        id_col = column_name(datamodule, "id_col", "series_id")
        return empty_cells_note(table, id_col, datamodule.target_cols)

    def table(self, predictions: Predictions, datamodule: Any) -> pl.DataFrame:
        """Return the forecasts with times as text, in the form of the data if the DataModule knows it."""
        table = forecast_frame(predictions, datamodule)
        if not hasattr(datamodule, "format_timestamps"):
            return table
        taken = [column_name(datamodule, "id_col", "series_id"), *datamodule.target_cols]
        times = [name for name in table.columns if name not in taken]
        return table.with_columns(
            pl.Series(name, datamodule.format_timestamps(table[name])) for name in times
        )
