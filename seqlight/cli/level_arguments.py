"""Options of prediction intervals."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from seqlight.cli.parser import Parser

METHODS = {
    "split": "split",
    "two-sided": "split, two-sided",
    "adaptive": "adaptive",
    "scaled": "scaled",
    "cqr": "CQR",
    "adaptive-scaled": "adaptive, scaled",
    "adaptive-cqr": "adaptive CQR",
}
IntervalOption = Literal[
    "auto", "split", "two-sided", "adaptive", "scaled", "cqr", "adaptive-scaled", "adaptive-cqr"
]


@dataclass(frozen=True, kw_only=True)
class LevelArguments:
    """Which intervals; no level for none."""

    levels: tuple[float, ...]
    interval_method: IntervalOption


def bound_columns(target: str, levels: Sequence[float]) -> list[str]:
    """Names of the columns of a target's bounds: ``y-lo-80``, ``y-hi-80``, ..."""
    names = [repr(float(level)).removesuffix(".0") for level in levels]
    return [f"{target}-{side}-{name}" for name in names for side in ("lo", "hi")]


def add_level_options(parser: Parser, *, default: str, judged: str) -> "argparse._ArgumentGroup":
    """Add levels and the method.

    Args:
        parser: of the command.
        default: what is taken without ``--level``, for the help.
        judged: over what the observed coverage is taken, for the help.
    """
    group = parser.add_argument_group("intervals")
    group.add_argument(
        "--level",
        type=level,
        nargs="+",
        action="extend",
        dest="levels",
        metavar="PERCENT",
        help=f"nominal coverage of the intervals, repeatable; default: {default}. Their observed coverage "
        f"{judged} is printed; it is approximate, for windows overlap and the future drifts",
    )
    group.add_argument(
        "--interval-method",
        choices=["auto", *METHODS],
        default="auto",
        help="how margins follow from the errors in the calibration part: split (conformal, one quantile for "
        "each step), two-sided (one for each side), adaptive (split, then each miss widens and each hit "
        "narrows); scaled and cqr start from what a model says of its own errors; auto (the default): by the "
        "interval score within the calibration part",
    )
    return group


def level(text: str) -> float:
    """A level in per cent, for ``type=``."""
    try:
        value = float(text.removesuffix("%"))
    except ValueError:
        value = float("nan")
    if not 1 <= value < 100:
        share = f"; did you mean {100 * value:g}?" if 0 < value < 1 else ""
        raise argparse.ArgumentTypeError(
            f"expected per cent, at least 1 and below 100, such as 80, got {text!r}{share}"
        )
    return value


def settle_levels(parser: Parser, given: argparse.Namespace, default: Sequence[float]) -> None:
    """Sort the levels that were given, or take the default ones."""
    given.levels = tuple(sorted(set(given.levels or default)))
    if not given.levels and given.interval_method != "auto":
        parser.error("--interval-method needs levels; give --level 80 95")
