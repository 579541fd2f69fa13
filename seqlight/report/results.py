"""Reports of what ``seqlight.experiments`` and ``seqlight.evaluation`` give."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from seqlight.evaluation import ImputationRow, WindowForecasts
from seqlight.experiments import Candidate, Selection
from seqlight.predictor import Forecast
from seqlight.report.build import Kind, build
from seqlight.report.inputs import Band, FloatArray, ModelRun, Origin, PastForecasts, Series
from seqlight.report.model import HiddenErrors, Report

HIDDEN_METRICS = {"mae": "MAE", "rmse": "RMSE", "mre": "MRE"}
NO_LIMITS = (None, None)


def of_selection(
    selection: Selection,
    data: Any,
    *,
    spread: Mapping[float, Band] | None = None,
    limits: tuple[float | None, float | None] = NO_LIMITS,
    title: str = "",
    origin: Origin | None = None,
) -> Report:
    """Report a forecast, and how its models did on the test part.

    Args:
        selection: what :func:`seqlight.experiments.select` returned. Quantiles of its forecasts that lie
            opposite each other (0.1 and 0.9) are bands.
        data: the DataModule that it was made from.
        spread: for forecasts without quantiles, by level in percent what to add for the lower and the upper
            edge, [S, H, C]; NaN where nothing is known.
        limits: lowest and highest value that a band may reach, None for none.
        title: heading.
        origin: source, command, settings.

    """
    forecast, chosen = selection.forecast, selection.chosen
    places = selection.series_index.numpy()
    bands = _bands(forecast, spread, places, limits)
    point = forecast.point.double().numpy()
    series = []
    for row, (place, start) in enumerate(zip(places.tolist(), selection.start.tolist(), strict=True)):
        series += _series(data, place, start, point[row], {level: _cut(b, row) for level, b in bands.items()})
    past = _past(selection.test, data, places, chosen, spread, limits)
    return build(
        series,
        kind="forecast",
        past=past,
        chosen=chosen,
        runs=runs_of(selection.candidates.values(), selection.weights),
        season_length=data.season_length,
        title=title,
        origin=origin,
    )


def of_windows(
    windows: WindowForecasts,
    data: Any,
    *,
    kind: Kind = "backtest",
    chosen: str | None = None,
    runs: Mapping[str, ModelRun] | None = None,
    title: str = "",
    origin: Origin | None = None,
) -> Report:
    """Report forecasts of the past; each series is drawn with its last one, and with what came.

    Args:
        windows: what :func:`seqlight.evaluation.forecast_windows` returned.
        data: the DataModule that it was made from.
        kind: ``"backtest"`` or ``"compare"``.
        chosen: the model that is drawn; None for the one with the lowest MASE.
        runs: by model, its time, its weight and the like, see :func:`runs_of`.
        title: heading.
        origin: source, command, settings.

    """
    if chosen is None:
        by = "mase" if any(np.isfinite(row["mase"]) for row in windows.rows) else "mae"
        chosen = min(windows.rows, key=lambda row: np.nan_to_num(float(row[by]), nan=np.inf))["model"]  # type: ignore[literal-required]
    index, start = windows.series_index.numpy(), windows.start.numpy()
    order = np.lexsort((start, index))
    places, first = np.unique(index[order], return_index=True)
    last = order[np.concatenate([first[1:], [len(order)]]) - 1]
    forecast = windows.forecasts[chosen]
    bands = _bands(forecast, None, places, NO_LIMITS)
    target = _known(windows)
    point = forecast.point.double().numpy()
    series = []
    for place, row in zip(places.tolist(), last.tolist(), strict=True):
        own = {level: _cut(band, row) for level, band in bands.items()}
        series += _series(data, place, int(start[row]), point[row], own, target[row])
    return build(
        series,
        kind=kind,
        past=_past(windows, data, places, chosen),
        chosen=chosen,
        runs=runs,
        season_length=data.season_length,
        title=title,
        origin=origin,
    )


def of_filled(
    data: Any,
    values: NDArray[np.floating[Any]],
    filled: NDArray[np.bool_],
    *,
    errors: Sequence[ImputationRow] = (),
    chosen: Mapping[str, str] | None = None,
    names: Mapping[str, str] | None = None,
    runs: Mapping[str, ModelRun] | None = None,
    title: str = "",
    origin: Origin | None = None,
) -> Report:
    """Report filled gaps.

    Args:
        data: an ``ImputationDataModule``, with ``times(series_index)`` where its rows have times.
        values: [rows, C], known and filled ones, in the order of ``data.store.values``.
        filled: bool [rows, C], which were filled.
        errors: what :func:`seqlight.evaluation.compare_imputers` returned.
        chosen: by column, the imputer that fills it.
        names: what the report calls each imputer, by name.
        runs: by imputer, its time and the like.
        title: heading.
        origin: source, command, settings.

    """
    chosen, names = dict(chosen or {}), dict(names or {})
    store, columns = data.store, list(data.target_cols)
    series = []
    for place in range(len(store)):
        rows = slice(int(store.indptr[place]), int(store.indptr[place + 1]))
        time = data.times(place) if hasattr(data, "times") else np.arange(rows.stop - rows.start)
        for channel, column in enumerate(columns):
            series.append(
                Series(
                    name=_name(data, place, column),
                    unit=column,
                    time=time,
                    values=values[rows, channel].astype(np.float64),
                    filled=filled[rows, channel],
                    forecast_time=time[:0],
                )
            )
    gaps = [one for one in series if one.filled is not None and one.filled.any()]
    hidden = [
        HiddenErrors(
            column=row["column"],
            method=names.get(row["model"], row["model"]),
            errors={title: float(row[metric]) for metric, title in HIDDEN_METRICS.items()},  # type: ignore[literal-required]
            cells=row["cells"],
            chosen=chosen.get(row["column"]) == row["model"],
        )
        for row in errors
    ]
    called = {names.get(name, name): run for name, run in (runs or {}).items()}
    return build(gaps or series, kind="impute", hidden=hidden, runs=called, title=title, origin=origin)


def runs_of(
    candidates: Sequence[Candidate] | Any, weights: Mapping[str, float] | None = None
) -> dict[str, ModelRun]:
    """Return what a report shows of candidates beside their errors; weights where more than one has any."""
    shares = {name: weight for name, weight in (weights or {}).items() if weight > 0}
    found = {}
    for one in candidates:
        note = ""
        if one.fitted is not None:
            epochs = one.fitted.epochs
            note = f"best of {epochs} epochs: number {one.fitted.best_epoch}" if epochs > 1 else "1 epoch"
        found[one.name] = ModelRun(
            seconds=one.seconds if one.seconds else None,
            weight=shares.get(one.name) if len(shares) > 1 else None,
            note=note,
        )
    return found


def naive_times(times: pl.Series) -> NDArray[Any]:
    """Return times as ``datetime64``, in their own zone's wall time; positions as they are."""
    if getattr(times.dtype, "time_zone", None) is not None:
        times = times.dt.replace_time_zone(None)
    return times.to_numpy()


