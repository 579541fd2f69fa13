"""What a report is made of: series with their forecasts, and forecasts of the past with what came."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.floating[Any]]
Band = tuple[FloatArray, FloatArray]
"""Lower and upper edge."""


@dataclass(frozen=True, kw_only=True)
class Series:
    """One series of one column, with its forecast or its filled cells.

    Args:
        name: what tells it from the others, such as an id; any text, it is escaped.
        unit: what the values are; a column's name will do.
        time: ``datetime64`` or integer steps [N], increasing.
        values: float [N]; NaN where missing. Filled cells hold what they were filled with.
        forecast_time: like ``time`` [H], after it; empty without a forecast.
        forecast: float [H].
        bands: by level in percent, lower and upper edge [H] around the forecast.
        actual: float [H], what really came, or None.
        filled: bool [N], which values were filled in, or None.

    Raises:
        ValueError: arrays that belong together differ in shape, or a level is no percentage.
    """

    name: str
    unit: str
    time: NDArray[Any]
    values: FloatArray
    forecast_time: NDArray[Any] = field(default_factory=lambda: np.array([], "datetime64[us]"))
    forecast: FloatArray = field(default_factory=lambda: np.array([]))
    bands: Mapping[float, Band] = field(default_factory=dict)
    actual: FloatArray | None = None
    filled: NDArray[np.bool_] | None = None

    def __post_init__(self) -> None:
        _check_levels(self.bands, "Series")
        lower = {f"bands[{level:g}]": edge for level, edges in self.bands.items() for edge in edges}
        of_history = {"values": self.values, "filled": self.filled}
        of_forecast = {"forecast": self.forecast, "actual": self.actual, **lower}
        for arrays, axis in ((of_history, "time"), (of_forecast, "forecast_time")):
            shape = getattr(self, axis).shape
            for name, array in arrays.items():
                if array is not None and (array.ndim != 1 or array.shape != shape):
                    raise ValueError(
                        f"Series {self.name!r}: {name} expected shape {shape} like {axis}, got {array.shape}"
                    )


@dataclass(frozen=True, kw_only=True)
class PastForecasts:
    """Forecasts of windows that no model was fitted on, with what came; all models see the same windows.

    Args:
        series: int [W], the position of each window's series in the report's list.
        time: ``datetime64`` or integer steps [W, H], the steps that were forecast.
        target: float [W, H], what came; NaN where missing.
        preds: by model, float [W, H].
        bands: by level in percent, lower and upper edge [W, H] of the model that the report is about.
        scale: float [W], the denominators of MASE; None to take them from the series themselves.

    Raises:
        ValueError: no model, or arrays that do not fit together.
    """

    series: NDArray[np.integer[Any]]
    time: NDArray[Any]
    target: FloatArray
    preds: Mapping[str, FloatArray]
    bands: Mapping[float, Band] = field(default_factory=dict)
    scale: FloatArray | None = None

    def __post_init__(self) -> None:
        if not self.preds:
            raise ValueError("PastForecasts: preds expected at least one model, got none")
        _check_levels(self.bands, "PastForecasts")
        shape = self.target.shape
        edges = {f"bands[{level:g}]": edge for level, pair in self.bands.items() for edge in pair}
        models = {f"preds[{name!r}]": values for name, values in self.preds.items()}
        for name, array in {"time": self.time, **models, **edges}.items():
            if array.shape != shape or array.ndim != 2:
                raise ValueError(
                    f"PastForecasts: {name} expected shape [W, H] = {shape} like target, got {array.shape}"
                )
        for name, one in {"series": self.series, "scale": self.scale}.items():
            if one is not None and one.shape != shape[:1]:
                raise ValueError(
                    f"PastForecasts: {name} expected shape {shape[:1]}, one of each window, got {one.shape}"
                )


@dataclass(frozen=True, kw_only=True)
class ModelRun:
    """What is known of a model beside its errors.

    Args:
        seconds: time that its training took, or None.
        weight: its share in an ensemble, between 0 and 1, or None.
        note: a few words, such as "best of 12 epochs".
    """

    seconds: float | None = None
    weight: float | None = None
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Where a report comes from, for its last section and its head.

    Args:
        source: the file or what else the data are.
        command: the command that makes the report again, or "".
        settings: name and value of what was set or chosen.
        notes: sentences about what was dropped, filled, cut or chosen.
        made: when, as text; "" for now.
    """

    source: str = ""
    command: str = ""
    settings: Mapping[str, object] = field(default_factory=dict)
    notes: Sequence[str] = ()
    made: str = ""


def _check_levels(bands: Mapping[float, Band], owner: str) -> None:
    for level in bands:
        if not 1 <= level < 100:
            meant = f"; for {100 * level:g} % give {100 * level:g}" if 0 < level < 1 else ""
            raise ValueError(
                f"{owner}: levels of bands are percent from 1 to below 100, got {level:g}{meant}"
            )
