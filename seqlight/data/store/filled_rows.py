"""The filled cells of a store, laid out in the files that its rows came from."""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from seqlight.data.io.filled_cells import FilledCells
from seqlight.data.store.timed_rows import FileRows, TimedRows

Int64Array = NDArray[np.int64]


@dataclass(frozen=True)
class FilledFile:
    """What becomes of one file.

    Attributes:
        cells: values and marks of its rows, without columns of marks.
        after: [A] int64, the row of the file below which each new row comes.
        times: [A] times of the new rows.
        new: values and marks of the new rows.
    """

    cells: FilledCells
    after: Int64Array
    times: pl.Series
    new: FilledCells


def in_files(
    rows: TimedRows, target_cols: list[str], values: NDArray[np.float32], filled: NDArray[np.bool_]
) -> list[FilledFile]:
    """Return the filled cells of each file, in the order of ``rows.files``.

    Args:
        rows: the rows of the store.
        target_cols: names of its C channels.
        values: [rows, C] in the order of ``rows.store.values``.
        filled: [rows, C] the cells to take from ``values``.
    """
    begins = np.cumsum([0, *(file.count for file in rows.files)])
    old = rows.order >= 0
    table_values = np.full((int(begins[-1]), values.shape[1]), np.nan, np.float32)
    table_filled = np.zeros(table_values.shape, np.bool_)
    table_values[rows.order[old]], table_filled[rows.order[old]] = values[old], filled[old]

    added = np.flatnonzero(~old)
    # A series begins with a row of a file, so there always is one above.
    above = np.maximum.accumulate(np.where(old, np.arange(len(old)), -1))[added]
    row_above = rows.order[above]
    file_of = np.searchsorted(begins[1:], row_above, side="right")
    files = []
    for number, file in enumerate(rows.files):
        begin, end = int(begins[number]), int(begins[number + 1])
        own = np.flatnonzero(file_of == number)
        cells = _by_column(file, target_cols, table_values[begin:end], table_filled[begin:end])
        files.append(
            _with_added(rows, file, target_cols, cells, added[own], above[own], values, filled, begin)
        )
    return files


def written_cells(rows: TimedRows) -> NDArray[np.bool_]:
    """Return [rows] whether each row of the store has a place in its file; a step without column has none."""
    if all(file.cells is None for file in rows.files):
        return np.ones(len(rows.order), np.bool_)
    has_place = np.concatenate(
        [
            np.ones(file.count, np.bool_) if file.cells is None else file.cells.column >= 0
            for file in rows.files
        ]
    )
    return np.where(rows.order >= 0, has_place[rows.order], True)


def _by_column(
    file: FileRows, target_cols: list[str], values: NDArray[np.float32], filled: NDArray[np.bool_]
) -> FilledCells:
    """The cells by column of the file, each [rows of the file]."""
    if file.cells is None:
        return FilledCells(
            {name: values[:, channel] for channel, name in enumerate(target_cols)},
            {name: filled[:, channel] for channel, name in enumerate(target_cols)},
            {},
        )
    names, row, column = file.cells.columns, file.cells.row, file.cells.column
    there = column >= 0
    shape = (int(row.max()) + 1, len(names))
    table, marks = np.full(shape, np.nan, np.float32), np.zeros(shape, np.bool_)
    table[row[there], column[there]] = values[there, 0]
    marks[row[there], column[there]] = filled[there, 0]
    return FilledCells(
        {name: table[:, index] for index, name in enumerate(names)},
        {name: marks[:, index] for index, name in enumerate(names)},
        {},
    )


def _with_added(
    rows: TimedRows,
    file: FileRows,
    target_cols: list[str],
    cells: FilledCells,
    added: Int64Array,
    above: Int64Array,
    values: NDArray[np.float32],
    filled: NDArray[np.bool_],
    begin: int,
) -> FilledFile:
    """Join the rows that are new to a file; where columns are series, those of one time are one row."""
    columns = list(cells.values)
    row_above = rows.order[above] - begin
    place, column = row_above, None
    if file.cells is not None:
        place, column = file.cells.row[row_above], file.cells.column[row_above]
    keys: dict[tuple[int, int], int] = {}
    new_row = np.array(
        [
            keys.setdefault(key, len(keys))
            for key in zip(place.tolist(), (added - above).tolist(), strict=True)
        ],
        np.int64,
    )
    table = np.full((len(keys), len(columns)), np.nan, np.float32)
    marks = np.zeros(table.shape, np.bool_)
    if column is None:
        table[new_row], marks[new_row] = values[added], filled[added]
    else:
        table[new_row, column], marks[new_row, column] = values[added, 0], filled[added, 0]
    after = np.array([row for row, _ in keys], np.int64)
    first = np.unique(new_row, return_index=True)[1]
    new = FilledCells(
        {name: table[:, index] for index, name in enumerate(columns)},
        {name: marks[:, index] for index, name in enumerate(columns)},
        {},
    )
    return FilledFile(cells, after, _times(rows, added[first]), new)


def _times(rows: TimedRows, which: Int64Array) -> pl.Series:
    """Times of rows of the store that were added."""
    if not len(which):
        return pl.Series("time", [], pl.Datetime("us"))
    indptr = rows.store.indptr
    series = np.searchsorted(indptr, which, side="right") - 1
    return rows.store.timestamps_at(series, which - indptr[series])
