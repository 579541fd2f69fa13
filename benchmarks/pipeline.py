"""From a CSV of 10,000,000 rows to the first training step; steps with and without covariates.

    python benchmarks/pipeline.py [--rows 10000000] [--series 1000] [--repeat 5] [--output FILE.md]

Every reading runs in a process of its own, so that peaks of memory are its own too, and the peers take turns:
polars' bare ``read_csv`` of the same columns, a bare loop over pyarrow and torch, and seqlight. Imports are
not counted in the times; the peak of memory (``ru_maxrss``) has them in it. The steps are taken in one
process, where the models take turns. The table is written by this program alone.
"""

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

CONTEXT, HORIZON, BATCH, HIDDEN = 168, 24, 256, 64
SEASON = 24
PEERS = ("read_csv", "bare", "seqlight", "seqlight, from its cache")
CLOCKS = {"wall": time.perf_counter, "processor": time.process_time}
CLOCK = time.perf_counter


def peak_gib() -> float:
    """Return the peak of this process' resident memory."""
    unit = 2**20 if platform.system() == "Linux" else 2**30
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def write_csv(path: Path, rows: int, series: int) -> None:
    """Write hourly series one after the other: a daily season, noise and a level of its own."""
    import polars as pl

    length = rows // series
    start = np.datetime64("2020-01-01T00:00:00", "us")
    times = pl.Series(start + np.arange(length) * np.timedelta64(3_600_000_000, "us"))
    text = times.dt.strftime("%Y-%m-%d %H:%M:%S")
    random = np.random.default_rng(0)
    season = 10 * np.sin(np.arange(length) * 2 * np.pi / SEASON)
    with path.open("wb") as file:
        for index in range(series):
            values = np.round(season + random.normal(size=length) + index, 3)
            frame = pl.DataFrame({"time": text, "id": f"s{index:05}", "y": values})
            frame.write_csv(file, include_header=index == 0)


def measure_read_csv(path: Path) -> dict[str, float]:
    """Read the three columns with polars and do nothing else."""
    import polars as pl
    import torch  # noqa: F401  # in the memory of the others, too

    start = CLOCK()
    pl.read_csv(path, columns=["time", "id", "y"])
    return {"reading": CLOCK() - start}


def measure_bare(path: Path) -> dict[str, float]:
    """Read with pyarrow, cut windows by arithmetic, take one step of torch's LSTM."""
    import pyarrow.csv
    import torch

    start = CLOCK()
    table = pyarrow.csv.read_csv(path)
    read = CLOCK()
    ids = table["id"].combine_chunks().dictionary_encode().indices.to_numpy()
    values = torch.from_numpy(table["y"].to_numpy().astype(np.float32))
    begins = np.flatnonzero(np.append(True, ids[1:] != ids[:-1]))
    ends = np.append(begins[1:], len(ids))
    window = CONTEXT + HORIZON
    firsts = [
        np.arange(begin, begin + int(0.7 * (end - begin)) - window)
        for begin, end in zip(begins, ends, strict=True)
    ]
    starts = torch.from_numpy(np.concatenate(firsts))
    order = torch.randperm(len(starts))
    network = torch.nn.LSTM(1, HIDDEN, batch_first=True)
    head = torch.nn.Linear(HIDDEN, HORIZON)
    optimizer = torch.optim.Adam([*network.parameters(), *head.parameters()])
    rows = starts[order[:BATCH], None] + torch.arange(window)
    batch = values[rows]
    past, future = batch[:, :CONTEXT], batch[:, CONTEXT:]
    mean, std = past.mean(1, keepdim=True), past.std(1, keepdim=True)
    output = head(network(((past - mean) / std)[..., None])[0][:, -1])
    loss = torch.nn.functional.mse_loss(output, (future - mean) / std)
    loss.backward()
    optimizer.step()
    return {"reading": read - start, "rest": CLOCK() - read}


def measure_seqlight(path: Path, *, cache: bool = False) -> dict[str, float]:
    """Read into a DataModule, or map what an earlier run has kept, and fit for one step."""
    import lightning.pytorch as lightning

    import seqlight.data.store.series_file as series_file
    from seqlight.data import CSVDataModule
    from seqlight.models import LSTMForecaster

    spent = {"reading": 0.0}
    read_table = series_file.read_table

    def timed(*args: Any, **kwargs: Any) -> Any:
        begin = CLOCK()
        table = read_table(*args, **kwargs)
        spent["reading"] += CLOCK() - begin
        return table

    series_file.read_table = timed
    start = CLOCK()
    columns = {"time_col": "time", "id_col": "id", "target_cols": "y"}
    data = CSVDataModule(path, **columns, batch_size=BATCH, cache=cache, **lengths())
    model = LSTMForecaster(target_size=1, hidden_size=HIDDEN, **lengths())
    trainer = lightning.Trainer(max_steps=1, **quiet())
    trainer.fit(model, datamodule=data)
    whole = CLOCK() - start
    return spent | {"rest": whole - spent["reading"]}


