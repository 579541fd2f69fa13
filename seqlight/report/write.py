"""Reports written to files."""

import os
from pathlib import Path

from seqlight.report.model import Report
from seqlight.report.render import render
from seqlight.whole_files import write_whole


def write(path: str | os.PathLike[str], report: Report) -> None:
    """Write a report as one HTML file, which loads nothing; it appears whole or not at all.

    Args:
        path: the file, replaced if there is one already; its folder is made if need be.
        report: see :func:`seqlight.report.build`.

    Raises:
        seqlight.whole_files.WriteError: the file cannot be written.
    """
    write_whole(Path(path), render(report).encode("utf-8"))
