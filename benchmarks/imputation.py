"""How well gaps of ETTh1 are filled, in the protocol of TSI-Bench (Du et al. 2024).

    python benchmarks/imputation.py ETTh1.csv

trains the imputers for several seeds and prints the errors on the hidden cells of the validation part, by
which a method is chosen. ``--read-test`` prints those of the test part beside them and appends each, with
the commit, to ``benchmarks/results/imputation_log.csv``.

The protocol: the first 14 months train, the next 5 validate, the rest tests; columns are standardised by the
training part; each part is cut into windows of 48 hours without overlap, and a share of the cells of every
part is hidden: single cells at random, or blocks of 6 hours by 6 columns. An imputer fills each window by
itself, and the mean absolute error is taken over the hidden cells. Training sees the training part with its
own hidden cells gone for good, in windows that may overlap.
"""

import argparse
import csv
import logging
import statistics
import subprocess
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
import torch
from lightning import Trainer
from torch.utils.data import DataLoader, Dataset

from seqlight.experiments import fit
from seqlight.models import ConvImputer, Imputer, LastValueImputer, LinearInterpolationImputer, RNNImputer

HOURS, MONTHS = 48, (14, 19)
BLOCK_HOURS, BLOCK_COLUMNS, BLOCK_FACTOR = 6, 6, 0.36
STEPS, BATCH, STRIDE = 1000, 64, 4
MASK_SEED = 2024
LOG = Path(__file__).parent / "results" / "imputation_log.csv"
PUBLISHED = {"10 % points": {"BRITS": 0.145, "SAITS": 0.144}, "50 % points": {"SAITS": 0.223}}


class Task(NamedTuple):
    """Which cells are hidden, and how training hides some more."""

    rate: float | None  # of single cells; None hides blocks
    hide_fraction: float
    longest_gap: int


TASKS = {
    "10 % points": Task(0.1, 0.1, 1),
    "50 % points": Task(0.5, 0.4, 1),
    "90 % points": Task(0.9, 0.5, 1),
    "blocks": Task(None, 0.3, BLOCK_HOURS),
}


class Part(NamedTuple):
    """The windows [N, 48, C] of a part in standard deviations, and which of their cells are hidden."""

    values: np.ndarray
    hidden: np.ndarray


class Windows(Dataset):
    """Windows of a part, one every ``stride`` rows; the hidden cells as what is held out, if wanted."""

    def __init__(self, part: Part, stride: int, *, judged: bool) -> None:
        columns = part.values.shape[-1]
        self.target = torch.from_numpy(np.where(part.hidden, np.nan, part.values).reshape(-1, columns))
        self.held_out = torch.from_numpy(np.where(part.hidden, part.values, np.nan).reshape(-1, columns))
        self.judged = judged
        self.starts = range(0, len(self.target) - HOURS + 1, stride)

    def __len__(self) -> int:
        return len(self.starts)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        rows = slice(self.starts[index], self.starts[index] + HOURS)
        made = {"target": self.target[rows]}
        return made | {"held_out_target": self.held_out[rows]} if self.judged else made


def hidden_blocks(shape: tuple[int, ...], random: np.random.Generator) -> np.ndarray:
    """Hide blocks of hours by columns at random places, as many as the protocol's factor says."""
    windows, hours, columns = shape
    hidden = np.zeros(shape, np.bool_)
    places = [(window, first) for window in range(windows) for first in range(columns - BLOCK_COLUMNS + 1)]
    per_place = BLOCK_FACTOR * hours * columns / (BLOCK_HOURS * BLOCK_COLUMNS)
    count = int(np.ceil(per_place * len(places)))
    for place in random.choice(len(places), count, replace=per_place > 1):
        window, column = places[place]
        hour = random.integers(hours - BLOCK_HOURS + 1)
        hidden[window, hour : hour + BLOCK_HOURS, column : column + BLOCK_COLUMNS] = True
    return hidden


