"""The series of a data set in one contiguous array, each on its own regular time grid."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import time
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from seqlight.data.errors import DataError
from seqlight.data.io.columns import as_names
from seqlight.data.io.dialect import CSVDialect
from seqlight.data.io.repeats import hint_of_repeats
from seqlight.data.io.table import Table
from seqlight.data.store.covariates import Covariates, lay_out
from seqlight.data.time.combined_columns import CombinedTimes
from seqlight.data.time.frequency import (
    DAY,
    FixedFrequency,
    Frequency,
    fraction_digits,
    frequency_on,
    infer_frequency,
    series_of_coarser_steps,
)
from seqlight.data.time.time_format import TimeFormat, parse_times, writes_apart

Int64Array = NDArray[np.int64]

# A grid may be sparse, but one of more than this many cells per row is a wrong frequency, not missing data.
_MOST_CELLS_PER_ROW = 100
_FEW_CELLS = 1_000_000
_FEW_OFF_GRID = 5
_MOST = 0.9


@dataclass(frozen=True)
class TimeGrid:
    """Where every series' positions lie in time.

    Attributes:
        frequency: the step, one for all series.
        origin: [S] int64 microseconds since 1970 of each series' position 0.
        anchor: [S] int64, see ``Frequency.anchors``.
        time_format: how the times were written; None if they did not come as text.
        time_zone: zone of the times; None for times without one.
        dates: whether the times were given as dates.
    """

    frequency: Frequency
    origin: Int64Array
    anchor: Int64Array
    time_format: TimeFormat | None = None
    time_zone: str | None = None
    dates: bool = False

    def timestamps(self, series_index: int, start: int, count: int) -> pl.Series:
        """Times of positions ``start`` to ``start + count - 1`` of one series, also beyond its rows."""
        positions = np.arange(start, start + count, dtype=np.int64)
        times = self.frequency.timestamps(positions, self.origin[series_index], self.anchor[series_index])
        series = pl.Series("time", times).cast(pl.Datetime("us"))
        if self.time_zone is not None:
            return series.dt.replace_time_zone("UTC").dt.convert_time_zone(self.time_zone)
        return series

    def format(self, times: pl.Series) -> pl.Series:
        """The times as text, in the format in which they came (ISO 8601 if they were not text)."""
        if self.time_format is not None:
            return self.time_format.format(times)
        digits = fraction_digits(self.frequency, self.origin)
        fraction = f"%.{digits}f" if digits else ""
        if self.dates and not (times.dt.time() != time(0)).any():
            return times.dt.strftime("%Y-%m-%d")
        if self.time_zone is None:
            return times.dt.strftime(f"%Y-%m-%d %H:%M:%S{fraction}")
        return times.dt.strftime(f"%Y-%m-%dT%H:%M:%S{fraction}%:z")


@dataclass(frozen=True)
class SeriesStore:
    """S series of C channels, one after the other.

    Attributes:
        values: [rows, C] float32, contiguous; missing cells are NaN.
        indptr: [S + 1] int64; series s is ``values[indptr[s]:indptr[s + 1]]``.
        ids: S names.
        grid: the time grid; None for series without times.
        covariates: columns beside the targets; None for none.
    """

    values: NDArray[np.float32]
    indptr: Int64Array
    ids: list[str]
    grid: TimeGrid | None = None
    covariates: Covariates | None = None

    def __len__(self) -> int:
        """Number of series."""
        return len(self.ids)

    @property
    def lengths(self) -> Int64Array:
        """[S] rows of each series' grid."""
        return np.diff(self.indptr)

    @cached_property
    def ends(self) -> Int64Array:
        """[S] position after each series' last row with a known value; 0 for a series without one.

        Rows from there on, whose targets are all missing, are the future: a forecast begins there.
        """
        ends = self.lengths
        for series in np.flatnonzero(ends).tolist():
            own = self.series(series)
            if np.isnan(own[-1]).all():
                known = np.flatnonzero(~np.isnan(own).all(axis=1))
                ends[series] = known[-1] + 1 if len(known) else 0
        return ends

    def series(self, series_index: int) -> NDArray[np.float32]:
        """[length, C] values of one series (a view)."""
        return self.values[self.indptr[series_index] : self.indptr[series_index + 1]]

    def timestamps(self, series_index: int, start: int, count: int) -> pl.Series:
        """Times of ``count`` positions from ``start``; the positions themselves for series without times."""
        if self.grid is None:
            return pl.Series("time", np.arange(start, start + count, dtype=np.int64))
        return self.grid.timestamps(series_index, start, count)

    @classmethod
    def from_arrays(
        cls, arrays: Sequence[NDArray[np.float32]], ids: Sequence[str] | None = None
    ) -> "SeriesStore":
        """A store of series without times, from one [length] or [length, C] array each."""
        if not arrays:
            raise DataError("arrays: expected at least one series, got none")
        columns = [np.asarray(array, np.float32).reshape(len(array), -1) for array in arrays]
        if len({column.shape[1] for column in columns}) != 1:
            raise DataError(f"arrays: expected one number of channels, got {[c.shape[1] for c in columns]}")
        indptr = np.concatenate([[0], np.cumsum([len(column) for column in columns])]).astype(np.int64)
        names = [str(i) for i in range(len(columns))] if ids is None else [str(name) for name in ids]
        return cls(np.concatenate(columns), indptr, names)

    def select(self, keep: NDArray[np.bool_]) -> "SeriesStore":
        """A store of the series for which ``keep`` [S] is true."""
        rows = np.repeat(keep, self.lengths)
        grid = self.grid
        if grid is not None:
            grid = TimeGrid(
                grid.frequency,
                grid.origin[keep],
                grid.anchor[keep],
                grid.time_format,
                grid.time_zone,
                grid.dates,
            )
        indptr = np.concatenate([[0], np.cumsum(self.lengths[keep])]).astype(np.int64)
        ids = [name for name, kept in zip(self.ids, keep, strict=True) if kept]
        covariates = None if self.covariates is None else self.covariates.select(keep, rows)
        return SeriesStore(self.values[rows], indptr, ids, grid, covariates)


