"""All windows of a part of the data with the forecasts for them, and which of their cells count."""

from collections.abc import Generator, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from torch import Tensor

from seqlight.models.lightning.trained_until import check_part_is_later
from seqlight.predictor import Batch, Forecast, Predictor

PARTS = ("val", "calibration", "test")


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
    known, and the window's past holds at least one observed value of the channel. ``forecasts`` are those of
    each predictor by name, ``points`` their points [B, H, C]. ``future`` and ``points`` are float64.
    Everything is on the CPU, in original units.
    """

    batch: Batch
    future: Tensor
    known: Tensor
    forecasts: dict[str, Forecast]

    @property
    def points(self) -> dict[str, Tensor]:
        """The points of the forecasts, float64."""
        return {name: forecast.point.double() for name, forecast in self.forecasts.items()}


def scored_windows(
    predictors: Mapping[str, Predictor],
    data: DataModule | Iterable[Batch],
    part: str,
    quantile_levels: Sequence[float] = (),
    members: Mapping[str, Sequence[str]] | None = None,
) -> Generator[ScoredBatch]:
    """Forecast all windows of one part of the data, in one pass.

    Args:
        predictors: the predictors by name.
        data: a DataModule, or the batches themselves.
        part: ``"val"``, ``"calibration"`` or ``"test"``, the part of a DataModule to take.
        quantile_levels: the quantiles that are wanted of those that have any.
        members: of each ensemble that is to be joined of the forecasts of others, their names in the order of
            its members.

    Raises:
        ValueError: an unknown part, no predictor, no window, or a predictor that was trained on the part or
            on other columns.

    """
    if not predictors:
        raise ValueError("predictors: expected at least one, got none")
    empty = True
    joined = members or {}
    batches = batches_of(data, part)
    if batches is not data:
        for name, predictor in predictors.items():
            check_part_is_later(predictor, data, part, name)
        tell_data(predictors.values(), data)
    for batch in batches:
        if not len(batch["past_target"]):
            continue
        empty = False
        known, future = _scored(batch)
        made = {
            name: predictor.predict(batch, quantile_levels=quantile_levels)
            for name, predictor in predictors.items()
            if name not in joined
        }
        for name, parts in joined.items():
            ensemble: Any = predictors[name]
            made[name] = ensemble.joined(batch, [made[part] for part in parts])
        yield ScoredBatch(batch, future, known, {name: made[name] for name in predictors})
    if empty:
        raise ValueError("data: expected at least one window, got none")


def tell_data(predictors: Iterable[Predictor], data: Any) -> None:
    """Have predictors that were made for some data look at a DataModule before they are given its batches.

    Those that know single series find them by their ids, whatever their order.

    Raises:
        ValueError: a predictor was trained on other columns, or on other numbers for their texts.

    """
    for predictor in predictors:
        look = getattr(predictor, "check_data", None)
        if callable(look):
            look(data)


def batches_of(data: DataModule | Iterable[Batch], part: str) -> Iterable[Batch]:
    """Return the batches of one part of a DataModule, or the batches themselves.

    Raises:
        ValueError: an unknown part, or one that the DataModule does not have.

    """
    if part not in PARTS:
        raise ValueError(f"part: expected 'test', 'val' or 'calibration', got {part!r}")
    if isinstance(data, Iterable):
        return data
    data.prepare_data()
    data.setup("validate" if part == "val" else "test")
    loader = getattr(data, f"{part}_dataloader", None)
    if loader is None:
        raise ValueError(f"part: {type(data).__name__} has no {part} part")
    batches: Iterable[Batch] = loader()
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
