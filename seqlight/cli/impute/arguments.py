"""The arguments of ``seqlight impute``, read and checked without importing torch."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from seqlight.cli.errors import CommandError
from seqlight.cli.html_report import add_report_option, keep_command
from seqlight.cli.impute.outputs import settle_outputs
from seqlight.cli.input_arguments import (
    add_format_options,
    add_layout_options,
    add_source_options,
    add_step_options,
    settle_source,
)
from seqlight.cli.parser import Parser, collected, duration, positive_float, positive_int, seed

Method = Literal["auto", "rnn", "conv", "linear", "last"]

DESCRIPTION = """\
Fill the empty cells of a CSV, and mark which ones were filled.

The file has one row per time (and per series, with --id) and one or more numeric columns; or each row is a
series (--layout rows). Rows may be in any order, at any times: the models are told the time between rows. The
output is the input, byte for byte, but for the filled cells and one more column per target, COLUMN_filled,
that is true where a cell was filled; where rows are series, one more column names the filled columns of each.
Several files are one data set, and each is written again into a folder. Rows are filled, not added;
--insert-rows adds those that are absent from a regular time grid.

A share of the known cells is hidden, in runs as long as the file's own gaps, and filled again by each method:
the table that is printed shows the errors on them, in the columns' units. With --model auto (the default) two
neural networks are trained on all columns together, and each column is filled by the method that was best on
one half of the hidden cells; the table is of the other half."""

EPILOG = """\
examples:
  seqlight impute --demo -o filled.csv --plot filled.png
  seqlight impute sensors.csv -o filled.csv
  seqlight impute sales.csv --time ds --target y --id shop --model linear -o filled.csv
  seqlight impute 'station-*.csv' --file-id station -o filled"""


@dataclass(frozen=True, kw_only=True)
class ImputeArguments:
    """What the user asked ``seqlight impute`` for; None where the data decide."""

    csv: Path
    paths: list[Path]
    source: Any
    time: list[str] | None
    targets: list[str] | None
    id: list[str] | None
    insert_rows: bool
    frequency: str | None
    separator: str | None
    decimal_comma: bool | None
    encoding: str | None
    thousands: str | None
    missing_values: list[str]
    skip_rows: int | None
    skip_footer: int | None
    layout: Literal["long", "wide", "rows"] | None
    sheet: str | None
    file_id: str | None
    time_format: str | None
    model: Method
    window: int | None
    hidden_size: int
    steps: int
    max_time: float
    hide: float
    seed: int
    outputs: list[Path]
    suffix: str
    plot: Path | None
    report: Path | None
    save: Path | None
    progress: bool
    command: str


def build_parser() -> Parser:
    """The parser of ``seqlight impute``."""
    parser = Parser(prog="seqlight impute", description=DESCRIPTION, epilog=EPILOG)
    source = parser.add_argument_group("input")
    add_source_options(
        source,
        time_help="column of timestamps; repeat it where date and time stand in two; none: rows are steps; "
        "default: found",
        target_help="numeric column to fill; repeat it for several; default: all numeric columns",
    )
    source.add_argument(
        "--insert-rows",
        action="store_true",
        help="add the rows that are absent between the first and last time of each series, and fill them",
    )
    add_step_options(
        source, help="time between two rows for --insert-rows, such as 1h, 30min, 1mo; default: found"
    )
    add_layout_options(source)
    add_format_options(source)

    model = parser.add_argument_group("model")
    model.add_argument(
        "--model",
        choices=["auto", "rnn", "conv", "linear", "last"],
        default="auto",
        help="recurrent network, convolutional network, linear interpolation in time, last value; "
        "auto (the default): for each column what is best on hidden cells",
    )
    model.add_argument(
        "--window",
        type=positive_int,
        metavar="ROWS",
        help="rows that a network sees at once; default: 168, more where gaps are long",
    )
    model.add_argument("--hidden-size", type=positive_int, default=64, metavar="N", help="default: 64")
    model.add_argument(
        "--steps", type=positive_int, default=600, metavar="N", help="training steps; default: 600"
    )
    model.add_argument(
        "--max-time",
        type=duration,
        default=60.0,
        metavar="SECONDS",
        help="the training of a network also ends after this time; default: 60",
    )
    model.add_argument(
        "--hide",
        type=positive_float,
        default=0.2,
        metavar="SHARE",
        help="of the known cells, to choose and to judge by, half each; default: 0.2",
    )
    model.add_argument("--seed", type=seed, default=0, metavar="N", help="of the random numbers; default: 0")

    results = parser.add_argument_group("output")
    results.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="CSV",
        help="the filled file (compressed if it ends in .gz), replaced if there is one already; of several "
        "files, the folder of the filled ones; default: filled.csv, or filled",
    )
    results.add_argument(
        "--suffix",
        default="_filled",
        help="of the columns that tell which cells were filled; default: _filled",
    )
    results.add_argument(
        "--plot", type=Path, metavar="PNG", help="draw the series, filled cells marked (png, pdf or svg)"
    )
    results.add_argument(
        "--save", type=Path, metavar="CKPT", help="keep the best trained network, for seqlight.load"
    )
    add_report_option(results)
    results.add_argument("--no-progress", action="store_false", dest="progress", help="no progress bar")
    return parser


def parse(arguments: list[str]) -> ImputeArguments:
    """Read the arguments and check all that can be checked without reading the data.

    Raises:
        CommandError: an argument is missing, contradicts another, or names an output that cannot be written.
    """
    parser = build_parser()
    given = parser.parse_args(arguments)
    keep_command(parser, given, arguments)
    settle_source(parser, given)
    if given.hide >= 0.9:
        raise CommandError(f"--hide: expected a share below 0.9, so that enough is left, got {given.hide:g}")
    if given.frequency is not None and not given.insert_rows:
        raise CommandError("--frequency: is of use with --insert-rows only; rows may be at any times without")
    if not given.suffix:
        raise CommandError("--suffix: expected some text, so that the new columns have names of their own")
    if given.save is not None and given.model in ("linear", "last"):
        raise CommandError(f"--save: --model {given.model} trains no network that could be kept")
    settle_outputs(given)
    return collected(ImputeArguments, given)
