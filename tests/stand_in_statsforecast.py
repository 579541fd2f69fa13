"""A library that stands in for statsforecast where it is not installed, with models that do simple things."""

import sys
import time
from types import ModuleType

import numpy as np
import pytest

from seqlight.models.forecasting import statsforecast_forecaster
from seqlight.models.forecasting.statsforecast_fits import RememberedFits


class Mean:
    """Forecasts ``factor`` times the mean, rising by 1 a step; it cannot fit negative values."""

    fits = 0
    seconds = 0.0

    def __init__(self, factor=1.0):
        self.factor = factor

    def fit(self, y):
        return self

    def forecast(self, y, h, level=None):
        Mean.fits += 1
        time.sleep(self.seconds)
        assert np.isfinite(y).all()
        if y.min() < 0:
            raise ZeroDivisionError("negative")
        return {"mean": np.full(h, self.factor * y.mean()) + np.arange(h)}


class Slow(Mean):
    """Takes its time."""

    seconds = 0.03

    def __init__(self, season_length=1, **_):
        super().__init__(2.0)


class Poor(Slow):
    """Is quick and has large errors."""

    seconds = 0.0


class Season(Mean):
    """Forecasts the mean of each phase of the season."""

    def __init__(self, season_length=1, **_):
        super().__init__()
        self.season_length = season_length

    def forecast(self, y, h, level=None):
        Mean.fits += 1
        days = y[len(y) % self.season_length :].reshape(-1, self.season_length)
        return {"mean": np.resize(days.mean(0) - days.mean() + y[-24:].mean(), h)}


class Library:
    """The stand-in in the place of statsforecast, with nothing remembered of earlier fits."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.patch = patch
        models, package = ModuleType("statsforecast.models"), ModuleType("statsforecast")
        models.Mean, models.AutoETS, models.DynamicOptimizedTheta, models.number = Mean, Slow, Season, 3
        models.SeasonalExponentialSmoothingOptimized, models.SimpleExponentialSmoothingOptimized = Poor, Mean
        package.models = models
        patch.setitem(sys.modules, "statsforecast", package)
        patch.setitem(sys.modules, "statsforecast.models", models)
        patch.setattr(statsforecast_forecaster, "REMEMBERED", RememberedFits())
        patch.setattr(Mean, "fits", 0)

    @property
    def fits(self) -> int:
        """Number of fits so far."""
        return Mean.fits

    def take_away(self) -> None:
        """Let statsforecast be not installed."""
        self.patch.setitem(sys.modules, "statsforecast", None)
        self.patch.setitem(sys.modules, "statsforecast.models", None)