def read_parts(path: Path, task: Task) -> list[Part]:
    """Return training, validation and test part, standardised, cut and with cells hidden."""
    frame = pl.read_csv(path, try_parse_dates=True)
    month = frame["date"].dt.truncate("1mo").rank("dense").to_numpy()
    values = frame.drop("date").to_numpy()
    first, second = MONTHS
    rows = [month <= first, (month > first) & (month <= second), month > second]
    mean, std = values[rows[0]].mean(0), values[rows[0]].std(0)
    random = np.random.default_rng(MASK_SEED)
    parts = []
    for chosen in rows:
        scaled = ((values[chosen] - mean) / std).astype(np.float32)
        windows = scaled[: len(scaled) // HOURS * HOURS].reshape(-1, HOURS, scaled.shape[1])
        hidden = (
            hidden_blocks(windows.shape, random)
            if task.rate is None
            else random.random(windows.shape) < task.rate
        )
        parts.append(Part(windows, hidden))
    return parts


def networks(task: Task, columns: int) -> dict[str, Callable[[], Imputer]]:
    """Return what makes the networks that are trained, by name."""
    shared = {
        "target_size": columns,
        "window_length": HOURS,
        "transform": "none",  # the protocol has standardised
        "hide_fraction": task.hide_fraction,
        "longest_gap": task.longest_gap,
        "lr_schedule": "one_cycle",
    }
    return {
        "RNNImputer": lambda: RNNImputer(hidden_size=64, lr=1e-2, **shared),
        "ConvImputer": lambda: ConvImputer(hidden_size=64, num_blocks=4, lr=3e-3, **shared),
    }


def trained(build: Callable[[], Imputer], parts: list[Part], seed: int, steps: int) -> Imputer:
    """Train, and return the state with the lowest validation loss: the error on hidden cells."""
    training = DataLoader(
        Windows(parts[0], STRIDE, judged=False),
        batch_size=BATCH,
        shuffle=True,
        drop_last=True,
        generator=torch.Generator().manual_seed(seed),
    )
    validation = DataLoader(Windows(parts[1], HOURS, judged=True), batch_size=256)
    return fit(build, (training, validation), seed=seed, steps=steps, accelerator="cpu").model


def error(model: Imputer, part: Part) -> float:
    """Return the mean absolute error over the hidden cells of a part."""
    windows = DataLoader(Windows(part, HOURS, judged=True), batch_size=256)
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    trainer = Trainer(accelerator="cpu", enable_checkpointing=False, **quiet)
    (logged,) = trainer.validate(model, windows, verbose=False)
    return float(logged["val_mae"])


def write_log(rows: list[list[object]]) -> None:
    """Append what was read of the test part, with the commit."""
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True, cwd=LOG.parent
    ).stdout.strip()
    new = not LOG.exists()
    with LOG.open("a", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        if new:
            writer.writerow(["commit", "task", "method", "seed", "test_mae"])
        writer.writerows([commit, *row] for row in rows)


def main() -> None:
    """Train, judge and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("csv", type=Path, help="ETTh1.csv")
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--read-test", action="store_true", help="print and log the test part's errors")
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    threads, capability = torch.get_num_threads(), torch.backends.cpu.get_cpu_capability()
    print(f"torch {torch.__version__}, {threads} threads, {capability}")
    print(
        "| hidden | method | MAE, validation | seeds |"
        + (" MAE, test |" if given.read_test else "")
        + " seconds |"
    )
    print("|---|---|---|---|" + ("---|" if given.read_test else "") + "---|")
    logged: list[list[object]] = []
    for name in given.tasks:
        parts = read_parts(given.csv, TASKS[name])
        columns = parts[0].values.shape[-1]
        methods: dict[str, list[Imputer]] = {
            "last value": [LastValueImputer(target_size=columns)],
            "line": [LinearInterpolationImputer(target_size=columns)],
        }
        seconds = {}
        for method, build in networks(TASKS[name], columns).items():
            begun = time.perf_counter()
            methods[method] = []
            for seed in given.seeds:
                methods[method].append(trained(build, parts, seed, given.steps))
            seconds[method] = (time.perf_counter() - begun) / len(given.seeds)
        for method, models in methods.items():
            validation = [error(model, parts[1]) for model in models]
            cells = [name, method, f"{statistics.median(validation):.3f}"]
            cells.append("" if len(models) == 1 else f"{min(validation):.3f} to {max(validation):.3f}")
            if given.read_test:
                test = [error(model, parts[2]) for model in models]
                logged += [
                    [name, method, seed, f"{one:.4f}"] for seed, one in zip(given.seeds, test, strict=False)
                ]
                cells.append(f"{statistics.median(test):.3f}")
            cells.append(f"{seconds[method]:.0f}" if method in seconds else "")
            print(f"| {' | '.join(cells)} |", flush=True)
        for method, published in PUBLISHED.get(name, {}).items():
            if given.read_test:
                print(f"| {name} | {method}, published | | | {published:.3f} | |")
    if logged:
        write_log(logged)


if __name__ == "__main__":
    main()