def lengths() -> dict[str, int]:
    """Return the sizes of windows."""
    return {"context_length": CONTEXT, "prediction_length": HORIZON}


def quiet() -> dict[str, Any]:
    """Return arguments of a Trainer that does nothing but train."""
    return {
        "accelerator": "cpu",
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "limit_val_batches": 0,
        "num_sanity_val_steps": 0,
    }


def measure_steps(repeat: int) -> dict[str, Any]:
    """Time steps without and with covariates in turn, and what lies between two steps of a Trainer."""
    import torch

    torch.manual_seed(0)
    steps: dict[str, Callable[[], None]] = {"torch.nn, bare": bare_step()}
    for strategy in ("direct", "every_step"):
        for covariates in ("none", "past", "future"):
            steps[f"{strategy}, {covariates}"] = forecaster_step(strategy, covariates)
    found: dict[str, list[float]] = {name: [] for name in steps}
    for step in steps.values():
        step()
    for _ in range(repeat):
        for name, step in steps.items():
            begin = CLOCK()
            step()
            found[name].append(CLOCK() - begin)
    return {"steps": found, "between": between_steps(repeat)}


def bare_step() -> Callable[[], None]:
    """Return a step of torch.nn.LSTM and a linear layer."""
    import torch

    network, head = torch.nn.LSTM(1, HIDDEN, batch_first=True), torch.nn.Linear(HIDDEN, HORIZON)
    optimizer = torch.optim.Adam([*network.parameters(), *head.parameters()])
    past, future = torch.randn(BATCH, CONTEXT, 1), torch.randn(BATCH, HORIZON)

    def step() -> None:
        optimizer.zero_grad()
        torch.nn.functional.mse_loss(head(network(past)[0][:, -1]), future).backward()
        optimizer.step()

    return step


def forecaster_step(strategy: str, covariates: str) -> Callable[[], None]:
    """Return a step of a forecaster; covariates are 3 numeric ones and one of 12 categories."""
    import torch

    from seqlight.models import LSTMForecaster

    sizes: dict[str, Any] = {}
    batch = {"past_target": torch.randn(BATCH, CONTEXT, 1), "future_target": torch.randn(BATCH, HORIZON, 1)}
    if covariates != "none":
        sizes = {f"{covariates}_covariate_size": 3, f"{covariates}_cardinalities": [12]}
        parts = (
            [("past", CONTEXT)]
            if covariates == "past"
            else [("historic_future", CONTEXT), ("future", HORIZON)]
        )
        for part, length in parts:
            batch[f"{part}_covariates"] = torch.randn(BATCH, length, 3)
            batch[f"{part}_categories"] = torch.randint(1, 13, (BATCH, length, 1))
    model = LSTMForecaster(target_size=1, hidden_size=HIDDEN, strategy=strategy, **lengths(), **sizes)
    # There is no Trainer:
    model.log = lambda *args, **kwargs: None  # type: ignore[method-assign]
    model.mean_over_processes = lambda total, count: total / count  # type: ignore[method-assign]
    optimizer = torch.optim.Adam(model.parameters())

    def step() -> None:
        optimizer.zero_grad()
        model.training_step(batch, 0).backward()
        optimizer.step()

    return step


def between_steps(repeat: int) -> list[float]:
    """Return the seconds from the end of one step of a Trainer to the beginning of the next."""
    import lightning.pytorch as lightning

    from seqlight.data import ForecastDataModule, SeriesDataset, SeriesStore
    from seqlight.models import LSTMForecaster

    begins: list[float] = []
    ends: list[float] = []

    class Timed(LSTMForecaster):
        def training_step(self, batch: Any, batch_idx: int) -> Any:
            begins.append(CLOCK())
            return super().training_step(batch, batch_idx)

        def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
            super().optimizer_step(*args, **kwargs)
            ends.append(CLOCK())

    random = np.random.default_rng(0)
    store = SeriesStore.from_arrays([random.normal(size=20_000).astype(np.float32) for _ in range(10)])
    data = ForecastDataModule(SeriesDataset.from_store(store, "y"), batch_size=BATCH, **lengths())
    model = Timed(target_size=1, hidden_size=4, **lengths())
    lightning.Trainer(max_steps=max(50, 10 * repeat), **quiet()).fit(model, datamodule=data)
    return [begin - end for begin, end in zip(begins[1:], ends[:-1], strict=True)][10:]


