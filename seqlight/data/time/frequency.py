"""Regular time grids: fixed steps, calendar months and business days; inference and continuation.

Times are int64 microseconds since 1970-01-01 (UTC, or local wall time where the data has no zone).
"""

import re
from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seqlight.data.errors import DataError

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
WEEK = 7 * DAY

Int64Array = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


class Frequency(ABC):
    """The step of a regular time grid.

    A series' grid is a frequency, an origin (the time of position 0) and an anchor (see ``anchors``).
    Positions count steps from the origin. All methods work on whole arrays and broadcast.
    """

    @property
    @abstractmethod
    def name(self) -> str:
        """Short name as the ``frequency`` argument takes it: "1h", "30min", "1mo", "1b"."""

    @property
    @abstractmethod
    def season_length(self) -> int:
        """Steps in the season that such data usually has; 1 where there is none."""

    @abstractmethod
    def positions(
        self, timestamps: Int64Array, origin: Int64Array, anchor: Int64Array
    ) -> tuple[Int64Array, BoolArray]:
        """Grid positions of ``timestamps``, and for each whether it lies exactly on the grid."""

    @abstractmethod
    def timestamps(self, positions: Int64Array, origin: Int64Array, anchor: Int64Array) -> Int64Array:
        """Times of grid ``positions``; positions beyond the data continue the calendar."""

    def anchors(self, timestamps: Int64Array, first_rows: Int64Array) -> Int64Array:
        """What, beside its first time, fixes a series' grid; one number per series.

        ``first_rows`` [S] holds the first row of each series within the sorted ``timestamps`` [rows].
        Calendar months use the day of the month, which the first time alone does not tell: a series of
        month ends may start on 28 February. Other frequencies need nothing and give 0.
        """
        return np.zeros(len(first_rows), np.int64)


@dataclass(frozen=True)
class FixedFrequency(Frequency):
    """Steps of a fixed duration, ``step`` microseconds: seconds to weeks."""

    step: int

    @property
    def name(self) -> str:
        """Short name in the largest unit that divides the step."""
        for unit, size in (
            ("w", WEEK),
            ("d", DAY),
            ("h", HOUR),
            ("min", MINUTE),
            ("s", SECOND),
            ("ms", 1000),
        ):
            if self.step % size == 0:
                return f"{self.step // size}{unit}"
        return f"{self.step}us"

    @property
    def season_length(self) -> int:
        """A day for minutes and hours, an hour for seconds, a week for days, a year (52) for weeks."""
        if self.step % WEEK == 0:
            period = 52 * WEEK
        elif self.step % DAY == 0:
            period = WEEK
        elif self.step >= MINUTE:
            period = DAY
        else:
            period = HOUR
        return period // self.step if period % self.step == 0 else 1

    def positions(
        self, timestamps: Int64Array, origin: Int64Array, anchor: Int64Array
    ) -> tuple[Int64Array, BoolArray]:
        """Grid positions by division."""
        positions, remainder = np.divmod(timestamps - origin, self.step)
        return positions, remainder == 0

    def timestamps(self, positions: Int64Array, origin: Int64Array, anchor: Int64Array) -> Int64Array:
        """``origin + positions * step``."""
        return np.asarray(origin + np.asarray(positions, np.int64) * self.step)


@dataclass(frozen=True)
class MonthFrequency(Frequency):
    """Steps of ``months`` calendar months on one day of the month (the anchor, 1 to 31).

    Months that are too short take their last day, so anchor 31 is the month end.
    """

    months: int

    @property
    def name(self) -> str:
        """Short name: "1y", "1q", or months."""
        if self.months % 12 == 0:
            return f"{self.months // 12}y"
        return f"{self.months // 3}q" if self.months % 3 == 0 else f"{self.months}mo"

    @property
    def season_length(self) -> int:
        """Steps in a year."""
        return 12 // self.months if 12 % self.months == 0 else 1

    def anchors(self, timestamps: Int64Array, first_rows: Int64Array) -> Int64Array:
        """Day of the month per series: 31 if every time is a month end, else the commonest day."""
        days = days_of_month(timestamps)
        n_series = len(first_rows)
        series = np.repeat(np.arange(n_series), np.diff(np.append(first_rows, len(timestamps))))
        tally = np.bincount(series * 32 + days, minlength=n_series * 32).reshape(n_series, 32)
        commonest = 31 - np.argmax(tally[:, ::-1], axis=1)
        all_ends = np.minimum.reduceat(days == _month_lengths(_months(timestamps)), first_rows)
        return np.where(all_ends, 31, commonest)

    def positions(
        self, timestamps: Int64Array, origin: Int64Array, anchor: Int64Array
    ) -> tuple[Int64Array, BoolArray]:
        """Grid positions by the calendar month; on the grid when day and time of day agree too."""
        positions = (_months(timestamps) - _months(origin)) // self.months
        return positions, self.timestamps(positions, origin, anchor) == timestamps

    def timestamps(self, positions: Int64Array, origin: Int64Array, anchor: Int64Array) -> Int64Array:
        """The anchor day, or the month's last day, at the origin's time of day."""
        months = _months(np.asarray(origin)) + np.asarray(positions, np.int64) * self.months
        first_days = months.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
        days = first_days + np.minimum(anchor, _month_lengths(months)) - 1
        return np.asarray(days * DAY + np.asarray(origin) % DAY)


