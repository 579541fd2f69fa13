"""The work of ``seqlight forecast``: train, compare with simple forecasts, choose, forecast, write."""

import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from rich.console import Console
from torch import Tensor

from seqlight.callbacks import csv_bytes, forecast_frame
from seqlight.cli.errors import CommandError
from seqlight.cli.forecast.arguments import ForecastArguments
from seqlight.cli.forecast.candidates import candidates_of, made_again
from seqlight.cli.forecast.html import write_report
from seqlight.cli.forecast.members import make_portfolio, weighed_on
from seqlight.cli.forecast.plan import ForecastPlan
from seqlight.cli.input_arguments import dialect_arguments, path_argument
from seqlight.cli.interval_table import caption_of, interval_table, picture_note
from seqlight.cli.level_arguments import METHODS, bound_columns
from seqlight.cli.report import error_table, verdict
from seqlight.cli.series_arguments import SeriesArguments
from seqlight.cli.series_table import forecast_table
from seqlight.data import CSVDataModule, ForecastDataModule
from seqlight.experiments import Candidate, Selection, select
from seqlight.experiments.checkpoints import add_intervals, add_trained_until, save_checkpoint
from seqlight.experiments.intervals import Calibrated, calibrate, wanted_quantiles
from seqlight.experiments.refitting import all_training
from seqlight.experiments.training import quiet_lightning
from seqlight.models import SeqlightModule
from seqlight.whole_files import staged, work_folder

if TYPE_CHECKING:
    from matplotlib.figure import Figure

UNITS = {
    "1s": "second",
    "1min": "minute",
    "1h": "hour",
    "1d": "day",
    "1b": "business day",
    "1w": "week",
    "1mo": "month",
    "1q": "quarter",
    "1y": "year",
}
WIDE = 110  # columns of a table with ranges
HORIZONS_OF_HISTORY = 7  # drawn before the forecast


def run(given: ForecastArguments, plan: ForecastPlan) -> None:
    """Do the whole job and write the files that were asked for, all of them or none.

    Networks are those of the training epoch with the lowest validation loss; where the user names a simple
    forecast, none is trained. Unless ``--refit`` asks for it, no model is fitted again on the held-back
    parts: the forecast is made from the last ``context_length`` steps of each series, which are the newest
    data there are, by the very model whose test errors the table shows. Intervals are made from its errors
    on the calibration part, which neither training nor choice has used.

    Raises:
        CommandError: the model that the user names cannot be had.
    """
    console = Console(highlight=False, soft_wrap=True)
    console.print(plan.description, markup=False)
    console.print(plan.begins, markup=False)
    for note in plan.notes:
        console.print(f"note: {note}", markup=False)
    data = build_data(given, given.seed, plan)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # the plan's notes have said it
        data.setup("fit")
        data.dataset("predict")  # is all there that the forecast needs?
    for note in short_series_notes(data, plan):
        console.print(f"note: {note}", markup=False)

    with work_folder() as folder, quiet_lightning():
        selection, options, where = selected(given, data, folder, console)
        test = selection.test
        caption = verdict(
            test.rows,
            selection.chosen,
            options=options,
            validation=None if not where or selection.validation is None else selection.validation.rows,
            where=where,
        )
        console.print()
        console.print(
            error_table(
                test.rows,
                title=heading(data, test.windows, given.refit),
                caption=caption,
                by_target=test.by_target(data.target_cols),
            )
        )
        console.print()
        console.print(forecast_table(selection, data, console))

        final = selection.candidates[selection.chosen]
        if given.refit:
            selection, final = made_again(given, selection, data, console)
        again = final is not selection.candidates[selection.chosen]
        calibrated = intervals(selection, data, given, console, all_training(data) if again else None)
        written: tuple[float, ...] = ()
        if calibrated is not None:
            selection, written = calibrated.selection, calibrated.selection.forecast.quantile_levels
        table = forecast_frame(
            [predictions(selection, written)], data, quantile_levels=written, whole_numbers=given.integer
        )
        for note in negative_notes(table, data, given):
            console.print(f"note: {note}", markup=False)
        with staged(output_paths(given)) as temporary:
            paths = dict(zip(output_paths(given), temporary, strict=True))
            write_forecast(table, data, paths[given.output])
            if given.report is not None:
                write_report(given, plan, selection, data, paths[given.report])
            if given.plot is not None:
                note = "" if calibrated is None else picture_note(calibrated)
                draw(table, data, given.levels, selection.chosen, note).savefig(
                    paths[given.plot], format=given.plot.suffix[1:].lower()
                )
            if given.save is not None:
                save(final, data, given, plan, paths[given.save])
                if calibrated is not None:
                    add_intervals(paths[given.save], calibrated.fitted)
    console.print(f"\nwrote {', '.join(str(path) for path in output_paths(given))}", markup=False)


