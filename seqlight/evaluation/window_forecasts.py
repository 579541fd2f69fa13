"""The windows of a part of the data with every predictor's forecast, so that each is made once."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import polars as pl
import torch
from torch import Tensor

from seqlight.evaluation.by_step import ErrorsByStep, step_errors
from seqlight.evaluation.forecast_table import forecast_table
from seqlight.evaluation.rolling_origin import ComparisonRow, comparison_rows
from seqlight.evaluation.scored_windows import DataModule, ScoredBatch, scored_windows
from seqlight.predictor import Batch, Forecast, Predictor

WINDOWS_AT_ONCE = 4096  # in float64 while errors are summed up


@dataclass(frozen=True)
class WindowForecasts:
    """W windows of one part of the data, what came, and what was forecast; on the CPU, in original units.

    Attributes:
        part: ``"val"``, ``"calibration"`` or ``"test"``.
        series_index: int64 ``[W]``, the series of each window in the DataModule's ``series_ids``.
        start: int64 ``[W]``, position of the first forecast step on the series' grid.
        target: float32 ``[W, H, C]``, what came; NaN where it is missing.
        known: bool ``[W, H, C]``, the cells that count: known, with an observed value in the window's past.
        scale: float32 ``[W, C]``, the denominators of MASE; None where the batches have none.
        forecasts: those of each predictor by name.
    """

    part: str
    series_index: Tensor
    start: Tensor
    target: Tensor
    known: Tensor
    scale: Tensor | None
    forecasts: dict[str, Forecast]

    @property
    def windows(self) -> int:
        """W."""
        return len(self.target)

    @cached_property
    def rows(self) -> list[ComparisonRow]:
        """Errors over all windows, one row for each predictor, as :func:`seqlight.evaluation.compare`'s."""
        return comparison_rows(self._batches(), self.forecasts)

    @cached_property
    def by_step(self) -> list[ErrorsByStep]:
        """Errors at each step ahead, as :func:`seqlight.evaluation.errors_by_step`'s."""
        return step_errors(self._batches(), self.forecasts)

    @cached_property
    def by_series(self) -> pl.DataFrame:
        """Errors of each series and predictor: ``model, series_index, mae, rmse, mase, smape, windows``."""
        rows = []
        for series in self.series_index.unique().tolist():
            own = (self.series_index == series).nonzero().flatten()
            for row in comparison_rows([self._batch(own)], self.forecasts):
                rows.append({"series_index": series, **row})
        return pl.DataFrame(rows).select("model", "series_index", pl.exclude("model", "series_index"))

    def channel(self, number: int) -> "WindowForecasts":
        """Return the same windows with one of the C channels only."""
        one = slice(number, number + 1)
        return WindowForecasts(
            self.part,
            self.series_index,
            self.start,
            self.target[..., one],
            self.known[..., one],
            None if self.scale is None else self.scale[..., one],
            {
                name: Forecast(
                    forecast.point[..., one],
                    None if forecast.quantiles is None else forecast.quantiles[:, :, one],
                    forecast.quantile_levels,
                )
                for name, forecast in self.forecasts.items()
            },
        )

    def by_target(self, names: Sequence[str]) -> dict[str, list[ComparisonRow]]:
        """Return ``rows`` of each of the C targets, by their ``names``."""
        return {name: self.channel(number).rows for number, name in enumerate(names)}

    def scaled(self) -> "WindowForecasts":
        """Return the same windows in multiples of the denominators of MASE; cells without one do not count.

        Raises:
            ValueError: there are none.

        """
        if self.scale is None:
            raise ValueError("scaled: expected windows with the denominators of MASE, got none")
        unit = torch.where(self.scale > 0, self.scale, torch.nan)[:, None]
        return WindowForecasts(
            self.part,
            self.series_index,
            self.start,
            self.target / unit,
            self.known & unit.isfinite(),
            torch.ones_like(self.scale),
            {
                name: Forecast(
                    forecast.point / unit,
                    None if forecast.quantiles is None else forecast.quantiles / unit[..., None],
                    forecast.quantile_levels,
                )
                for name, forecast in self.forecasts.items()
            },
        )

    def frame(self, data: Any, level: Sequence[float] = ()) -> pl.DataFrame:
        """Return the table of :func:`forecast_table`: one row for each window and step."""
        return forecast_table(self, data, level)

    def of(self, *names: str) -> "WindowForecasts":
        """Return the same windows with the forecasts of some predictors only."""
        return WindowForecasts(
            self.part,
            self.series_index,
            self.start,
            self.target,
            self.known,
            self.scale,
            {name: self.forecasts[name] for name in names},
        )

    def _batches(self) -> Iterator[ScoredBatch]:
        for rows in torch.arange(self.windows).split(WINDOWS_AT_ONCE):
            yield self._batch(rows)

    def _batch(self, rows: Tensor) -> ScoredBatch:
        batch = {} if self.scale is None else {"scale": self.scale[rows]}
        forecasts = {name: Forecast(forecast.point[rows]) for name, forecast in self.forecasts.items()}
        return ScoredBatch(batch, self.target[rows].double(), self.known[rows], forecasts)


