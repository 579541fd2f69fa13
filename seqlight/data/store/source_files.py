"""The files behind a source: which they are, and those that hold frames as one."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl

from seqlight.data.errors import DataError
from seqlight.data.io.frames import is_frame
from seqlight.data.io.sources import FrameFile, SeveralFiles, check_same_columns, paths_of
from seqlight.data.io.text_file import TextFile


def files_of(source: Any) -> list[str] | None:
    """Return every file that a source is read from, in the order of reading; None where it is none.

    Args:
        source: path, pattern, folder of Parquet files or list of these, or what was opened of them.
    """
    if isinstance(source, SeveralFiles):
        given: Any = [file.path or file.name for file in source.files]
    elif is_frame(source) or isinstance(source, bytes):
        return None
    elif isinstance(source, FrameFile | TextFile):
        given = source.path or source.name
    else:
        given = source
    try:
        paths = paths_of(given)
    except (DataError, TypeError):
        return None  # reading says what is wrong
    files: list[str] = []
    for path in paths:
        if os.path.isdir(path):
            files += [os.fspath(part) for part in sorted(Path(path).rglob("*.parquet"))]
        elif os.path.isfile(path):
            files.append(path)
        else:  # standard input, or nothing
            return None
    return files or None


def one_frame(opened: Any, file_id: str | None) -> pl.LazyFrame | None:
    """Return what was opened as one frame, its files one after the other; None where some is text.

    Args:
        opened: see :func:`seqlight.data.io.sources.open_source`.
        file_id: what to call a column of the names of several files; None for none.

    Raises:
        DataError: the files have different columns.
    """
    if isinstance(opened, FrameFile):
        return opened.frame if file_id is None else None
    if not isinstance(opened, SeveralFiles):
        return None
    frames = [file for file in opened.files if isinstance(file, FrameFile)]
    if len(frames) < len(opened.files):
        return None
    schemas = [file.frame.collect_schema() for file in frames]
    for file, schema in zip(frames, schemas, strict=True):
        check_same_columns(frames[0].name, schemas[0].names(), file.name, schema.names())
    if any(dict(schema) != dict(schemas[0]) for schema in schemas):
        return None  # reading the whole decides what a column of two types is
    parts = [file.frame.select(schemas[0].names()) for file in frames]
    if file_id is not None:
        parts = _with_names(parts, opened.stems, file_id)
    return pl.concat(parts)


def _with_names(frames: Sequence[pl.LazyFrame], stems: Sequence[str], column: str) -> list[pl.LazyFrame]:
    return [frame.with_columns(pl.lit(stem).alias(column)) for frame, stem in zip(frames, stems, strict=True)]
