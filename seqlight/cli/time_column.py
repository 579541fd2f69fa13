"""The columns and the layout of a file that the user did not name."""

import shlex
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, TypeVar

from seqlight.cli.errors import CommandError
from seqlight.cli.input_arguments import InputArguments, dialect_of, source_of
from seqlight.cli.wording import as_options
from seqlight.data import CSVDialect, DataError
from seqlight.data.io.detect import Reading, detect
from seqlight.data.io.sources import SeveralFiles, open_source

Given = TypeVar("Given", bound=InputArguments)
_QUESTIONS = {
    "time_col": "--time COLUMN",
    "target_cols": "--target COLUMN",
    "id_col": "--id COLUMN",
    "layout": "--layout",
}


def found_columns(given: Given, command: str) -> tuple[Given, str]:
    """Open the file, once, and return the arguments with every column named, and one line of what was found.

    The line is "" if all were given.

    Raises:
        CommandError: a column is not found, or there are several to choose from.
        seqlight.data.DataError: the file cannot be read.
    """
    asked: Any = given  # whose columns may be None
    dialect = dialect_of(given)
    source = open_source(source_of(given), dialect)
    given = replace(given, source=source)
    if given.file_id is not None and not isinstance(source, SeveralFiles):
        raise CommandError("--file-id: names series by their files, and there is one file; leave it out")
    covariates = [
        name
        for names in ("past_covariates", "future_covariates", "static")
        for name in getattr(given, names, [])
    ]
    reading = found_reading(source, dialect, given, command, covariates=covariates)
    options = found_options(asked, reading)
    ids = list(reading.id_cols)
    if given.file_id is not None and given.file_id not in ids:
        ids.insert(0, given.file_id)
    settled = replace(
        given,
        time=list(reading.time_cols),
        targets=list(reading.target_cols),
        id=ids or None,
        layout=reading.layout,
    )
    return settled, found_line(options)


def found_reading(
    source: Any,
    dialect: CSVDialect,
    given: Any,
    command: str,
    *,
    covariates: Sequence[str] = (),
    every_target: bool = False,
) -> Reading:
    """Return what an open file is taken for, its columns as given or found.

    Raises:
        CommandError: a column is not found, or there are several to choose from.
        seqlight.data.DataError: the file cannot be read.
    """
    if given.time is not None and given.targets is not None and getattr(given, "layout", None) != "rows":
        return Reading(
            tuple(given.time), tuple(given.targets), tuple(given.id or ()), None, dialect.layout or "long"
        )
    try:
        return detect(
            source,
            dialect,
            time_cols=given.time,
            target_cols=given.targets,
            id_cols=given.id,
            covariate_cols=covariates,
            time_format=given.time_format,
            every_target=every_target,
        )
    except DataError as error:
        raise _question(error, command) from None


def found_options(asked: Any, reading: Reading, *, every_target: bool = False) -> list[tuple[str, str]]:
    """Return the options that pin what was found; names that nothing in the file has are none of it."""
    options: list[tuple[str, str]] = []
    if getattr(asked, "layout", None) is None and reading.layout != "long":
        options.append(("--layout", reading.layout))
    if asked.time is None and reading.layout != "rows":
        options += [("--time", name) for name in reading.time_cols or ["none"]]
    if asked.targets is None and reading.layout == "long" and not every_target:
        options += [("--target", name) for name in reading.target_cols]
    if asked.id is None and reading.layout != "wide":
        options += [("--id", name) for name in reading.id_cols]
    if asked.separator is None and reading.separator not in (None, ","):
        options.append(("--separator", "tab" if reading.separator == "\t" else str(reading.separator)))
    return options


def found_line(options: Sequence[tuple[str, str]]) -> str:
    """Return what was found, in the options that pin it; "" for nothing."""
    if not options:
        return ""
    return "found in the file: " + " ".join(f"{option} {shlex.quote(value)}" for option, value in options)


def _question(error: DataError, command: str) -> Exception:
    argument, _, question = str(error).partition(": ")
    if argument not in _QUESTIONS:
        return error
    return CommandError(
        f"{_QUESTIONS[argument]} is missing: {as_options(question)}\n  see: seqlight {command} --help"
    )
