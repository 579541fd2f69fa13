"""The work of ``seqlight forecast``: train, compare with simple forecasts, choose, forecast, write."""

import warnings
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from rich.console import Console
from torch import Tensor

from seqlight.callbacks import csv_bytes, forecast_frame
from seqlight.cli.bounds_arguments import bounds_arguments
from seqlight.cli.error_band import COVERAGE, ErrorBand
from seqlight.cli.errors import CommandError
from seqlight.cli.forecast.arguments import ForecastArguments
from seqlight.cli.forecast.html import write_report
from seqlight.cli.forecast.plan import ForecastPlan
from seqlight.cli.input_arguments import dialect_arguments, path_argument
from seqlight.cli.report import error_table, verdict
from seqlight.cli.series_arguments import SeriesArguments
from seqlight.cli.training_summary import epochs_summary
from seqlight.data import CSVDataModule
from seqlight.evaluation import WindowForecasts
from seqlight.experiments import (
    Candidate,
    Fitted,
    Selection,
    TrainingError,
    baselines,
    build_forecaster,
    fit,
    select,
    trained,
)
from seqlight.experiments.checkpoints import save_checkpoint
from seqlight.experiments.simple_forecasts import EQUATION_BYTES
from seqlight.experiments.training import quiet_lightning
from seqlight.models import SeqlightModule
from seqlight.models.bounds import Bounds
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
ADVICE = "look for very large values in the data, or use --model linear"
HORIZONS_OF_HISTORY = 7  # drawn before the forecast


def run(given: ForecastArguments, plan: ForecastPlan) -> None:
    """Do the whole job and write the files that were asked for, all of them or none.

    The LSTM is the one of the training epoch with the lowest validation loss; where the user names a simple
    forecast, none is trained. No model is fitted again on the held-back parts: the forecast is made from the
    last ``context_length`` steps of each series, which are the newest data there are, by the very model whose
    test errors the table shows.

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
        candidates = candidates_of(given, data, folder, console)
        named = None if given.model == "auto" else candidates[given.model].name
        selection = select(candidates.values(), data, name=named)
        options = {candidate.name: option for option, candidate in candidates.items()}
        test = selection.test
        caption = verdict(
            test.rows,
            selection.chosen,
            options=options,
            validation=None
            if named is not None or selection.validation is None
            else selection.validation.rows,
        )
        console.print()
        console.print(error_table(test.rows, title=heading(data, test.windows), caption=caption))

        table = forecast_frame([predictions(selection)], data)
        with staged(output_paths(given)) as temporary:
            paths = dict(zip(output_paths(given), temporary, strict=True))
            write_forecast(table, data, paths[given.output])
            band = validation_band(selection, data)
            if given.report is not None:
                write_report(given, plan, selection, data, band, paths[given.report])
            if given.plot is not None:
                note = coverage_note(selection, band)
                bounds = Bounds.of(given.bounds, given.nonnegative, given.integer)
                draw(table, data, band, selection.chosen, note, bounds).savefig(
                    paths[given.plot], format=given.plot.suffix[1:].lower()
                )
            if given.save is not None:
                save(selection.candidates[selection.chosen], data, given, plan, paths[given.save])
    console.print(f"\nwrote {', '.join(str(path) for path in output_paths(given))}", markup=False)


def candidates_of(
    given: ForecastArguments, data: CSVDataModule, folder: Path, console: Console
) -> dict[str, Candidate]:
    """Train the network, if it is wanted, and make the simple forecasts; by what ``--model`` calls them.

    Raises:
        CommandError: the model that the user names cannot be had.
    """
    bounds = bounds_arguments(given)
    simple = baselines(data, **bounds)
    if given.model not in ("auto", "lstm"):
        if given.model not in simple:
            raise CommandError(
                f"--model {given.model}: least squares of {data.context_length} steps takes more than "
                f"{EQUATION_BYTES / 1e9:g} GB; give a shorter --context"
            )
        return simple
    try:
        fitted = train(given, data, folder)
    except TrainingError as error:
        if given.model == "lstm":
            raise CommandError(f"{error}; {ADVICE}") from error
        console.print(f"note: no network, the simple forecasts alone: {error}; {ADVICE}", markup=False)
        return simple
    console.print(training_summary(fitted, given, data), markup=False)
    return {"lstm": trained("peephole LSTM", fitted), **simple}


def train(given: ForecastArguments, data: CSVDataModule, folder: Path) -> Fitted[Any]:
    """Train a peephole LSTM on the training part."""
    return fit(
        lambda: build_forecaster(
            "lstm",
            data,
            hidden_size=given.hidden_size,
            num_layers=given.num_layers,
            peephole=True,
            **bounds_arguments(given),
        ),
        data,
        seed=given.seed,
        epochs=given.epochs,
        max_time=given.max_time,
        folder=folder,
        progress=given.progress,
    )


def training_summary(fitted: Fitted[Any], given: ForecastArguments, data: CSVDataModule) -> str:
    """Say in a sentence what was trained on what, and how the training ended."""
    return (
        f"trained a peephole LSTM ({given.hidden_size} units, {data.context_length} steps in, "
        f"{data.prediction_length} out) on {len(data.dataset('train')):,} windows: "
        f"{epochs_summary(fitted, given.max_time)}"
    )


def predictions(selection: Selection) -> dict[str, Tensor]:
    """Return the forecast as ``Trainer.predict`` returns a batch of it."""
    return {
        "prediction": selection.forecast.point,
        "series_index": selection.series_index,
        "start": selection.start,
    }


def save(
    candidate: Candidate, data: CSVDataModule, given: ForecastArguments, plan: ForecastPlan, path: Path
) -> None:
    """Write the checkpoint of the model in use."""
    if candidate.checkpoint is not None:
        path.write_bytes(candidate.checkpoint.read_bytes())
        return
    assert isinstance(candidate.predictor, SeqlightModule)
    save_checkpoint(candidate.predictor, data_of_checkpoint(candidate.predictor, data, given, plan), path)


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


def short_series_notes(data: CSVDataModule, plan: ForecastPlan) -> list[str]:
    """Sentences about series that are too short for all that is done with the others."""
    left_out = len(plan.store) - len(data.series_ids)
    notes = [f"left out for being too short: {left_out} series"] if left_out else []
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


def heading(data: CSVDataModule, windows: int) -> str:
    """What the table's errors are taken over, and MASE's season."""
    season = f"{data.season_length} steps"
    if data.season_length >= data.split.train_stop.max():
        season = f"1 step, for {season} do not fit in the training part"
    return (
        f"Errors on the test part: {windows:,} windows of {data.prediction_length} steps, made from the "
        f"{data.context_length} before; MASE's season is {season}"
    )


def validation_band(selection: Selection, data: CSVDataModule) -> ErrorBand:
    """Quantiles of the errors of the model in use over the validation windows, per series and step."""
    windows = selection.validation
    if windows is None:
        edges = np.full((len(data.series_ids), data.prediction_length, data.target_size), np.nan)
        return ErrorBand(lower=edges, upper=edges)
    return ErrorBand.of_errors(*errors_of(windows, selection.chosen), len(data.series_ids))


def coverage_note(selection: Selection, band: ErrorBand) -> str:
    """How the band held on the test part, which it was not made from; says so if there is no band."""
    share = band.share_inside(*errors_of(selection.test, selection.chosen))
    if share is None:
        return "No band: there are too few validation windows to tell the errors to expect."
    return (
        f"Band: {COVERAGE:.0%} of the errors at each step in the validation windows. "
        f"On the test part, {share:.0%} of the values fell inside."
    )


def errors_of(windows: WindowForecasts, name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Forecasts [W, H, C], what came [W, H, C] (NaN where missing), and the series [W] of all windows."""
    point = windows.forecasts[name].point
    return point.numpy(), windows.target.numpy(), windows.series_index.numpy()


