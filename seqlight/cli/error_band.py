"""How far past forecasts were off, per step of the horizon: the band around a new forecast."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.floating[Any]]

COVERAGE = 0.8
MIN_WINDOWS = 20  # fewer past errors say too little about a tenth of them


@dataclass(frozen=True)
class ErrorBand:
    """Quantiles of the errors ``target - preds`` of past forecasts.

    Args:
        lower, upper: [S, H, C] in the target's units; add them to a forecast. NaN where a series, step and
            channel has fewer than ``MIN_WINDOWS`` past errors.
        coverage: share of the past errors between the two.
    """

    lower: FloatArray
    upper: FloatArray
    coverage: float = COVERAGE

    @classmethod
    def of_errors(
        cls, preds: FloatArray, target: FloatArray, series_index: NDArray[np.int64], series_count: int
    ) -> "ErrorBand":
        """Take the quantiles over each series' own windows.

        Args:
            preds: [W, H, C] past forecasts.
            target: [W, H, C] what came; NaN where it is missing.
            series_index: [W] int64, the series of each window.
            series_count: S.

        Raises:
            ValueError: the shapes do not fit together.
        """
        if preds.shape != target.shape or preds.shape[:1] != series_index.shape:
            raise ValueError(
                "of_errors: expected preds and target [W, H, C] and series_index [W], got "
                f"{preds.shape}, {target.shape} and {series_index.shape}"
            )
        tail = (1.0 - COVERAGE) / 2.0
        edges = np.full((2, series_count, *preds.shape[1:]), np.nan)
        errors = target - preds
        for series in range(series_count):
            own = errors[series_index == series]
            enough = np.isfinite(own).sum(axis=0) >= MIN_WINDOWS
            if enough.any():
                edges[:, series, enough] = np.nanquantile(own[:, enough], [tail, 1.0 - tail], axis=0)
        return cls(lower=edges[0], upper=edges[1])

    def share_inside(
        self, preds: FloatArray, target: FloatArray, series_index: NDArray[np.int64]
    ) -> float | None:
        """Share of known ``target`` cells [W, H, C] inside the band around ``preds``; None without any."""
        lower, upper = preds + self.lower[series_index], preds + self.upper[series_index]
        judged = np.isfinite(target) & np.isfinite(lower)
        if not judged.any():
            return None
        inside = (target >= lower) & (target <= upper)
        return float(inside[judged].mean())
