"""A predictor with intervals around what it forecasts."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol, Self

import torch
from torch import Tensor

from seqlight.intervals.adaptive import AdaptiveConformal
from seqlight.intervals.levels import interval_quantiles
from seqlight.intervals.method import Interval, IntervalMethod, quantile_columns
from seqlight.intervals.windows import ForecastWindows
from seqlight.predictor import Batch, Forecast, Predictor

WHOLE = 1e-3
"""How far from a whole number a bound may lie by rounding errors."""


class ValueRange(Protocol):
    """The values that forecasts can have, as forecasters say in their ``bounds``."""

    low: float | None
    high: float | None
    integer: bool


class ConformalPredictor:
    """A predictor whose quantiles are conformal bounds. It is a predictor itself.

    The point forecast is the predictor's own. Where the predictor has a ``value_range`` or ``bounds``
    (``bounds``, ``nonnegative``, ``integer`` and heads on counts of forecasters), intervals keep within it;
    whole numbers are those inside the interval. Coverage is approximate, see
    :class:`~seqlight.intervals.IntervalMethod`.

    Args:
        predictor: whatever forecasts.
        method: fitted on forecasts of the predictor.

    Raises:
        ValueError: the method is not fitted.

    """

    def __init__(self, predictor: Predictor, method: IntervalMethod) -> None:
        if not method.is_fitted:
            raise ValueError("method: expected a fitted one; call its fit first")
        self.predictor = predictor
        self.method = method
        self.context_length = predictor.context_length
        self.prediction_length = predictor.prediction_length
        self.target_size = predictor.target_size

    @property
    def hparams(self) -> Mapping[str, Any]:
        """The plain values that the predictor was made with, and ``intervals``, those of the method."""
        return {**self.predictor.hparams, "intervals": self.method.arguments()}

    @property
    def trained_until(self) -> Mapping[str, int] | None:
        """By series, the time of the last target that the predictor was trained on; None if not told."""
        return getattr(self.predictor, "trained_until", None)

    def check_data(self, data: Any) -> None:
        """Have the predictor compare a DataModule with what it was made for, and find its series in it."""
        look = getattr(self.predictor, "check_data", None)
        if callable(look):
            look(data)

    def intervals(self, batch: Batch) -> tuple[Forecast, dict[float, Interval]]:
        """Forecast the windows of a batch; return the forecast and an interval of each level.

        Args:
            batch: as for :meth:`predict`; with ``series_index`` and ``start``.

        """
        forecast = self.predictor.predict(batch, quantile_levels=self.method.quantile_levels)
        made = self.method.intervals(
            forecast, series_index=batch["series_index"], start=batch["start"], scale=batch.get("scale")
        )
        allowed = value_range(self.predictor)
        if allowed is not None:
            made = {level: within(interval, allowed) for level, interval in made.items()}
        return forecast, made

    def observe(self, batches: Iterable[Batch]) -> Self:
        """Forecast windows whose outcome is known by now, and have a method that adapts learn from it.

        Args:
            batches: with ``future_target``, such as ``data.test_dataloader()``; NaN where not known yet.

        Returns:
            Itself.

        Raises:
            ValueError: the method does not adapt, or see
                :meth:`~seqlight.intervals.AdaptiveConformal.observe`.

        """
        if not isinstance(self.method, AdaptiveConformal):
            raise ValueError(
                f"method: expected one that adapts, such as AdaptiveConformal, got "
                f"{type(self.method).__name__}, whose margins stay as they were fitted"
            )
        levels = self.method.quantile_levels
        self.method.observe(ForecastWindows.collect(self.predictor, batches, quantile_levels=levels))
        return self

    def predict(self, batch: Batch, *, quantile_levels: Sequence[float] = (), samples: int = 0) -> Forecast:
        """Forecast the windows of a batch, see :class:`~seqlight.predictor.Predictor`.

        Args:
            batch: in the words of the package, with ``series_index`` and ``start``.
            quantile_levels: bounds of the method's levels (0.1 and 0.9 for 80), and 0.5, which is the point
                or the nearest bound of the narrowest interval where the point lies outside.
            samples: must be 0, a conformal interval has none.

        Raises:
            ValueError: a quantile that is no bound of the method's levels, or samples.

        """
        if samples:
            raise ValueError("samples: conformal intervals have none; ask the predictor itself")
        have = sorted({*interval_quantiles(self.method.levels), 0.5})
        missing = [level for level in quantile_levels if not any(abs(level - one) < 1e-9 for one in have)]
        if missing:
            raise ValueError(
                f"quantile_levels: expected some of {_listed(have)}, the bounds of levels "
                f"{_listed(self.method.levels)}, got {missing[0]:g}; fit the method with that level"
            )
        forecast, made = self.intervals(batch)
        if not quantile_levels:
            return Forecast(point=forecast.point)
        levels, values = quantile_columns(made)
        narrowest = made[self.method.levels[0]]
        median = torch.where(forecast.point < narrowest.lower, narrowest.lower, forecast.point)
        median = torch.where(median > narrowest.upper, narrowest.upper, median)
        levels, values = (*levels, 0.5), torch.cat([values, median[..., None]], -1)
        wanted = sorted(set(quantile_levels))
        places = [min(range(len(levels)), key=lambda place: abs(levels[place] - one)) for one in wanted]
        return Forecast(point=forecast.point, quantiles=values[..., places], quantile_levels=tuple(wanted))


def value_range(predictor: Any) -> ValueRange | None:
    """Return the values that can come by what a predictor says; None where it says nothing."""
    found: ValueRange | None = getattr(predictor, "value_range", getattr(predictor, "bounds", None))
    return found


def within(interval: Interval, allowed: ValueRange) -> Interval:
    """Return an interval of values that can be; nothing that can be is lost.

    For whole numbers the bounds are the lowest and highest inside; where there is none, both are the nearest
    to the middle.
    """
    lower, upper = interval
    if allowed.integer:
        middle = ((lower + upper) / 2).round() + 0.0  # 0.0: no -0.0, which a file would show
        low, high = (lower - WHOLE).ceil() + 0.0, (upper + WHOLE).floor() + 0.0
        lower, upper = torch.where(low > high, middle, low), torch.where(low > high, middle, high)
    if allowed.low is not None or allowed.high is not None:
        lower, upper = (_clamped(bound, allowed) for bound in (lower, upper))
    return Interval(lower, upper)


def _clamped(bound: Tensor, allowed: ValueRange) -> Tensor:
    return bound.clamp(allowed.low, allowed.high)


def _listed(numbers: Sequence[float]) -> str:
    return ", ".join(f"{number:g}" for number in numbers)
