"""The work of ``seqlight impute``: train, compare on hidden cells, fill, write."""

import gzip
import shutil
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from seqlight.cli.errors import CommandError
from seqlight.cli.html_report import origin_of
from seqlight.cli.impute.arguments import ImputeArguments
from seqlight.cli.impute.plan import NETWORKS, ImputePlan
from seqlight.cli.impute.report import best_methods, imputation_table, imputation_verdict
from seqlight.cli.input_arguments import dialect_arguments, path_argument
from seqlight.cli.training_summary import steps_summary
from seqlight.data import CSVImputationDataModule
from seqlight.data.windows.held_out import run_lengths
from seqlight.evaluation import ImputationRow, compare_filled, fill
from seqlight.experiments import Fitted, TrainingError, build_imputer, fit
from seqlight.experiments.training import quiet_lightning
from seqlight.models import Imputer, LastValueImputer, LinearInterpolationImputer
from seqlight.whole_files import staged, work_folder

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NAMES = {
    "rnn": "recurrent network",
    "conv": "convolutional network",
    "linear": "linear interpolation",
    "last": "last value",
}
ROWS_IN_PANEL = 500
MOST_NAMED = 5  # files in the last line
TRAINING_WINDOWS = 8  # start in every window's length of rows


@dataclass(frozen=True)
class Filling:
    """What came of filling.

    ``values`` are [rows, C]; ``checkpoint`` is the best network's, if any; ``errors`` are those of
    columns with gaps on hidden cells, ``chosen`` says by column what fills it,
    ``seconds`` how long training took.
    """

    values: NDArray[np.float32]
    checkpoint: Path | None = None
    errors: Sequence[ImputationRow] = ()
    chosen: Mapping[str, str] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)


def run(given: ImputeArguments, plan: ImputePlan) -> None:
    """Do the whole job and write the files that were asked for, all of them or none."""
    console = Console(highlight=False, soft_wrap=True)
    console.print(plan.description, markup=False)
    for note in plan.notes:
        console.print(f"note: {note}", markup=False)
    data = build_data(given, plan)
    with work_folder() as folder, quiet_lightning():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # the plan's notes have said it
            data.setup("fit")
        missing = np.isnan(data.store.values)
        done = Filling(data.store.values)
        if plan.methods:
            done = fill_all(given, plan, data, folder, console)
        else:
            console.print("no cell is empty: nothing to fill, and every mark is false")
        values, checkpoint = done.values, done.checkpoint
        there = data.written_cells[:, None]  # a numbered step may have no column
        filled = missing & np.isfinite(values) & there
        left = int((missing & ~filled & there).sum())
        if left:
            console.print(
                f"note: {left:,} cells stay empty: nothing is known of their column in their series"
            )
        save = given.save if checkpoint is not None else None
        if given.save is not None and save is None:
            console.print("note: no network was trained, so --save has nothing to write")
        more = [path for path in (given.plot, given.report, save) if path is not None]
        outputs = [*given.outputs, *more]
        with made_folder(given.outputs[0].parent), staged(outputs) as temporary:
            paths = dict(zip(outputs, temporary, strict=True))
            contents = data.filled_files(values, filled, suffix=given.suffix)
            for path, content in zip(given.outputs, contents, strict=True):
                packed = gzip.compress(content, mtime=0) if path.suffix == ".gz" else content
                paths[path].write_bytes(packed)
            if given.plot is not None:
                draw(data, plan, values, filled).savefig(
                    paths[given.plot], format=given.plot.suffix[1:].lower()
                )
            if given.report is not None:
                write_report(given, plan, data, done, filled, paths[given.report])
            if save is not None and checkpoint is not None:
                paths[save].write_bytes(checkpoint.read_bytes())
    named = given.outputs
    if len(named) > MOST_NAMED:
        named = [named[0].parent / f"{named[0].name} and {len(named) - 1} more"]
    count = int(filled.sum())
    written = ", ".join(str(path) for path in [*named, *more])
    console.print(f"\nfilled {count:,} cell{'s' * (count != 1)}; wrote {written}", markup=False)


