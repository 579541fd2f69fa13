"""Whether training again on all data before forecasting lowers the error, at earlier origins of real series.

    python benchmarks/refit.py FOLDER -o benchmarks/results/refit.md

At each origin the model is trained as ``seqlight forecast`` does it, on the first 70 % of what was known,
with the next 10 % to end the training by; "after" is the same model made again of everything before the
origin (:func:`seqlight.experiments.refit`). Both forecast the horizons that follow the origin, four one after
the other (one, of short series), from the values that were known at each. FOLDER holds ETTh1.csv,
taxi_new_york.csv, air_passengers.csv, milk_incomplete.csv and m4_weekly_train.csv.
"""

import argparse
import statistics
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import torch

from seqlight.cli.forecast.arguments import parse
from seqlight.cli.forecast.job import build_data
from seqlight.cli.forecast.plan import plan
from seqlight.cli.input_arguments import DEMO_CSV
from seqlight.data import CSVDataModule, Splitter
from seqlight.evaluation import forecast_windows
from seqlight.experiments import Candidate, refit, train_forecaster
from seqlight.experiments.refitting import all_training
from seqlight.experiments.simple_forecasts import linear_candidate

SETS = {
    "etth1": ("ETTh1.csv", "date"),
    "taxi": ("taxi_new_york.csv", "time"),
    "air": ("air_passengers.csv", "Month"),
    "milk": ("milk_incomplete.csv", "Month"),
    "demo": ("", "timestamp"),
    "m4_weekly": ("m4_weekly_train.csv", "week"),
}
TARGETS = {
    "etth1": ["HUFL", "HULL", "MUFL", "MULL", "LUFL", "LULL", "OT"],
    "taxi": ["#Passengers"],
    "air": ["#Passengers"],
    "milk": ["Pounds per cow"],
    "demo": ["demand"],
    "m4_weekly": ["y"],
}
WINDOWS = {"air": 1, "milk": 1, "m4_weekly": 1}  # horizons behind each origin; 4 of others


def long_weeks(path: Path, folder: Path, series: int) -> Path:
    """Write the first series of M4's weekly file as a long CSV, with made-up weeks, and return its path."""
    wide = pl.read_csv(path, infer_schema=False).head(series)
    frames = []
    for row in wide.iter_rows():
        values = [float(cell) for cell in row[1:] if cell]
        weeks = np.datetime64("1990-01-01") + 7 * np.arange(len(values))
        frames.append(pl.DataFrame({"id": [row[0]] * len(values), "week": weeks, "y": values}))
    pl.concat(frames).write_csv(folder / "m4_weekly.csv")
    return folder / "m4_weekly.csv"


def data_of(name: str, target: str, given: argparse.Namespace) -> CSVDataModule:
    """Return a set's series with the sizes that ``seqlight forecast`` chooses."""
    file, time_col = SETS[name]
    path = DEMO_CSV if name == "demo" else given.folder / file
    ids = {"demo": ["--id", "region"], "m4_weekly": ["--id", "id"]}.get(name, [])
    if name == "m4_weekly":
        path = long_weeks(path, given.scratch, given.m4_series)
    options = ["--time", time_col, "--target", target, *ids, "-o", str(given.scratch / "unused.csv")]
    arguments = parse([str(path), *options])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data = build_data(arguments, given.seed, plan(arguments))
        data.setup("fit")
    return data


def errors(
    candidate: Candidate, known: CSVDataModule, data: CSVDataModule, ends: np.ndarray, count: int
) -> float:
    """Return the mean absolute scaled error over ``count`` horizons behind ``ends`` [S]."""
    horizon, judged = data.prediction_length, ends >= 1
    scale = data.store.statistics.mase_scale(np.maximum(ends, 0), data.season_length)
    found = []
    for window in range(count):
        first = np.where(judged, ends + window * horizon, 0)
        windows = known.windows(first, np.where(judged, first + horizon, 0), scale=scale)
        batch = windows.__getitems__(range(len(windows)))
        rows = forecast_windows({"model": candidate.predictor}, [batch]).rows
        found.append(rows[0]["mase"])
    return statistics.fmean(found)


def measure(name: str, target: str, given: argparse.Namespace) -> Iterator[tuple[int, str, float, float]]:
    """Yield origin, model, and its errors before and after the refit."""
    data, count = data_of(name, target, given), WINDOWS.get(name, 4)
    for origin in range(given.origins):
        back = count * data.prediction_length * (given.origins - origin)
        ends = np.maximum(data.ends - back, 0)
        fold = data.until(ends, Splitter(data.context_length, data.prediction_length))
        fold.setup("fit")
        limits = {"max_time": given.max_time, "accelerator": "cpu"}
        options = {"hidden_size": 64, "peephole": True}
        candidates = {}
        if "LSTM" in given.models:
            candidates["LSTM"] = train_forecaster("lstm", fold, seed=given.seed, options=options, **limits)
        linear = linear_candidate(fold) if "linear" in given.models else None
        if linear is not None:
            candidates["linear"] = linear
        everything = all_training(fold)
        for model, candidate in candidates.items():
            before = errors(candidate, fold, data, ends, count)
            after = errors(refit(candidate, fold, max_time=2 * given.max_time), everything, data, ends, count)
            yield origin, model, before, after


def main() -> None:
    """Measure each set, and print and write the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--targets", nargs="+", help="some columns of ETTh1; default: all")
    parser.add_argument("--models", nargs="+", choices=["LSTM", "linear"], default=["LSTM", "linear"])
    parser.add_argument("--origins", type=int, default=3)
    parser.add_argument("--max-time", type=float, default=30.0, help="seconds of each training")
    parser.add_argument("--m4-series", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--scratch", type=Path, default=Path())
    parser.add_argument("-o", "--output", type=Path, help="Markdown table to append rows to")
    given = parser.parse_args()
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore")
    for name in given.sets:
        for target in given.targets if name == "etth1" and given.targets else TARGETS[name]:
            begun, found = time.monotonic(), list(measure(name, target, given))
            for model in dict.fromkeys(row[1] for row in found):
                own = [row for row in found if row[1] == model]
                before, after = (statistics.fmean(row[side] for row in own) for side in (2, 3))
                better = sum(row[3] < row[2] for row in own)
                line = (
                    f"| {name} | {target} | {model} | {before:.4f} | {after:.4f} | "
                    f"{100 * (after / before - 1):+.1f}% | {better} of {len(own)} |"
                )
                print(line, f"({time.monotonic() - begun:.0f} s)", flush=True)
                if given.output is not None:
                    with given.output.open("a", encoding="utf-8") as file:
                        file.write(line + "\n")


if __name__ == "__main__":
    main()
