"""Which column tells rows apart that have the same time: an id not named, or the time of day."""

import re
from collections.abc import Sequence
from itertools import combinations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from seqlight.data.io.table import Table

_TIME_OF_DAY = r"^\s*\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:\s*[AaPp]\.?[Mm]\.?)?\s*$"
_HOUR_NAMES = re.compile(r"(?i)time|hour|hours|hr|h|minute|uhrzeit|zeit|stunde|heure|hora|ora")
_DECIMAL = r"^[+-]?\d*[.,]\d+$"
_MOST_COLUMNS = 12

#: Where no column tells the rows apart, the hint has these words.
REMOVE = "remove all but one of"


def text_columns(frame: pl.DataFrame, names: Sequence[str]) -> pl.DataFrame:
    """Return the columns under their names, those with a name of their own only."""
    own = [index for index, name in enumerate(names) if list(names).count(name) == 1]
    return pl.DataFrame({names[index]: frame.to_series(index) for index in own})


def hint_of_repeats(
    table: Table, times: NDArray[np.int64], time_cols: Sequence[str], id_cols: Sequence[str], row: int
) -> str:
    """Return what to do about rows of one series with the same time.

    Args:
        table: the table.
        times: [N] of its rows.
        time_cols: names of the columns of times.
        id_cols: names of the id columns.
        row: one of the rows with the same time.
    """
    others = pl.DataFrame() if table.other_columns is None else table.other_columns()
    base = _base(table, times)
    candidates = [
        column.name
        for column in others
        if column.null_count() < len(column)
        and not _text(column).str.contains(_DECIMAL).any()
        # A number of each row tells all rows apart, and says nothing.
        and (2 * column.n_unique() <= len(column) or _is_time_of_day(column))
    ][:_MOST_COLUMNS]
    for size in (1, 2):
        fitting = [
            names
            for names in combinations(candidates, size)
            if not others.select(names).with_columns(base).is_duplicated().any()
        ]
        if not fitting:
            continue
        # Ids have fewer values than there are rows.
        names = min(fitting, key=lambda names: sum(others[name].n_unique() for name in names))
        if size == 1 and _is_time_of_day(others[names[0]]):
            both = [*time_cols, *names]
            return f"column {names[0]!r} holds the time of day: name both columns, time_col={both!r}"
        ids = [*id_cols, *names]
        value = repr(ids[0]) if len(ids) == 1 else repr(ids)
        told = " and ".join(map(repr, names))
        return f"column{'s' * (size > 1)} {told} tell{'s' * (size == 1)} such rows apart: name id_col={value}"
    same = base.select(
        pl.all_horizontal(pl.col(name) == base[name][row] for name in base.columns).alias("same")
    ).to_series()
    if others.width and others.filter(same).is_duplicated().all():
        return "the rows are the same in every other column too; remove all but one"
    if id_cols:
        return f"no other column tells such rows apart; {REMOVE} them, or mend their times"
    if table.parts and base.height > len(table.parts[0].values):
        return f"if each file is a series, pass file_id='file', which names them so; else {REMOVE} such rows"
    return (
        f"if the file holds several series, name the column of their ids with id_col; else {REMOVE} such rows"
    )


def _base(table: Table, times: NDArray[np.int64]) -> pl.DataFrame:
    """Time and ids of each row, under names that no column has."""
    ids = table.ids
    return pl.DataFrame(
        [pl.Series("\0time", times), *([] if ids is None else [ids.cast(pl.String).alias("\0id")])]
    )


def _text(column: pl.Series) -> pl.Series:
    return column.cast(pl.String, strict=False)


def _is_time_of_day(column: pl.Series) -> bool:
    if column.dtype == pl.Time:
        return True
    text = _text(column).drop_nulls()
    if text.str.contains(_TIME_OF_DAY).all():
        return True
    numbers = text.cast(pl.Int64, strict=False)
    return bool(
        _HOUR_NAMES.fullmatch(column.name) and not numbers.has_nulls() and numbers.is_between(0, 59).all()
    )
