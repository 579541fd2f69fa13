"""The arguments that say what is known beside the targets, and where the forecast begins."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from seqlight.cli.errors import CommandError
from seqlight.cli.input_arguments import InputArguments
from seqlight.cli.parser import Parser

_DAY = 24 * 3600 * 1_000_000  # microseconds

if TYPE_CHECKING:
    from seqlight.data import SeriesStore


@dataclass(frozen=True, kw_only=True)
class SeriesArguments(InputArguments):
    """Which file, what windows of it, what is known beside the targets, and where its forecast begins."""

    past_covariates: list[str]
    future_covariates: list[str]
    static: list[str]
    future: Path | None
    static_file: Path | None
    holidays: list[str]
    origin: Literal["auto", "own", "common"]
    as_of: str | None


FORECAST_ORIGIN = (
    "own: after the last known value of each series; common: after the latest one of all; auto (the "
    "default): as own, but a series that ended more than one context before the latest has no forecast"
)


def add_series_options(parser: Parser, origin_help: str = FORECAST_ORIGIN) -> None:
    """Add covariates, and where forecasts begin; ``origin_help`` says what --origin means to the command."""
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
    covariates.add_argument(
        "--future",
        type=Path,
        metavar="FILE",
        help="second file with rows in which covariates are known ahead; same columns of times and ids",
    )
    covariates.add_argument(
        "--static-file",
        type=Path,
        metavar="FILE",
        help="file with one row for each series: the same columns of ids, and those of --static",
    )
    covariates.add_argument(
        "--holidays",
        metavar="COUNTRY",
        action="append",
        default=[],
        help="public holidays of a country or a part of it, known ahead: DE, US-CA",
    )
    series = parser.add_argument_group("where the forecast begins")
    series.add_argument(
        "--origin",
        choices=["auto", "own", "common"],
        default="auto",
        help=origin_help,
    )
    series.add_argument(
        "--as-of",
        metavar="TIME",
        help="forecast as if values after this time were not known; written as in the file",
    )


def holiday_features(given: SeriesArguments, store: "SeriesStore") -> list[str]:
    """Return the calendar features of --holidays.

    Raises:
        CommandError: a code is unknown, the package is not installed, or a step holds more than a day.
    """
    if not given.holidays:
        return []
    from seqlight.data import DataError
    from seqlight.data.time.calendar_features import HOLIDAYS, check_features

    names = [HOLIDAYS + code for code in dict.fromkeys(given.holidays)]
    try:
        check_features(names)
    except DataError as error:
        text = str(error).removeprefix("calendar_features: ").replace(HOLIDAYS, "")
        raise CommandError(f"--holidays: {text}") from None
    longest = int(store.lengths.argmax())
    times = store.timestamps(longest, 0, int(store.lengths[longest]))
    steps = times.to_physical().to_numpy()[1:] - times.to_physical().to_numpy()[:-1]
    if not times.dtype.is_temporal() or (steps > _DAY).mean() > 0.5:
        raise CommandError("--holidays: a holiday says something of steps of a day or less; leave it out")
    return names
