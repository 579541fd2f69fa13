"""The columns a series store is built from, whichever way they were read."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from seqlight.data.errors import DataError


@dataclass
class Table:
    """Time, id and target columns in the order of the source.

    Attributes:
        source: what messages call the source: the file's path, or "frame".
        time: String, Date or Datetime column of length N.
        ids: column of series ids, or None for a single series.
        values: [N, C] float32; missing cells are NaN.
        row_numbers: [N] int64 line of each row in the file, for messages; None: row i is line
            i + first_line.
        first_line: line of the first row.
        is_file: whether rows are lines of a file (counted from 1, the header being line 1) or frame rows
            (counted from 0).
    """

    source: str
    time: pl.Series
    ids: pl.Series | None
    values: NDArray[np.float32]
    row_numbers: NDArray[np.int64] | None = None
    first_line: int = 2
    is_file: bool = True

    def row_name(self, row: int) -> str:
        """What a message calls row ``row``: "line 14" of a file, "row 12" of a frame."""
        if not self.is_file:
            return f"row {row}"
        return f"line {row + self.first_line if self.row_numbers is None else int(self.row_numbers[row])}"


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
