"""Evaluation over all windows of a part of the data, or over all cells held out of it."""

from .by_step import ErrorsByStep, errors_by_step
from .imputation import ImputationRow, compare_filled, compare_imputers, fill
from .measure_rows import MeasureRow, measures
from .rolling_origin import ComparisonRow, compare
from .window_forecasts import WindowForecasts, forecast_windows

__all__ = [
    "ComparisonRow",
    "ErrorsByStep",
    "ImputationRow",
    "MeasureRow",
    "WindowForecasts",
    "compare",
    "compare_filled",
    "compare_imputers",
    "errors_by_step",
    "fill",
    "forecast_windows",
    "measures",
]