def _name(data: Any, place: int, column: str) -> str:
    """What tells a series of a column from the others: its id, the column, or both."""
    several_columns = len(data.target_cols) > 1
    if len(data.store) == 1 and getattr(data, "id_col", None) is None:
        return column
    series = str(data.store.ids[place])
    return f"{series}, {column}" if several_columns else series


def _series(
    data: Any,
    place: int,
    start: int,
    point: FloatArray,
    bands: Mapping[float, Band],
    actual: FloatArray | None = None,
) -> list[Series]:
    """One series of each column: what is known before ``start``, and the forecast [H, C] from there."""
    values = data.store.series(place)[:start].astype(np.float64)
    times = naive_times(data.store.numbered(data.store.timestamps(place, 0, start + len(point))))
    found = []
    for channel, column in enumerate(data.target_cols):
        own = {level: (low[:, channel], high[:, channel]) for level, (low, high) in bands.items()}
        found.append(
            Series(
                name=_name(data, place, column),
                unit=column,
                time=times[:start],
                values=values[:, channel],
                forecast_time=times[start:],
                forecast=point[:, channel],
                bands={level: band for level, band in own.items() if np.isfinite(band[0]).any()},
                actual=None if actual is None else actual[:, channel],
            )
        )
    return found


def _past(
    windows: WindowForecasts,
    data: Any,
    places: NDArray[np.int64],
    chosen: str,
    spread: Mapping[float, Band] | None = None,
    limits: tuple[float | None, float | None] = NO_LIMITS,
) -> PastForecasts:
    """The windows with every column as a series of its own, numbered in the order of ``places``."""
    index, start = windows.series_index.numpy(), windows.start.numpy()
    _, horizon, channels = windows.target.shape
    position = np.full(len(data.store), -1)
    position[places] = np.arange(len(places))
    kept = position[index] >= 0  # the others have no forecast, such as series that ended

    def apart(values: NDArray[Any]) -> NDArray[Any]:
        """[W, H, C] as [kept C, H]."""
        return np.asarray(values)[kept].transpose(0, 2, 1).reshape(-1, horizon)

    times = _window_times(data, index[kept], start[kept], horizon)
    scale = None
    if windows.scale is not None:
        scale = windows.scale.double().numpy()[kept].ravel()
        scale[scale == 0] = np.nan
    bands = _bands(windows.forecasts[chosen], spread, index, limits)
    return PastForecasts(
        series=(position[index[kept]][:, None] * channels + np.arange(channels)).ravel(),
        time=np.repeat(times, channels, axis=0),
        target=apart(_known(windows)),
        preds={name: apart(one.point.double().numpy()) for name, one in windows.forecasts.items()},
        bands={level: (apart(low), apart(high)) for level, (low, high) in bands.items()},
        scale=scale,
    )


