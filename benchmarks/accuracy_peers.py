"""How well other libraries forecast the tasks of accuracy.py, each model in the time that ours is given.

    python benchmarks/accuracy_peers.py FOLDER TASK [--max-time 60] [--models NHITS AutoETS] [--read-test]

Needs an environment with statsforecast and neuralforecast, which `make peers` makes; FOLDER is accuracy.py's.
Data, windows and metrics are those of accuracy.py. Every model has the library's own options; what is set is
the horizon, the context, the season, and for networks the input's scale (each series by the mean and the
deviation of its training part, as their users are advised).

A network of neuralforecast is trained on the training part, for the library's own number of steps or until
``--max-time`` is up, and then forecasts every window. A model of statsforecast is fitted to the past of each
window, and is left out where that takes longer than ``--max-time`` for a part. Times are the processor's, in
which other work on the machine shows little. The test part is looked at with ``--read-test`` alone, which
appends commit, seed and figures to ``benchmarks/results/accuracy_peers_log.csv``.
"""

import argparse
import importlib
import importlib.metadata
import logging
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import accuracy
import numpy as np
import pandas as pd
import torch
from accuracy_tasks import GIFT_HORIZON, TASKS, Errors
from rich.console import Console

from seqlight.data import CSVDataModule
from seqlight.predictor import Batch, Forecast

LOG = Path(__file__).parent / "results" / "accuracy_peers_log.csv"
NETWORKS = ("NHITS", "PatchTST", "LSTM", "DLinear")
LOCAL = ("SeasonalNaive", "AutoTheta", "MSTL", "AutoETS", "AutoARIMA")
SEASONS = {"etth1": 24, "taxi": 48, "m4-weekly": 1, "etth1-gift": 24}
WHOLE_HISTORY = ("m4-weekly",)
"""Tasks in which a local model is fitted to all before a forecast, as in the competition."""


class OutOfTime(Exception):
    """Tell that a model needs more than its time."""


class Peer:
    """A model of another library with the sizes of a task, as a predictor."""

    def __init__(self, data: CSVDataModule) -> None:
        self.data = data
        self.context_length = data.context_length
        self.prediction_length = data.prediction_length
        self.target_size = data.target_size
        self.hparams: dict[str, Any] = {}


class LocalModel(Peer):
    """A model of statsforecast, fitted to what is before each window.

    Args:
        make: makes the model.
        data: the task's DataModule.
        history: steps that it is fitted to; None for all.
        seconds: after which :class:`OutOfTime` is raised.
    """

    def __init__(
        self, make: Callable[[], Any], data: CSVDataModule, history: int | None, seconds: float
    ) -> None:
        super().__init__(data)
        self.make, self.history, self.seconds = make, history, seconds
        self.begin()

    def begin(self) -> None:
        """Begin a part, which has its own time."""
        self.taken, self.fits = 0.0, 0

    def predict(self, batch: Batch, **_: Any) -> Forecast:
        """Fit to each series of each window."""
        points = np.empty((len(batch["start"]), self.prediction_length, self.target_size))
        for row, (index, start) in enumerate(
            zip(batch["series_index"].tolist(), batch["start"].tolist(), strict=True)
        ):
            before = self.data.store.series(index)[:start]
            before = before if self.history is None else before[-self.history :]
            for channel in range(self.target_size):
                began = time.process_time()
                values = np.ascontiguousarray(before[:, channel], dtype=np.float64)
                points[row, :, channel] = self.make().forecast(y=values, h=self.prediction_length)["mean"]
                self.taken += time.process_time() - began
                self.fits += 1
                if self.taken > self.seconds:
                    raise OutOfTime(f"{self.fits} fits took {self.taken:.0f} s")
        return Forecast(torch.from_numpy(points).float())


class TrainedNetwork(Peer):
    """A network of neuralforecast: trained once, all windows of a part forecast at once."""

    def __init__(self, library: Any, data: CSVDataModule, stops: dict[str, list[int]], steps: str) -> None:
        super().__init__(data)
        self.library, self.stops, self.steps = library, stops, steps
        self.found: dict[tuple[int, int], dict[int, np.ndarray]] = {}

    def forecast(self, part: str, rows: int, step: int) -> None:
        """Forecast the last ``rows`` rows of a part every ``step`` rows; 0 rows: what comes after."""
        frame, scales = scaled(self.data, self.stops[part], self.stops["train"])
        if rows:
            made = self.library.cross_validation(
                df=frame, use_fitted=True, n_windows=None, test_size=rows, step_size=step
            )
        else:
            made = self.library.predict(df=frame)
            made["cutoff"] = made.groupby("unique_id")["ds"].transform("min") - 1
        (name,) = [column for column in made.columns if column not in ("unique_id", "ds", "cutoff", "y")]
        self.found = {}
        for (key, cutoff), one in made.groupby(["unique_id", "cutoff"]):
            series, channel = (int(number) for number in key.split("/"))
            mean, deviation = scales[key]
            values = one.sort_values("ds")[name].to_numpy() * deviation + mean
            self.found.setdefault((series, channel), {})[int(cutoff) + 1] = values

    def predict(self, batch: Batch, **_: Any) -> Forecast:
        """Look the forecasts up."""
        rows = zip(batch["series_index"].tolist(), batch["start"].tolist(), strict=True)
        points = [
            np.stack([self.found[series, channel][start] for channel in range(self.target_size)], axis=1)
            for series, start in rows
        ]
        return Forecast(torch.from_numpy(np.stack(points)).float())


