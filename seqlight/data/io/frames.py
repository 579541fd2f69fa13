"""Taking the needed columns of a frame into a Table."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import numpy as np
import polars as pl

from seqlight.data.errors import DataError
from seqlight.data.io.cells import NumberColumns
from seqlight.data.io.dialect import CSVDialect
from seqlight.data.io.table import Table, check_columns
from seqlight.data.time.number_formats import number_text


def is_frame(source: object) -> bool:
    """Return whether ``source`` is a polars DataFrame or LazyFrame, a pandas DataFrame, or one of a library
    whose frames narwhals knows.
    """
    if source is None or isinstance(source, str | bytes | list | tuple) or hasattr(source, "__fspath__"):
        return False
    return (
        isinstance(source, pl.DataFrame | pl.LazyFrame) or _is_pandas(source) or _narwhals(source) is not None
    )


def frame_table(
    frame: Any,
    *,
    time_cols: Sequence[str],
    target_cols: Sequence[str],
    id_cols: Sequence[str] = (),
    covariate_cols: Sequence[str] = (),
    dialect: CSVDialect | None = None,
    source: str = "frame",
    notes: bool = True,
) -> Table:
    """Take the named columns of a frame, see :func:`seqlight.data.io.read_table`; pandas is not imported.

    A pandas index counts as a column, under its name, or as "index" where it has none and no column is
    called that. Null and NaN are missing cells. Text that holds numbers is read as in a CSV.

    Raises:
        DataError: a column is not there, or a target column does not hold numbers.
    """
    groups = (
        ("time_col", time_cols),
        ("target_cols", target_cols),
        ("id_col", id_cols),
        ("covariate_cols", covariate_cols),
    )
    wanted = [(argument, name) for argument, names in groups for name in names]
    everything = frame
    frame = polars_frame(frame, [name for _, name in wanted])
    check_columns(source, wanted, frame.collect_schema().names())
    if isinstance(frame, pl.LazyFrame):
        frame = frame.select([name for _, name in wanted]).collect()
    if frame.is_empty():
        raise DataError(f"{source}: has no rows; expected at least one")

    table = Table(
        source=source,
        time=None,
        keys=frame.select(id_cols) if id_cols else None,
        values=np.empty((len(frame), len(target_cols)), np.float32),
        is_file=False,
        other_columns=lambda: _others(everything, [name for _, name in wanted]),
    )
    several = len(time_cols) > 1
    table.take_times({name: frame[name] if several else _times(frame[name], source) for name in time_cols})
    numbers = NumberColumns(dialect or CSVDialect(), table, notes=notes)
    for name in target_cols:
        numbers.add(name, _numbers(frame[name], source))
    for name in covariate_cols:
        column = frame[name]
        is_text = column.dtype in (pl.String, pl.Categorical) or isinstance(column.dtype, pl.Enum)
        numbers.add(name, column.cast(pl.String) if is_text else _numbers(column, source), text_allowed=True)
    read = numbers.settled()
    for i, name in enumerate(target_cols):
        table.values[:, i] = read[name]
    table.covariates = pl.DataFrame({name: read[name] for name in covariate_cols})
    return table


def polars_frame(frame: Any, names: Sequence[str] | None = None) -> pl.DataFrame | pl.LazyFrame:
    """Return any frame as one of polars; of a pandas frame the named columns alone, where all are there."""
    if isinstance(frame, pl.DataFrame):
        return frame
    if isinstance(frame, pl.LazyFrame):
        return frame
    if not _is_pandas(frame):
        return _narwhals(frame)
    frame = _with_index(frame, names)
    columns = [str(name) for name in frame.columns]
    kept = list(range(len(columns)))
    if names is not None and set(names) <= set(columns):
        kept = [index for index in kept if columns[index] in names]
    if len({columns[index] for index in kept}) < len(kept):
        check_columns("frame", [("target_cols", columns[index]) for index in kept], columns)
    return pl.DataFrame({columns[index]: _pandas_column(frame.iloc[:, index]) for index in kept})


def _with_index(frame: Any, names: Sequence[str] | None) -> Any:
    """A pandas frame whose index, if it is more than row numbers, is a column."""
    if type(frame.index).__name__ == "RangeIndex" and frame.index.name is None:
        return frame
    columns = [str(name) for name in frame.columns]
    if names is not None and set(names) <= set(columns):
        return frame
    # An unnamed index is called "index"; "" names it too, as pandas writes it to a CSV.
    if frame.index.nlevels == 1 and frame.index.name is None and names is not None and "" in names:
        return frame.rename_axis(index="").reset_index()
    clash = [name for name in frame.index.names if name is not None and str(name) in columns]
    return frame.reset_index() if not clash else frame


def _others(frame: Any, taken: Sequence[str]) -> pl.DataFrame:
    """The columns that are not in use."""
    frame = polars_frame(frame)
    names = [name for name in frame.collect_schema().names() if name not in taken]
    frame = frame.select(names)
    return frame.collect() if isinstance(frame, pl.LazyFrame) else frame


def _times(column: pl.Series, source: str) -> pl.Series:
    if column.dtype.is_numeric():
        return number_text(column)
    if column.dtype == pl.Categorical or isinstance(column.dtype, pl.Enum):
        return column.cast(pl.String)
    if column.dtype not in (pl.String, pl.Date, pl.Datetime):
        raise DataError(
            f"{source}: time_col: column {column.name!r}: expected dates, times or text, got dtype "
            f"{column.dtype}"
        )
    return column


def _numbers(column: pl.Series, source: str) -> pl.Series:
    """A column of numbers as floats no narrower than they came, or of text as it is."""
    if column.dtype.is_numeric() or column.dtype in (pl.Boolean, pl.Null):
        wide = column.dtype.is_numeric() and column.dtype != pl.Float32
        return column.cast(pl.Float64 if wide else pl.Float32).fill_nan(None).alias(column.name)
    if column.dtype == pl.String:
        return column
    if column.dtype == pl.Categorical or isinstance(column.dtype, pl.Enum):
        return column.cast(pl.String)
    raise DataError(
        f"{source}: column {column.name!r}: expected numbers, got dtype {column.dtype}; convert it with "
        "cast(pl.Float32) or pandas.to_numeric"
    )


def _is_pandas(source: object) -> bool:
    return (
        type(source).__module__.split(".")[0] == "pandas"
        and hasattr(source, "iloc")
        and hasattr(source, "columns")
    )


def _narwhals(source: Any) -> Any:
    """A frame of another library as one of polars, or None if it is none."""
    import narwhals

    try:
        frame = narwhals.from_native(source, pass_through=False)
    except TypeError:
        return None
    if isinstance(frame, narwhals.LazyFrame):
        frame = frame.collect()
    return frame.to_polars() if isinstance(frame, narwhals.DataFrame) else None


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
    values = [value for value, gone in zip(column, missing, strict=True) if not gone]
    if values and all(
        isinstance(value, Decimal) for value in values
    ):  # numbers, whatever their text looks like
        return pl.Series(name, column.to_numpy("float64", na_value=float("nan")))
    return pl.Series(
        name, [None if gone else str(value) for value, gone in zip(column, missing, strict=True)], pl.String
    )
