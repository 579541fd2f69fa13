"""The peephole LSTM against its baselines on four public series; writes a Markdown table.

    python benchmarks/real_data.py FOLDER [--series etth1 taxi ...] [--seeds 0 1 2] [-o results.md]

FOLDER holds ETTh1.csv, taxi_new_york.csv, air_passengers.csv and milk_incomplete.csv. Every row is an
evaluation over all test windows, one origin at every time step. MASE divides by the seasonal naive
forecast's error on the training part, with the period that the table states.
"""

import argparse
import logging
import time
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from rich.console import Console
from rich.table import Table

from seqlight.data import CSVDataModule
from seqlight.evaluation import ComparisonRow, compare
from seqlight.experiments import fit
from seqlight.models import (
    Forecaster,
    LinearForecaster,
    LSTMForecaster,
    NaiveForecaster,
    SeasonalNaiveForecaster,
    WindowForecaster,
)


@dataclass(frozen=True)
class Series:
    """One data set, how its windows are cut, and how the LSTM is trained on it.

    ``seasons`` holds the periods of the seasonal naive rows, the first of which also scales MASE. Training
    takes ``epochs`` times ``batches`` batches: a fresh random part of the windows in each epoch.
    """

    title: str
    file: str
    time_col: str
    target_col: str
    context_length: int
    prediction_length: int
    seasons: tuple[int, ...]
    epochs: int
    batches: int
    batch_size: int = 64
    calendar_features: tuple[str, ...] = ()
    missing: Literal["error", "mask"] = "error"
    model: dict[str, Any] = field(default_factory=dict)


RECIPE: dict[str, Any] = {
    "hidden_size": 64,
    "peephole": True,
    "transform": "instance",
    "loss": "mae",
    "optimizer": "adamw",
    "weight_decay": 0.01,
    "lr": 5e-3,
    "lr_schedule": "one_cycle",
}
"""Common to all series. What differs was settled in a few short runs, by validation error and time."""

SERIES = {
    "etth1": Series(
        title="ETTh1, oil temperature, hourly",
        file="ETTh1.csv",
        time_col="date",
        target_col="OT",
        context_length=168,
        prediction_length=24,
        seasons=(24,),
        epochs=5,
        batches=100,
    ),
    "taxi": Series(
        title="Taxi passengers in New York, half-hourly",
        file="taxi_new_york.csv",
        time_col="time",
        target_col="#Passengers",
        context_length=336,
        prediction_length=48,
        seasons=(48, 336),
        epochs=10,
        batches=100,
        calendar_features=("hour", "day_of_week"),
    ),
    "air": Series(
        title="Air passengers, monthly",
        file="air_passengers.csv",
        time_col="Month",
        target_col="#Passengers",
        context_length=36,
        prediction_length=12,
        seasons=(12,),
        epochs=150,
        batches=10,
        batch_size=16,
        calendar_features=("month",),
        model={"strategy": "every_step"},
    ),
    "milk": Series(
        title="Milk per cow, monthly, with months missing",
        file="milk_incomplete.csv",
        time_col="Month",
        target_col="Pounds per cow",
        context_length=36,
        prediction_length=12,
        seasons=(12,),
        epochs=150,
        batches=10,
        batch_size=16,
        calendar_features=("month",),
        missing="mask",
    ),
}

RIDGES = (1e-6, 1e-4, 1e-3, 1e-2, 1e-1, 3e-1)
"""Weights of the linear forecaster's penalty to choose from, on the validation part."""


def data_module(series: Series, folder: Path, seed: int = 0, *, calendar: bool = True) -> CSVDataModule:
    """Return the data: stride 1, 70 % of time for training, 10 % for validation, 20 % for the test."""
    return CSVDataModule(
        folder / series.file,
        time_col=series.time_col,
        target_cols=series.target_col,
        context_length=series.context_length,
        prediction_length=series.prediction_length,
        season_length=series.seasons[0],
        calendar_features=series.calendar_features if calendar else (),
        missing=series.missing,
        batch_size=series.batch_size,
        seed=seed,
    )


def sizes_of(data: CSVDataModule) -> dict[str, Any]:
    """Return the arguments that a forecaster takes from the data."""
    names = (
        "context_length",
        "prediction_length",
        "target_size",
        "future_covariate_size",
        "observed_indicator",
    )
    return {name: getattr(data, name) for name in names}


