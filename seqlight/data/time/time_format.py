"""Timestamps in text: finding their format from the first rows, and parsing a whole column with it.

polars infers formats too, but value by value, which takes several times as long as parsing with a format
that is known, and it guesses between day-first and month-first dates where this refuses to.
"""

import re
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from seqlight.data.errors import DataError
from seqlight.data.time.frequency import HOUR

_SAMPLE_ROWS = 1000
_EPOCH = {"epoch": 1_000_000, "epoch_ms": 1_000, "epoch_us": 1}

_NUMERIC = re.compile(
    r"(?P<date>\d{1,4}(?P<sep>[-/.])\d{1,2}(?P=sep)\d{1,4}|\d{8})"
    r"(?:(?P<gap>[T ])(?P<hour>\d{1,2}:\d{2})(?P<second>:\d{2})?(?P<fraction>\.\d+)?(?P<half> ?[AaPp][Mm])?)?"
    r"(?P<zone>Z| ?[+-]\d{2}:?\d{2})?"
)
_NAMED_MONTHS = ("%d %b %Y", "%d-%b-%Y", "%b %d, %Y", "%b %d %Y", "%d %B %Y", "%B %d, %Y")
_UNIX_TIME = {10: "epoch", 13: "epoch_ms", 16: "epoch_us"}
# Text that leaves the day or month out parses once the rest is appended to both text and format.
_PARTIAL = {
    "%Y-%m": ("-01", "-%d"),
    "%Y/%m": ("/01", "/%d"),
    "%m/%Y": ("/01", "/%d"),
    "%b %Y": (" 01", " %d"),
    "%b-%Y": ("-01", "-%d"),
    "%b-%y": ("-01", "-%d"),
    "%B %Y": (" 01", " %d"),
    "%Y": ("-01-01", "-%m-%d"),
}


