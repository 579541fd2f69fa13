"""The time of a backtest beside that of a bare loop over nn.LSTM: 20 cutoffs of 1,000 series, by one network.

    python benchmarks/backtest.py --threads 2 -o benchmarks/results/backtest.md

Both run an LSTM of 64 units over the 168 steps before each cutoff and forecast 24. The loop does nothing
else: it slices a tensor that is there, and its forecasts go nowhere. The backtest gathers the windows, scales
each by its own past and back, looks for missing values, scales MASE by what came before each cutoff, sums up
four errors, and keeps the forecasts; its table is timed apart. Runs alternate; the least of each counts. CPU
is the time of all threads together, which other work on the machine moves less.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from torch import Tensor, nn

from seqlight.data import CSVDataModule
from seqlight.experiments import Backtest, backtest
from seqlight.models import LSTMForecaster

CONTEXT, HORIZON, UNITS = 168, 24, 64


class Bare(nn.Module):
    """An LSTM and a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(1, UNITS, batch_first=True)
        self.head = nn.Linear(UNITS, HORIZON)

    def forward(self, x: Tensor) -> Tensor:
        """Forecast ``[B, H]`` from ``[B, L, 1]``."""
        output: Tensor = self.head(self.lstm(x)[0][:, -1])
        return output


def walks(series: int, steps: int) -> pl.DataFrame:
    """Return random walks in long form."""
    values = np.random.default_rng(0).normal(size=(series, steps)).cumsum(axis=1)
    hours = np.datetime64("2024-01-01", "us") + np.arange(steps) * np.timedelta64(1, "h")
    ids = np.repeat([f"s{index}" for index in range(series)], steps)
    return pl.DataFrame({"id": ids, "ds": np.tile(hours, series), "y": values.reshape(-1)})


def seconds(work: Callable[[], Any]) -> tuple[float, float]:
    """Return the wall-clock time and the time of all processors that some work takes."""
    started, used = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - started, time.process_time() - used


def main() -> None:
    """Measure, print and write the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--series", type=int, default=1000)
    parser.add_argument("--cutoffs", type=int, default=20)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("-o", "--output", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    steps = CONTEXT + HORIZON * given.cutoffs + 200
    data = CSVDataModule(
        walks(given.series, steps),
        time_col="ds",
        target_cols="y",
        id_col="id",
        context_length=CONTEXT,
        prediction_length=HORIZON,
    )
    data.setup("predict")
    model = LSTMForecaster(context_length=CONTEXT, prediction_length=HORIZON, hidden_size=UNITS).eval()
    bare = Bare().eval()
    values = torch.from_numpy(data.store.values).reshape(given.series, steps, 1)
    cutoffs = [steps - HORIZON * back for back in range(given.cutoffs, 0, -1)]

    def loop() -> None:
        with torch.inference_mode():
            for cutoff in cutoffs:
                bare(values[:, cutoff - CONTEXT : cutoff])

    times: dict[str, list[tuple[float, float]]] = {"loop over nn.LSTM": [], "backtest": [], "its table": []}
    found: list[Backtest] = []
    for _ in range(given.runs):
        times["loop over nn.LSTM"].append(seconds(loop))
        times["backtest"].append(
            seconds(lambda: found.append(backtest({"lstm": model}, data, windows=given.cutoffs)))
        )
        times["its table"].append(seconds(lambda: found.pop().frame))
    lines = ["| | least | median | least CPU | median CPU |", "|---|---:|---:|---:|---:|"]
    least: dict[str, list[float]] = {}
    for name, own in times.items():
        sides = list(zip(*own, strict=True))
        least[name] = [min(side) for side in sides]
        cells = [f"{figure(side):.2f} s" for side in sides for figure in (min, statistics.median)]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    wall, cpu = (one / two for one, two in zip(least["backtest"], least["loop over nn.LSTM"], strict=True))
    lines += ["", f"The backtest takes {wall:.2f} times the loop, and {cpu:.2f} times its CPU time."]
    about = (
        f"{given.cutoffs} cutoffs of {given.series:,} series, LSTM of {UNITS} units, {CONTEXT} steps in, "
        f"{HORIZON} out, {given.threads} thread{'s' * (given.threads > 1)}, {given.runs} runs in turn; torch "
        f"{torch.__version__}."
    )
    text = "\n".join(["# Backtest", "", about, "", *lines, ""])
    print(text)
    if given.output is not None:
        given.output.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
