"""The arguments that say what is known beside the targets, and where the forecast begins."""

from dataclasses import dataclass
from typing import Literal

from seqlight.cli.input_arguments import InputArguments
from seqlight.cli.parser import Parser


@dataclass(frozen=True, kw_only=True)
class SeriesArguments(InputArguments):
    """Which file, what windows of it, what is known beside the targets, and where its forecast begins."""

    past_covariates: list[str]
    future_covariates: list[str]
    static: list[str]
    origin: Literal["auto", "own", "common"]
    as_of: str | None


def add_series_options(parser: Parser) -> None:
    """Add covariates, and where forecasts begin."""
    covariates = parser.add_argument_group("covariates, columns of numbers or text; repeat for several")
    for option, name, text in (
        ("--past-covariate", "past_covariates", "column known up to now only"),
        (
            "--future-covariate",
            "future_covariates",
            "column known ahead: rows with an empty target hold its values for the steps to forecast",
        ),
        ("--static", "static", "column that is constant within a series"),
    ):
        covariates.add_argument(option, metavar="COLUMN", action="append", dest=name, default=[], help=text)
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