def write_forecast(table: pl.DataFrame, data: CSVDataModule, path: Path) -> None:
    """Write the forecast with the times in the format of the input; UTF-8, commas, decimal points."""
    times = pl.Series(data.time_col, data.format_timestamps(table[data.time_col]))
    path.write_bytes(csv_bytes(table.with_columns(times)))


def draw(
    table: pl.DataFrame, data: CSVDataModule, band: ErrorBand, model: str, note: str, bounds: Bounds
) -> "Figure":
    """One panel for each series and target column; the legend names the model, no band leaves the bounds."""
    from seqlight.plot import ForecastPanel, forecast  # matplotlib takes a second to import

    def possible(edge: np.ndarray) -> np.ndarray:
        return np.clip(edge, bounds.low, bounds.high)

    panels = []
    horizon = data.prediction_length
    for index, series in enumerate(data.series_ids):
        history_time, history = data.history(index, max(HORIZONS_OF_HISTORY * horizon, data.season_length))
        rows = table.slice(index * horizon, horizon)
        for channel, column in enumerate(data.target_cols):
            values = rows[column].to_numpy().astype(np.float64)
            edges = {
                "lower": possible(values + band.lower[index, :, channel]),
                "upper": possible(values + band.upper[index, :, channel]),
            }
            panels.append(
                ForecastPanel(
                    title=panel_title(data, series, column),
                    unit=column,
                    history_time=naive_times(history_time),
                    history=history[:, channel],
                    forecast_time=naive_times(rows[data.time_col]),
                    forecast=values,
                    **(edges if np.isfinite(edges["lower"]).any() else {}),
                )
            )
    return forecast(
        panels,
        title=f"{', '.join(data.target_cols)}: forecast of the next {in_words(horizon, data)}",
        forecast_label=f"forecast by {model}",
        band_label=f"{COVERAGE:.0%} of past errors",
        note=note,
    )


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
