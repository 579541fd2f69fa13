"""MASE and RMSSE as torchmetrics classes."""

from typing import ClassVar

import torch
from torch import Tensor

from seqlight.metrics.cell_ratio import CellRatio
from seqlight.metrics.functional.scaled import scaled_errors


class MeanAbsoluteScaledError(CellRatio):
    """Accumulates :func:`~seqlight.metrics.functional.mean_absolute_scaled_error` over batches and processes.

    The result is the mean over all cells that count, however they were split into batches; cells of a series
    whose scale is 0 or NaN do not count. Give each window the scale of what came before its forecast, see
    :func:`~seqlight.metrics.functional.seasonal_naive_scale`, and denominators end at each cutoff.

    Args:
        kwargs: ``by`` and ``size``, see :class:`CellRatio`, and those of :class:`torchmetrics.Metric`.

    """

    sum_dtype: ClassVar[torch.dtype] = torch.float32
    is_differentiable = True

    def update(
        self,
        preds: Tensor,
        target: Tensor,
        scale: Tensor,
        mask: Tensor | None = None,
        series_index: Tensor | None = None,
    ) -> None:
        """Add a batch: ``preds``, ``target`` and ``mask`` are ``[B, H, C]``, ``scale`` is ``[B, C]``."""
        errors, usable = scaled_errors(preds, target, scale, mask)
        self._add(errors, None, usable, series_index, leave_out_nan=False)


class RootMeanSquaredScaledError(CellRatio):
    """Accumulates :func:`~seqlight.metrics.functional.root_mean_squared_scaled_error` over batches.

    Cells of a series whose scale is 0 or NaN do not count.

    Args:
        kwargs: ``by`` and ``size``, see :class:`CellRatio`, and those of :class:`torchmetrics.Metric`.

    """

    sum_dtype: ClassVar[torch.dtype] = torch.float32

    def update(
        self,
        preds: Tensor,
        target: Tensor,
        squared_scale: Tensor,
        mask: Tensor | None = None,
        series_index: Tensor | None = None,
    ) -> None:
        """Add a batch: ``preds``, ``target`` and ``mask`` ``[B, H, C]``, ``squared_scale`` ``[B, C]``."""
        errors, usable = scaled_errors(preds, target, squared_scale, mask, squared=True)
        self._add(errors, None, usable, series_index, leave_out_nan=False)

    def compute(self) -> Tensor:
        """Return the root of the mean so far."""
        return super().compute().sqrt()
