"""The arguments that say which CSV to read and how, shared by commands; no torch is imported."""

import argparse
import glob
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from seqlight.cli.errors import CommandError
from seqlight.cli.parser import Parser, positive_int, separator, whole_number

if TYPE_CHECKING:
    from seqlight.data import CSVDialect

DEMO_CSV = Path(__file__).with_name("demand.csv")
DEMO_COLUMNS = {"time": ["timestamp"], "targets": ["demand"], "id": ["region"]}


@dataclass(frozen=True, kw_only=True)
class InputArguments:
    """Which file, and what windows of it; None where the data decide.

    Of a command line without --time or --target these are None until they are found in the file, which is
    then open, as ``source``; --time none is an empty list. ``csv`` is the file, the first of several, which
    are ``paths``.
    """

    csv: Path
    paths: list[Path]
    source: Any
    time: list[str]
    targets: list[str]
    id: list[str] | None
    horizon: int | None
    context: int | None
    season: int | None
    missing: Literal["mask", "error"]
    skip_short: bool
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
    frequency: str | None
    round: bool
    time_format: str | None


def dialect_of(given: Any) -> "CSVDialect":
    """What was said about how the file is written."""
    from seqlight.data import CSVDialect  # polars is imported with it, and --help does not wait for that

    return CSVDialect(
        separator=given.separator,
        decimal_comma=given.decimal_comma,
        encoding=given.encoding,
        thousands=given.thousands,
        missing_values=given.missing_values,
        skip_rows=given.skip_rows,
        skip_footer=given.skip_footer,
        layout=getattr(given, "layout", None),
        sheet=given.sheet,
        file_id=getattr(given, "file_id", None),
    )


def dialect_arguments(given: Any) -> dict[str, Any]:
    """The same as arguments of the DataModules; nothing is said of what has no value."""
    said = vars(dialect_of(given)) | {"missing_values": list(given.missing_values)}
    return {name: value for name, value in said.items() if value is not None}


def source_of(given: Any) -> Any:
    """What to read: the file that is open, else its path, or those of several."""
    if given.source is not None:
        return given.source
    return given.csv if len(given.paths) == 1 else given.paths


def source_name(given: Any) -> str:
    """What a line about the data calls the file, or several."""
    more = f" and {len(given.paths) - 1} more" if len(given.paths) > 1 else ""
    return f"{given.csv.name}{more}"


def path_argument(given: Any) -> Any:
    """The path, or paths, as a DataModule keeps it in a checkpoint."""
    return str(given.csv) if len(given.paths) == 1 else [str(path) for path in given.paths]


def add_input_options(parser: Parser) -> None:
    """Add the file, its columns and how it is written."""
    source = parser.add_argument_group("input")
    add_source_options(
        source,
        time_help="column of timestamps; repeat it where date and time stand in two; none: rows are steps; "
        "default: found",
        target_help="numeric column to forecast; repeat it for several; default: the only one there is",
    )
    add_layout_options(source)
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
    add_step_options(source, help="time between two rows, such as 1h, 30min, 1mo; default: found")
    source.add_argument(
        "--round",
        action="store_true",
        help="round times that jitter around a regular grid to it, that of --frequency if given",
    )
    add_format_options(source)


def add_layout_options(source: Any) -> None:
    """Add what of the file is a series to a group of options."""
    source.add_argument(
        "--layout",
        choices=["long", "wide", "rows"],
        help="long: a row for each time (of each series); wide: each column of numbers is a series; rows: "
        "each row is one, its columns named by times or numbered; --target then names the values, --id of "
        "wide and --time of rows what the file has no column of; default: found",
    )
    source.add_argument(
        "--file-id",
        metavar="COLUMN",
        help="of several files: take their names for ids of series, and call that column so",
    )


def add_source_options(source: Any, *, time_help: str, target_help: str) -> None:
    """Add the file and its columns to a group of options."""
    source.add_argument(
        "paths",
        nargs="*",
        type=Path,
        metavar="file",
        help="the file to read: CSV, also compressed (.csv.gz, .csv.zst), Parquet, Arrow, Excel, or a folder "
        "of Parquet files; several, or a pattern such as 'part-*.csv', are one data set",
    )
    source.add_argument("--demo", action="store_true", help="use the data set that comes with the package")
    source.add_argument("--time", metavar="COLUMN", action="append", help=time_help)
    source.add_argument("--target", metavar="COLUMN", action="append", dest="targets", help=target_help)
    source.add_argument(
        "--id",
        metavar="COLUMN",
        action="append",
        help="column that names the series, if there are several; repeat it where columns name them together",
    )


