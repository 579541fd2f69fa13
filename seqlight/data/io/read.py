"""The one entry to reading: any source, in long form, to a Table."""

import os
import warnings
from collections.abc import Sequence
from typing import Any

from seqlight.data.io.binary_files import binary_frame
from seqlight.data.io.columns import as_names
from seqlight.data.io.csv_file import csv_table
from seqlight.data.io.dialect import CSVDialect
from seqlight.data.io.frames import frame_table, is_frame
from seqlight.data.io.table import Table
from seqlight.data.io.text_file import TextFile


def read_table(
    source: Any,
    *,
    time_cols: Sequence[str],
    target_cols: Sequence[str],
    id_cols: Sequence[str] = (),
    covariate_cols: Sequence[str] = (),
    dialect: CSVDialect | None = None,
) -> Table:
    """Read the named columns of a file, standard input or frame.

    Args:
        source: path of a CSV file (plain or gzip), a Parquet or an Arrow IPC (Feather) file; "-" for CSV from
            standard input; an opened :class:`TextFile`; or a frame of polars, pandas or another library that
            narwhals knows.
        time_cols: columns that make the time together (date and time of day; year, month, day, hour); none
            where rows are steps.
        target_cols: numeric columns.
        id_cols: columns that name a series together; none for a single series.
        covariate_cols: further columns, of numbers or of text.
        dialect: how a file is written; what is None in it is found. Of a frame's text columns it tells how
            numbers are written and what is missing.

    Raises:
        DataError: the source cannot be read, a column is not there, or cells are not what they should be.
    """
    columns: dict[str, Any] = {
        "time_cols": list(time_cols),
        "target_cols": list(target_cols),
        "id_cols": list(id_cols),
        "covariate_cols": list(covariate_cols),
    }
    if is_frame(source):
        return frame_table(source, dialect=dialect, **columns)
    if not isinstance(source, TextFile):
        frame = binary_frame(source)
        if frame is not None:
            return frame_table(frame, dialect=dialect, source=os.fspath(source), **columns)
        source = os.fspath(source)
    return csv_table(source, dialect=dialect, **columns)


def read_csv_table(
    path: str | os.PathLike[str],
    *,
    time_col: str,
    target_cols: Sequence[str],
    id_col: str | None = None,
    dialect: CSVDialect | None = None,
) -> Table:
    """Read a CSV file; deprecated, use :func:`read_table`."""
    warnings.warn("read_csv_table is deprecated: use seqlight.data.read_table", FutureWarning, stacklevel=2)
    return read_table(
        path, time_cols=[time_col], target_cols=target_cols, id_cols=as_names(id_col), dialect=dialect
    )