def _window_times(
    data: Any, index: NDArray[np.int64], start: NDArray[np.int64], horizon: int
) -> NDArray[Any]:
    """Times [W, H] of windows."""
    positions = start[:, None] + np.arange(horizon)
    times = data.store.timestamps_at(np.repeat(index, horizon), positions.ravel())
    return naive_times(data.store.numbered(times)).reshape(-1, horizon)


def _known(windows: WindowForecasts) -> FloatArray:
    """What came [W, H, C], NaN where a cell does not count."""
    return np.where(windows.known.numpy(), windows.target.double().numpy(), np.nan)


def _bands(
    forecast: Forecast,
    spread: Mapping[float, Band] | None,
    places: NDArray[np.int64],
    limits: tuple[float | None, float | None],
) -> dict[float, Band]:
    """By level in percent, the edges [W, H, C] around forecasts of the series ``places`` [W]."""
    found: dict[float, Band] = {}
    if forecast.quantiles is not None:
        levels = [round(level, 9) for level in forecast.quantile_levels]
        quantiles = forecast.quantiles.double().numpy()
        for low, level in enumerate(levels):
            other = round(1 - level, 9)
            if level < 0.5 and other in levels:
                name = round(100 * (other - level), 6)
                found[name] = (quantiles[..., low], quantiles[..., levels.index(other)])
        return found
    point = forecast.point.double().numpy()
    for level, (lower, upper) in (spread or {}).items():
        edges = point + lower[places], point + upper[places]
        found[level] = (
            (np.clip(edges[0], *limits), np.clip(edges[1], *limits))
            if any(limit is not None for limit in limits)
            else edges
        )
    return found


def _cut(band: Band, row: int) -> Band:
    return band[0][row], band[1][row]
