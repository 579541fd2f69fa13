"""Options of prediction intervals."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from seqlight.cli.parser import Parser

DEFAULT_LEVELS = (80.0, 95.0)
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
    all_intervals: bool


def bound_columns(target: str, levels: Sequence[float]) -> list[str]:
    """Names of the columns of a target's bounds: ``y-lo-80``, ``y-hi-80``, ..."""
    names = [repr(float(level)).removesuffix(".0") for level in levels]
    return [f"{target}-{side}-{name}" for name in names for side in ("lo", "hi")]


def add_level_options(parser: Parser) -> None:
    """Add levels, the method, and whether to show all methods."""
    group = parser.add_argument_group("intervals")
    group.add_argument(
        "--level",
        type=level,
        nargs="+",
        action="extend",
        dest="levels",
        metavar="PERCENT",
        help="nominal coverage of the intervals, repeatable; default: 80 95. Their observed coverage on the "
        "test part is printed; it is approximate, for windows overlap and the future drifts",
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
    group.add_argument(
        "--all-intervals",
        action="store_true",
        help="print how the intervals of every method held, with ranges over resampled blocks of time",
    )
    group.add_argument(
        "--no-intervals",
        action="store_true",
        help="none, and no calibration part: the test part is twice as long",
    )


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


def settle_levels(parser: Parser, given: argparse.Namespace) -> None:
    """Take the default levels, or none, and sort what was given."""
    if given.no_intervals:
        for option, value in (("--level", given.levels), ("--all-intervals", given.all_intervals)):
            if value:
                parser.error(f"--no-intervals contradicts {option}; leave one of them out")
        if given.interval_method != "auto":
            parser.error("--no-intervals contradicts --interval-method; leave one of them out")
    levels = [] if given.no_intervals else given.levels or DEFAULT_LEVELS
    given.levels = tuple(sorted(set(levels)))
