"""Trainings that go wrong end with a line whose advice works."""

from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., int]

COLUMNS = ["--time", "ds", "--target", "sales", "--id", "shop"]


def test_fit_says_when_and_what_to_try(
    two_series_csv: Path,
    run: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    argv = ["fit", "--model=LinearForecaster", "--data=CSVDataModule", f"--data.path={two_series_csv}"]
    argv += ["--data.time_col=ds", "--data.target_cols=sales", "--data.id_col=shop", "--data.missing=mask"]
    argv += ["--data.context_length=24", "--data.prediction_length=6", "--model.optimizer=sgd"]
    argv += ["--trainer.max_steps=4", "--trainer.enable_progress_bar=false", "--trainer.logger=false"]
    argv += ["--trainer.accelerator=cpu", "--trainer.enable_model_summary=false"]
    assert run(*argv, "--model.lr=1e30") == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "error" in line]
    assert line.startswith("seqlight: error: training stopped in epoch 0, step 1: the loss is inf; try ")
    assert "a lower rate, --model.lr=0.001 or --trainer.gradient_clip_val=1.0" in line
    assert list(tmp_path.rglob("*.ckpt")) == []
    assert run(*argv, "--model.lr=0.001") == 0
    assert len(list(tmp_path.rglob("*.ckpt"))) == 1


QUICK = ["--horizon", "6", "--hidden-size", "2", "--epochs", "1"]
LARGE_VALUES = "look for very large values in the data, or use --model linear"


@pytest.mark.parametrize(
    ("command", "options", "rate", "message", "advice"),
    [
        (
            ["forecast"],
            [*QUICK, "--model", "lstm"],
            "experiments.networks.LEARNING_RATE",
            f"epoch 0, step 1: the loss is inf, before any epoch was complete; {LARGE_VALUES}",
            ["--model", "linear"],
        ),
        (
            ["compare", "strategies"],
            [*QUICK, "--strategies", "direct", "--lr", "1e30"],
            None,
            "epoch 0, step 1: the loss is inf, before any epoch was complete; try a lower rate, --lr 0.01",
            ["--lr", "0.01"],
        ),
        (
            ["impute"],
            ["--steps", "20", "--hidden-size", "2"],
            "experiments.networks.IMPUTER_RATES",
            f"the recurrent network, epoch 1, step 1: the loss is inf; {LARGE_VALUES}",
            ["--model", "linear"],
        ),
    ],
    ids=["forecast", "compare", "impute"],
)
def test_a_network_that_cannot_be_trained(
    command: list[str],
    options: list[str],
    rate: str | None,
    message: str,
    advice: list[str],
    two_series_csv: Path,
    run: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    if rate is not None:
        value = {"rnn": 3e38, "conv": 3e38} if rate.endswith("S") else 1e30
        monkeypatch.setattr(f"seqlight.{rate}", value)
    argv = [*command, two_series_csv, *COLUMNS, *options, "-o", "out.csv"]
    assert run(*argv) == 2
    error = capsys.readouterr().err
    assert (
        f"seqlight: error: {message}" in error.replace("loss is nan", "loss is inf")
        and " ".join(advice) in error
    )
    assert list(tmp_path.iterdir()) == []
    assert run(*argv, *advice) == 0
    assert (tmp_path / "out.csv").is_file()


def test_simple_forecasts_stay_where_the_network_fails(
    two_series_csv: Path,
    run: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from seqlight.experiments import portfolio

    networks = portfolio.__globals__["networks"]
    monkeypatch.setattr("seqlight.experiments.networks.LEARNING_RATE", 1e30)
    monkeypatch.setitem(
        portfolio.__globals__,
        "networks",
        lambda *given, **options: [one for one in networks(*given, **options) if one.name == "lstm"],
    )
    assert run("forecast", two_series_csv, *COLUMNS, *QUICK, "-o", tmp_path / "out.csv") == 0
    printed = capsys.readouterr().out
    assert "note: peephole LSTM: left out, epoch 0, step 1: the loss is " in printed
    assert "│ peephole LSTM" not in printed and "│ linear (least squares)" in printed
    assert (tmp_path / "out.csv").is_file()
