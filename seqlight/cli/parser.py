"""An argument parser whose errors are a line or two, instead of the usage of every option."""

import argparse
from dataclasses import fields
from typing import TYPE_CHECKING, NoReturn, TypeVar

from seqlight.cli.errors import CommandError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Arguments = TypeVar("Arguments", bound="DataclassInstance")


class Parser(argparse.ArgumentParser):
    """``argparse.ArgumentParser`` that raises :class:`CommandError` and takes no abbreviated options."""

    def __init__(self, *, prog: str, description: str, epilog: str | None = None) -> None:
        super().__init__(
            prog=prog,
            description=description,
            epilog=epilog,
            allow_abbrev=False,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )

    def error(self, message: str) -> NoReturn:
        """Raise instead of printing the usage and exiting."""
        raise CommandError(f"{message}\n  see: {self.prog} --help")


def collected(kind: type[Arguments], given: argparse.Namespace) -> Arguments:
    """A dataclass whose fields have the names of what was parsed."""
    return kind(**{field.name: getattr(given, field.name) for field in fields(kind)})


def positive_int(text: str) -> int:
    """An integer of at least 1, for ``type=``."""
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 1, got {text!r}")
    return value


def positive_float(text: str) -> float:
    """A finite number above 0, for ``type=``."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0.0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"expected a number above 0, got {text!r}")
    return value


def separator(text: str) -> str:
    r"""One character between columns, for ``type=``; ``\t`` or ``tab`` for a tabulator."""
    if text in (r"\t", "tab"):
        return "\t"
    if len(text) != 1:
        raise argparse.ArgumentTypeError(f"expected one character (or 'tab'), got {text!r}")
    return text
