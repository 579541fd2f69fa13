"""Rolling-origin evaluation: forecasters set side by side over all windows of one part of the data."""

from collections.abc import Iterable, Mapping
from typing import Any, Protocol, TypedDict

import torch
from torch import Tensor
from torchmetrics import MetricCollection

from seqlight.metrics import MeanAbsoluteScaledError, forecast_metrics
from seqlight.models import Forecaster

Batch = Mapping[str, Tensor]


class DataModule(Protocol):
    """What :func:`compare` asks of a DataModule; every ``LightningDataModule`` has it."""

    def prepare_data(self) -> None:
        """Fetch data."""

    def setup(self, stage: str) -> None:
        """Read data."""

    def val_dataloader(self) -> Any:
        """Return the validation part's batches."""

    def test_dataloader(self) -> Any:
        """Return the test part's batches."""


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
    if not forecasters:
        raise ValueError("forecasters: expected at least one, got none")
    metrics = {name: forecast_metrics().set_dtype(torch.float64) for name in forecasters}
    was_training = {name: forecaster.training for name, forecaster in forecasters.items()}
    windows = 0
    has_scale = False
    try:
        for forecaster in forecasters.values():
            forecaster.eval()
        for batch in _batches(data, part):
            windows += len(batch["past_target"])
            has_scale = has_scale or batch.get("scale") is not None
            known, future = _scored(batch)
            for name, forecaster in forecasters.items():
                _update(metrics[name], _forecast(forecaster, batch), future, known, batch.get("scale"))
    finally:
        for name, forecaster in forecasters.items():
            forecaster.train(was_training[name])
    if not windows:
        raise ValueError("data: expected at least one window, got none")
    return [_row(name, metrics[name], windows, has_scale) for name in forecasters]


def _batches(data: DataModule | Iterable[Batch], part: str) -> Iterable[Batch]:
    if part not in ("test", "val"):
        raise ValueError(f"part: expected 'test' or 'val', got {part!r}")
    if isinstance(data, Iterable):
        return data
    data.prepare_data()
    if part == "val":
        data.setup("validate")
        batches: Iterable[Batch] = data.val_dataloader()
    else:
        data.setup("test")
        batches = data.test_dataloader()
    return batches


def _scored(batch: Batch) -> tuple[Tensor, Tensor]:
    """Return which cells of the future count, ``[B, H, C]``, and the future itself in float64."""
    past, future = batch["past_target"], batch["future_target"]
    observed, known = ~past.isnan(), ~future.isnan()
    if batch.get("past_observed") is not None:
        observed = observed & batch["past_observed"].bool()
    if batch.get("future_observed") is not None:
        known = known & batch["future_observed"].bool()
    return known & observed.any(1, keepdim=True), future.double()


def _forecast(forecaster: Forecaster, batch: Batch) -> Tensor:
    moved = {name: value.to(forecaster.device) for name, value in batch.items()}
    prediction: Tensor = forecaster.predict_step(moved, 0)["prediction"]
    return prediction.double().cpu()


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
