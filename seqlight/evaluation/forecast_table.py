"""Forecasts of windows as one long table, as utilsforecast and Nixtla's cross-validation have it."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from torch import Tensor

from seqlight.callbacks.forecast_writer import column_name
from seqlight.intervals.levels import interval_quantiles, level_name

if TYPE_CHECKING:
    from seqlight.evaluation.window_forecasts import WindowForecasts


def forecast_table(windows: "WindowForecasts", data: Any, level: Sequence[float] = ()) -> pl.DataFrame:
    """Return one row for each window and step ahead.

    Args:
        windows: W windows with their forecasts.
        data: their DataModule, which knows ids and times.
        level: coverages in per cent of the intervals to be written, of predictors that have their quantiles.

    Returns:
        Columns: the series' id, the time, ``cutoff`` (the time of the last step before the forecast), each
        target (what came, null where it is missing), and for each predictor its point under its name and its
        bounds, ``<name>-lo-80`` and ``<name>-hi-80``. With several targets, ``<name>-<target>`` takes the
        place of ``<name>``.

    Raises:
        ValueError: two columns would have the same name.

    """
    horizon = windows.target.shape[1]
    series = windows.series_index.repeat_interleave(horizon).numpy()
    start = windows.start.repeat_interleave(horizon).numpy()
    position = start + np.tile(np.arange(horizon), windows.windows)
    columns = [
        (column_name(data, "id_col", "series_id"), pl.Series(data.series_ids).gather(series)),
        (column_name(data, "time_col", "timestamp"), data.store.timestamps_at(series, position)),
        ("cutoff", data.store.timestamps_at(series, start - 1)),
    ]
    columns += [(target, _cells(windows.target, channel)) for channel, target in enumerate(data.target_cols)]
    several = len(data.target_cols) > 1
    for name, forecast in windows.forecasts.items():
        for channel, target in enumerate(data.target_cols):
            called = f"{name}-{target}" if several else name
            columns.append((called, _cells(forecast.point, channel)))
            if forecast.quantiles is None:
                continue
            for one in level:
                for side, quantile in zip(("lo", "hi"), interval_quantiles([one]), strict=True):
                    if quantile in forecast.quantile_levels:
                        bound = forecast.quantiles[..., forecast.quantile_levels.index(quantile)]
                        columns.append((f"{called}-{side}-{level_name(one)}", _cells(bound, channel)))
    check_different([name for name, _ in columns])
    return pl.DataFrame([values.alias(name) for name, values in columns])


def table_columns(models: Iterable[str], data: Any) -> list[str]:
    """Return the columns of :func:`forecast_table` without intervals, in order."""
    several = len(data.target_cols) > 1
    return [
        column_name(data, "id_col", "series_id"),
        column_name(data, "time_col", "timestamp"),
        "cutoff",
        *data.target_cols,
        *(f"{name}-{target}" if several else name for name in models for target in data.target_cols),
    ]


def check_different(names: Sequence[str]) -> None:
    """Raise ValueError where two columns have the same name."""
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ValueError(f"the table would have two columns {twice!r}; rename the model or the column")


def _cells(values: Tensor, channel: int) -> pl.Series:
    """One channel of [W, H, C] as [W * H], null where it is NaN."""
    return pl.Series(values[..., channel].reshape(-1).numpy()).fill_nan(None)
