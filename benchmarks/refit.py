"""Whether training again on all data before forecasting lowers the error, at earlier origins of real series.

    python benchmarks/refit.py FOLDER -o benchmarks/results/refit.md

At each origin the model is trained as ``seqlight forecast`` does it, on the first seven or eight tenths of
what was known, with a tenth to end the training by; "after" is the same model made again of everything
before the origin (:func:`seqlight.experiments.refit`). Both forecast the horizons that follow the origin,
four one after the other (one, of short series), from the values that were known at each. Trainings end by
epochs, never by time, so that the figures do not depend on the machine.

FOLDER holds those of these files that are there; others are left out, which is said:

- ETTh1.csv, ETTh2.csv: github.com/zhouhaoyi/ETDataset, columns OT and HUFL;
- taxi_new_york.csv: realKnownCause/nyc_taxi.csv of github.com/numenta/NAB, columns ``time, #Passengers``;
- air_passengers.csv and milk_incomplete.csv: months, columns ``Month`` and the value;
- m4_weekly_train.csv and Hourly-train.csv: github.com/Mcompetitions/M4-methods, every ninth and every 21st;
- exchange_rate.txt.gz: github.com/laiguokun/multivariate-time-series-data, eight series;
- daily-min-temperatures.csv, daily-total-female-births.csv and monthly-sunspots.csv:
  github.com/jbrownlee/Datasets.

The demo that comes with the package is measured too.
"""

import argparse
import gzip
import statistics
import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import torch

from seqlight.cli.forecast.arguments import parse
from seqlight.cli.forecast.job import build_data
from seqlight.cli.forecast.plan import plan
from seqlight.cli.input_arguments import DEMO_CSV
from seqlight.data import CSVDataModule
from seqlight.evaluation import forecast_windows
from seqlight.experiments import Candidate, refit, train_forecaster
from seqlight.experiments.refitting import all_training
from seqlight.experiments.simple_forecasts import linear_candidate

RULE = """\
The rule, stated in the program before the run: `--refit` becomes the default where, for networks and for
least squares each, (1) at least six rows gain and at least twice as many gain as lose, (2) the geometric mean
over the rows of after / before is at most 0.99, and (3) no row loses more than 5 %. A row is the mean over
its origins; rows within 0.1 % of each other neither gain nor lose. Else `--refit` stays something to ask
for."""

ROWS_BEGIN = "| set | target | model | before | after | change | origins that gain |"


@dataclass(frozen=True)
class Set:
    """A data set: its file, its columns, and how many horizons follow each origin."""

    file: str
    time: str
    targets: tuple[str, ...]
    id: str | None = None
    horizons: int = 4
    every: int = 0  # of files whose rows are series: take every so manieth
    first: str = ""  # the made-up first time of those, and of files without times
    step: int = 1  # hours between rows, likewise


SETS = {
    "demo": Set("", "timestamp", ("demand",), id="region"),
    "etth1": Set("ETTh1.csv", "date", ("OT", "HUFL")),
    "etth2": Set("ETTh2.csv", "date", ("OT", "HUFL")),
    "taxi": Set("taxi_new_york.csv", "time", ("#Passengers",)),
    "air": Set("air_passengers.csv", "Month", ("#Passengers",), horizons=1),
    "milk": Set("milk_incomplete.csv", "Month", ("Pounds per cow",), horizons=1),
    "m4_weekly": Set(
        "m4_weekly_train.csv", "time", ("y",), "id", horizons=1, every=9, first="1990-01-01", step=168
    ),
    "m4_hourly": Set("Hourly-train.csv", "time", ("y",), "id", horizons=1, every=21, first="2015-01-01"),
    "exchange": Set("exchange_rate.txt.gz", "time", ("y",), "id", first="1990-01-01", step=24),
    "temperatures": Set("daily-min-temperatures.csv", "Date", ("Temp",)),
    "births": Set("daily-total-female-births.csv", "Date", ("Births",)),
    "sunspots": Set("monthly-sunspots.csv", "Month", ("Sunspots",)),
}


def table_of(one: Set, path: Path, folder: Path) -> Path:
    """Return a CSV in long form with times: the file itself, or one that is written to ``folder``."""
    if not one.first:
        return path
    if one.every:
        wide = pl.read_csv(path, infer_schema=False)[:: one.every]
        series = {row[0]: [float(cell) for cell in row[1:] if cell] for row in wide.iter_rows()}
    else:
        with gzip.open(path, "rt") as file:
            columns = np.loadtxt(file, delimiter=",").T
        series = {f"series {number}": column.tolist() for number, column in enumerate(columns)}
    frames = []
    for name, values in series.items():
        times = np.datetime64(one.first, "us") + one.step * np.arange(len(values)) * np.timedelta64(1, "h")
        frames.append(pl.DataFrame({"id": [name] * len(values), "time": times, "y": values}))
    written = folder / f"{path.name.partition('.')[0]}_long.csv"
    pl.concat(frames).write_csv(written)
    return written