@contextmanager
def made_folder(folder: Path) -> Iterator[None]:
    """Make the folder of the outputs; where the block fails, remove it again if it was made here."""
    made = not folder.exists()
    folder.mkdir(exist_ok=True)
    try:
        yield
    except BaseException:
        if made:
            shutil.rmtree(folder, ignore_errors=True)
        raise


def write_report(
    given: ImputeArguments,
    plan: ImputePlan,
    data: CSVImputationDataModule,
    done: Filling,
    filled: NDArray[np.bool_],
    path: Path,
) -> None:
    """Write the report."""
    from seqlight.report import ModelRun, of_filled, write

    decided = {"window length": plan.window_length, "calendar features": plan.calendar_features}
    report = of_filled(
        data,
        done.values,
        filled,
        errors=done.errors,
        chosen=done.chosen,
        names=NAMES,
        runs={method: ModelRun(seconds=seconds) for method, seconds in done.seconds.items()},
        origin=origin_of(given, decided, plan.notes, given.csv),
    )
    write(path, report)


def build_data(given: ImputeArguments, plan: ImputePlan) -> CSVImputationDataModule:
    """The data module of the plan."""
    settled = dialect_arguments(given) | {"layout": plan.layout}
    data = CSVImputationDataModule(
        path_argument(given),
        time_col=plan.time or None,
        target_cols=plan.targets,
        id_col=plan.ids or None,
        window_length=plan.window_length,
        stride=max(1, plan.window_length // TRAINING_WINDOWS),
        val_size=given.hide / 2,
        test_size=given.hide / 2,
        batch_size=plan.batch_size,
        calendar_features=plan.calendar_features,
        insert_rows=given.insert_rows,
        frequency=given.frequency,
        **settled,
        time_format=given.time_format,
        seed=given.seed,
    )
    data.use_source(plan.source)
    return data


def fill_all(
    given: ImputeArguments, plan: ImputePlan, data: CSVImputationDataModule, folder: Path, console: Console
) -> Filling:
    """Train, compare, choose and fill."""
    imputers: dict[str, Imputer] = {}
    trained: dict[str, Fitted[Imputer]] = {}
    for method in plan.methods:
        if method in NETWORKS:
            trained[method] = train(method, given, plan, data, folder)
            imputers[method] = trained[method].model
            console.print(training_summary(method, trained[method], given, data), markup=False)
    sizes = {"target_size": data.target_size, "covariate_size": data.covariate_size}
    imputers["linear"] = LinearInterpolationImputer(**sizes)
    imputers["last"] = LastValueImputer(**sizes)

    found_again = {name: fill(imputer, data, hide_held_out=True) for name, imputer in imputers.items()}
    fallback = "linear" if given.model == "auto" else given.model
    chosen: dict[str, str] = dict.fromkeys(data.target_cols, fallback)
    if given.model == "auto" and data.held_out("val").any():
        chosen |= best_methods(compare_filled(found_again, data, part="val"))
    gappy: list[ImputationRow] = []
    if data.held_out("test").any():
        rows = compare_filled(found_again, data, part="test")
        gappy = [row for row in rows if plan.missing[row["column"]]]
        report(gappy, chosen, data, console, auto=given.model == "auto")
    else:
        console.print("note: too few cells are known to hide some and measure errors")

    used = sorted({chosen[name] for name in data.target_cols if plan.missing[name]})
    filled = {method: fill(imputers[method], data) for method in used}
    values = data.store.values.copy()
    for channel, name in enumerate(data.target_cols):
        if plan.missing[name]:
            values[:, channel] = filled[chosen[name]][:, channel]
    best = min(trained.values(), key=lambda one: one.val_loss, default=None)
    return Filling(
        values,
        checkpoint=None if best is None else best.checkpoint,
        errors=gappy,
        chosen=chosen,
        seconds={method: one.seconds for method, one in trained.items()},
    )


def train(
    method: str, given: ImputeArguments, plan: ImputePlan, data: CSVImputationDataModule, folder: Path
) -> Fitted[Imputer]:
    """Train a network and return its best state, by the loss on the cells held out for validation.

    Raises:
        CommandError: no validation loss was finite.
    """
    try:
        return fit(
            lambda: build_imputer(method, data, longest_gap=plan.longest_gap, hidden_size=given.hidden_size),
            data,
            seed=given.seed,
            steps=given.steps,
            max_time=given.max_time,
            folder=folder / method,
            progress=given.progress,
        )
    except TrainingError as error:
        if not error.where:
            raise CommandError(
                f"the {NAMES[method]} could not be judged: its validation loss is not a number; "
                "use --model linear, or give it more time with --max-time"
            ) from error
        raise CommandError(
            f"the {NAMES[method]}, {error.where}: {error.what}; look for very large values in the data, or "
            "use --model linear"
        ) from error


def training_summary(
    method: str, fitted: Fitted[Imputer], given: ImputeArguments, data: CSVImputationDataModule
) -> str:
    """Say in a sentence what was trained, and how the training ended."""
    return (
        f"trained a {NAMES[method]} ({given.hidden_size} units, windows of {data.window_length} rows): "
        f"{steps_summary(fitted, given.max_time)}"
    )


def report(
    rows: list[ImputationRow],
    chosen: dict[str, str],
    data: CSVImputationDataModule,
    console: Console,
    *,
    auto: bool,
) -> None:
    """Print the table of errors of the columns that are filled; ``auto``: nobody chose the method."""
    if not rows:
        console.print("note: no cell of the columns to fill could be hidden to measure errors")
        return
    cells = sum({row["column"]: row["cells"] for row in rows}.values())
    held_out = data.held_out("test")
    lengths = np.concatenate(
        [run_lengths(held_out[:, channel], data.store.indptr) for channel in range(data.target_size)]
    )
    title = (
        f"Errors on {cells:,} known cells that were hidden, {lengths.min()} to {lengths.max()} in a row (the "
        f"file's own gaps: {data.pattern.lengths.min()} to {data.pattern.lengths.max()})"
    )
    caption = imputation_verdict(rows, chosen, NAMES, chosen_by_validation=auto)
    console.print()
    console.print(imputation_table(rows, chosen, NAMES, title=title, caption=caption))


def draw(
    data: CSVImputationDataModule, plan: ImputePlan, values: NDArray[np.float32], filled: NDArray[np.bool_]
) -> "Figure":
    """One panel for each series and column with filled cells: the stretch where most were filled."""
    from seqlight.plot import ImputationPanel, imputation  # matplotlib takes a second to import

    panels, cut = [], False
    for index, series in enumerate(data.series_ids):
        rows = slice(*data.store.indptr[index : index + 2])
        for channel, column in enumerate(data.target_cols):
            marks = filled[rows, channel]
            if not marks.any() and len(data.series_ids) * data.target_size > 1:
                continue
            stretch = busiest(marks, ROWS_IN_PANEL)
            cut |= stretch.stop - stretch.start < len(marks)
            names = [series] * (data.id_col is not None) + [column] * (data.target_size > 1)
            panels.append(
                ImputationPanel(
                    title=", ".join(names),
                    unit=column,
                    time=data.times(index)[stretch],
                    values=values[rows, channel][stretch],
                    filled=marks[stretch],
                )
            )
    if not panels:  # nothing was filled in any of several columns
        rows = slice(*data.store.indptr[:2])
        panels = [
            ImputationPanel(
                title=column,
                unit=column,
                time=data.times(0),
                values=values[rows, channel],
                filled=filled[rows, channel],
            )
            for channel, column in enumerate(data.target_cols)
        ]
    return imputation(
        panels,
        title=f"{', '.join(name for name in data.target_cols if plan.missing[name])}: filled cells".lstrip(
            ": "
        ),
        note=f"Of each series the {ROWS_IN_PANEL} rows with the most filled cells." if cut else "",
    )


def busiest(marks: NDArray[np.bool_], length: int) -> slice:
    """The stretch of ``length`` rows with the most marks, as centred as can be; all if there are fewer."""
    if len(marks) <= length:
        return slice(0, len(marks))
    counts = np.convolve(marks, np.ones(length, np.int64), mode="valid")
    best = np.flatnonzero(counts == counts.max())
    start = int(best[len(best) // 2])
    return slice(start, start + length)
