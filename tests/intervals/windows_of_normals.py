"""Simulated forecasts whose scores are exchangeable, and windows made by hand."""

import torch

from seqlight.intervals import ForecastWindows, interval_quantiles
from seqlight.predictor import Forecast

LEVELS = (80, 95)


def windows(errors, *, point=None, spread=None, series=None, start=None, scale=None):
    """Windows whose targets are off by ``errors`` [W, H, C]; with normal quantiles if a spread is given."""
    errors = torch.as_tensor(errors, dtype=torch.float64)
    count = len(errors)
    point = torch.zeros_like(errors) if point is None else point
    quantiles, levels = None, ()
    if spread is not None:
        levels = interval_quantiles(LEVELS)
        z = torch.distributions.Normal(0.0, 1.0).icdf(torch.tensor(levels, dtype=torch.float64))
        quantiles = point[..., None] + spread[..., None] * z
    return ForecastWindows(
        forecast=Forecast(point, quantiles, levels),
        target=point + errors,
        series_index=torch.zeros(count, dtype=torch.int64) if series is None else torch.as_tensor(series),
        start=torch.arange(count) if start is None else torch.as_tensor(start),
        scale=scale,
    )


def bounds(method, windows):
    """The intervals of a method around the windows' own forecasts."""
    return method.intervals(
        windows.forecast, series_index=windows.series_index, start=windows.start, scale=windows.scale
    )
