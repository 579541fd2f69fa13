"""The metrics that every forecaster and every imputer reports."""

from collections.abc import Sequence

from torchmetrics import Metric, MetricCollection

from seqlight.metrics.last_step import LastStepMeanAbsoluteError, LastStepMeanSquaredError
from seqlight.metrics.masked import (
    MaskedMeanAbsoluteError,
    MaskedMeanRelativeError,
    MaskedMeanSquaredError,
    MaskedSymmetricMeanAbsolutePercentageError,
)
from seqlight.metrics.probabilistic import ContinuousRankedProbabilityScore, WeightedQuantileLoss
from seqlight.metrics.scaled import MeanAbsoluteScaledError


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

    The CRPS is approximated by quantiles at evenly spread levels, such as 0.1, 0.2, ..., 0.9, alone: the mean
    over others would be smaller the more of them lie in the tails, and is left out.

    Update it with ``update(preds, target, mask)``.

    Args:
        quantiles: levels of the forecasts.

    """
    metrics: dict[str, Metric | MetricCollection] = {"wql": WeightedQuantileLoss(quantiles)}
    spread = [(number + 1) / (len(quantiles) + 1) for number in range(len(quantiles))]
    if all(abs(level - even) < 1e-6 for level, even in zip(quantiles, spread, strict=True)):
        metrics["crps"] = ContinuousRankedProbabilityScore(quantiles)
    return MetricCollection(metrics, compute_groups=False)
