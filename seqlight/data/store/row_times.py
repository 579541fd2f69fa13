"""The times of a table's rows as numbers."""

import warnings

import numpy as np
import polars as pl
from numpy.typing import NDArray

from seqlight.data.errors import DataError
from seqlight.data.store.row_names import RowNames
from seqlight.data.time.frequency import DAY
from seqlight.data.time.mixed_times import dates_among_times
from seqlight.data.time.time_format import TimeFormat, parse_times

Int64Array = NDArray[np.int64]
_MOST_OFFSETS = 3
_FINER = r":\d{2}[.,]\d{6}\d*[1-9]"  # seconds with digits beyond the microsecond


def row_times(names: RowNames, pattern: str | None) -> tuple[Int64Array, TimeFormat | None, str | None]:
    """Return the times as int64 microseconds since 1970, how they were written, and their zone.

    The former is None for times that did not come as text, the latter for times without a zone.

    Args:
        names: of the table, whose time is a column of text, dates or times.
        pattern: strftime pattern of text; None finds it.

    Raises:
        DataError: a time is missing or does not parse.
    """
    column = names.table.time
    assert column is not None  # read with a column of times
    if pattern is None and names.table.combined is not None:
        pattern = names.table.combined.time_format
    where = f"column {names.time_col!r}"
    if column.dtype == pl.String:
        blanks = r"^\s|\s$"
        if column.head(1000).str.contains(blanks).any():
            column = column.str.strip_chars()
        try:
            times, found, bad = parse_times(column, pattern)
            if bad is not None and column.str.contains(blanks).any():
                times, found, bad = parse_times(column.str.strip_chars(), pattern)
        except DataError as error:
            raise _mixture(names, column) or names.error(f"{where}: {error}") from None
        if bad is not None:
            mixture = _mixture(names, column)
            if mixture is not None:
                raise mixture
            value = column[bad]
            came = "an empty timestamp" if value is None or not value.strip() else repr(value)
            raise names.error(
                f"{names.table.row_name(bad)}, {where}: expected a timestamp of the format "
                f"{found.pattern!r}, got {came}; mend the row, or pass the right time_format"
            )
        _check_header(names, found)
        _check_digits(names, column, times, found)
        zone_of_clock = getattr(found, "zone", None)
        if found.has_offset and not found.wall_time:
            _note_offsets(names, column, zone_of_clock)
        elif zone_of_clock is None and bool(getattr(found, "offset_style", None)):
            warnings.warn(
                f"{names.table.source}: {where} has days with UTC offsets that follow no one clock: the days "
                "are taken as they are written, and those of forecasts have no offset",
                stacklevel=2,
            )
        return times, found, "UTC" if found.has_offset and not found.wall_time else None
    bad = column.is_null().arg_max() if column.null_count() else None
    if bad is not None:
        raise names.error(f"{names.table.row_name(bad)}, {where}: expected a timestamp, got an empty cell")
    zone = getattr(column.dtype, "time_zone", None)
    if zone is not None:
        local = column.dt.replace_time_zone(None)
        distinct = local.head(1000).unique().sort()
        if len(distinct) > 1 and float(np.median(np.diff(distinct.dt.epoch("us").to_numpy()))) >= DAY:
            # Local days are not all 24 hours long: the grid is one of local dates.
            column, zone = local, None
        else:
            column = column.dt.convert_time_zone("UTC")
    return column.dt.epoch("us").to_numpy(), None, zone


def instant(as_of: str, text_format: TimeFormat | None) -> int:
    """Return the microseconds since 1970 of a time that is given as text.

    Raises:
        DataError: it is no time.
    """
    for pattern in (None if text_format is None else text_format.pattern, None):
        try:
            found, _, bad = parse_times(pl.Series([as_of]), pattern)
        except DataError:
            continue
        if bad is None:
            return int(found[0])
    written = "YYYY-MM-DD HH:MM:SS" if text_format is None else text_format.pattern
    raise DataError(f"as_of: expected a time of the format {written!r}, got {as_of!r}")


def _mixture(names: RowNames, column: pl.Series) -> DataError | None:
    """The error of dates among times, if that is what is wrong."""
    rows = dates_among_times(column)
    if rows is None:
        return None
    date, time = rows
    return names.error(
        f"column {names.time_col!r} mixes dates ({names.table.row_name(date)}: {column[date]!r}) and times "
        f"({names.table.row_name(time)}: {column[time]!r}); write all in one way, such as "
        "'2024-01-31 00:00:00'"
    )


def _note_offsets(names: RowNames, column: pl.Series, zone: str | None) -> None:
    """Warn where times have several UTC offsets: how those of forecasts are found."""
    ends = column.str.extract(r"([+-]\d{2}:?\d{2}|[+-]\d{2}|Z| UTC)$").drop_nulls()
    offsets = ends.unique(maintain_order=True).str.strip_chars().to_list()
    if len(offsets) > 1:
        listed = ", ".join(offsets[:_MOST_OFFSETS]) + (", ..." if len(offsets) > _MOST_OFFSETS else "")
        if zone is None:
            what = "they are read as UTC, and forecasts are written with that of UTC"
        else:
            what = f"they change as in {zone}, and so do those of forecasts"
        warnings.warn(
            f"{names.table.source}: column {names.time_col!r} has times with {len(offsets)} UTC offsets "
            f"({listed}): {what}",
            stacklevel=2,
        )


def _check_digits(names: RowNames, column: pl.Series, times: Int64Array, found: TimeFormat) -> None:
    """Say where digits beyond the microsecond were cut; raise DataError where they told times apart."""
    finer = r"\d{16}(?:\d[1-9]\d|[1-9]\d{2}|\d{2}[1-9])$" if found.pattern == "epoch_ns" else _FINER
    if not column.head(1000).str.contains(finer).any():
        return
    if column.n_unique() > len(np.unique(times)):
        raise names.error(
            f"column {names.time_col!r} has times such as {column[0]!r} that differ by less than a "
            "microsecond, the finest that is kept; pass time_col=None to take rows for steps, or "
            "write coarser times"
        )
    warnings.warn(
        f"{names.table.source}: column {names.time_col!r}: digits beyond the microsecond, such as those of "
        f"{column[0]!r}, were cut",
        stacklevel=2,
    )


def _check_header(names: RowNames, found: TimeFormat) -> None:
    """Raise DataError where the column's name is a time: a file without names loses its first row."""
    name = str(names.time_col)
    if not names.table.is_file or len(name) < 4:  # 0, 1, 2 ... are names that pandas gives
        return
    try:
        is_time = parse_times(pl.Series([name]), found.pattern)[2] is None
    except DataError:
        return
    if is_time:
        dialect = names.table.dialect
        line = 1 if dialect is None else (dialect.skip_rows or 0) + 1
        raise names.error(
            f"line {line} is no header but a row of data, for it has the time {name!r} where the name of "
            "the column is expected; write a line with the names of the columns above it"
        )
