"""Rolling-origin evaluation: predictors set side by side over all windows of one part of the data."""

from collections.abc import Iterable, Mapping
from contextlib import closing
from typing import TypedDict

import torch
from torch import Tensor
from torchmetrics import MetricCollection

from seqlight.evaluation.scored_windows import DataModule, ScoredBatch, scored_windows
from seqlight.metrics import MeanAbsoluteScaledError, forecast_metrics
from seqlight.predictor import Batch, Predictor


class ComparisonRow(TypedDict):
    """One predictor's errors in original units, over all windows; ``mase`` is NaN without scales."""

    model: str
    mae: float
    rmse: float
    mase: float
    smape: float
    windows: int


def compare(
    predictors: Mapping[str, Predictor], data: DataModule | Iterable[Batch], *, part: str = "test"
) -> list[ComparisonRow]:
    """Evaluate predictors on the same windows, in one pass over the data.

    Every window of the part is one forecast origin (with a stride of 1, every time step is). A cell counts
    if its true value is known, and the window's past holds at least one observed value of its channel; the
    same cells count for all predictors. Sums are kept in float64.

    Args:
        predictors: forecasters, baselines, ensembles and others by the names that the rows are to have.
        data: a DataModule, or the batches themselves, see :mod:`seqlight.models`. Batches without ``scale``
            give no MASE.
        part: ``"test"``, ``"val"`` or ``"calibration"``, the part of a DataModule to take.

    Returns:
        One row for each predictor, in their order. sMAPE is a fraction between 0 and 2.

    Raises:
        ValueError: an unknown part, no predictor, or no batch.

    """
    with closing(scored_windows(predictors, data, part)) as batches:
        return comparison_rows(batches, predictors)


@torch.inference_mode()
def comparison_rows(batches: Iterable[ScoredBatch], names: Iterable[str]) -> list[ComparisonRow]:
    """Sum up the errors of windows that were forecast; one row for each name."""
    metrics = {name: forecast_metrics().set_dtype(torch.float64) for name in names}
    windows = 0
    has_scale = False
    for batch in batches:
        windows += len(batch.future)
        scale = batch.batch.get("scale")
        has_scale = has_scale or scale is not None
        for name, point in batch.points.items():
            _update(metrics[name], point, batch.future, batch.known, scale)
    return [_row(name, metrics[name], windows, has_scale) for name in metrics]


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
