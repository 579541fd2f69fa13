"""Bad input at the command line: exit code 2, at most five lines, no traceback, nothing on disk changed."""

import os
import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import seqlight
from seqlight.cli.wording import as_options
from seqlight.data import CSVDataModule, DataError

Run = Callable[..., int]

CASES = runpy.run_path(str(Path(__file__).parent.parent / "data" / "bad_files.py"))
ARGUMENTS, BAD_FILES, ODD_FILES, UNSORTED_FILES = (
    CASES[name] for name in ("ARGUMENTS", "BAD_FILES", "ODD_FILES", "UNSORTED_FILES")
)
FORECAST_OPTIONS = {
    "time_col": "--time",
    "target_cols": "--target",
    "id_col": "--id",
    "context_length": "--context",
    "prediction_length": "--horizon",
    "missing": "--missing",
    "skip_short": "--skip-short",
    "separator": "--separator",
    "decimal_comma": "--decimal-comma",
    "encoding": "--encoding",
    "thousands": "--thousands",
    "missing_values": "--missing-value",
    "skip_rows": "--skip-rows",
    "frequency": "--frequency",
    "time_format": "--time-format",
}
# Arguments of the data module that `seqlight forecast` does not take; `seqlight fit` does.
FIT_ONLY = {
    name for name, (_, arguments, _) in BAD_FILES.items() if not set(arguments) <= set(FORECAST_OPTIONS)
} | {"no targets"}  # without --target the only column of numbers is taken


def place(content: bytes | str, path: Path) -> Path:
    if content == CASES["FOLDER"]:
        path.mkdir()
    elif isinstance(content, bytes):
        path.write_bytes(content)
    return path


def forecast_options(arguments: dict[str, Any]) -> list[str]:
    options = []
    for name, value in arguments.items():
        option = FORECAST_OPTIONS[name]
        if value is True:
            options.append(option)
        else:
            values = value if isinstance(value, list) else [value]
            for item in values:
                options += [option, str(item)]
    return options


def fit_options(arguments: dict[str, Any]) -> list[str]:
    return [f"--data.{name}={value}" for name, value in arguments.items()]


def data_error(path: Path, arguments: dict[str, Any]) -> str:
    with pytest.raises(DataError) as caught:
        CSVDataModule(path, **arguments).setup("fit")
    return str(caught.value)


def assert_clean_error(code: int, error: str, folder: Path) -> None:
    assert code == 2
    assert error.startswith(("seqlight: error: ", "Seed set to 0\nseqlight: error: "))
    assert len(error.splitlines()) <= 5
    assert "Traceback" not in error
    assert [path.name for path in folder.iterdir()] == ["forecast.csv"]
    assert (folder / "forecast.csv").read_text() == "an earlier forecast"


@pytest.fixture
def output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, where outputs and Lightning's logs go by default; a forecast is there already."""
    folder = tmp_path / "output"
    folder.mkdir()
    (folder / "forecast.csv").write_text("an earlier forecast")
    monkeypatch.chdir(folder)
    return folder


