"""Errors over the cells that a mask keeps: over all of them, by step ahead, or by series.

Over all cells the numbers are torchmetrics'; what theirs do not have is the mask and the parts.
"""

from typing import Any, ClassVar

import torch
from torch import Tensor

from seqlight.metrics.cell_ratio import CellRatio

SMALLEST_SIZE = 1.17e-06
"""torchmetrics' bound of a denominator of sMAPE: 0 for 0 is no error."""


class MaskedMeanAbsoluteError(CellRatio):
    """Mean absolute error over the cells that are known.

    Args:
        kwargs: ``by`` and ``size``, see :class:`CellRatio`, and those of :class:`torchmetrics.Metric`.

    """

    sum_dtype: ClassVar[torch.dtype] = torch.float32
    is_differentiable = True

    def update(
        self, preds: Tensor, target: Tensor, mask: Tensor | None = None, series_index: Tensor | None = None
    ) -> None:
        """Add a batch.

        Args:
            preds: forecasts ``[B, H, C]``; of any shape without ``by``.
            target: true values of the same shape.
            mask: bool of the same shape, False where a cell is not known; None means all are.
            series_index: int64 ``[B]``; needed with ``by="series"``.

        """
        self._add((preds - target).abs(), None, mask, series_index, leave_out_nan=False)


class MaskedMeanSquaredError(CellRatio):
    """Mean squared error (``squared=False``: its root) over the cells that are known.

    Args:
        squared: whether to leave out the root.
        kwargs: ``by`` and ``size``, see :class:`CellRatio`, and those of :class:`torchmetrics.Metric`.

    """

    sum_dtype: ClassVar[torch.dtype] = torch.float32
    is_differentiable = True

    def __init__(self, squared: bool = True, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.squared = squared

    def update(
        self, preds: Tensor, target: Tensor, mask: Tensor | None = None, series_index: Tensor | None = None
    ) -> None:
        """Add a batch, see :meth:`MaskedMeanAbsoluteError.update`."""
        self._add((preds - target).square(), None, mask, series_index, leave_out_nan=False)

    def compute(self) -> Tensor:
        """Return the mean so far, or its root: a scalar, ``[H]`` or ``[S]``."""
        return super().compute() if self.squared else super().compute().sqrt()


class MaskedSymmetricMeanAbsolutePercentageError(CellRatio):
    """sMAPE over the cells that are known.

    The mean of ``2 |preds - target| / (|preds| + |target|)``: a fraction between 0 and 2, not per cent.

    Args:
        kwargs: ``by`` and ``size``, see :class:`CellRatio`, and those of :class:`torchmetrics.Metric`.

    """

    sum_dtype: ClassVar[torch.dtype] = torch.float32
    is_differentiable = True

    def update(
        self, preds: Tensor, target: Tensor, mask: Tensor | None = None, series_index: Tensor | None = None
    ) -> None:
        """Add a batch, see :meth:`MaskedMeanAbsoluteError.update`."""
        self._add(symmetric_errors(preds, target), None, mask, series_index, leave_out_nan=False)


class MaskedMeanRelativeError(CellRatio):
    """The mean relative error (MRE) of imputation papers over the cells that are known.

    ``sum |preds - target| / sum |target|``, a fraction: the weighted mean absolute percentage error.

    Args:
        kwargs: ``by`` and ``size``, see :class:`CellRatio`, and those of :class:`torchmetrics.Metric`.

    """

    sum_dtype: ClassVar[torch.dtype] = torch.float32
    is_differentiable = True

    def update(
        self, preds: Tensor, target: Tensor, mask: Tensor | None = None, series_index: Tensor | None = None
    ) -> None:
        """Add a batch, see :meth:`MaskedMeanAbsoluteError.update`."""
        self._add((preds - target).abs(), target.abs(), mask, series_index, leave_out_nan=False)


def symmetric_errors(preds: Tensor, target: Tensor) -> Tensor:
    """Return ``2 |preds - target| / (|preds| + |target|)`` of each cell; 0 where both are 0."""
    sizes = (preds.abs() + target.abs()).clamp(min=SMALLEST_SIZE)
    return 2 * (preds - target).abs() / sizes