def forecast_windows(
    predictors: Mapping[str, Predictor],
    data: DataModule | Iterable[Batch],
    *,
    part: str = "test",
    quantile_levels: Sequence[float] = (),
    members: Mapping[str, Sequence[str]] | None = None,
) -> WindowForecasts:
    """Forecast every window of a part of the data, and keep what came and what was forecast.

    All windows are kept in memory, in float32: 4 W H C (1 + number of predictors) bytes, and as much again
    for each quantile. For tables of errors alone :func:`seqlight.evaluation.compare` needs a batch at a time.

    Args:
        predictors: forecasters, baselines, ensembles and others by name.
        data: a DataModule, or the batches themselves, see :mod:`seqlight.models`.
        part: ``"test"``, ``"val"`` or ``"calibration"``, the part of a DataModule to take.
        quantile_levels: the quantiles that are wanted of those that have any.
        members: of an ensemble by its name, the names of its members among the predictors, in their order:
            it is joined of their forecasts, so that each member forecasts a window once.

    Raises:
        ValueError: an unknown part, no predictor, or no window.

    """
    collected: dict[str, list[Tensor]] = {
        name: [] for name in ("series_index", "start", "target", "known", "scale")
    }
    forecasts: dict[str, list[Forecast]] = {name: [] for name in predictors}
    with closing(scored_windows(predictors, data, part, quantile_levels, members)) as batches:
        for batch in batches:
            count = len(batch.future)
            collected["series_index"].append(
                batch.batch.get("series_index", torch.zeros(count, dtype=torch.int64))
            )
            collected["start"].append(batch.batch.get("start", torch.zeros(count, dtype=torch.int64)))
            collected["target"].append(batch.future.float())
            collected["known"].append(batch.known)
            if batch.batch.get("scale") is not None:
                collected["scale"].append(batch.batch["scale"])
            for name, forecast in batch.forecasts.items():
                forecasts[name].append(forecast)
    return WindowForecasts(
        part=part,
        series_index=torch.cat(collected["series_index"]),
        start=torch.cat(collected["start"]),
        target=torch.cat(collected["target"]),
        known=torch.cat(collected["known"]),
        scale=torch.cat(collected["scale"]) if collected["scale"] else None,
        forecasts={name: concatenated(parts) for name, parts in forecasts.items()},
    )


def concatenated(forecasts: Sequence[Forecast]) -> Forecast:
    """Join the forecasts of several batches, without their samples."""
    quantiles = [forecast.quantiles for forecast in forecasts if forecast.quantiles is not None]
    return Forecast(
        torch.cat([forecast.point for forecast in forecasts]).float(),
        torch.cat(quantiles).float() if quantiles else None,
        forecasts[0].quantile_levels,
    )


def joined(parts: Sequence[WindowForecasts], part: str) -> WindowForecasts:
    """Join windows that the same predictors forecast."""
    scales = [one.scale for one in parts if one.scale is not None]
    return WindowForecasts(
        part=part,
        series_index=torch.cat([one.series_index for one in parts]),
        start=torch.cat([one.start for one in parts]),
        target=torch.cat([one.target for one in parts]),
        known=torch.cat([one.known for one in parts]),
        scale=torch.cat(scales) if scales else None,
        forecasts={name: concatenated([one.forecasts[name] for one in parts]) for name in parts[0].forecasts},
    )
