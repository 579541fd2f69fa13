"""From the rows of a table to a store: sorted into series, laid out on their grids, checked."""

import warnings
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from seqlight.data.errors import DataError
from seqlight.data.io.table import Table
from seqlight.data.store.covariates import lay_out
from seqlight.data.store.future_rows import SortedTable, join_future
from seqlight.data.store.grid_positions import GridRows, check_one_step, grid_positions, step_of
from seqlight.data.store.rounded_times import on_rounded_grid
from seqlight.data.store.row_names import RowNames
from seqlight.data.store.row_times import instant, row_times
from seqlight.data.store.series_store import SeriesStore
from seqlight.data.store.sorting import sort_into_series
from seqlight.data.store.static_values import with_static
from seqlight.data.store.time_grid import TimeGrid
from seqlight.data.time.frequency import FixedFrequency
from seqlight.data.time.time_format import writes_apart

Int64Array = NDArray[np.int64]


def build_store(
    table: Table,
    *,
    time_col: str | Sequence[str] | None,
    target_cols: Sequence[str],
    id_col: str | Sequence[str] | None = None,
    missing: str = "error",
    frequency: str | None = None,
    time_format: str | None = None,
    as_of: str | None = None,
    one_step: bool = True,
    round: bool | None = None,
    past_covariate_cols: Sequence[str] = (),
    future_covariate_cols: Sequence[str] = (),
    static_cols: Sequence[str] = (),
    future: Table | None = None,
    static: Table | None = None,
) -> SeriesStore:
    """Sort the table's rows into series, find the time grid, and lay the rows out on it.

    Rows absent from a series' own grid become rows of missing cells. Times that are not increasing are
    sorted, with a warning. The rows of a table without times are the steps of each series, in their order.

    Args:
        table: the columns.
        time_col: name of the time column, or of several, for messages.
        target_cols: names of the C target columns, for messages.
        id_col: name of the id column, or of several, for messages.
        missing: "error" refuses missing cells, "mask" keeps them as NaN.
        frequency: the grid's step such as "1h", or None to infer it.
        time_format: strftime pattern of text timestamps, or None to find it.
        as_of: a time, written as those of the table or in ISO 8601; targets of later times are taken for
            unknown.
        past_covariate_cols: columns of the table's covariates that are known up to now only.
        future_covariate_cols: those known ahead, also in rows whose targets are empty.
        static_cols: those constant within a series.
        future: a second table with rows in which covariates of ``future_covariate_cols`` are known ahead; see
            :func:`seqlight.data.store.future_rows.join_future`.
        static: a third with one row for each series, and columns of ``static_cols``.
        round: round times that jitter around a regular grid to it; None neither does nor offers that.
        one_step: refuse series whose own step is a multiple of the step that was found for all.

    Raises:
        DataError: a timestamp does not parse, repeats within its series or lies off the grid; a series has
            steps of its own; an id is empty; a value is infinite; cells before a series' last known value
            are missing and ``missing`` is "error".
    """
    names = RowNames.of(table, time_col, target_cols, id_col)
    check_finite(names)
    grid, later = None, None
    if table.time is None:
        rows = _steps(names, frequency, as_of)
        if future is not None:
            fix = "append them to the data, with an empty target"
            if table.cells is not None:
                fix = "name the steps by their times, such as 2024-01-31, in place of numbers"
            raise DataError(f"future: its rows are joined by their times, and the data have none; {fix}")
    else:
        timed = _Timed(names, frequency, time_format, one_step, round)
        if future is not None:
            timed = timed.joined(future)
        rows, grid = timed.laid_out()
        names, table = timed.names, timed.names.table
        later = None if as_of is None else timed.times > instant(as_of, timed.text_format)

    values = table.values if names.order is None else table.values[names.order]
    if later is not None:
        values = np.where(later[:, None], np.float32(np.nan), values)
    covariates = None
    if past_covariate_cols or future_covariate_cols or static_cols:
        covariates = lay_out(
            table.covariates,
            past=past_covariate_cols,
            future=future_covariate_cols,
            static=[name for name in static_cols if name in table.covariates],
            ids=rows.ids,
            indptr=rows.indptr,
            place=rows.place,
            order=lambda cells: cells if names.order is None else cells[names.order],
            unknown=later,
            source=table.source,
        )
        if static is not None:
            covariates = with_static(covariates, static, rows.ids, static_cols, table.source)
    store = SeriesStore(rows.place(values, np.nan), rows.grid_indptr, rows.ids, grid, covariates, table.steps)
    check_missing(names, store, missing)
    return store


@dataclass(frozen=True)
class _Rows:
    """Sorted rows: where each series is among them, and where each row lies on its series' grid."""

    ids: list[str]
    indptr: Int64Array
    lengths: Int64Array  # of the grids
    positions: Int64Array | None  # None where no row is absent

    @property
    def grid_indptr(self) -> Int64Array:
        return np.concatenate([[0], np.cumsum(self.lengths)]).astype(np.int64)

    def place(self, rows: NDArray[Any], absent: object) -> NDArray[Any]:
        if self.positions is None:
            return np.ascontiguousarray(rows)
        begins = self.grid_indptr
        laid_out = np.full((int(begins[-1]), rows.shape[1]), absent, rows.dtype)
        laid_out[np.repeat(begins[:-1], np.diff(self.indptr)) + self.positions] = rows
        return laid_out


