"""All windows of a part of the data with the forecasts for them, and which of their cells count."""

from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from seqlight.models import Forecaster

Batch = Mapping[str, Tensor]


class DataModule(Protocol):
    """What evaluation asks of a DataModule; every ``LightningDataModule`` has it."""

    def prepare_data(self) -> None:
        """Fetch data."""

    def setup(self, stage: str) -> None:
        """Read data."""

    def val_dataloader(self) -> Any:
        """Return the validation part's batches."""

    def test_dataloader(self) -> Any:
        """Return the test part's batches."""


class ScoredBatch(NamedTuple):
    """A batch of windows.

    ``future`` [B, H, C] is what came, ``known`` [B, H, C] says which of its cells count: the true value is
    known, and the window's past holds at least one observed value of the channel. ``forecasts`` [B, H, C] are
    those of each forecaster by name. Values are float64 on the CPU, in original units.
    """

    batch: Batch
    future: Tensor
    known: Tensor
    forecasts: dict[str, Tensor]


def scored_windows(
    forecasters: Mapping[str, Forecaster], data: DataModule | Iterable[Batch], part: str
) -> Generator[ScoredBatch]:
    """Forecast all windows of one part of the data, in one pass.

    Close the generator (``contextlib.closing``) to have the forecasters back in their modes at any rate.

    Args:
        forecasters: the forecasters by name; each is evaluated on its own device, in evaluation mode.
        data: a DataModule, or the batches themselves.
        part: ``"test"`` or ``"val"``, the part of a DataModule to take.

    Raises:
        ValueError: an unknown part, no forecaster, or no window.

    """
    if not forecasters:
        raise ValueError("forecasters: expected at least one, got none")
    empty = True
    batches = _batches(data, part)
    with _evaluating(forecasters.values()):
        for batch in batches:
            if not len(batch["past_target"]):
                continue
            empty = False
            known, future = _scored(batch)
            with torch.inference_mode():  # not around yield: it would hold in the caller's code too
                forecasts = {name: _forecast(forecaster, batch) for name, forecaster in forecasters.items()}
            yield ScoredBatch(batch, future, known, forecasts)
    if empty:
        raise ValueError("data: expected at least one window, got none")


@contextmanager
def _evaluating(forecasters: Iterable[Forecaster]) -> Iterator[None]:
    """Set forecasters to evaluation mode, and back."""
    was_training = [(forecaster, forecaster.training) for forecaster in forecasters]
    try:
        for forecaster, _ in was_training:
            forecaster.eval()
        yield
    finally:
        for forecaster, training in was_training:
            forecaster.train(training)


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
