"""Output files that are checked before any work: writable, distinct, and nothing that is read."""

import argparse
import os
import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path

from seqlight.cli.errors import CommandError

PLOT_FORMATS = (".png", ".pdf", ".svg")
REPORT_FORMATS = (".html", ".htm")
OUTPUTS = ("output", "plot", "report", "save")


def check_output(path: Path, option: str) -> None:
    """Raise :class:`CommandError` unless ``path`` can be written later without loss.

    Its folder must exist and be writable, and it must not be a folder or a device. An earlier output of the
    same name is fine: it is replaced when the new one is complete.
    """
    parent = path.resolve().parent
    if not parent.is_dir():
        raise CommandError(
            f"{option}: the folder {str(parent)!r} does not exist; create it first: "
            f"mkdir -p {shlex.quote(str(parent))}"
        )
    if path.is_dir():
        raise CommandError(f"{option}: {str(path)!r} is a folder; give a file name in it")
    if path.exists() and not path.is_file():
        raise CommandError(f"{option}: {str(path)!r} is not a regular file; give another name")
    if not os.access(parent, os.W_OK):
        raise CommandError(f"{option}: no permission to write in {str(parent)!r}")


def check_not_read(outputs: Mapping[str, Path], inputs: Iterable[Path]) -> None:
    """Raise :class:`CommandError` where an output (by its option) is one of the files that the command reads.

    Relative names, symbolic and hard links to it are the same file. Of a folder, every file is read.
    """
    read = [path for path in inputs if path.exists()]
    for option, path in outputs.items():
        if path.is_file() and any(
            path.samefile(other) or (other.is_dir() and path.resolve().is_relative_to(other.resolve()))
            for other in read
        ):
            raise CommandError(
                f"{option}: {str(path)!r} is an input file and would be overwritten; give another name"
            )


def check_plot_name(path: Path) -> None:
    """Raise :class:`CommandError` unless ``path`` has the ending of a picture."""
    if path.suffix.lower() not in PLOT_FORMATS:
        raise CommandError(f"--plot: expected a name that ends in {' or '.join(PLOT_FORMATS)}, got {path}")


def check_report_name(path: Path) -> None:
    """Raise :class:`CommandError` unless ``path`` has the ending of a page."""
    if path.suffix.lower() not in REPORT_FORMATS:
        raise CommandError(f"--report: expected a name that ends in .html, got {path}")


def check_distinct(outputs: Mapping[str, Path]) -> None:
    """Raise :class:`CommandError` when two options (the keys) name the same file."""
    options_by_path: dict[Path, str] = {}
    for option, path in outputs.items():
        other = options_by_path.setdefault(path.resolve(), option)
        if other != option:
            raise CommandError(
                f"{option} and {other} name the same file {str(path)!r}; give two different names"
            )


def check_outputs(given: argparse.Namespace, names: Iterable[str] = OUTPUTS) -> None:
    """Check what the options ``names`` are given; every other path in ``given`` is a file that is read.

    Raises:
        CommandError: a file that could not be written, that is read, or that is named twice.
    """
    values = vars(given)
    outputs = {f"--{name}": values[name] for name in names if values.get(name) is not None}
    if "--plot" in outputs:
        check_plot_name(outputs["--plot"])
    if "--report" in outputs:
        check_report_name(outputs["--report"])
    for option, path in outputs.items():
        check_output(path, option)
    inputs = []
    for name, value in values.items():
        if name not in names:
            inputs += [
                one for one in (value if isinstance(value, list) else [value]) if isinstance(one, Path)
            ]
    check_not_read(outputs, inputs)
    check_distinct(outputs)
