"""Files that hold a frame: Parquet and Arrow IPC."""

import os
from pathlib import Path
from typing import Any

import polars as pl

from seqlight.data.errors import DataError

_PARQUET = b"PAR1"
_ARROW = b"ARROW1"
_FEATHER_1 = b"FEA1"


def binary_frame(source: str | os.PathLike[str]) -> pl.LazyFrame | None:
    """Return the frame in a Parquet or Arrow IPC (Feather) file, or None if the file is neither.

    Raises:
        DataError: the file is damaged, or of the first version of Feather.
    """
    path = Path(source)
    if not path.is_file():
        return None
    with path.open("rb") as file:
        magic = file.read(len(_ARROW))
    if magic.startswith(_FEATHER_1):
        raise DataError(f"{path}: is a Feather file of version 1, which is not read; write it as Parquet")
    if not magic.startswith((_PARQUET, _ARROW)):
        return None
    what, scan = ("a Parquet", pl.scan_parquet) if magic.startswith(_PARQUET) else ("an Arrow", _scan_ipc)
    try:
        frame = scan(path)
        frame.collect_schema()
    except (pl.exceptions.PolarsError, OSError) as error:
        first_line = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(f"{path}: is {what} file that cannot be read: {first_line}") from None
    return frame


def _scan_ipc(path: Path) -> Any:
    return pl.scan_ipc(path)
