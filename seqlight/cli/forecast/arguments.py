"""The arguments of ``seqlight forecast``, read and checked without importing torch."""

import argparse
from dataclasses import dataclass
from pathlib import Path

from seqlight.cli.bounds_arguments import BoundsArguments, add_bounds_options, settle_bounds
from seqlight.cli.html_report import add_report_option, keep_command
from seqlight.cli.input_arguments import (
    add_input_options,
    add_size_options,
    settle_source,
)
from seqlight.cli.level_arguments import LevelArguments, add_level_options, settle_levels
from seqlight.cli.network_arguments import NetworkArguments, add_network_options
from seqlight.cli.outputs import check_outputs
from seqlight.cli.parser import Parser, collected
from seqlight.cli.series_arguments import SeriesArguments, add_series_options

DEFAULT_LEVELS = (80.0, 95.0)

SIMPLE = ("linear", "seasonal", "naive")
NETWORKS = {
    "lstm": "peephole LSTM",
    "gru": "GRU",
    "tcn": "TCN",
    "wavenet": "WaveNet",
    "segment_rnn": "segment RNN",
    "linear_rnn": "linear + segment RNN",
    "es_rnn": "ES-RNN",
}
"""What tables call the networks that ``--model`` names."""
SIZED = ("auto", "lstm", "gru")
"""Those whose network takes --hidden-size and --num-layers."""
MODELS = ("auto", *NETWORKS, *SIMPLE)
OLD_NAME = "portfolio"  # of auto, when the default was one network
MAX_TIME = 90.0  # seconds, of all trainings together

DESCRIPTION = """\
Train several models on a CSV, and forecast the time after its last known value with their weighted mean.

The file has one row per time step (and per series, with --id): a column of timestamps at regular distances,
and one or more numeric columns. Rows may be in any order; absent rows and empty cells are missing values.
The last parts of every series are held back, one to weigh the models on (validation), one to make intervals
from (calibration), one to judge both (test). Simple forecasts come first, then networks, as many as
--max-time allows. A table tells each one's weight, error on the validation part and time; a second one
compares all of them over the test part, in the data's own units. The forecast itself is written to a CSV,
with the bounds of its 80 % and 95 % intervals, or those of --level, in columns such as y-lo-80 and y-hi-80.
Where no mean is better than one model alone, that one forecasts. --model NAME takes one whatever its
errors."""

EPILOG = """\
examples:
  seqlight forecast --demo --plot forecast.png
  seqlight forecast sales.csv --time ds --target y --horizon 24 -o forecast.csv --plot forecast.png
  seqlight forecast sales.csv --time ds --target y --level 50 --level 90 --all-intervals
  seqlight forecast export.csv --time Zeit --target Last --separator ';' --decimal-comma --encoding latin-1"""


@dataclass(frozen=True, kw_only=True)
class ForecastArguments(LevelArguments, BoundsArguments, NetworkArguments, SeriesArguments):
    """What the user asked ``seqlight forecast`` for; None where the data decide."""

    all_intervals: bool
    model: str
    refit: bool
    output: Path
    plot: Path | None
    report: Path | None
    save: Path | None
    progress: bool
    command: str


def build_parser() -> Parser:
    """The parser of ``seqlight forecast``."""
    parser = Parser(prog="seqlight forecast", description=DESCRIPTION, epilog=EPILOG)
    add_input_options(parser)
    add_series_options(parser)
    add_bounds_options(parser)
    intervals = add_level_options(parser, default="80 95", judged="on the test part")
    intervals.add_argument(
        "--all-intervals",
        action="store_true",
        help="print how the intervals of every method held, with ranges over resampled blocks of time",
    )
    intervals.add_argument(
        "--no-intervals",
        action="store_true",
        help="none, and no calibration part: the test part is twice as long",
    )

    model = parser.add_argument_group("model")
    model.add_argument(
        "--model",
        type=lambda name: "auto" if name == OLD_NAME else name,
        choices=MODELS,
        default="auto",
        metavar="NAME",
        help="auto (the default): the weighted mean of as many models as --max-time allows. One model alone, "
        f"beside simple ones to compare it with: a network ({', '.join(NETWORKS)}), or a forecast that needs "
        "no training: linear (least squares), seasonal (the last season again), naive (the last value again)",
    )
    add_size_options(model)
    add_network_options(
        model,
        sizes="of lstm and gru, and of the LSTM of auto",
        max_time=MAX_TIME,
        time="all trainings together take about so long; auto shares it out and leaves out what does not fit",
    )
    model.add_argument(
        "--refit",
        action="store_true",
        help="train the model in use again on all data before it forecasts, of a mean each member; weights "
        "and errors stay those from before, and --max-time covers both trainings",
    )

    results = parser.add_argument_group("output")
    results.add_argument(
        "-o",
        "--output",
        type=Path,
        default=Path("forecast.csv"),
        metavar="CSV",
        help="the forecast, replaced if there is one already; default: forecast.csv",
    )
    results.add_argument(
        "--plot", type=Path, metavar="PNG", help="draw history and forecast (png, pdf or svg)"
    )
    results.add_argument(
        "--save",
        type=Path,
        metavar="CKPT",
        help="keep the model of the forecast, for seqlight predict and seqlight.load",
    )
    add_report_option(results)
    results.add_argument("--no-progress", action="store_false", dest="progress", help="no progress bar")
    return parser


def settle_intervals(parser: Parser, given: argparse.Namespace) -> None:
    """Take the default levels, or none if none are wanted."""
    for option, value in (
        ("--level", given.levels),
        ("--all-intervals", given.all_intervals),
        ("--interval-method", given.interval_method != "auto"),
    ):
        if given.no_intervals and value:
            parser.error(f"--no-intervals contradicts {option}; leave one of them out")
    settle_levels(parser, given, () if given.no_intervals else DEFAULT_LEVELS)


def parse(arguments: list[str]) -> ForecastArguments:
    """Read the arguments and check all that can be checked without reading the data.

    Raises:
        CommandError: an argument is missing, contradicts another, or names an output that cannot be written.
    """
    parser = build_parser()
    given = parser.parse_args(arguments)
    keep_command(parser, given, arguments)
    settle_source(parser, given)
    settle_bounds(given)
    settle_intervals(parser, given)
    check_outputs(given)
    return collected(ForecastArguments, given)
