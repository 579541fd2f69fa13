"""Scores of prediction intervals."""

import torch
from torch import Tensor


def interval_coverage(lower: Tensor, upper: Tensor, target: Tensor) -> Tensor:
    """Return 1 where the interval holds the target and 0 where not; its mean is the observed coverage.

    Args:
        lower: lower bounds, the shape of target.
        upper: upper bounds, likewise.
        target: true values.

    Returns:
        Float, the shape of target; NaN where a bound or the target is NaN.

    """
    inside = ((target >= lower) & (target <= upper)).to(target.dtype)
    return torch.where(lower.isnan() | upper.isnan() | target.isnan(), torch.nan, inside)


def interval_score(lower: Tensor, upper: Tensor, target: Tensor, level: float) -> Tensor:
    """Return the interval score of every cell, Gneiting and Raftery 2007; lower is better.

    With a = 1 - level / 100: ``(u - l) + 2/a (l - y)+ + 2/a (y - u)+``, the width of the interval and a
    penalty for how far the target lies outside. Its expectation is lowest for the true quantiles a/2 and
    1 - a/2.

    Args:
        lower: lower bounds, the shape of target.
        upper: upper bounds, likewise.
        target: true values.
        level: the interval's nominal coverage in per cent, above 0 and below 100.

    Returns:
        The shape of target, in its units; NaN where a bound or the target is NaN.

    Raises:
        ValueError: a level outside (0, 100).

    """
    if not 0 < level < 100:
        raise ValueError(f"level: expected per cent above 0 and below 100, such as 80, got {level}")
    penalty = 2 / (1 - level / 100)
    return (upper - lower) + penalty * ((lower - target).clamp(min=0) + (target - upper).clamp(min=0))
