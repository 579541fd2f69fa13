"""Rolling-origin evaluation: forecasters set side by side over all windows of one part of the data."""

from collections.abc import Iterable, Mapping
from contextlib import closing
from typing import TypedDict

import torch
from torch import Tensor
from torchmetrics import MetricCollection

from seqlight.metrics import MeanAbsoluteScaledError, forecast_metrics
from seqlight.models import Forecaster

from .scored_windows import Batch, DataModule, scored_windows


class ComparisonRow(TypedDict):
    """One forecaster's errors in original units, over all windows; ``mase`` is NaN without scales."""

    model: str
    mae: float
    rmse: float
    mase: float
    smape: float
    windows: int


@torch.inference_mode()
def compare(
    forecasters: Mapping[str, Forecaster], data: DataModule | Iterable[Batch], *, part: str = "test"
) -> list[ComparisonRow]:
    """Evaluate forecasters on the same windows, in one pass over the data.

    Every window of the part is one forecast origin (with a stride of 1, every time step is). A cell counts
    if its true value is known, and the window's past holds at least one observed value of its channel; the
    same cells count for all forecasters. Sums are kept in float64.

    Args:
        forecasters: the forecasters by the names that the rows are to have; each is evaluated on its own
            device.
        data: a DataModule, or the batches themselves, see :mod:`seqlight.models`. Batches without ``scale``
            give no MASE.
        part: ``"test"`` or ``"val"``, the part of a DataModule to take.

    Returns:
        One row for each forecaster, in their order. sMAPE is a fraction between 0 and 2.

    Raises:
        ValueError: an unknown part, no forecaster, or no batch.

    """
    metrics = {name: forecast_metrics().set_dtype(torch.float64) for name in forecasters}
    windows = 0
    has_scale = False
    with closing(scored_windows(forecasters, data, part)) as batches:
        for batch in batches:
            windows += len(batch.future)
            scale = batch.batch.get("scale")
            has_scale = has_scale or scale is not None
            for name, forecast in batch.forecasts.items():
                _update(metrics[name], forecast, batch.future, batch.known, scale)
    return [_row(name, metrics[name], windows, has_scale) for name in forecasters]


def _update(
    metrics: MetricCollection, preds: Tensor, future: Tensor, known: Tensor, scale: Tensor | None
) -> None:
    for metric in metrics.values():
        if not isinstance(metric, MeanAbsoluteScaledError):
            metric.update(preds, future, known)
        elif scale is not None:
            metric.update(preds, future, scale.double(), known)


def _row(name: str, metrics: MetricCollection, windows: int, has_scale: bool) -> ComparisonRow:
    errors = {
        metric_name: float(metric.compute()) if has_scale or metric_name != "mase" else float("nan")
        for metric_name, metric in metrics.items()
    }
    return ComparisonRow(
        model=name,
        mae=errors["mae"],
        rmse=errors["rmse"],
        mase=errors["mase"],
        smape=errors["smape"],
        windows=windows,
    )