def train(series: Series, data: CSVDataModule, seed: int) -> Forecaster:
    """Train the LSTM and return it as it was after its best epoch on the validation part."""
    return fit(
        lambda: LSTMForecaster(**(RECIPE | series.model), **sizes_of(data)),
        data,
        seed=seed,
        epochs=series.epochs,
        batches_per_epoch=series.batches,
        patience=None,
        accelerator="cpu",
    ).model


def solve_linear(data: CSVDataModule) -> Forecaster:
    """Return the least-squares linear forecaster whose ridge is best on the validation part."""
    data.setup("fit")
    candidates = {
        str(ridge): LinearForecaster(**sizes_of(data)).solve(data.train_dataloader(), ridge=ridge)
        for ridge in RIDGES
    }
    best = min(compare(candidates, data, part="val"), key=lambda row: row["mae"])
    return candidates[best["model"]]


def evaluate(series: Series, folder: Path, seeds: list[int], console: Console) -> list[ComparisonRow]:
    """Return the rows of all forecasters on the test part."""
    data = data_module(series, folder)
    baselines: dict[str, WindowForecaster] = {"naive": NaiveForecaster(**sizes_of(data))}
    for season in series.seasons:
        baselines[f"seasonal naive, period {season}"] = SeasonalNaiveForecaster(
            season_length=season, **sizes_of(data)
        )
    baselines["linear, least squares"] = solve_linear(data)
    rows = []
    if series.calendar_features:
        plain = data_module(series, folder, calendar=False)
        rows = compare({"linear, without the calendar": solve_linear(plain)}, plain)
    trained: dict[str, Forecaster] = {}
    for seed in seeds:
        start = time.perf_counter()
        trained[f"peephole LSTM, seed {seed}"] = train(series, data_module(series, folder, seed), seed)
        console.print(f"{series.title}: seed {seed} trained in {time.perf_counter() - start:.0f} s")
    before = compare(baselines, data)
    return before + rows + compare(trained, data)


def caption(series: Series, windows: int) -> str:
    """Return the line that says how the windows were cut and scaled."""
    calendar = f", with {' and '.join(series.calendar_features)} known" if series.calendar_features else ""
    return (
        f"{series.context_length} steps in, {series.prediction_length} out{calendar}; "
        f"{windows} test windows at stride 1; MASE with period {series.seasons[0]}"
    )


def cells(row: ComparisonRow) -> list[str]:
    """Return a row's errors as text."""
    return [row["model"], *(f"{row[name]:.4g}" for name in ("mae", "rmse", "mase", "smape"))]


HEADER = ("model", "MAE", "RMSE", "MASE", "sMAPE")


def markdown(series: Series, rows: list[ComparisonRow]) -> str:
    """Return the section of a Markdown report."""
    lines = [f"## {series.title}", "", caption(series, rows[0]["windows"]) + ".", ""]
    lines += ["| " + " | ".join(HEADER) + " |", "|---|" + "---:|" * (len(HEADER) - 1)]
    lines += ["| " + " | ".join(cells(row)) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def table(series: Series, rows: list[ComparisonRow]) -> Table:
    """Return the same for the terminal."""
    result = Table(*HEADER, title=series.title, caption=caption(series, rows[0]["windows"]))
    for row in rows:
        result.add_row(*cells(row))
    return result


def main() -> None:
    """Train, evaluate, print, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path, help="folder of the four CSV files")
    parser.add_argument("--series", nargs="+", choices=SERIES, default=list(SERIES))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("-o", "--output", type=Path, help="Markdown file to write")
    arguments = parser.parse_args()

    torch.set_num_threads(arguments.threads)
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="lightning")
    console = Console()
    sections = []
    for name in arguments.series:
        series = SERIES[name]
        rows = evaluate(series, arguments.folder, arguments.seeds, console)
        console.print(table(series, rows))
        sections.append(markdown(series, rows))
        if arguments.output is not None:  # after every series: an interrupted run keeps what it has
            seeds = " ".join(map(str, arguments.seeds))
            command = (
                f"python benchmarks/real_data.py FOLDER --series {' '.join(arguments.series)} --seeds {seeds}"
            )
            arguments.output.write_text("\n".join([f"# Real data\n\nMade by `{command}`.\n", *sections]))


if __name__ == "__main__":
    main()
