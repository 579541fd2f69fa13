"""The metrics that every forecaster reports."""

from torchmetrics import MetricCollection

from .masked import (
    MaskedMeanAbsoluteError,
    MaskedMeanSquaredError,
    MaskedSymmetricMeanAbsolutePercentageError,
)
from .scaled import MeanAbsoluteScaledError


def forecast_metrics() -> MetricCollection:
    """Return MAE, RMSE, MASE and sMAPE, named ``mae``, ``rmse``, ``mase`` and ``smape``.

    Update it with ``update(preds=..., target=..., mask=..., scale=...)``.
    """
    return MetricCollection(
        {
            "mae": MaskedMeanAbsoluteError(),
            "rmse": MaskedMeanSquaredError(squared=False),
            "mase": MeanAbsoluteScaledError(),
            "smape": MaskedSymmetricMeanAbsolutePercentageError(),
        },
        compute_groups=False,
    )
