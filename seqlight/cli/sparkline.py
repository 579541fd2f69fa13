"""Small lines of text characters for tables on a terminal."""

import numpy as np
from numpy.typing import NDArray

BLOCKS = "▁▂▃▄▅▆▇█"
ASCII = "_.,-=+*#"  # where the terminal has no blocks


def sparkline(
    values: NDArray[np.floating],
    width: int,
    *,
    low: float | None = None,
    high: float | None = None,
    blocks: bool = True,
) -> str:
    """Return at most ``width`` characters whose height is that of the values.

    Args:
        values: [N]; NaN is a space. More than ``width`` values are taken together, by their mean.
        width: the most characters.
        low, high: the values of the lowest and the highest character; None for those of ``values``.
        blocks: whether the terminal can show blocks; else plain characters are used.
    """
    parts = np.array_split(values, min(width, len(values))) if len(values) else []
    means = np.array(
        [part[np.isfinite(part)].mean() if np.isfinite(part).any() else np.nan for part in parts]
    )
    known = means[np.isfinite(means)]
    if not len(known):
        return " " * len(means)
    bottom = float(known.min()) if low is None else low
    top = float(known.max()) if high is None else high
    characters = BLOCKS if blocks else ASCII
    if not top > bottom:
        levels = np.full(len(means), len(characters) // 2 - 1.0)
    else:
        levels = np.round((means - bottom) / (top - bottom) * (len(characters) - 1))
    levels = np.clip(levels, 0, len(characters) - 1)
    return "".join(
        " " if np.isnan(mean) else characters[int(level)] for mean, level in zip(means, levels, strict=True)
    )
