"""Small files and a way to call the command line in this process."""

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from seqlight.cli import main
from seqlight.data import CSVDataModule

Run = Callable[..., int]


@pytest.fixture
def run() -> Iterator[Run]:
    """``run("forecast", path, "--time", ...)``: the exit code of ``main`` with these arguments."""
    handler = signal.getsignal(signal.SIGINT)  # Lightning's answer to Ctrl-C changes it

    def call(*argv: object) -> int:
        try:
            return main([str(argument) for argument in argv])
        except SystemExit as stop:
            assert isinstance(stop.code, int)
            return stop.code

    yield call
    signal.signal(signal.SIGINT, handler)


def hourly_rows(hours: int, *, level: float, seed: int) -> tuple[list[str], list[str]]:
    """Timestamps and values (some of them empty) with a daily season."""
    rng = np.random.default_rng(seed)
    step = np.arange(hours)
    start = np.datetime64("2024-02-26T00:00:00")  # runs over the end of February
    values = level * (1.0 + 0.3 * np.sin(2 * np.pi * step / 24)) + rng.normal(0.0, 0.02 * level, hours)
    times = [str(start + np.timedelta64(int(hour), "h")).replace("T", " ") for hour in step]
    cells = [f"{value:.2f}" for value in values]
    cells[hours // 2] = ""
    return times, cells


@pytest.fixture(scope="session")
def two_series_csv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Columns ``ds,shop,sales,note``: 240 hours of "east", 216 of "west", one empty cell each."""
    path = tmp_path_factory.mktemp("input") / "sales.csv"
    lines = ["ds,shop,sales,note"]
    for shop, hours, level in (("east", 240, 100.0), ("west", 216, 1000.0)):
        times, cells = hourly_rows(hours, level=level, seed=hours)
        lines += [f"{time},{shop},{cell},x" for time, cell in zip(times, cells, strict=True)]
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture
def two_series_data(two_series_csv: Path) -> CSVDataModule:
    """What ``seqlight forecast`` makes of ``two_series_csv``, for 24 steps in and 6 out."""
    data = CSVDataModule(
        two_series_csv,
        time_col="ds",
        target_cols="sales",
        id_col="shop",
        context_length=24,
        prediction_length=6,
        missing="mask",
        calendar_features=["hour"],
        calibration_size=0.1,
        test_size=0.1,
    )
    data.setup("test")
    return data
