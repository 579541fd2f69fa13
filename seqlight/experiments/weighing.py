"""How the members of a portfolio are judged, and joined with weights."""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from seqlight.data import ForecastDataModule, WindowDataModule
from seqlight.evaluation import WindowForecasts, forecast_windows
from seqlight.evaluation.window_forecasts import joined
from seqlight.experiments.candidates import Candidate
from seqlight.experiments.ensemble_weights import (
    ScoredCells,
    combined,
    weights_of_origins,
    weights_of_series,
    weights_without_scale,
)
from seqlight.experiments.member_training import members_again
from seqlight.experiments.members import ROBUST
from seqlight.experiments.network_training import Again
from seqlight.experiments.selection import best_row, deciding_error
from seqlight.models import EnsembleForecaster, Forecaster
from seqlight.predictor import Forecast

MOST_CELLS = 4_000_000
"""Cells of forecasts that members are judged on; of more, windows at even distances are taken."""

LEAST_HORIZONS = 8
"""Horizons, one behind the other, that a series' validation windows span before it has weights of its own."""

ENSEMBLE = "ensemble"


@dataclass(frozen=True)
class Weighed:
    """Members with their weights.

    Attributes:
        weights: of each member by its name; they add up to 1.
        series_weights: weights of the members of the ensemble, in their order, by the ids of the series that
            have their own.
        errors: of each member, and of the ensemble, on the validation windows.
        error: what these are: ``"mase"``, or ``"mae"`` where there is no MASE.
        ensemble: the weighted mean as one candidate; None where one member has all weight.
        windows: the windows that were judged, as all members and the ensemble forecast them.
    """

    weights: dict[str, float]
    series_weights: dict[str, list[float]]
    errors: dict[str, float]
    error: str
    ensemble: Candidate | None
    windows: WindowForecasts


def weigh(
    members: Sequence[Candidate],
    data: WindowDataModule,
    bounds: Mapping[str, Any],
    origins: Sequence[WindowForecasts] = (),
) -> Weighed:
    """Judge members on the validation part, or at several origins, and join those that have weight.

    Args:
        members: the simplest first.
        data: a DataModule with a validation part.
        bounds: ``bounds``, ``nonnegative`` and ``integer`` of the mean.
        origins: forecasts from several origins, the latest first, that are judged in place of the validation
            part; none for that part.

    """
    names = [member.name for member in members]
    windows = joined(origins, "val") if origins else judged_windows(members, data)
    preds = torch.stack([windows.forecasts[name].point for name in names])
    scale, error = windows.scale, "mase"
    if scale is None or not bool(scale.isfinite().any()):
        scale, error = torch.ones(windows.target.shape[0], windows.target.shape[2]), "mae"
    cells = ScoredCells(windows.target, windows.known, scale)
    own: dict[int, Tensor] = {}
    if origins:
        weights = weights_of_origins(preds, cells, len(origins[0].target))
    else:
        weights, own = weights_of_series(
            preds, cells, windows.series_index, windows.start, least_horizons=LEAST_HORIZONS
        )
    own = weights_without_scale(preds, cells, windows.series_index, weights) | own
    count = cells.counts.sum().double()
    errors = {name: float(cells.sums(preds[index]).sum() / count) for index, name in enumerate(names)}
    taken = _taken(weights, own)
    if len(taken) > 1:
        series_weights = {
            data.series_ids[series]: row[taken].double().tolist() for series, row in sorted(own.items())
        }
        ensemble = _mean_of(
            [members[index] for index in taken],
            weights[taken].double().tolist(),
            series_weights,
            bounds,
            data.series_ids,
        )
        rows = torch.stack([own.get(int(one), weights) for one in windows.series_index])
        mean = ensemble.predictor.bounds.apply(combined(preds, rows))  # type: ignore[attr-defined]
        error_of_mean = float(cells.sums(mean).sum() / count)
        if error_of_mean < min(errors.values()):
            return Weighed(
                dict(zip(names, weights.tolist(), strict=True)),
                series_weights,
                {**errors, ENSEMBLE: error_of_mean},
                error,
                ensemble,
                replace(windows, forecasts={ENSEMBLE: Forecast(mean), **windows.forecasts}),
            )
    # Of equals the simplest, and so the first.
    best = min(names, key=lambda name: errors[name] if math.isfinite(errors[name]) else math.inf)
    return Weighed({name: float(name == best) for name in names}, {}, errors, error, None, windows)


