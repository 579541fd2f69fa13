"""Reading rows at whatever times they are, or with those added that are absent from a regular grid."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqlight.data.errors import DataError
from seqlight.data.io.columns import as_names
from seqlight.data.io.dialect import CSVDialect
from seqlight.data.io.read import read_table
from seqlight.data.io.table import FileCells, Table
from seqlight.data.store.building import build_store, check_finite, check_missing
from seqlight.data.store.row_names import RowNames
from seqlight.data.store.row_times import row_times
from seqlight.data.store.series_store import SeriesStore
from seqlight.data.store.sorting import sort_into_series
from seqlight.data.time.combined_columns import CombinedTimes
from seqlight.data.time.frequency import infer_frequency

Int64Array = NDArray[np.int64]


@dataclass(frozen=True)
class FileRows:
    """The rows of a table that come from one file.

    Attributes:
        count: how many there are.
        dialect: how the file is written; None for a frame.
        cells: where they stand in the file; None where row i is the file's row i.
    """

    count: int
    dialect: CSVDialect | None
    cells: FileCells | None

    @classmethod
    def of(cls, table: Table) -> "FileRows":
        """Return what is to be known of a table that is read from one file."""
        return cls(len(table.values), table.dialect, table.cells)


@dataclass(frozen=True)
class TimedRows:
    """The rows of a table sorted into series, with the time of each, on no grid: steps may differ.

    Attributes:
        store: the S series; position p of a series is its p-th row in the order of time.
        times: [rows] int64 microseconds since 1970, in the order of ``store.values``; rows without times
            have their positions.
        order: [rows] int64, the row of the table that each row of the store was; -1 for an added row.
        files: the files that the rows came from, in the order of the table.
        combined: how times were joined of several columns; None where they are one.
        has_times: whether rows have times.
    """

    store: SeriesStore
    times: Int64Array
    order: Int64Array
    files: tuple[FileRows, ...] = ()
    combined: CombinedTimes | None = None
    has_times: bool = True


def sort_rows(
    table: Table,
    *,
    time_col: str | Sequence[str] | None,
    target_cols: Sequence[str],
    id_col: str | Sequence[str] | None = None,
    time_format: str | None = None,
) -> TimedRows:
    """Sort the table's rows into series by time, whatever the steps between them; missing cells are NaN.

    Rows of a table without times stay in its order. The arguments are those of :func:`build_store`.

    Raises:
        DataError: a timestamp does not parse or repeats within its series; an id is empty; a value is
            infinite; or a column has no value at all.
    """
    names = RowNames.of(table, time_col, target_cols, id_col)
    check_finite(names)
    has_times = table.time is not None
    ids, indptr, times = sort_into_series(names, row_times(names, time_format)[0] if has_times else None)
    if not has_times:
        times = times - np.repeat(indptr[:-1], np.diff(indptr))
    order = np.arange(len(times), dtype=np.int64) if names.order is None else names.order
    store = SeriesStore(np.ascontiguousarray(table.values[order]), indptr, ids, steps=table.steps)
    check_missing(names, store, "mask")
    files = tuple(map(FileRows.of, table.parts or [table]))
    return TimedRows(store, times, order, files, table.combined, has_times)


def read_timed_rows(
    source: Any,
    *,
    time_col: str | Sequence[str] | None,
    target_cols: list[str],
    id_col: str | Sequence[str] | None = None,
    dialect: CSVDialect | None = None,
    time_format: str | None = None,
    insert_rows: bool = False,
    frequency: str | None = None,
) -> TimedRows:
    """Read a file, several files or a frame into series of rows in the order of time.

    Args:
        source: see :func:`seqlight.data.read_table`.
        time_col: column of timestamps; None where rows are steps.
        target_cols: numeric columns.
        id_col: column of series ids; None for a single series.
        dialect: how the file is written, its layout and the name for ids of files included.
        time_format: strftime pattern of the timestamps; None finds it.
        insert_rows: add rows of missing cells where a series has no row for a time of its grid; their
            ``order`` is -1.
        frequency: step of that grid, such as "1h"; None infers it.

    Raises:
        DataError: the data cannot be read; with ``insert_rows`` also if a time lies off the grid, or rows
            are series or have no times.
    """
    ids = as_names(id_col)
    if dialect is not None and dialect.file_id is not None and dialect.file_id not in ids:
        ids.insert(0, dialect.file_id)
    table = read_table(
        source,
        time_cols=as_names(time_col),
        target_cols=target_cols,
        id_cols=ids,
        dialect=dialect,
        whole=True,
    )
    if ids == [] and table.keys is not None:  # those of columns, or the numbers of rows
        ids = table.keys.columns
    columns: dict[str, Any] = {
        "time_col": [] if table.time is None else as_names(time_col) or [table.time.name],
        "target_cols": target_cols,
        "id_col": ids,
    }
    if insert_rows and (table.time is None or (dialect is not None and dialect.layout == "rows")):
        why = "rows without times" if table.time is None else "layout='rows', whose times are columns,"
        raise DataError(f"insert_rows: {why} have no absent rows that could be added; leave it out")
    rows = sort_rows(table, time_format=time_format, **columns)
    if not insert_rows:
        return rows
    store = build_store(
        table, missing="mask", frequency=frequency, time_format=time_format, one_step=False, **columns
    )
    return _on_grid(rows, store)


def absent_rows(rows: TimedRows) -> tuple[int, str]:
    """How many rows are absent from the regular grid on which the times lie, and its step.

    Returns:
        ``(0, "")`` where the times lie on no grid, or there are none.
    """
    if not rows.has_times:
        return 0, ""
    indptr = rows.store.indptr
    first_rows = indptr[:-1]
    step = infer_frequency(rows.times, first_rows)
    if step is None:
        return 0, ""
    lengths = rows.store.lengths
    series = np.repeat(np.arange(len(lengths)), lengths)
    origin, anchor = rows.times[first_rows], step.anchors(rows.times, first_rows)
    positions, on_grid = step.positions(rows.times, origin[series], anchor[series])
    if not on_grid.all():
        return 0, ""
    return int((positions[indptr[1:] - 1] + 1 - lengths).sum()), step.name


def _on_grid(rows: TimedRows, store: SeriesStore) -> TimedRows:
    """Lay rows out on the grid of a store that was built from the same table."""
    grid = store.grid
    assert grid is not None  # built from a table with times
    times = np.empty(len(store.values), np.int64)
    order = np.full(len(store.values), -1, np.int64)
    for series, (begin, end) in enumerate(zip(store.indptr[:-1], store.indptr[1:], strict=True)):
        positions = np.arange(end - begin, dtype=np.int64)
        times[begin:end] = grid.frequency.timestamps(positions, grid.origin[series], grid.anchor[series])
        own = slice(*rows.store.indptr[series : series + 2])
        order[begin + np.searchsorted(times[begin:end], rows.times[own])] = rows.order[own]
    return replace(rows, store=store, times=times, order=order)
