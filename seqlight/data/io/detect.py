"""Which columns of a file hold times, ids and values, by its first rows; nothing is guessed between two."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import polars as pl

from seqlight.data.errors import DataError
from seqlight.data.io.csv_head import CSVHead, find_head
from seqlight.data.io.dialect import CSVDialect
from seqlight.data.io.numbers import is_missing, read_numbers, tidied
from seqlight.data.io.text_file import TextFile
from seqlight.data.time.combined_columns import is_time_of_day
from seqlight.data.time.time_format import parse_times

SAMPLE_ROWS = 1000
_MOST_NAMED = 8
_TIME_NAMES = ("date", "datetime", "date_time", "time", "timestamp", "ds", "period")
_CALENDAR_PARTS = ("year", "month", "day", "hour", "minute", "second")


@dataclass(frozen=True)
class Reading:
    """What a file is taken for.

    Attributes:
        time_cols: columns that make the time together.
        target_cols: columns of values.
        id_cols: columns that name a series together.
        separator: between its fields.
    """

    time_cols: tuple[str, ...]
    target_cols: tuple[str, ...]
    id_cols: tuple[str, ...]
    separator: str


def detect(
    file: TextFile,
    dialect: CSVDialect,
    *,
    time_cols: Sequence[str] | None = None,
    target_cols: Sequence[str] | None = None,
    id_cols: Sequence[str] | None = None,
    time_format: str | None = None,
) -> Reading:
    """Find the columns that were not given, in the first rows.

    The time is the only column of timestamps (or a date and a time of day, or columns called year, month,
    day, hour); the target the only other column of numbers; where times repeat, the id is the only column of
    text that tells such rows apart.

    Raises:
        DataError: there is no such column, or there are several; the message begins with the argument.
    """
    wanted = [*(time_cols or ()), *(target_cols or ()), *(id_cols or ())]
    head = find_head(file, dialect, wanted)
    sample = _sample(file, head)
    taken = {head.resolve(name) for name in wanted}
    free = [name for name in sample.columns if name not in taken]
    if time_cols is None:
        time_cols = _find_times(sample, free, time_format)
        free = [name for name in free if name not in time_cols]
    numeric = [name for name in free if _is_numeric(sample[name], dialect)]
    if target_cols is None:
        others = "".join(f", {name!r}" for name in numeric[:_MOST_NAMED])[2:]
        if not numeric:
            raise DataError(f"target_cols: no column of {file.name} holds numbers only.{_columns(sample)}")
        if len(numeric) > 1:
            raise DataError(f"target_cols: which column is to be forecast? {others} hold numbers")
        target_cols = numeric
        free.remove(numeric[0])
    if id_cols is None:
        texts = [name for name in free if name not in numeric]
        id_cols = _find_ids(sample, [head.resolve(name) for name in time_cols], texts)
    return Reading(tuple(time_cols), tuple(target_cols), tuple(id_cols), head.separator)


def find_times(file: TextFile, dialect: CSVDialect, time_format: str | None = None) -> list[str]:
    """Return the columns that make the time together, see :func:`detect`.

    Raises:
        DataError: there are none, or several readings.
    """
    sample = _sample(file, find_head(file, dialect))
    return _find_times(sample, sample.columns, time_format)


def _sample(file: TextFile, head: CSVHead) -> pl.DataFrame:
    """The first rows as text; columns whose name is not theirs alone are left out."""
    lines = file.head.split("\n")[head.rows_line - 1 :][:SAMPLE_ROWS]
    schema = {str(index): pl.String for index in range(len(head.names))}
    try:
        rows = pl.read_csv(
            "\n".join(lines).encode(),
            separator=head.separator,
            has_header=False,
            schema=schema,
            truncate_ragged_lines=True,
            raise_if_empty=False,
        )
    except pl.exceptions.PolarsError:
        rows = pl.DataFrame(schema=schema)  # what is wrong with the file is said once the columns are known
    rows = rows.filter(~pl.all_horizontal(pl.all().is_null()))  # blank lines
    own = [name for name in head.names if head.names.count(name) == 1]
    return pl.DataFrame({name: rows[str(head.names.index(name))].str.strip_chars() for name in own})


def _find_times(sample: pl.DataFrame, names: Sequence[str], time_format: str | None) -> list[str]:
    parts = [name for part in _CALENDAR_PARTS for name in names if name.strip().lower() == part]
    if len(parts) >= 3 and [name.strip().lower() for name in parts[:3]] == ["year", "month", "day"]:
        return parts
    clocks = [name for name in names if is_time_of_day(sample[name])]
    found = [name for name in names if name not in clocks and _holds_times(sample[name], time_format)]
    if not found:  # Unix times and the like are numbers: a name must say what they are
        found = [
            name
            for name in names
            if name.strip().lower() in _TIME_NAMES and _holds_times(sample[name], time_format, numbers=True)
        ]
    if len(found) == 1 and len(clocks) == 1 and sample[found[0]].is_duplicated().any():
        return [*found, *clocks]
    if len(found) == 1:
        return found
    looks = f"; {' and '.join(map(repr, found))} look like it" if found else _columns(sample)
    raise DataError(f"time_col: which column holds the timestamps?{looks}")


def _holds_times(column: pl.Series, time_format: str | None, *, numbers: bool = False) -> bool:
    plain = column.str.replace(",", ".", literal=True).cast(pl.Float64, strict=False)
    if column.is_empty() or column.has_nulls() or (not numbers and not plain.has_nulls()):
        return False
    try:
        _, _, wrong = parse_times(column, time_format)
    except DataError as error:
        # Two readings of the times: they are times, and the reading of the whole asks which.
        return "both" in str(error) and not numbers
    return wrong is None


def _is_numeric(column: pl.Series, dialect: CSVDialect) -> bool:
    text = tidied(column)
    missing = is_missing(text, dialect.missing_values)
    read = read_numbers(text, missing, dialect.styles())
    known = len(text) - int(missing.sum())
    # A stray word is named by its line when the whole is read.
    return known > 0 and int(read.values.is_not_null().sum()) >= 0.9 * known


def _find_ids(sample: pl.DataFrame, time_cols: Sequence[str], texts: Sequence[str]) -> list[str]:
    """The fewest columns of text that tell rows of one time apart; none where no time repeats."""
    times = sample.select(time_cols)
    if not times.is_duplicated().any():
        return []
    candidates = [name for name in texts if 2 * sample[name].n_unique() <= sample.height]
    for size in (1, 2):
        fitting = [
            list(names)
            for names in combinations(candidates, size)
            if not sample.select([*time_cols, *names]).is_duplicated().any()
        ]
        if len(fitting) > 1:
            choices = " or ".join(" with ".join(map(repr, names)) for names in fitting[:_MOST_NAMED])
            raise DataError(f"id_col: which column names the series? {choices} would do")
        if fitting:
            return fitting[0]
    return []  # the reading of the whole says which rows repeat, and what tells them apart


def _columns(sample: pl.DataFrame) -> str:
    if not sample.width:
        return ""
    more = ", ..." if sample.width > _MOST_NAMED else ""
    return f" The file has {', '.join(map(repr, sample.columns[:_MOST_NAMED]))}{more}"
