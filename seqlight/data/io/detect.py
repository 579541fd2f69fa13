"""Which columns of a file hold times, ids and values, by its first rows; nothing is guessed between two."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import Any

import polars as pl

from seqlight.data.errors import DataError
from seqlight.data.io.dialect import CSVDialect, Layout
from seqlight.data.io.layout_headers import StepColumns, step_columns
from seqlight.data.io.layouts import SERIES_ID, TARGET
from seqlight.data.io.samples import Sample, is_empty, is_numeric, sample_of, text_columns_of
from seqlight.data.io.table import check_columns
from seqlight.data.io.time_columns import find_time_columns, holds_times, is_clock

_MOST_NAMED = 8


@dataclass(frozen=True)
class Reading:
    """What a file is taken for.

    Attributes:
        time_cols: columns that make the time together; none where rows are steps.
        target_cols: columns of values.
        id_cols: columns that name a series together.
        separator: between its fields; None for what is no text.
        layout: "long", "wide" or "rows".
    """

    time_cols: tuple[str, ...]
    target_cols: tuple[str, ...]
    id_cols: tuple[str, ...]
    separator: str | None
    layout: Layout = "long"


def detect(
    opened: Any,
    dialect: CSVDialect,
    *,
    time_cols: Sequence[str] | None = None,
    target_cols: Sequence[str] | None = None,
    id_cols: Sequence[str] | None = None,
    covariate_cols: Sequence[str] = (),
    time_format: str | None = None,
    every_target: bool = False,
) -> Reading:
    """Find the columns that were not given, in the first rows.

    The time is the only column of timestamps (or a date and a time of day, or columns called year, month,
    day, hour); the target the only other column of numbers; where times repeat, the id is the only column
    that tells such rows apart. Rows are series where the columns are named by times, or numbered beside a
    column of names; a file of a single column holds steps.

    Args:
        opened: what :func:`~seqlight.data.io.sources.open_source` returns.
        dialect: how the file is written, its layout included.
        time_cols: columns of times; empty for none: rows are steps.
        target_cols: columns of values.
        id_cols: columns that name a series.
        covariate_cols: columns that are none of these.
        time_format: strftime pattern of the times.
        every_target: take all columns of numbers for targets.

    Raises:
        DataError: there is no such column, or there are several; the message begins with the argument.
    """
    given = [*(time_cols or ()), *(target_cols or ()), *(id_cols or ()), *covariate_cols]
    in_file = given if dialect.layout in (None, "long") else list(covariate_cols)
    search = _Search(sample_of(opened, dialect, in_file), dialect, time_format, list(covariate_cols))
    if search.frame.width and not search.frame.height:
        raise DataError(f"{search.sample.name}: has a header and no rows; expected at least one row of data")
    layout = dialect.layout or search.layout(time_cols, target_cols, id_cols)
    if layout == "rows":
        return search.rows(time_cols, target_cols, id_cols)
    if layout == "wide":
        return search.wide(time_cols, target_cols, id_cols)
    wanted = [("time_col", time_cols), ("target_cols", target_cols), ("id_col", id_cols)]
    pairs = [
        (argument, name) for argument, names in wanted for name in names or () if name != dialect.file_id
    ]
    check_columns(
        search.sample.name, [(a, search.sample.resolve(name)) for a, name in pairs], search.sample.names
    )
    return search.long(time_cols, target_cols, id_cols, every_target)


class _Search:
    def __init__(
        self, sample: Sample, dialect: CSVDialect, time_format: str | None, covariates: Sequence[str]
    ) -> None:
        self.sample = sample
        self.frame = sample.frame
        self.dialect = dialect
        self.time_format = time_format
        self.covariates = {sample.resolve(name) for name in covariates}

    def free(self, *taken: Sequence[str] | None) -> list[str]:
        """The columns of the sample that nothing is said of."""
        named = {self.sample.resolve(name) for names in taken for name in names or ()} | self.covariates
        return [name for name in self.frame.columns if name not in named]

    def layout(
        self,
        time_cols: Sequence[str] | None,
        target_cols: Sequence[str] | None,
        id_cols: Sequence[str] | None,
    ) -> Layout:
        """What the names of the columns leave no doubt of; "long" where they tell nothing."""
        if any(
            self.sample.resolve(name) in self.sample.names
            for name in (*(time_cols or ()), *(target_cols or ()))
        ):
            return "long"
        steps, rest = self._steps(id_cols)
        if steps is None or any(holds_times(self.frame[name], self.time_format) for name in rest):
            return "long"
        if steps.steps is None:
            return "rows"
        named = [name for name in rest if not is_numeric(self.frame[name], self.dialect)]
        if id_cols or any(not self.frame[name].is_duplicated().any() for name in named):
            return "rows"
        raise DataError(
            f"layout: which one? The columns {steps.names[0]!r} to {steps.names[-1]!r} are numbered and no "
            "column holds times: layout='rows' if each row is a series, layout='wide' with time_col=None if "
            "each column is one"
        )

    @cached_property
    def _texts(self) -> set[str]:
        return set(text_columns_of(self.sample, self.dialect))

    def _steps(self, id_cols: Sequence[str] | None) -> tuple[StepColumns | None, list[str]]:
        """The columns that are steps by their names, and all others that are free."""
        free = self.free(id_cols)
        texts = self._texts
        steps = step_columns([name for name in free if name not in texts], self.time_format)
        own = set() if steps is None else set(steps.names)
        return steps, [name for name in free if name not in own]

    def rows(
        self,
        time_cols: Sequence[str] | None,
        target_cols: Sequence[str] | None,
        id_cols: Sequence[str] | None,
    ) -> Reading:
        """Each row is a series: its id is the only column of text that tells the rows apart."""
        steps, rest = self._steps(id_cols)
        if id_cols is None:
            texts = [name for name in rest if not is_numeric(self.frame[name], self.dialect)]
            id_cols = self._ids([], texts) if self.frame.height > 1 or len(texts) != 1 else texts
        axis = "time" if steps is not None and steps.steps is None else "step"
        return self._reading(
            time_cols or [self._unused(axis)], target_cols or [self._unused(TARGET)], id_cols, "rows"
        )

    def wide(
        self,
        time_cols: Sequence[str] | None,
        target_cols: Sequence[str] | None,
        id_cols: Sequence[str] | None,
    ) -> Reading:
        """Each column of numbers is a series."""
        if time_cols is None:
            time_cols = find_time_columns(self.sample, self.free(), self.time_format)
        return self._reading(
            time_cols, target_cols or [self._unused(TARGET)], id_cols or [self._unused(SERIES_ID)], "wide"
        )

    def long(
        self,
        time_cols: Sequence[str] | None,
        target_cols: Sequence[str] | None,
        id_cols: Sequence[str] | None,
        every_target: bool,
    ) -> Reading:
        """A row for each time of each series."""
        if time_cols is None:
            free = self.free(target_cols, id_cols)
            only = self.sample.names if target_cols is None else list(target_cols)
            if list(self.sample.names) == list(only) and len(only) == 1 and self._is_steps(only[0]):
                time_cols = []
            else:
                time_cols = find_time_columns(self.sample, free, self.time_format)
        free = self.free(time_cols, target_cols, id_cols)
        free_values = [name for name in free if name not in self.sample.partitions]
        numeric = [name for name in free_values if is_numeric(self.frame[name], self.dialect)]
        if every_target and target_cols is None:
            if id_cols is None:
                id_cols = self._ids(time_cols, free, numbers=True, values=True)
            target_cols = [name for name in numeric if name not in id_cols]
        if target_cols is None:
            target_cols = [self._target(numeric, time_cols)]
        if id_cols is None:
            free = self.free(time_cols, target_cols)
            id_cols = self._ids(time_cols, free, numbers=True) if time_cols else []
        return self._reading(time_cols, target_cols, id_cols, "long")

    def _is_steps(self, name: str) -> bool:
        column = self.frame[name] if name in self.frame.columns else None
        return (
            column is not None
            and is_numeric(column, self.dialect)
            and not holds_times(column, self.time_format, numbers=True)
        )

    def _target(self, numeric: list[str], time_cols: Sequence[str]) -> str:
        if not numeric:
            raise DataError(
                f"target_cols: no column of {self.sample.name} holds numbers only.{self._columns()}"
                f"{self._no_numbers(time_cols)}"
            )
        if len(numeric) > 1:
            listed = ", ".join(map(repr, numeric[:_MOST_NAMED]))
            more = f" and {len(numeric) - _MOST_NAMED} more" if len(numeric) > _MOST_NAMED else ""
            times = self.frame.select([self.sample.resolve(name) for name in time_cols])
            wide = ""
            if not time_cols or not times.is_duplicated().any():
                wide = "; if each of them is a series of its own, pass layout='wide'"
            raise DataError(f"target_cols: which column is to be forecast? {listed}{more} hold numbers{wide}")
        return numeric[0]

    def _ids(
        self, time_cols: Sequence[str], free: Sequence[str], *, numbers: bool = False, values: bool = False
    ) -> list[str]:
        """The fewest columns that tell rows of one time apart; none where no time repeats.

        Text first; whole numbers, such as those of shops, only where no text does it. Where these may be
        values too, ask unless there is only one choice.
        """
        times = [self.sample.resolve(name) for name in time_cols]
        if times and not self.frame.select(times).is_duplicated().any():
            return []
        height = self.frame.height
        texts = [name for name in free if not is_numeric(self.frame[name], self.dialect)]
        if times:
            texts = [name for name in texts if 2 * self.frame[name].n_unique() <= height]
            # A time of day beside dates is the rest of the time; the reading of the whole says so.
            texts = [name for name in texts if not is_clock(self.frame[name])]
        whole = [name for name in free if numbers and name not in texts and self._is_code(name)]
        for candidates in (texts, [name for name in free if name in texts or name in whole]):
            fitting: list[list[str]] = []
            for size in (1, 2):
                fitting += [
                    list(names)
                    for names in combinations(candidates, size)
                    if not any(set(fewer) <= set(names) for fewer in fitting)
                    and not self.frame.select([*times, *names]).is_duplicated().any()
                ]
                if values and size == 1 and candidates is not texts:
                    continue  # one may be a column of values by whose chance no row is another's
                if len(fitting) > 1:
                    choices = " or ".join(" with ".join(map(repr, names)) for names in fitting[:_MOST_NAMED])
                    raise DataError(f"id_col: which column names the series? {choices} would do")
                if fitting:
                    return fitting[0]
        return []  # the reading of the whole says which rows repeat, and what tells them apart

    def _is_code(self, name: str) -> bool:
        """Whether a column holds whole numbers, none missing, each of several rows."""
        column = self.frame[name]
        if column.null_count() or 2 * column.n_unique() > len(column):
            return False
        if column.dtype == pl.String:
            return bool(column.str.contains(r"^\d+$").all())
        return column.dtype.is_integer()

    def _unused(self, name: str) -> str:
        while name in self.sample.names:
            name += "_"
        return name

    def _columns(self) -> str:
        names = self.sample.names
        if not names:
            return ""
        more = ", ..." if len(names) > _MOST_NAMED else ""
        return f" The file has {', '.join(map(repr, names[:_MOST_NAMED]))}{more}"

    def _no_numbers(self, time_cols: Sequence[str]) -> str:
        """What the columns hold that could have been numbers."""
        names = self.sample.names
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            return f"; {names.count(twice)} of them are called {twice!r}: rename all but one"
        held = []
        for name in self.free(time_cols)[:3]:
            if is_empty(self.frame[name], self.dialect):
                held.append(f"{name!r} is empty")
            else:
                texts = self.frame[name].drop_nulls().cast(pl.String)
                held.append(f"{name!r} holds {texts[0]!r}")
        return f"; {', '.join(held)}" if held else ""

    def _reading(
        self,
        time_cols: Sequence[str],
        target_cols: Sequence[str],
        id_cols: Sequence[str],
        layout: Layout,
    ) -> Reading:
        return Reading(tuple(time_cols), tuple(target_cols), tuple(id_cols), self.sample.separator, layout)
