"""Metrics as pure functions."""

import torch
from torch import Tensor


def scaled_error_sums(
    preds: Tensor, target: Tensor, scale: Tensor, mask: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Sum absolute scaled errors over the cells that count, and count those cells.

    Args:
        preds: forecasts ``[B, H, C]`` in original units.
        target: true values of the same shape.
        scale: ``[B, C]``, see :func:`mean_absolute_scaled_error`.
        mask: bool of the same shape as target, False where a cell is not known; None means all are.

    Returns:
        Two scalars: the sum (in the dtype of preds, at least float32) and the count (int64).

    Raises:
        ValueError: shapes that do not fit.

    """
    if preds.shape != target.shape or preds.ndim != 3:
        raise ValueError(
            "preds and target: expected one shape [B, H, C], "
            f"got {list(preds.shape)} and {list(target.shape)}"
        )
    if scale.shape != (preds.shape[0], preds.shape[2]):
        raise ValueError(
            f"scale: expected [B, C] = [{preds.shape[0]}, {preds.shape[2]}], got {list(scale.shape)}"
        )
    if mask is not None and mask.shape != target.shape:
        raise ValueError(f"mask: expected the shape of target, {list(target.shape)}, got {list(mask.shape)}")
    dtype = torch.promote_types(preds.dtype, torch.float32)
    usable = (scale.isfinite() & (scale > 0)).unsqueeze(1).expand_as(target)
    if mask is not None:
        usable = usable & mask.bool()
    # Filled before the arithmetic: what is masked only afterwards would still put NaN into the gradient.
    target = torch.where(usable, target.to(dtype), 0.0)
    divisor = torch.where(usable, scale.to(dtype).unsqueeze(1), 1.0)
    errors = (preds.to(dtype) - target).abs() / divisor
    return torch.where(usable, errors, 0.0).sum(), usable.sum()


def mean_absolute_scaled_error(
    preds: Tensor, target: Tensor, scale: Tensor, mask: Tensor | None = None
) -> Tensor:
    """Mean absolute scaled error, MASE.

    Hyndman and Koehler 2006, "Another look at measures of forecast accuracy".

    The absolute error of each cell is divided by the scale of its series: the mean absolute error, on the
    training part, of the forecast that repeats the value one season earlier. Below 1 is better than that
    forecast was on the training part. The mean is taken over all cells that count.

    A series whose scale is 0 (it repeats itself exactly) or NaN (too short for one season) has no scaled
    error: its cells are left out.

    Args:
        preds: forecasts ``[B, H, C]`` in original units.
        target: true values of the same shape.
        scale: ``[B, C]``, the scale of each window's series.
        mask: bool of the same shape as target, False where a cell is not known; None means all are.

    Returns:
        A scalar; NaN if no cell counts.

    Raises:
        ValueError: shapes that do not fit.

    """
    total, count = scaled_error_sums(preds, target, scale, mask)
    return total / count
