"""Every numeric option of every command, given what is no such number: one line and nothing written."""

import argparse
import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from seqlight.cli.errors import CommandError
from seqlight.cli.lightning_numbers import check_numbers
from seqlight.cli.parser import duration, positive_float, positive_int, seed

Run = Callable[..., int]

NUMBERS = (positive_int, positive_float, duration, seed)
NO_NUMBERS = ["-1", "nan", "inf", "-inf", "", "many", "1e400", "-0.5", "9" * 5000, "0x10"]
NO_WHOLE_NUMBERS = ["1.5", "1e3", str(2**70)]
START = {
    "forecast": ["forecast"],
    "backtest": ["backtest"],
    "impute": ["impute"],
    "compare": ["compare", "strategies"],
}


def numeric_options() -> list[tuple[str, str, Any]]:
    found = []
    for command in START:
        parser = importlib.import_module(f"seqlight.cli.{command}.arguments").build_parser()
        for action in parser._actions:
            if action.type in NUMBERS:
                found.append((command, action.option_strings[-1], action.type))
            else:  # so that a new option's type is among those that are tested
                assert action.type not in (int, float)
    return found


@pytest.mark.parametrize(("command", "option", "kind"), numeric_options())
def test_what_is_no_number(
    command: str,
    option: str,
    kind: Any,
    run: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    for value in NO_NUMBERS + (NO_WHOLE_NUMBERS if kind in (positive_int, seed) else []):
        assert run(*START[command], "--demo", f"{option}={value}") == 2
        error = capsys.readouterr().err
        first, *rest = error.splitlines()
        assert first.startswith(f"seqlight: error: argument {option}: expected ") and len(first) < 200
        assert rest == [f"  see: seqlight {' '.join(START[command])} --help"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (positive_int, "1", 1),
        (positive_int, str(2**31 - 1), 2**31 - 1),
        (positive_float, "1e-3", 0.001),
        (duration, "1e9", 1e9),
        (duration, "0.5", 0.5),
        (seed, "0", 0),
        (seed, str(2**32 - 1), 2**32 - 1),
    ],
)
def test_numbers_at_the_limits(kind: Any, text: str, value: float) -> None:
    assert kind(text) == value


@pytest.mark.parametrize(
    ("kind", "text"), [(positive_int, str(2**31)), (duration, "1e30"), (seed, str(2**32)), (seed, "-1")]
)
def test_numbers_beyond_the_limits(kind: Any, text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=r"expected .*, got "):
        kind(text)


LIGHTNING = [
    ("seed_everything", "-1", "expected a number from 0 to 4294967295, got -1"),
    ("seed_everything", str(2**70), "expected a number from 0 to 4294967295"),
    ("trainer.val_check_interval", "0", "expected a number from"),
    ("trainer.val_check_interval", "1000", "`val_check_interval` (1000) must be less than or equal to"),
    ("trainer.check_val_every_n_epoch", "0", "expected a number from 1"),
    ("trainer.accumulate_grad_batches", "0", "expected a number from 1"),
    ("trainer.max_epochs", "nan", "--trainer.max_epochs"),
    ("trainer.max_time", "1e30", "is not a valid duration. Expected a string in the format DD:HH:MM:SS"),
    ("trainer.overfit_batches", "-1", "overfit_batches"),
    ("trainer.precision", "7", "precision"),
    ("model.hidden_size", str(10**30), "--model.hidden_size: expected a number from"),
    ("model.hidden_size", str(10**12), "not enough memory|can't allocate|overflow|Storage size|Invalid"),
    ("model.lr", "nan", "--model.lr: Expected a <class 'float'>. Got value: nan"),
    ("data.batch_size", str(10**30), "--data.batch_size: expected a number from"),
    ("data.context_length", str(2**63), "--data.context_length: expected a number from"),
]


@pytest.mark.parametrize("value", [10**9, str(10**9), 10**30, -2])
def test_devices_beyond_reason_are_not_started(value: int | str) -> None:
    """Asked of the check alone: Lightning would start a process for each."""
    limits = r"^--trainer.devices: expected a number from -1 to 4096, got "
    with pytest.raises(CommandError, match=f"{limits}{value}"):
        check_numbers({"trainer": {"devices": value}})
    with pytest.raises(CommandError, match=r"^--trainer.num_nodes: expected a number from 1"):
        check_numbers({"trainer": {"num_nodes": 0, "devices": "auto", "max_epochs": 3}})
    check_numbers({"trainer": {"devices": [0, 1], "num_nodes": 1}, "seed_everything": True})


@pytest.mark.parametrize(("option", "value", "message"), LIGHTNING)
def test_lightning_options(
    option: str,
    value: str,
    message: str,
    two_series_csv: Path,
    run: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    data = ["--data=CSVDataModule", f"--data.path={two_series_csv}", "--data.time_col=ds"]
    data += ["--data.target_cols=sales", "--data.id_col=shop", "--data.missing=mask"]
    data += ["--data.context_length=12", "--data.prediction_length=4"]
    quick = ["--trainer.max_epochs=1", "--trainer.limit_train_batches=1", "--trainer.logger=false"]
    quick += ["--trainer.enable_progress_bar=false", "--trainer.accelerator=cpu"]
    argv = ["fit", "--model=LSTMForecaster", "--model.hidden_size=2", *data, *quick, f"--{option}={value}"]
    assert run(*argv) == 2
    error = capsys.readouterr().err
    lines = error[error.index("seqlight: error: ") :].splitlines()
    assert len(lines) <= 4
    assert any(part in "\n".join(lines) for part in message.split("|"))
    assert list(tmp_path.rglob("*.ckpt")) == []
