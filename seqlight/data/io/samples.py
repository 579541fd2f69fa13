"""The first rows of whatever is read, by which columns and layout are found."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from seqlight.data.io.csv_checks import explain_broken_rows
from seqlight.data.io.csv_head import CSVHead, find_head
from seqlight.data.io.dialect import CSVDialect
from seqlight.data.io.frames import polars_frame
from seqlight.data.io.numbers import is_missing, read_numbers, tidied
from seqlight.data.io.signs import without_signs
from seqlight.data.io.sources import FrameFile, SeveralFiles
from seqlight.data.io.text_file import TextFile

SAMPLE_ROWS = 1000
_MOSTLY = 0.9


@dataclass(frozen=True)
class Sample:
    """The first rows.

    Attributes:
        name: what messages call the source.
        frame: the rows, text as text; columns whose name is not theirs alone are left out.
        names: of all columns.
        separator: of a text file.
        resolve: gives the name of a column that may be named by a further line of the header.
        partitions: columns that the names of folders make, which are no values.
    """

    name: str
    frame: pl.DataFrame
    names: list[str]
    separator: str | None
    resolve: Callable[[str], str]
    partitions: tuple[str, ...] = ()


def sample_of(opened: Any, dialect: CSVDialect, wanted: Sequence[str] = ()) -> Sample:
    """Return the first rows of what :func:`~seqlight.data.io.sources.open_source` returns.

    Args:
        opened: file or frame; of several files the first one counts.
        dialect: how text is written.
        wanted: columns that there should be, by which the header is found.
    """
    if isinstance(opened, SeveralFiles):
        return sample_of(opened.files[0], dialect, wanted)
    if isinstance(opened, TextFile):
        head = find_head(opened, dialect, wanted)
        return Sample(opened.name, _text_sample(opened, head), head.names, head.separator, head.resolve)
    name = "frame"
    frame = opened
    if isinstance(opened, FrameFile):
        name, frame = opened.name, opened.frame
    rows = polars_frame(frame).head(SAMPLE_ROWS)
    rows = rows.collect() if isinstance(rows, pl.LazyFrame) else rows
    rows = rows.with_columns(pl.col(pl.Categorical, pl.Enum).cast(pl.String))
    made = opened.partitions if isinstance(opened, FrameFile) else ()
    return Sample(name, rows, rows.columns, None, lambda column: column, made)


def _text_sample(file: TextFile, head: CSVHead) -> pl.DataFrame:
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
        explain_broken_rows(file, head)
        rows = pl.DataFrame(schema=schema)  # what else is wrong is said once the columns are known
    rows = rows.filter(~pl.all_horizontal(pl.all().is_null()))  # blank lines
    own = {name: index for index, name in enumerate(head.names)}
    if len(own) < len(head.names):
        own = {name: index for name, index in own.items() if head.names.count(name) == 1}
    return pl.DataFrame({name: rows[str(index)].str.strip_chars() for name, index in own.items()})


def is_numeric(column: pl.Series, dialect: CSVDialect, share: float = _MOSTLY) -> bool:
    """Return whether so large a share of a column of a sample is numbers; a stray word is no matter."""
    if column.dtype != pl.String:
        return column.dtype.is_numeric() or column.dtype == pl.Boolean
    plain = column.cast(pl.Float64, strict=False).is_finite().sum()
    if plain and plain >= share * (len(column) - column.null_count()):
        return True  # as most columns are; what follows tries every way of writing numbers
    text = tidied(column)
    missing = is_missing(text, dialect.missing_values)
    text, signs = without_signs(text, missing)
    if signs is not None and signs.sign is None:  # which is refused when the whole is read
        return 2 * signs.cells >= signs.known
    read = read_numbers(text, missing, dialect.styles())
    known = len(text) - int(missing.sum())
    # A stray word is named by its line when the whole is read.
    numbers = int(read.values.is_not_null().sum())
    return numbers > 0 and numbers >= share * known


def is_empty(column: pl.Series, dialect: CSVDialect) -> bool:
    """Return whether no cell of a column of a sample is known."""
    if column.dtype != pl.String:
        return column.null_count() == len(column)
    return bool(is_missing(tidied(column), dialect.missing_values).all())


def text_columns_of(sample: Sample, dialect: CSVDialect) -> list[str]:
    """Return the columns that hold something, but no number; a word among numbers is for reading to name."""
    return [
        column.name
        for column in sample.frame
        if not is_numeric(column, dialect, 0.0) and not is_empty(column, dialect)
    ]
