"""Names of the columns of a forecast, as Nixtla's packages have them."""

from collections.abc import Sequence


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


def _suffix(level: float) -> str:
    if level == 0.5:
        return "median"
    coverage = round(100.0 * abs(1.0 - 2.0 * level), 6)
    return f"{'lo' if level < 0.5 else 'hi'}-{coverage:g}"
