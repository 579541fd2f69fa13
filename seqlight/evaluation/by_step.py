"""Errors at each step ahead."""

from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass

import torch
from torch import Tensor

from seqlight.evaluation.scored_windows import DataModule, ScoredBatch, scored_windows
from seqlight.predictor import Batch, Predictor


@dataclass(frozen=True)
class ErrorsByStep:
    """One predictor's errors in original units at each of the H steps ahead, over all windows.

    Attributes:
        model: the predictor's name.
        absolute: float64 ``[H]``, sums of the absolute errors.
        squared: float64 ``[H]``, sums of the squared errors.
        count: int64 ``[H]``, cells that count.
        windows: number of windows.

    """

    model: str
    absolute: Tensor
    squared: Tensor
    count: Tensor
    windows: int

    @property
    def mae(self) -> Tensor:
        """Mean absolute error at each step, ``[H]``; NaN where no cell counts."""
        return self.absolute / self.count

    @property
    def mse(self) -> Tensor:
        """Mean squared error at each step, ``[H]``; NaN where no cell counts."""
        return self.squared / self.count

    @property
    def mae_over_all(self) -> float:
        """Mean absolute error over all steps."""
        return float(self.absolute.sum() / self.count.sum())

    @property
    def mse_over_all(self) -> float:
        """Mean squared error over all steps."""
        return float(self.squared.sum() / self.count.sum())


def errors_by_step(
    predictors: Mapping[str, Predictor], data: DataModule | Iterable[Batch], *, part: str = "test"
) -> list[ErrorsByStep]:
    """Evaluate predictors on the same windows, step by step ahead, in one pass over the data.

    The same cells count as in :func:`~seqlight.evaluation.compare`.

    Args:
        predictors: forecasters, baselines, ensembles and others by name.
        data: a DataModule, or the batches themselves, see :mod:`seqlight.models`.
        part: ``"test"``, ``"val"`` or ``"calibration"``, the part of a DataModule to take.

    Returns:
        One result for each predictor, in their order.

    Raises:
        ValueError: an unknown part, no predictor, or no window.

    """
    with closing(scored_windows(predictors, data, part)) as batches:
        return step_errors(batches, predictors)


def step_errors(batches: Iterable[ScoredBatch], names: Iterable[str]) -> list[ErrorsByStep]:
    """Sum up the errors of windows that were forecast, step by step ahead; one result for each name."""
    sums: dict[str, list[Tensor]] = {name: [] for name in names}
    counts: list[Tensor] = []
    windows = 0
    for batch in batches:
        windows += len(batch.future)
        counts.append(batch.known.sum((0, 2)))
        for name, point in batch.points.items():
            errors = torch.where(batch.known, point - batch.future, 0.0)
            sums[name].append(torch.stack([errors.abs().sum((0, 2)), errors.square().sum((0, 2))]))
    count = torch.stack(counts).sum(0)
    results = []
    for name, parts in sums.items():
        absolute, squared = torch.stack(parts).sum(0)
        results.append(ErrorsByStep(name, absolute, squared, count, windows))
    return results
