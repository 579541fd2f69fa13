"""Metrics as pure functions."""

from seqlight.metrics.functional.block_bootstrap import block_bootstrap
from seqlight.metrics.functional.crps import crps_quantiles, crps_samples
from seqlight.metrics.functional.crps_distributions import (
    crps_distribution,
    crps_negative_binomial,
    crps_normal,
    crps_poisson,
    crps_student_t,
)
from seqlight.metrics.functional.intervals import interval_coverage, interval_score
from seqlight.metrics.functional.naive2 import is_seasonal, naive2, seasonal_indices
from seqlight.metrics.functional.quantiles import pinball_loss, weighted_quantile_loss
from seqlight.metrics.functional.scaled import (
    mean_absolute_scaled_error,
    root_mean_squared_scaled_error,
    scaled_error_sums,
    scaled_errors,
    seasonal_naive_scale,
    squared_scaled_error_sums,
)
from seqlight.metrics.functional.stability import forecast_changes

__all__ = [
    "block_bootstrap",
    "crps_distribution",
    "crps_negative_binomial",
    "crps_normal",
    "crps_poisson",
    "crps_quantiles",
    "crps_samples",
    "crps_student_t",
    "forecast_changes",
    "interval_coverage",
    "interval_score",
    "is_seasonal",
    "mean_absolute_scaled_error",
    "naive2",
    "pinball_loss",
    "root_mean_squared_scaled_error",
    "scaled_error_sums",
    "scaled_errors",
    "seasonal_indices",
    "seasonal_naive_scale",
    "squared_scaled_error_sums",
    "weighted_quantile_loss",
]
