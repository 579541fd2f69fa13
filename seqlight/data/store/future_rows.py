"""Rows of a second table, in which only what is known ahead is told, joined to those of the first."""

import warnings
from dataclasses import dataclass, field, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from seqlight.data.errors import DataError
from seqlight.data.io.table import Table
from seqlight.data.store.rounded_times import on_grid_of
from seqlight.data.store.row_names import RowNames, iso
from seqlight.data.store.row_times import row_times
from seqlight.data.time.frequency import FixedFrequency
from seqlight.data.time.time_format import TimeFormat

Int64Array = NDArray[np.int64]

_MOST_NAMED = 5
_CHANGED = ("values", "keys", "covariates")


@dataclass
class JoinedTable(Table):
    """A table whose last rows come from another one.

    Attributes:
        added: the other table.
        added_rows: [K] rows of it.
    """

    added: Table = field(default_factory=lambda: Table("", None, None, np.empty((0, 0), np.float32)))
    added_rows: Int64Array = field(default_factory=lambda: np.empty(0, np.int64))

    def row_name(self, row: int) -> str:
        """What a message calls a row; one of the other table is named with its source."""
        own = len(self.values) - len(self.added_rows)
        if row < own:
            return super().row_name(row)
        return f"{self.added.source}, {self.added.row_name(int(self.added_rows[row - own]))}"


@dataclass(frozen=True)
class SortedTable:
    """The rows of the first table, sorted into series.

    Attributes:
        names: of the table, with the order of its sorted rows.
        times: [rows] int64 microseconds, sorted.
        ids: of the S series.
        indptr: [S + 1] where the rows of each are.
        time_format: how its times were written; None if not as text.
        zone: of its times.
    """

    names: RowNames
    times: Int64Array
    ids: list[str]
    indptr: Int64Array
    time_format: TimeFormat | None
    zone: str | None

    def rows(self, series: Int64Array, times: Int64Array) -> Int64Array:
        """Return the table's row of each of these times [K] in these series [K]; -1 where there is none."""
        found = np.full(len(times), -1, np.int64)
        for one in np.unique(series).tolist():
            mine = np.flatnonzero(series == one) if len(self.ids) > 1 else np.arange(len(times))
            own = self.times[self.indptr[one] : self.indptr[one + 1]]
            place = np.minimum(np.searchsorted(own, times[mine]), len(own) - 1)
            there = own[place] == times[mine]
            found[mine[there]] = self.indptr[one] + place[there]
        order = self.names.order
        return found if order is None else np.where(found >= 0, order[found], -1)


def join_future(
    main: SortedTable, future: Table, time_format: str | None, rounded_to: FixedFrequency | None = None
) -> tuple[Table, Int64Array]:
    """Return the first table with what the second knows ahead, and the times [rows] of all its rows.

    Where both have a row, their cells must agree; an empty cell takes what the other holds. Rows of the
    second alone are added, without targets; those before a series' first row are left out, with a warning.

    Args:
        main: the first table.
        future: the second, with the same columns of times and ids; without ids it holds for every series.
        time_format: strftime pattern of text timestamps, or None to find it.
        rounded_to: the step to whose grid the first table's times were rounded: the second's are, too.

    Raises:
        DataError: a series is not in the first table, a row is there twice, cells contradict each other, or
            numbers meet text.
    """
    names = main.names
    table = names.table
    if table.keys is not None and future.keys is None:
        future = _for_every_series(main, future)
    own_names = RowNames(future, names.time_cols, [], names.id_cols)
    times = _times(main, own_names, time_format)
    if rounded_to is not None:
        times = on_grid_of(own_names, times, int(main.times[0]), rounded_to)
    series = _series(main, own_names)
    _check_once(own_names, series, times)
    early = times < main.times[main.indptr[:-1]][series]
    if early.any():
        warnings.warn(
            f"{future.source}: {int(early.sum())} rows come before the first one of their series in "
            f"{table.source}, and were left out",
            stacklevel=3,
        )
    at = main.rows(series, times)
    shared = np.flatnonzero(at >= 0)
    new = np.flatnonzero((at < 0) & ~early)
    covariates = {}
    for name in table.covariates.columns:
        column = table.covariates[name]
        covariates[name] = column.extend_constant(None, len(new)) if len(new) else column
    for name in future.covariates.columns:
        theirs = future.covariates[name]
        ours = covariates.get(name)
        if ours is None or ours.null_count() == len(ours):
            ours = pl.Series(name, [None], theirs.dtype).new_from_index(0, len(table.values) + len(new))
        if theirs.null_count() == len(theirs):
            theirs = theirs.cast(ours.dtype)
        if ours.dtype != theirs.dtype:
            kinds = ["numbers" if one.dtype.is_numeric() else "text" for one in (ours, theirs)]
            raise DataError(
                f"future: column {name!r} holds {kinds[0]} in {table.source}, but {kinds[1]} in "
                f"{future.source}"
            )
        _check_agreement(main, own_names, ours, theirs, shared, at)
        told = theirs[shared]
        known = told.is_not_null()
        ours = ours.scatter(at[shared][known.to_numpy()], told.filter(known))
        if len(new):
            added = np.arange(len(table.values), len(table.values) + len(new))
            ours = ours.scatter(added, theirs[new])
        covariates[name] = ours
    keys = table.keys
    if keys is not None and future.keys is not None and len(new):
        keys = pl.concat(
            [keys.select(pl.all().cast(pl.String)), future.keys[new].select(pl.all().cast(pl.String))]
        )
    joined = JoinedTable(
        **{name: value for name, value in vars(table).items() if name not in _CHANGED},
        keys=keys,
        values=_with_rows(table.values, len(new)),
        covariates=pl.DataFrame(covariates),
        added=future,
        added_rows=new,
    )
    unsorted = main.times
    if names.order is not None:
        unsorted = np.empty_like(main.times)
        unsorted[names.order] = main.times
    return joined, np.concatenate([unsorted, times[new]])


