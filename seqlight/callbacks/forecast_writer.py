"""Forecasts as a CSV or Parquet file with series ids and timestamps."""

import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import polars as pl
import torch
from lightning import LightningModule, Trainer
from torch import Tensor

from seqlight.callbacks.prediction_writer import Predictions, PredictionWriter
from seqlight.callbacks.sample_table import is_parquet, samples_frame, table_bytes
from seqlight.callbacks.table_csv import empty_cells_note
from seqlight.heads import forecast_columns, normal_scores
from seqlight.intervals import (
    IntervalMethod,
    check_levels,
    interval_quantiles,
    quantile_columns,
    value_range,
    within,
)
from seqlight.predictor import Forecast
from seqlight.whole_files import staged


def forecast_frame(
    predictions: Sequence[dict[str, Tensor]],
    datamodule: Any,
    *,
    quantile_levels: Sequence[float] = (),
    whole_numbers: bool = False,
) -> pl.DataFrame:
    """Return forecasts as a table with one row for each series and future time step.

    Args:
        predictions: what ``Trainer.predict`` returns for a forecaster.
        datamodule: has ``series_ids`` (a list of str), ``timestamps(series_index, start, count)``, and
            ``target_cols``; its ``id_col`` and ``time_col`` name the first two columns if they are there
            and not None (else ``series_id`` and ``timestamp``, with an underscore more where the data has a
            column of that name).
        quantile_levels: levels of the predictions' ``quantiles``: the forecaster's ``quantile_levels``.
        whole_numbers: make columns of integers, null where there is no forecast; for forecasters with
            ``integer``.

    Returns:
        Columns: the series' id, the timestamp, and for each target its name and those of its quantiles,
        ``y-lo-80`` and ``y-hi-80`` for 0.1 and 0.9, then those of wider intervals; none for 0.5, which is
        the target's own. A name that
        another column has gets an underscore more. Where a series has several windows, a column
        ``window_start`` holds the first timestamp of each row's forecast.

    Raises:
        ValueError: no predictions, or their quantiles are not as many as the levels.

    """
    id_col = column_name(datamodule, "id_col", "series_id")
    time_col = column_name(datamodule, "time_col", "timestamp")
    names = list(quantile_names(datamodule, quantile_levels).values())
    window_start_col = _free_name("window_start", [id_col, time_col, *datamodule.target_cols, *names])
    columns = forecast_columns_of(datamodule, quantile_levels)
    schema = [id_col, time_col, window_start_col, *columns]
    frames = []
    windows_of_series: dict[int, int] = {}
    for batch in predictions:
        cells = _cells(batch, quantile_levels)
        rows = zip(batch["series_index"].tolist(), batch["start"].tolist(), cells, strict=True)
        for series, start, values in rows:
            windows_of_series[series] = windows_of_series.get(series, 0) + 1
            times = pl.Series(time_col, datamodule.timestamps(series, start, len(values)))
            frame = pl.DataFrame({time_col: times}).with_columns(
                pl.lit(datamodule.series_ids[series]).alias(id_col),
                pl.lit(times[0], dtype=times.dtype).alias(window_start_col),
                *(
                    pl.Series(name, column.numpy())
                    for name, column in zip(columns, values.unbind(-1), strict=True)
                ),
            )
            frames.append(frame.select(schema))
    if not frames:
        raise ValueError("predictions: expected at least one batch, got none")
    table = pl.concat(frames)
    if whole_numbers:
        table = table.with_columns(pl.col(columns).fill_nan(None).round().cast(pl.Int64))
    return table if max(windows_of_series.values()) > 1 else table.drop(window_start_col)


def forecast_columns_of(datamodule: Any, quantile_levels: Sequence[float] = ()) -> list[str]:
    """Return the columns of numbers of :func:`forecast_frame`, in order."""
    names = quantile_names(datamodule, quantile_levels)
    return [
        column
        for target in datamodule.target_cols
        for column in (target, *(names[target, quantile_levels[place]] for place in _order(quantile_levels)))
    ]


def quantile_names(datamodule: Any, quantile_levels: Sequence[float]) -> dict[tuple[str, float], str]:
    """Return the column of each target's quantiles, by target and level."""
    taken = [column_name(datamodule, "id_col", "series_id"), column_name(datamodule, "time_col", "timestamp")]
    taken += datamodule.target_cols
    names = {}
    for target in datamodule.target_cols:
        for level in quantile_levels:
            if level != 0.5:
                (wanted,) = forecast_columns(target, [level])
                names[target, level] = _free_name(wanted, taken)
                taken.append(names[target, level])
    return names


def _order(quantile_levels: Sequence[float]) -> list[int]:
    """Return the places of the levels but 0.5 in the order of their columns: narrow intervals first."""
    places = [place for place, level in enumerate(quantile_levels) if level != 0.5]
    return sorted(places, key=lambda place: (round(abs(quantile_levels[place] - 0.5), 9), place))


