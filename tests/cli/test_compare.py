"""``seqlight compare strategies``."""

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from seqlight.cli.compare.arguments import STRATEGIES

Run = Callable[..., int]

# Lightning's own
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
QUICK = ["--epochs", "1", "--hidden-size", "4", "--max-time", "3", "--no-progress"]


def test_on_a_file(
    two_series_csv: Path, run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outputs = ["-o", tmp_path / "steps.csv", "--plot", tmp_path / "steps.png"]
    columns = ["--time", "ds", "--target", "sales", "--id", "shop"]
    sizes = ["--horizon", "6", "--context", "24"]
    assert run("compare", "strategies", two_series_csv, *columns, *sizes, *QUICK, *outputs) == 0
    printed = capsys.readouterr().out
    assert "LSTM (4 units, 2 layers), errors on the test part" in printed
    for name in (*STRATEGIES, "linear (least squares)", "seasonal naive (24)", "naive"):
        assert f"│ {name} " in printed
    table = pl.read_csv(tmp_path / "steps.csv")
    assert table.columns == ["forecast", "step", "mae", "mse", "cells"]
    assert table["step"].to_list() == list(range(1, 7)) * 6
    assert table["forecast"].unique(maintain_order=True).to_list()[:3] == list(STRATEGIES)
    assert (table["mae"] > 0).all() and table["mse"].is_finite().all()
    assert (tmp_path / "steps.png").stat().st_size > 10_000
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith("steps")) == [
        "steps.csv",
        "steps.png",
    ]


def test_on_the_chapters_series(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--network", "wavenet", "--strategies", "direct", "--context", "12", "--horizon", "2"]
    assert run("compare", "strategies", *options, "--transform", "none", *QUICK) == 0
    printed = capsys.readouterr().out
    assert "WaveNet (4 units), errors" in printed and "1,000 windows of 2 steps" in printed
    assert "recursive" not in printed


@pytest.mark.parametrize(("network", "title"), [("segment_rnn", "segment RNN"), ("es_rnn", "ES-RNN")])
def test_networks_of_one_strategy(
    two_series_csv: Path, run: Run, capsys: pytest.CaptureFixture[str], network: str, title: str
) -> None:
    columns = ["--time", "ds", "--target", "sales", "--id", "shop", "--horizon", "6", "--context", "24"]
    assert run("compare", "strategies", two_series_csv, *columns, *QUICK, "--network", network) == 0
    printed = capsys.readouterr().out
    assert f"{title} (4 units), errors on the test part" in printed
    assert "│ direct " in printed and "recursive" not in printed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["strategies", "--network", "es_rnn", "--strategies", "recursive"], "es_rnn has direct alone"),
        ([], "compare: expected one of strategies, got nothing"),
        (["models"], "compare: expected one of strategies, got 'models'"),
        (["strategies", "no.csv", "--time", "a", "--target", "b"], "no.csv: no such file"),
        (["strategies", "--time", "a"], "--time belongs to a file"),
        (["strategies", "--network", "tcn", "--num-layers", "2"], "--num-layers belongs to lstm, gru, rnn"),
        (["strategies", "--strategies", "direct", "direct"], "--strategies: name each one once"),
        (["strategies", "--strategies", "encoder"], "invalid choice: 'encoder'"),
        (["strategies", "--transform", "logs"], "--transform: "),
        (["strategies", "--plot", "steps.txt"], "--plot: expected a name that ends in .png"),
    ],
)
def test_what_the_user_has_to_mend(
    arguments: list[str], message: str, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("compare", *arguments) == 2
    assert message in capsys.readouterr().err


def test_help(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("compare", "--help") == 0
    assert "seqlight compare {strategies}" in capsys.readouterr().out
