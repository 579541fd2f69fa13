"""MASE as a torchmetrics class."""

from torch import Tensor

from .functional import scaled_error_sums
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