def add_step_options(source: Any, *, help: str) -> None:
    """Add the step between rows to a group of options, as a duration or as a calendar."""
    step = source.add_mutually_exclusive_group()
    step.add_argument("--frequency", metavar="STEP", help=help)
    step.add_argument(
        "--calendar",
        dest="frequency",
        metavar="NAME",
        help="days or times of the week at which there are rows: BME, SMS, WOM-2FRI as pandas names them, "
        "XNYS or another exchange, '30min@Mon-Fri 09:30-16:00', observed (as in the file); default: found",
    )


def add_format_options(source: Any) -> None:
    """Add how the file is written to a group of options."""
    source.add_argument("--separator", type=separator, metavar="CHAR", help="between columns; default: found")
    mark = source.add_mutually_exclusive_group()
    mark.add_argument(
        "--decimal-comma",
        action="store_const",
        const=True,
        dest="decimal_comma",
        help="numbers are written 3,14; default: found",
    )
    mark.add_argument(
        "--decimal-point",
        action="store_const",
        const=False,
        dest="decimal_comma",
        help="numbers are written 3.14; default: found",
    )
    source.add_argument(
        "--thousands", metavar="CHAR", help="what groups thousands: , . ' or ' ' (a blank); default: found"
    )
    source.add_argument(
        "--missing-value",
        metavar="TEXT",
        action="append",
        default=[],
        dest="missing_values",
        help="a cell that stands for a missing value, such as -9999 or n/e; repeat it for several",
    )
    source.add_argument(
        "--skip-rows", type=whole_number, metavar="N", help="lines above the header; default: found"
    )
    source.add_argument(
        "--skip-footer",
        type=whole_number,
        metavar="N",
        help="lines below the last row, such as totals or a source",
    )
    source.add_argument("--sheet", metavar="NAME", help="of a spreadsheet: its name, or its number from 1")
    source.add_argument("--encoding", help="for instance latin-1; default: found")
    source.add_argument(
        "--time-format",
        metavar="PATTERN",
        help="strftime pattern, such as '%%d.%%m.%%Y %%H:%%M', or epoch, epoch_ms, epoch_us, epoch_ns, "
        "excel, quarter, iso_week, interval; default: found",
    )


def add_size_options(model: Any) -> None:
    """Add the sizes of windows to a group of options."""
    model.add_argument(
        "--horizon",
        type=positive_int,
        metavar="STEPS",
        help="steps to forecast; default: one season, but at most a twelfth of the series and 168",
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


def settle_source(parser: Parser, given: argparse.Namespace) -> None:
    """Check what can be checked of the file and its columns without reading it; fill in what --demo means.

    Raises:
        CommandError: an argument is missing, contradicts another, or there is no such file.
    """
    given.source = None
    if given.demo:
        if given.paths:
            parser.error(f"--demo reads its own data; leave out {str(given.paths[0])!r} or --demo")
        given.paths = [DEMO_CSV]
        for name, columns in DEMO_COLUMNS.items():
            setattr(given, name, columns if getattr(given, name) is None else getattr(given, name))
    if not given.paths:
        parser.error("which file? give the path of a CSV, or --demo")
    given.paths = _without_patterns(given.paths)
    given.csv = given.paths[0]
    if given.time == ["none"]:
        given.time = []

    columns = [*(given.time or []), *(given.targets or []), *(given.id or [])]
    twice = next((name for name in columns if columns.count(name) > 1), None)
    if twice is not None:
        raise CommandError(f"--time, --target, --id: column {twice!r} is named twice; name each column once")
    # Also said by the reader of files, a second later.
    for path in given.paths:
        if str(path) != "-" and not path.exists():
            raise CommandError(f"{path}: no such file; expected the path of a CSV file")


def _without_patterns(paths: list[Path]) -> list[Path]:
    """The files that are meant, where a shell has left a pattern as it is."""
    found: list[Path] = []
    for path in paths:
        if path.exists() or not any(sign in str(path) for sign in "*?["):
            found.append(path)
            continue
        matching = sorted(Path(name) for name in glob.glob(str(path), recursive=True))
        if not matching:
            raise CommandError(f"{path}: no file fits this pattern")
        found += matching
    return found
