"""The M4 competition's overall weighted average (OWA)."""

from typing import Any, ClassVar

import torch
from torch import Tensor

from seqlight.metrics.cell_ratio import CellRatio, counted
from seqlight.metrics.functional.scaled import scaled_errors
from seqlight.metrics.masked import symmetric_errors


class OverallWeightedAverage(CellRatio):
    """Mean of two ratios: sMAPE and MASE of a forecast over those of Naive2.

    ``(sMAPE / sMAPE_2 + MASE / MASE_2) / 2`` with means over all cells of the data set, as in the M4
    competition (Makridakis, Spiliotis and Assimakopoulos 2020), and not means of the series' ratios. Below 1
    is better than Naive2. Both forecasts are judged on the same cells; those of a series without scale count
    for sMAPE alone.

    Args:
        kwargs: ``by`` and ``size``, see :class:`CellRatio`, and those of :class:`torchmetrics.Metric`.

    """

    sum_dtype: ClassVar[torch.dtype] = torch.float64

    scaled_numerator: Tensor
    scaled_denominator: Tensor

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        for name in ("scaled_numerator", "scaled_denominator"):
            self._add_sums(name)

    def update(
        self,
        preds: Tensor,
        target: Tensor,
        naive2: Tensor,
        scale: Tensor,
        mask: Tensor | None = None,
        series_index: Tensor | None = None,
    ) -> None:
        """Add a batch.

        Args:
            preds: forecasts ``[B, H, C]``.
            target: true values of the same shape.
            naive2: forecasts of :func:`~seqlight.metrics.functional.naive2`, likewise.
            scale: ``[B, C]``, the denominators of MASE.
            mask: bool ``[B, H, C]``, False where a cell is not known; None means all are.
            series_index: int64 ``[B]``; needed with ``by="series"``.

        Raises:
            ValueError: shapes that do not fit.

        """
        if naive2.shape != target.shape:
            raise ValueError(
                f"naive2: expected the shape of target, {list(target.shape)}, got {list(naive2.shape)}"
            )
        own, usable = scaled_errors(preds, target, scale, mask)
        other, _ = scaled_errors(naive2, target, scale, mask)
        self._add(
            symmetric_errors(preds, target),
            symmetric_errors(naive2, target),
            mask,
            series_index,
            leave_out_nan=False,
        )
        above, below = counted(own, other, usable, leave_out_nan=False)
        self.scaled_numerator += self._reduce(above, series_index)
        self.scaled_denominator += self._reduce(below, series_index)

    def compute(self) -> Tensor:
        """Return the average: a scalar, ``[H]`` or ``[S]``; NaN where no cell counts."""
        return (super().compute() + self.scaled_numerator / self.scaled_denominator) / 2
