"""The arguments that say which values a forecast can have; no torch is imported."""

import argparse
import math
from dataclasses import dataclass
from typing import Any

from seqlight.cli.errors import CommandError
from seqlight.cli.parser import Parser


@dataclass(frozen=True, kw_only=True)
class BoundsArguments:
    """The range of a forecast; None where it has no end."""

    bounds: tuple[float | None, float | None] | None
    nonnegative: bool
    integer: bool


def add_bounds_options(parser: Parser) -> None:
    """Add the range of the forecast."""
    group = parser.add_argument_group("values that a forecast can have")
    group.add_argument("--nonnegative", action="store_true", help="none is below 0")
    group.add_argument(
        "--bounds",
        nargs=2,
        type=_bound,
        metavar=("LOW", "HIGH"),
        help="none is below LOW or above HIGH; 'none' for no bound",
    )
    group.add_argument("--integer", action="store_true", help="all are whole numbers")


def settle_bounds(given: argparse.Namespace) -> None:
    """Make a pair of the bounds.

    Raises:
        CommandError: nothing lies between them, or one contradicts --nonnegative.
    """
    if given.bounds is None:
        return
    low, high = given.bounds
    if given.nonnegative and low is not None and low < 0:
        raise CommandError(
            f"--bounds: LOW is {low:g}, which --nonnegative excludes; leave one of the two out"
        )
    if given.nonnegative and high is not None and high <= 0:
        raise CommandError(f"--bounds: HIGH is {high:g}, and --nonnegative leaves nothing below it")
    if low is not None and high is not None:
        first, last = (math.ceil(low), math.floor(high)) if given.integer else (low, high)
        if first >= last:
            kind = "several whole numbers" if given.integer else "values"
            raise CommandError(
                f"--bounds: expected LOW < HIGH with {kind} between them, got {low:g} {high:g}"
            )
    given.bounds = (low, high)


def bounds_arguments(given: BoundsArguments) -> dict[str, Any]:
    """The same as arguments of a forecaster; empty where nothing was said."""
    said = {"bounds": given.bounds, "nonnegative": given.nonnegative, "integer": given.integer}
    return {name: value for name, value in said.items() if value not in (None, False)}


def _bound(text: str) -> float | None:
    if text.lower() in ("none", "inf", "-inf"):
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"expected a number, or none for no bound, got {text!r}")
    return value