def _steps(names: RowNames, frequency: str | None, as_of: str | None) -> _Rows:
    """Rows without times, which are steps."""
    for argument, value in (("frequency", frequency), ("as_of", as_of)):
        if value is not None:
            raise DataError(f"{argument}: expected none for rows without times, got {value!r}")
    ids, indptr, _ = sort_into_series(names, None)
    return _Rows(ids, indptr, np.diff(indptr), None)


class _Timed:
    """Rows with times, sorted, and the step on which they lie."""

    def __init__(
        self,
        names: RowNames,
        frequency: str | None,
        time_format: str | None,
        one_step: bool,
        rounded: bool | None,
    ) -> None:
        column = names.table.time
        assert column is not None  # the caller has looked
        self.names = names
        self.dates = column.dtype == pl.Date
        self.time_format = time_format
        times, self.text_format, self.zone = row_times(names, time_format)
        names.table.time = column.clear()  # text takes 35 bytes a row; only the times are needed now
        self.inferred = frequency is None
        self.may_round = rounded is False
        self.rounded = rounded is True
        self.ids: list[str]
        self.indptr: Int64Array
        self.times: Int64Array
        self._sort(times)
        if rounded:
            self.times, frequency = on_rounded_grid(names, self.times, self.indptr, frequency)
        self.step = step_of(names, frequency, self.times, self.indptr[:-1], self.zone)
        if one_step and self.inferred and len(self.ids) > 1:
            check_one_step(names, self.step, self.times, self.indptr[:-1], self.ids)

    def _sort(self, times: Int64Array) -> None:
        self.ids, self.indptr, self.times = sort_into_series(self.names, times)

    def joined(self, future: Table) -> "_Timed":
        """Join the rows of a second table; the step stays that of the first, and so does the grid."""
        names = self.names
        main = SortedTable(names, self.times, self.ids, self.indptr, self.text_format, self.zone)
        grid = self.step if self.rounded and isinstance(self.step, FixedFrequency) else None
        table, times = join_future(main, future, self.time_format, grid)
        joined = copy(self)
        joined.names = RowNames(table, names.time_cols, names.target_cols, names.id_cols)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # rows that were added at the end are not in order
            joined._sort(times)
        return joined

    def laid_out(self) -> tuple[_Rows, TimeGrid]:
        """Where each row lies on its series' grid."""
        step, names, first = self.step, self.names, self.indptr[:-1]
        origin, anchor = self.times[first], step.anchors(self.times, first)
        on_grid = GridRows(
            step, self.times, self.indptr, self.ids, origin, anchor, self.inferred, self.may_round
        )
        lengths, positions = grid_positions(names, on_grid)
        grid = TimeGrid(step, origin, anchor, self.text_format, self.zone, self.dates)
        if self.text_format is not None and not writes_apart(self.text_format, grid.timestamps(0, 0, 3)):
            raise names.error(
                f"frequency: {step.name} is finer than column {names.time_col!r}, whose times are written as "
                f"{self.text_format.pattern!r}; write them with more digits, or pass a coarser frequency"
            )
        return _Rows(self.ids, self.indptr, lengths, positions), grid


def check_finite(names: RowNames) -> None:
    """Raise DataError where a target is infinite."""
    infinite = np.isinf(names.table.values)
    if infinite.any():
        row, column = np.argwhere(infinite)[0]
        raise names.error(
            f"{names.table.row_name(row)}, column {names.target_cols[column]!r}: infinity, or a number "
            "beyond float32's range (3.4e38); mend the cell, or leave it empty if the value is missing"
        )


def check_missing(names: RowNames, store: SeriesStore, missing: str) -> None:
    """Raise DataError for a column without any value and, if ``missing`` is "error", for missing cells."""
    check_known(store, missing, names.target_cols, names.table.source, names.id_col)


def check_known(
    store: SeriesStore, missing: str, target_cols: Sequence[str], source: str, id_col: str | None
) -> None:
    """Raise DataError for a channel without any value and, if ``missing`` is "error", for missing cells.

    Missing cells behind a series' last known value are no gaps but its future.
    """
    absent = np.isnan(store.values)
    if not absent.any():
        return
    later = store.lengths - store.ends  # rows that are the future, not gaps
    for column, name in enumerate(target_cols):
        if absent[:, column].all():
            raise DataError(f"{source}: column {name!r}: every cell is missing; expected numbers")
    if missing == "mask":
        return
    for begin, end in zip(store.indptr[1:] - later, store.indptr[1:], strict=True):
        absent[begin:end] = False
    if not absent.any():
        return
    row, column = (int(i) for i in np.argwhere(absent)[0])
    series = int(np.searchsorted(store.indptr, row, side="right")) - 1
    own = absent[store.indptr[series] : store.indptr[series + 1], column]
    first = store.time_text(series, row - int(store.indptr[series]))
    total = int(absent.sum())
    elsewhere = "" if total == own.sum() else f" ({total} in all columns and series)"
    of_series = "" if id_col is None else f" of series {store.ids[series]!r}"
    raise DataError(
        f"{source}: column {target_cols[column]!r}{of_series}: {own.sum()} missing "
        f"cell{'s' * (int(own.sum()) != 1)} (empty, or no row for their time), the first at "
        f'{first}{elsewhere}; fill them, or pass missing="mask"'
    )
