"""Tables of forecasts as CSV text: what is no number is an empty cell."""

from collections.abc import Sequence
from pathlib import Path

import polars as pl
from polars import selectors

from seqlight.whole_files import write_whole

MOST_NAMED = 5


def csv_bytes(table: pl.DataFrame) -> bytes:
    """Return a table as CSV in UTF-8; NaN, where there was nothing to forecast from, is an empty cell."""
    return table.with_columns(selectors.float().fill_nan(None)).write_csv().encode()


def write_csv(table: pl.DataFrame, path: Path) -> None:
    """Write a table as :func:`csv_bytes`, so that ``path`` holds either all of it or what it held before."""
    write_whole(path, csv_bytes(table))


def empty_cells_note(table: pl.DataFrame, id_col: str, columns: Sequence[str]) -> str | None:
    """Return a sentence that names the series with empty cells in ``columns``; None if there are none."""
    empty = pl.any_horizontal(pl.col(name).is_null() | pl.col(name).is_nan() for name in columns)
    rows = table.filter(empty)
    if rows.is_empty():
        return None
    names = rows[id_col].unique(maintain_order=True).to_list()
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    named = ", ".join(repr(name) for name in names[:MOST_NAMED])
    return f"no forecast of series {named}{more}: cells are empty where no step before is known"
