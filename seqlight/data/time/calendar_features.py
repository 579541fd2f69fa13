"""Known covariates computed from the calendar: points on a circle, (sin, cos), and public holidays."""

from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from seqlight.data.errors import DataError
from seqlight.data.time.frequency import DAY, HOUR

#: Columns per feature: the sine and the cosine of its phase.
WITHIN_A_DAY = ("minute", "hour")
FEATURE_WIDTH = 2

FEATURE_NAMES = ("minute", "hour", "day_of_week", "day_of_month", "day_of_year", "month")


#: Before the code of a country, or of one and its part: "holidays:DE", "holidays:DE-BY".
HOLIDAYS = "holidays:"


def check_features(names: Sequence[str]) -> None:
    """Raise DataError unless every name is one of ``FEATURE_NAMES`` or holidays of a country, each once."""
    for name in names:
        if name.startswith(HOLIDAYS):
            _holidays(name.removeprefix(HOLIDAYS), 2020)
        elif name not in FEATURE_NAMES:
            raise DataError(
                f"calendar_features: expected names out of {', '.join(FEATURE_NAMES)}, or {HOLIDAYS} and a "
                f"country, such as '{HOLIDAYS}DE', got {name!r}"
            )
    if len(set(names)) != len(names):
        raise DataError(f"calendar_features: each name may appear once, got {', '.join(names)}")


def calendar_features(timestamps: NDArray[np.int64], names: Sequence[str]) -> NDArray[np.float32]:
    """Return sine and cosine of each named phase; of holidays, whether the day and the day after are one.

    Args:
        timestamps: [N] int64 microseconds since 1970-01-01.
        names: out of ``FEATURE_NAMES``. "minute" turns once an hour, "hour" once a day (continuously, with
            the minutes), "day_of_week" once a week, "day_of_month", "day_of_year" and "month" as named.
            "holidays:DE" and "holidays:DE-BY" are public holidays (1, else 0) of a country or a part of it by
            their ISO 3166 codes, from the package holidays; of use for steps of a day or less.

    Returns:
        [N, 2 * len(names)] float32: sin, cos, sin, cos, ... in the order of ``names``.

    Raises:
        DataError: a name is unknown or comes twice, or holidays are not installed.
    """
    check_features(names)
    features = np.empty((len(timestamps), FEATURE_WIDTH * len(names)), np.float32)
    for column, name in enumerate(names):
        if name.startswith(HOLIDAYS):
            days = timestamps // DAY
            features[:, 2 * column] = _are_holidays(days, name.removeprefix(HOLIDAYS))
            features[:, 2 * column + 1] = _are_holidays(days + 1, name.removeprefix(HOLIDAYS))
            continue
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


def _are_holidays(days: NDArray[np.int64], code: str) -> NDArray[np.bool_]:
    """[N] whether each day since 1970 is a public holiday."""
    if not len(days):
        return np.zeros(0, np.bool_)
    first, last = (
        int(day.astype("datetime64[D]").astype("datetime64[Y]").astype(int)) + 1970
        for day in (days.min(), days.max())
    )
    known = np.concatenate([_holidays(code, year) for year in range(first, last + 1)])
    return np.isin(days, known)


@cache
def _holidays(code: str, year: int) -> NDArray[np.int64]:
    """Public holidays of one year, as days since 1970."""
    try:
        import holidays
    except ImportError:
        raise DataError(
            f"calendar_features: '{HOLIDAYS}{code}' needs the package holidays; install it: "
            "pip install 'seqlight[holidays]'"
        ) from None
    country, _, part = code.partition("-")
    try:
        found = holidays.country_holidays(country, subdiv=part or None, years=year)
    except NotImplementedError as error:
        raise DataError(
            f"calendar_features: expected the ISO code of a country, such as '{HOLIDAYS}DE', or of a part of "
            f"one, such as '{HOLIDAYS}DE-BY', got '{HOLIDAYS}{code}': {error}"
        ) from None
    return np.array(sorted(found), "datetime64[D]").astype(np.int64)
