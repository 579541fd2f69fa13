"""Whatever is read, opened once: text, a file that holds a frame, a frame, or several files."""

import glob
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import polars as pl

from seqlight.data.errors import DataError
from seqlight.data.io.dialect import CSVDialect
from seqlight.data.io.frames import is_frame
from seqlight.data.io.spreadsheets import is_spreadsheet, sheet_text
from seqlight.data.io.text_file import TextFile, open_binary, open_text, text_of

_PARQUET = b"PAR1"
_ARROW = b"ARROW1"
_FEATHER_1 = b"FEA1"
_SPREADSHEETS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
_WILD = ("*", "?", "[")


@dataclass
class FrameFile:
    """A file, or a folder of files, that holds a frame: typed columns, read when they are needed.

    ``path`` and ``status`` are of a single file, as it was when it was opened; ``partitions`` are the columns
    of a folder that its folders' names make.
    """

    name: str
    frame: pl.LazyFrame
    path: str | None = None
    status: os.stat_result | None = None
    partitions: tuple[str, ...] = ()


@dataclass
class SeveralFiles:
    """Files that are one data set, each opened once.

    Attributes:
        name: what messages call them together.
        files: the files, in their order.
        stems: their names without folder and ending.
    """

    name: str
    files: list[TextFile | FrameFile]
    stems: list[str]


Opened = TextFile | FrameFile | SeveralFiles


def open_source(source: Any, dialect: CSVDialect | None = None, *, in_memory: bool = False) -> Any:
    """Open a file, several files or a folder; return a frame, or what is open already, as it is.

    Args:
        source: path of a file, a pattern such as "part-*.csv", a folder of Parquet files, "-" for standard
            input, or a list of paths.
        dialect: gives the encoding of text and the sheet of a spreadsheet.
        in_memory: read plain text now.

    Returns:
        A :class:`TextFile`, :class:`FrameFile`, :class:`SeveralFiles`, or the frame.

    Raises:
        DataError: a file is not there or cannot be read.
    """
    if isinstance(source, Opened) or is_frame(source):
        return source
    dialect = dialect or CSVDialect()
    if isinstance(source, bytes):
        return open_text(source, dialect.encoding)
    paths = paths_of(source)
    if len(paths) == 1:
        status = os.stat(paths[0]) if os.path.isfile(paths[0]) else None
        opened = _open_one(paths[0], dialect, in_memory)
        if status is not None:
            opened.path, opened.status = paths[0], status
        return opened
    name = f"{paths[0]} and {len(paths) - 1} more"
    stems = [Path(path).name.partition(".")[0] for path in paths]
    if len(set(stems)) < len(stems):
        stems = [str(path) for path in paths]
    return SeveralFiles(name, [_open_one(path, dialect, in_memory) for path in paths], stems)


def as_it_is_now(source: Any) -> Any:
    """Return an open file as it is, or its path where another file has taken its place since."""
    path, status = getattr(source, "path", None), getattr(source, "status", None)
    if path is None or status is None or not os.path.isfile(path):
        return source
    now = os.stat(path)
    same = all(getattr(now, name) == getattr(status, name) for name in ("st_ino", "st_size", "st_mtime_ns"))
    return source if same else path


def plain_path(source: Any) -> Any:
    """Return a path, or several, as text, which a checkpoint can keep; a frame as it is."""
    if is_frame(source):
        return source
    if isinstance(source, Sequence) and not isinstance(source, str):
        return [os.fspath(path) for path in source]
    return str(source)


def paths_of(source: Any) -> list[str]:
    """Return every path that is meant, patterns resolved.

    Raises:
        DataError: no file fits a pattern, or one is named twice.
    """
    given = source if isinstance(source, Sequence) and not isinstance(source, str) else [source]
    if not given:
        raise DataError("path: expected a file, got an empty list")
    paths: list[str] = []
    for one in map(os.fspath, given):
        if any(sign in one for sign in _WILD) and not os.path.exists(one):
            found = sorted(glob.glob(one, recursive=True))
            if not found:
                raise DataError(f"{one}: no file fits this pattern")
            paths += found
        else:
            paths.append(one)
    twice = next((path for path in paths if paths.count(path) > 1), None)
    if twice is not None:
        raise DataError(f"{twice}: is named twice; name each file once")
    return paths


