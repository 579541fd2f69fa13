"""The metrics that every forecaster and every imputer reports."""

from collections.abc import Sequence

from torchmetrics import MetricCollection

from .last_step import LastStepMeanAbsoluteError, LastStepMeanSquaredError
from .masked import (
    MaskedMeanAbsoluteError,
    MaskedMeanRelativeError,
    MaskedMeanSquaredError,
    MaskedSymmetricMeanAbsolutePercentageError,
)
from .probabilistic import ContinuousRankedProbabilityScore, WeightedQuantileLoss
from .scaled import MeanAbsoluteScaledError


def forecast_metrics() -> MetricCollection:
    """Return MAE, RMSE, MASE and sMAPE, named ``mae``, ``rmse``, ``mase`` and ``smape``.

    Beside them, ``mae_last`` and ``rmse_last`` are those of the last step ahead.

    Update it with ``update(preds=..., target=..., mask=..., scale=...)``.
    """
    return MetricCollection(
        {
            "mae": MaskedMeanAbsoluteError(),
            "rmse": MaskedMeanSquaredError(squared=False),
            "mase": MeanAbsoluteScaledError(),
            "smape": MaskedSymmetricMeanAbsolutePercentageError(),
            "mae_last": LastStepMeanAbsoluteError(),
            "rmse_last": LastStepMeanSquaredError(squared=False),
        },
        compute_groups=False,
    )


def imputation_metrics() -> MetricCollection:
    """Return MAE, RMSE and MRE, named ``mae``, ``rmse`` and ``mre``.

    Update it with ``update(preds, target, mask)``.
    """
    return MetricCollection(
        {
            "mae": MaskedMeanAbsoluteError(),
            "rmse": MaskedMeanSquaredError(squared=False),
            "mre": MaskedMeanRelativeError(),
        },
        compute_groups=False,
    )


def quantile_metrics(quantiles: Sequence[float]) -> MetricCollection:
    """Return the weighted quantile loss and the CRPS, named ``wql`` and ``crps``.

    Update it with ``update(preds, target, mask)``.

    Args:
        quantiles: levels of the forecasts.

    """
    return MetricCollection(
        {
            "wql": WeightedQuantileLoss(quantiles),
            "crps": ContinuousRankedProbabilityScore(quantiles),
        },
        compute_groups=False,
    )
