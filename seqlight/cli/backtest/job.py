"""The work of ``seqlight backtest``: fit, forecast from each past time, tabulate, write."""

import gzip
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import polars as pl
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from seqlight.callbacks import csv_bytes
from seqlight.cli.backtest.arguments import LEARNED, BacktestArguments
from seqlight.cli.backtest.checkpoint import Saved
from seqlight.cli.backtest.cutoff_note import cutoff_note
from seqlight.cli.backtest.models import as_asked, expected_time, models_of
from seqlight.cli.errors import CommandError
from seqlight.cli.forecast.job import build_data, short_series_notes
from seqlight.cli.forecast.plan import ForecastPlan
from seqlight.cli.html_report import origin_of
from seqlight.cli.interval_table import empty_caption, interval_table
from seqlight.cli.level_arguments import bound_columns
from seqlight.cli.measure_table import measure_table
from seqlight.cli.report import TITLES, error_table, format_error
from seqlight.cli.series_table import backtest_table
from seqlight.cli.wording import as_options
from seqlight.data import CSVDataModule, DataError
from seqlight.evaluation import measures
from seqlight.evaluation.forecast_table import table_columns
from seqlight.experiments import Backtest, BacktestWindow, backtest
from seqlight.experiments.intervals import judge_quantiles
from seqlight.experiments.selection import best_row, deciding_error
from seqlight.experiments.training import quiet_lightning
from seqlight.whole_files import staged


def run(given: BacktestArguments, plan: ForecastPlan, saved: Saved | None = None) -> None:
    """Do the whole job and write the table; ``saved`` is the model of ``--checkpoint``.

    Raises:
        CommandError: a model cannot be had, or there are too few steps for so many windows.
    """
    console = Console(highlight=False, soft_wrap=True)
    console.print(plan.description, markup=False)
    for note in plan.notes:
        console.print(f"note: {note}", markup=False)
    data = build_data(given, given.seed, plan)
    if saved is not None and saved.schema is not None:
        data.use_schema(saved.schema)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # the plan's notes have said it
        data.setup("predict")
    if saved is not None:
        try:
            saved.model.check_data(data)
        except ValueError as error:
            raise CommandError(
                f"--checkpoint: {error}; without --target and --id its own columns are taken"
            ) from error
    for note in filter(None, [*short_series_notes(data, plan), cutoff_note(given, data)]):
        console.print(f"note: {note}", markup=False)
    said: list[str] = []
    models = models_of(given, data, None if saved is None else saved.model, said)
    if given.all_data and not any(name in LEARNED for name in models):
        console.print("note: no effect: --all-data; none of these models is trained", markup=False)
    expected = expected_time(given, models)
    if expected:
        console.print(expected, markup=False)
    models = as_asked(given, models)
    taken = table_columns(models, data)
    own = taken[-len(models) * data.target_size :]
    taken += [bound for name in own for bound in bound_columns(name, given.levels)]
    twice = next((name for name in taken if taken.count(name) > 1), None)
    if twice is not None:
        raise CommandError(
            f"{given.csv}: the table has a column {twice!r} of its own; rename that of the file, or name "
            "other models with --models"
        )
    with quiet_lightning(), progress_bar(given, console) as advance:

        def tell(window: BacktestWindow) -> None:
            for line in said:
                console.print(line, markup=False)
            said.clear()
            console.print(window_line(window, data), markup=False)
            advance()

        try:
            found = backtest(
                models,
                data,
                windows=given.windows,
                step_size=given.step_size,
                refit=given.refit,
                level=given.levels,
                on_window=tell,
            )
        except ValueError as error:
            explained = in_options(error, given)
            if explained is None:
                raise
            raise explained from error
    console.print()
    windows, several = found.forecasts, data.target_size > 1
    console.print(
        error_table(
            found.rows,
            title=heading(found, data),
            caption=caption(found),
            by_target=windows.by_target(data.target_cols),
        )
    )
    console.print()
    console.print(measure_table(measures(windows, data), several_targets=several))
    if given.levels:
        held = judge_quantiles(windows.scaled() if several else windows, given.levels)
        over = "over all windows" + ", widths and scores in multiples of MASE's scale" * several
        console.print()
        console.print(interval_table(held, caption=empty_caption(held), over=over))
    best = best_row(found.rows, deciding_error(found.rows))["model"]
    console.print()
    console.print(backtest_table(found.forecasts, best, found.data, console))
    outputs = [path for path in (given.output, given.report) if path is not None]
    with staged(outputs) as temporary:
        write_table(found.frame, data, given.output, temporary[0])
        if given.report is not None:
            write_report(given, plan, found, temporary[1])
    console.print(f"\nwrote {', '.join(map(str, outputs))}", markup=False)