def _mean_of(
    members: Sequence[Candidate],
    weights: list[float],
    series_weights: dict[str, list[float]],
    bounds: Mapping[str, Any],
    series_ids: Sequence[str],
) -> Candidate:
    """Return the weighted mean of members as a candidate."""
    started = time.monotonic()
    joined = EnsembleForecaster.of(
        [member.predictor for member in members],  # type: ignore[misc]
        weights,
        series_ids=list(series_weights) or None,
        series_weights=list(series_weights.values()) or None,
        **bounds,
    )
    joined.use_series(series_ids)
    again = _mean_again(members, weights, series_weights, bounds)
    return Candidate(
        ENSEMBLE,
        joined,
        seconds=time.monotonic() - started,
        again=again,
        members=tuple(member.name for member in members),
    )


def _mean_again(
    members: Sequence[Candidate],
    weights: list[float],
    series_weights: dict[str, list[float]],
    bounds: Mapping[str, Any],
) -> Again:
    """Return what makes the weighted mean again of more data: each member that is fitted, and their weights
    as they are."""

    def again(more: ForecastDataModule, max_time: float | None) -> Candidate:
        started = time.monotonic()
        made = _mean_of(
            members_again(members, more, max_time), weights, series_weights, bounds, more.series_ids
        )
        return replace(made, seconds=time.monotonic() - started, again=None)

    return again


def _taken(weights: Tensor, own: dict[int, Tensor]) -> list[int]:
    """Return the members that have weight for some series."""
    used = torch.stack([weights, *own.values()]).amax(0) > 0
    return used.nonzero().flatten().tolist()


def best_cycle(members: Sequence[Candidate], data: WindowDataModule) -> int | None:
    """Return the cycle with which least squares are best on the validation part; None where none has one."""
    with_cycle = [
        one for one in members if isinstance(one.predictor, Forecaster) and one.predictor.learned_cycle
    ]
    if not with_cycle:
        return None
    windows = judged_windows(with_cycle, data)
    by_name = {one.name: one for one in with_cycle}
    best = best_row(windows.rows, deciding_error(windows.rows))["model"]
    return by_name[best].predictor.learned_cycle.cycle  # type: ignore[attr-defined]


def best_look_back(members: Sequence[Candidate], data: WindowDataModule) -> int | None:
    """Return the shorter look-back with which linear forecasts are better on the validation part; None for
    that of the windows."""
    linear = [one for one in members if one.name.startswith(ROBUST[:-1])]
    if len(linear) < 2:
        return None
    windows = judged_windows(linear, data)
    by_name = {one.name: one.predictor for one in linear}
    best = by_name[best_row(windows.rows, deciding_error(windows.rows))["model"]]
    return best.forecasters[0].context_length if isinstance(best, EnsembleForecaster) else None


def judged_windows(members: Sequence[Candidate], data: WindowDataModule) -> WindowForecasts:
    """Forecast the windows of the validation part by all members, of many windows some at even distances."""
    dataset = data.dataset("val")
    cells = data.prediction_length * data.target_size * len(members)
    count = min(len(dataset), max(1, MOST_CELLS // cells))
    numbers = torch.linspace(0, len(dataset) - 1, count).round().to(torch.int64).unique()
    batches = [dataset.__getitems__(some) for some in numbers.split(256)]
    return forecast_windows({member.name: member.predictor for member in members}, batches, part="val")
