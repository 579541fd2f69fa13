"""Timestamps in text: finding their format from the first rows, and parsing a whole column with it.

polars infers formats too, but value by value, which takes several times as long as parsing with a format
that is known, and it guesses between day-first and month-first dates where this refuses to. Every format
that the first value may have is tried; of those that fit, a reading with regular steps is taken before one in
which most steps of its grid are absent, and between readings that are left the user is asked.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from seqlight.data.errors import DataError
from seqlight.data.time.calendar_format import CalendarFormat
from seqlight.data.time.candidates import candidates
from seqlight.data.time.formats import SAMPLE_ROWS, TimeFormat
from seqlight.data.time.frequency import HOUR, infer_frequency
from seqlight.data.time.interval_format import PREFIX, IntervalFormat
from seqlight.data.time.number_formats import NUMBER_NAMES, NumberFormat
from seqlight.data.time.offset_zones import offset_minutes, zone_of_offsets

__all__ = ["TimeFormat", "parse_times", "writes_apart"]

# A reading is taken before another whose grid is this many times as empty.
_CLEARLY_FULLER = 2.0
_MOSTLY = 0.9  # of the first rows
_KINDS: dict[str, Callable[[TimeFormat], bool]] = {
    "quarter": lambda fmt: "%q" in fmt.pattern,
    "iso_week": lambda fmt: "%G" in fmt.pattern,
    "interval": lambda fmt: isinstance(fmt, IntervalFormat),
}


def parse_times(text: pl.Series, pattern: str | None) -> tuple[NDArray[np.int64], TimeFormat, int | None]:
    """Parse a String column of timestamps, finding the format from its first rows unless it is given.

    Args:
        text: the timestamps.
        pattern: a strftime pattern; "epoch", "epoch_ms", "epoch_us", "epoch_ns" or "excel" for numbers;
            "quarter", "iso_week" or "interval", whose style is found; "interval:PATTERN" for intervals
            whose start has that pattern; None finds the format.

    Returns:
        Microseconds since 1970 [N] (int64), the format, and the index of the first value that is empty or
        has another format (None if all parsed).

    Raises:
        DataError: no format fits the first rows, or several fit the whole column with different times.
    """
    if pattern is not None:
        chosen = _named(pattern, text)
        chosen, times = _read(chosen, text)
        if times.null_count() == len(times) and len(times):
            raise DataError(
                f"time_format: {pattern!r} does not fit, the first value is {text[0]!r}{_better(text)}"
            )
    else:
        chosen, times = _detect(text)
    if isinstance(chosen, CalendarFormat) and chosen.offset_style:
        chosen = replace(chosen, zone=_zone(text, times))
    if chosen.has_offset and _steps_are_days(times):
        chosen = chosen.in_wall_time()
        times = chosen.parse(text)
    bad = times.is_null().arg_max() if times.null_count() else None
    return times.fill_null(0).to_numpy(), chosen, bad


def writes_apart(fmt: TimeFormat, times: pl.Series) -> bool:
    """Return whether every one of the Datetime column ``times`` is read back from its text as the same time.

    It is not where a format lacks what a step needs: "%Y-%m-%d" cannot write the hours of steps of 12h.
    """
    return fmt.parse(fmt.format(times)).equals(times.to_physical(), check_names=False)


def _read(fmt: TimeFormat, text: pl.Series) -> tuple[TimeFormat, pl.Series]:
    """The format with the style of ``text``, and its times."""
    fmt = fmt.learned(text)
    times = fmt.parse(text)
    if times.null_count() > text.null_count():
        late = fmt.with_hour_24()
        if late is not None:
            late_times = late.parse(text)
            if late_times.null_count() < times.null_count():
                if isinstance(late, CalendarFormat):
                    late = late.writing_hour_24(text)
                return late, late_times
    return fmt, times


def _named(pattern: str, text: pl.Series) -> TimeFormat:
    if pattern in NUMBER_NAMES:
        return NumberFormat(pattern)
    if pattern in _KINDS or pattern.startswith(PREFIX):
        example = text.drop_nulls().head(1)
        of_kind = _KINDS.get(pattern, lambda fmt: fmt.pattern == pattern)
        for fmt in candidates(example[0]) if len(example) else ():
            if of_kind(fmt):
                return fmt
        raise DataError(
            f"time_format: {pattern!r} does not fit, the first value is {text[0] if len(text) else None!r}"
            f"{_better(text)}"
        )
    return CalendarFormat(pattern)


def _better(text: pl.Series) -> str:
    """A hint of the format that does fit."""
    try:
        fmt, times = _detect(text)
    except DataError:
        return ""
    return "" if times.null_count() else f"; time_format={fmt.pattern!r} fits"


def _detect(text: pl.Series) -> tuple[TimeFormat, pl.Series]:
    sample = text.head(SAMPLE_ROWS).drop_nulls()
    if sample.is_empty():
        raise DataError("the first rows are all empty")
    first = sample[0]
    fractions = bool(sample.str.contains(r":\d{2}[.,]\d").any())
    fitting, refused = [], None
    # The format is the first one's that fits most of the sample: a stray value is to be named by its row,
    # not to make every format fail.
    for fmt in candidates(first, fractions=fractions):
        try:
            fmt, times = _read(fmt, sample)
        except DataError as error:
            refused = error
            continue
        if times[0] is not None and _plausible(fmt, times):
            fitting.append((times.null_count(), fmt))
    fewest = min((failures for failures, _ in fitting), default=len(sample))
    if fewest > len(sample) / 2:
        if refused is not None:
            raise refused
        if re.fullmatch(r"\d{1,2}\W?[A-Za-z]{3}|[A-Za-z]{3}\W?\d{1,2}", first):
            named = candidates(first)
            or_pass = f", or pass time_format={named[0].pattern!r} if the number is the year" if named else ""
            raise DataError(f"{first!r} may be a day and a month without a year: write the year too{or_pass}")
        raise DataError(
            f"expected timestamps such as 2024-01-31 or 2024-01-31 15:00:00, got {first!r}, which has "
            "none of the known formats; pass its strftime pattern as time_format if it has one"
        )
    best = [fmt for failures, fmt in fitting if failures == fewest]
    if len(best) > 1:
        fuller = _fuller([_read(fmt, sample) for fmt in best])
        if len(fuller) == 1:
            fmt, times = _read(fuller[0][0], text)
            if times.null_count() == text.null_count():
                return fmt, times
        best = [_most_plausible(best, text, first)]
    return _read(best[0], text)


def _fuller(readings: list[tuple[TimeFormat, pl.Series]]) -> list[tuple[TimeFormat, pl.Series]]:
    """The readings but those that are others' times again, or whose grid is much emptier than another's."""
    different: list[tuple[TimeFormat, pl.Series]] = []
    for fmt, times in readings:
        if not any(times.equals(other) for _, other in different):
            different.append((fmt, times))
    if len(different) == 1:
        return different
    fullness = [_fullness(times) for _, times in different]
    return [
        (fmt, times)
        for (fmt, times), full in zip(different, fullness, strict=True)
        if not any(
            full * _CLEARLY_FULLER <= other_full and _swapped(fmt) != other.pattern
            for (other, _), other_full in zip(different, fullness, strict=True)
            if other_full
        )
    ]


def _most_plausible(formats: list[TimeFormat], text: pl.Series, first: str) -> TimeFormat:
    """The only format that fits the whole column, but for those whose grid is much emptier than another's.

    Raises:
        DataError: several are left, which read different times.
    """
    read = [_read(fmt, text) for fmt in formats]
    if any(isinstance(fmt, IntervalFormat) for fmt, _ in read):
        # 00:00-01:00 may be midnight an hour west of Greenwich, but offsets do not change with the hour.
        offsets = text.head(SAMPLE_ROWS).str.extract(r"([+-]\d{2}:?\d{2})$").n_unique()
        read = [(fmt, times) for fmt, times in read if offsets <= 2 or "%z" not in fmt.pattern]
    whole = [(fmt, times) for fmt, times in read if times.null_count() == text.null_count()] or read[:1]
    readings = _fuller(whole)
    # Elsewhere than before a dash hardly anybody puts two digits of a year first.
    usual = [reading for reading in readings if not re.match("%y[/. :]", reading[0].pattern)]
    readings = usual or readings
    if len(readings) > 1:
        patterns = [repr(fmt.pattern) for fmt, _ in readings]
        both = "both " if len(patterns) == 2 else ""
        row = _telling_row([times for _, times in readings])
        which = "the first" if row == 0 else repr(text[row])
        ways = " or ".join(
            f"time_format={fmt.pattern!r} ({which} is {_iso(times[row:])})" for fmt, times in readings
        )
        raise DataError(
            f"{first!r} and every other value fits {both}{', '.join(patterns[:-1])} and {patterns[-1]}; "
            f"pass the right one as time_format: {ways}"
        )
    return readings[0][0]


def _telling_row(readings: Sequence[pl.Series]) -> int:
    """The first row that most readings take for different times: 01/01/2024 does not tell day from month."""
    for most in range(len(readings), 1, -1):
        differ = pl.DataFrame(readings, schema=[f"{n}" for n in range(len(readings))]).select(
            (pl.concat_list(pl.all().cast(pl.Datetime("us"))).list.n_unique() >= most).arg_true()
        )
        if differ.height:
            return int(differ.item(0, 0))
    return 0


def _swapped(fmt: TimeFormat) -> str:
    """The pattern with day and month in each other's place: between these two always ask."""
    return re.sub("%[dm]", lambda match: "%m" if match[0] == "%d" else "%d", fmt.pattern)