def _open_one(path: str, dialect: CSVDialect, in_memory: bool) -> TextFile | FrameFile:
    if path == "-":
        return open_text(path, dialect.encoding)
    if Path(path).is_dir():
        return _open_folder(Path(path))
    file = open_binary(path)
    try:
        magic = file.read(8) if file.seekable() else b""
        if file.seekable():
            file.seek(0)
        if magic.startswith(_FEATHER_1):
            raise DataError(f"{path}: is a Feather file of version 1, which is not read; write it as Parquet")
        if magic.startswith((_PARQUET, _ARROW)):
            return FrameFile(path, _scan(path, file, magic.startswith(_PARQUET)))
        if magic.startswith(_SPREADSHEETS):
            with file:
                data = file.read()
            if is_spreadsheet(data):
                name, text = sheet_text(path, data, dialect.sheet)
                return text_of(name, text, "utf-8")
            return text_of(path, data, dialect.encoding)
    except OSError as error:
        file.close()
        raise DataError(f"{path}: cannot be read: {error}") from None
    except DataError:
        file.close()
        raise
    if dialect.sheet is not None:
        file.close()
        raise DataError(f"sheet: {path} is no spreadsheet; leave sheet out")
    return text_of(path, file, dialect.encoding, in_memory=in_memory)


def _scan(path: str, file: BinaryIO, is_parquet: bool) -> pl.LazyFrame:
    """The frame in an open file, of which polars keeps a handle of its own."""
    what = "a Parquet" if is_parquet else "an Arrow"
    try:
        with file:
            frame: pl.LazyFrame = pl.scan_parquet(file) if is_parquet else pl.scan_ipc(file)
        frame.collect_schema()
    except (pl.exceptions.PolarsError, OSError) as error:
        raise DataError(f"{path}: is {what} file that cannot be read: {_first_line(error)}") from None
    return frame


def _open_folder(folder: Path) -> FrameFile:
    """All Parquet files in a folder and its folders; names such as year=2024 of these are columns."""
    files = sorted(folder.rglob("*.parquet"))
    if not files:
        some = next((path for path in sorted(folder.iterdir()) if path.is_file()), None)
        pattern = folder / f"*{some.suffix}" if some is not None else None
        hint = f"; give its files instead: {str(pattern)!r}" if pattern is not None else ""
        raise DataError(f"{folder}: is a folder without Parquet files{hint}")
    try:
        frame = pl.scan_parquet(files, hive_partitioning=True)
        columns = frame.collect_schema().names()
    except (pl.exceptions.PolarsError, OSError) as error:
        raise DataError(f"{folder}: cannot be read: {_first_line(error)}") from None
    parts = {part.partition("=")[0] for file in files for part in file.relative_to(folder).parts[:-1]}
    own = [column for column in columns if column not in parts]
    for file in files[1:]:
        names = pl.read_parquet_schema(file)
        check_same_columns(str(files[0]), own, str(file), [name for name in names if name not in parts])
    made = tuple(column for column in columns if column in parts)
    return FrameFile(str(folder), frame.select(columns), partitions=made)


def check_same_columns(first: str, columns: Sequence[str], other: str, others: Sequence[str]) -> None:
    """Raise DataError, which names both files, unless they have the same columns, in whatever order."""
    lacking = [name for name in columns if name not in others]
    more = [name for name in others if name not in columns]
    if lacking:
        raise DataError(
            f"{other}: has no column {lacking[0]!r}, which {first} has; files must be of one kind"
        )
    if more:
        raise DataError(
            f"{other}: has a column {more[0]!r}, which {first} has not; files must be of one kind"
        )


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
