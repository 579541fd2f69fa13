"""What ``seqlight forecast`` chooses when the user does not: context, horizon, parts, calendar features."""

from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from seqlight.data import SeriesStore

CALIBRATION = 0.1
MOST_CALIBRATION = 0.25
DAY_US = 24 * 3600 * 1_000_000
WEEK_US = 7 * DAY_US
MONTH_US = 28 * DAY_US
YEAR_US = 365 * DAY_US


def choose_calibration_size(length: int, horizon: int, levels: Sequence[float], series: int) -> float | int:
    """Size of the calibration part: a tenth, or for one short series what its levels need.

    Several series lend each other their errors. One alone needs ``1 / (1 - level) - 1`` windows, for which up
    to a quarter of its steps are taken.

    Args:
        length: steps of the series.
        horizon: steps of a window's targets.
        levels: of the intervals, in per cent; none for no calibration part.
        series: their number.

    Returns:
        A fraction, or a number of steps.
    """
    if not levels:
        return 0.0
    miss = 1 - Fraction(repr(float(max(levels)))) / 100
    needed = horizon - 1 + -(-miss.denominator // miss.numerator) - 1
    short = CALIBRATION * length < needed <= MOST_CALIBRATION * length
    return needed if series == 1 and short else CALIBRATION


def choose_batch_size(cells: int) -> int:
    """Windows in a batch for data of ``cells`` rows in all: small data make up for it by more steps."""
    return 64 if cells >= 2000 else 16


def choose_calendar_features(step: float, span: float) -> list[str]:
    """Calendar features that data with the given ``step`` and ``span``, both in microseconds, can teach.

    A feature needs at least two of its periods: of a year seen once, nothing can be learned but its trend.
    """
    features = []
    if step < DAY_US and span >= 2 * DAY_US:
        features.append("hour")
    if step < WEEK_US and span >= 2 * WEEK_US:
        features.append("day_of_week")
    if step >= DAY_US and span >= 2 * YEAR_US:
        features.append("month" if step >= MONTH_US else "day_of_year")
    return features


def step_and_span(store: SeriesStore) -> tuple[float, float]:
    """Mean step and span of the longest series of a store with times, in microseconds."""
    longest = int(np.argmax(store.lengths))
    length = int(store.lengths[longest])
    first, last = store.timestamps(longest, 0, length).to_physical().gather([0, length - 1]).to_list()
    span = float(last - first)
    return span / max(length - 1, 1), span