def _plausible(fmt: TimeFormat, times: pl.Series) -> bool:
    """Whether the values that parsed have years that people write in this format."""
    years = times.drop_nulls().cast(pl.Datetime("us")).dt.year()
    if isinstance(fmt, NumberFormat):
        return bool(years.is_between(1970, 2100).all())
    if isinstance(fmt, CalendarFormat) and _lacks_separators(fmt.pattern):
        return bool(years.is_between(1700, 2100).all())
    if isinstance(fmt, CalendarFormat) and re.fullmatch(r"%[Yy]\D%m|%m\D%y|%b\W*%y|%y\W*%b", fmt.pattern):
        # A month and a day without a year look the same; only months in a row tell that they are not.
        small = "%Y" in fmt.pattern and bool((years < 100).all())
        if small or "%y" in fmt.pattern:
            return _months_in_a_row(times) or (len(times) < 3 and "%b" in fmt.pattern)
    # A date such as 9999-12-31 is named by its row later on.
    return bool(years.is_between(1000, 2999).mean() >= _MOSTLY)  # type: ignore[operator]


def _lacks_separators(pattern: str) -> bool:
    return re.fullmatch(r"(?:%\d?[A-Za-z])+(?:\.0)?", pattern) is not None and pattern != "%Y"


def _months_in_a_row(times: pl.Series) -> bool:
    months = np.unique(
        times.drop_nulls().cast(pl.Datetime("us")).to_numpy().astype("datetime64[M]").astype(int)
    )
    steps = np.diff(months)
    return len(steps) > 0 and bool(np.median(steps) in (1, 2, 3, 6))


