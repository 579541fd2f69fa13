"""Forecast metrics: pure functions, and torchmetrics classes over them, for data with missing cells too."""

from seqlight.metrics import functional
from seqlight.metrics.cell_ratio import CellRatio
from seqlight.metrics.collection import forecast_metrics, imputation_metrics, quantile_metrics
from seqlight.metrics.last_step import LastStepMeanAbsoluteError, LastStepMeanSquaredError
from seqlight.metrics.masked import (
    MaskedMeanAbsoluteError,
    MaskedMeanRelativeError,
    MaskedMeanSquaredError,
    MaskedSymmetricMeanAbsolutePercentageError,
)
from seqlight.metrics.mean import MeanOverCells
from seqlight.metrics.overall_weighted_average import OverallWeightedAverage
from seqlight.metrics.probabilistic import (
    ContinuousRankedProbabilityScore,
    IntervalCoverage,
    IntervalScore,
    MeanError,
    WeightedQuantileLoss,
)
from seqlight.metrics.scaled import MeanAbsoluteScaledError, RootMeanSquaredScaledError
from seqlight.metrics.stability import MeanAbsoluteScaledChange

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
