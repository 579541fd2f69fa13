"""The columns of a file that the user did not name."""

import shlex
import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, TypeVar

from seqlight.cli.errors import CommandError
from seqlight.cli.input_arguments import InputArguments, dialect_of
from seqlight.data import CSVDialect, DataError
from seqlight.data.io.binary_files import binary_frame
from seqlight.data.io.detect import detect, find_times
from seqlight.data.io.text_file import TextFile, open_text

Given = TypeVar("Given", bound=InputArguments)
_QUESTIONS = {"time_col": "--time", "target_cols": "--target", "id_col": "--id"}


def found_columns(given: Given, command: str) -> tuple[Given, str]:
    """Return the arguments with every column named, and one line of what was found ("" if all were given).

    Raises:
        CommandError: a column is not found, or there are several to choose from.
        seqlight.data.DataError: the file cannot be read.
    """
    asked: Any = given  # whose columns may be None
    if asked.time is not None and asked.targets is not None:
        return given, ""
    if str(given.csv) != "-" and binary_frame(given.csv) is not None:
        option = "--time" if asked.time is None else "--target"
        raise CommandError(f"{option} COLUMN is missing: the columns are found in text files only")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # reading the data says it again, as a note
        file = open_text(given.csv, given.encoding)
    try:
        reading = detect(
            file,
            dialect_of(given),
            time_cols=given.time,
            target_cols=given.targets,
            id_cols=given.id,
            time_format=given.time_format,
        )
    except DataError as error:
        raise _question(error, command) from None
    options = [("--time", name) for name in reading.time_cols if asked.time is None]
    options += [("--target", name) for name in reading.target_cols if asked.targets is None]
    options += [("--id", name) for name in reading.id_cols if given.id is None]
    if given.separator is None and reading.separator != ",":
        options.append(("--separator", "tab" if reading.separator == "\t" else reading.separator))
    settled = replace(
        given,
        time=list(reading.time_cols),
        targets=list(reading.target_cols),
        id=list(reading.id_cols) or None,
    )
    return settled, found_line(options)


def found_line(options: Sequence[tuple[str, str]]) -> str:
    """Return what was found, in the options that pin it."""
    return "found in the file: " + " ".join(f"{option} {shlex.quote(value)}" for option, value in options)


def find_time_columns(file: TextFile, dialect: CSVDialect, time_format: str | None) -> list[str]:
    """Return the columns of times.

    Raises:
        CommandError: there are none, or several to choose from.
    """
    try:
        return find_times(file, dialect, time_format)
    except DataError as error:
        raise _question(error, "impute") from None


def _question(error: DataError, command: str) -> Exception:
    argument, _, question = str(error).partition(": ")
    if argument not in _QUESTIONS:
        return error
    return CommandError(
        f"{_QUESTIONS[argument]} COLUMN is missing: {question}\n  see: seqlight {command} --help"
    )
