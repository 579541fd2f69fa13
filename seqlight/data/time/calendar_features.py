"""Known covariates computed from the calendar: each a point on a circle, (sin, cos), in float32."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from seqlight.data.errors import DataError
from seqlight.data.time.frequency import DAY, HOUR

#: Columns per feature: the sine and the cosine of its phase.
FEATURE_WIDTH = 2

FEATURE_NAMES = ("minute", "hour", "day_of_week", "day_of_month", "day_of_year", "month")


def check_features(names: Sequence[str]) -> None:
    """Raise DataError unless every name is one of ``FEATURE_NAMES``, each once."""
    for name in names:
        if name not in FEATURE_NAMES:
            raise DataError(
                f"calendar_features: expected names out of {', '.join(FEATURE_NAMES)}, got {name!r}"
            )
    if len(set(names)) != len(names):
        raise DataError(f"calendar_features: each name may appear once, got {', '.join(names)}")


def calendar_features(timestamps: NDArray[np.int64], names: Sequence[str]) -> NDArray[np.float32]:
    """Sine and cosine of each named phase.

    Args:
        timestamps: [N] int64 microseconds since 1970-01-01.
        names: out of ``FEATURE_NAMES``. "minute" turns once an hour, "hour" once a day (continuously, with
            the minutes), "day_of_week" once a week, "day_of_month", "day_of_year" and "month" as named.

    Returns:
        [N, 2 * len(names)] float32: sin, cos, sin, cos, ... in the order of ``names``.
    """
    check_features(names)
    features = np.empty((len(timestamps), FEATURE_WIDTH * len(names)), np.float32)
    for column, name in enumerate(names):
        angle = 2 * np.pi * _phase(timestamps, name)
        features[:, 2 * column] = np.sin(angle)
        features[:, 2 * column + 1] = np.cos(angle)
    return features


def _phase(timestamps: NDArray[np.int64], name: str) -> NDArray[np.float64]:
    """The named phase, 0 to 1."""
    if name == "minute":
        return (timestamps % HOUR) / HOUR
    if name == "hour":
        return (timestamps % DAY) / DAY
    day_numbers = timestamps // DAY
    if name == "day_of_week":
        # 1970-01-01 was a Thursday, the day of the week 3 counted from Monday.
        return ((day_numbers + 3) % 7) / 7
    days = day_numbers.astype("datetime64[D]")
    months = days.astype("datetime64[M]")
    if name == "month":
        return (months.astype(np.int64) % 12) / 12
    unit = "M" if name == "day_of_month" else "Y"
    period = days.astype(f"datetime64[{unit}]")
    start = period.astype("datetime64[D]").astype(np.int64)
    length = (period + 1).astype("datetime64[D]").astype(np.int64) - start
    return (day_numbers - start) / length
