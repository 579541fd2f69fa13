"""The work of ``seqlight compare strategies``: train each, evaluate step by step, tabulate, draw."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl
from rich.console import Console
from rich.table import Table

from seqlight.callbacks import csv_bytes
from seqlight.cli.compare.arguments import DIRECT, RECURRENT, CompareArguments
from seqlight.cli.errors import CommandError
from seqlight.cli.forecast.job import build_data
from seqlight.cli.forecast.plan import plan
from seqlight.cli.html_report import origin_of
from seqlight.cli.report import format_error
from seqlight.cli.time_column import found_columns
from seqlight.cli.training_summary import epochs_summary
from seqlight.data import SyntheticDataModule, WindowDataModule
from seqlight.evaluation import ErrorsByStep, WindowForecasts, errors_by_step, forecast_windows
from seqlight.experiments import Candidate, TrainingError, baselines, build_forecaster, fit, trained
from seqlight.experiments.training import quiet_lightning
from seqlight.models import Forecaster
from seqlight.whole_files import staged

NAMES = {
    "lstm": "LSTM",
    "gru": "GRU",
    "rnn": "RNN",
    "wavenet": "WaveNet",
    "tcn": "TCN",
    "segment_rnn": "segment RNN",
    "es_rnn": "ES-RNN",
}
DEFAULT_LAYERS = 2


def run(given: CompareArguments) -> None:
    """Do the whole job and write the files that were asked for, all of them or none."""
    console = Console(highlight=False, soft_wrap=True)
    data = read_data(given, console)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # the plan's notes have said it
        data.setup("fit")

    with quiet_lightning():
        candidates = [train(given, data, strategy, console) for strategy in given.strategies]
        candidates += baselines(data).values()
        predictors = {one.name: one.predictor for one in candidates}
        # A report shows single forecasts, which take memory.
        several = data.target_size > 1  # of units that may differ
        windows = forecast_windows(predictors, data) if given.report is not None or several else None
        if windows is None:
            results = errors_by_step(predictors, data)
        else:
            results = windows.scaled().by_step if several else windows.by_step

    console.print()
    console.print(comparison_table(results, seconds_of(candidates), heading(given, data, results[0].windows)))
    paths = [path for path in (given.output, given.plot, given.report) if path is not None]
    with staged(paths) as temporary:
        staged_path = dict(zip(paths, temporary, strict=True))
        if given.output is not None:
            staged_path[given.output].write_bytes(csv_bytes(steps_frame(results)))
        if given.plot is not None:
            from seqlight.plot import errors_by_step as draw  # matplotlib takes a second to import

            figure = draw(
                {result.model: result.mae.numpy() for result in results},
                title=f"{NAMES[given.network]} by strategy: error at each step ahead",
                error_label="mean absolute error" + ", in multiples of MASE's scale" * several,
            )
            figure.savefig(staged_path[given.plot], format=given.plot.suffix[1:].lower())
        if given.report is not None and windows is not None:
            write_report(given, data, windows, candidates, staged_path[given.report])
    if paths:
        console.print(f"\nwrote {', '.join(map(str, paths))}", markup=False)


def read_data(given: CompareArguments, console: Console) -> WindowDataModule:
    """The data module of the file, or of the chapter's series."""
    if given.inputs is None:
        console.print("the chapter's series: 7,000 to train, 2,000 to validate, 1,000 to test")
        return SyntheticDataModule(context_length=given.context, prediction_length=given.horizon)
    inputs, found = found_columns(given.inputs, "compare strategies")
    settled = plan(inputs)
    settled.notes[:0] = [found] if found else []
    console.print(settled.description, markup=False)
    for note in settled.notes:
        console.print(f"note: {note}", markup=False)
    return build_data(inputs, given.seed, settled)


def write_report(
    given: CompareArguments,
    data: WindowDataModule,
    windows: WindowForecasts,
    candidates: Sequence[Candidate],
    path: Path,
) -> None:
    """Write the report."""
    from seqlight.report import of_windows, runs_of, write

    decided = {
        "context length": data.context_length,
        "prediction length": data.prediction_length,
        "season length": data.season_length,
    }
    source = None if given.inputs is None else given.inputs.csv
    origin = origin_of(given, decided, [], source)
    write(path, of_windows(windows, data, kind="compare", runs=runs_of(candidates), origin=origin))


