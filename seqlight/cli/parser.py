"""An argument parser whose errors are a line or two, instead of the usage of every option."""

import argparse
from dataclasses import fields
from typing import TYPE_CHECKING, NoReturn, TypeVar

from seqlight.cli.errors import CommandError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

LARGEST_SEED = 2**32 - 1  # NumPy takes no larger one
LARGEST_NUMBER = 2**31 - 1  # of steps, units, ...; a larger one is a slip, and overflows in places
LONGEST_TIME = 1e9  # seconds; Python's durations end soon after
LONGEST_SHOWN = 40  # characters of a value in a message

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
    value = _whole_number(text)
    if value is None or value < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 1, got {_shown(text)}")
    if value > LARGEST_NUMBER:
        raise argparse.ArgumentTypeError(f"expected at most {LARGEST_NUMBER}, got {_shown(text)}")
    return value


def seed(text: str) -> int:
    """A seed of random numbers, for ``type=``."""
    value = _whole_number(text)
    if value is None or not 0 <= value <= LARGEST_SEED:
        raise argparse.ArgumentTypeError(
            f"expected a whole number from 0 to {LARGEST_SEED}, got {_shown(text)}"
        )
    return value


def whole_number(text: str) -> int:
    """An integer of at least 0, for ``type=``."""
    try:
        value = int(text)
    except ValueError:
        value = -1
    if value < 0:
        raise argparse.ArgumentTypeError(f"expected a whole number, 0 or more, got {text!r}")
    return value


def positive_float(text: str) -> float:
    """A finite number above 0, for ``type=``."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0.0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"expected a number above 0, got {_shown(text)}")
    return value


def duration(text: str) -> float:
    """Seconds, for ``type=``."""
    value = positive_float(text)
    if value > LONGEST_TIME:
        raise argparse.ArgumentTypeError(f"expected at most {LONGEST_TIME:g} seconds, got {_shown(text)}")
    return value


def _whole_number(text: str) -> int | None:
    try:
        return int(text)
    except ValueError:  # no number, or one of thousands of digits
        return None


def _shown(text: str) -> str:
    return repr(text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}...")


def separator(text: str) -> str:
    r"""One character between columns, for ``type=``; ``\t`` or ``tab`` for a tabulator."""
    if text in (r"\t", "tab"):
        return "\t"
    if len(text) != 1:
        raise argparse.ArgumentTypeError(f"expected one character (or 'tab'), got {text!r}")
    return text
