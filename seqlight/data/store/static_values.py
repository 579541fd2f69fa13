"""Values of series from a table of their own, one row for each."""

import warnings
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import polars as pl

from seqlight.data.errors import DataError
from seqlight.data.io.table import Table
from seqlight.data.store.covariates import Codes, Covariates, Numbers, lay_out

_MOST_NAMED = 5


def with_static(
    ours: Covariates, table: Table, ids: Sequence[str], declared: Sequence[str], source: str
) -> Covariates:
    """Return the covariates of a store with static ones of another table.

    Args:
        ours: those of the store, from its own table.
        table: the other: ids, and columns of numbers or text.
        ids: of the S series.
        declared: all static columns, in their order.
        source: what messages call the store's own table.

    Raises:
        DataError: a series has no row, several, or an empty number; or a column of both tables differs.
    """
    rows = _rows_of(table, ids, source)
    steps = np.arange(len(ids) + 1, dtype=np.int64)
    theirs = lay_out(
        table.covariates[rows],
        past=(),
        future=(),
        static=table.covariates.columns,
        ids=ids,
        indptr=steps,
        place=lambda cells, _: cells,
        order=lambda cells: cells,
        unknown=None,
        source=table.source,
    )
    _check_agreement(ours, theirs, ids, source, table.source)
    numbers: dict[str, np.ndarray] = dict(zip(ours.static.names, ours.static.values.T, strict=True))
    numbers |= dict(zip(theirs.static.names, theirs.static.values.T, strict=True))
    codes = {
        name: (column, labels)
        for part in (ours.static_categories, theirs.static_categories)
        for name, column, labels in zip(part.names, part.values.T, part.labels, strict=True)
    }
    number_names = [name for name in declared if name in numbers]
    code_names = [name for name in declared if name in codes]
    count = len(ids)
    return replace(
        ours,
        static=Numbers(
            number_names,
            np.array([numbers[name] for name in number_names], np.float32).reshape(-1, count).T.copy(),
        ),
        static_categories=Codes(
            code_names,
            np.array([codes[name][0] for name in code_names], np.int32).reshape(-1, count).T.copy(),
            [codes[name][1] for name in code_names],
        ),
    )


def _rows_of(table: Table, ids: Sequence[str], source: str) -> np.ndarray:
    """[S] the row of each series."""
    if table.ids is None:
        if len(table.covariates) != 1:
            raise DataError(
                f"static: {table.source} has {len(table.covariates)} rows, expected one for the only series "
                "of the data; name the column of ids, or keep one row"
            )
        return np.zeros(1, np.int64)
    texts = table.ids.cast(pl.String)
    rows: dict[str | None, int] = {}
    for row, name in enumerate(texts.to_list()):
        if name in rows:
            raise DataError(
                f"static: {table.source}: series {name!r} is in {table.row_name(rows[name])} and again in "
                f"{table.row_name(row)}; keep one row"
            )
        rows[name] = row
    absent = [name for name in ids if name not in rows]
    if absent:
        listed = ", ".join(map(repr, absent[:_MOST_NAMED]))
        more = f" and {len(absent) - _MOST_NAMED} more" if len(absent) > _MOST_NAMED else ""
        raise DataError(f"static: {table.source} has no row for series {listed}{more} of {source}; add one")
    if len(rows) > len(ids):
        warnings.warn(
            f"{table.source}: {len(rows) - len(ids)} rows are of series that are not in {source}, "
            "and were left out",
            stacklevel=4,
        )
    return np.array([rows[name] for name in ids], np.int64)


def _check_agreement(
    ours: Covariates, theirs: Covariates, ids: Sequence[str], source: str, other: str
) -> None:
    """Raise DataError where both tables have a column and tell different things of a series."""
    one, two = _told(ours), _told(theirs)
    for name in one.keys() & two.keys():
        for series, (mine, yours) in enumerate(zip(one[name], two[name], strict=True)):
            if mine is not None and yours is not None and mine != yours:
                raise DataError(
                    f"static: column {name!r} of series {ids[series]!r} is {mine!r} in {source}, but "
                    f"{yours!r} in {other}; mend one of them"
                )


def _told(covariates: Covariates) -> dict[str, list[object]]:
    """By static column the values of all series, None where missing."""
    numbers, codes = covariates.static, covariates.static_categories
    told: dict[str, list[object]] = {
        name: [None if np.isnan(value) else float(value) for value in column]
        for name, column in zip(numbers.names, numbers.values.T, strict=True)
    }
    for name, column, labels in zip(codes.names, codes.values.T, codes.labels, strict=True):
        told[name] = [None if code < 0 else labels[code] for code in column.tolist()]
    return told
