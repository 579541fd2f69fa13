"""Taking the needed columns of a polars or pandas frame into a Table."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from seqlight.data.errors import DataError
from seqlight.data.io.table import Table, check_columns


def is_frame(source: object) -> bool:
    """Whether ``source`` is a polars DataFrame or LazyFrame or a pandas DataFrame."""
    return isinstance(source, pl.DataFrame | pl.LazyFrame) or _is_pandas(source)


def frame_table(frame: Any, *, time_col: str, target_cols: Sequence[str], id_col: str | None = None) -> Table:
    """The named columns of a polars or pandas frame; pandas itself is not imported.

    A pandas index that has a wanted name counts as a column. Null and NaN are missing cells.

    Raises:
        DataError: a column is not there, or a target column does not hold numbers.
    """
    wanted = [("time_col", time_col)] + [("target_cols", name) for name in target_cols]
    if id_col is not None:
        wanted.append(("id_col", id_col))
    if isinstance(frame, pl.LazyFrame):
        check_columns("frame", wanted, frame.collect_schema().names())
        frame = frame.select(list(dict.fromkeys(name for _, name in wanted))).collect()
    if _is_pandas(frame):
        if any(name in frame.index.names for _, name in wanted):
            frame = frame.reset_index()
        check_columns("frame", wanted, [str(name) for name in frame.columns])
        frame = pl.DataFrame(
            {name: _pandas_column(frame[name]) for name in dict.fromkeys(n for _, n in wanted)}
        )
    check_columns("frame", wanted, frame.columns)
    if frame.is_empty():
        raise DataError("frame: has no rows; expected at least one")

    values = np.empty((len(frame), len(target_cols)), np.float32)
    for i, name in enumerate(target_cols):
        column = frame[name]
        if not (column.dtype.is_numeric() or column.dtype in (pl.Boolean, pl.Null)):
            raise DataError(
                f"frame: column {name!r}: expected numbers, got dtype {column.dtype}; convert it with "
                "cast(pl.Float32) or pandas.to_numeric"
            )
        values[:, i] = column.cast(pl.Float32).to_numpy()
    time = frame[time_col]
    if time.dtype.is_integer() or time.dtype == pl.Categorical:
        time = time.cast(pl.String)
    if time.dtype not in (pl.String, pl.Date, pl.Datetime):
        raise DataError(
            f"frame: time_col: column {time_col!r}: expected dates, times or text, got dtype {time.dtype}"
        )
    ids = None if id_col is None else frame[id_col]
    return Table(source="frame", time=time, ids=ids, values=values, is_file=False)


def _is_pandas(source: object) -> bool:
    return (
        type(source).__module__.split(".")[0] == "pandas"
        and hasattr(source, "iloc")
        and hasattr(source, "columns")
    )


def _pandas_column(column: Any) -> pl.Series:
    name = str(column.name)
    zone = getattr(column.dtype, "tz", None)
    if zone is not None:
        instants = column.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy("datetime64[us]")
        series = pl.Series(name, instants).dt.replace_time_zone("UTC")
        # Fixed offsets have names that polars does not know: those times stay in UTC.
        return series.dt.convert_time_zone(zone.key) if hasattr(zone, "key") else series
    kind = column.dtype.kind
    if kind == "M":
        return pl.Series(name, column.to_numpy("datetime64[us]"))
    if kind in "iufb" and type(column.dtype).__module__.startswith("numpy"):
        return pl.Series(name, column.to_numpy())
    if kind in "iufb":  # pandas' nullable numbers
        return pl.Series(name, column.to_numpy("float64", na_value=float("nan")))
    if str(column.dtype).startswith("period"):
        return _pandas_column(column.dt.to_timestamp())
    missing = column.isna().to_numpy()
    return pl.Series(
        name, [None if gone else str(value) for value, gone in zip(column, missing, strict=True)]
    )
