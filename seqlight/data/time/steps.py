"""Regular time grids: fixed steps, calendar months and business days.

Times are int64 microseconds since 1970-01-01 (UTC, or local wall time where the data has no zone).
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
WEEK = 7 * DAY
_ROWS_AT_A_TIME = 1 << 20

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
        """A day for minutes and hours, an hour for seconds, a week for days, a year (52) for weeks.

        Steps below a second have no usual season: 1.
        """
        if self.step < SECOND:
            return 1
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
        all_ends = np.minimum.reduceat(days == month_lengths(months_of(timestamps)), first_rows)
        return np.where(all_ends, 31, commonest)

    def positions(
        self, timestamps: Int64Array, origin: Int64Array, anchor: Int64Array
    ) -> tuple[Int64Array, BoolArray]:
        """Grid positions by the calendar month; on the grid when day and time of day agree too."""
        positions = (months_of(timestamps) - months_of(origin)) // self.months
        return positions, self.timestamps(positions, origin, anchor) == timestamps

    def timestamps(self, positions: Int64Array, origin: Int64Array, anchor: Int64Array) -> Int64Array:
        """The anchor day, or the month's last day, at the origin's time of day."""
        months = months_of(np.asarray(origin)) + np.asarray(positions, np.int64) * self.months
        first_days = months.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
        days = first_days + np.minimum(anchor, month_lengths(months)) - 1
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
        days = dates(timestamps)
        positions = np.busday_count(dates(np.asarray(origin)), days).astype(np.int64)
        return positions, np.is_busday(days) & (timestamps % DAY == np.asarray(origin) % DAY)

    def timestamps(self, positions: Int64Array, origin: Int64Array, anchor: Int64Array) -> Int64Array:
        """The weekday that many weekdays after the origin."""
        days = np.busday_offset(dates(np.asarray(origin)), positions, roll="forward")
        return np.asarray(days.astype(np.int64) * DAY + np.asarray(origin) % DAY)


def days_of_month(timestamps: Int64Array) -> Int64Array:
    """Return the day of the month, 1 to 31, of each time."""
    first_days = months_of(timestamps).astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    return timestamps // DAY - first_days + 1


def dates(timestamps: Int64Array) -> NDArray[np.datetime64]:
    """Return the day of each time."""
    return (timestamps // DAY).astype("datetime64[D]")


def months_of(timestamps: Int64Array) -> Int64Array:
    """Return the months since 1970-01 of each time."""
    return dates(np.asarray(timestamps)).astype("datetime64[M]").astype(np.int64)


def month_lengths(months: Int64Array) -> Int64Array:
    """Return the days of each month, which is counted from 1970-01."""
    starts = months.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    ends = (months + 1).astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    return ends - starts


def all_steps_are(step: int, timestamps: Int64Array, first_rows: Int64Array) -> bool:
    """Return whether every row but the first of each series comes ``step`` after the one before.

    Args:
        step: microseconds.
        timestamps: [rows] int64 microseconds, the series one after the other.
        first_rows: [S] where each series starts.
    """
    for begin in range(0, len(timestamps), _ROWS_AT_A_TIME):  # the differences of all would double the times
        some = timestamps[begin : begin + _ROWS_AT_A_TIME + 1]
        regular = np.diff(some) == step
        inside = np.searchsorted(first_rows, [begin + 1, begin + len(some)])
        regular[first_rows[inside[0] : inside[1]] - begin - 1] = True
        if not regular.all():
            return False
    return True
