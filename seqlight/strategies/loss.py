"""Losses over observed cells."""

from collections.abc import Callable

import torch
from torch import Tensor

PointwiseLoss = Callable[[Tensor, Tensor], Tensor]
"""Takes predictions and targets of one shape and returns the loss of every cell."""


def masked_loss(pointwise: PointwiseLoss, preds: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Sum a loss over the cells whose target is known.

    Args:
        pointwise: the loss of every cell.
        preds: predictions, any shape.
        target: targets of the same shape, NaN where missing.

    Returns:
        The sum and the count of the known cells, scalars of the predictions' dtype. The sum over no cell is 0
        and still carries a (zero) gradient.

    """
    known = ~target.isnan()
    # The target is filled before the loss: a NaN that was masked only afterwards would still reach the
    # gradient.
    cells = pointwise(preds, torch.where(known, target, 0.0))
    return torch.where(known, cells, 0.0).sum(), known.sum().to(preds.dtype)