@dataclass(frozen=True)
class TimeFormat:
    """A timestamp format: a strftime pattern, or "epoch", "epoch_ms", "epoch_us" for Unix time.

    Attributes:
        pattern: as above.
        wall_time: True where the text has UTC offsets but the series are daily or longer, so that local
            days, not spans of 24 hours, make the grid; the offsets are then left out.
    """

    pattern: str
    wall_time: bool = False

    @property
    def has_offset(self) -> bool:
        """Whether the text carries its zone, so that the times become UTC."""
        return self.pattern.endswith(("%z", "Z"))

    def parse(self, text: pl.Series) -> pl.Series:
        """Int64 microseconds since 1970 of a String column; null where a value does not have the format."""
        if self.pattern in _EPOCH:
            return text.cast(pl.Int64, strict=False) * _EPOCH[self.pattern]
        pattern = self.pattern
        if self.wall_time:
            text = text.str.replace(r"\s*(Z|[+-]\d{2}:?\d{2})$", "")
            pattern = pattern.removesuffix("Z").removesuffix("%z").rstrip()
        elif pattern.endswith("%z"):
            text = text.str.replace(r"Z$", "+00:00")
        tail, tail_pattern = _PARTIAL.get(pattern, ("", ""))
        if tail:
            text = text + tail
        try:
            times = text.str.to_datetime(pattern + tail_pattern, time_unit="us", strict=False, cache=False)
        except pl.exceptions.PolarsError as error:
            raise DataError(
                f"time_format: {self.pattern!r} is not a format that polars knows ({_first_line(error)}); "
                "use one such as '%Y-%m-%d %H:%M:%S'"
            ) from None
        return times.to_physical()

    def format(self, times: pl.Series) -> pl.Series:
        """The Datetime column ``times`` as text of this format (a String column)."""
        if self.pattern in _EPOCH:
            return (times.dt.epoch("us") // _EPOCH[self.pattern]).cast(pl.String)
        pattern = self.pattern
        if times.dtype.time_zone is None:  # type: ignore[attr-defined]
            pattern = pattern.removesuffix("%z").rstrip()
            if self.wall_time:
                pattern = pattern.removesuffix("Z")
        return times.dt.strftime(pattern)


def parse_times(text: pl.Series, pattern: str | None) -> tuple[NDArray[np.int64], TimeFormat, int | None]:
    """Parse a String column of timestamps, finding the format from its first rows unless it is given.

    Returns:
        Microseconds since 1970 [N] (int64), the format, and the index of the first value that is empty or
        has another format (None if all parsed).

    Raises:
        DataError: no format fits the first rows, or both day-first and month-first fit the whole column.
    """
    if pattern is not None:
        chosen = TimeFormat(pattern)
        times = chosen.parse(text)
        if times.null_count() == len(times) and len(times):
            raise DataError(f"time_format: {pattern!r} does not fit, the first value is {text[0]!r}")
    else:
        chosen, times = _detect(text)
    if chosen.has_offset and _steps_are_days(times):
        chosen = TimeFormat(chosen.pattern, wall_time=True)
        times = chosen.parse(text)
    bad = times.is_null().arg_max() if times.null_count() else None
    return times.fill_null(0).to_numpy(), chosen, bad


def _detect(text: pl.Series) -> tuple[TimeFormat, pl.Series]:
    sample = text.head(_SAMPLE_ROWS).drop_nulls()
    if sample.is_empty():
        raise DataError("the first rows are all empty")
    first = sample.head(1)
    fractions = bool(sample.str.contains(r":\d{2}\.\d").any())
    fitting = [fmt for fmt in _candidates(first[0], fractions) if _plausible(fmt.parse(first))]
    # The format is the first one's that fits most of the sample: a stray value is to be named by its row,
    # not to make every format fail.
    shares = [(fmt.parse(sample).null_count(), fmt) for fmt in fitting]
    if not shares:
        raise DataError(
            f"expected timestamps such as 2024-01-31 or 2024-01-31 15:00:00, got {first[0]!r}; "
            "pass time_format, such as '%d/%m/%Y %H:%M'"
        )
    fewest = min(failures for failures, _ in shares)
    best = [fmt for failures, fmt in shares if failures == fewest]
    if len(best) == 1:
        return best[0], best[0].parse(text)
    whole = [(fmt, times) for fmt in best for times in (fmt.parse(text),) if not times.null_count()]
    if not whole:
        return best[0], best[0].parse(text)
    (fmt, times), others = whole[0], whole[1:]
    for other, other_times in others:
        if not times.equals(other_times):
            raise DataError(
                f"{first[0]!r} and every other value fits both {fmt.pattern!r} and {other.pattern!r}; "
                "pass the right one as time_format"
            )
    return fmt, times


def _candidates(example: str, fractions: bool) -> list[TimeFormat]:
    """The formats that text like ``example`` may have; ``fractions``: whether some values have them."""
    if example.isdigit() and len(example) in _UNIX_TIME:
        return [TimeFormat(_UNIX_TIME[len(example)])]
    match = _NUMERIC.fullmatch(example)
    if match is None:
        return [TimeFormat(pattern) for pattern in (*_PARTIAL, *_NAMED_MONTHS)]
    sep = match["sep"]
    if sep is None:
        dates = ["%Y%m%d"]
    else:
        first, _, last = match["date"].split(sep)
        if len(first) > 2:
            dates = [f"%Y{sep}%m{sep}%d"]
        elif len(last) > 2:
            dates = [f"%d{sep}%m{sep}%Y", f"%m{sep}%d{sep}%Y"]
        else:
            dates = [f"%d{sep}%m{sep}%y", f"%m{sep}%d{sep}%y"]
            dates += ["%y-%m-%d"] if sep == "-" else []  # elsewhere nobody puts two digits of a year first
    time = ""
    if match["gap"]:
        time = match["gap"] + ("%I:%M" if match["half"] else "%H:%M")
        time += ":%S" if match["second"] else ""
        time += "%.f" if match["second"] and fractions else ""
        time += match["half"].replace(match["half"].strip(), "%p") if match["half"] else ""
    zone = match["zone"] or ""
    if zone != "Z":
        zone = " " * zone.startswith(" ") + "%z" * bool(zone)
    return [TimeFormat(date + time + zone) for date in dates]


def _plausible(times: pl.Series) -> bool:
    """Whether some values parsed, all to years 1000 to 2999: %Y takes the "24" of 31/12/24 as the year 24."""
    years = times.drop_nulls().cast(pl.Datetime("us")).dt.year()
    return bool(len(years)) and bool(years.is_between(1000, 2999).all())


def _steps_are_days(times: pl.Series) -> bool:
    distinct = times.head(_SAMPLE_ROWS).drop_nulls().unique().sort()
    return len(distinct) > 1 and float(np.median(np.diff(distinct.to_numpy()))) >= 20 * HOUR


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