def build_store(
    table: Table,
    *,
    time_col: str | Sequence[str],
    target_cols: Sequence[str],
    id_col: str | Sequence[str] | None = None,
    missing: str = "error",
    frequency: str | None = None,
    time_format: str | None = None,
    as_of: str | None = None,
    one_step: bool = True,
    past_covariate_cols: Sequence[str] = (),
    future_covariate_cols: Sequence[str] = (),
    static_cols: Sequence[str] = (),
) -> SeriesStore:
    """Sort the table's rows into series, find the time grid, and lay the rows out on it.

    Rows absent from a series' own grid become rows of missing cells. Times that are not increasing are
    sorted, with a warning.

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
        one_step: refuse series whose own step is a multiple of the step that was found for all.

    Raises:
        DataError: a timestamp does not parse, repeats within its series or lies off the grid; a series has
            steps of its own; an id is empty; a value is infinite; cells before a series' last known value
            are missing and ``missing`` is "error".
    """
    builder = _Builder(table, time_col, list(target_cols), id_col)
    builder.covariate_cols = {
        "past": list(past_covariate_cols),
        "future": list(future_covariate_cols),
        "static": list(static_cols),
    }
    return builder.build(missing, frequency, time_format, as_of, one_step)


@dataclass(frozen=True)
class TimedRows:
    """The rows of a table sorted into series, with the time of each, on no grid: steps may differ.

    Attributes:
        store: the S series; position p of a series is its p-th row in the order of time.
        times: [rows] int64 microseconds since 1970, in the order of ``store.values``.
        order: [rows] int64, the row of the table that each row of the store was; -1 for an added row.
        dialect: how the file is written that the rows came from.
        combined: how times were joined of several columns; None where they are one.
    """

    store: SeriesStore
    times: Int64Array
    order: Int64Array
    dialect: CSVDialect | None = None
    combined: CombinedTimes | None = None


def sort_rows(
    table: Table,
    *,
    time_col: str | Sequence[str],
    target_cols: Sequence[str],
    id_col: str | Sequence[str] | None = None,
    time_format: str | None = None,
) -> TimedRows:
    """Sort the table's rows into series by time, whatever the steps between them; missing cells are NaN.

    The arguments are those of :func:`build_store`.

    Raises:
        DataError: a timestamp does not parse or repeats within its series; an id is empty; a value is
            infinite; or a column has no value at all.
    """
    return _Builder(table, time_col, list(target_cols), id_col).sorted_rows(time_format)


