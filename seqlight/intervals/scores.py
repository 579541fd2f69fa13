"""Scores: how far a target lies outside of what a model itself says, on either side."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from seqlight.intervals.levels import Levels, interval_quantiles, miss_rate
from seqlight.predictor import Forecast

SMALLEST_SPREAD = 1e-3
"""Of the window's mean spread: a smaller one is taken for that, so that no score is divided by almost 0."""


class Frame(NamedTuple):
    """What a model itself says of one level: an interval ``[B, H, C]``, and the unit of its margins."""

    lower: Tensor
    upper: Tensor
    unit: Tensor


class Score(ABC):
    """A kind of score.

    With the model's own interval ``[l, u]``, unit s and target y, the scores are ``(l - y) / s`` below and
    ``(y - u) / s`` above; a conformal bound is ``l - s t`` or ``u + s t`` with a quantile t of them.
    """

    name: ClassVar[str]
    normalised: ClassVar[bool] = False
    """Whether scores of different series can be compared as they are."""
    needs_quantiles: ClassVar[bool] = False
    """Whether the model has to say something of its errors."""
    signed: ClassVar[bool] = False
    """Whether the larger score of the two sides can be below 0: a model's own interval can be too wide."""

    @abstractmethod
    def quantile_levels(self, levels: Sequence[float]) -> Levels:
        """Return the quantiles that a model has to give for intervals of these levels, rising."""

    @abstractmethod
    def frame(self, forecast: Forecast, level: float) -> Frame:
        """Return what the model itself says of a level.

        Raises:
            ValueError: the forecast lacks a quantile that is needed.

        """

    def of(self, forecast: Forecast, target: Tensor, level: float) -> Tensor:
        """Return the scores of either side, ``[B, H, C, 2]`` float64; NaN where one cannot be had."""
        lower, upper, unit = (part.double() for part in self.frame(forecast, level))
        target = target.double()
        return torch.stack([(lower - target) / unit, (target - upper) / unit], -1)


class ResidualScore(Score):
    """Signed errors of the point forecast, in its units."""

    name = "residual"

    def quantile_levels(self, levels: Sequence[float]) -> Levels:
        """Return none."""
        return ()

    def frame(self, forecast: Forecast, level: float) -> Frame:
        """Return the point twice, and 1."""
        return Frame(forecast.point, forecast.point, torch.ones_like(forecast.point))


class ScaledScore(Score):
    """Errors of the point over the model's own spread, half of the distance of its quantiles 0.1 and 0.9."""

    name = "scaled"
    normalised = True
    needs_quantiles = True
    spread_levels = (0.1, 0.9)

    def quantile_levels(self, levels: Sequence[float]) -> Levels:
        """Return 0.1 and 0.9."""
        return self.spread_levels

    def frame(self, forecast: Forecast, level: float) -> Frame:
        """Return the point twice, and the spread; NaN where the model says 0 for all steps of a window."""
        low, high = (quantile_of(forecast, quantile) for quantile in self.spread_levels)
        spread = (high - low) / 2
        spread = torch.maximum(spread, SMALLEST_SPREAD * spread.mean(1, keepdim=True))
        return Frame(forecast.point, forecast.point, torch.where(spread > 0, spread, torch.nan))


class QuantileScore(Score):
    """Distances from the model's own interval: conformalised quantile regression, Romano et al. 2019."""

    name = "quantile"
    needs_quantiles = True
    signed = True

    def quantile_levels(self, levels: Sequence[float]) -> Levels:
        """Return the quantiles of the intervals' bounds."""
        return interval_quantiles(levels)

    def frame(self, forecast: Forecast, level: float) -> Frame:
        """Return the model's own interval, and 1."""
        half = float(miss_rate(level) / 2)
        return Frame(
            quantile_of(forecast, half),
            quantile_of(forecast, float(1 - miss_rate(level) / 2)),
            torch.ones_like(forecast.point),
        )


SCORES: dict[str, type[Score]] = {kind.name: kind for kind in (ResidualScore, ScaledScore, QuantileScore)}


def quantile_of(forecast: Forecast, level: float) -> Tensor:
    """Return one quantile of a forecast, ``[B, H, C]``.

    Raises:
        ValueError: the forecast does not have it.

    """
    for place, known in enumerate(forecast.quantile_levels):
        if abs(known - level) < 1e-6 and forecast.quantiles is not None:
            return forecast.quantiles[..., place]
    have = ", ".join(f"{known:g}" for known in forecast.quantile_levels) or "none"
    raise ValueError(
        f"forecast: expected its quantile {level:g}, it has {have}; use the score 'residual', which needs "
        "the point alone, or a model that gives this quantile"
    )
