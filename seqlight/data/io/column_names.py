"""The names of a source's columns, before its rows are read."""

import os
from typing import Any

from seqlight.data.io.binary_files import binary_frame
from seqlight.data.io.csv_head import find_head
from seqlight.data.io.dialect import CSVDialect
from seqlight.data.io.frames import is_frame, polars_frame
from seqlight.data.io.text_file import TextFile, open_text


def column_names(source: Any, dialect: CSVDialect) -> list[str]:
    """Return the columns of a file or frame, see :func:`seqlight.data.read_table`.

    Raises:
        DataError: the file cannot be read.
    """
    if is_frame(source):
        return list(polars_frame(source).collect_schema().names())
    if not isinstance(source, TextFile):
        frame = binary_frame(source)
        if frame is not None:
            return list(frame.collect_schema().names())
        source = open_text(os.fspath(source), dialect.encoding)
    return list(find_head(source, dialect).names)
