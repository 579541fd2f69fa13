"""Fits of models of the library statsforecast, each to one series."""

import hashlib
import importlib
import warnings
from collections import OrderedDict
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

HINT = "pip install 'seqlight[statsforecast]'"
REMEMBERED_CELLS = 4_000_000  # 32 MB


def statsforecast_models() -> ModuleType:
    """Return the module ``statsforecast.models``.

    Raises:
        ImportError: the library is not installed.

    """
    try:
        importlib.import_module("statsforecast")
        return importlib.import_module("statsforecast.models")
    except ImportError as error:
        raise ImportError(f"statsforecast is not installed: {HINT}") from error


def forecast_series(
    model: Any, values: NDArray[np.float64], horizon: int, levels: Sequence[float] = ()
) -> NDArray[np.float64]:
    """Fit a model to one series and forecast.

    Missing values between known ones are filled along a straight line first, and those before the first are
    left out; of those after the last one, the model is asked to forecast them too.

    Args:
        model: a model of ``statsforecast.models``; it is not changed.
        values: ``[L]``, NaN where missing.
        horizon: number H of steps to forecast.
        levels: Q probabilities of quantiles.

    Returns:
        Point and quantiles ``[H, 1 + Q]``; NaN where no value is known, and for quantiles that the model does
        not give.

    """
    known = np.flatnonzero(np.isfinite(values))
    if not len(known):
        return np.full((horizon, 1 + len(levels)), np.nan)
    inside = np.arange(known[0], known[-1] + 1)
    filled = np.interp(inside, known, values[known])
    steps = len(values) - 1 - known[-1] + horizon
    widths = sorted({interval_width(level) for level in levels if level != 0.5})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what the library's own libraries say of their versions
        made = model.forecast(y=filled, h=int(steps), level=widths or None)
    columns = [made["mean"]]
    for level in levels:
        name = "mean" if level == 0.5 else f"{'lo' if level < 0.5 else 'hi'}-{interval_width(level)}"
        columns.append(made.get(name, np.full(len(made["mean"]), np.nan)))
    return np.stack(columns, axis=1).astype(np.float64)[-horizon:]


def interval_width(level: float) -> int | float:
    """Return the coverage, in per cent, of the interval that a quantile bounds: 80 for 0.1 and 0.9."""
    width = round(100 * abs(1 - 2 * level), 10)
    return int(width) if width == int(width) else width


class RememberedFits:
    """Forecasts that were made already, so that a window that several ask for is fitted once.

    A portfolio asks for each window of a member by itself, and again as a part of the ensemble. The oldest
    are forgotten where there are more than ``most_cells``.
    """

    def __init__(self, most_cells: int = REMEMBERED_CELLS) -> None:
        self.most_cells = most_cells
        self._cells = 0
        self._made: OrderedDict[bytes, NDArray[np.float64]] = OrderedDict()

    @staticmethod
    def key(model: str, values: NDArray[np.float64], horizon: int) -> bytes:
        """Return what tells one fit from all others."""
        digest = hashlib.blake2b(f"{model}|{horizon}|{len(values)}|".encode(), digest_size=16)
        digest.update(np.ascontiguousarray(values).tobytes())
        return digest.digest()

    def get(self, key: bytes) -> NDArray[np.float64] | None:
        """Return a forecast ``[H]``; None if it was not made, or is forgotten."""
        return self._made.get(key)

    def put(self, key: bytes, forecast: NDArray[np.float64]) -> None:
        """Keep a forecast ``[H]``."""
        if key not in self._made:
            self._cells += len(forecast)
        self._made[key] = forecast
        while self._cells > self.most_cells:
            self._cells -= len(self._made.popitem(last=False)[1])
