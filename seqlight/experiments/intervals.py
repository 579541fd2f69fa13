"""Prediction intervals of a forecast: made on the calibration part, judged on the test part."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from seqlight.data import WindowDataModule
from seqlight.evaluation import WindowForecasts, forecast_windows
from seqlight.experiments.selection import Selection
from seqlight.intervals import (
    AdaptiveConformal,
    ForecastWindows,
    Interval,
    SplitConformal,
    check_levels,
    interval_methods,
    interval_quantiles,
    quantile_columns,
    value_range,
    within,
)
from seqlight.intervals.scores import ScaledScore
from seqlight.metrics.functional import block_bootstrap, interval_coverage, interval_score
from seqlight.predictor import Forecast

TOLERANCE = 0.05
"""By how much the interval score of a method that adapts may be above the lowest and it is still taken."""


@dataclass(frozen=True)
class IntervalRow:
    """How the intervals of one method and level held on the test part, over all cells with bounds.

    Attributes:
        method: name of the method.
        level: nominal coverage in per cent.
        coverage: share of the known values inside, in per cent.
        coverage_range: its middle 95 % over blocks of time that are drawn anew; NaN where the part is too
            short for two.
        width: mean width, in the target's units.
        score: mean interval score, likewise.
        score_range: its middle 95 %, as for the coverage.
        cells: number of cells with bounds and a known value.
    """

    method: str
    level: float
    coverage: float
    coverage_range: tuple[float, float]
    width: float
    score: float
    score_range: tuple[float, float]
    cells: int


@dataclass(frozen=True)
class Calibrated:
    """The intervals of a selection's forecast.

    Attributes:
        method: name of the method in use.
        chosen_by: interval score of each method on the later half of the calibration part, relative to the
            lowest; empty where the caller named it or there was too little to choose by.
        fitted: the method itself, which has seen the calibration part and, if it adapts, the test part.
        rows: how it held on the test part, one row for each level.
        every: rows of all methods, of the one in use as well; empty unless they were wanted.
        forecast: bounds of the selection's forecast, by level.
        selection: the selection with the bounds as quantiles of its forecast and of that of the test part.
        notes: what is to be said, one sentence each.
    """

    method: str
    chosen_by: Mapping[str, float]
    fitted: SplitConformal
    rows: list[IntervalRow]
    every: list[IntervalRow]
    forecast: Mapping[float, Interval]
    selection: Selection
    notes: list[str]


def wanted_quantiles(levels: Sequence[float]) -> tuple[float, ...]:
    """Return the quantiles that any method may ask a model for, rising."""
    return tuple(sorted({*interval_quantiles(check_levels(levels)), *ScaledScore.spread_levels}))


def calibrate(
    selection: Selection,
    data: WindowDataModule,
    levels: Sequence[float],
    *,
    method: str | None = None,
    every: bool = False,
    refit_data: WindowDataModule | None = None,
) -> Calibrated:
    """Make intervals around a selection's forecast.

    Each method is fitted on the earlier half of the calibration part and judged on the later one, by the
    interval score relative to the lowest, mean over the levels. Of methods within 5 % of the lowest those
    that adapt are preferred, for the drift to come can be faster than that seen so far; else the lowest is
    taken. Then it is fitted on the whole part. A method that adapts goes on learning from each score of the
    test part once its target is known. The test part decides nothing.

    Args:
        selection: made with ``quantile_levels=wanted_quantiles(levels)``.
        data: the DataModule of the selection, with a calibration part.
        levels: in per cent.
        method: the one to take; None chooses.
        every: whether to judge all methods on the test part.
        refit_data: where the selection's forecast is that of the model made again
            (:func:`seqlight.experiments.refit`): the data of which it was. Margins keep their size relative
            to each series' scale, which is that of these data then.

    Raises:
        ValueError: no calibration part, or a method that is unknown or cannot be had of this model.

    """
    levels = check_levels(levels)
    if not len(data.dataset("calibration")):
        raise ValueError("data: expected a calibration part, got none; give calibration_size above 0")
    name = selection.chosen
    calibration = as_windows(
        forecast_windows(
            {name: selection.predictor}, data, part="calibration", quantile_levels=wanted_quantiles(levels)
        ),
        name,
    )
    test = as_windows(selection.test, name)
    with_quantiles = calibration.forecast.quantiles is not None
    methods = interval_methods(levels, with_quantiles=with_quantiles)
    if method is not None and method not in methods:
        known = ", ".join(map(repr, methods))
        hint = "" if with_quantiles else f"; {name} says nothing of its errors, so that there is no other"
        raise ValueError(f"method: expected one of {known}, got {method!r}{hint}")
    scores: dict[str, float] = {}
    if method is None:
        scores = compare_methods(calibration, levels, with_quantiles=with_quantiles)
        method = preferred(scores, methods) if scores else next(iter(methods))
    bounds = value_range(selection.predictor)
    rows: dict[str, list[IntervalRow]] = {}
    of_test: dict[str, dict[float, Interval]] = {}
    for called, one in methods.items():
        if called != method and not every:
            continue
        one.fit(calibration, data=data)
        if isinstance(one, AdaptiveConformal):
            one.observe(test)
        of_test[called] = bounded(one, test, bounds)
        rows[called] = judge(called, of_test[called], test)
    chosen, newest = methods[method], data
    if refit_data is not None:
        chosen, newest = chosen.rescaled(scale_ratio(data, refit_data)), refit_data
    future = ForecastWindows(
        forecast=selection.forecast,
        target=torch.full_like(selection.forecast.point, torch.nan),
        series_index=selection.series_index,
        start=selection.start,
        scale=scale_of(newest, selection.series_index),
    )
    made = bounded(chosen, future, bounds)
    return Calibrated(
        method=method,
        chosen_by=scores,
        fitted=chosen,
        rows=rows[method],
        every=[row for some in rows.values() for row in some] if every else [],
        forecast=made,
        selection=with_bounds(selection, made, of_test[method]),
        notes=empty_notes(chosen, made, selection.forecast.point),
    )


def with_bounds(
    selection: Selection, forecast: Mapping[float, Interval], test: Mapping[float, Interval]
) -> Selection:
    """Return a selection whose forecasts, future and test, have intervals as their quantiles."""

    def quantiles(point: Tensor, made: Mapping[float, Interval]) -> Forecast:
        levels, values = quantile_columns(made)
        return Forecast(point, values, levels)

    name = selection.chosen
    judged = quantiles(selection.test.forecasts[name].point, test)
    return replace(
        selection,
        forecast=quantiles(selection.forecast.point, forecast),
        test=replace(selection.test, forecasts={**selection.test.forecasts, name: judged}),
    )


def as_windows(windows: WindowForecasts, name: str) -> ForecastWindows:
    """Return the windows of one predictor as intervals are made from them."""
    return ForecastWindows(
        forecast=windows.forecasts[name],
        target=windows.target.masked_fill(~windows.known, torch.nan),
        series_index=windows.series_index,
        start=windows.start,
        scale=windows.scale,
    )


def bounded(method: SplitConformal, windows: ForecastWindows, allowed: Any) -> dict[float, Interval]:
    """Return the intervals of windows, within what values can be."""
    made = method.intervals(
        windows.forecast, series_index=windows.series_index, start=windows.start, scale=windows.scale
    )
    return made if allowed is None else {level: within(interval, allowed) for level, interval in made.items()}


def compare_methods(
    calibration: ForecastWindows, levels: Sequence[float], *, with_quantiles: bool
) -> dict[str, float]:
    """Return each method's interval score relative to the lowest, fitted and judged on half of the windows.

    Cells are divided by their series' scale where there is one; levels for which a method has no bounds are
    left out for all. Empty where nothing can be compared.
    """
    earlier, later = calibration.halves()
    if not len(earlier):
        return {}
    count = int(calibration.series_index.max()) + 1
    unit = torch.ones(()) if later.scale is None else later.scale[:, None]
    found: dict[str, list[float]] = {}
    for name, method in interval_methods(levels, with_quantiles=with_quantiles).items():
        if isinstance(method, AdaptiveConformal):
            # The step size that it will have is settled on these two halves as well.
            method.fit(calibration, series_count=count).fit(earlier, series_count=count).observe(later)
        else:
            method.fit(earlier, series_count=count)
        made = bounded(method, later, None)
        found[name] = [
            float((interval_score(*made[level], later.target, level) / unit).nanmean()) for level in made
        ]
    usable = [place for place in range(len(levels)) if all(math.isfinite(s[place]) for s in found.values())]
    if not usable:
        return {}
    lowest = [min(scores[place] for scores in found.values()) or 1.0 for place in usable]
    return {
        name: sum(scores[place] / least for place, least in zip(usable, lowest, strict=True)) / len(usable)
        for name, scores in found.items()
    }


def preferred(scores: Mapping[str, float], methods: Mapping[str, SplitConformal]) -> str:
    """Return the method to take: the best that adapts, if it is within 5 % of the lowest, else the lowest."""
    lowest = min(scores, key=lambda name: scores[name])
    adapting = [name for name in scores if isinstance(methods[name], AdaptiveConformal)]
    best = min(adapting, key=lambda name: scores[name])
    return best if scores[best] <= (1 + TOLERANCE) * scores[lowest] else lowest


def judge(name: str, made: Mapping[float, Interval], windows: ForecastWindows) -> list[IntervalRow]:
    """Return how intervals held, one row for each level."""
    rows = []
    block = windows.target.shape[1]
    for level, (lower, upper) in made.items():
        inside = interval_coverage(lower, upper, windows.target)
        score = interval_score(lower, upper, windows.target, level)
        known = ~inside.isnan()
        cells = int(known.sum())
        counts = in_time(known.double(), windows)
        ranges = [
            block_bootstrap(in_time(values.nan_to_num(0.0).double(), windows), counts, block)
            for values in (inside, score)
        ]
        rows.append(
            IntervalRow(
                method=name,
                level=level,
                coverage=100 * float(inside.nanmean()),
                coverage_range=(100 * ranges[0][0], 100 * ranges[0][1]),
                width=float((upper - lower)[known].mean()),
                score=float(score.nanmean()),
                score_range=ranges[1],
                cells=cells,
            )
        )
    return rows


def judge_quantiles(windows: WindowForecasts, levels: Sequence[float]) -> list[IntervalRow]:
    """Return how the quantiles of predictors held as intervals, one row for each predictor and level.

    Predictors without the quantiles of a level have no row of it.
    """
    rows = []
    for name, forecast in windows.forecasts.items():
        made = {}
        for level in check_levels(levels):
            bounds = interval_quantiles([level])
            if forecast.quantiles is not None and set(bounds) <= set(forecast.quantile_levels):
                places = [forecast.quantile_levels.index(bound) for bound in bounds]
                made[level] = Interval(*(forecast.quantiles[..., place] for place in places))
        rows += judge(name, made, as_windows(windows, name))
    return rows


def in_time(values: Tensor, windows: ForecastWindows) -> Tensor:
    """Return sums over the windows of one start, counted from each series' first, in order."""
    first = torch.full((int(windows.series_index.max()) + 1,), torch.iinfo(torch.int64).max)
    first = first.scatter_reduce(0, windows.series_index, windows.start, "amin")
    place = windows.start - first[windows.series_index]
    return torch.zeros(int(place.max()) + 1, dtype=values.dtype).index_add_(0, place, values.sum((1, 2)))