def selected(
    given: ForecastArguments, data: CSVDataModule, folder: Path, console: Console
) -> tuple[Selection, dict[str, str], str]:
    """Make the models and take one, or the weighted mean of several.

    Beside it, what ``--model`` calls them, and on which windows it was chosen; "" where the user has.

    Raises:
        CommandError: the model that the user names cannot be had.
    """
    levels = wanted_quantiles(given.levels) if given.levels else ()
    if given.model == "auto":
        found = make_portfolio(given, data, console)
        selection = select(
            found.candidates, data, name=found.best.name, validation=found.validation, quantile_levels=levels
        )
        weights = found.weights_of(selection.chosen)
        return replace(selection, chosen_by=found.error, weights=weights), {}, weighed_on(found.origins)
    candidates = candidates_of(given, data, folder, console)
    options = {candidate.name: option for option, candidate in candidates.items()}
    name = candidates[given.model].name
    return select(candidates.values(), data, name=name, quantile_levels=levels), options, ""


def intervals(
    selection: Selection,
    data: CSVDataModule,
    given: ForecastArguments,
    console: Console,
    refit_data: ForecastDataModule | None = None,
) -> Calibrated | None:
    """Make the intervals and print how they held; None where none are wanted or can be had.

    ``refit_data`` are those of which the model was made again.

    Raises:
        CommandError: the method that the user names needs a model that says something of its errors.
    """
    if not given.levels:
        return None
    if not len(data.dataset("calibration")):
        console.print("note: no intervals, for the series are too short for a calibration part", markup=False)
        return None
    named = None if given.interval_method == "auto" else METHODS[given.interval_method]
    try:
        made = calibrate(
            selection, data, given.levels, method=named, every=given.all_intervals, refit_data=refit_data
        )
    except ValueError as error:
        if named is None or not str(error).startswith("method:"):
            raise
        raise CommandError(
            f"--interval-method {given.interval_method}: needs a model that says something of its errors, "
            f"and {selection.chosen} gives points alone; take auto, split, two-sided or adaptive"
        ) from error
    caption = caption_of(made, named=named is not None, every=given.all_intervals)
    table = interval_table(made.every or made.rows, caption=caption, ranges=given.all_intervals)
    wide = Console(highlight=False, soft_wrap=True, width=max(console.width, WIDE))
    (wide if given.all_intervals else console).print(table)
    for note in made.notes:
        console.print(f"note: {note}", markup=False)
    return made


def predictions(selection: Selection, quantile_levels: Sequence[float]) -> dict[str, Tensor]:
    """Return the forecast as ``Trainer.predict`` returns a batch of it, with quantiles if they are wanted."""
    quantiles = selection.forecast.quantiles
    return {
        "prediction": selection.forecast.point,
        **({"quantiles": quantiles} if quantile_levels and quantiles is not None else {}),
        "series_index": selection.series_index,
        "start": selection.start,
    }


def save(
    candidate: Candidate, data: CSVDataModule, given: ForecastArguments, plan: ForecastPlan, path: Path
) -> None:
    """Write the checkpoint of the model in use."""
    assert isinstance(candidate.predictor, SeqlightModule)
    if candidate.checkpoint is not None:
        path.write_bytes(candidate.checkpoint.read_bytes())
    else:
        save_checkpoint(candidate.predictor, data_of_checkpoint(candidate.predictor, data, given, plan), path)
    add_trained_until(path, candidate.predictor, data)


def output_paths(given: ForecastArguments) -> list[Path]:
    """The files to write."""
    return [path for path in (given.output, given.plot, given.report, given.save) if path]


def build_data(given: SeriesArguments, seed: int, plan: ForecastPlan) -> CSVDataModule:
    """The data module of the plan; it has the plan's series and reads no file."""
    data = CSVDataModule(
        path_argument(given),
        time_col=given.time or None,
        target_cols=given.targets,
        id_col=given.id,
        context_length=plan.context_length,
        prediction_length=plan.prediction_length,
        batch_size=plan.batch_size,
        calibration_size=plan.calibration_size,
        test_size=plan.test_size,
        missing=given.missing,
        skip_short=given.skip_short,
        past_covariate_cols=given.past_covariates,
        future_covariate_cols=given.future_covariates,
        static_cols=given.static,
        future=given.future,
        static=given.static_file,
        calendar_features=plan.calendar_features,
        season_length=plan.season_length,
        frequency=given.frequency,
        **dialect_arguments(given),
        time_format=given.time_format,
        origin=given.origin,
        round=given.round,
        as_of=given.as_of,
        seed=seed,
    )
    data.use_store(plan.store)
    return data


def negative_notes(table: pl.DataFrame, data: CSVDataModule, given: ForecastArguments) -> list[str]:
    """Say of each target that has no value below 0, but has some in the forecast or its bounds."""
    if given.nonnegative or given.bounds is not None:
        return []
    notes = []
    for channel, target in enumerate(data.target_cols):
        lowest = np.nanmin(data.store.values[:, channel], initial=np.inf)
        bounds = [name for name in bound_columns(target, given.levels) if name in table.columns]
        below = [int((table[name] < 0).sum()) for name in (target, *bounds)]
        if lowest < 0 or not any(below):
            continue
        what = f"its forecast is at {below[0]} of {table.height} steps" if below[0] else "bounds are"
        notes.append(f"{target!r} has no value below 0, but {what}; if there can be none, pass --nonnegative")
    return notes


