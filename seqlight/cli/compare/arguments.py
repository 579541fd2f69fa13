"""The arguments of ``seqlight compare strategies``, read and checked without importing torch."""

from dataclasses import dataclass
from pathlib import Path

from seqlight.cli.errors import CommandError
from seqlight.cli.html_report import add_report_option, keep_command
from seqlight.cli.input_arguments import (
    add_input_options,
    add_size_options,
    settle_source,
)
from seqlight.cli.outputs import check_outputs
from seqlight.cli.parser import Parser, collected, duration, positive_float, positive_int, seed
from seqlight.cli.series_arguments import SeriesArguments, add_series_options

NETWORKS = ("lstm", "gru", "rnn", "wavenet", "tcn", "segment_rnn", "es_rnn")
RECURRENT = ("lstm", "gru", "rnn")
STRATEGIES = ("recursive", "direct", "every_step")
DIRECT = ("segment_rnn", "es_rnn")  # networks that answer with all steps at once and in no other way
CHAPTER_CONTEXT = 50
CHAPTER_HORIZON = 10

DESCRIPTION = """\
Train one network with each strategy for several steps ahead, and compare their errors on the test part.

  recursive   the network predicts one step, which is fed back, and so on
  direct      its last output holds all steps at once
  every_step  at each step of the input its output holds all following steps; the last one is the forecast

Without a file it takes the series of the book's chapter, sums of two sine waves, ten steps ahead. The table
shows mean absolute and mean squared errors over all steps ahead and at the last one; the plot shows them at
every step."""

EPILOG = """\
examples:
  seqlight compare strategies --plot strategies.png
  seqlight compare strategies --network gru --hidden-size 20 --num-layers 2 --epochs 20
  seqlight compare strategies sales.csv --time ds --target y --horizon 24"""


@dataclass(frozen=True, kw_only=True)
class CompareArguments:
    """What the user asked ``seqlight compare strategies`` for.

    ``inputs`` is None for the chapter's series, whose windows have ``context`` and ``horizon`` steps.
    """

    inputs: SeriesArguments | None
    context: int
    horizon: int
    network: str
    strategies: list[str]
    hidden_size: int
    num_layers: int | None
    lr: float
    transform: str
    epochs: int | None
    max_time: float
    seed: int
    output: Path | None
    plot: Path | None
    report: Path | None
    progress: bool
    command: str


def build_parser() -> Parser:
    """The parser of ``seqlight compare strategies``."""
    parser = Parser(prog="seqlight compare strategies", description=DESCRIPTION, epilog=EPILOG)
    add_input_options(parser)
    add_series_options(parser)
    model = parser.add_argument_group("model")
    add_size_options(model)
    model.add_argument("--network", choices=NETWORKS, default="lstm", help="default: lstm")
    model.add_argument(
        "--strategies",
        nargs="+",
        choices=STRATEGIES,
        metavar="NAME",
        help=f"default: {' '.join(STRATEGIES)}; {' and '.join(DIRECT)} have direct alone",
    )
    model.add_argument("--hidden-size", type=positive_int, default=20, metavar="N", help="default: 20")
    model.add_argument(
        "--num-layers", type=positive_int, metavar="N", help="of a recurrent network; default: 2"
    )
    model.add_argument(
        "--lr",
        type=positive_float,
        default=1e-2,
        metavar="RATE",
        help="peak of the one-cycle schedule of the learning rate; default: 0.01",
    )
    model.add_argument(
        "--transform",
        default="instance",
        metavar="TEXT",
        help="what is done to the values first, such as none, standard or 'difference(24) + instance'; "
        "default: instance, scaling by each window's own past",
    )
    model.add_argument(
        "--epochs", type=positive_int, metavar="N", help="at most so many; default: 12, more for few windows"
    )
    model.add_argument(
        "--max-time",
        type=duration,
        default=120.0,
        metavar="SECONDS",
        help="each training also ends after this time; default: 120",
    )
    model.add_argument("--seed", type=seed, default=0, metavar="N", help="of the random numbers; default: 0")
    results = parser.add_argument_group("output")
    results.add_argument(
        "-o", "--output", type=Path, metavar="CSV", help="write the errors at every step ahead"
    )
    results.add_argument(
        "--plot", type=Path, metavar="PNG", help="draw the errors at every step ahead (png, pdf or svg)"
    )
    add_report_option(results)
    results.add_argument("--no-progress", action="store_false", dest="progress", help="no progress bar")
    return parser


def parse(arguments: list[str]) -> CompareArguments:
    """Read the arguments and check all that can be checked without reading the data.

    Raises:
        CommandError: an argument is missing, contradicts another, or names an output that cannot be written.
    """
    parser = build_parser()
    given = parser.parse_args(arguments)
    keep_command(parser, given, arguments)
    given.inputs = None
    if given.demo or given.paths:
        settle_source(parser, given)
        given.inputs = collected(SeriesArguments, given)
    else:
        of_files = (("--time", given.time), ("--target", given.targets), ("--id", given.id))
        for option, value in (*of_files, ("--season", given.season)):
            if value is not None:
                parser.error(f"{option} belongs to a file; give the path of a CSV, or leave {option} out")
    if given.num_layers is not None and given.network not in RECURRENT:
        parser.error(f"--num-layers belongs to {', '.join(RECURRENT)}; leave it out with {given.network}")

    if given.strategies is None:
        given.strategies = ["direct"] if given.network in DIRECT else list(STRATEGIES)
    elif given.network in DIRECT and given.strategies != ["direct"]:
        parser.error(f"--strategies: {given.network} has direct alone; leave the option out")
    check_outputs(given)
    if len(set(given.strategies)) < len(given.strategies):
        raise CommandError("--strategies: name each one once")

    given.context = given.context or CHAPTER_CONTEXT
    given.horizon = given.horizon or CHAPTER_HORIZON
    return collected(CompareArguments, given)