def data_of(one: Set, target: str, given: argparse.Namespace) -> CSVDataModule:
    """Return a set's series with the sizes and parts that ``seqlight forecast`` chooses."""
    path = DEMO_CSV if not one.file else table_of(one, given.folder / one.file, given.scratch)
    ids = [] if one.id is None else ["--id", one.id]
    options = ["--time", one.time, "--target", target, *ids, "-o", str(given.scratch / "unused.csv")]
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


def measure(one: Set, target: str, given: argparse.Namespace) -> Iterator[tuple[int, str, float, float]]:
    """Yield origin, model, and its errors before and after the refit."""
    data = data_of(one, target, given)
    for origin in range(given.origins):
        back = one.horizons * data.prediction_length * (given.origins - origin)
        ends = np.maximum(data.ends - back, 0)
        fold = data.until(ends, data.splitter)
        fold.setup("fit")
        candidates = {}
        if "LSTM" in given.models:
            candidates["LSTM"] = train_forecaster(
                "lstm",
                fold,
                seed=given.seed,
                options={"hidden_size": 64, "peephole": True},
                epochs=given.epochs,
                accelerator="cpu",
            )
        linear = linear_candidate(fold) if "linear" in given.models else None
        if linear is not None:
            candidates["linear"] = linear
        everything = all_training(fold)
        for model, candidate in candidates.items():
            before = errors(candidate, fold, data, ends, one.horizons)
            after = errors(refit(candidate, fold), everything, data, ends, one.horizons)
            yield origin, model, before, after


def line_of(name: str, target: str, model: str, errors: Sequence[tuple[float, float]]) -> str:
    """Return a row of the table from errors before and after at each origin."""
    before, after = (statistics.fmean(side) for side in zip(*errors, strict=True))
    better = sum(two < one for one, two in errors)
    return (
        f"| {name} | {target} | {model} | {before:.4f} | {after:.4f} | {100 * (after / before - 1):+.1f}% | "
        f"{better} of {len(errors)} |"
    )


def verdict(lines: Sequence[str], model: str) -> str:
    """Say how the rows of one model stand to the rule."""
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    ratios = [float(row[4]) / float(row[3]) for row in cells if row[2] == model]
    gains, losses = sum(one < 0.999 for one in ratios), sum(one > 1.001 for one in ratios)
    mean, worst = statistics.geometric_mean(ratios), max(ratios)
    meets = gains >= 6 and gains >= 2 * losses and mean <= 0.99 and worst <= 1.05
    return (
        f"- {model}: {gains} rows gain, {losses} lose, of {len(ratios)}; geometric mean of after / before "
        f"{mean:.3f}, worst {worst:.3f}: the rule is {'met' if meets else 'not met'}."
    )


def main() -> None:
    """Measure each set, print the rows, and write the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--models", nargs="+", choices=["LSTM", "linear"], default=["LSTM", "linear"])
    parser.add_argument("--origins", type=int, default=3)
    parser.add_argument("--epochs", type=int, help="at most so many; default: those of seqlight forecast")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--scratch", type=Path, default=Path())
    parser.add_argument("--machine", default="", help="a few words for the page")
    parser.add_argument("-o", "--output", type=Path, help="the page; rows that it has already are kept")
    given = parser.parse_args()
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore")
    lines: list[str] = []
    if given.output is not None and given.output.exists():
        text = given.output.read_text(encoding="utf-8")
        lines = [line for line in text.splitlines() if line.endswith((f"of {given.origins} |",))]
    for name in given.sets:
        one = SETS[name]
        if one.file and not (given.folder / one.file).exists():
            print(f"{name}: left out, there is no {given.folder / one.file}", flush=True)
            continue
        for target in one.targets:
            if any(line.startswith(f"| {name} | {target} |") for line in lines):
                continue
            begun, found = time.monotonic(), list(measure(one, target, given))
            for model in dict.fromkeys(row[1] for row in found):
                line = line_of(name, target, model, [row[2:] for row in found if row[1] == model])
                lines.append(line)
                print(line, f"({time.monotonic() - begun:.0f} s)", flush=True)
            if given.output is not None:
                given.output.write_text(page(lines, given), encoding="utf-8")
    for model in given.models:
        print(verdict(lines, model))


def page(lines: Sequence[str], given: argparse.Namespace) -> str:
    """Return the page of results."""
    epochs = "" if given.epochs is None else f" --epochs {given.epochs}"
    about = (
        f"`python benchmarks/refit.py FOLDER --origins {given.origins}{epochs} -o "
        f"benchmarks/results/refit.md`; torch {torch.__version__}, one thread"
        f"{given.machine and f', {given.machine}'}. Errors are MASE over the horizons behind {given.origins} "
        "origins."
    )
    verdicts = [
        verdict(lines, model) for model in given.models if any(f"| {model} |" in row for row in lines)
    ]
    table = [ROWS_BEGIN, "|---|---|---|---:|---:|---:|---:|", *lines]
    return "\n".join(["# Refit", "", about, "", RULE, "", *table, "", *verdicts, ""])


if __name__ == "__main__":
    main()
