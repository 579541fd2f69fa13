"""What the tests of README and site share: a working folder, and commands run with less work."""

import re
import shlex
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from seqlight.cli import main

REPOSITORY = Path(__file__).resolve().parent.parent.parent

# So that a test need not wait for a whole training.
LESS_WORK = {
    "forecast": ["--max-time", "0.01", "--hidden-size", "4"],
    "impute": ["--steps", "2", "--hidden-size", "4"],
    "fit": ["--trainer.max_epochs=1", "--trainer.limit_train_batches=2", "--trainer.limit_val_batches=2"],
    "predict": [],
    "backtest": [],
    "compare strategies": ["--network", "gru", "--hidden-size", "4", "--epochs", "1", "--max-time", "5"],
    "benchmark recurrent": ["--check-only", "--shapes", "2,5,1,4", "--peers", "seqlight-peephole"],
    "benchmark conv": ["--check-only", "--shapes", "2,5,4", "--sections", "conv", "--peers", "seqlight"],
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working folder with what README and pages speak of: data.csv, and the repository's folders."""
    hours = np.arange(24 * 28)
    rng = np.random.default_rng(0)
    sales = 100 + 30 * np.sin(2 * np.pi * hours / 24) + rng.normal(0, 3, len(hours))
    times = np.datetime64("2024-01-01", "us") + hours * np.timedelta64(1, "h")
    pl.DataFrame({"ds": times, "y": sales}).write_csv(tmp_path / "data.csv")
    for name in ("examples", "seqlight"):
        (tmp_path / name).symlink_to(REPOSITORY / name)
    monkeypatch.chdir(tmp_path)
    handler = signal.getsignal(signal.SIGINT)
    yield tmp_path
    signal.signal(signal.SIGINT, handler)


@pytest.fixture
def run_command() -> Callable[[str], None]:
    """Runs a command line of the documentation, with less work than it asks for."""

    def run(command: str) -> None:
        program, *arguments = shlex.split(command)
        if program == "seqlight":
            name = " ".join(arguments[: 2 if arguments[0] in ("benchmark", "compare") else 1])
            less = LESS_WORK[name]
            if name in ("forecast", "backtest") and {"--demo", "--checkpoint"} & {*arguments} == {"--demo"}:
                less = [*less, "--context", "48"]  # least squares of two weeks take seconds
                less += ["--epochs", "1"] * (name == "backtest")
            assert main([*arguments, *less]) == 0, command
        elif program == "make":
            makefile = (REPOSITORY / "Makefile").read_text()
            assert re.search(rf"^{arguments[0]}:", makefile, flags=re.MULTILINE), command
        else:
            assert command == "pip install .", f"no test for {command!r}"

    return run