def _fullness(times: pl.Series) -> float:
    """How many cells of their own regular grid the times fill, 0 to 1; 0 where they are on none."""
    distinct = times.drop_nulls().unique().sort().to_numpy()
    start = np.zeros(1, np.int64)
    step = infer_frequency(distinct, start) if len(distinct) > 1 else None
    if step is None:
        return 1.0
    anchor = step.anchors(distinct, start)
    positions, on_grid = step.positions(distinct, distinct[:1], anchor)
    return len(distinct) / (int(positions[-1]) + 1) if on_grid.mean() > 0.9 else 0.0


def _zone(text: pl.Series, times: pl.Series) -> str | None:
    """The zone whose clock the offsets of times in UTC follow."""
    minutes = offset_minutes(text)
    known = times.is_not_null() & minutes.is_not_null()
    return zone_of_offsets(times.filter(known).to_numpy(), minutes.filter(known).to_numpy())


def _steps_are_days(times: pl.Series) -> bool:
    distinct = times.head(SAMPLE_ROWS).drop_nulls().unique().sort()
    return len(distinct) > 1 and float(np.median(np.diff(distinct.to_numpy()))) >= 20 * HOUR


def _iso(times: pl.Series) -> str:
    return str(times.drop_nulls().head(1).cast(pl.Datetime("us"))[0])
