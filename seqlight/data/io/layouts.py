"""Files whose columns are series (wide), or whose rows are (rows), read into the rows of a long table."""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from seqlight.data.errors import DataError
from seqlight.data.io.columns import Wanted
from seqlight.data.io.layout_headers import StepColumns, step_columns
from seqlight.data.io.sentinels import find_sentinels
from seqlight.data.io.table import FileCells, Table

SERIES_ID = "series_id"  # what the ids are called where no column has them
TARGET = "y"  # and the values
_MOST_NAMED = 5


Read = Callable[[Wanted, bool], Table]


def read_laid_out(
    layout: str,
    source: str,
    names: Sequence[str],
    wanted: Wanted,
    read: Read,
    *,
    time_format: str | None = None,
    texts: Sequence[str] = (),
    whole: bool = False,
) -> Table:
    """Read a file in which each column, or each row, is a series.

    Args:
        layout: "wide" or "rows".
        source: what messages call the file.
        names: of its columns.
        wanted: of "wide" the columns of times and covariates; its one target and id are names for what has
            none in the file. Of "rows" the columns of ids and covariates; its target and time likewise.
        read: reads columns as they are, without notes on their values where its second argument is False.
        time_format: strftime pattern of times; None finds it.
        texts: the columns that hold no numbers.
        whole: keep the cells before the first known one of each series.

    Raises:
        DataError: a name stands for a column and for something else, or no column is a series or a step.
    """
    kind = _Wide if layout == "wide" else _Rows
    return kind(source, list(names), wanted, list(texts), time_format, whole).read(read)


class _LaidOut:
    layout = ""

    def __init__(
        self,
        source: str,
        names: list[str],
        wanted: Wanted,
        texts: list[str],
        time_format: str | None,
        whole: bool,
    ) -> None:
        self.source = source
        self.names = names
        self.wanted = wanted
        self.texts = texts
        self.time_format = time_format
        self.whole = whole
        if len(wanted.targets) > 1:
            raise DataError(
                f"target_cols: with layout={self.layout!r} there is one target, whose name is yours to "
                f"choose, such as target_cols={TARGET!r}; got {', '.join(map(repr, wanted.targets))}"
            )
        for name in wanted.targets:
            if name in names:
                raise DataError(
                    f"target_cols: with layout={self.layout!r} it is the name of all values, and {name!r} is "
                    f"a column of {source}; choose another name, or leave layout out to forecast columns"
                )

    def read(self, read: Read) -> Table:
        raise NotImplementedError

    def error(self, what: str) -> DataError:
        return DataError(f"{self.source}: {what}")

    def leave_out(self, columns: Sequence[str], why: str) -> None:
        if columns:
            listed = ", ".join(map(repr, columns[:_MOST_NAMED]))
            more = f" and {len(columns) - _MOST_NAMED} more" if len(columns) > _MOST_NAMED else ""
            several = len(columns) > 1
            warnings.warn(
                f"{self.source}: column{'s' * several} {listed}{more} {'were' if several else 'was'} left "
                f"out: {why}",
                stacklevel=7,
            )


class _Wide(_LaidOut):
    layout = "wide"

    def read(self, read: Read) -> Table:
        wanted = self.wanted
        if len(wanted.ids) > 1 or any(name in self.names for name in wanted.ids):
            raise DataError(
                "id_col: with layout='wide' the names of the columns are the ids, and id_col is what to call "
                f"them; got {', '.join(map(repr, wanted.ids))}, of the columns of {self.source}"
            )
        taken = {*wanted.time, *wanted.covariates}
        rest = [name for name in self.names if name not in taken]
        series = [name for name in rest if name not in self.texts]
        self.leave_out([name for name in rest if name in self.texts], "not a number in its first rows")
        if not series:
            raise self.error("layout='wide' takes each column of numbers for a series, and there is none")
        table = read(replace(wanted, targets=series, ids=[]), True)
        rows, count = table.values.shape
        values = np.ascontiguousarray(table.values.T).reshape(-1, 1)
        # Where a series begins is not seen by steps: theirs are those of the file.
        keep = None
        if table.time is not None and not self.whole:
            keep = _from_first_known(table.values.T).ravel()
        row_of = np.tile(np.arange(rows, dtype=np.int64), count)
        codes = np.repeat(np.arange(count, dtype=np.int64), rows)
        if keep is not None and not keep.all():
            values, row_of, codes = values[keep], row_of[keep], codes[keep]
        ids = pl.Series(wanted.ids[0] if wanted.ids else SERIES_ID, series, pl.Categorical).gather(codes)
        cells = FileCells(tuple(series), row_of, codes)
        return _melted(table, values, row_of, pl.DataFrame([ids]), table.time, cells)


