"""The names of a source's columns, before its rows are read."""

from typing import Any

from seqlight.data.io.csv_head import find_head
from seqlight.data.io.dialect import CSVDialect
from seqlight.data.io.frames import polars_frame
from seqlight.data.io.sources import FrameFile, SeveralFiles, open_source
from seqlight.data.io.text_file import TextFile


def column_names(source: Any, dialect: CSVDialect) -> list[str]:
    """Return the columns of a file or frame, see :func:`seqlight.data.read_table`.

    Raises:
        DataError: the file cannot be read.
    """
    opened = open_source(source, dialect)
    if isinstance(opened, SeveralFiles):
        opened = opened.files[0]
    if isinstance(opened, TextFile):
        return list(find_head(opened, dialect).names)
    frame = opened.frame if isinstance(opened, FrameFile) else polars_frame(opened)
    return list(frame.collect_schema().names())
