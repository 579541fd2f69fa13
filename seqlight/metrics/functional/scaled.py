"""Errors scaled by those of the seasonal naive forecast: MASE and RMSSE, and the scales themselves."""

import torch
from torch import Tensor


def scaled_errors(
    preds: Tensor, target: Tensor, scale: Tensor, mask: Tensor | None = None, *, squared: bool = False
) -> tuple[Tensor, Tensor]:
    """Return the scaled error of each cell, and which cells count.

    Args:
        preds: forecasts ``[B, H, C]`` in original units.
        target: true values of the same shape.
        scale: ``[B, C]``, see :func:`mean_absolute_scaled_error`; the squared one if ``squared``.
        mask: bool of the same shape as target, False where a cell is not known; None means all are.
        squared: whether errors are squared, as RMSSE has them.

    Returns:
        ``[B, H, C]`` in the dtype of preds, at least float32, 0 where a cell does not count, and bool
        ``[B, H, C]``.

    Raises:
        ValueError: shapes that do not fit.

    """
    _check(preds, target, scale, mask)
    dtype = torch.promote_types(preds.dtype, torch.float32)
    usable = (scale.isfinite() & (scale > 0)).unsqueeze(1).expand_as(target)
    if mask is not None:
        usable = usable & mask.bool()
    # Filled before the arithmetic: what is masked only afterwards would still put NaN into the gradient.
    difference = preds.to(dtype) - torch.where(usable, target.to(dtype), 0.0)
    divisor = torch.where(usable, scale.to(dtype).unsqueeze(1), 1.0)
    errors = (difference.square() if squared else difference.abs()) / divisor
    return torch.where(usable, errors, 0.0), usable


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
    errors, usable = scaled_errors(preds, target, scale, mask)
    return errors.sum(), usable.sum()


def squared_scaled_error_sums(
    preds: Tensor, target: Tensor, squared_scale: Tensor, mask: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Sum squared scaled errors over the cells that count, and count those cells.

    The arguments are those of :func:`root_mean_squared_scaled_error`.

    Returns:
        Two scalars: the sum (in the dtype of preds, at least float32) and the count (int64).

    Raises:
        ValueError: shapes that do not fit.

    """
    errors, usable = scaled_errors(preds, target, squared_scale, mask, squared=True)
    return errors.sum(), usable.sum()


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


def root_mean_squared_scaled_error(
    preds: Tensor, target: Tensor, squared_scale: Tensor, mask: Tensor | None = None
) -> Tensor:
    """Root mean squared scaled error, RMSSE.

    Makridakis, Spiliotis and Assimakopoulos 2022, "M5 accuracy competition". The squared error of each cell
    is divided by the mean squared error, on what came before the forecast, of the forecast that repeats the
    value one season earlier; the root is taken of the mean over all cells that count.

    Args:
        preds: forecasts ``[B, H, C]`` in original units.
        target: true values of the same shape.
        squared_scale: ``[B, C]``, that mean squared error of each window's series.
        mask: bool of the same shape as target, False where a cell is not known; None means all are.

    Returns:
        A scalar; NaN if no cell counts.

    Raises:
        ValueError: shapes that do not fit.

    """
    total, count = squared_scaled_error_sums(preds, target, squared_scale, mask)
    return (total / count).sqrt()


def _check(preds: Tensor, target: Tensor, scale: Tensor, mask: Tensor | None) -> None:
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


def seasonal_naive_scale(
    history: Tensor, season_length: int, *, squared: bool = False, length: Tensor | None = None
) -> Tensor:
    """Return the denominators of MASE or RMSSE of series that are known up to a cutoff.

    The mean of ``|y_t - y_(t - m)|``, squared for RMSSE, over all pairs of known values before the cutoff. A
    forecast is scaled by what was known when it was made: with ``length`` every origin has its own.

    Args:
        history: ``[B, T, C]`` values from the beginning of each series; NaN where missing.
        season_length: m, at least 1. Where a history has no pair m steps apart, m is 1.
        squared: whether for RMSSE.
        length: int64 ``[B]``, the cutoffs: steps of each history that are known; None for all T.

    Returns:
        ``[B, C]``; NaN where no pair is known, and where the mean is 0.

    Raises:
        ValueError: a season below 1, or shapes that do not fit.

    """
    if season_length < 1:
        raise ValueError(f"season_length: expected at least 1, got {season_length}")
    if history.ndim != 3 or (length is not None and length.shape != history.shape[:1]):
        raise ValueError(f"history: expected [B, T, C] and length [B], got {list(history.shape)}")
    if length is not None:
        steps = torch.arange(history.shape[1], device=history.device)
        history = history.masked_fill((steps >= length[:, None])[..., None], torch.nan)
    scale = _mean_difference(history, season_length, squared)
    if season_length > 1:
        scale = torch.where(scale.isnan(), _mean_difference(history, 1, squared), scale)
    return torch.where(scale > 0, scale, torch.nan)


def _mean_difference(history: Tensor, lag: int, squared: bool) -> Tensor:
    differences = (history[:, lag:] - history[:, :-lag]).double()
    sizes = differences.square() if squared else differences.abs()
    return sizes.nanmean(1).to(history.dtype)
