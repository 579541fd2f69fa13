"""Losses of quantile forecasts."""

from collections.abc import Sequence

import torch
from torch import Tensor


def pinball_loss(preds: Tensor, target: Tensor, quantiles: Sequence[float] | Tensor) -> Tensor:
    """Return the pinball (quantile) loss of every cell and level, Koenker and Bassett 1978.

    With q a level and z the forecast of that quantile: ``max(q (y - z), (q - 1) (y - z))``.

    Args:
        preds: quantile forecasts ``[..., Q]``.
        target: true values ``[...]``; NaN gives NaN.
        quantiles: the Q levels, each above 0 and below 1.

    Returns:
        ``[..., Q]``, in the target's units.

    Raises:
        ValueError: a level outside (0, 1), or shapes that do not fit.

    """
    levels = torch.as_tensor(quantiles, dtype=preds.dtype, device=preds.device)
    if levels.ndim != 1 or not bool(((levels > 0) & (levels < 1)).all()):
        raise ValueError(f"quantiles: expected levels above 0 and below 1, got {levels.tolist()}")
    if preds.shape != (*target.shape, len(levels)):
        raise ValueError(
            f"preds: expected [..., Q] = {[*target.shape, len(levels)]} for target {list(target.shape)} and "
            f"{len(levels)} quantiles, got {list(preds.shape)}"
        )
    error = target.unsqueeze(-1) - preds
    return torch.maximum(levels * error, (levels - 1) * error)


def weighted_quantile_loss(
    preds: Tensor, target: Tensor, quantiles: Sequence[float] | Tensor, mask: Tensor | None = None
) -> Tensor:
    """Return the weighted quantile loss: twice the pinball losses' sum over that of ``|target|``, level mean.

    As GluonTS' ``mean_weighted_sum_quantile_loss``. A point forecast is compared by repeating its point at
    each level, which makes this the weighted absolute percentage error.

    Args:
        preds: quantile forecasts ``[..., Q]``, or points ``[...]``, which are repeated at each level.
        target: true values ``[...]``.
        quantiles: the Q levels, each above 0 and below 1.
        mask: bool of the target's shape, False where a cell is not known; None means all are.

    Returns:
        A scalar; NaN where no cell counts or all known targets are 0.

    Raises:
        ValueError: a level outside (0, 1), or shapes that do not fit.

    """
    if preds.shape == target.shape:
        preds = preds.unsqueeze(-1).expand(*preds.shape, len(quantiles))
    known = torch.ones_like(target, dtype=torch.bool) if mask is None else mask
    losses = pinball_loss(preds, torch.where(known, target, 0.0), quantiles)
    total = torch.where(known.unsqueeze(-1), losses, 0.0).flatten(0, -2).sum(0)
    weight = torch.where(known, target, 0.0).abs().sum()
    return (2 * total / weight).mean()
