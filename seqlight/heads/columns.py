"""Names of the columns of a forecast, as Nixtla's packages have them, and levels as quantiles."""

from collections.abc import Sequence
from numbers import Real
from typing import Any


def point_column(target: str) -> str:
    """Return the name of the point forecast's column: the target's own."""
    return target


def forecast_columns(target: str, levels: Sequence[float]) -> list[str]:
    """Return the names of the columns of quantiles.

    A quantile q below 0.5 is the lower end of the interval of 100 (1 - 2 q) per cent, one above it the upper
    end of that of 100 (2 q - 1): 0.1 is ``y-lo-80``, 0.9 ``y-hi-80``, 0.5 ``y-median``.

    Args:
        target: the target's name.
        levels: of the quantiles.

    """
    return [f"{target}-{_suffix(level)}" for level in levels]


def quantiles_of_intervals(level: Sequence[Any]) -> tuple[float, ...]:
    """Return the quantiles that bound central intervals, rising.

    Args:
        level: nominal coverages in per cent, such as ``[80, 95]``, which are the quantiles 0.025, 0.1, 0.9
            and 0.975.

    Raises:
        TypeError: a level is no number.
        ValueError: one is below 1 or not below 100, or comes twice.

    """
    for one in level:
        if isinstance(one, bool) or not isinstance(one, Real):
            raise TypeError(f"level: expected numbers such as [80, 95], got {one!r} ({type(one).__name__})")
        percent = float(one)
        if not 1 <= percent < 100:
            meant = f"; say {100 * percent:g} for {100 * percent:g} per cent" if 0 < percent < 1 else ""
            raise ValueError(f"level: expected per cent from 1 to below 100, such as 80, got {one}{meant}")
    if len(set(level)) < len(level):
        raise ValueError(f"level: expected each once, got {list(level)}")
    # Rounded, so that 80 gives 0.1 and not 0.09999999999999998.
    tails = sorted(round((100.0 - float(one)) / 200.0, 10) for one in level)
    return (*tails, *(round(1.0 - tail, 10) for tail in reversed(tails)))


def _suffix(level: float) -> str:
    if level == 0.5:
        return "median"
    coverage = round(100.0 * abs(1.0 - 2.0 * level), 6)
    return f"{'lo' if level < 0.5 else 'hi'}-{coverage:g}"