def alone(part: str, clock: str, *arguments: str) -> dict[str, Any]:
    """Run a part of this program in a process of its own."""
    command = [sys.executable, __file__, "--part", part, "--clock", clock, *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{part} failed:\n{done.stderr}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def spread(values: list[float], scale: float = 1.0) -> str:
    """Return a median with the quartiles around it."""
    low, middle, high = (float(np.quantile(values, q)) * scale for q in (0.25, 0.5, 0.75))
    return f"{middle:.3g} ({low:.3g} to {high:.3g})"


def report(
    given: argparse.Namespace, runs: dict[str, list[dict[str, float]]], steps: dict[str, Any]
) -> Iterator[str]:
    """Yield the lines of the page."""
    load = os.getloadavg()[0]
    yield "# From a CSV to the first training step"
    yield ""
    yield (
        f"Written by `python benchmarks/pipeline.py`: {given.rows:,} rows, {given.series:,} series, "
        f"{os.cpu_count()} processors, median and quartiles of {given.repeat} runs in turn; load of the "
        f"machine at the end {load:.1f}. Times are "
        + ("those of the clock." if given.clock == "wall" else "processor time, steps on one thread.")
    )
    yield ""
    yield "| | reading, s | the rest, s | peak memory, GiB |"
    yield "|---|---|---|---|"
    for peer, found in runs.items():
        rest = spread([one["rest"] for one in found]) if "rest" in found[0] else ""
        reading, memory = spread([one["reading"] for one in found]), spread([one["peak"] for one in found])
        yield f"| {peer} | {reading} | {rest} | {memory} |"
    ratios = [
        ours["reading"] / bare["reading"]
        for ours, bare in zip(runs["seqlight"], runs["read_csv"], strict=True)
    ]
    yield ""
    yield f"Reading by seqlight takes {spread(ratios)} times that of `polars.read_csv`, run by run."
    yield ""
    yield (
        f"A training step of LSTM {HIDDEN}, {CONTEXT} in, {HORIZON} out, batch {BATCH}; 3 numeric covariates "
        "and 1 of 12 categories:"
    )
    yield ""
    yield "| strategy, covariates | ms | times that without |"
    yield "|---|---|---|"
    for name, seconds in steps["steps"].items():
        without = steps["steps"].get(f"{name.split(',')[0]}, none", seconds)
        ratio = statistics.median(one / other for one, other in zip(seconds, without, strict=True))
        yield f"| {name} | {spread(seconds, 1e3)} | {ratio:.2f} |"
    yield ""
    between = spread(steps["between"], 1e3)
    yield f"From the end of a step of the Trainer to the beginning of the next: {between} ms."


def main() -> None:
    """Run all parts in turn, and write the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--series", type=int, default=1_000)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument(
        "--clock",
        choices=CLOCKS,
        default="wall",
        help="processor: of all threads together, and steps on one thread; for a machine with other work",
    )
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "results" / "pipeline.md")
    parser.add_argument("--part", help=argparse.SUPPRESS)
    parser.add_argument("--csv", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    global CLOCK  # of all that is measured in this process
    CLOCK = CLOCKS[given.clock]
    if given.part == "steps":
        if given.clock == "processor":
            import torch

            torch.set_num_threads(1)
        print(json.dumps(measure_steps(given.repeat)))
        return
    if given.part:
        ours = partial(measure_seqlight, cache="cache" in given.part)
        measure = {"read_csv": measure_read_csv, "bare": measure_bare}.get(given.part, ours)
        print(json.dumps(measure(given.csv) | {"peak": peak_gib()}))
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "series.csv"
        write_csv(path, given.rows, given.series)
        os.environ["SEQLIGHT_CACHE"] = str(Path(folder) / "cache")
        alone("seqlight, from its cache", given.clock, "--csv", str(path))  # fills it
        runs: dict[str, list[dict[str, float]]] = {peer: [] for peer in PEERS}
        for _ in range(given.repeat):
            for peer in PEERS:
                runs[peer].append(alone(peer, given.clock, "--csv", str(path)))
    steps = alone("steps", given.clock, "--repeat", str(given.repeat * 4))
    given.output.write_text("\n".join(report(given, runs, steps)) + "\n")
    print(given.output.read_text())


if __name__ == "__main__":
    main()
