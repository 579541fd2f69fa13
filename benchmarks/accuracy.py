"""How well forecasts are made on public data, in the usual protocols; figures of the validation part.

    python benchmarks/accuracy.py FOLDER TASK [--seeds 0 1 2] [--max-time 300] [--read-test]

FOLDER holds ETTh1.csv, taxi_new_york.csv, m4_weekly_train.csv and m4_weekly_test.csv, m4_hourly_train.csv and
m4_hourly_test.csv, as far as they are needed; the M4 files are those of the competition. A task is run for
each seed by ``seqlight.experiments.portfolio``, and the medians are printed: of each member, of the ensemble,
and of what was chosen. Everything is chosen on the validation part. The test part is looked at with
``--read-test`` alone, which appends commit, seed and figures to ``benchmarks/results/accuracy_log.csv``: what
is changed after a line of that log is no longer chosen without knowing the test part.
"""

import argparse
import csv
import logging
import statistics
import subprocess
import time
import warnings
from pathlib import Path

import torch
from accuracy_tasks import TASKS, Errors, Task
from rich.console import Console
from rich.table import Table

from seqlight.experiments import Portfolio, portfolio

LOG = Path(__file__).parent / "results" / "accuracy_log.csv"
CHOSEN = "chosen on validation"


def run(task: Task, folder: Path, seed: int, given: argparse.Namespace) -> tuple[Portfolio, Errors, Errors]:
    """Train for one seed: the portfolio, its validation errors and, if they may be read, its test errors."""
    data = task.data(folder, seed)
    found = portfolio(data, max_time=given.max_time, seed=seed, names=given.networks)
    predictors = {one.name: one.predictor for one in found.candidates}
    validation = task.errors(predictors, data, "val", folder)
    test = task.errors(predictors, data, "test", folder) if given.read_test else {}
    for errors in (validation, test):
        if errors:
            errors[CHOSEN] = errors[found.best.name]
    return found, validation, test


def medians(runs: list[Errors]) -> Errors:
    """Return the median over seeds of each model's errors, of models that all seeds have."""
    names = [name for name in runs[0] if all(name in one for one in runs)]
    return {
        name: {metric: statistics.median(one[name][metric] for one in runs) for metric in runs[0][name]}
        for name in names
    }


def shown(title: str, errors: Errors, weights: list[dict[str, float]]) -> Table:
    """Return a table of errors, with the median weight of each member."""
    metrics = list(next(iter(errors.values())))
    table = Table("model", *metrics, "weight", title=title)
    for name, row in errors.items():
        own = [one[name] for one in weights if name in one]
        cells = [f"{row[metric]:.4f}" for metric in metrics]
        table.add_row(name, *cells, f"{statistics.median(own):.2f}" if own else "")
    return table


def append_to_log(task: str, seed: int, test: Errors, seconds: float, log: Path = LOG) -> None:
    """Append a line for each model and metric of a look at the test part."""
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=True, cwd=LOG.parent
    ).stdout.strip()
    new = not log.exists()
    with log.open("a", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        if new:
            writer.writerow(["date", "commit", "task", "seed", "model", "metric", "value", "seconds"])
        date = time.strftime("%Y-%m-%d")
        for model, row in test.items():
            for metric, value in row.items():
                writer.writerow([date, commit, task, seed, model, metric, f"{value:.5f}", f"{seconds:.0f}"])


def main() -> None:
    """Run one task and print its tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path, help="folder of the CSV files")
    parser.add_argument("task", choices=TASKS)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--max-time", type=float, default=300.0, help="seconds of training for each seed")
    parser.add_argument("--networks", nargs="*", help="networks to train; default: all")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument(
        "--cpu-time", action="store_true", help="count the process's seconds on the CPU, on a busy machine"
    )
    parser.add_argument("--read-test", action="store_true", help="look at the test part, and log it")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    if given.cpu_time:
        time.monotonic = time.process_time  # what trainings and their schedules go by
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore")
    console = Console(width=110)
    task = TASKS[given.task]
    validation, test, weights = [], [], []
    for seed in given.seeds:
        started = time.monotonic()
        found, of_validation, of_test = run(task, given.folder, seed, given)
        seconds = time.monotonic() - started
        console.print(
            f"seed {seed}: {found.best.name} in {seconds:.0f} s; {'; '.join(found.notes) or 'whole'}",
            markup=False,
        )
        validation.append(of_validation)
        weights.append(found.weights)
        if of_test:
            test.append(of_test)
            append_to_log(given.task, seed, of_test, seconds)
    console.print(
        shown(f"{task.title}: validation, median of {len(given.seeds)}", medians(validation), weights)
    )
    if test:
        console.print(shown(f"{task.title}: test, median of {len(given.seeds)}", medians(test), weights))


if __name__ == "__main__":
    main()