class _Builder:
    def __init__(
        self,
        table: Table,
        time_col: str | Sequence[str],
        target_cols: list[str],
        id_col: str | Sequence[str] | None,
    ) -> None:
        self.table = table
        self.time_cols = as_names(time_col)
        self.time_col = " ".join(self.time_cols)
        self.target_cols = target_cols
        self.id_cols = as_names(id_col)
        self.id_col = "/".join(self.id_cols) if self.id_cols else None
        self.covariate_cols: dict[str, list[str]] = {}
        self.inferred = True  # the frequency, from the times
        self.order: Int64Array | None = None  # row of the table per sorted row; None while in table order

    def build(
        self,
        missing: str,
        frequency: str | None,
        time_format: str | None,
        as_of: str | None,
        one_step: bool,
    ) -> SeriesStore:
        self._check_finite()
        assert self.table.time is not None  # read with a column of times
        dates = self.table.time.dtype == pl.Date
        times, text_format, zone = self._times(time_format)
        self.table.time = self.table.time.clear()  # text takes 35 bytes a row; only the times are needed now
        ids, indptr, times = self._sort(times)
        self.ids = ids
        first_rows = indptr[:-1]
        step = self._frequency(frequency, times, first_rows, zone)
        if one_step and self.inferred and len(ids) > 1:
            self._check_steps(step, times, first_rows)
        origin = times[first_rows]
        anchor = step.anchors(times, first_rows)
        lengths, positions = self._positions(step, times, indptr, origin, anchor)

        values = self.table.values
        if self.order is not None:
            values = values[self.order]
        later = None if as_of is None else times > self._instant(as_of, text_format)
        if later is not None:
            values = np.where(later[:, None], np.float32(np.nan), values)
        grid_indptr = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)

        def place(rows: NDArray[Any], absent: object) -> NDArray[Any]:
            if positions is None:
                return np.ascontiguousarray(rows)
            laid_out = np.full((int(grid_indptr[-1]), rows.shape[1]), absent, rows.dtype)
            laid_out[np.repeat(grid_indptr[:-1], np.diff(indptr)) + positions] = rows
            return laid_out

        covariates = None
        if any(self.covariate_cols.values()):
            covariates = lay_out(
                self.table.covariates,
                **self.covariate_cols,
                ids=ids,
                indptr=indptr,
                place=place,
                order=lambda rows: rows if self.order is None else rows[self.order],
                unknown=later,
                source=self.table.source,
            )
        grid = TimeGrid(step, origin, anchor, text_format, zone, dates)
        if text_format is not None and not writes_apart(text_format, grid.timestamps(0, 0, 3)):
            raise self._error(
                f"frequency: {step.name} is finer than column {self.time_col!r}, whose times are written as "
                f"{text_format.pattern!r}; write them with more digits, or pass a coarser frequency"
            )
        store = SeriesStore(place(values, np.nan), grid_indptr, ids, grid, covariates)
        self._check_missing(store, missing)
        return store

    def sorted_rows(self, time_format: str | None) -> TimedRows:
        self._check_finite()
        times, _, _ = self._times(time_format)
        ids, indptr, times = self._sort(times)
        rows = len(times)
        order = np.arange(rows, dtype=np.int64) if self.order is None else self.order
        store = SeriesStore(np.ascontiguousarray(self.table.values[order]), indptr, ids)
        self._check_missing(store, "mask")
        return TimedRows(store, times, order, self.table.dialect, self.table.combined)

    def _check_finite(self) -> None:
        infinite = np.isinf(self.table.values)
        if infinite.any():
            row, column = np.argwhere(infinite)[0]
            raise self._error(
                f"{self.table.row_name(row)}, column {self.target_cols[column]!r}: infinity, or a number "
                "beyond float32's range (3.4e38); mend the cell, or leave it empty if the value is missing"
            )

    def _times(self, pattern: str | None) -> tuple[Int64Array, TimeFormat | None, str | None]:
        column = self.table.time
        assert column is not None  # read with a column of times
        if pattern is None and self.table.combined is not None:
            pattern = self.table.combined.time_format
        where = f"column {self.time_col!r}"
        if column.dtype == pl.String:
            blanks = r"^\s|\s$"
            if column.head(1000).str.contains(blanks).any():
                column = column.str.strip_chars()
            try:
                times, found, bad = parse_times(column, pattern)
                if bad is not None and column.str.contains(blanks).any():
                    times, found, bad = parse_times(column.str.strip_chars(), pattern)
            except DataError as error:
                raise self._error(f"{where}: {error}") from None
            if bad is not None:
                value = column[bad]
                came = "an empty timestamp" if value is None or not value.strip() else repr(value)
                raise self._error(
                    f"{self.table.row_name(bad)}, {where}: expected a timestamp of the format "
                    f"{found.pattern!r}, got {came}; mend the row, or pass the right time_format"
                )
            self._check_header(found)
            return times, found, "UTC" if found.has_offset and not found.wall_time else None
        bad = column.is_null().arg_max() if column.null_count() else None
        if bad is not None:
            raise self._error(f"{self.table.row_name(bad)}, {where}: expected a timestamp, got an empty cell")
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

    def _check_header(self, found: TimeFormat) -> None:
        """Raise DataError where the column's name is a time: a file without names loses its first row."""
        name = str(self.time_col)
        if not self.table.is_file or len(name) < 4:  # 0, 1, 2 ... are names that pandas gives
            return
        try:
            is_time = parse_times(pl.Series([name]), found.pattern)[2] is None
        except DataError:
            return
        if is_time:
            dialect = self.table.dialect
            line = 1 if dialect is None else (dialect.skip_rows or 0) + 1
            raise self._error(
                f"line {line} is no header but a row of data, for it has the time {name!r} where the name of "
                "the column is expected; write a line with the names of the columns above it"
            )

    def _instant(self, as_of: str, text_format: TimeFormat | None) -> int:
        """Microseconds since 1970 of a time that is given as text."""
        for pattern in (None if text_format is None else text_format.pattern, None):
            try:
                found, _, bad = parse_times(pl.Series([as_of]), pattern)
            except DataError:
                continue
            if bad is None:
                return int(found[0])
        written = "YYYY-MM-DD HH:MM:SS" if text_format is None else text_format.pattern
        raise DataError(f"as_of: expected a time of the format {written!r}, got {as_of!r}")

    def _sort(self, times: Int64Array) -> tuple[list[str], Int64Array, Int64Array]:
        """Series names as they appear, their index pointer, and the times sorted by (series, time)."""
        rows = len(times)
        if self.table.ids is None:
            ids, indptr, codes = ["series"], np.array([0, rows], np.int64), np.zeros(rows, np.int64)
        else:
            ids, indptr, codes = self._group(self.table.ids)
        if self.order is not None:
            times = times[self.order]
        steps = np.diff(times)
        inside = np.ones(len(steps), np.bool_)
        inside[indptr[1:-1] - 1] = False
        backward = None
        if np.any((steps < 0) & inside):
            sorted_codes = codes if self.order is None else codes[self.order]
            backward = self._at(int(np.argmax((steps < 0) & inside)) + 1, ids, indptr)
            resort = np.lexsort((times, sorted_codes))
            # Series are numbered by first appearance, so sorting by code keeps the index pointer.
            times = times[resort]
            self.order = resort if self.order is None else self.order[resort]
            steps = np.diff(times)
        repeated = (steps == 0) & inside
        if repeated.any():
            row = int(np.argmax(repeated)) + 1
            name = ids[int(np.searchsorted(indptr, row, side="right")) - 1]
            in_table = times if self.order is None else times[np.argsort(self.order)]
            again = self._table_row(row)
            hint = hint_of_repeats(self.table, in_table, self.time_cols, self.id_cols, again)
            earlier, later = sorted((self._table_row(row - 1), self._table_row(row)))
            raise self._error(
                f"{self.table.row_name(later)}, column {self.time_col!r}: the timestamp "
                f"{_iso(times[row])} repeats {self.table.row_name(earlier)}{self._of_series(name)}; {hint} "
                "(local times repeat when daylight saving ends: write them with their UTC offset)"
            )
        if backward is not None:
            warnings.warn(
                f"{self.table.source}: rows are not in the order of time (first at {backward}); they were "
                f"sorted by {self.time_col!r}",
                stacklevel=2,
            )
        return ids, indptr, times

    def _group(self, column: pl.Series) -> tuple[list[str], Int64Array, Int64Array]:
        if column.null_count():
            row = column.is_null().arg_max()
            assert row is not None  # some value is null
            raise self._error(f"{self.table.row_name(row)}, column {self.id_col!r}: the series id is empty")
        if column.dtype != pl.Categorical:
            column = column.cast(pl.String).cast(pl.Categorical)
        raw = column.to_physical().to_numpy()
        starts = np.flatnonzero(np.concatenate([[True], raw[1:] != raw[:-1]]))
        run_codes = raw[starts]
        _, first_runs = np.unique(run_codes, return_index=True)
        first_runs.sort()
        ids = column.gather(starts[first_runs]).cast(pl.String).to_list()
        number = np.empty(int(run_codes.max()) + 1, np.int64)
        number[run_codes[first_runs]] = np.arange(len(ids))
        codes = number[raw]
        indptr = np.concatenate([[0], np.cumsum(np.bincount(codes, minlength=len(ids)))]).astype(np.int64)
        if len(starts) > len(ids):  # the rows of the series are mixed
            self.order = np.argsort(codes, kind="stable")
        return ids, indptr, codes

    def _frequency(
        self, given: str | None, times: Int64Array, first_rows: Int64Array, zone: str | None
    ) -> Frequency:
        self.inferred = given is None
        if given is not None:
            return frequency_on(given, times, first_rows, zone)
        inferred = infer_frequency(times, first_rows, zone)
        if inferred is None:
            raise self._error("every series has one row; pass the frequency, such as frequency='1d'")
        return inferred

    def _check_steps(self, step: Frequency, times: Int64Array, first_rows: Int64Array) -> None:
        coarser = series_of_coarser_steps(times, first_rows, step)
        if not coarser:
            return
        series, own = coarser[0]
        more = f" (and {len(coarser) - 1} more series of coarser steps)" if len(coarser) > 1 else ""
        raise self._error(
            f"series {self.ids[series]!r} has steps of {own.name}, others have {step.name}{more}; forecast "
            f"them from files of their own, or pass frequency={step.name!r} to take the times between for "
            "missing"
        )

    def _positions(
        self, step: Frequency, times: Int64Array, indptr: Int64Array, origin: Int64Array, anchor: Int64Array
    ) -> tuple[Int64Array, Int64Array | None]:
        """Length of each series' grid, and each row's position on it (None if no row is absent)."""
        counts = np.diff(indptr)
        if isinstance(step, FixedFrequency):
            regular = np.diff(times) == step.step
            regular[indptr[1:-1] - 1] = True
            if regular.all():
                return counts, None
        repeat = 0 if len(counts) == 1 else np.repeat(np.arange(len(counts)), counts)
        positions, on_grid = step.positions(times, origin[repeat], anchor[repeat])
        if not on_grid.all():
            raise self._off_grid_error(step, times, indptr, origin, anchor, on_grid)
        ends = positions[indptr[1:] - 1]
        lengths = ends + 1
        if np.array_equal(lengths, counts):
            # Times increase within a series, so as many positions as rows are 0, 1, 2, ...
            repeated = np.diff(positions) == 0
            repeated[indptr[1:-1] - 1] = False
            if not repeated.any():
                return lengths, None
        if lengths.sum() > max(_FEW_CELLS, _MOST_CELLS_PER_ROW * len(times)):
            raise self._error(
                f"the grid of step {step.name} would have {lengths.sum():,} cells for {len(times):,} rows; "
                "check the timestamps, or pass the right frequency"
            )
        return lengths, positions

    def _off_grid_error(
        self,
        step: Frequency,
        times: Int64Array,
        indptr: Int64Array,
        origin: Int64Array,
        anchor: Int64Array,
        on_grid: NDArray[np.bool_],
    ) -> DataError:
        row = int(np.argmin(on_grid))
        series = int(np.searchsorted(indptr, row, side="right")) - 1
        own = slice(indptr[series], indptr[series + 1])
        off = int((~on_grid).sum())
        first_is_odd = False
        if self.inferred and on_grid[own].mean() <= 0.5 and indptr[series] + 2 < indptr[series + 1]:
            # The grid starts from the first row. Where the others lie on one of their own, that row is odd.
            rest = times[own][1:]
            from_second = step.anchors(rest, np.zeros(1, np.int64))
            zeros = np.zeros_like(rest)
            on_theirs = step.positions(rest, rest[zeros], from_second[zeros])[1]
            first_is_odd = bool(on_theirs.mean() > _MOST)
            off = 1 if first_is_odd else off
        if off > max(_FEW_OFF_GRID, len(times) // 100):
            # No single row is to blame: the step is another one, or the times lie on no grid at all.
            taken = "which is the commonest" if self.inferred else "as given"
            return self._error(
                f"column {self.time_col!r}: {off:,} of {len(times):,} rows are off the grid of step "
                f"{step.name}, {taken}, counted from {_iso(origin[series])}"
                f"{self._of_series(self.ids[series])}; the first is "
                f"{self.table.row_name(self._table_row(row))}, {_iso(times[row])}. Pass the right frequency "
                "if this one is wrong; if the times are irregular, round them to a grid first"
            )
        if first_is_odd:
            row = int(indptr[series])
            near = ""
        else:
            position = step.positions(times[row], origin[series], anchor[series])[0]
            around = step.timestamps(position + np.arange(2), origin[series], anchor[series])
            near = f" between {_iso(around[0])} and {_iso(around[1])}"
        more = "" if off == 1 else f" ({off - 1} more row{'s are' if off > 2 else ' is'} off it)"
        return self._error(
            f"{self.table.row_name(self._table_row(row))}, column {self.time_col!r}: {_iso(times[row])} is "
            f"off the grid of step {step.name}{near}{self._of_series(self.ids[series])}{more}; mend the row, "
            "or pass the right frequency"
        )

    def _check_missing(self, store: SeriesStore, missing: str) -> None:
        absent = np.isnan(store.values)
        if not absent.any():
            return
        later = store.lengths - store.ends  # rows that are the future, not gaps
        for column, name in enumerate(self.target_cols):
            if absent[:, column].all():
                raise self._error(f"column {name!r}: every cell is missing; expected numbers")
        if missing == "mask":
            return
        for begin, end in zip(store.indptr[1:] - later, store.indptr[1:], strict=True):
            absent[begin:end] = False
        if not absent.any():
            return
        row, column = (int(i) for i in np.argwhere(absent)[0])
        series = int(np.searchsorted(store.indptr, row, side="right")) - 1
        own = absent[store.indptr[series] : store.indptr[series + 1], column]
        first = store.timestamps(series, row - int(store.indptr[series]), 1)
        assert store.grid is not None  # built from a table, so it has times
        total = int(absent.sum())
        elsewhere = "" if total == own.sum() else f" ({total} in all columns and series)"
        raise self._error(
            f"column {self.target_cols[column]!r}{self._of_series(store.ids[series])}: {own.sum()} missing "
            f"cell{'s' * (int(own.sum()) != 1)} (empty, or no row for their time), the first at "
            f'{store.grid.format(first)[0]}{elsewhere}; fill them, or pass missing="mask"'
        )

    def _at(self, row: int, ids: list[str], indptr: Int64Array) -> str:
        """What a message calls a sorted row."""
        series = int(np.searchsorted(indptr, row, side="right")) - 1
        return self.table.row_name(self._table_row(row)) + self._of_series(ids[series])

    def _table_row(self, row: int) -> int:
        return row if self.order is None else int(self.order[row])

    def _of_series(self, name: str) -> str:
        return "" if self.id_col is None else f" of series {name!r}"

    def _error(self, what: str) -> DataError:
        return DataError(f"{self.table.source}: {what}")


def _iso(microseconds: np.int64) -> str:
    return str(np.datetime64(int(microseconds), "us").astype("datetime64[s]")).replace("T", " ")
