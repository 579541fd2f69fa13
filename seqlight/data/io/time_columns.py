"""Which columns of the first rows hold times."""

import re
from collections.abc import Sequence

import numpy as np
import polars as pl

from seqlight.data.errors import DataError
from seqlight.data.io.samples import Sample
from seqlight.data.time.combined_columns import is_time_of_day
from seqlight.data.time.frequency import infer_frequency
from seqlight.data.time.mixed_times import dates_among_times
from seqlight.data.time.number_formats import number_text
from seqlight.data.time.time_format import parse_times

_MOST_NAMED = 8
_TIME_NAMES = ("date", "datetime", "date_time", "time", "timestamp", "ds", "period")
_CALENDAR_PARTS = ("year", "month", "day", "hour", "minute", "second")
_HOUR_NAME = re.compile(r"(?i)hour|hours|hr|hod|stunde|heure|hora|ora")
_PARTS_OF_YEAR = ("month", "quarter", "week")
_FEW = 0.1  # cells that may be something else
_FULL = 0.9  # rows on a regular grid that fill it so far
_LEAST_ROWS = 10
_DIGITS = 8  # with fewer, numbers that count up look like dates


def find_time_columns(sample: Sample, names: Sequence[str], time_format: str | None) -> list[str]:
    """Return the columns that make the time together, out of ``names``.

    Raises:
        DataError: there are none, or several readings.
    """
    frame = sample.frame
    parts = [name for part in _CALENDAR_PARTS for name in names if name.strip().lower() == part]
    if len(parts) >= 3 and [name.strip().lower() for name in parts[:3]] == ["year", "month", "day"]:
        return parts
    clocks = [name for name in names if is_clock(frame[name])]
    found = [name for name in names if name not in clocks and holds_times(frame[name], time_format)]
    numbers: list[str] = []
    if not found:
        of_year = [name for part in _PARTS_OF_YEAR for name in names if name.strip().lower() == part]
        if parts and parts[0].strip().lower() == "year" and len(of_year) == 1:
            text = frame[of_year[0]].drop_nulls().cast(pl.String)
            if text.str.contains(r"^[QqWw]?\d{1,2}$").all() or of_year[0].strip().lower() == "month":
                return [parts[0], of_year[0]]
    if not found:  # Unix times and the like are numbers: a name must say what they are, or the numbers must
        numbers = [name for name in names if holds_times(frame[name], time_format, numbers=True)]
        found = [name for name in numbers if name.strip().lower() in (*_TIME_NAMES, "year")]
        found = found or [name for name in numbers if _is_regular(frame[name], time_format)]
    if not clocks:
        clocks = [name for name in names if _is_hour(frame[name])]
    if len(found) == 1 and len(clocks) == 1 and frame[found[0]].is_duplicated().any():
        return [*found, *clocks]
    if len(found) == 1:
        return found
    if found:
        raise DataError(
            f"time_col: which column holds the timestamps? {' and '.join(map(repr, found))} look like it"
        )
    more = ", ..." if len(sample.names) > _MOST_NAMED else ""
    listed = ", ".join(map(repr, sample.names[:_MOST_NAMED])) + more
    may_be = [
        f"time_col={name!r} (the first is then {_first(frame[name], time_format)})" for name in numbers[:3]
    ]
    hint = f"; where its numbers are times, pass {' or '.join(may_be)}" if may_be else ""
    hint = hint or _unread(frame, names, time_format)
    raise DataError(
        f"time_col: which column holds the timestamps? The file has {listed}{hint}; time_col=None if it has "
        "none and rows are steps"
    )


def _unread(frame: pl.DataFrame, names: Sequence[str], time_format: str | None) -> str:
    """Why the first column that looks like times is not read: text with digits, most cells their own."""
    for name in names:
        column = frame[name].drop_nulls()
        if column.dtype != pl.String or 2 * column.n_unique() <= len(column) or len(column) < 2:
            continue
        if (
            not column.str.contains(r"\d\W|\W\d").all()
            or not column.cast(pl.Float64, strict=False).has_nulls()
        ):
            continue
        try:
            _, found, wrong = parse_times(column, time_format)
        except DataError:
            return (
                f"; {name!r}, such as {column[0]!r}, has no format that is known (names of months are read "
                "in English): if it is the one, pass it with its strftime pattern as time_format"
            )
        if wrong is not None:
            return (
                f"; {name!r} looks like it, but {column[wrong]!r} is not of the format {found.pattern!r} of "
                f"{column[0]!r}: write all in one way"
            )
    return ""


def holds_times(column: pl.Series, time_format: str | None, *, numbers: bool = False) -> bool:
    """Return whether the cells of a column of a sample are times, a few aside.

    Args:
        column: the column.
        time_format: strftime pattern of text; None finds it.
        numbers: whether a column of numbers may hold times.
    """
    column = column.drop_nulls() if column.null_count() <= _FEW * len(column) else column.clear()
    if column.is_empty():
        return False
    if column.dtype in (pl.Date, pl.Datetime):
        return True
    if column.dtype.is_numeric():
        if not numbers:
            return False
        column = number_text(column)
    if column.dtype != pl.String:
        return False
    plain = column.str.replace(",", ".", literal=True).cast(pl.Float64, strict=False)
    if not numbers and not plain.has_nulls():
        return False
    try:
        _, found, wrong = parse_times(column, time_format)
    except DataError as error:
        # Two readings of the times: they are times, and the reading of the whole asks which.
        return not numbers and ("both" in str(error) or dates_among_times(column) is not None)
    # A footer or a stray row is no matter: reading the whole names it.
    if wrong is not None and dates_among_times(column) is not None:
        return True
    return wrong is None or found.parse(column).null_count() <= _FEW * len(column)


def is_clock(column: pl.Series) -> bool:
    """Return whether a column holds times of day."""
    return column.dtype == pl.Time or (column.dtype == pl.String and is_time_of_day(column))


def _is_hour(column: pl.Series) -> bool:
    """Whether a column is called after the hour of the day, and holds it: 0 to 23, or 1 to 24."""
    if not _HOUR_NAME.fullmatch(column.name.strip()) or column.null_count():
        return False
    hours = column.cast(pl.String).str.strip_suffix(".0").cast(pl.Int64, strict=False)
    return not hours.has_nulls() and len(hours) > 0 and bool(hours.is_between(0, 24).all())


def _is_regular(column: pl.Series, time_format: str | None) -> bool:
    """Whether numbers with many digits, read as times, follow each other on a regular grid almost full."""
    text = number_text(column) if column.dtype.is_numeric() else column
    if len(text) < _LEAST_ROWS or (text.str.extract(r"^(\d+)").str.len_chars().min() or 0) < _DIGITS:  # type: ignore[operator]
        return False
    times = np.unique(parse_times(text, time_format)[0])
    start = np.zeros(1, np.int64)
    step = infer_frequency(times, start) if len(times) >= _LEAST_ROWS else None
    if step is None:
        return False
    positions, on_grid = step.positions(times, times[:1], step.anchors(times, start))
    return bool(on_grid.all()) and len(times) >= _FULL * (int(positions[-1]) + 1)


def _first(column: pl.Series, time_format: str | None) -> str:
    text = number_text(column) if column.dtype.is_numeric() else column
    return str(np.datetime64(int(parse_times(text, time_format)[0][0]), "us").astype("datetime64[s]"))
