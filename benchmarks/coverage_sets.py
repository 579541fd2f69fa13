"""Series and models of ``coverage.py``."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

import seqlight
from seqlight.data import CSVDataModule
from seqlight.experiments import Candidate, baselines, build_forecaster, fit, portfolio, trained
from seqlight.experiments.checkpoints import save_checkpoint
from seqlight.models import SeqlightModule, load

DEMO = Path(seqlight.__file__).parent / "cli" / "demand.csv"
PARTS = {"val_size": 0.1, "calibration_size": 0.1, "test_size": 0.1}
HOURLY = {"context_length": 168, "prediction_length": 24, "calendar_features": ["hour", "day_of_week"]}
DATA: dict[str, dict[str, Any]] = {
    "ETTh1": {"path": "ETTh1.csv", "time_col": "date", "target_cols": "OT", **HOURLY},
    "taxi": {
        "path": "taxi_new_york.csv",
        "time_col": "time",
        "target_cols": "#Passengers",
        "context_length": 336,
        "prediction_length": 48,
        "calendar_features": ["hour", "day_of_week"],
    },
    "demo": {
        "path": DEMO,
        "time_col": "timestamp",
        "target_cols": "demand",
        "id_col": "region",
        "missing": "mask",
        **HOURLY,
    },
    "M4 weekly": {
        "path": "m4_weekly_train.csv",
        "layout": "rows",
        "id_col": "V1",
        "time_col": None,
        "target_cols": "y",
        "context_length": 65,
        "prediction_length": 13,
        "season_length": 1,
        "missing": "mask",
        "skip_short": True,
    },
    "ETTh1, HUFL": {"path": "ETTh1.csv", "time_col": "date", "target_cols": "HUFL", **HOURLY},
    "drift": {"path": None, "time_col": "time", "target_cols": "y", "id_col": "series", **HOURLY},
}
"""The first four were looked at while methods were made; the other two are for the table alone."""


def data_module(name: str, folder: Path) -> CSVDataModule:
    """The series of one data set."""
    options = dict(DATA[name])
    path = options.pop("path")
    data = CSVDataModule(drifting_series() if path is None else folder / path, **options, **PARTS)
    data.setup("fit")
    return data


def drifting_series(count: int = 8, steps: int = 3000, seed: int = 0) -> pl.DataFrame:
    """Hourly series of a day's cycle, a wandering level, and noise that doubles in the last third."""
    random = np.random.default_rng(seed)
    hours = np.arange(steps)
    spread = np.where(hours < 2 * steps // 3, 1.0, 1.0 + 3.0 * (hours - 2 * steps / 3) / steps)
    frames = []
    for series in range(count):
        noise = np.zeros(steps)
        shocks = random.standard_t(5, steps) * spread
        for step in range(1, steps):
            noise[step] = 0.7 * noise[step - 1] + shocks[step]
        level = np.cumsum(0.1 * random.standard_normal(steps))
        cycle = random.uniform(2, 6) * np.sin(2 * np.pi * hours / 24 + random.uniform(0, 6))
        time = pl.datetime_range(
            pl.datetime(2020, 1, 1), pl.datetime(2020, 1, 1) + pl.duration(hours=steps - 1), "1h", eager=True
        )
        values = 50 + 10 * series + cycle + level + noise
        frames.append(pl.DataFrame({"series": [f"s{series}"] * steps, "time": time, "y": values}))
    return pl.concat(frames)


def lstm(data: CSVDataModule, given: argparse.Namespace, head: str = "point") -> Candidate:
    """A peephole LSTM, trained as ``seqlight forecast`` trains it."""
    options = {} if head == "point" else {"head": head}
    fitted = fit(
        lambda: build_forecaster("lstm", data, hidden_size=64, num_layers=1, peephole=True, **options),
        data,
        seed=0,
        epochs=given.epochs,
        max_time=given.max_time,
    )
    return trained("LSTM" if head == "point" else f"LSTM, {head} head", fitted)


MODELS: dict[str, Callable[[CSVDataModule, argparse.Namespace], Candidate]] = {
    "lstm": lstm,
    "lstm-normal": lambda data, given: lstm(data, given, "normal"),
    "lstm-student-t": lambda data, given: lstm(data, given, "student_t"),
    "linear": lambda data, given: Candidate("linear", baselines(data)["linear"].predictor),
    "portfolio": lambda data, given: portfolio(data, max_time=given.max_time, epochs=given.epochs).best,
}


def model(kind: str, name: str, data: CSVDataModule, given: argparse.Namespace) -> Candidate:
    """A model of ``MODELS``; one that is in ``--checkpoints`` is not trained again."""
    titles = {"lstm": "LSTM", "lstm-normal": "LSTM, normal head", "lstm-student-t": "LSTM, student_t head"}
    if given.checkpoints is None or kind == "linear":
        return MODELS[kind](data, given)
    path = given.checkpoints / f"{name.replace(', ', '_').replace(' ', '_')}-{kind}.ckpt"
    if not path.exists():
        made = MODELS[kind](data, given).predictor
        assert isinstance(made, SeqlightModule)
        path.parent.mkdir(parents=True, exist_ok=True)
        save_checkpoint(made, data, path)
    return Candidate(titles.get(kind, kind), load(path))