def scaled(
    data: CSVDataModule, stop: list[int], fitted: list[int]
) -> tuple[pd.DataFrame, dict[str, tuple[float, float]]]:
    """Return the series up to ``stop`` in neuralforecast's form, each scaled by its first ``fitted`` rows."""
    frames, scales = [], {}
    for series in range(len(stop)):
        values = data.store.series(series)
        for channel in range(data.target_size):
            known = values[: fitted[series], channel].astype(np.float64)
            mean, deviation = known.mean(), known.std() or 1.0
            key = f"{series:04d}/{channel}"
            scales[key] = mean, deviation
            own = (values[: stop[series], channel] - mean) / deviation
            frames.append(pd.DataFrame({"unique_id": key, "ds": np.arange(stop[series]), "y": own}))
    return pd.concat(frames, ignore_index=True), scales


def part_stops(data: CSVDataModule) -> dict[str, list[int]]:
    """Return where each series' training, validation and test part end."""
    ends = (data.store.indptr[1:] - data.store.indptr[:-1]).tolist()
    return {"train": data.split.train_stop.tolist(), "val": data.split.val_stop.tolist(), "test": ends}


def train(name: str, data: CSVDataModule, seconds: float, seed: int) -> TrainedNetwork:
    """Train a network of neuralforecast with its own options."""
    from neuralforecast import NeuralForecast, models
    from pytorch_lightning.callbacks import LambdaCallback

    steps: list[int] = []
    began = time.process_time()

    def stop_in_time(trainer: Any, *_: Any) -> None:
        trainer.should_stop = trainer.should_stop or time.process_time() - began > seconds

    limit = LambdaCallback(
        on_train_batch_end=stop_in_time,
        on_train_end=lambda trainer, _: steps.append(trainer.global_step),
    )
    quiet = dict.fromkeys(
        ("enable_progress_bar", "logger", "enable_model_summary", "enable_checkpointing"), False
    )
    network = getattr(models, name)(
        h=data.prediction_length,
        input_size=data.context_length,
        random_seed=seed + 1,
        start_padding_enabled=True,
        accelerator="cpu",
        callbacks=[limit],
        **quiet,
    )
    library = NeuralForecast(models=[network], freq=1)
    stops = part_stops(data)
    frame, _ = scaled(data, stops["train"], stops["train"])
    library.fit(frame, val_size=0)
    return TrainedNetwork(library, data, stops, f"{steps[0]} of {network.max_steps} steps")


def rows_of(task: str, part: str, data: CSVDataModule, stops: dict[str, list[int]]) -> tuple[int, int]:
    """Return the rows of a part that are forecast, and the distance of origins; 0 rows: what comes after."""
    if task == "m4-weekly":
        return (data.prediction_length, 1) if part == "val" else (0, 1)
    before = "train" if part == "val" else "val"
    rows = stops[part][0] - stops[before][0]
    if task == "etth1-gift":
        return rows, GIFT_HORIZON
    return rows, 1


def judged(name: str, task: str, given: argparse.Namespace) -> tuple[dict[str, Errors], str]:
    """Make one model; return its errors by part, and a note on its time."""
    data = TASKS[task].data(given.folder, given.seed)
    parts = ["val", "test"] if given.read_test else ["val"]
    if name in LOCAL:
        made: Peer = LocalModel(
            local_maker(name, SEASONS[task]),
            data,
            None if task in WHOLE_HISTORY else data.context_length,
            given.max_time,
        )
        local_maker(name, SEASONS[task])().forecast(y=np.sin(np.arange(200.0)) + 2, h=3)  # compiles
    began = time.process_time()
    if name not in LOCAL:
        made = train(name, data, given.max_time, given.seed)
    note = f"{time.process_time() - began:.0f} s of training"
    errors: dict[str, Errors] = {}
    for part in parts:
        if isinstance(made, LocalModel):
            made.begin()
        elif isinstance(made, TrainedNetwork):
            rows, step = rows_of(task, part, data, made.stops)
            made.forecast(part, rows, step)
        errors[part] = TASKS[task].errors({name: made}, data, part, given.folder)
    if isinstance(made, LocalModel):
        note = f"{made.fits} fits a part, {made.taken:.0f} s"
    elif isinstance(made, TrainedNetwork):
        note += f", {made.steps}"
    return errors, note


def local_maker(name: str, season: int) -> Callable[[], Any]:
    """Return what makes a model of statsforecast."""
    from statsforecast import models

    cls = getattr(models, name)
    return lambda: cls(season_length=season)


def main() -> None:
    """Judge each model and print a line of it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path, help="folder of the CSV files")
    parser.add_argument("task", choices=sorted(SEASONS))
    parser.add_argument("--models", nargs="+", default=[*LOCAL, *NETWORKS], choices=[*LOCAL, *NETWORKS])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--max-time", type=float, default=60.0, help="seconds for each model")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--read-test", action="store_true", help="look at the test part, and log it")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    importlib.import_module("neuralforecast")  # first, for Lightning sets levels when it is imported
    for logger in list(logging.root.manager.loggerDict):
        if "lightning" in logger:
            logging.getLogger(logger).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore")
    console = Console(width=130, highlight=False)
    versions = [
        f"{name} {importlib.metadata.version(name)}" for name in ("statsforecast", "neuralforecast", "torch")
    ]
    console.print(f"{TASKS[given.task].title}; {', '.join(versions)}; {given.max_time:g} s a model")
    for name in given.models:
        began = time.process_time()
        try:
            errors, note = judged(name, given.task, given)
        except OutOfTime as late:
            console.print(f"{name:14} left out for time: {late}")
            continue
        for part, rows in errors.items():
            figures = "  ".join(f"{metric} {value:.4f}" for metric, value in rows[name].items())
            console.print(f"{name:14} {part:5} {figures}  ({note})")
        if "test" in errors:
            seconds = time.process_time() - began
            accuracy.append_to_log(given.task, given.seed, errors["test"], seconds, log=LOG)


if __name__ == "__main__":
    main()
