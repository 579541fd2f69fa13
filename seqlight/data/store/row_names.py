"""What messages about the rows of a table call them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seqlight.data.errors import DataError
from seqlight.data.io.columns import as_names
from seqlight.data.io.table import Table

Int64Array = NDArray[np.int64]


@dataclass
class RowNames:
    """Names the rows and columns of a table in messages, also after its rows were sorted.

    Attributes:
        table: the table.
        time_cols: its column of times, or several that make them together.
        target_cols: its target columns.
        id_cols: its columns of series ids.
        order: [rows] the row of the table that each sorted row was; None while they are in its order.
    """

    table: Table
    time_cols: list[str]
    target_cols: list[str]
    id_cols: list[str]
    order: Int64Array | None = None

    @classmethod
    def of(
        cls,
        table: Table,
        time_col: str | Sequence[str] | None,
        target_cols: Sequence[str],
        id_col: str | Sequence[str] | None,
    ) -> "RowNames":
        """Take columns as they are given: one name, several, or None."""
        return cls(table, as_names(time_col), list(target_cols), as_names(id_col))

    @property
    def time_col(self) -> str:
        """The column of times, several joined by blanks."""
        return " ".join(self.time_cols)

    @property
    def id_col(self) -> str | None:
        """The column of ids, several joined by slashes; None for a single series."""
        return "/".join(self.id_cols) if self.id_cols else None

    def error(self, what: str) -> DataError:
        """Return an error about the table."""
        return DataError(f"{self.table.source}: {what}")

    def of_series(self, name: str) -> str:
        """Return " of series 'name'", or nothing where there is one series only."""
        return "" if self.id_col is None else f" of series {name!r}"

    def table_row(self, row: int) -> int:
        """Return the row of the table that a sorted row was."""
        return row if self.order is None else int(self.order[row])

    def at(self, row: int, ids: Sequence[str], indptr: Int64Array) -> str:
        """Return what a message calls a sorted row."""
        series = int(np.searchsorted(indptr, row, side="right")) - 1
        return self.table.row_name(self.table_row(row)) + self.of_series(ids[series])


def iso(microseconds: int | np.int64) -> str:
    """Return a time, microseconds since 1970, as ISO 8601 text to the second."""
    return str(np.datetime64(int(microseconds), "us").astype("datetime64[s]")).replace("T", " ")
