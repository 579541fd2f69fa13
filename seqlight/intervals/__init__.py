"""Prediction intervals for whatever forecasts, from how its past forecasts were off: conformal prediction.

Windows of a series overlap and the future drifts away from the past, so that the coverage of all of these
methods is approximate.
"""

from seqlight.intervals.adaptive import AdaptiveConformal
from seqlight.intervals.levels import check_levels, interval_quantiles, level_name, needed_scores
from seqlight.intervals.method import Interval, IntervalMethod, quantile_columns
from seqlight.intervals.methods import interval_methods, method_of_state
from seqlight.intervals.predictor import ConformalPredictor, value_range, within
from seqlight.intervals.split import SplitConformal
from seqlight.intervals.windows import ForecastWindows

__all__ = [
    "AdaptiveConformal",
    "ConformalPredictor",
    "ForecastWindows",
    "Interval",
    "IntervalMethod",
    "SplitConformal",
    "check_levels",
    "interval_methods",
    "interval_quantiles",
    "level_name",
    "method_of_state",
    "needed_scores",
    "quantile_columns",
    "value_range",
    "within",
]