class _Rows(_LaidOut):
    layout = "rows"

    def read(self, read: Read) -> Table:
        wanted = self.wanted
        if len(wanted.time) > 1 or any(name in self.names for name in wanted.time):
            raise DataError(
                "time_col: with layout='rows' the names of the columns are the times or steps, and time_col "
                f"is what to call them; got {', '.join(map(repr, wanted.time))}, of the columns of "
                f"{self.source}"
            )
        taken = {*wanted.ids, *wanted.covariates}
        rest = [name for name in self.names if name not in taken]
        steps = step_columns([name for name in rest if name not in self.texts], self.time_format)
        if steps is None:
            raise self.error(
                "layout='rows' needs columns named by times, or numbered such as V2, V3, ...; the columns "
                f"are {', '.join(map(repr, rest[:_MOST_NAMED]))}{', ...' * (len(rest) > _MOST_NAMED)}"
            )
        self.leave_out(
            [name for name in rest if name not in steps.names],
            "no step by its name (id_col or static_cols take it)",
        )
        table = read(replace(wanted, time=[], targets=steps.names), False)
        self._check_ids(table)
        values, order = self._in_order(table.values, steps)
        rows, count = values.shape
        self._note_sentinels(values, table)
        time = None
        keep = None
        if steps.steps is None:
            axis = pl.Series(wanted.time[0] if wanted.time else "time", steps.names, pl.String)
            time = axis.gather(np.tile(order, rows))
            keep = None if self.whole else _from_first_known(values).ravel()
        row_of = np.repeat(np.arange(rows, dtype=np.int64), count)
        column = np.tile(self._columns(steps, count), rows)
        values = values.reshape(-1, 1)
        if keep is not None and not keep.all() and time is not None:
            values, row_of, time = values[keep], row_of[keep], time.filter(pl.Series(keep))
            column = column[keep]
        keys = table.keys
        if keys is None and rows > 1:
            keys = pl.DataFrame({SERIES_ID: [str(number) for number in range(1, rows + 1)]})
        cells = FileCells(tuple(steps.names), row_of, column)
        melted = _melted(table, values, row_of, None if keys is None else keys[row_of], time, cells)
        melted.steps = steps.steps
        return melted

    def _columns(self, steps: StepColumns, count: int) -> NDArray[np.int64]:
        """[T] the file's column of each step, -1 where it has none."""
        if steps.positions is None:
            return np.arange(count, dtype=np.int64)
        column = np.full(count, -1, np.int64)
        column[steps.positions] = np.arange(len(steps.positions))
        return column

    def _in_order(
        self, values: NDArray[np.float32], steps: StepColumns
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """The values [R, T] with a column for each step, and the file's column of each."""
        if steps.positions is None:
            return values, np.arange(values.shape[1], dtype=np.int64)
        positions = steps.positions
        if np.array_equal(positions, np.arange(len(positions))):
            return values, positions
        absent = sorted(set(range(int(positions.max()) + 1)) - set(positions.tolist()))
        if len(absent) > len(positions):
            raise self.error(
                f"of the steps {steps.names[0]!r} to {steps.names[-1]!r} most have no column; number them "
                "one after the other"
            )
        if absent:
            assert steps.steps is not None  # there are positions
            first = steps.steps.format(pl.Series(absent[:1]))[0]
            warnings.warn(
                f"{self.source}: {len(absent)} step{'s have' if len(absent) > 1 else ' has'} no column "
                f"(the first is {first!r}): missing cells",
                stacklevel=6,
            )
        laid_out = np.full((len(values), int(positions.max()) + 1), np.nan, np.float32)
        laid_out[:, positions] = values
        return laid_out, positions

    def _check_ids(self, table: Table) -> None:
        ids = table.ids
        if ids is None:
            return
        texts = ids.cast(pl.String)
        if not texts.is_duplicated().any():
            return
        value = texts.filter(texts.is_duplicated())[0]
        same = (texts == value).arg_true().to_list()
        raise self.error(
            f"{table.row_name(same[1])}: the id {value!r} is that of {table.row_name(same[0])} too; name "
            "more columns that tell the rows apart with id_col, or remove one of them"
        )

    def _note_sentinels(self, values: NDArray[np.float32], table: Table) -> None:
        ids = table.ids
        noted = 0
        for row, own in enumerate(values):
            for sentinel in find_sentinels(own[np.isfinite(own)]):
                noted += 1
                if noted > 1:
                    break
                name = "" if ids is None else f", series {ids[row]!r}"
                warnings.warn(
                    f"{self.source}: {table.row_name(row)}{name}: {sentinel}; if it stands for a missing "
                    f"value, pass missing_values=['{sentinel.text}']",
                    stacklevel=6,
                )
        if noted > 1:
            warnings.warn(f"{self.source}: {noted - 1} more such values in other rows", stacklevel=6)


def _from_first_known(values: NDArray[np.float32]) -> NDArray[np.bool_]:
    """[S, T] cells from each series' first known one on; all of a series that has none."""
    known = ~np.isnan(values)
    begun = np.logical_or.accumulate(known, axis=1)
    begun[~known.any(axis=1)] = True
    return np.asarray(begun)


def _melted(
    table: Table,
    values: NDArray[np.float32],
    row_of: NDArray[np.int64],
    keys: pl.DataFrame | None,
    time: pl.Series | None,
    cells: FileCells,
) -> Table:
    """A long table, whose rows are cells of ``table``'s rows ``row_of``."""
    numbers = table.row_numbers
    if numbers is None:
        first = table.first_line if table.is_file else 0
        numbers = np.arange(first, first + len(table.values), dtype=np.int64)
    if time is not None and time is table.time:
        time = time.gather(row_of)
    return replace(
        table,
        time=time,
        keys=keys,
        values=values,
        covariates=table.covariates[row_of] if table.covariates.width else table.covariates,
        row_numbers=numbers[row_of],
        other_columns=None,
        cells=cells,
    )