@dataclass(frozen=True)
class BusinessDayFrequency(Frequency):
    """One step per weekday, Monday to Friday. Holidays are absent rows, that is, missing cells."""

    @property
    def name(self) -> str:
        """Short name."""
        return "1b"

    @property
    def season_length(self) -> int:
        """The working week."""
        return 5

    def positions(
        self, timestamps: Int64Array, origin: Int64Array, anchor: Int64Array
    ) -> tuple[Int64Array, BoolArray]:
        """Weekdays since the origin; on the grid on a weekday at the origin's time of day."""
        days = _dates(timestamps)
        positions = np.busday_count(_dates(np.asarray(origin)), days).astype(np.int64)
        return positions, np.is_busday(days) & (timestamps % DAY == np.asarray(origin) % DAY)

    def timestamps(self, positions: Int64Array, origin: Int64Array, anchor: Int64Array) -> Int64Array:
        """The weekday that many weekdays after the origin."""
        days = np.busday_offset(_dates(np.asarray(origin)), positions, roll="forward")
        return np.asarray(days.astype(np.int64) * DAY + np.asarray(origin) % DAY)


def days_of_month(timestamps: Int64Array) -> Int64Array:
    """Day of the month, 1 to 31, of each time."""
    first_days = _months(timestamps).astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    return timestamps // DAY - first_days + 1


