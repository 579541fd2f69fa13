"""Row weights by which repeated least squares let each row count by its error, not by its square."""

import torch
from torch import Tensor

from seqlight.models.forecasting.scaled_losses import Units

LEAST_ERROR = 0.05
"""Of the median row: the weight of a row that is met exactly is that of one with so small an error."""

REWEIGHTED_LOSSES = ("mae", "huber", "mase")
"""The losses for which least squares are repeated with other weights."""


class RowWeights:
    """Weights of rows by their errors in the solution before (iteratively reweighted least squares).

    A row is one window, or one channel of it, and its error the root of the mean square over its known
    outputs. Weighted by the inverse of its error, its square counts as the error itself, so that a few
    windows of rare events do not decide for all others. For ``"huber"`` only errors above 1 count so; for
    ``"mase"`` errors are in units of their series' scale, so that each series counts alike.

    Args:
        loss: of :data:`REWEIGHTED_LOSSES`.

    """

    def __init__(self, loss: str) -> None:
        self.loss = loss
        self._errors: list[Tensor] = []
        self._least: Tensor | None = None

    def __call__(self, errors: Tensor, scales: Tensor | None) -> Tensor:
        """Return the weights ``[N]`` of rows, float64, and keep their errors in mind.

        Args:
            errors: ``[N, O]`` in transformed space, NaN where unknown.
            scales: ``[N]``, what an error of 1 is in units of MASE; None for losses in transformed space.

        """
        size = errors.to(torch.float64).square().nanmean(1).sqrt().nan_to_num(0.0)
        if self.loss == "huber":
            return 1 / size.clamp(min=1.0)
        unit = torch.ones_like(size) if scales is None else scales.to(torch.float64)
        size = size * unit
        self._errors.append(size)
        least = _least(size) if self._least is None else self._least
        return unit.square() / size.clamp(min=least)

    def next_pass(self) -> None:
        """Take the floor of all that follows from the errors of this pass."""
        if self._errors:
            self._least, self._errors = _least(torch.cat(self._errors)), []


def _least(sizes: Tensor) -> Tensor:
    """Return the error below which rows weigh alike; 1 where all errors are 0."""
    positive = sizes[sizes > 0]
    return LEAST_ERROR * positive.median() if len(positive) else torch.ones_like(sizes.sum())


def scales_of_rows(units: Units | None, independent: bool) -> Tensor | None:
    """Return what an error of 1 in transformed space is in units of MASE, by row; 0 for no scale.

    Args:
        units: of the windows; None for losses in transformed space.
        independent: whether each channel is a row, else the mean over a window's channels is taken.

    """
    if units is None or units.scale is None:
        return None
    scales = torch.where(units.scale > 0, units.unit / units.scale, 0.0).squeeze(1)  # [B, C]
    return scales.flatten() if independent else scales.mean(1)
