"""A ratio of sums over cells: over all of them, for each step ahead, or for each series."""

from typing import Any, ClassVar, Literal

import torch
from torch import Tensor
from torchmetrics import Metric

By = Literal["step", "series"]


class CellRatio(Metric):
    """Base of metrics that divide one sum over cells by another.

    A subclass gives :meth:`_add` two values for every cell ``[B, H, C]``; a mean over cells divides by 1 for
    each. Sums and not means are kept, so that the result is the same however the cells were split into
    batches and processes. A cell whose mask is False does not count.

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

    sum_dtype: ClassVar[torch.dtype] = torch.float64
    """In which sums are kept unless ``set_dtype`` says another; metrics of training steps keep float32, which
    every device has."""

    numerator: Tensor
    denominator: Tensor

    def __init__(self, *, by: By | None = None, size: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_parts(by, size)
        self.by = by
        self.size = size
        for name in ("numerator", "denominator"):
            self._add_sums(name)

    def _add_sums(self, name: str) -> None:
        """Make a state that holds sums over cells."""
        shape = () if self.size is None else (self.size,)
        self.add_state(name, torch.zeros(shape, dtype=self.sum_dtype), dist_reduce_fx="sum")

    def compute(self) -> Tensor:
        """Return the ratio: a scalar, ``[H]`` or ``[S]``; NaN where no cell counts."""
        return self.numerator / self.denominator

    def _add(
        self,
        numerator: Tensor,
        denominator: Tensor | None = None,
        mask: Tensor | None = None,
        series_index: Tensor | None = None,
        *,
        leave_out_nan: bool = True,
    ) -> None:
        """Add the cells of a batch.

        Args:
            numerator: ``[B, H, C]``; of any shape where there is one number for all.
            denominator: likewise; None for 1 each, a mean.
            mask: bool, likewise, False where a cell does not count.
            series_index: int64 ``[B]``; needed with ``by="series"``.
            leave_out_nan: whether a cell whose value is NaN counts no more than a masked one; else the result
                is NaN.

        """
        self._check(numerator, mask)
        above, below = counted(numerator, denominator, mask, leave_out_nan)
        self.numerator += self._reduce(above, series_index)
        self.denominator += self._reduce(below, series_index)

    def _check(self, cells: Tensor, mask: Tensor | None) -> None:
        if self.by is not None and cells.ndim != 3:
            raise ValueError(f"preds and target: expected [B, H, C], got cells {list(cells.shape)}")
        if mask is not None and mask.shape != cells.shape:
            raise ValueError(
                f"mask: expected the shape of target, {list(cells.shape)}, got {list(mask.shape)}"
            )

    def _reduce(self, cells: Tensor, series_index: Tensor | None) -> Tensor:
        return sums_of_cells(cells.to(self.numerator.dtype), self.by, self.size, series_index)


def sums_of_cells(cells: Tensor, by: By | None, size: int | None, series_index: Tensor | None) -> Tensor:
    """Return the sum of cells ``[B, H, C]``: a scalar, ``[H]`` or ``[S]``.

    Raises:
        ValueError: another number of steps, or no ``series_index`` by series.

    """
    if by is None:
        return cells.sum()
    if by == "step":
        if cells.shape[1] != size:
            raise ValueError(f"preds: expected {size} steps ahead (size), got {cells.shape[1]}")
        return cells.sum((0, 2))
    if series_index is None:
        raise ValueError("series_index: needed, [B], for a result by series")
    return cells.new_zeros(size or 0).index_add_(0, series_index, cells.sum((1, 2)))


def check_parts(by: By | None, size: int | None) -> None:
    """Raise ValueError unless ``by`` is known and comes with a ``size``."""
    if by not in (None, "step", "series"):
        raise ValueError(f"by: expected None, 'step' or 'series', got {by!r}")
    if (by is None) != (size is None) or (size is not None and size < 1):
        raise ValueError(f"size: expected the number of steps or series where by is given, got {size!r}")


def counted(
    numerator: Tensor, denominator: Tensor | None, mask: Tensor | None, leave_out_nan: bool
) -> tuple[Tensor, Tensor]:
    """Return both values of each cell, 0 where it does not count."""
    counts = torch.ones_like(numerator, dtype=torch.bool) if mask is None else mask
    if leave_out_nan:
        counts = counts & ~numerator.isnan()
        if denominator is not None:
            counts = counts & ~denominator.isnan()
    above = torch.where(counts, numerator, 0.0)
    return above, counts.to(above.dtype) if denominator is None else torch.where(counts, denominator, 0.0)
