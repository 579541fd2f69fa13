"""Sorting the rows of a table into series by time."""

import warnings

import numpy as np
import polars as pl
from numpy.typing import NDArray

from seqlight.data.io.repeats import REMOVE, hint_of_repeats
from seqlight.data.store.row_names import RowNames, iso
from seqlight.data.time.steps import DAY

Int64Array = NDArray[np.int64]


def sort_into_series(names: RowNames, times: Int64Array | None) -> tuple[list[str], Int64Array, Int64Array]:
    """Sort by series, in the order of their appearance, and time; ``names.order`` then is the order.

    Args:
        names: of the table.
        times: [rows] int64 microseconds in the table's order; None leaves the rows of a series in it.

    Returns:
        The series' ids, [S + 1] where the rows of each are, and the sorted times (row numbers where there
        are none).

    Raises:
        DataError: an id is empty, or a time repeats within its series.
    """
    rows = len(names.table.values)
    column = names.table.ids
    if column is None:
        ids, indptr = ["series"], np.array([0, rows], np.int64)
    else:
        ids, indptr = _group(names, column)
    if times is None:
        return ids, indptr, np.arange(rows, dtype=np.int64)
    if names.order is not None:
        times = times[names.order]
    inside = np.ones(max(len(times) - 1, 0), np.bool_)
    inside[indptr[1:-1] - 1] = False
    backward = None
    falls = (times[1:] < times[:-1]) & inside
    if falls.any():
        backward = names.at(int(np.argmax(falls)) + 1, ids, indptr)
        resort = np.lexsort((times, np.repeat(np.arange(len(ids)), np.diff(indptr))))
        times = times[resort]
        names.order = resort if names.order is None else names.order[resort]
    repeated = (times[1:] == times[:-1]) & inside
    if repeated.any():
        row = int(np.argmax(repeated)) + 1
        name = ids[int(np.searchsorted(indptr, row, side="right")) - 1]
        in_table = times if names.order is None else times[np.argsort(names.order)]
        again = names.table_row(row)
        hint = hint_of_repeats(names.table, in_table, names.time_cols, names.id_cols, again)
        earlier, later = sorted((names.table_row(row - 1), names.table_row(row)))
        clock = ""
        if times[row] % DAY and REMOVE in hint:
            clock = " (local times repeat when daylight saving ends: write them with their UTC offset)"
        raise names.error(
            f"{names.table.row_name(later)}, column {names.time_col!r}: the timestamp "
            f"{iso(times[row])} repeats {names.table.row_name(earlier)}{names.of_series(name)}; {hint}{clock}"
        )
    if backward is not None:
        warnings.warn(
            f"{names.table.source}: rows are not in the order of time (first at {backward}); they were "
            f"sorted by {names.time_col!r}",
            stacklevel=2,
        )
    return ids, indptr, times


def _group(names: RowNames, column: pl.Series) -> tuple[list[str], Int64Array]:
    if column.null_count():
        row = column.is_null().arg_max()
        assert row is not None  # some value is null
        raise names.error(f"{names.table.row_name(row)}, column {names.id_col!r}: the series id is empty")
    if column.dtype != pl.Categorical:
        column = column.cast(pl.String).cast(pl.Categorical)
    raw = column.to_physical().to_numpy()
    starts = np.append(0, np.flatnonzero(raw[1:] != raw[:-1]) + 1)
    run_codes = raw[starts]
    _, first_runs = np.unique(run_codes, return_index=True)
    first_runs.sort()
    ids = column.gather(starts[first_runs]).cast(pl.String).to_list()
    if len(starts) == len(ids):  # each series is one run of rows
        return ids, np.append(starts, len(raw))
    number = np.empty(int(run_codes.max()) + 1, np.int64)
    number[run_codes[first_runs]] = np.arange(len(ids))
    codes = number[raw]
    indptr = np.concatenate([[0], np.cumsum(np.bincount(codes, minlength=len(ids)))]).astype(np.int64)
    names.order = np.argsort(codes, kind="stable")
    return ids, indptr
