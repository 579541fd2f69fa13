"""Times written as intervals, ``start - end``: read by their start, written back with their end."""

import re
from dataclasses import dataclass, field, replace

import numpy as np
import polars as pl

from seqlight.data.errors import DataError
from seqlight.data.time.calendar_format import CalendarFormat, pattern_regex
from seqlight.data.time.formats import TimeFormat, style_sample

DAY = 86_400_000_000

#: The name begins with this; the start's pattern follows.
PREFIX = "interval:"
SEPARATORS = (" - ", " \u2013 ", " \u2014 ", " to ", " bis ", " / ", "/", "--", "..", "\u2013", "-")


@dataclass(frozen=True)
class IntervalFormat(TimeFormat):
    """Intervals ``start separator end``; the time is the start.

    Attributes:
        start: the format of the start.
        end: the format of the end; it may leave out the day.
        separator: what stands between.
        length: (months, microseconds) from start to end.
    """

    start: CalendarFormat = field(default_factory=lambda: CalendarFormat("%Y"))
    end: CalendarFormat = field(default_factory=lambda: CalendarFormat("%Y"))
    separator: str = " - "
    length: tuple[int, int] = (0, 0)

    @classmethod
    def of(cls, start: str, separator: str, end: str) -> "IntervalFormat":
        """Return the format of intervals of two patterns."""
        return cls(
            PREFIX + start,
            start=CalendarFormat(start),
            end=CalendarFormat(end),
            separator=separator,
        )

    @property
    def has_offset(self) -> bool:
        """Whether the start carries its zone."""
        return self.start.has_offset

    def parse(self, text: pl.Series) -> pl.Series:
        """Return Int64 microseconds since 1970 of the starts; null where a value is no such interval."""
        start = replace(self.start, wall_time=self.wall_time)
        return start.parse(self._halves(text)[0])

    def format(self, times: pl.Series) -> pl.Series:
        """Return the intervals that begin at ``times``, each as long as those that came."""
        months, rest = self.length
        ends = times.dt.offset_by(f"{months}mo") if months else times
        ends = ends.dt.offset_by(f"{rest}us") if rest else ends
        return self.start.format(times) + self.separator + self.end.format(ends)

    def learned(self, text: pl.Series) -> "IntervalFormat":
        """Return this format with the styles of both halves, and the length of the intervals.

        Raises:
            DataError: the intervals have no common length.
        """
        sample = pl.Series(style_sample(text), dtype=pl.String)
        firsts, lasts = self._halves(sample)
        start, end = self.start.learned(firsts.drop_nulls()), self.end.learned(lasts.drop_nulls())
        if end.parse(lasts).null_count():
            end = _with_24(end, lasts)
        if start.parse(firsts).null_count() > firsts.null_count():
            start = _with_24(start, firsts)
        made = replace(self, start=start, end=end)
        begins, ends = start.parse(firsts), end.parse(lasts)
        if not re.search("%[Yy]", end.pattern):
            ends = begins // DAY * DAY + ends % DAY
            ends = ends + (ends < begins).cast(pl.Int64) * DAY
        known = begins.is_not_null() & ends.is_not_null()
        if not known.any():
            return made
        return replace(made, length=_common_length(begins.filter(known), ends.filter(known)))

    def with_hour_24(self) -> "IntervalFormat | None":
        """Return this format reading 24:00 as the end of a day."""
        start = self.start.with_hour_24()
        return None if start is None else replace(self, start=start)

    def _halves(self, text: pl.Series) -> tuple[pl.Series, pl.Series]:
        groups = [
            re.sub(r"(?<!\\)\((?!\?)", "(?:", pattern_regex(f.pattern))[1:-1] for f in (self.start, self.end)
        ]
        regex = f"^({groups[0]}){re.escape(self.separator)}({groups[1]})$"
        return text.str.extract(regex, 1), text.str.extract(regex, 2)


def _with_24(half: CalendarFormat, text: pl.Series) -> CalendarFormat:
    other = half.with_hour_24()
    if other is None or other.parse(text).null_count() >= half.parse(text).null_count():
        return half
    return other.writing_hour_24(text)


def _common_length(begins: pl.Series, ends: pl.Series) -> tuple[int, int]:
    lengths = (ends - begins).to_numpy()
    values, counts = np.unique(lengths, return_counts=True)
    commonest = int(np.argmax(counts))
    # One in twenty may differ: local hours where the clock is put forward or back.
    if values[commonest] > 0 and counts[commonest] >= 0.95 * len(lengths):
        return 0, int(values[commonest])
    starts = begins.cast(pl.Datetime("us"))
    for months in (1, 3, 6, 12):
        rests = (ends - starts.dt.offset_by(f"{months}mo").to_physical()).unique()
        if len(rests) == 1:
            return months, int(rests[0])
    raise DataError("the intervals have different lengths, so that none can be written for a new time")