def scale_of(data: Any, series_index: Tensor) -> Tensor | None:
    """Return the denominators of MASE of some series, ``[B, C]``; None where the data have none."""
    scale = getattr(data, "scale", None)
    return None if scale is None else torch.as_tensor(scale)[series_index]


def scale_ratio(before: Any, after: Any) -> Tensor:
    """Return the denominators of MASE of the same series in other data over those before, ``[S, C]``."""
    scales = [getattr(data, "scale", None) for data in (after, before)]
    if scales[0] is None or scales[1] is None:
        return torch.ones(len(before.series_ids), before.target_size)
    return torch.as_tensor(scales[0]) / torch.as_tensor(scales[1])


def empty_notes(method: SplitConformal, made: Mapping[float, Interval], point: Tensor) -> list[str]:
    """Say in one sentence which bounds of a forecast are empty though there is a forecast, and why."""
    for level, interval in made.items():
        empty = (interval.lower.isnan() & ~point.isnan()).flatten(1).any(1)
        if bool(empty.any()):
            where = "" if len(empty) == 1 else f" of {int(empty.sum())} series"
            steps = "any step" if bool(interval.lower.isnan().all()) else "some steps"
            return [
                f"no interval of {level:g} %{where} at {steps}: {method.empty_note(level)} in the "
                "calibration part, in a series of its own or in all together"
            ]
    return []
