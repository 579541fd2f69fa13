"""The step of the clock on which a series begins: what cycles of the day, the week or the year count from."""

import numpy as np

from seqlight.data.time.frequency import DAY, Frequency, Int64Array

MONDAY = 4 * DAY
"""1970-01-05 00:00, a Monday, in microseconds since 1970."""


def clock_steps(frequency: Frequency, origin: Int64Array, anchor: Int64Array) -> Int64Array:
    """Return the number of steps of the grid from Monday, 1970-01-05 00:00, to each series' position 0.

    Taken modulo the steps of a day it is the step of the day, modulo those of a week the step of the week
    from Monday on, and for months modulo 12 the month from January on. It depends on the time alone, so that
    a model finds its cycle again in other data of the same step.

    Args:
        frequency: the step.
        origin: [S] int64 microseconds since 1970 of each series' position 0.
        anchor: [S] int64, see ``Frequency.anchors``.
    """
    steps, _ = frequency.positions(origin, np.full_like(origin, MONDAY), anchor)
    return np.asarray(steps, np.int64)
