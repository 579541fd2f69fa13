"""Where the filled files go: one file, or a folder of several."""

import argparse
from pathlib import Path

from seqlight.cli.errors import CommandError
from seqlight.cli.outputs import OUTPUTS, check_distinct, check_not_read, check_output, check_outputs

ONE = Path("filled.csv")
SEVERAL = Path("filled")
_PACKED = (".zst", ".bz2", ".xz", ".zip")
_NO_TEXT = (".parquet", ".arrow", ".ipc", ".feather", ".xlsx", ".xlsm", ".xlsb", ".xls", ".ods")


def settle_outputs(given: argparse.Namespace) -> None:
    """Set ``given.outputs``, a file for each input, and check that all can be written.

    Of several inputs ``--output`` is a folder, in which each has its own name. What is written is CSV: a file
    that holds a frame or a sheet gets the ending ``.csv``.

    Raises:
        CommandError: a file could not be written, is read, or would be written twice.
    """
    if len(given.paths) == 1:
        given.output = given.output or ONE
        if given.output.suffix.lower() in (*_NO_TEXT, *_PACKED):
            raise CommandError(
                "--output: what is written is CSV, plain or compressed by gzip; expected a name that ends in "
                f".csv or .csv.gz, got {str(given.output)!r}"
            )
        check_outputs(given)
        given.outputs = [given.output]
        return
    folder = given.output or SEVERAL
    if folder.exists() and not folder.is_dir():
        raise CommandError(
            f"--output: of several files it is the folder of the filled ones, and {str(folder)!r} is a file; "
            "give another name"
        )
    check_output(folder / "any.csv" if folder.is_dir() else folder, "--output")
    outputs = [folder / _written_name(path) for path in given.paths]
    twice = next((path for path in outputs if outputs.count(path) > 1), None)
    if twice is not None:
        raise CommandError(
            f"--output: two of the files would be written as {str(twice)!r}; fill them one by one, or rename "
            "one of them"
        )
    given.output = None
    check_outputs(given)
    check_not_read({f"--output of {path.name}": path for path in outputs}, given.paths)
    others = {f"--{name}": getattr(given, name) for name in OUTPUTS if getattr(given, name) is not None}
    for path in outputs:
        check_distinct(others | {"--output": path})
    given.outputs = outputs


def _written_name(path: Path) -> str:
    """The name of a filled file: the input's, with the ending of a CSV where it has another."""
    name = path.name
    if path.suffix.lower() in _PACKED:
        name = path.stem if Path(path.stem).suffix else f"{path.stem}.csv"
    return f"{Path(name).stem}.csv" if Path(name).suffix.lower() in _NO_TEXT else name
