"""Metrics of the last step ahead alone."""

from torch import Tensor

from seqlight.metrics.masked import MaskedMeanAbsoluteError, MaskedMeanSquaredError


class LastStepMeanAbsoluteError(MaskedMeanAbsoluteError):
    """Mean absolute error of the last of the H steps of a forecast, over the cells that are known."""

    def update(
        self, preds: Tensor, target: Tensor, mask: Tensor | None = None, series_index: Tensor | None = None
    ) -> None:
        """Add a batch: ``preds``, ``target`` and ``mask`` (False where not known) are ``[B, H, C]``."""
        super().update(preds[:, -1:], target[:, -1:], None if mask is None else mask[:, -1:], series_index)


class LastStepMeanSquaredError(MaskedMeanSquaredError):
    """Mean squared error (``squared=False``: its root) of the last step of a forecast, known cells alone."""

    def update(
        self, preds: Tensor, target: Tensor, mask: Tensor | None = None, series_index: Tensor | None = None
    ) -> None:
        """Add a batch: ``preds``, ``target`` and ``mask`` (False where not known) are ``[B, H, C]``."""
        super().update(preds[:, -1:], target[:, -1:], None if mask is None else mask[:, -1:], series_index)
