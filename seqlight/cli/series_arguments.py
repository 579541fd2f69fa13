"""The arguments that say what of the series is known, and from where they are forecast."""

from dataclasses import dataclass
from typing import Literal

from seqlight.cli.input_arguments import InputArguments
from seqlight.cli.parser import Parser


@dataclass(frozen=True, kw_only=True)
class SeriesArguments(InputArguments):
    """Which file, what windows of it, and where its forecast begins."""

    origin: Literal["auto", "own", "common"]
    as_of: str | None


def add_series_options(parser: Parser) -> None:
    """Add where forecasts begin."""
    series = parser.add_argument_group("where the forecast begins")
    series.add_argument(
        "--origin",
        choices=["auto", "own", "common"],
        default="auto",
        help="own: after the last known value of each series; common: after the latest one of all; auto (the "
        "default): as own, but a series that ended more than one context before the latest has no forecast",
    )
    series.add_argument(
        "--as-of",
        metavar="TIME",
        help="forecast as if values after this time were not known; written as in the file",
    )
