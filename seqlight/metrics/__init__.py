"""Forecast metrics: pure functions, and torchmetrics classes over them, for data with missing cells too."""

from . import functional
from .collection import forecast_metrics, imputation_metrics
from .last_step import LastStepMeanAbsoluteError, LastStepMeanSquaredError
from .masked import (
    MaskedMeanAbsoluteError,
    MaskedMeanRelativeError,
    MaskedMeanSquaredError,
    MaskedSymmetricMeanAbsolutePercentageError,
)
from .mean import MeanOverCells
from .scaled import MeanAbsoluteScaledError

__all__ = [
    "LastStepMeanAbsoluteError",
    "LastStepMeanSquaredError",
    "MaskedMeanAbsoluteError",
    "MaskedMeanRelativeError",
    "MaskedMeanSquaredError",
    "MaskedSymmetricMeanAbsolutePercentageError",
    "MeanAbsoluteScaledError",
    "MeanOverCells",
    "forecast_metrics",
    "functional",
    "imputation_metrics",
]
