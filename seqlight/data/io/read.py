"""The one entry to reading: any source to a Table of rows in long form."""

import os
import warnings
from collections.abc import Sequence
from typing import Any

import polars as pl

from seqlight.data.errors import DataError
from seqlight.data.io.columns import Wanted, as_names
from seqlight.data.io.csv_file import csv_table
from seqlight.data.io.dialect import CSVDialect, Layout
from seqlight.data.io.frames import frame_table
from seqlight.data.io.layouts import read_laid_out
from seqlight.data.io.samples import Sample, sample_of, text_columns_of
from seqlight.data.io.sources import FrameFile, SeveralFiles, check_same_columns, open_source
from seqlight.data.io.table import Table, joined_tables
from seqlight.data.io.text_file import TextFile


def read_table(
    source: Any,
    *,
    time_cols: Sequence[str] = (),
    target_cols: Sequence[str],
    id_cols: Sequence[str] = (),
    covariate_cols: Sequence[str] = (),
    dialect: CSVDialect | None = None,
    layout: Layout | None = None,
    whole: bool = False,
) -> Table:
    """Read the named columns of a file, standard input or frame, once.

    Args:
        source: path of a CSV file (plain, or compressed by gzip, zstd, bzip2, xz or ZIP), a Parquet or Arrow
            IPC (Feather) file, a spreadsheet (.xlsx, .xls, .ods) or a folder of Parquet files; a pattern such
            as ``"part-*.csv"``, or a list of paths; "-" for CSV from standard input; what
            :func:`~seqlight.data.io.sources.open_source` has opened; or a frame of polars, pandas or another
            library that narwhals knows.
        time_cols: columns that make the time together (date and time of day; year, month, day, hour); none
            where rows are steps.
        target_cols: numeric columns.
        id_cols: columns that name a series together; none for a single series.
        covariate_cols: further columns, of numbers or of text.
        dialect: how a file is written; what is None in it is found. Of a frame's text columns it tells how
            numbers are written and what is missing.
        layout: "long": a row for each time of each series; "wide": each column of numbers is a series;
            "rows": each row is a series, its columns named by times or numbered. In the latter two
            ``target_cols`` is a name for the values, ``id_cols`` of "wide" one for the names of the columns
            and ``time_cols`` of "rows" one for the times. None takes the dialect's, else "long".
        whole: of "wide" and "rows" keep the cells before the first known one of each series, which are
            otherwise taken for the time before it began.

    Raises:
        DataError: the source cannot be read, a column is not there, or cells are not what they should be.
    """
    dialect = dialect or CSVDialect()
    opened = open_source(source, dialect)
    ids = [name for name in id_cols if name != dialect.file_id]
    wanted = Wanted(list(time_cols), list(target_cols), ids, list(covariate_cols))
    layout = layout or dialect.layout or "long"
    if isinstance(opened, SeveralFiles):
        return _read_several(opened, wanted, dialect, layout, whole)
    if dialect.file_id is not None:
        raise DataError(
            f"file_id: {dialect.file_id!r} is to name the series by their files, of which there is one"
        )
    return _read_one(opened, wanted, dialect, layout, whole)


def _read_one(opened: Any, wanted: Wanted, dialect: CSVDialect, layout: str, whole: bool) -> Table:
    def read(columns: Wanted, notes: bool) -> Table:
        named: dict[str, Any] = {
            "time_cols": columns.time,
            "target_cols": columns.targets,
            "id_cols": columns.ids,
            "covariate_cols": columns.covariates,
            "dialect": dialect,
            "notes": notes,
        }
        if isinstance(opened, TextFile):
            return csv_table(opened, **named)
        if isinstance(opened, FrameFile):
            return frame_table(opened.frame, source=opened.name, **named)
        return frame_table(opened, **named)

    if layout == "long":
        return read(wanted, True)
    in_file = [*wanted.covariates, *(wanted.time if layout == "wide" else wanted.ids)]
    sample = sample_of(opened, dialect, in_file)
    return read_laid_out(
        layout,
        sample.name,
        sample.names,
        wanted,
        read,
        texts=text_columns_of(sample, dialect),
        whole=whole,
    )


def _read_several(
    several: SeveralFiles, wanted: Wanted, dialect: CSVDialect, layout: str, whole: bool
) -> Table:
    first: Sample | None = None
    for file in several.files:
        sample = sample_of(file, dialect, [name for _, name in wanted.pairs()] if layout == "long" else ())
        if first is None:
            first = sample
        check_same_columns(first.name, first.names, sample.name, sample.names)
    tables = [_read_one(file, wanted, dialect, layout, whole) for file in several.files]
    if dialect.file_id is not None:
        for table, stem in zip(tables, several.stems, strict=True):
            own = pl.DataFrame({dialect.file_id: [stem] * len(table.values)})
            table.keys = own if table.keys is None else own.hstack(table.keys)
    return joined_tables(several.name, tables)


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
