"""A Parquet file larger than memory ought to be: building its cache, and the first training step from it.

    python benchmarks/large_file.py [--rows 200000000] [--series 100000] [--mixed-rows 10000000]

The floor is what no reader can do without: polars reads the three columns part by part and writes times and
values raw to the same disk. Every measurement runs in a process of its own; imports are not counted. Times
are those of the clock and of the processor (all threads together), which other work on the machine lengthens
less. Memory is the peak of anonymous pages, which nobody shares, and of mapped pages of files, which the
system may take away at any time; the latter hold the store itself. This program alone writes the table.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from pipeline import BATCH, HIDDEN, lengths, quiet

ROWS_AT_A_TIME = 1 << 19
SERIES_AT_A_TIME = 1_000
COLUMNS = {"time_col": "time", "id_col": "id", "target_cols": "y"}


class Memory:
    """Watches the memory of this process (Linux)."""

    def __init__(self) -> None:
        self.peak = {"anonymous": 0.0, "mapped": 0.0, "resident": 0.0}
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        while True:
            self.look()
            time.sleep(0.01)

    def look(self) -> None:
        """Note what is resident now."""
        lines = (
            line.split(":") for line in Path("/proc/self/status").read_text().splitlines() if ":" in line
        )
        sizes = {
            name: int(size.split()[0]) / 2**20 for name, size in lines if name.startswith(("Rss", "VmRSS"))
        }
        now = {
            "anonymous": sizes["RssAnon"],
            "mapped": sizes["RssFile"] + sizes["RssShmem"],
            "resident": sizes["VmRSS"],
        }
        self.peak = {name: max(self.peak[name], size) for name, size in now.items()}


def write_file(path: Path, rows: int, series: int) -> None:
    """Write hourly series one after the other, in row groups."""
    import polars as pl
    import pyarrow.parquet

    length = rows // series
    times = np.datetime64("2020-01-01", "us") + np.arange(length) * np.timedelta64(1, "h")
    season = 10 * np.sin(np.arange(length) * 2 * np.pi / 24)
    random, writer = np.random.default_rng(0), None
    for first in range(0, series, SERIES_AT_A_TIME):
        count = min(SERIES_AT_A_TIME, series - first)
        values = season + random.normal(size=(count, length)) + np.arange(count)[:, None]
        names = pl.Series([f"s{index:06}" for index in range(first, first + count)])
        frame = pl.DataFrame(
            {
                "time": np.tile(times, count),
                "id": names.gather(np.repeat(np.arange(count), length)),
                "y": values.astype(np.float32).ravel(),
            }
        )
        table = frame.to_arrow()
        writer = writer or pyarrow.parquet.ParquetWriter(path, table.schema, compression="zstd")
        writer.write_table(table, row_group_size=1 << 20)
    assert writer is not None  # there is a series
    writer.close()


def floor(path: Path) -> int:
    """Read the columns and write them raw."""
    import polars as pl

    taken = pl.scan_parquet(path).select(pl.col("time").to_physical(), "id", "y")
    with (
        tempfile.TemporaryDirectory(dir=path.parent) as folder,
        (Path(folder) / "times").open("wb") as times,
        (Path(folder) / "values").open("wb") as values,
    ):
        for part in taken.collect_batches(chunk_size=ROWS_AT_A_TIME, maintain_order=True):
            times.write(part["time"].to_numpy().data.cast("B"))
            values.write(part["y"].to_numpy().data.cast("B"))
        for file in (times, values):
            file.flush()
            os.fsync(file.fileno())
    return 0


def build(path: Path) -> int:
    """Build the cache."""
    from seqlight.data import SeriesFile

    return len(SeriesFile(path, **COLUMNS, cache=True).read().store)


def first_step(path: Path) -> int:
    """Open the cache, and fit for one step."""
    import lightning.pytorch as lightning

    from seqlight.data import CSVDataModule
    from seqlight.models import LSTMForecaster

    data = CSVDataModule(path, **COLUMNS, batch_size=BATCH, cache=True, **lengths())
    model = LSTMForecaster(target_size=1, hidden_size=HIDDEN, **lengths())
    trainer = lightning.Trainer(max_steps=1, **quiet())
    trainer.fit(model, datamodule=data)
    return len(data.store)


PARTS = {"floor": floor, "build": build, "first step": first_step}


def measure(part: str, path: Path) -> dict[str, Any]:
    """Measure a part in this process, after its imports."""
    import lightning.pytorch  # noqa: F401
    import polars  # noqa: F401
    import torch

    import seqlight.data
    import seqlight.models

    _ = seqlight.data.CSVDataModule, seqlight.models.LSTMForecaster
    torch.set_num_threads(1)  # a thread that waits for another takes the processor's time, too
    memory = Memory()
    memory.look()
    before = dict(memory.peak)
    wall, processor = time.perf_counter(), time.process_time()
    PARTS[part](path)
    found = {"wall": time.perf_counter() - wall, "processor": time.process_time() - processor}
    memory.look()
    return found | memory.peak | {"imports": before["resident"], "load": os.getloadavg()[0]}


def alone(part: str, path: Path) -> dict[str, Any]:
    """Measure a part in a process of its own."""
    command = [sys.executable, __file__, "--part", part, "--file", str(path)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{part} failed:\n{done.stderr}")
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def measured(path: Path, name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield two floors, builds and first steps of one file, in turn."""
    for _ in range(2):
        shutil.rmtree(os.environ["SEQLIGHT_CACHE"], ignore_errors=True)
        for part in PARTS:
            yield f"{name}: {part}", alone(part, path)


