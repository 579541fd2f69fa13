"""MASE and RMSSE as torchmetrics classes."""

from torch import Tensor

from .functional import scaled_error_sums, squared_scaled_error_sums
from .mean import MeanOverCells


class MeanAbsoluteScaledError(MeanOverCells):
    """Accumulates :func:`~seqlight.metrics.functional.mean_absolute_scaled_error` over batches and processes.

    The result is the mean over all cells that count, however they were split into batches; cells of a series
    whose scale is 0 or NaN do not count.
    """

    is_differentiable = True
    higher_is_better = False

    def update(  # type: ignore[override]
        self, preds: Tensor, target: Tensor, scale: Tensor, mask: Tensor | None = None
    ) -> None:
        """Add a batch: ``preds``, ``target`` and ``mask`` are ``[B, H, C]``, ``scale`` is ``[B, C]``."""
        super().update(*scaled_error_sums(preds, target, scale, mask))


class RootMeanSquaredScaledError(MeanOverCells):
    """Accumulates :func:`~seqlight.metrics.functional.root_mean_squared_scaled_error` over batches.

    Cells of a series whose scale is 0 or NaN do not count.
    """

    higher_is_better = False

    def update(  # type: ignore[override]
        self, preds: Tensor, target: Tensor, squared_scale: Tensor, mask: Tensor | None = None
    ) -> None:
        """Add a batch: ``preds``, ``target`` and ``mask`` ``[B, H, C]``, ``squared_scale`` ``[B, C]``."""
        super().update(*squared_scaled_error_sums(preds, target, squared_scale, mask))

    def compute(self) -> Tensor:
        """Return the root of the mean so far."""
        return super().compute().sqrt()