@pytest.mark.parametrize("name", sorted(BAD_FILES.keys() - FIT_ONLY))
def test_forecast_refuses(
    name: str, run: Run, tmp_path: Path, output: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content, more, _ = BAD_FILES[name]
    path = place(content, tmp_path / "series.csv")
    arguments = {"missing": "error", **ARGUMENTS, **more}
    code = run("forecast", path, *forecast_options(arguments), "--plot", "new.png", "--save", "new.ckpt")
    error = capsys.readouterr().err
    assert_clean_error(code, error, output)
    expected = as_options(data_error(path, arguments))
    # Some arguments are refused by the parser or before the file is read, in words of its own.
    refused_by_us = {
        "context length 0": "argument --context: expected a whole number of at least 1, got '0'",
        "prediction length 0": "argument --horizon: expected a whole number of at least 1, got '0'",
        "long separator": "argument --separator: expected one character (or 'tab'), got '::'",
        "same column for time and target": "column 'time' is named twice",
    }
    assert refused_by_us.get(name, expected) in error


@pytest.mark.parametrize(
    "name", [*sorted(FIT_ONLY), "no such file", "folder", "series too short", "row too long"]
)
def test_fit_refuses(
    name: str, run: Run, tmp_path: Path, output: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content, more, _ = BAD_FILES[name]
    path = place(content, tmp_path / "series.csv")
    arguments = {**ARGUMENTS, **more}
    data = ["--data", "CSVDataModule", f"--data.path={path}", *fit_options(arguments)]
    code = run("fit", "--model", "LSTMForecaster", *data)
    error = capsys.readouterr().err
    assert_clean_error(code, error, output)
    assert data_error(path, arguments) in error


@pytest.mark.parametrize(
    "name", ["latin-1, semicolons, decimal commas", "gzip", "ten columns", "byte order mark"]
)
def test_odd_files_work(name: str, run: Run, tmp_path: Path, output: Path) -> None:
    content, more = ODD_FILES[name]
    path = place(content, tmp_path / "series.csv")
    options = forecast_options({**ARGUMENTS, **more})
    assert run("forecast", path, *options, "--max-time", 0.01) == 0
    lines = (output / "forecast.csv").read_text().splitlines()
    assert [line.split(",")[1] for line in lines[1:]] == ["2024-01-02 00:00:00", "2024-01-02 01:00:00"]


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (["--demo", "-o", "no/such/x.csv"], "--output: the folder"),
        (["--demo", "--plot", "x.txt"], "--plot: expected a name that ends in .png or .pdf or .svg"),
        (["--demo", "--plot", "x"], "--plot: expected a name that ends in"),
        (["--demo", "-o", "."], "is a folder"),
        (["--demo", "-o", "x.png", "--plot", "x.png"], "--plot and --output name the same file"),
        (["--demo", "data.csv"], "--demo reads its own data"),
        (["--demo", "--epochs", "0"], "argument --epochs: expected a whole number of at least 1, got '0'"),
        (["--demo", "--epochs", "1.5"], "argument --epochs"),
        (["--demo", "--max-time", "nan"], "argument --max-time: expected a number above 0"),
        (["--demo", "--hidden-size", "0"], "argument --hidden-size"),
        (["--demo", "--missing", "maybe"], "argument --missing: invalid choice: 'maybe'"),
        (["--demo", "--horizn", "3"], "unrecognized arguments: --horizn"),
        ([], "which file? give the path of a CSV, or --demo"),
        (["forecast.csv"], "is an input file and would be overwritten"),
        (["forecast.csv", "-o", "x.csv"], "has a header and no rows"),
        (["forecast.csv", "--time", "ds", "--target", "y"], "is an input file and would be overwritten"),
    ],
)
def test_forecast_refuses_arguments(
    argv: list[str], expected: str, run: Run, output: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = run("forecast", *argv)
    error = capsys.readouterr().err
    assert_clean_error(code, error, output)
    assert expected in error


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (["fit"], "required: --"),
        (["fit", "--data", "SyntheticDataModule"], "required: --model"),
        (["fit", "--model", "LSTMForecaster"], "required: --data"),
        (["fit", "--model", "LSTMForecastr"], "--model: there is no class 'LSTMForecastr'"),
        (
            ["fit", "--model", "LSTMForecaster", "--model.hiden_size=3"],
            "--model: Option 'hiden_size' is not accepted",
        ),
        (["fit", "--trainer.max_epochs=many"], "--trainer.max_epochs: "),
        (["fit", "--config", "nowhere.yaml"], "--config: File does not exist"),
        (
            ["fit", "--model", "LSTMForecaster", "--model.hidden_size=0", "--data", "SyntheticDataModule"],
            "hidden_size: expected at least 1, got 0",
        ),
        (["predict", "--ckpt_path", "nowhere.ckpt", "--data", "SyntheticDataModule"], "there is no file"),
        (
            ["test", "--ckpt_path", "forecast.csv", "--data", "SyntheticDataModule"],
            "cannot be read as a checkpoint",
        ),
        (["validate", "--data", "SyntheticDataModule"], "--ckpt_path is missing"),
        # before options of the data that a checkpoint would have brought
        (["predict", "--data.path", "forecast.csv", "-o", "x.csv"], "--ckpt_path is missing"),
        (["predict", "--ckpt_path", "nowhere.ckpt", "--data.path", "forecast.csv"], "there is no file"),
        (
            ["predict", "--ckpt_path", "forecast.csv", "--data.path", "forecast.csv"],
            "cannot be read as a checkpoint",
        ),
        (
            ["predict", "--model", "NaiveForecaster", "--data", "SyntheticDataModule", "-o", "no/such/x.csv"],
            "--output: the folder",
        ),
    ],
)
def test_lightning_commands_refuse_arguments(
    argv: list[str], expected: str, run: Run, output: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = run(*argv)
    error = capsys.readouterr().err
    assert_clean_error(code, error, output)
    assert expected in error


@pytest.mark.parametrize(
    "argv",
    [
        ["forecast", "series.csv", "--time", "time", "--target", "vaule"],
        [
            "fit",
            "--model=LSTMForecaster",
            "--data=CSVDataModule",
            "--data.path=series.csv",
            "--data.time_col=time",
            "--data.target_cols=vaule",
            "--data.context_length=4",
            "--data.prediction_length=2",
        ],
    ],
    ids=["forecast", "fit"],
)
def test_in_a_process_of_its_own(argv: list[str], tmp_path: Path, output: Path) -> None:
    (tmp_path / "series.csv").write_bytes(CASES["GOOD"])
    argv = [argument.replace("series.csv", str(tmp_path / "series.csv")) for argument in argv]
    environment = {**os.environ, "PYTHONPATH": str(Path(seqlight.__file__).parent.parent)}
    done = subprocess.run(
        [sys.executable, "-m", "seqlight", *argv], env=environment, capture_output=True, text=True
    )
    assert_clean_error(done.returncode, done.stderr, output)
    assert "no column 'vaule'; did you mean 'value'?" in done.stderr
    assert done.stdout == ""
