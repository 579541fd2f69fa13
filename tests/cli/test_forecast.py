"""``seqlight forecast`` from the file to the forecast, the table and the plot."""

import contextlib
import functools
import io
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from lightning.pytorch.callbacks import EarlyStopping

import seqlight
from seqlight.cli import main
from seqlight.data import CSVDataModule
from seqlight.evaluation import compare
from seqlight.models import Forecaster, LinearForecaster, NaiveForecaster, SeasonalNaiveForecaster

Run = Callable[..., int]

SMALL = ["--epochs", "2", "--hidden-size", "4", "--no-progress"]
COLUMNS = ["--time", "ds", "--target", "sales", "--id", "shop"]
LSTM = ["--model", "lstm"]
SIZES = ["--context", "24", "--horizon", "6"]


def listing(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture(scope="module")
def finished(two_series_csv: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder and the printed text of one whole run."""
    folder = tmp_path_factory.mktemp("output")
    printed = io.StringIO()
    outputs = ["-o", folder / "out.csv", "--plot", folder / "out.png", "--save", folder / "out.ckpt"]
    with contextlib.redirect_stdout(printed):
        main([*map(str, ["forecast", two_series_csv, *COLUMNS, *SIZES, *SMALL, *LSTM, *outputs])])
    return folder, printed.getvalue()


def test_the_forecast_continues_each_series(finished: tuple[Path, str]) -> None:
    table = pl.read_csv(finished[0] / "out.csv")
    bounds = [f"sales-{side}-{level}" for level in (80, 95) for side in ("lo", "hi")]
    assert table.columns == ["shop", "ds", "sales", *bounds]
    assert table["shop"].to_list() == ["east"] * 6 + ["west"] * 6
    assert table["ds"].to_list() == [
        *(f"2024-03-07 {hour:02d}:00:00" for hour in range(6)),
        *(f"2024-03-06 {hour:02d}:00:00" for hour in range(6)),
    ]
    east, west = table["sales"].to_numpy().reshape(2, 6)
    assert np.all((east > 50) & (east < 150))
    assert np.all((west > 500) & (west < 1500))


def test_the_saved_model_gives_the_same_forecast(
    finished: tuple[Path, str], two_series_data: CSVDataModule
) -> None:
    folder, _ = finished
    model = seqlight.load(folder / "out.ckpt")
    (batch,) = two_series_data.predict_dataloader()
    with torch.inference_mode():
        prediction = model.predict_step(batch, 0)["prediction"]
    written = pl.read_csv(folder / "out.csv")["sales"].to_numpy()
    np.testing.assert_allclose(written, prediction.flatten().numpy(), rtol=1e-5)


def test_the_table_is_the_models_errors(finished: tuple[Path, str], two_series_data: CSVDataModule) -> None:
    folder, printed = finished
    data = two_series_data
    (row,) = compare({"peephole LSTM": seqlight.load(folder / "out.ckpt")}, data)
    (line,) = [line for line in printed.splitlines() if "│ peephole LSTM " in line]
    cells = [cell.strip() for cell in line.strip("│ ").split("│")]
    assert cells[1:] == [
        f"{row['mae']:.4g}",
        f"{row['rmse']:.4g}",
        f"{row['mase']:.4g}",
        f"{100 * row['smape']:.2f}%",
    ]
    for name in ("linear (least squares)", "seasonal naive (24)", "naive"):
        assert f"│ {name} " in printed
    assert f"{row['windows']} windows of 6 steps" in printed
    assert "MASE's season is 24 steps" in printed
    assert "Forecast by peephole LSTM, as --model lstm asks. On the test part it " in printed
    assert "stopped by --max-time" not in printed


def test_the_description_is_true(finished: tuple[Path, str]) -> None:
    first = finished[1].splitlines()[0]
    assert first == (
        "sales.csv: 2 series of 216 to 240 steps of 1h, "
        "2024-02-26 00:00:00 to 2024-03-06 23:00:00, 0.44% missing"
    )


def test_the_plot_is_a_picture_and_nothing_else_is_left(finished: tuple[Path, str]) -> None:
    from matplotlib.image import imread

    folder, _ = finished
    assert sorted(path.name for path in folder.iterdir()) == ["out.ckpt", "out.csv", "out.png"]
    image = imread(folder / "out.png")
    assert image.shape[0] > 800
    assert image.shape[1] > 1200


def test_the_same_seed_gives_the_same_forecast(
    finished: tuple[Path, str], two_series_csv: Path, run: Run, tmp_path: Path
) -> None:
    arguments = ["forecast", two_series_csv, *COLUMNS, *SIZES, *SMALL, *LSTM, "-o"]
    assert run(*arguments, tmp_path / "same.csv", "--seed", 0) == 0
    assert run(*arguments, tmp_path / "other.csv", "--seed", 1) == 0
    assert (tmp_path / "same.csv").read_bytes() == (finished[0] / "out.csv").read_bytes()
    assert (tmp_path / "other.csv").read_bytes() != (finished[0] / "out.csv").read_bytes()


def test_months_and_sizes_of_ones_own_are_found(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Month ends continue as month ends; two targets; semicolons, decimal commas, Latin-1; unsorted."""
    months = np.arange("2010-01", "2020-01", dtype="datetime64[M]")
    lines = [
        f"{(month + 1).astype('datetime64[D]') - 1};{20 + step % 12},5;{step % 12},25"
        for step, month in enumerate(months)
    ]
    lines[:10] = reversed(lines[:10])
    path = tmp_path / "monate.csv"
    path.write_text("\n".join(["Tag;Größe;Länge", *lines]) + "\n", encoding="latin-1")
    dialect = ["--separator", ";", "--decimal-comma", "--encoding", "latin-1"]
    columns = ["--time", "Tag", "--target", "Größe", "--target", "Länge"]
    outputs = ["-o", tmp_path / "out.csv", "--plot", tmp_path / "out.svg"]
    assert run("forecast", path, *columns, *dialect, "--max-time", "0.01", *outputs) == 0
    table = pl.read_csv(tmp_path / "out.csv")
    bounds = ["-lo-80", "-hi-80", "-lo-95", "-hi-95"]
    targets = [name + end for name in ("Größe", "Länge") for end in ("", *bounds)]
    assert table.columns == ["series_id", "Tag", *targets]
    assert table["Tag"].to_list()[:4] == ["2020-01-31", "2020-02-29", "2020-03-31", "2020-04-30"]
    assert len(table) == 10  # a twelfth of the 120 months
    assert np.isfinite(table.select(targets).to_numpy()).all()
    printed = capsys.readouterr().out
    assert "note: " in printed
    assert "rows are not in the order of time" in printed
    assert "seasonal naive (12)" in printed
    assert (tmp_path / "out.svg").read_text().startswith("<?xml")


def test_a_failure_while_writing_loses_nothing(
    two_series_csv: Path,
    run: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "out.csv").write_text("earlier forecast")
    before = listing(tmp_path)

    def full(*args: object, **kwargs: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr("seqlight.plot.forecast", full)
    outputs = ["-o", tmp_path / "out.csv", "--plot", tmp_path / "out.png"]
    assert run("forecast", two_series_csv, *COLUMNS, *SIZES, "--model", "naive", *outputs) == 2
    named = f"{tmp_path / 'out.csv'} and {tmp_path / 'out.png'}"
    assert f"seqlight: error: cannot write {named}: No space left on device\n" in capsys.readouterr().err
    assert listing(tmp_path) == before


def test_ctrl_c_while_training_exits_with_130_and_loses_nothing(
    two_series_csv: Path,
    run: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "out.csv").write_text("earlier forecast")
    before = listing(tmp_path)

    def interrupted(*args: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("seqlight.models.LSTMForecaster.training_step", interrupted)
    code = run("forecast", two_series_csv, *COLUMNS, *SIZES, *SMALL, *LSTM, "-o", tmp_path / "out.csv")
    assert code == 130
    assert capsys.readouterr().err.strip().endswith("seqlight: interrupted")
    assert listing(tmp_path) == before


@pytest.mark.parametrize(
    ("season", "said"),
    [
        (24, "MASE's season is 24 steps"),
        (10_000, "is 1 step, for 10000 steps do not fit in the training part"),
    ],
)
def test_the_season_that_mase_takes_is_told(
    run: Run, tmp_path: Path, two_series_csv: Path, capsys: pytest.CaptureFixture[str], season: int, said: str
) -> None:
    options = [*COLUMNS, *SIZES, *SMALL, "--model", "naive", "--season", season, "-o", tmp_path / "out.csv"]
    assert run("forecast", two_series_csv, *options) == 0
    assert said in " ".join(capsys.readouterr().out.split())


def test_short_series_are_forecast_or_left_out(
    run: Run, tmp_path: Path, two_series_csv: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "sales.csv"
    path.write_text(two_series_csv.read_text() + "2024-03-06 22:00:00,new,5,x\n2024-03-06 23:00:00,new,6,x\n")
    arguments = ["forecast", path, *COLUMNS, *SIZES, "--model", "naive", "-o", tmp_path / "out.csv"]
    assert run(*arguments) == 0
    assert "note: series 'new' (2 steps): too short to be judged" in capsys.readouterr().out
    table = pl.read_csv(tmp_path / "out.csv")
    assert table.filter(pl.col("shop") == "new")["sales"].to_list() == [6.0] * 6
    assert run(*arguments, "--skip-short") == 0
    assert "note: left out for being too short: 1 series" in capsys.readouterr().out
    assert pl.read_csv(tmp_path / "out.csv")["shop"].unique().sort().to_list() == ["east", "west"]


def written(path: Path) -> np.ndarray:
    return pl.read_csv(path)["sales"].to_numpy().reshape(2, 6)


@pytest.mark.parametrize(
    ("model", "name", "cls"),
    [
        ("linear", "linear (least squares)", LinearForecaster),
        ("seasonal", "seasonal naive (24)", SeasonalNaiveForecaster),
        ("naive", "naive", NaiveForecaster),
    ],
)
def test_a_simple_forecast_on_request(
    model: str,
    name: str,
    cls: type[Forecaster],
    two_series_csv: Path,
    run: Run,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """No network is trained, and all files are of the simple forecast."""
    outputs = ["-o", tmp_path / "out.csv", "--plot", tmp_path / "out.svg", "--save", tmp_path / "out.ckpt"]
    head, *rows = two_series_csv.read_text().splitlines()
    path = tmp_path / "sales.csv"
    path.write_text("\n".join([head, rows[1], rows[0], *rows[2:]]) + "\n")
    arguments = ["forecast", path, *COLUMNS, *SIZES, "--season", "24", "--model", model]
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        assert run(*arguments, *outputs) == 0
    printed = capsys.readouterr().out
    assert printed.count("rows are not in the order of time") == 1  # a note
    assert "LSTM" not in printed
    assert f"Forecast by {name}, as --model {model} asks. On the test part it " in " ".join(printed.split())
    assert f"<!-- forecast by {name} -->" in (tmp_path / "out.svg").read_text()  # in the legend
    saved = seqlight.load(tmp_path / "out.ckpt")
    assert type(saved) is cls
    values = written(tmp_path / "out.csv")
    if model != "linear":
        series = pl.read_csv(two_series_csv).partition_by("shop", maintain_order=True)
        past = np.stack([shop["sales"].tail(24).to_numpy() for shop in series])
        expected = past[:, :6] if model == "seasonal" else np.repeat(past[:, -1:], 6, axis=1)
        np.testing.assert_allclose(values, expected, rtol=1e-6)
    again = ["--data.path", two_series_csv, "--output", tmp_path / "again.csv"]
    assert run("predict", "--ckpt_path", tmp_path / "out.ckpt", *again) == 0
    np.testing.assert_allclose(written(tmp_path / "again.csv"), values, rtol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--season", "36"], "a season of 36 steps does not fit in the context of 24"),
        (["--season", "1"], "these data have no season"),
    ],
)
def test_no_seasonal_forecast_without_a_season(
    arguments: list[str],
    message: str,
    two_series_csv: Path,
    run: Run,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    outputs = ["-o", tmp_path / "out.csv", "--model", "seasonal"]
    assert run("forecast", two_series_csv, *COLUMNS, *SIZES, *arguments, *outputs) == 2
    printed = capsys.readouterr()
    assert printed.err.startswith(f"seqlight: error: --model seasonal: {message}")
    assert not printed.out  # nothing was begun
    assert not listing(tmp_path)


def test_no_linear_forecast_beyond_memory(
    two_series_csv: Path,
    run: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("seqlight.experiments.simple_forecasts.EQUATION_BYTES", 1000)
    arguments = ["forecast", two_series_csv, *COLUMNS, *SIZES, "--model", "linear"]
    assert run(*arguments, "-o", tmp_path / "out.csv") == 2
    assert "--model linear: least squares of 24 steps takes more than" in capsys.readouterr().err
    assert not listing(tmp_path)


def test_a_linear_forecast_of_values_alone_where_memory_allows_no_more(
    two_series_csv: Path,
    run: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The data have features of the calendar all the same, for the network."""
    monkeypatch.setattr("seqlight.experiments.simple_forecasts.EQUATION_BYTES", 8 * 7 * 24**2)
    outputs = ["-o", tmp_path / "out.csv", "--save", tmp_path / "m.ckpt"]
    assert run("forecast", two_series_csv, *COLUMNS, *SIZES, "--model", "linear", *outputs) == 0
    assert "linear (least squares, without covariates)" in capsys.readouterr().out
    assert run("predict", "--ckpt_path", tmp_path / "m.ckpt", "--output", tmp_path / "again.csv") == 0
    again = pl.read_csv(tmp_path / "again.csv")
    assert again["sales"].to_list() == pytest.approx(pl.read_csv(tmp_path / "out.csv")["sales"].to_list())


@pytest.mark.parametrize("epochs", [1, 15])
def test_the_summary_tells_that_the_time_was_up(
    epochs: int, two_series_csv: Path, run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["forecast", two_series_csv, *COLUMNS, *SIZES, *LSTM, "--hidden-size", "4", "--no-progress"]
    limits = ["--max-time", "0.001", "--epochs", epochs]
    assert run(*arguments, *limits, "-o", tmp_path / "out.csv") == 0
    assert (
        f", the best was number 1; stopped by --max-time 0.001 in epoch 1 of {epochs}; "
        "more time may give a better model\n"
    ) in capsys.readouterr().out


def test_early_stopping_is_not_the_time(
    two_series_csv: Path,
    run: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    impatient = functools.partial(EarlyStopping, min_delta=1e9)
    monkeypatch.setattr(
        "seqlight.experiments.training.EarlyStopping",
        lambda monitor, patience: impatient(monitor, patience=1),
    )
    arguments = ["forecast", two_series_csv, *COLUMNS, *SIZES, *LSTM, "--hidden-size", "4", "--no-progress"]
    assert run(*arguments, "--epochs", "15", "-o", tmp_path / "out.csv") == 0
    printed = capsys.readouterr().out
    assert " windows: 2 epochs in " in printed
    assert "stopped by" not in printed


def test_refit(two_series_csv: Path, run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The table is that from before, the forecast and the checkpoint are of the model made again."""
    arguments = ["forecast", two_series_csv, *COLUMNS, *SIZES, "--model", "linear"]
    assert run(*arguments, "-o", tmp_path / "before.csv") == 0
    before = capsys.readouterr().out
    outputs = ["-o", tmp_path / "after.csv", "--save", tmp_path / "after.ckpt"]
    assert run(*arguments, *outputs, "--refit", "--plot", tmp_path / "after.png") == 0
    after = capsys.readouterr().out
    assert "Errors on the test part, before the refit: " in " ".join(after.split())
    assert "made linear (least squares) again of all " in after
    rows = [[line for line in text.splitlines() if "│ linear (least" in line] for text in (before, after)]
    assert rows[0] == rows[1] and rows[0]
    assert (tmp_path / "before.csv").read_bytes() != (tmp_path / "after.csv").read_bytes()
    model = seqlight.load(tmp_path / "after.ckpt")
    assert model.trained_until.keys() == {"east", "west"}
    again = ["--data.path", two_series_csv, "--output", tmp_path / "again.csv"]
    assert run("predict", "--ckpt_path", tmp_path / "after.ckpt", *again) == 0
    np.testing.assert_allclose(written(tmp_path / "again.csv"), written(tmp_path / "after.csv"), rtol=1e-6)
    assert run("test", "--ckpt_path", tmp_path / "after.ckpt", "--data.path", two_series_csv) == 2
    assert "LinearForecaster was trained on series 'east' up to 2024-03-06 23:00" in capsys.readouterr().err


def test_refit_of_the_network_has_its_share_of_the_time(
    two_series_csv: Path, run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["forecast", two_series_csv, *COLUMNS, *SIZES, *SMALL, "--refit"]
    assert run(*arguments, *LSTM, "-o", tmp_path / "out.csv", "--save", tmp_path / "out.ckpt") == 0
    printed = capsys.readouterr().out
    assert "made peephole LSTM again of all " in printed and " steps, in " in printed
    assert seqlight.load(tmp_path / "out.ckpt").trained_until is not None
    assert run(*arguments, "--model", "naive", "-o", tmp_path / "naive.csv") == 0
    assert "nothing is fitted for naive, which stays as it is" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("naive", "no effect: --hidden-size, --epochs; --model naive trains no network"),
        ("segment_rnn", "no effect: --hidden-size; --model segment_rnn has sizes of its own"),
        ("gru", None),
        ("lstm", None),
    ],
)
def test_each_model_by_its_name_and_the_options_that_it_does_not_take(
    model: str,
    said: str | None,
    two_series_csv: Path,
    run: Run,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    outputs = ["-o", tmp_path / "out.csv", "--no-progress"]
    options = ["--model", model, "--epochs", "1", "--hidden-size", "4"]
    assert run("forecast", two_series_csv, *COLUMNS, *SIZES, *options, *outputs) == 0
    printed = capsys.readouterr().out
    assert (f"note: {said}\n" in printed) if said else ("no effect" not in printed)
    name = {"segment_rnn": "segment RNN", "gru": "GRU", "lstm": "peephole LSTM", "naive": "naive"}[model]
    assert f"Forecast by {name}, as --model {model} asks." in printed
    assert "│ linear (least squares) " in printed