def _dates(timestamps: Int64Array) -> NDArray[np.datetime64]:
    return (timestamps // DAY).astype("datetime64[D]")


def _months(timestamps: Int64Array) -> Int64Array:
    return _dates(np.asarray(timestamps)).astype("datetime64[M]").astype(np.int64)


def _month_lengths(months: Int64Array) -> Int64Array:
    starts = months.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    ends = (months + 1).astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    return ends - starts


_FIXED_UNITS = {
    **dict.fromkeys(("us",), 1),
    **dict.fromkeys(("ms",), 1000),
    **dict.fromkeys(("s", "sec", "second", "seconds"), SECOND),
    **dict.fromkeys(("min", "m", "t", "minute", "minutes"), MINUTE),
    **dict.fromkeys(("h", "hour", "hours", "hourly"), HOUR),
    **dict.fromkeys(("d", "day", "days", "daily"), DAY),
    **dict.fromkeys(("w", "week", "weeks", "weekly"), WEEK),
}
_MONTH_UNITS = {
    **dict.fromkeys(("mo", "ms", "me", "month", "months", "monthly"), 1),
    **dict.fromkeys(("q", "qs", "qe", "quarter", "quarters", "quarterly"), 3),
    **dict.fromkeys(("y", "ys", "ye", "a", "year", "years", "yearly"), 12),
}


def parse_frequency(text: str) -> Frequency:
    """The frequency named ``text``: a count and a unit, such as "1h", "30min", "7d", "1w", "1mo", "1q".

    Units: us, ms, s, min, h, d, w, b (business day), mo, q, y; pandas' aliases ("ME", "QS", "W-SUN", "MS"
    in capitals) are taken too.

    Raises:
        DataError: the unit is unknown or the count is not positive.
    """
    match = re.fullmatch(r"\s*(\d*)\s*([A-Za-z]+)(-[A-Za-z]{3})?\s*", text)
    if match:
        count = int(match[1] or 1)
        word = match[2]
        unit = word.lower()
        # "M" and "MS" are pandas' months, "m" and "ms" are minutes and milliseconds.
        if word in ("M", "MS"):
            unit = "mo"
        if count > 0 and unit in ("b", "business") and count == 1:
            return BusinessDayFrequency()
        if count > 0 and unit in _FIXED_UNITS and word != "MS":
            return FixedFrequency(count * _FIXED_UNITS[unit])
        if count > 0 and unit in _MONTH_UNITS:
            return MonthFrequency(count * _MONTH_UNITS[unit])
    raise DataError(
        "frequency: expected a count and a unit such as '1h', '30min', '1d', '1w', '1mo', '1q', '1y' or "
        f"'1b' (business day), got {text!r}"
    )


def infer_frequency(timestamps: Int64Array, first_rows: Int64Array) -> Frequency | None:
    """The frequency on which the given times lie, or None where no series has two rows.

    ``timestamps`` [rows] holds the series one after the other, each strictly increasing; ``first_rows`` [S]
    is where each starts. One frequency serves all series. Calendar months are recognised by a constant day
    of the month (or month ends); business days by weekends that are all absent; otherwise it is the
    smallest step if the others are multiples of it, else the commonest step, and whatever lies off that
    grid is for the caller to refuse.
    """
    steps = np.diff(timestamps)
    inside = np.ones(len(steps), np.bool_)
    inside[first_rows[1:] - 1] = False
    if not inside.any():
        return None
    smallest = commonest = int(steps[np.argmax(inside)])
    multiples = True
    if not np.all((steps == commonest) | ~inside):
        values, counts = np.unique(steps[inside], return_counts=True)
        smallest, commonest = int(values[0]), int(values[np.argmax(counts)])
        multiples = not np.any(values % smallest)

    if commonest >= 28 * DAY:
        months = _infer_months(timestamps, first_rows, inside)
        if months is not None:
            return months
    if smallest == DAY and _skips_every_weekend(timestamps, steps[inside]):
        return BusinessDayFrequency()
    return FixedFrequency(smallest if multiples else commonest)


def series_of_coarser_steps(
    timestamps: Int64Array, first_rows: Int64Array, frequency: Frequency
) -> list[tuple[int, Frequency]]:
    """The series whose own regular step is a multiple of ``frequency``, each with that step.

    A series counts if it has four rows or more, all an exact multiple (two or more) of the common step apart:
    a weekly series among daily ones. One with absent rows here and there does not.

    Args:
        timestamps: [rows] int64 microseconds, the series one after the other, each increasing.
        first_rows: [S] first row of each series.
        frequency: the step common to all.

    Returns:
        (series index, its own frequency), in the order of the series.
    """
    counts = np.diff(np.append(first_rows, len(timestamps)))
    repeat = np.repeat(np.arange(len(first_rows)), counts)
    anchor = frequency.anchors(timestamps, first_rows)
    positions, on_grid = frequency.positions(timestamps, timestamps[first_rows][repeat], anchor[repeat])
    steps = np.diff(positions, prepend=0)
    steps[first_rows] = 0  # the greatest common divisor of 0 and n is n
    divisors = np.gcd.reduceat(steps, first_rows)
    coarser = (divisors > 1) & (counts > 3) & np.logical_and.reduceat(on_grid, first_rows)
    found = []
    for series in np.flatnonzero(coarser):
        own = timestamps[first_rows[series] : first_rows[series] + counts[series]]
        step = infer_frequency(own, np.zeros(1, np.int64))
        if step is not None and step != frequency:
            found.append((int(series), step))
    return found


def fraction_digits(frequency: Frequency, origin: Int64Array) -> int:
    """How many digits of the second tell the times of grids apart: 0, 3 or 6.

    Args:
        frequency: the step.
        origin: [S] int64 microseconds, the grids' first times.
    """
    parts = [np.asarray(origin) % SECOND]
    if isinstance(frequency, FixedFrequency):
        parts.append(np.array([frequency.step % SECOND]))
    fractions = np.concatenate(parts)
    return 6 if (fractions % 1000).any() else 3 if fractions.any() else 0


def _infer_months(timestamps: Int64Array, first_rows: Int64Array, inside: BoolArray) -> MonthFrequency | None:
    gaps = np.diff(_months(timestamps))[inside]
    frequency = MonthFrequency(max(1, int(np.gcd.reduce(gaps))))
    counts = np.diff(np.append(first_rows, len(timestamps)))
    origin = np.repeat(timestamps[first_rows], counts)
    anchor = np.repeat(frequency.anchors(timestamps, first_rows), counts)
    on_grid = frequency.positions(timestamps, origin, anchor)[1]
    # A stray row or two should be named as off the monthly grid, not turn the grid into one of odd days.
    return frequency if on_grid.mean() > 0.8 else None


def _skips_every_weekend(timestamps: Int64Array, steps: Int64Array) -> bool:
    return len(timestamps) >= 5 and bool((steps > DAY).any()) and bool(np.is_busday(_dates(timestamps)).all())
