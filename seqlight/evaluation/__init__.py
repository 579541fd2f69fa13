"""Evaluation over all windows of a part of the data, or over all cells held out of it."""

from seqlight.evaluation.by_step import ErrorsByStep, errors_by_step
from seqlight.evaluation.imputation import ImputationRow, compare_filled, compare_imputers, fill
from seqlight.evaluation.measure_rows import MeasureRow, measures
from seqlight.evaluation.rolling_origin import ComparisonRow, compare
from seqlight.evaluation.window_forecasts import WindowForecasts, forecast_windows

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
