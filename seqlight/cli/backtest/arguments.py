"""The arguments of ``seqlight backtest``, read and checked without importing torch."""

import argparse
from dataclasses import dataclass
from pathlib import Path

from seqlight.cli.bounds_arguments import BoundsArguments, add_bounds_options, settle_bounds
from seqlight.cli.errors import CommandError
from seqlight.cli.html_report import add_report_option, keep_command
from seqlight.cli.input_arguments import add_input_options, add_size_options, settle_source
from seqlight.cli.level_arguments import LevelArguments, add_level_options, settle_levels
from seqlight.cli.network_arguments import NetworkArguments, add_network_options
from seqlight.cli.outputs import check_outputs
from seqlight.cli.parser import Parser, collected, positive_int
from seqlight.cli.series_arguments import SeriesArguments, add_series_options

MODELS = ("auto", "lstm", "linear", "seasonal", "naive2", "naive")
LEARNED = ("auto", "lstm", "linear")
"""Those that learn of the data."""
TRAINED = ("auto", "lstm")
"""Those that are trained by steps, each for up to --max-time."""
TABLES = (".csv", ".csv.gz", ".parquet")
DEFAULT_WINDOWS = 5

DESCRIPTION = """\
Forecast a CSV from several past times, each as if nothing after it were known, and compare with what came.

The last window ends with the last known value, each one before it begins --step-size steps earlier. All
series are cut at the same times, also where they end at different ones (--origin own counts from each one's
own end). Models are trained on what was known at the first of these times (--refit never), at each (always)
or at every K-th; scales, categories and the denominators of MASE end there too. Columns that are known ahead
stay known. --max-time is for each of these trainings. The table that is written has one row for each series,
window and step:

  id, time, cutoff, target, lstm, linear, seasonal, naive

where cutoff is the time of the last value that was known; it is the form of the cross-validation of Nixtla's
libraries. With --level 80 95 each model is followed by the bounds of its intervals, lstm-lo-80, lstm-hi-80
and so on, made from its errors on the last tenth of what was known, on which it was not trained."""

ORIGIN = (
    "common: all series are cut at the same times, counted from the end of the one that ends last, so that "
    "nothing is known that came later; own: each counted from its own end, so that models of all series know "
    "values of some that came after the cutoff of others; auto (the default): common where rows have times, "
    "own where they have none"
)

EPILOG = """\
examples:
  seqlight backtest --demo --windows 4 -o backtest.csv
  seqlight backtest sales.csv --time ds --target y --horizon 24 --windows 8 --step-size 12 --refit 4
  seqlight backtest sales.csv --time ds --target y --windows 20 --level 80 95
  seqlight backtest sales.csv --windows 20 --models linear naive -o backtest.parquet
  seqlight backtest sales.csv --windows 3 --refit always --model auto --max-time 60
  seqlight backtest sales.csv --windows 3 --checkpoint model.ckpt"""


@dataclass(frozen=True, kw_only=True)
class BacktestArguments(LevelArguments, BoundsArguments, NetworkArguments, SeriesArguments):
    """What the user asked ``seqlight backtest`` for; None where the data decide."""

    windows: int
    step_size: int | None
    refit: int
    all_data: bool
    models: list[str] | None
    checkpoint: Path | None
    output: Path
    report: Path | None
    progress: bool
    command: str


def build_parser() -> Parser:
    """The parser of ``seqlight backtest``."""
    parser = Parser(prog="seqlight backtest", description=DESCRIPTION, epilog=EPILOG)
    add_input_options(parser)
    add_series_options(parser, ORIGIN)
    add_bounds_options(parser)
    add_level_options(parser, default="none", judged="over all windows")
    windows = parser.add_argument_group("windows")
    windows.add_argument(
        "--windows",
        type=positive_int,
        default=DEFAULT_WINDOWS,
        metavar="N",
        help=f"number of past times to forecast from; default: {DEFAULT_WINDOWS}",
    )
    windows.add_argument(
        "--step-size", type=positive_int, metavar="STEPS", help="from one to the next; default: the horizon"
    )
    windows.add_argument(
        "--refit",
        type=refit,
        default=0,
        metavar="never|always|K",
        help="train again at no later window (never, the default), at each, or at every K-th",
    )
    windows.add_argument(
        "--all-data",
        action="store_true",
        help="make each trained model again of all that was known before it forecasts, as seqlight forecast "
        "--refit does; intervals keep the errors from before",
    )
    model = parser.add_argument_group("model")
    model.add_argument(
        "--models",
        "--model",
        nargs="+",
        choices=MODELS,
        metavar="NAME",
        help="which of auto (the weighted mean of several models, as seqlight forecast makes it), lstm (a "
        "peephole LSTM), linear (least squares), seasonal (the last season again), naive2 (the benchmark of "
        "the M4 competition: the last value, the season taken out before), naive (the last value again); "
        "default: all but auto and naive2 that the data allow, with --checkpoint seasonal and naive",
    )
    model.add_argument(
        "--checkpoint",
        type=Path,
        metavar="CKPT",
        help="a saved model, such as seqlight forecast --save writes, as it is: never trained again, and "
        "refused for windows that it was trained on; columns and sizes are those of its training",
    )
    add_size_options(model)
    add_network_options(
        model,
        sizes="of the LSTM",
        time="each training also ends after this time, that of all members of auto together; what all "
        "windows may take is printed before the first",
    )
    results = parser.add_argument_group("output")
    results.add_argument(
        "-o",
        "--output",
        type=Path,
        default=Path("backtest.csv"),
        metavar="FILE",
        help="the forecasts, as CSV (.csv, .csv.gz) or Parquet (.parquet), replaced if there is one already; "
        "default: backtest.csv",
    )
    add_report_option(results)
    results.add_argument("--no-progress", action="store_false", dest="progress", help="no progress bar")
    return parser


def refit(text: str) -> int:
    """After how many windows models are trained again, 0 for never, for ``type=``."""
    if text in ("never", "always"):
        return int(text == "always")
    try:
        return positive_int(text)
    except argparse.ArgumentTypeError:
        raise argparse.ArgumentTypeError(
            f"expected never, always or a number of windows, got {text!r}"
        ) from None


def parse(arguments: list[str]) -> BacktestArguments:
    """Read the arguments and check all that can be checked without reading the data.

    Raises:
        CommandError: an argument is missing, contradicts another, or names an output that cannot be written.
    """
    parser = build_parser()
    given = parser.parse_args(arguments)
    keep_command(parser, given, arguments)
    settle_source(parser, given)
    settle_bounds(given)
    settle_levels(parser, given, ())
    if given.checkpoint is not None and not given.checkpoint.is_file():
        raise CommandError(f"--checkpoint: no such file: {given.checkpoint}")
    if given.models is not None and len(set(given.models)) < len(given.models):
        raise CommandError("--models: name each one once")
    if not str(given.output).lower().endswith(TABLES):
        raise CommandError(f"--output: expected a name that ends in {', '.join(TABLES)}, got {given.output}")
    check_outputs(given)
    return collected(BacktestArguments, given)