def _for_every_series(main: SortedTable, future: Table) -> Table:
    """Return a table without ids with its rows once for each series."""
    keys = main.names.table.keys
    assert keys is not None  # the caller has looked
    rows, count = len(future.values), len(main.ids)
    firsts = main.indptr[:-1] if main.names.order is None else main.names.order[main.indptr[:-1]]
    if count > 1:
        warnings.warn(
            f"{future.source}: has no column {'/'.join(keys.columns)!r}, so its rows hold for every series",
            stacklevel=4,
        )
    row = np.tile(np.arange(rows, dtype=np.int64), count)
    first_line = future.first_line if future.is_file else 0
    numbers = first_line + np.arange(rows) if future.row_numbers is None else future.row_numbers
    return replace(
        future,
        time=None if future.time is None else future.time.gather(row),
        keys=keys[np.repeat(firsts, rows)],
        values=future.values[row],
        covariates=future.covariates[row],
        row_numbers=numbers[row],
        other_columns=None,
    )


def _times(main: SortedTable, names: RowNames, time_format: str | None) -> Int64Array:
    """The times of the second table: written as those of the first, or in a way of their own."""
    future = names.table
    column = future.time
    written = None if main.time_format is None else main.time_format.pattern
    try:
        times, _, zone = row_times(names, written if time_format is None else time_format)
    except DataError:
        if time_format is not None or written is None:
            raise
        times, _, zone = row_times(replace(names, table=replace(future, time=column)), None)
    if (zone is None) != (main.zone is None):
        which = ["without a time zone" if one is None else "with one" for one in (main.zone, zone)]
        raise DataError(
            f"future: the times of {names.table.source} are {which[1]}, those of {main.names.table.source} "
            f"{which[0]}; write both in one way"
        )
    return times


def _series(main: SortedTable, names: RowNames) -> Int64Array:
    """[K] the number of the series of each row of the second table."""
    ids = names.table.ids
    if ids is None:
        return np.zeros(len(names.table.values), np.int64)
    if ids.null_count():
        row = int(ids.is_null().arg_max() or 0)
        raise names.error(f"{names.table.row_name(row)}, column {names.id_col!r}: the series id is empty")
    texts = ids.cast(pl.String)
    number = dict(zip(main.ids, range(len(main.ids)), strict=True))
    unknown = [name for name in texts.unique(maintain_order=True).to_list() if name not in number]
    if unknown:
        listed = ", ".join(map(repr, unknown[:_MOST_NAMED]))
        more = f" and {len(unknown) - _MOST_NAMED} more" if len(unknown) > _MOST_NAMED else ""
        raise DataError(
            f"future: {names.table.source} has series {listed}{more}, which are not in "
            f"{main.names.table.source}; remove their rows, or add these series there"
        )
    return texts.replace_strict(number, return_dtype=pl.Int64).to_numpy()


def _check_once(names: RowNames, series: Int64Array, times: Int64Array) -> None:
    order = np.lexsort((times, series))
    again = (np.diff(series[order]) == 0) & (np.diff(times[order]) == 0)
    if again.any():
        first, second = sorted(order[[int(np.argmax(again)), int(np.argmax(again)) + 1]].tolist())
        raise names.error(
            f"{names.table.row_name(second)}: the time {iso(times[second])} repeats "
            f"{names.table.row_name(first)} of the same series; remove one of the rows"
        )


def _check_agreement(
    main: SortedTable, names: RowNames, ours: pl.Series, theirs: pl.Series, shared: Int64Array, at: Int64Array
) -> None:
    """Raise DataError where both tables know a cell and tell different things."""
    one, other = ours[at[shared]], theirs[shared]
    differ = ((one != other) & one.is_not_null() & other.is_not_null()).fill_null(False)
    if not differ.any():
        return
    row = int(shared[int(differ.arg_max() or 0)])
    table = main.names.table
    raise DataError(
        f"future: column {ours.name!r} is {ours[int(at[row])]!r} in {table.row_name(int(at[row]))} of "
        f"{table.source}, but {theirs[row]!r} in {names.table.row_name(row)} of {names.table.source} "
        f"({int(differ.sum())} in all); leave one of them empty, or mend it"
    )


def _with_rows(values: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    if not count:
        return values
    return np.concatenate([values, np.full((count, values.shape[1]), np.nan, np.float32)])
