"""Forms of torchmetrics' regression metrics that leave out the cells a mask names."""

from typing import Any

from torch import Tensor
from torchmetrics import (
    MeanAbsoluteError,
    MeanSquaredError,
    SymmetricMeanAbsolutePercentageError,
    WeightedMeanAbsolutePercentageError,
)


def _known(preds: Tensor, target: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
    """Return the cells that the mask keeps, as two vectors."""
    if mask is None:
        return preds.flatten(), target.flatten()
    if mask.shape != target.shape:
        raise ValueError(f"mask: expected the shape of target, {list(target.shape)}, got {list(mask.shape)}")
    return preds[mask], target[mask]


class MaskedMeanAbsoluteError(MeanAbsoluteError):
    """torchmetrics' mean absolute error over the cells that are known."""

    def update(self, preds: Tensor, target: Tensor, mask: Tensor | None = None) -> None:
        """Add a batch; ``mask`` is bool of the shape of ``target``, False where a cell is not known."""
        super().update(*_known(preds, target, mask))


class MaskedMeanSquaredError(MeanSquaredError):
    """torchmetrics' mean squared error (``squared=False``: its root) over the cells that are known."""

    def __init__(self, squared: bool = True, **kwargs: Any) -> None:
        super().__init__(squared=squared, **kwargs)

    def update(self, preds: Tensor, target: Tensor, mask: Tensor | None = None) -> None:
        """Add a batch; ``mask`` is bool of the shape of ``target``, False where a cell is not known."""
        super().update(*_known(preds, target, mask))


class MaskedSymmetricMeanAbsolutePercentageError(SymmetricMeanAbsolutePercentageError):
    """torchmetrics' sMAPE over the cells that are known.

    The mean of ``2 |preds - target| / (|preds| + |target|)``: a fraction between 0 and 2, not per cent.
    """

    def update(self, preds: Tensor, target: Tensor, mask: Tensor | None = None) -> None:
        """Add a batch; ``mask`` is bool of the shape of ``target``, False where a cell is not known."""
        super().update(*_known(preds, target, mask))


class MaskedMeanRelativeError(WeightedMeanAbsolutePercentageError):
    """The mean relative error (MRE) of imputation papers over the cells that are known.

    ``sum |preds - target| / sum |target|``: torchmetrics' weighted mean absolute percentage error, a
    fraction.
    """

    def update(self, preds: Tensor, target: Tensor, mask: Tensor | None = None) -> None:
        """Add a batch; ``mask`` is bool of the shape of ``target``, False where a cell is not known."""
        super().update(*_known(preds, target, mask))
