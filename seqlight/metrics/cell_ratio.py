"""A ratio of sums over cells: over all of them, for each step ahead, or for each series."""

from typing import Any, Literal

import torch
from torch import Tensor
from torchmetrics import Metric

By = Literal["step", "series"]


class CellRatio(Metric):
    """Base of metrics that divide one sum over cells by another.

    A subclass gives :meth:`_add` two values for every cell ``[B, H, C]``; a mean over cells divides by 1 for
    each. Sums and not means are kept, in float64, so that the result is the same however the cells were split
    into batches and processes. A cell whose value is NaN, or whose mask is False, does not count.

    Args:
        by: None for one number, ``"step"`` for one of each of the H steps ahead, ``"series"`` for one of
            each series.
        size: the number of steps or of series; needed with ``by``.
        kwargs: of :class:`torchmetrics.Metric`.

    Raises:
        ValueError: an unknown ``by``, or no ``size`` with it.

    """

    full_state_update = False
    higher_is_better: bool | None = False

    numerator: Tensor
    denominator: Tensor

    def __init__(self, *, by: By | None = None, size: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if by not in (None, "step", "series"):
            raise ValueError(f"by: expected None, 'step' or 'series', got {by!r}")
        if (by is None) != (size is None) or (size is not None and size < 1):
            raise ValueError(f"size: expected the number of steps or series where by is given, got {size!r}")
        self.by = by
        self.size = size
        for name in ("numerator", "denominator"):
            shape = () if size is None else (size,)
            self.add_state(name, torch.zeros(shape, dtype=torch.float64), dist_reduce_fx="sum")

    def compute(self) -> Tensor:
        """Return the ratio: a scalar, ``[H]`` or ``[S]``; NaN where no cell counts."""
        return self.numerator / self.denominator

    def _add(
        self,
        numerator: Tensor,
        denominator: Tensor | None = None,
        mask: Tensor | None = None,
        series_index: Tensor | None = None,
    ) -> None:
        """Add the cells of a batch.

        Args:
            numerator: ``[B, H, C]``.
            denominator: likewise; None for 1 each, a mean.
            mask: bool, likewise, False where a cell does not count.
            series_index: int64 ``[B]``; needed with ``by="series"``.

        """
        if numerator.ndim != 3:
            raise ValueError(f"preds and target: expected [B, H, C], got cells {list(numerator.shape)}")
        if mask is not None and mask.shape != numerator.shape:
            raise ValueError(
                f"mask: expected the shape of target, {list(numerator.shape)}, got {list(mask.shape)}"
            )
        counts = ~numerator.isnan()
        if denominator is not None:
            counts = counts & ~denominator.isnan()
        if mask is not None:
            counts = counts & mask
        above = torch.where(counts, numerator, 0.0).double()
        below = counts.double() if denominator is None else torch.where(counts, denominator, 0.0).double()
        self.numerator += self._reduce(above, series_index)
        self.denominator += self._reduce(below, series_index)

    def _reduce(self, cells: Tensor, series_index: Tensor | None) -> Tensor:
        if self.by is None:
            return cells.sum()
        if self.by == "step":
            if cells.shape[1] != self.size:
                raise ValueError(f"preds: expected {self.size} steps ahead (size), got {cells.shape[1]}")
            return cells.sum((0, 2))
        if series_index is None:
            raise ValueError("series_index: needed, [B], for a result by series")
        return torch.zeros_like(self.numerator).index_add_(0, series_index, cells.sum((1, 2)))
