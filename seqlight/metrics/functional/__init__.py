"""Metrics as pure functions."""

from seqlight.metrics.functional.crps import crps_normal, crps_quantiles, crps_samples
from seqlight.metrics.functional.intervals import interval_coverage, interval_score
from seqlight.metrics.functional.quantiles import pinball_loss, weighted_quantile_loss
from seqlight.metrics.functional.scaled import (
    mean_absolute_scaled_error,
    root_mean_squared_scaled_error,
    scaled_error_sums,
    squared_scaled_error_sums,
)

__all__ = [
    "crps_normal",
    "crps_quantiles",
    "crps_samples",
    "interval_coverage",
    "interval_score",
    "mean_absolute_scaled_error",
    "pinball_loss",
    "root_mean_squared_scaled_error",
    "scaled_error_sums",
    "squared_scaled_error_sums",
    "weighted_quantile_loss",
]
