"""Levels of prediction intervals: per cent, as in ``level=[80, 95]``, with exact arithmetic."""

from collections.abc import Sequence
from fractions import Fraction

import torch
from torch import Tensor

Levels = tuple[float, ...]


def check_levels(levels: Sequence[float] | float) -> Levels:
    """Return levels in rising order, each once.

    Args:
        levels: nominal coverages in per cent, such as ``[80, 95]``, or one of them.

    Raises:
        ValueError: no level, or one below 1, which is a share and not per cent, or not below 100.

    """
    given = [levels] if isinstance(levels, int | float) else list(levels)
    if not given:
        raise ValueError("levels: expected at least one, in per cent, such as [80, 95], got none")
    for level in given:
        if isinstance(level, bool) or not isinstance(level, int | float) or not 1 <= level < 100:
            share = isinstance(level, float) and 0 < level < 1
            hint = f"; write {100 * level:g} for {level:g}" if share else ""
            raise ValueError(
                f"levels: expected per cent, at least 1 and below 100, such as 80, got {level!r}{hint}"
            )
    return tuple(sorted({float(level) for level in given}))


def miss_rate(level: float) -> Fraction:
    """Return alpha, ``1 - level / 100``, as the decimals of the level say it: 1/5 for 80."""
    return 1 - Fraction(repr(float(level))) / 100


def interval_quantiles(levels: Sequence[float]) -> Levels:
    """Return the quantile levels of the bounds, rising: 0.025, 0.1, 0.9, 0.975 for 80 and 95."""
    halves = [miss_rate(level) / 2 for level in levels]
    return tuple(float(half) for half in sorted({*halves, *(1 - half for half in halves)}))


def level_name(level: float) -> str:
    """Return the level as column names have it: ``"80"``, ``"97.5"``."""
    return repr(float(level)).removesuffix(".0")


def needed_scores(level: float, *, two_sided: bool) -> int:
    """Return how many scores a finite bound needs.

    ``ceil(1 / alpha) - 1``, and ``ceil(2 / alpha) - 1`` where each side has half of alpha.
    """
    alpha = miss_rate(level) / (2 if two_sided else 1)
    return -(-alpha.denominator // alpha.numerator) - 1


def conformal_rank(count: Tensor, level: float, *, two_sided: bool) -> Tensor:
    """Return which of n sorted scores, counted from 1, is the conformal quantile: above n for none.

    ``ceil((n + 1) (1 - alpha))``, alpha halved where each side has a bound of its own: the finite-sample
    correction of split conformal prediction (Vovk, Gammerman and Shafer 2005; Lei et al. 2018).

    Args:
        count: int64, numbers of scores n.
        level: in per cent.
        two_sided: whether the scores are those of one side.

    """
    share = 1 - miss_rate(level) / (2 if two_sided else 1)
    return -torch.div(-(count + 1) * share.numerator, share.denominator, rounding_mode="floor")
