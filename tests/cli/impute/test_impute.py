"""``seqlight impute`` from the file to the filled file, the table and the plot."""

import contextlib
import csv
import gzip
import io
import runpy
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import seqlight
from seqlight.cli import main
from seqlight.cli.wording import as_options
from seqlight.data import CSVImputationDataModule, DataError
from seqlight.models import ConvImputer, RNNImputer

Run = Callable[..., int]

SMALL = ["--steps", "4", "--hidden-size", "4", "--no-progress"]
COLUMNS = ["--time", "ds", "--id", "shop"]
CASES = runpy.run_path(str(Path(__file__).parents[2] / "data" / "bad_files.py"))


@pytest.fixture(scope="module")
def finished(two_series_csv: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder and the printed text of one whole run with both networks."""
    folder = tmp_path_factory.mktemp("output")
    printed = io.StringIO()
    outputs = ["-o", folder / "out.csv", "--plot", folder / "out.png", "--save", folder / "out.ckpt"]
    with contextlib.redirect_stdout(printed):
        main([*map(str, ["impute", two_series_csv, *COLUMNS, *SMALL, *outputs])])
    return folder, printed.getvalue()


def test_only_the_empty_cells_are_filled(finished: tuple[Path, str], two_series_csv: Path) -> None:
    before = list(csv.reader(two_series_csv.read_text().splitlines()))
    after = list(csv.reader((finished[0] / "out.csv").read_text().splitlines()))
    assert after[0] == [*before[0], "sales_filled"]  # the column of text is left alone
    filled = [row for row in after[1:] if row[4] == "true"]
    assert len(filled) == 2
    for old, new in zip(before[1:], after[1:], strict=True):
        if old[2]:
            assert new == [*old, "false"]
        else:
            assert (new[:2], new[3:]) == (old[:2], ["x", "true"])
            level = {"east": 100.0, "west": 1000.0}[old[1]]
            assert 0.6 * level < float(new[2]) < 1.4 * level
            assert len(new[2].partition(".")[2]) == 2  # as many decimals as the known cells


def test_what_is_printed(finished: tuple[Path, str]) -> None:
    lines = finished[1].splitlines()
    assert lines[0] == "sales.csv: 2 series of 216 to 240 rows, 2 empty cells (0.44%)"
    for name in ("recurrent network", "convolutional network", "linear interpolation", "last value"):
        assert f"│ {name} " in finished[1]
    assert sum("│   *    │" in line for line in lines) == 1
    assert "that were hidden, 1 to" in finished[1]
    assert "sales: the " in finished[1]
    assert lines[-1].startswith("filled 2 cells; wrote ")


def test_the_other_files(finished: tuple[Path, str]) -> None:
    folder, _ = finished
    assert sorted(path.name for path in folder.iterdir()) == ["out.ckpt", "out.csv", "out.png"]
    model = seqlight.load(folder / "out.ckpt")
    assert isinstance(model, RNNImputer | ConvImputer)
    assert model.window_length == 168
    from matplotlib.image import imread

    assert imread(folder / "out.png").shape[0] > 600


def test_a_line_is_a_line(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Irregular times, decimal commas, Latin-1, line ends of Windows, several gaps; no training."""
    path, output = tmp_path / "in.csv", tmp_path / "out.csv.gz"
    hours = [0, 1, 2, 4, 5, 6, 7, 8, 9, 13, 14, 15]
    values = ["1,0", "NA", "3,0", "5,0", "", "", "8,0", "9,0", "10,0", "14,0", "15,0", ""]
    lines = [f"{hour:02d}:00 am 1.2.2024;{value}" for hour, value in zip(hours, values, strict=True)]
    path.write_bytes("\r\n".join(["Zeit;Größe [m]", *lines]).encode("latin-1"))
    options = ["--separator", ";", "--decimal-comma", "--encoding", "latin-1", "--model", "linear"]
    assert (
        run("impute", path, "--time", "Zeit", "--time-format", "%H:%M am %d.%m.%Y", *options, "-o", output)
        == 0
    )
    expected = [line + (";true" if line.endswith((";NA", ";")) else ";false") for line in lines]
    for position, number in ((1, "2,0"), (4, "6,0"), (5, "7,0"), (11, "15,0")):
        expected[position] = f"{lines[position].partition(';')[0]};{number};true"
    written = gzip.decompress(output.read_bytes()).decode("latin-1")
    assert written == "\r\n".join(["Zeit;Größe [m];Größe [m]_filled", *expected])
    printed = capsys.readouterr().out
    assert "too few cells" not in printed
    assert "linear interpolation" in printed
    assert "Größe [m]: the linear interpolation " in printed
    assert "trained" not in printed


def test_absent_rows_on_request(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, output = tmp_path / "in.csv", tmp_path / "out.csv"
    path.write_text("note,t,y\nx,2024-01-01,1\ny,2024-01-02,2\nz,2024-01-05,5\n")
    assert run("impute", path, "--model", "linear", "-o", output) == 0  # the column of times is found
    assert output.read_text() == (
        "note,t,y,y_filled\nx,2024-01-01,1,false\ny,2024-01-02,2,false\nz,2024-01-05,5,false\n"
    )
    assert "note: 2 rows are absent from a grid of 1d" in capsys.readouterr().out
    assert run("impute", path, "--time", "t", "--insert-rows", "--model", "last", "-o", output) == 0
    assert output.read_text() == (
        "note,t,y,y_filled\nx,2024-01-01,1,false\ny,2024-01-02,2,false\n"
        ",2024-01-03,2,true\n,2024-01-04,2,true\nz,2024-01-05,5,false\n"
    )


def test_what_cannot_be_filled_stays_empty(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, output = tmp_path / "in.csv", tmp_path / "out.csv"
    path.write_text("t,id,y\n" + "".join(f"2024-01-0{d},a,{d}\n2024-01-0{d},b,\n" for d in range(1, 6)))
    assert run("impute", path, "--time", "t", "--id", "id", "-o", output, "--plot", tmp_path / "p.svg") == 0
    printed = capsys.readouterr().out
    assert "too few to train on" in printed
    assert "5 cells stay empty" in printed
    table = pl.read_csv(output)
    assert table.filter(pl.col("id") == "b")["y"].null_count() == 5
    assert not table["y_filled"].any()


def test_the_same_seed_gives_the_same_file(two_series_csv: Path, run: Run, tmp_path: Path) -> None:
    arguments = ["impute", two_series_csv, *COLUMNS, *SMALL, "--model", "rnn", "--target", "sales", "-o"]
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        assert run(*arguments, tmp_path / name, "--seed", seed) == 0
    first, same, other = ((tmp_path / name).read_bytes() for name in "abc")
    assert first == same != other


def test_a_failure_while_writing_loses_nothing(
    two_series_csv: Path,
    run: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "out.csv").write_text("earlier file")

    def full(*args: object, **kwargs: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr("seqlight.plot.imputation", full)
    outputs = ["--model", "last", "-o", tmp_path / "out.csv", "--plot", tmp_path / "out.png"]
    assert run("impute", two_series_csv, *COLUMNS, *outputs) == 2
    named = f"{tmp_path / 'out.csv'} and {tmp_path / 'out.png'}"
    assert f"seqlight: error: cannot write {named}: No space left on device\n" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["out.csv"]
    assert (tmp_path / "out.csv").read_text() == "earlier file"


OPTIONS = {"time_col", "target_cols", "id_col", "separator", "decimal_comma", "encoding", "time_format"}
# Of what a forecast minds, imputation does not: gaps, odd times and short series are its business, and it has
# no sizes that could be wrong. Without --target it takes all columns of numbers.
FINE_HERE = {
    *(name for name, (_, arguments, _) in CASES["BAD_FILES"].items() if set(arguments) - OPTIONS),
    "first timestamp off the grid",
    "most timestamps off the grid",
    "two timestamps off the grid",
    "missing cell",
    "missing cell spelt out",
    "missing rows",
    "no targets",
    "one series too short",
    "series too short",
    "timestamp off the grid",
}


@pytest.fixture
def output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "output"
    folder.mkdir()
    (folder / "filled.csv").write_text("an earlier file")
    monkeypatch.chdir(folder)
    return folder


def assert_refused(code: int, error: str, folder: Path) -> None:
    assert code == 2
    assert error.startswith("seqlight: error: ")
    assert len(error.splitlines()) <= 5
    assert [path.name for path in folder.iterdir()] == ["filled.csv"]
    assert (folder / "filled.csv").read_text() == "an earlier file"


@pytest.mark.parametrize("name", sorted(CASES["BAD_FILES"].keys() - FINE_HERE))
def test_bad_files(
    name: str, run: Run, tmp_path: Path, output: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content, more, _ = CASES["BAD_FILES"][name]
    path = tmp_path / "series.csv"
    if content == CASES["FOLDER"]:
        path.mkdir()
    elif isinstance(content, bytes):
        path.write_bytes(content)
    arguments = {"time_col": "time", "target_cols": ["value"], **more}
    options = []
    for argument, value in arguments.items():
        option = "--" + argument.removesuffix("_cols").removesuffix("_col").replace("_", "-")
        for item in value if isinstance(value, list) else [value]:
            options += [option] if item is True else [option, item]
    code = run("impute", path, *options, "--plot", "new.png")
    error = capsys.readouterr().err
    assert_refused(code, error, output)
    refused_by_us = {
        "long separator": "expected one character",
        "same column for time and target": "column 'time' is named twice",
    }
    with pytest.raises(DataError) as caught:
        CSVImputationDataModule(path, **arguments).setup("fit")
    assert refused_by_us.get(name, as_options(str(caught.value))) in error


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "which file? give the path of a CSV, or --demo"),
        (["{two}"], "--time COLUMN is missing: which column holds the timestamps? 'from' and 'to' look"),
        (["{untimed}"], "--time COLUMN is missing: which column holds the timestamps? The file has '"),
        (["none.csv", "--time", "ds"], "none.csv: no such file"),
        (["{csv}", "--time", "ds", "--target", "ds"], "column 'ds' is named twice"),
        (["{csv}", "--time", "ds", "--id", "shop", "--target", "note"], "expected a number, got 'x'"),
        (["{csv}", "--time", "ds", "--id", "shop", "--target", "sale"], "did you mean 'sales'?"),
        (
            ["{csv}", "--time", "ds", "--target", "sales"],
            "column 'shop' tells such rows apart: name --id 'shop'",
        ),
        (["{csv}", "--time", "ds", "--id", "shop", "--hide", "0.95"], "--hide: expected a share below 0.9"),
        (["{csv}", "--time", "ds", "--id", "shop", "--seed", "-1"], "--seed: expected a whole number from 0"),
        (["{csv}", "--time", "ds", "--frequency", "1h"], "--frequency: is of use with --insert-rows only"),
        (["{csv}", "--time", "ds", "--suffix", ""], "--suffix: expected some text"),
        (["{csv}", "--time", "ds", "--model", "brits"], "invalid choice: 'brits'"),
        (["{csv}", "--time", "ds", "--plot", "p.gif"], "--plot: expected a name that ends in"),
        (
            ["{csv}", "--time", "ds", "--model", "last", "--save", "m.ckpt"],
            "--save: --model last trains no network",
        ),
        (["{csv}", "--time", "ds", "-o", "{csv}"], "is an input file and would be overwritten"),
        (["{csv}", "--time", "ds", "-o", "no/where.csv"], "does not exist; create it first"),
        (["{text}", "--time", "t"], "no column holds numbers only"),
        (["{taken}", "--time", "t"], "there is a column 'y_filled' already"),
        (["{brief}", "--time", "t", "--model", "rnn"], "2 known cells are too few to train on"),
        (["--demo", "{csv}"], "--demo reads its own data"),
    ],
)
def test_bad_arguments(
    arguments: list[str],
    message: str,
    two_series_csv: Path,
    run: Run,
    tmp_path: Path,
    output: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    files = {"csv": two_series_csv}
    for name, content in (
        ("text", "t,y\n2024-01-01,a\n"),
        ("taken", "t,y,y_filled\n2024-01-01,1,0\n"),
        ("two", "from,to,y\n2024-01-01,2024-01-02,1\n2024-01-03,2024-01-04,\n"),
        ("untimed", "t,y\n20240101,1\n20240102,\n"),
        ("brief", "t,y\n2024-01-01,1\n2024-01-02,\n2024-01-03,3\n"),
    ):
        files[name] = tmp_path / f"{name}.csv"
        files[name].write_text(content)
    code = run("impute", *(argument.format(**files) for argument in arguments))
    error = capsys.readouterr().err
    assert_refused(code, error, output)
    assert message in error


def test_it_is_in_the_overview(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--help") == 0
    assert "impute" in capsys.readouterr().out


QUICK = [
    "--trainer.max_epochs=1",
    "--trainer.limit_train_batches=2",
    "--trainer.enable_progress_bar=false",
    "--trainer.enable_model_summary=false",
    "--trainer.logger=false",
    "--trainer.accelerator=cpu",
]


def test_through_lightnings_commands(
    two_series_csv: Path, run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """fit, test and predict; sizes and the file come from data and checkpoint."""
    data = [
        "--data=CSVImputationDataModule",
        f"--data.path={two_series_csv}",
        "--data.time_col=ds",
        "--data.target_cols=sales",
        "--data.id_col=shop",
        "--data.window_length=48",
        "--data.calendar_features=[hour]",
    ]
    root = f"--trainer.default_root_dir={tmp_path}"
    assert run("fit", "--model=RNNImputer", "--model.hidden_size=4", *data, *QUICK, root) == 0
    (checkpoint,) = tmp_path.rglob("*.ckpt")
    model = seqlight.load(checkpoint)
    assert (model.window_length, model.covariate_size) == (48, 2)
    quiet = [argument for argument in QUICK if "enable" in argument]
    for command, metric in (("validate", "val_mre"), ("test", "test_mae")):
        assert run(command, "--ckpt_path", checkpoint, *quiet) == 0
        assert metric in capsys.readouterr().out
    output = tmp_path / "filled.csv"
    assert run("predict", "--ckpt_path", checkpoint, "-o", output, *quiet) == 0
    table, original = pl.read_csv(output), pl.read_csv(two_series_csv)
    assert table.columns == ["ds", "shop", "sales", "note", "sales_filled"]
    assert np.array_equal(table["sales_filled"], original["sales"].is_null())
    assert table["sales"].null_count() == 0
    before = [line for line in two_series_csv.read_text().splitlines()[1:] if ",," not in line]
    after = output.read_text().splitlines()
    assert {f"{line},false" for line in before} <= set(after)

    forecaster = ["--model=LSTMForecaster", "--model.context_length=4", "--model.prediction_length=2"]
    assert run("fit", *forecaster, *data, *QUICK, root) == 2
    assert "CSVImputationDataModule has no windows for LSTMForecaster" in capsys.readouterr().err


def test_the_summary_tells_that_the_time_was_up(
    two_series_csv: Path, run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    limits = ["--model", "conv", "--steps", "50", "--hidden-size", "4", "--no-progress"]
    arguments = ["impute", two_series_csv, *COLUMNS, *limits, "-o", tmp_path / "out.csv"]
    assert run(*arguments, "--max-time", "0.001") == 0
    assert (
        "; stopped by --max-time 0.001 after 1 of 50 steps; more time may give a better model\n"
    ) in capsys.readouterr().out
    assert run(*arguments) == 0
    assert "stopped by" not in capsys.readouterr().out
