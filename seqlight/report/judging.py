"""Errors of past forecasts, taken together in the ways that a report shows them."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqlight.report.inputs import Band, FloatArray, PastForecasts, Series
from seqlight.report.model import Coverage, ModelRow, OriginErrors, Residuals, TimeErrors
from seqlight.report.numbers import Digits

SCALED_METRICS = {
    "MASE": "MAE over that of the seasonal naive forecast within the series' past: below 1 is better than it",
    "scaled RMSE": "root of the mean squared error in the same unit, in which large errors count more",
    "sMAPE": "mean of |error| over the mean of |forecast| and |actual|",
    "scaled bias": "mean of forecast - actual in the same unit: above 0 where forecasts are too high",
}
"""Of columns that may differ in their units; those in units say nothing of all together."""
METRICS = {
    "MAE": "mean absolute error",
    "RMSE": "root of the mean squared error, in which large errors count more",
    "MASE": "MAE over that of the seasonal naive forecast within the series' past: below 1 is better than it",
    "sMAPE": "mean of |error| over the mean of |forecast| and |actual|",
    "bias": "mean of forecast - actual: above 0 where forecasts are too high",
}
MOST_LAGS = 40
MOST_BINS = 40
MOST_ORIGINS = 200
WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def scales(series: list[Series], season_length: int, past: PastForecasts | None) -> FloatArray:
    """The denominators [S] of MASE: mean absolute change over a season, before the first past forecast.

    Where windows bring their own, it is their mean over those of the series.
    """
    if past is not None and past.scale is not None:
        known = np.isfinite(past.scale)
        sums = np.bincount(past.series[known], past.scale[known], minlength=len(series))
        return means(sums, np.bincount(past.series[known], minlength=len(series)))
    stops: dict[int, object] = {}
    if past is not None and len(past.series):
        order = np.argsort(past.series, kind="stable")
        names, first = np.unique(past.series[order], return_index=True)
        begins = np.minimum.reduceat(past.time[order, 0], first)
        stops = dict(zip(names.tolist(), begins, strict=True))
    found = np.full(len(series), np.nan)
    for index, one in enumerate(series):
        stop = np.searchsorted(one.time, stops[index]) if index in stops else len(one.time)  # type: ignore[call-overload]
        values = one.values[:stop]
        for lag in (season_length, 1):
            change = np.abs(values[lag:] - values[:-lag]) if len(values) > lag else values[:0]
            change = change[np.isfinite(change)]
            if len(change):
                found[index] = float(change.mean()) or np.nan
                break
    return found


@dataclass(frozen=True)
class Judged:
    """The errors of all models on past forecasts.

    Args:
        past: the forecasts.
        scale: float [S], the denominators of MASE of the series.
        scaled: whether errors are in multiples of these scales, for series of different units.
    """

    past: PastForecasts
    scale: FloatArray
    scaled: bool = False

    @property
    def window_scale(self) -> FloatArray:
        """The denominators of MASE [W, 1] of the windows."""
        own = self.scale[self.past.series] if self.past.scale is None else self.past.scale
        return own[:, None]

    def errors(self, model: str) -> FloatArray:
        """``forecast - actual`` [W, H] in float64; NaN where there is no true value, or no scale."""
        own = self.in_units(model)
        return own / self.window_scale if self.scaled else own

    def in_units(self, model: str) -> FloatArray:
        """``forecast - actual`` [W, H] in the data's units; NaN where there is no true value."""
        return np.asarray(self.past.preds[model], np.float64) - self.past.target

    def row(self, model: str, *, chosen: bool) -> ModelRow:
        """The model's line in the table."""
        errors = self.in_units(model)
        known = np.isfinite(errors)
        inside = errors[known]
        if not len(inside):
            names = SCALED_METRICS if self.scaled else METRICS
            return ModelRow(name=model, errors=dict.fromkeys(names, np.nan), chosen=chosen)
        scaled = errors / self.window_scale
        size = (np.abs(self.past.preds[model]) + np.abs(self.past.target))[known] / 2
        relative = np.divide(np.abs(inside), size, out=np.zeros_like(inside), where=size > 0)
        mase, smape = mean_of_finite(np.abs(scaled)), relative.mean()
        if self.scaled:
            found = {
                "MASE": mase,
                "scaled RMSE": np.sqrt(mean_of_finite(np.square(scaled))),
                "sMAPE": smape,
                "scaled bias": mean_of_finite(scaled),
            }
        else:
            found = {
                "MAE": np.abs(inside).mean(),
                "RMSE": np.sqrt(np.square(inside).mean()),
                "MASE": mase,
                "sMAPE": smape,
                "bias": inside.mean(),
            }
        return ModelRow(
            name=model, errors={name: float(value) for name, value in found.items()}, chosen=chosen
        )

    def by_step(self, model: str) -> FloatArray:
        """Mean absolute error [H] at each step ahead."""
        return means(np.abs(self.errors(model)).sum(0, where=self._known(model)), self._known(model).sum(0))

    def by_origin(self, models: list[str], unit: str, digits: Digits) -> OriginErrors | None:
        """Mean absolute error of each forecast's first time, neighbours merged where they are many."""
        times, place = np.unique(self.past.time[:, :1], return_inverse=True)
        if len(times) < 2:
            return None
        merged = -(-len(times) // MOST_ORIGINS)
        place = place.ravel() // merged
        errors = {}
        for model in models:
            known = self._known(model)
            sums = np.bincount(place, np.abs(self.errors(model)).sum(1, where=known))
            errors[model] = means(sums, np.bincount(place, known.sum(1)))
        return OriginErrors(time=times[::merged], unit=unit, digits=digits, errors=errors, merged=merged)

    def by_series(self, model: str, count: int) -> FloatArray:
        """Mean absolute error [S] of each series, in its units."""
        known = np.isfinite(self.in_units(model))
        absolute = np.abs(self.in_units(model)).sum(1, where=known)
        sums = np.bincount(self.past.series, absolute, minlength=count)
        return means(sums, np.bincount(self.past.series, known.sum(1), minlength=count))

    def by_time(self, model: str, unit: str, digits: Digits) -> list[TimeErrors]:
        """By hour, weekday and month of the times that were forecast, where the steps tell them apart."""
        time = self.past.time
        if time.dtype.kind != "M" or time.shape[1] < 1 or not len(time):
            return []
        days = time.astype("datetime64[D]")
        parts = {
            "hour of the day": (time.astype("datetime64[h]") - days).astype(np.int64),
            "day of the week": (days.astype(np.int64) + 3) % 7,
            "month": time.astype("datetime64[M]").astype(np.int64) % 12,
        }
        labels = {
            "hour of the day": tuple(f"{hour:02d}" for hour in range(24)),
            "day of the week": WEEKDAYS,
            "month": MONTHS,
        }
        if np.diff(np.unique(days.astype(np.int64))).min(initial=366) > 1:
            del parts["day of the week"]  # of a month's first day, it says nothing
        errors, known = np.abs(self.errors(model)), self._known(model)
        found = []
        for part, places in parts.items():
            counts = np.bincount(places[known], minlength=len(labels[part]))
            # Nothing to see where all are in one, and a few days or months say more of themselves.
            if (counts > 0).sum() < 2 or (part != "hour of the day" and not counts.all()):
                continue
            sums = np.bincount(places[known], errors[known], minlength=len(counts))
            found.append(
                TimeErrors(
                    part=part,
                    labels=labels[part],
                    unit=unit,
                    digits=digits,
                    errors=means(sums, counts),
                    count=counts,
                )
            )
        return found

    def residuals(self, model: str, unit: str, digits: Digits) -> Residuals | None:
        """Histogram and autocorrelation of the errors."""
        errors = self.errors(model)
        known = errors[np.isfinite(errors)]
        if len(known) < 2:
            return None
        edges = bin_edges(known)
        counts, _ = np.histogram(np.clip(known, edges[0], edges[-1]), edges)
        correlation, pairs = self._autocorrelation(errors)
        return Residuals(
            unit=unit,
            digits=digits,
            edges=edges,
            counts=counts,
            beyond=float(((known < edges[0]) | (known > edges[-1])).mean()),
            mean=float(known.mean()),
            median=float(np.median(known)),
            std=float(known.std()),
            autocorrelation=correlation,
            bound=1.96 / np.sqrt(pairs) if pairs else np.nan,
            pairs=pairs,
        )

    def _autocorrelation(self, errors: FloatArray) -> tuple[FloatArray, int]:
        """Of each time's error by the forecast made last before it, in the order of time, over all series."""
        windows, horizon = errors.shape
        series = np.repeat(self.past.series, horizon)
        ahead = np.tile(np.arange(horizon), windows)
        time = self.past.time.ravel()
        order = np.lexsort((ahead, time, series))
        series, time, values = series[order], time[order], errors.ravel()[order]
        first = np.ones(len(order), bool)
        first[1:] = (series[1:] != series[:-1]) | (time[1:] != time[:-1])
        series, values = series[first], values[first]
        known = np.isfinite(values)
        size = int(series.max(initial=0)) + 1
        mean = means(
            np.bincount(series[known], values[known], minlength=size),
            np.bincount(series[known], minlength=size),
        )
        values = values - mean[series]
        lags = min(MOST_LAGS, max(0, int(np.bincount(series).max(initial=0)) // 4))
        square = mean_of_finite(values**2)
        if not square > 0:
            return np.array([]), 0
        found = []
        for lag in range(1, lags + 1):
            together = np.where(series[lag:] == series[:-lag], values[lag:] * values[:-lag], np.nan)
            found.append(mean_of_finite(together) / square)
        return np.array(found), int(known.sum())

    def coverage(self, units: FloatArray, unit: str, digits: Digits) -> list[Coverage]:
        """How often each band held what came, narrowest first; ``units`` [W] divides the widths."""
        return [
            one
            for level in sorted(self.past.bands)
            if (one := self._coverage(level, self.past.bands[level], units, unit, digits)) is not None
        ]

    def _coverage(
        self, level: float, band: Band, units: FloatArray, unit: str, digits: Digits
    ) -> Coverage | None:
        lower, upper = band
        target = self.past.target
        judged = np.isfinite(target) & np.isfinite(lower) & np.isfinite(upper)
        if not judged.any():
            return None
        inside = (target >= lower) & (target <= upper)
        return Coverage(
            level=level,
            inside=float(inside[judged].mean()),
            width=float(((upper - lower) / units[:, None])[judged].mean()),
            cells=int(judged.sum()),
            unit=unit,
            digits=digits,
        )

    def _known(self, model: str) -> NDArray[np.bool_]:
        return np.isfinite(self.errors(model))


def bin_edges(known: FloatArray) -> FloatArray:
    """Edges of equal bins over all but the outermost half per cent at each side, by Freedman and Diaconis."""
    low, quarter, three_quarters, high = np.quantile(known, [0.005, 0.25, 0.75, 0.995])
    if not high > low:
        low, high = float(known.min()), float(known.max())
    if not high > low:
        return np.array([low - 0.5, low + 0.5])
    width = 2 * (three_quarters - quarter) / len(known) ** (1 / 3)
    bins = int(np.clip(np.ceil((high - low) / width) if width > 0 else MOST_BINS, 5, MOST_BINS))
    return np.linspace(low, high, bins + 1)


def means(sums: NDArray[Any], counts: NDArray[np.integer[Any]]) -> FloatArray:
    """Quotients, NaN where nothing counts."""
    return np.divide(sums, counts, out=np.full(len(sums), np.nan), where=counts > 0)


def mean_of_finite(values: FloatArray) -> float:
    """The mean of what is finite; NaN for nothing."""
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")
