"""The example scripts and configurations run."""

import runpy
import sys
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from seqlight.cli import main

EXAMPLES = Path(__file__).resolve().parent.parent.parent / "examples"

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning"),  # Lightning's own
    pytest.mark.filterwarnings("ignore::UserWarning"),  # Lightning's advice on short trainings and loggers
]

Script = Callable[..., None]


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Script:
    """``script("name.py", "--option", ...)`` runs an example as ``__main__`` in a folder of its own."""
    monkeypatch.chdir(tmp_path)

    def call(name: str, *arguments: str) -> None:
        monkeypatch.setattr(sys, "argv", [name, *arguments])
        runpy.run_path(str(EXAMPLES / name), run_name="__main__")

    return call


def test_forecast_csv(script: Script, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script("forecast_csv.py", "--epochs", "1", "--context", "24", "--hidden-size", "4")
    assert (tmp_path / "forecast.png").stat().st_size > 10_000
    table = pl.read_csv(tmp_path / "forecast.csv")
    assert table.columns == ["region", "timestamp", "demand"]
    assert table["region"].unique(maintain_order=True).to_list() == ["coast", "north", "valley"]
    assert table["timestamp"][0] == "2024-04-22 00:00"
    printed = capsys.readouterr().out
    for name in ("peephole LSTM", "linear", "seasonal naive", "naive"):
        assert f"\n{name} " in printed


@pytest.mark.parametrize("strategy", ["direct", "every_step"])
def test_subclass_forecaster(strategy: str, script: Script, capsys: pytest.CaptureFixture[str]) -> None:
    script("subclass_forecaster.py", "--strategy", strategy, "--epochs", "1", "--batches", "3")
    assert "(32, 50, 1) in, (32, 10, 1) out" in capsys.readouterr().out


@pytest.mark.parametrize("name", sorted(path.name for path in (EXAMPLES / "configs").glob("*.yaml")))
def test_configuration(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(EXAMPLES.parent)  # their paths begin there
    quick = ["max_epochs=1", "limit_train_batches=2", "limit_val_batches=2", "enable_progress_bar=false"]
    options = [f"--trainer.{option}" for option in quick]
    assert (
        main(
            [
                "fit",
                "--config",
                f"examples/configs/{name}",
                *options,
                f"--trainer.default_root_dir={tmp_path}",
            ]
        )
        == 0
    )
    assert list(tmp_path.rglob("*.ckpt"))


def test_the_packaged_demand_is_what_the_script_writes(script: Script, tmp_path: Path) -> None:
    """Up to the last digit, which may round the other way where the mathematics library differs."""
    from seqlight.cli.forecast_arguments import DEMO_CSV

    script("make_demand.py", "demand.csv")
    written, packaged = pl.read_csv(tmp_path / "demand.csv"), pl.read_csv(DEMO_CSV)
    assert written.drop("demand").equals(packaged.drop("demand"))
    assert (written["demand"].is_null() == packaged["demand"].is_null()).all()
    assert (written["demand"] - packaged["demand"]).abs().max() <= 1
    assert DEMO_CSV.stat().st_size < 300_000


def test_truncated_bptt(script: Script, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script("truncated_bptt.py", "--length", "60", "--steps", "25", "--sequences", "20", "--epochs", "2")
    assert "6 batches an epoch; mean squared error" in capsys.readouterr().out
    assert (tmp_path / "gradients" / "gradients_through_time.png").stat().st_size > 10_000
