"""``seqlight forecast --model portfolio``, and the checkpoint that it keeps."""

from pathlib import Path
from typing import Any

import polars as pl
import pytest

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning"),  # Lightning's own
    pytest.mark.filterwarnings("ignore::UserWarning"),  # Lightning's advice on short trainings
]


def test_members_table_forecast_and_checkpoint(
    two_series_csv: Path, run: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    columns = ["--time", "ds", "--target", "sales", "--id", "shop", "--missing", "mask"]
    options = ["--model", "portfolio", "--epochs", 1, "--hidden-size", 4, "--no-progress", "--horizon", 3]
    saved, first, second = tmp_path / "m.ckpt", tmp_path / "a.csv", tmp_path / "b.csv"
    assert run("forecast", two_series_csv, *columns, *options, "--save", saved, "-o", first) == 0
    printed = capsys.readouterr().out
    assert "Members, weighed on the validation part" in printed
    for member in ("naive", "linear (least squares)", "segment RNN", "ES-RNN", "peephole LSTM", "TCN"):
        assert member in printed
    forecast = pl.read_csv(first)
    assert forecast["sales"].is_finite().all() and len(forecast) == 6
    assert run("predict", "--ckpt_path", saved, "--output", second) == 0
    again = pl.read_csv(second)
    assert again["sales"].to_list() == pytest.approx(forecast["sales"].to_list(), rel=1e-4)


def test_series_without_a_validation_part(
    run: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    days = pl.DataFrame({"t": [f"2024-01-{day:02}" for day in range(1, 9)], "y": list(range(8))})
    days.write_csv(tmp_path / "short.csv")
    arguments = ["--time", "t", "--target", "y", "--model", "portfolio", "-o", tmp_path / "o.csv"]
    assert run("forecast", tmp_path / "short.csv", *arguments, "--horizon", 4, "--context", 2) != 0
    assert "Traceback" not in capsys.readouterr().err
