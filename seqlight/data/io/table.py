"""The columns a series store is built from, whichever way they were read."""

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from seqlight.data.errors import DataError
from seqlight.data.io.dialect import CSVDialect
from seqlight.data.time.combined_columns import CombinedTimes, combine_time_columns
from seqlight.data.time.step_names import StepNames


@dataclass(frozen=True)
class FileCells:
    """Which cell of a file each row of a long table is, where columns or rows of the file are series.

    Attributes:
        columns: names of the file's columns of values.
        row: [N] int64 row of data in the file.
        column: [N] int64 index into ``columns``; -1 for a step that the file has no column of.
    """

    columns: tuple[str, ...]
    row: NDArray[np.int64]
    column: NDArray[np.int64]


@dataclass
class Table:
    """Time, id, target and covariate columns in the order of the source.

    Attributes:
        source: what messages call the source: the file's path, or "frame".
        time: String, Date or Datetime column of length N; several columns of times are joined to one. None:
            the rows of each series are steps, in their order.
        keys: the N cells of each id column; None for a single series.
        values: [N, C] float32; missing cells are NaN.
        covariates: N rows, a column for each covariate: Float32 for numbers, String for text; missing cells
            are null.
        row_numbers: [N] int64 line of each row in the file (row of a frame), for messages; None: row i
            is line i + first_line (row i).
        first_line: line of the first row.
        is_file: whether rows are lines of a file (counted from 1, the header being line 1) or frame rows
            (counted from 0).
        dialect: how the file is written, with everything settled; None for a frame.
        steps: how steps are written where there are no times; None counts from 0.
        combined: how ``time`` was joined of several columns; None where it is one.
        other_columns: reads the columns that are none of the above, for messages.
        parts: the tables of several files that were joined; their rows follow one another.
        cells: where the rows stand in the file; None where row i is the file's row i.
    """

    source: str
    time: pl.Series | None
    keys: pl.DataFrame | None
    values: NDArray[np.float32]
    covariates: pl.DataFrame = field(default_factory=pl.DataFrame)
    row_numbers: NDArray[np.int64] | None = None
    first_line: int = 2
    is_file: bool = True
    dialect: CSVDialect | None = None
    combined: CombinedTimes | None = None
    steps: StepNames | None = None
    other_columns: Callable[[], pl.DataFrame] | None = None
    parts: list["Table"] = field(default_factory=list)
    cells: FileCells | None = None

    @property
    def ids(self) -> pl.Series | None:
        """The id of each row's series: the one id column, or the cells of several joined by a slash."""
        if self.keys is None:
            return None
        return self.keys.to_series() if self.keys.width == 1 else joined_ids(self.keys)

    def take_times(self, columns: Mapping[str, pl.Series]) -> None:
        """Take the column of times, or join several.

        Raises:
            DataError: several columns are no parts of a time.
        """
        if len(columns) > 1:
            try:
                self.combined = combine_time_columns(columns)
            except DataError as error:
                raise DataError(f"{self.source}: {error}") from None
            self.time = self.combined.text
        else:
            self.time = next(iter(columns.values()), None)

    def row_name(self, row: int) -> str:
        """What a message calls row ``row``: "line 14" of a file, "row 12" of a frame."""
        for part in self.parts:
            if row < len(part.values):
                return f"{part.row_name(row)} of {part.source}"
            row -= len(part.values)
        if not self.is_file:
            return f"row {row if self.row_numbers is None else int(self.row_numbers[row])}"
        return f"line {row + self.first_line if self.row_numbers is None else int(self.row_numbers[row])}"


def joined_tables(source: str, tables: Sequence[Table]) -> Table:
    """Join tables of the same columns, whose rows follow one another.

    Raises:
        DataError: their numbers are written in different ways, or their times are of different kinds.
    """
    first = tables[0]
    for other in tables[1:]:
        _check_alike(first, other)
    times = [table.time for table in tables if table.time is not None]
    keys = [table.keys for table in tables if table.keys is not None]
    others = [table.other_columns for table in tables if table.other_columns is not None]
    joined = replace(
        first,
        source=source,
        time=pl.concat(times) if times else None,
        keys=pl.concat([part.select(pl.all().cast(pl.String)) for part in keys]) if keys else None,
        values=np.concatenate([table.values for table in tables]),
        covariates=pl.concat([table.covariates for table in tables], how="vertical_relaxed"),
        other_columns=lambda: pl.concat([read() for read in others], how="diagonal_relaxed"),
        parts=[replace(table, time=None, keys=None, other_columns=None) for table in tables],
        cells=None,
    )
    return joined


def _check_alike(first: Table, other: Table) -> None:
    if first.time is not None and other.time is not None and first.time.dtype != other.time.dtype:
        raise DataError(
            f"{other.source}: its times are of dtype {other.time.dtype}, those of {first.source} of "
            f"{first.time.dtype}; convert one of them"
        )
    one, two = first.dialect, other.dialect
    if one is not None and two is not None:
        for name in ("decimal_comma", "thousands"):
            ours, theirs = getattr(one, name), getattr(two, name)
            if ours is not None and theirs is not None and ours != theirs:
                raise DataError(
                    f"{other.source}: its numbers have {name}={theirs!r}, those of {first.source} "
                    f"{name}={ours!r}; write both the same way, or pass the one that holds for both"
                )
    for name in first.covariates.columns:
        if first.covariates[name].dtype != other.covariates[name].dtype:
            raise DataError(
                f"{other.source}: column {name!r} holds {_kind(other.covariates[name])}, that of "
                f"{first.source} {_kind(first.covariates[name])}; write both the same way"
            )


def _kind(column: pl.Series) -> str:
    return "text" if column.dtype == pl.String else "numbers"


def joined_ids(keys: pl.DataFrame) -> pl.Series:
    """Join the cells of several id columns by "/", so that different cells give different ids.

    A slash or backslash within a cell is written with a backslash before it. A missing cell makes the id
    null.

    Returns:
        Categorical column.
    """
    texts = keys.select(pl.all().cast(pl.String))
    combinations = texts.unique(maintain_order=True)
    escaped = pl.all().str.replace_all(r"([\\/])", r"\${1}")
    ids = combinations.with_columns(
        combinations.select(pl.concat_str(escaped, separator="/").alias("\0id"))["\0id"]
    )
    joined = texts.join(ids, on=texts.columns, how="left", nulls_equal=True, maintain_order="left")
    return joined["\0id"].rename("/".join(keys.columns)).cast(pl.Categorical)


def check_columns(source: str, wanted: Sequence[tuple[str, str]], columns: Sequence[str]) -> None:
    """Raise DataError unless every wanted column exists once; suggest the nearest name.

    Args:
        source: what messages call the source.
        wanted: (argument, column name) pairs, such as ("target_cols", "OT").
        columns: the columns there are.
    """
    for argument, name in wanted:
        count = list(columns).count(name)
        if count > 1:
            raise DataError(f"{source}: {argument}: {count} columns are called {name!r}; rename all but one")
        if count == 1:
            continue
        lowered = {column.lower().strip(): column for column in reversed(columns)}
        near = difflib.get_close_matches(name.lower().strip(), list(lowered), n=1, cutoff=0.5)
        hint = f"did you mean {lowered[near[0]]!r}? " if near else ""
        listed = ", ".join(repr(column) for column in columns[:20]) + (", ..." if len(columns) > 20 else "")
        raise DataError(f"{source}: {argument}: there is no column {name!r}; {hint}The columns are: {listed}")
