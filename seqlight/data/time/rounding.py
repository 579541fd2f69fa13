"""Times that jitter around a regular grid: finding its step, and rounding to it."""

import numpy as np

from seqlight.data.time.steps import DAY, HOUR, MINUTE, SECOND, FixedFrequency, Int64Array

_STEPS = np.array(
    [
        *(unit * SECOND for unit in (1, 2, 5, 10, 15, 20, 30)),
        *(unit * MINUTE for unit in (1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30)),
        *(unit * HOUR for unit in (1, 2, 3, 4, 6, 8, 12)),
        DAY,
    ]
)
# A grid is one if so many rows are on steps of their own and so many steps are exactly one.
_REGULAR = 0.9


def rounding_step(timestamps: Int64Array, first_rows: Int64Array) -> FixedFrequency | None:
    """Return the step of the grid around which times jitter.

    Args:
        timestamps: [rows] int64 microseconds, the series one after the other, each increasing.
        first_rows: [S] first row of each series.

    Returns:
        A step of a second to a day, such that :func:`round_times` leaves no two rows of a series at one time
        and nine of ten rows one step after another; None where there is none.
    """
    inside = np.ones(max(len(timestamps) - 1, 0), np.bool_)
    inside[first_rows[1:] - 1] = False
    if not inside.any():
        return None
    typical = float(np.median(np.diff(timestamps)[inside]))
    nearest = int(_STEPS[np.argmin(np.abs(np.log(_STEPS / max(typical, 1.0))))])
    steps = np.diff(round_times(timestamps, FixedFrequency(nearest)))[inside]
    if (steps <= 0).any() or np.mean(steps == nearest) < _REGULAR:
        return None
    return FixedFrequency(nearest)


def round_times(timestamps: Int64Array, frequency: FixedFrequency) -> Int64Array:
    """Return each time rounded to the nearest of a grid.

    The grid begins at midnight where the times lie around it, else later by the twelfths of a step that suit
    them best: hourly readings at about 17 minutes past go to 15 minutes past.

    Args:
        timestamps: [rows] int64 microseconds.
        frequency: the grid's step.

    Returns:
        [rows] int64 microseconds.
    """
    step = frequency.step
    turns = 2 * np.pi * ((timestamps % step) / step)
    centre = np.angle(np.mean(np.exp(1j * turns))) / (2 * np.pi)
    start = round(centre * 12) * step // 12
    return (timestamps - start + step // 2) // step * step + start


def duration_text(microseconds: int) -> str:
    """Return a duration in the largest unit that leaves a number of at least 1, such as "2.5min"."""
    for unit, size in (("d", DAY), ("h", HOUR), ("min", MINUTE), ("s", SECOND)):
        if microseconds >= size:
            return f"{microseconds / size:.3g}{unit}"
    return f"{microseconds / 1000:.3g}ms"