def _cells(batch: dict[str, Tensor], quantile_levels: Sequence[float]) -> Tensor:
    """Return the numbers of a batch, ``[B, H, columns]`` in the order of :func:`forecast_columns_of`."""
    point = batch["prediction"].cpu().float()
    found = 0 if batch.get("quantiles") is None else batch["quantiles"].shape[-1]
    if found != len(quantile_levels):
        raise ValueError(
            f"quantile_levels: the predictions have {found} quantiles, got {len(quantile_levels)} levels; "
            "give the forecaster's: forecast_frame(predictions, data, "
            "quantile_levels=forecaster.quantile_levels)"
        )
    kept = _order(quantile_levels)
    if not kept:
        return point
    quantiles = batch["quantiles"].cpu().float()[..., kept]
    return torch.cat([point.unsqueeze(-1), quantiles], dim=-1).flatten(2)


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
    """Writes the forecasts of ``Trainer.predict`` to a file with series ids and timestamps.

    The file is Parquet where its name ends in ``.parquet`` or ``.pq``, else a CSV.

    The ids and timestamps come from the Trainer's DataModule, see :func:`forecast_frame`. The cells of a
    series without a known value to forecast from are empty, and a warning names it. The file appears whole,
    after the last batch; with several processes the first one writes the rows of all.

    The quantiles of a forecaster with a head have columns beside the target's, named as Nixtla's packages
    name them, see :func:`forecast_frame`; where a column of the data has such a name already, a warning says
    the other one. Sample paths go to a file of their own, a long table with a column ``sample``, see
    :func:`seqlight.callbacks.samples_frame`. A forecaster with ``intervals``, as checkpoints of
    ``seqlight forecast`` have them, writes their bounds instead: a series that they know by its id has its
    own margins, others those of all series. A forecaster with ``integer`` writes whole numbers as 8, not 8.0.

    Args:
        path: the file to write; its folder is made if need be.
        level: intervals to write, in per cent, such as ``[80, 95]``: ``y-lo-80``, ``y-hi-80``, and so on.
        quantiles: quantiles to write instead, such as ``[0.1, 0.9]``. With neither, those that the forecaster
            predicts (its ``quantile_levels``) are written.
        samples: number of paths to draw of each window, by torch's random numbers; None for the forecaster's
            ``predicted_samples``.
        samples_path: the file to write them to; needed with ``samples``.

    Raises:
        ValueError: both level and quantiles were given, a level that is none, or samples without a file; and,
            when prediction begins, what the forecaster does not know.

    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        level: list[float] | None = None,
        quantiles: list[float] | None = None,
        samples: int | None = None,
        samples_path: str | os.PathLike[str] | None = None,
    ) -> None:
        super().__init__(path)
        if samples is not None and (samples < 1 or samples_path is None):
            raise ValueError(
                f"samples: expected a number above 0 and a samples_path to write to, got samples={samples}, "
                f"samples_path={samples_path!r}"
            )
        self.samples = samples
        self.samples_path = None if samples_path is None else Path(samples_path)
        if self.samples_path is not None and self.samples_path.resolve() == self.path.resolve():
            raise ValueError(f"samples_path: expected another file than path, got {str(samples_path)!r}")
        if level is not None and quantiles is not None:
            raise ValueError(f"quantiles: given beside level={level}, which says the same; give one of them")
        self.levels: tuple[float, ...] | None = None
        if level is not None:
            self.levels = interval_quantiles(check_levels(level))
        elif quantiles is not None:
            normal_scores(quantiles)  # which checks their range
            self.levels = tuple(sorted(set(quantiles)))
        self._written: tuple[float, ...] = ()
        self._whole_numbers = False
        self._levels_before: tuple[float, ...] | None = None
        self._samples_before: int | None = None
        self._intervals: IntervalMethod | None = None

    #: What the DataModule must have.
    needs: ClassVar[tuple[str, ...]] = ("series_ids", "timestamps", "target_cols")

    def on_predict_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Check, before any work, that there is a DataModule to write for, and tell the forecaster which
        quantiles are wanted."""
        super().on_predict_start(trainer, pl_module)
        forecaster: Any = pl_module
        self._written = getattr(forecaster, "quantile_levels", ())
        self._whole_numbers = bool(getattr(getattr(forecaster, "bounds", None), "integer", False))
        self._intervals = self._intervals_of(forecaster, trainer.datamodule)  # type: ignore[attr-defined]
        if self._intervals is not None:
            self._written = self.levels or interval_quantiles(self._intervals.levels)
        elif self.levels is not None:
            if not hasattr(forecaster, "check_levels"):
                raise ValueError(
                    f"level: {type(forecaster).__name__} forecasts no quantiles; write without level and "
                    "quantiles"
                )
            forecaster.check_levels(self.levels)
            self._levels_before, self._written = self._written, self.levels
            forecaster.quantile_levels = self.levels
        if self.samples_path is not None:
            self._ask_for_samples(forecaster)
        if self._written:
            self._say_other_names(trainer.datamodule)  # type: ignore[attr-defined]

    def _ask_for_samples(self, forecaster: Any) -> None:
        count = self.samples or getattr(forecaster, "predicted_samples", 0)
        if not count or not hasattr(forecaster, "check_samples"):
            name = type(forecaster).__name__
            why = f"{name} draws none" if count else f"how many is said by neither samples nor {name}"
            raise ValueError(f"samples_path: paths are wanted, and {why}")
        forecaster.check_samples(count)
        self._samples_before, forecaster.predicted_samples = forecaster.predicted_samples, count

    def _intervals_of(self, forecaster: Any, datamodule: Any) -> IntervalMethod | None:
        """Return the forecaster's intervals for these series, where it has those that are wanted."""
        method: IntervalMethod | None = getattr(forecaster, "intervals", None)
        if method is None or not set(self.levels or ()) <= set(interval_quantiles(method.levels)):
            return None
        return method.for_data(datamodule)

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
        """Keep a batch of predictions, with the bounds of intervals as quantiles."""
        if self._intervals is not None:
            bounds = self._bounds(prediction, batch, pl_module, trainer.datamodule)  # type: ignore[attr-defined]
            prediction = {**prediction, "quantiles": bounds}
        super().write_on_batch_end(
            trainer, pl_module, prediction, batch_indices, batch, batch_idx, dataloader_idx
        )

    def _bounds(self, prediction: Any, batch: Any, forecaster: Any, datamodule: Any) -> Tensor:
        method = self._intervals
        assert method is not None
        forecast = Forecast(prediction["prediction"])
        if method.quantile_levels:
            forecast = forecaster.predict(batch, quantile_levels=method.quantile_levels)
        scale = getattr(datamodule, "scale", None)
        index = batch["series_index"].cpu()
        made = method.intervals(
            forecast,
            series_index=index,
            start=batch["start"],
            scale=None if scale is None else torch.as_tensor(scale)[index],
        )
        allowed = value_range(forecaster)
        if allowed is not None:
            made = {level: within(interval, allowed) for level, interval in made.items()}
        levels, values = quantile_columns(made)
        return values[..., [levels.index(level) for level in self._written]]

    def _say_other_names(self, datamodule: Any) -> None:
        for (target, level), name in quantile_names(datamodule, self._written).items():
            (wanted,) = forecast_columns(target, [level])
            if name != wanted:
                what = f"{wanted!r} is a column of the data already: quantile {level:g} of {target!r}"
                warnings.warn(f"{what} is written as {name!r}", UserWarning, stacklevel=2)

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Let the forecaster predict what it did before."""
        forecaster: Any = pl_module
        if self._samples_before is not None:
            forecaster.predicted_samples, self._samples_before = self._samples_before, None
        if self._levels_before is not None:
            forecaster.quantile_levels = self._levels_before
            self._levels_before = None

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
        """Write the files; warn where cells are empty because nothing is known to forecast from."""
        table = self.table(predictions, datamodule)
        contents = {self.path: table_bytes(table, self.path)}
        if self.samples_path is not None:
            paths = samples_frame(
                predictions,
                datamodule,
                id_col=column_name(datamodule, "id_col", "series_id"),
                time_col=column_name(datamodule, "time_col", "timestamp"),
                whole_numbers=self._whole_numbers,
            )
            numbers = paths.columns[-1 - len(datamodule.target_cols) :]  # the path's number, and its values
            paths = self._with_times_as_text(paths, datamodule, self.samples_path, numbers)
            contents[self.samples_path] = table_bytes(paths, self.samples_path)
        for path in contents:
            path.parent.mkdir(parents=True, exist_ok=True)
        with staged(list(contents)) as temporary:
            for place, content in zip(temporary, contents.values(), strict=True):
                place.write_bytes(content)
        note = self.note(table, datamodule)
        if note is not None:
            warnings.warn(note, UserWarning, stacklevel=2)

    def note(self, table: pl.DataFrame, datamodule: Any) -> str | None:
        """Return what is to be said of empty cells."""
        id_col = column_name(datamodule, "id_col", "series_id")
        return empty_cells_note(table, id_col, datamodule.target_cols)

    def table(self, predictions: Predictions, datamodule: Any) -> pl.DataFrame:
        """Return the forecasts; of a CSV, times are text in the data's form where the DataModule knows it."""
        table = forecast_frame(
            predictions, datamodule, quantile_levels=self._written, whole_numbers=self._whole_numbers
        )
        return self._with_times_as_text(
            table, datamodule, self.path, forecast_columns_of(datamodule, self._written)
        )

    def _with_times_as_text(
        self, table: pl.DataFrame, datamodule: Any, path: Path, numbers: Sequence[str]
    ) -> pl.DataFrame:
        if is_parquet(path) or not hasattr(datamodule, "format_timestamps"):
            return table
        taken = [column_name(datamodule, "id_col", "series_id"), *numbers]
        times = [name for name in table.columns if name not in taken]
        return table.with_columns(
            pl.Series(name, datamodule.format_timestamps(table[name])) for name in times
        )
