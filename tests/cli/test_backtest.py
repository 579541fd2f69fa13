"""``seqlight backtest`` from the file to the table."""

import contextlib
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import seqlight
from seqlight.cli import main
from seqlight.data import CSVDataModule
from seqlight.experiments import backtest

Run = Callable[..., int]
COLUMNS = ["--time", "ds", "--target", "sales", "--id", "shop"]
SIZES = ["--context", "24", "--horizon", "6"]
QUICK = ["--hidden-size", "4", "--epochs", "1", "--no-progress"]

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


@pytest.fixture(scope="module")
def finished(two_series_csv: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[pl.DataFrame, str]:
    """The table and the printed text of one whole run."""
    path = tmp_path_factory.mktemp("output") / "out.csv"
    printed = io.StringIO()
    windows = ["--windows", "3", "--step-size", "12", "--refit", "2", "--origin", "own"]
    with contextlib.redirect_stdout(printed):
        main([*map(str, ["backtest", two_series_csv, *COLUMNS, *SIZES, *QUICK, *windows, "-o", path])])
    return pl.read_csv(path), printed.getvalue()


def test_the_table_has_the_columns_of_the_file(
    finished: tuple[pl.DataFrame, str], two_series_csv: Path
) -> None:
    table, _ = finished
    assert table.columns == ["shop", "ds", "cutoff", "sales", "lstm", "linear", "seasonal", "naive"]
    assert len(table) == 2 * 3 * 6
    both = table.join(
        pl.read_csv(two_series_csv), on=["shop", "ds"], suffix="_file"
    )  # times are as they were
    assert len(both) == len(table)
    np.testing.assert_allclose(both["sales"], both["sales_file"])
    own = table.filter((pl.col("shop") == "east") & (pl.col("cutoff") == "2024-03-06 17:00:00"))
    assert own["ds"].to_list() == [f"2024-03-06 {hour}:00:00" for hour in range(18, 24)]
    file = pl.read_csv(two_series_csv).filter(pl.col("shop") == "east")
    np.testing.assert_allclose(own["naive"], file["sales"].tail(7)[0])
    np.testing.assert_allclose(own["seasonal"], file["sales"].tail(30).head(6))


def test_it_says_a_line_a_window_and_the_errors(finished: tuple[pl.DataFrame, str]) -> None:
    table, printed = finished
    assert printed.count("trained a peephole LSTM on ") == 2  # at the first and the third window
    assert "window 1 of 3, from 2024-03-05 18:00:00 (east), 2 series: MASE lstm " in printed
    assert "window 3 of 3, from 2024-03-06 18:00:00 (east)" in printed
    words = " ".join(printed.split())
    assert "Errors over 3 windows of 6 steps, 12 steps apart, made from the 24 before: 6 forecasts" in words
    assert "Trained lstm, linear 2 times" in words
    line, more = [line for line in printed.splitlines() if "│ naive " in line]
    mae = (table["naive"] - table["sales"]).abs().mean()
    assert line.strip("│ ").split("│")[1].strip() == f"{mae:.4g}"
    bias = (table["naive"] - table["sales"]).mean()
    assert more.strip("│ ").split("│")[1].strip() == f"{bias:+.4g}"


def test_parquet_keeps_times(two_series_csv: Path, run: Run, tmp_path: Path) -> None:
    options = ["--models", "naive", "linear", "naive2", "--windows", "2", "-o", tmp_path / "out.parquet"]
    assert run("backtest", two_series_csv, *COLUMNS, *SIZES, *options) == 0
    table = pl.read_parquet(tmp_path / "out.parquet")
    assert table.columns[3:] == ["sales", "linear", "naive2", "naive"]
    assert table["ds"].dtype == table["cutoff"].dtype == pl.Datetime("us")
    assert table["cutoff"].n_unique() == 2  # the same for both, though west ends a day before


def test_series_that_end_at_different_times_are_told(
    two_series_csv: Path, run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--models", "naive", "--windows", "3", "--step-size", "14", "-o", tmp_path / "out.csv"]
    assert run("backtest", two_series_csv, *COLUMNS, *SIZES, *options) == 0
    printed = capsys.readouterr().out
    assert "all series are cut at the same times, though they end at different ones: 1 of 2 are" in printed
    assert "window 1 of 3, from 2024-03-05 14:00:00 (east), 2 series" in printed
    assert "window 3 of 3, from 2024-03-06 18:00:00 (east), 1 series" in printed
    assert run("backtest", two_series_csv, *COLUMNS, *SIZES, *options, "--origin", "own") == 0
    assert "know values of some that came after the cutoff of others" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--refit", "sometimes"], "--refit: expected never, always or a number of windows, got 'sometimes'"),
        (["--refit", "0"], "--refit: expected never, always or a number of windows, got '0'"),
        (["--windows", "100"], "--windows: 100 windows of 6 steps, 6 apart, need 601 steps"),
        (["--models", "naive", "naive"], "--models: name each one once"),
        (["-o", "out.xlsx"], "--output: expected a name that ends in .csv, .csv.gz, .parquet, got out.xlsx"),
        (
            ["--models", "seasonal", "--season", "36"],
            "a season of 36 steps does not fit in the",
        ),
        (["-o", "none/out.csv"], "--output: the folder"),
    ],
)
def test_what_the_user_has_to_mend(
    options: list[str],
    message: str,
    two_series_csv: Path,
    run: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("backtest", two_series_csv, *COLUMNS, *SIZES, *options) == 2
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_column_of_the_tables_name_is_refused(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "in.csv"
    path.write_text("ds,naive\n" + "".join(f"2024-01-{day:02d},{day}\n" for day in range(1, 31)))
    sizes = ["--horizon", "2", "--context", "7"]
    arguments = ["backtest", path, *sizes, "--windows", "2", "-o", tmp_path / "out.csv"]
    assert run(*arguments, "--models", "naive") == 2
    assert "the table has a column 'naive' of its own" in capsys.readouterr().err
    assert run(*arguments, "--models", "linear") == 0


@pytest.fixture(scope="module")
def saved(two_series_csv: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkpoint of least squares, as ``seqlight forecast --save`` writes it."""
    folder = tmp_path_factory.mktemp("saved")
    options = [
        "--model",
        "linear",
        "--no-intervals",
        "--save",
        folder / "linear.ckpt",
        "-o",
        folder / "f.csv",
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        main([*map(str, ["forecast", two_series_csv, *COLUMNS, *SIZES, *options])])
    return folder / "linear.ckpt"


def test_a_saved_model_is_used_as_it_is(saved: Path, two_series_csv: Path, run: Run, tmp_path: Path) -> None:
    """Columns, sizes and season are those of its training, and none of them is named."""
    out = tmp_path / "out.csv"
    assert run("backtest", two_series_csv, "--checkpoint", saved, "--windows", "2", "-o", out) == 0
    table = pl.read_csv(out)
    assert table.columns == ["shop", "ds", "cutoff", "sales", "linear.ckpt", "seasonal", "naive"]
    model = seqlight.load(saved)
    data = build_two_series(two_series_csv)
    data.setup("test")
    own = backtest({"linear": model}, data, windows=2).frame
    np.testing.assert_allclose(table["linear.ckpt"], own["linear"], rtol=1e-6)


def build_two_series(path: Path) -> CSVDataModule:
    """The data as the command makes them."""
    return CSVDataModule(
        path,
        time_col="ds",
        target_cols="sales",
        id_col="shop",
        context_length=24,
        prediction_length=6,
        missing="mask",
        calendar_features=["hour"],
    )


def test_a_saved_model_is_refused_where_it_was_trained(
    saved: Path, two_series_csv: Path, run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["backtest", two_series_csv, "--checkpoint", saved, "-o", tmp_path / "out.csv"]
    assert run(*arguments, "--windows", "20") == 2
    assert "linear.ckpt was trained on series 'east' up to 2024-03-03 23:00:00 and cannot be judged from" in (
        capsys.readouterr().err
    )
    assert run(*arguments, "--context", "12") == 2
    assert "--context 12: the model of --checkpoint has 24; leave it out" in capsys.readouterr().err
    other = tmp_path / "other.csv"
    pl.read_csv(two_series_csv).rename({"sales": "other"}).write_csv(other)
    assert run("backtest", other, *arguments[2:], "--time", "ds", "--target", "other", "--id", "shop") == 2
    assert "--checkpoint: the model was trained on targets sales; the data have other" in (
        capsys.readouterr().err
    )
    assert run(*arguments[:-4], "--checkpoint", two_series_csv) == 2
    assert "--checkpoint: " in capsys.readouterr().err and not (tmp_path / "out.csv").exists()


def test_the_portfolio_is_a_model(
    two_series_csv: Path, run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With so little time no network is trained, and the mean is that of simple members."""
    options = [
        "--model",
        "auto",
        "naive",
        "--windows",
        "3",
        "--refit",
        "2",
        "--max-time",
        "0.1",
        "--no-progress",
    ]
    assert run("backtest", two_series_csv, *COLUMNS, *SIZES, *options, "-o", tmp_path / "out.csv") == 0
    printed = capsys.readouterr().out
    assert "trains auto 2 times, up to 0.1 s each (--max-time): up to 0.2 s in all" in printed
    assert printed.count("members in") == 2
    table = pl.read_csv(tmp_path / "out.csv")
    assert table.columns[4:] == ["auto", "naive"]
    error = (table["sales"] - table["auto"]).abs().mean()
    assert error < (table["sales"] - table["naive"]).abs().mean()


def test_models_made_again_of_all_that_was_known_have_intervals(
    two_series_csv: Path, run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--models", "linear", "naive", "--windows", "2", "--refit", "always", "--level", "80"]
    options += ["--interval-method", "split"]
    tables = []
    for extra in ([], ["--all-data"]):
        arguments = [*COLUMNS, *SIZES, *options, *extra, "-o", tmp_path / "out.csv"]
        assert run("backtest", two_series_csv, *arguments) == 0
        tables.append(pl.read_csv(tmp_path / "out.csv"))
        assert "│ linear    │   80% │" in capsys.readouterr().out
    before, after = tables
    assert before.columns == after.columns and "linear-lo-80" in after.columns
    assert before["naive-hi-80"].equals(after["naive-hi-80"])
    assert not before["linear"].equals(after["linear"])
    assert after["linear-hi-80"].is_not_null().all()