def in_options(error: ValueError, given: BacktestArguments) -> CommandError | None:
    """Return an error in the words of the options, where it is about one of them; else None."""
    text = str(error)
    if isinstance(error, DataError) and text.startswith("windows: "):
        return CommandError(f"--{as_options(text)}")
    if given.levels and text.startswith("method: "):
        return CommandError(
            f"--interval-method {given.interval_method}: needs models that say something of their errors, "
            "and these give points alone; take auto, split, two-sided or adaptive"
        )
    if given.levels and text.startswith("data: expected a calibration part"):
        return CommandError(
            "--level: the series are too short for a part to make intervals from; give a shorter --context "
            "or --horizon, or no --level"
        )
    return None


def write_report(given: BacktestArguments, plan: ForecastPlan, found: Backtest, path: Path) -> None:
    """Write the report."""
    from seqlight.report import ModelRun, of_windows, write

    decided = {
        "context length": plan.context_length,
        "prediction length": plan.prediction_length,
        "season length": plan.season_length,
    }
    report = of_windows(
        found.forecasts,
        found.data,
        runs={name: ModelRun(seconds=seconds) for name, seconds in found.fit_seconds.items()},
        origin=origin_of(given, decided, plan.notes, given.csv),
    )
    write(path, report)


@contextmanager
def progress_bar(given: BacktestArguments, console: Console) -> Iterator[Callable[[], None]]:
    """Show a bar of the windows on a terminal; yields what is to be called after each."""
    if not given.progress or not console.is_terminal:
        yield lambda: None
        return
    columns = (TextColumn("windows"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("windows", total=given.windows)
        yield lambda: progress.advance(task)


def window_line(window: BacktestWindow, data: CSVDataModule) -> str:
    """Say in one line where a window begins, and each model's error."""
    first = int(window.judged.argmax())
    begins = data.format_timestamps(data.timestamps(first, int(window.cutoff[first]), 1))[0]
    column = deciding_error(window.rows)
    errors = ", ".join(f"{row['model']} {format_error(row[column])}" for row in window.rows)  # type: ignore[literal-required]
    of_series = ""
    if len(data.series_ids) > 1:
        of_series = f" ({data.series_ids[first]}), {window.judged.sum():,} series"
    return f"window {window.number} of {window.of}, from {begins}{of_series}: {TITLES[column]} {errors}"


def heading(found: Backtest, data: CSVDataModule) -> str:
    """What the table's errors are taken over."""
    count, horizon = len(found.windows), data.prediction_length
    apart = ""
    if count > 1:
        step = int(found.windows[1].cutoff[0] - found.windows[0].cutoff[0])
        apart = f", {step} step{'s' * (step != 1)} apart"
    made = found.forecasts.windows
    return (
        f"Errors over {count} window{'s' * (count != 1)} of {horizon} step{'s' * (horizon != 1)}{apart}, "
        f"made from the {data.context_length} before: {made:,} forecast{'s' * (made != 1)}; MASE is scaled "
        "by what came before each"
    )


def caption(found: Backtest) -> str:
    """How often models were fitted, and how long it took."""
    fits = sum(window.fitted for window in found.windows)
    if not fits:
        return f"Nothing was to be trained; {found.seconds:.1f} s in all."
    again = "once, before the first window" if fits == 1 else f"{fits} times"
    learned = [name for name in LEARNED if name in found.fit_seconds]
    done = f"Trained {', '.join(learned)}" if learned else "Intervals were made"
    return f"{done} {again}; {found.seconds:.1f} s in all."


def write_table(table: pl.DataFrame, data: CSVDataModule, name: Path, path: Path) -> None:
    """Write the table as the ending of ``name`` says; in CSV, times have the format of the input."""
    if name.name.lower().endswith(".parquet"):
        content = BytesIO()
        table.write_parquet(content)
        path.write_bytes(content.getvalue())
        return
    times = [data.time_col, "cutoff"]
    table = table.with_columns(pl.Series(column, data.format_timestamps(table[column])) for column in times)
    text = csv_bytes(table)
    path.write_bytes(gzip.compress(text, mtime=0) if name.name.lower().endswith(".gz") else text)