def short_series_notes(data: CSVDataModule, plan: ForecastPlan) -> list[str]:
    """Sentences about series that are too short for all that is done with the others."""
    left_out = len(plan.store) - len(data.series_ids)
    notes = [f"left out for being too short: {left_out} series"] if left_out else []
    if plan.horizon_cut:
        horizon, season = plan.prediction_length, plan.season_length
        notes.append(
            f"{horizon} step{'s' * (horizon > 1)} ahead, a twelfth of the series, not a season of {season}; "
            "--horizon asks for another number"
        )
    unjudged = data.unjudged_series()
    if len(unjudged):
        first = unjudged[0]
        more = f" and {len(unjudged) - 1} more" if len(unjudged) > 1 else ""
        steps = int(data.store.ends[first])
        notes.append(
            f"series {data.series_ids[first]!r} ({steps} step{'s' * (steps != 1)}){more}: too short to be "
            "judged, in neither the validation nor the test part; --skip-short leaves short series out"
        )
    return notes


def data_of_checkpoint(
    model: SeqlightModule, data: CSVDataModule, given: ForecastArguments, plan: ForecastPlan
) -> CSVDataModule:
    """The data module that ``seqlight predict`` is to make: with the covariates that the model uses."""
    if getattr(model, "future_covariate_size", 0) == data.future_covariate_size:
        return data
    alone = replace(given, past_covariates=[], future_covariates=[], static=[], future=None, static_file=None)
    return build_data(alone, given.seed, replace(plan, calendar_features=[]))


def heading(data: CSVDataModule, windows: int, refit: bool) -> str:
    """What the table's errors are taken over, and MASE's season; ``refit``: of the models before it."""
    season = f"{data.season_length} step{'s' * (data.season_length > 1)}"
    if data.season_length >= data.split.train_stop.max():
        season = f"1 step, for {season} do not fit in the training part"
    return (
        f"Errors on the test part{', before the refit' * refit}: {windows:,} window{'s' * (windows > 1)} of "
        f"{data.prediction_length} step{'s' * (data.prediction_length > 1)}, made from the "
        f"{data.context_length} before; MASE's season is {season}"
    )


def write_forecast(table: pl.DataFrame, data: CSVDataModule, path: Path) -> None:
    """Write the forecast with the times in the format of the input; UTF-8, commas, decimal points."""
    times = pl.Series(data.time_col, data.format_timestamps(table[data.time_col]))
    path.write_bytes(csv_bytes(table.with_columns(times)))


def draw(
    table: pl.DataFrame, data: CSVDataModule, levels: Sequence[float], model: str, note: str
) -> "Figure":
    """One panel for each series and target column with its intervals; the legend names the model."""
    from seqlight.plot import ForecastPanel, forecast  # matplotlib takes a second to import

    panels = []
    horizon = data.prediction_length
    for index, series in enumerate(data.series_ids):
        history_time, history = data.history(index, max(HORIZONS_OF_HISTORY * horizon, data.season_length))
        rows = table.slice(index * horizon, horizon)
        for channel, column in enumerate(data.target_cols):
            panels.append(
                ForecastPanel(
                    title=panel_title(data, series, column),
                    unit=column,
                    history_time=naive_times(data.store.numbered(history_time)),
                    history=history[:, channel],
                    forecast_time=naive_times(data.store.numbered(rows[data.time_col])),
                    forecast=rows[column].to_numpy().astype(np.float64),
                    bands=bands(rows, column, levels),
                )
            )
    return forecast(
        panels,
        title=f"{', '.join(data.target_cols)}: forecast of the next {in_words(horizon, data)}",
        forecast_label=f"forecast by {model}",
        note=note,
    )


def bands(
    rows: pl.DataFrame, column: str, levels: Sequence[float]
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """The intervals of a column that have bounds, by their legend entries, the innermost first."""
    found = {}
    for level in levels:
        names = bound_columns(column, [level])
        if all(name in rows.columns for name in names):
            lower, upper = (rows[name].to_numpy().astype(np.float64) for name in names)
            if np.isfinite(lower).any():
                found[f"{level:g}% interval"] = (lower, upper)
    return found


def panel_title(data: CSVDataModule, series: str, column: str) -> str:
    """What tells a panel from the others: the series or the column, both, or nothing."""
    several = [data.id_col is not None, data.target_size > 1]
    return ", ".join(name for name, wanted in zip((series, column), several, strict=True) if wanted)


def in_words(steps: int, data: CSVDataModule) -> str:
    """A number of steps as a duration where one step is one unit: "24 hours", else "48 steps of 30min"."""
    grid = data.store.grid
    if grid is None:
        return f"{steps} step{'s' * (steps > 1)}"
    step = grid.frequency.name
    unit = UNITS.get(step)
    return f"{steps} steps of {step}" if unit is None else f"{steps} {unit}s" if steps > 1 else unit


def naive_times(times: pl.Series) -> np.ndarray:
    """Times as ``datetime64``, in their own zone's wall time."""
    if getattr(times.dtype, "time_zone", None) is not None:
        times = times.dt.replace_time_zone(None)
    return times.to_numpy()
