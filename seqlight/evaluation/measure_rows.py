"""Measures of forecasts beside the four errors: bias, RMSSE, stability, OWA, and those of quantiles."""

from collections.abc import Iterator
from typing import Any, TypedDict

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seqlight.evaluation.window_forecasts import WindowForecasts
from seqlight.metrics import (
    ContinuousRankedProbabilityScore,
    MeanAbsoluteScaledChange,
    MeanError,
    OverallWeightedAverage,
    RootMeanSquaredScaledError,
    WeightedQuantileLoss,
)
from seqlight.metrics.functional import naive2, seasonal_naive_scale
from seqlight.metrics.probabilistic import NINE_LEVELS
from seqlight.predictor import Forecast

CELLS_AT_ONCE = 4_000_000  # of histories, for Naive2
MOST_PRODUCTS = 4_000_000_000  # of the correlations in its test of a season: about ten seconds


class MeasureRow(TypedDict):
    """One predictor's measures over all windows; NaN where there is none.

    ``bias`` is the mean of forecast - actual in the target's units, and ``scaled_bias`` in multiples of the
    denominators of MASE; ``stability`` the mean absolute change from the forecast of the origin before,
    likewise. ``owa`` is that of the M4 competition, below 1 for better than Naive2. ``wql`` is over nine
    levels, 0.1 to 0.9; a predictor without these quantiles repeats its point. ``crps`` is in the target's
    units, of predictors with these quantiles.
    """

    model: str
    bias: float
    scaled_bias: float
    rmsse: float
    owa: float
    stability: float
    wql: float
    crps: float


def measures(windows: WindowForecasts, data: Any) -> list[MeasureRow]:
    """Return the measures of each predictor on the same windows.

    Args:
        windows: with their forecasts.
        data: their DataModule, whose series before each window give the denominators of RMSSE, and Naive2.

    """
    mask, target = windows.known, windows.target.double()
    nothing = torch.full((windows.windows, target.shape[2]), torch.nan, dtype=torch.float64)
    scale = nothing if windows.scale is None else windows.scale.double()
    before = of_histories(windows, data)
    rows = []
    for name, forecast in windows.forecasts.items():
        point = forecast.point.double()
        unit = torch.where(scale > 0, scale, torch.nan)[:, None]
        scaled = mask & unit.isfinite()
        values = {
            "bias": _value(MeanError(), point, target, mask),
            "scaled_bias": _value(MeanError(), point / unit, target / unit, scaled),
            "rmsse": float("nan"),
            "owa": float("nan"),
            "stability": _value(
                MeanAbsoluteScaledChange(), point, scale, windows.series_index, windows.start
            ),
            "wql": float("nan"),
            "crps": float("nan"),
        }
        if before is not None:
            simple, squared = before
            values["rmsse"] = _value(RootMeanSquaredScaledError(), point, target, squared, mask)
            judged = mask & simple.isfinite()
            values["owa"] = _value(OverallWeightedAverage(), point, target, simple, scale, judged)
        nine = nine_quantiles(forecast)
        values["wql"] = _value(WeightedQuantileLoss(), point if nine is None else nine, target, mask)
        if nine is not None:
            values["crps"] = _value(ContinuousRankedProbabilityScore(NINE_LEVELS), nine, target, mask)
        rows.append(MeasureRow(model=name, **values))  # type: ignore[typeddict-item]
    return rows


def _value(metric: Any, *values: Tensor) -> float:
    """Return a metric of one batch, summed up in float64."""
    metric.set_dtype(torch.float64)
    metric.update(*values)
    return float(metric.compute())


def nine_quantiles(forecast: Forecast) -> Tensor | None:
    """Return the quantiles 0.1 to 0.9, ``[W, H, C, 9]`` float64, the point for 0.5; None if one lacks."""
    if forecast.quantiles is None:
        return None
    columns = []
    for level in NINE_LEVELS:
        found = [place for place, one in enumerate(forecast.quantile_levels) if abs(one - level) < 1e-9]
        if not found and level != 0.5:
            return None
        columns.append(forecast.quantiles[..., found[0]] if found else forecast.point)
    return torch.stack(columns, -1).double()


def of_histories(windows: WindowForecasts, data: Any) -> tuple[Tensor, Tensor] | None:
    """Return what follows from all that came before each window; None where it would take too long.

    Returns:
        Forecasts of Naive2, ``[W, H, C]``, and the denominators of RMSSE, ``[W, C]``, both float64.

    """
    starts, season = windows.start.numpy(), data.season_length
    if int(starts.clip(0).sum()) * windows.target.shape[2] * season > MOST_PRODUCTS:
        return None
    simple = torch.full(windows.target.shape, torch.nan, dtype=torch.float64)
    scale = simple[:, 0].clone()
    for rows, past in histories(windows, data):
        simple[rows] = naive2(past, simple.shape[1], season)
        scale[rows] = seasonal_naive_scale(past, season, squared=True)
    return simple, scale


def histories(windows: WindowForecasts, data: Any) -> Iterator[tuple[NDArray[np.int64], Tensor]]:
    """Yield windows by their numbers, ``[B]``, with their series up to them, ``[B, L, C]`` float64.

    Shorter ones begin with missing steps, which changes neither seasonal indices nor their phases.
    """
    starts, index = windows.start.numpy(), windows.series_index.numpy()
    channels = windows.target.shape[2]
    order, first = np.argsort(starts, kind="stable"), 0
    while first < len(order):
        last = first + 1
        while last < len(order) and (last + 1 - first) * int(starts[order[last]]) * channels <= CELLS_AT_ONCE:
            last += 1
        rows = order[first:last]
        first, length = last, int(starts[rows].max())
        if length < 1:
            continue
        past = np.full((len(rows), length, channels), np.nan)
        for place, row in enumerate(rows.tolist()):
            known = data.store.series(int(index[row]))[: starts[row]]
            begin = length - int(starts[row])
            past[place, begin : begin + len(known)] = known
        yield rows, torch.from_numpy(past)
