"""The arguments of ``seqlight forecast``, read and checked without importing torch."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from seqlight.cli.errors import CommandError
from seqlight.cli.outputs import check_distinct, check_output
from seqlight.cli.parser import Parser, positive_float, positive_int, separator

DEMO_CSV = Path(__file__).with_name("demand.csv")
DEMO_COLUMNS = {"time": "timestamp", "target": ["demand"], "id": "region"}
PLOT_FORMATS = (".png", ".pdf", ".svg")

DESCRIPTION = """\
Train a peephole LSTM on a CSV and forecast the time after its last row.

The file has one row per time step (and per series, with --id): a column of timestamps at regular distances,
and one or more numeric columns. Rows may be in any order; absent rows and empty cells are missing values.
The last parts of every series are held back, one to choose the model on (validation), one to judge it
(test). The table that is printed compares the model with simple forecasts over the test part, in the data's
own units; the forecast itself is written to a CSV."""

EPILOG = """\
examples:
  seqlight forecast --demo --plot forecast.png
  seqlight forecast sales.csv --time ds --target y --horizon 24 -o forecast.csv --plot forecast.png
  seqlight forecast export.csv --time Zeit --target Last --separator ';' --decimal-comma --encoding latin-1"""


@dataclass(frozen=True, kw_only=True)
class ForecastArguments:
    """What the user asked ``seqlight forecast`` for; None where the data decide."""

    csv: Path
    time: str
    targets: list[str]
    id: str | None
    horizon: int | None
    context: int | None
    season: int | None
    missing: Literal["mask", "error"]
    skip_short: bool
    separator: str
    decimal_comma: bool
    encoding: str
    frequency: str | None
    time_format: str | None
    hidden_size: int
    num_layers: int
    epochs: int | None
    max_time: float
    seed: int
    output: Path
    plot: Path | None
    save: Path | None
    progress: bool


def build_parser() -> Parser:
    """The parser of ``seqlight forecast``."""
    parser = Parser(prog="seqlight forecast", description=DESCRIPTION, epilog=EPILOG)
    source = parser.add_argument_group("input")
    source.add_argument("csv", nargs="?", type=Path, help="the file to read, also gzip-compressed (.csv.gz)")
    source.add_argument("--demo", action="store_true", help="use the data set that comes with the package")
    source.add_argument("--time", metavar="COLUMN", help="column of timestamps")
    source.add_argument(
        "--target",
        metavar="COLUMN",
        action="append",
        help="numeric column to forecast; repeat it for several",
    )
    source.add_argument("--id", metavar="COLUMN", help="column that names the series, if there are several")
    source.add_argument(
        "--missing",
        choices=["mask", "error"],
        default="mask",
        help="missing values are left out of training and errors (mask, the default), or refused (error)",
    )
    source.add_argument(
        "--skip-short",
        action="store_true",
        help="leave series out that are too short, instead of refusing them",
    )
    source.add_argument("--separator", type=separator, default=",", metavar="CHAR", help="default: ,")
    source.add_argument("--decimal-comma", action="store_true", help="numbers are written 3,14")
    source.add_argument("--encoding", default="utf-8", help="for instance latin-1; default: utf-8")
    source.add_argument(
        "--frequency", metavar="STEP", help="time between two rows, such as 1h, 30min, 1mo; default: found"
    )
    source.add_argument(
        "--time-format",
        metavar="PATTERN",
        help="strftime pattern, such as '%%d.%%m.%%Y %%H:%%M'; default: found",
    )

    model = parser.add_argument_group("model")
    model.add_argument(
        "--horizon", type=positive_int, metavar="STEPS", help="steps to forecast; default: one season"
    )
    model.add_argument(
        "--context",
        type=positive_int,
        metavar="STEPS",
        help="past steps the model sees; default: several seasons, as the length of the series allows",
    )
    model.add_argument(
        "--season",
        type=positive_int,
        metavar="STEPS",
        help="length of a season, for the seasonal baseline and MASE; default: by the frequency",
    )
    model.add_argument("--hidden-size", type=positive_int, default=64, metavar="N", help="default: 64")
    model.add_argument("--num-layers", type=positive_int, default=1, metavar="N", help="default: 1")
    model.add_argument(
        "--epochs",
        type=positive_int,
        metavar="N",
        help="at most so many; training ends earlier when the validation loss stops falling; "
        "default: 12, more for short series",
    )
    model.add_argument(
        "--max-time",
        type=positive_float,
        default=60.0,
        metavar="SECONDS",
        help="training also ends after this time; default: 60",
    )
    model.add_argument("--seed", type=int, default=0, metavar="N", help="of the random numbers; default: 0")

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
        "--save", type=Path, metavar="CKPT", help="keep the trained model, for seqlight.load"
    )
    results.add_argument("--no-progress", action="store_true", help="no progress bar")
    return parser


def parse(arguments: list[str]) -> ForecastArguments:
    """Read the arguments and check all that can be checked without reading the data.

    Raises:
        CommandError: an argument is missing, contradicts another, or names an output that cannot be written.
    """
    parser = build_parser()
    given = parser.parse_args(arguments)
    if given.demo:
        if given.csv is not None:
            parser.error(f"--demo reads its own data; leave out {str(given.csv)!r} or --demo")
        given.csv = DEMO_CSV
        given.time = given.time or DEMO_COLUMNS["time"]
        given.target = given.target or DEMO_COLUMNS["target"]
        given.id = given.id or DEMO_COLUMNS["id"]
    if given.csv is None:
        parser.error("which file? give the path of a CSV, or --demo")
    if given.time is None:
        parser.error("--time COLUMN is missing: which column holds the timestamps?")
    if given.target is None:
        parser.error("--target COLUMN is missing: which column is to be forecast?")

    columns = [given.time, *given.target] + ([] if given.id is None else [given.id])
    twice = next((name for name in columns if columns.count(name) > 1), None)
    if twice is not None:
        raise CommandError(f"--time, --target, --id: column {twice!r} is named twice; name each column once")
    if not given.csv.exists():  # also said by the reader of CSV files, a second later
        raise CommandError(f"{given.csv}: no such file; expected the path of a CSV file")

    outputs = {"--output": given.output}
    if given.plot is not None:
        if given.plot.suffix.lower() not in PLOT_FORMATS:
            raise CommandError(
                f"--plot: expected a name that ends in {' or '.join(PLOT_FORMATS)}, got {given.plot}"
            )
        outputs["--plot"] = given.plot
    if given.save is not None:
        outputs["--save"] = given.save
    for option, path in outputs.items():
        check_output(path, option, input_path=given.csv)
    check_distinct(outputs)

    return ForecastArguments(
        csv=given.csv,
        time=given.time,
        targets=given.target,
        id=given.id,
        horizon=given.horizon,
        context=given.context,
        season=given.season,
        missing=given.missing,
        skip_short=given.skip_short,
        separator=given.separator,
        decimal_comma=given.decimal_comma,
        encoding=given.encoding,
        frequency=given.frequency,
        time_format=given.time_format,
        hidden_size=given.hidden_size,
        num_layers=given.num_layers,
        epochs=given.epochs,
        max_time=given.max_time,
        seed=given.seed,
        output=given.output,
        plot=given.plot,
        save=given.save,
        progress=not given.no_progress,
    )
