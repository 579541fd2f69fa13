"""Forecast metrics: pure functions, and torchmetrics classes over them, for data with missing cells too."""

from . import functional
from .cell_ratio import CellRatio
from .collection import forecast_metrics, imputation_metrics, quantile_metrics
from .last_step import LastStepMeanAbsoluteError, LastStepMeanSquaredError
from .masked import (
    MaskedMeanAbsoluteError,
    MaskedMeanRelativeError,
    MaskedMeanSquaredError,
    MaskedSymmetricMeanAbsolutePercentageError,
)
from .mean import MeanOverCells
from .overall_weighted_average import OverallWeightedAverage
from .probabilistic import (
    ContinuousRankedProbabilityScore,
    IntervalCoverage,
    IntervalScore,
    MeanError,
    WeightedQuantileLoss,
)
from .scaled import MeanAbsoluteScaledError, RootMeanSquaredScaledError
from .stability import MeanAbsoluteScaledChange

__all__ = [
    "CellRatio",
    "ContinuousRankedProbabilityScore",
    "IntervalCoverage",
    "IntervalScore",
    "LastStepMeanAbsoluteError",
    "LastStepMeanSquaredError",
    "MaskedMeanAbsoluteError",
    "MaskedMeanRelativeError",
    "MaskedMeanSquaredError",
    "MaskedSymmetricMeanAbsolutePercentageError",
    "MeanAbsoluteScaledChange",
    "MeanAbsoluteScaledError",
    "MeanError",
    "MeanOverCells",
    "OverallWeightedAverage",
    "RootMeanSquaredScaledError",
    "WeightedQuantileLoss",
    "forecast_metrics",
    "functional",
    "imputation_metrics",
    "quantile_metrics",
]
