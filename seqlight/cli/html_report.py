"""``--report``: the option, and where a report says that it comes from."""

import argparse
import dataclasses
import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seqlight.cli.parser import Parser

if TYPE_CHECKING:
    from seqlight.report import Origin

NO_SETTINGS = (
    *("command", "csv", "inputs", "source", "output", "outputs", "plot", "save", "report", "progress"),
    "suffix",
)


def add_report_option(results: Any) -> None:
    """Add ``--report`` to a group of options."""
    results.add_argument(
        "--report",
        type=Path,
        metavar="HTML",
        help="write a report: pictures, errors, what is odd in the data, in one file that needs no network",
    )


def keep_command(parser: Parser, given: argparse.Namespace, arguments: Iterable[str]) -> None:
    """Keep the command line, for the report to say."""
    given.command = shlex.join([*parser.prog.split(), *arguments])


def origin_of(
    given: Any, decided: Mapping[str, object], notes: Iterable[str], source: Path | None
) -> "Origin":
    """Return what a report says of its making.

    Args:
        given: the command's arguments, a dataclass with ``command``; what is empty or None is left out.
        decided: what was chosen where the arguments said nothing, by name.
        notes: sentences that were printed.
        source: the file that was read.
    """
    from seqlight.report import Origin

    settings: dict[str, object] = {}
    for part in (given, getattr(given, "inputs", None)):
        for field in dataclasses.fields(part) if part is not None else ():
            value = getattr(part, field.name)
            if field.name not in NO_SETTINGS and value is not None and value is not False and value != []:
                settings[field.name.replace("_", " ")] = in_words(value)
    settings |= {name: in_words(value) for name, value in decided.items()}
    return Origin(
        source="" if source is None else source.name,
        command=given.command,
        settings=settings,
        notes=list(notes),
    )


def in_words(value: object) -> str:
    """A setting as text."""
    if value is True:
        return "yes"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "none"
    return f"{value:g}" if isinstance(value, float) else str(value)