def train(given: CompareArguments, data: WindowDataModule, strategy: str, console: Console) -> Candidate:
    """Train the network with one strategy, and say how it went.

    Raises:
        CommandError: a transform that is none, or that needs a longer context; or no epoch was good.
    """
    try:
        fitted = fit(
            lambda: build(given, data, strategy),
            data,
            seed=given.seed,
            epochs=given.epochs,
            max_time=given.max_time,
            progress=given.progress,
        )
    except TrainingError as error:
        raise CommandError(f"{error}; try a lower rate, --lr {min(given.lr / 10, 0.01):g}") from error
    console.print(f"{strategy}: {epochs_summary(fitted, given.max_time)}", markup=False)
    return trained(strategy, fitted)


def build(given: CompareArguments, data: WindowDataModule, strategy: str) -> Forecaster:
    """Return the network with one strategy.

    Raises:
        CommandError: a transform that is none, or that needs a longer context.
    """
    options: dict[str, Any] = {"hidden_size": given.hidden_size}
    if given.network not in DIRECT:
        options["strategy"] = strategy
    if given.network in RECURRENT:
        options["num_layers"] = given.num_layers or DEFAULT_LAYERS
    try:
        return build_forecaster(given.network, data, transform=given.transform, lr=given.lr, **options)
    except ValueError as error:
        raise CommandError(f"--transform: {error}" if "transform" in str(error) else str(error)) from error


def seconds_of(candidates: Sequence[Candidate]) -> dict[str, float]:
    """Return by name how long the training of those took that were trained."""
    return {one.name: one.seconds for one in candidates if one.fitted is not None}


def heading(given: CompareArguments, data: WindowDataModule, windows: int) -> str:
    """What was trained, and what the table's errors are taken over."""
    layers = f", {given.num_layers or DEFAULT_LAYERS} layers" if given.network in RECURRENT else ""
    in_units = "; in multiples of MASE's scale, for columns may differ in their units"
    in_units = in_units if data.target_size > 1 else ""
    return (
        f"{NAMES[given.network]} ({given.hidden_size} units{layers}), errors on the test part over all steps "
        f"and at the last one: {windows:,} windows of {data.prediction_length} "
        f"step{'s' * (data.prediction_length != 1)}, made from the {data.context_length} before{in_units}"
    )


def comparison_table(results: Sequence[ErrorsByStep], seconds: dict[str, float], title: str) -> Table:
    """One line per forecast: errors over all steps and at the last one; the lowest of each are bold."""
    table = Table(title=title, title_justify="left")
    table.add_column("forecast")
    for name in ("MAE", "MAE, last", "MSE", "MSE, last"):
        table.add_column(name, justify="right")
    table.add_column("training", justify="right")
    rows = [
        [result.mae_over_all, float(result.mae[-1]), result.mse_over_all, float(result.mse[-1])]
        for result in results
    ]
    lowest = [min(column) for column in zip(*rows, strict=True)]
    for result, row in zip(results, rows, strict=True):
        cells = [
            f"[bold]{format_error(value)}[/bold]" if value == best else format_error(value)
            for value, best in zip(row, lowest, strict=True)
        ]
        time = f"{seconds[result.model]:.1f} s" if result.model in seconds else ""
        table.add_row(result.model, *cells, time)
    return table


def steps_frame(results: Sequence[ErrorsByStep]) -> pl.DataFrame:
    """One row per forecast and step ahead (1 to H): MAE, MSE, and how many cells count."""
    return pl.concat(
        pl.DataFrame(
            {
                "forecast": [result.model] * len(result.count),
                "step": range(1, len(result.count) + 1),
                "mae": result.mae.numpy(),
                "mse": result.mse.numpy(),
                "cells": result.count.numpy(),
            }
        )
        for result in results
    )