def best(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the run that other work has disturbed least."""
    return min(runs, key=lambda run: run["processor"])


def report(rows: dict[str, list[dict[str, Any]]]) -> Iterator[str]:
    """Yield the lines of the page."""
    yield "# A large file: its cache, and the first step from it"
    yield ""
    yield (
        "Written by `python benchmarks/large_file.py`: hourly float32 series in one Parquet file (zstd), "
        f"{os.cpu_count()} processors. The floor is polars reading the columns part by part and writing "
        "times and values raw. A first step is one of LSTM 64, 168 in, 24 out, batch 256, on one thread, by "
        "a Trainer that opens the cache in a new process. Times are without imports, memory is with them. Of "
        "two runs in turn the one of less processor time is shown."
    )
    yield ""
    yield "| | clock, s | processor, s | resident, GiB | of it anonymous | of it mapped files | load |"
    yield "|---|---|---|---|---|---|---|"
    for name, runs in rows.items():
        one = best(runs)
        yield (
            f"| {name} | {one['wall']:.2f} | {one['processor']:.2f} | {one['resident']:.2f} | "
            f"{one['anonymous']:.2f} | {one['mapped']:.2f} | {one['load']:.1f} |"
        )
    yield ""
    for name, runs in rows.items():
        if name.endswith("build"):
            base = best(rows[name.replace("build", "floor")])
            wall, processor = (best(runs)[clock] / base[clock] for clock in ("wall", "processor"))
            yield (
                f"{name.split(':')[0]}: the build takes {wall:.2f} times the floor by the clock, "
                f"{processor:.2f} times by the processor."
            )
            yield ""


def main() -> None:
    """Make the files, measure, and write the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=200_000_000)
    parser.add_argument("--series", type=int, default=100_000)
    parser.add_argument("--mixed-rows", type=int, default=10_000_000, help="of a file in the order of time")
    parser.add_argument(
        "--folder", type=Path, help="where the files go, with 6 GB of room; default: a new one"
    )
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "results" / "large_file.md")
    parser.add_argument("--part", choices=PARTS, help=argparse.SUPPRESS)
    parser.add_argument("--file", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.part:
        print(json.dumps(measure(given.part, given.file)))
        return
    import polars as pl

    rows: dict[str, list[dict[str, Any]]] = {}
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        os.environ["SEQLIGHT_CACHE"] = str(Path(folder) / "cache")
        path = Path(folder) / "series.parquet"
        small = given.mixed_rows
        for name, kind, size in (
            (f"{small:,} rows by series", "sorted", small),
            (f"{small:,} rows by time", "mixed", small),
            (f"{given.rows:,} rows by series", "sorted", given.rows),
        ):
            write_file(path, size, max(1, size * given.series // given.rows))
            if kind == "mixed":
                pl.read_parquet(path).sort("time", maintain_order=True).write_parquet(path)
            for what, found in measured(path, name):
                rows.setdefault(what, []).append(found)
                print(what, json.dumps({key: round(value, 2) for key, value in found.items()}), flush=True)
    given.output.write_text("\n".join(report(rows)).rstrip() + "\n")
    print(given.output.read_text())


if __name__ == "__main__":
    main()
