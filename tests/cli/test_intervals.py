"""``--level``: columns, table, picture, checkpoint and what is refused."""

import contextlib
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

import seqlight
from seqlight.cli import main
from seqlight.cli.forecast.arguments import parse
from seqlight.cli.sizes import choose_calibration_size
from seqlight.data import CSVDataModule
from seqlight.intervals import AdaptiveConformal, ConformalPredictor, ForecastWindows, SplitConformal
from seqlight.metrics.functional import interval_coverage, interval_score

Run = Callable[..., int]

COLUMNS = ["--time", "ds", "--target", "sales", "--id", "shop"]
SIZES = ["--context", "24", "--horizon", "6"]
LINEAR = ["--model", "linear"]
ENDS = ["lo-50", "hi-50", "lo-90", "hi-90"]


@pytest.fixture(scope="module")
def finished(two_series_csv: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder and the printed text of a run that judges all methods."""
    folder = tmp_path_factory.mktemp("output")
    printed = io.StringIO()
    outputs = ["-o", folder / "out.csv", "--plot", folder / "out.svg", "--save", folder / "out.ckpt"]
    levels = ["--level", "90", "--level", "50", "90", "--all-intervals"]
    with contextlib.redirect_stdout(printed):
        main([*map(str, ["forecast", two_series_csv, *COLUMNS, *SIZES, *LINEAR, *levels, *outputs])])
    return folder, printed.getvalue()


def cells(printed: str, method: str, level: str) -> list[str]:
    """The row of a method and level in the table of intervals."""
    rows = [[cell.strip() for cell in line.strip("│ ").split("│")] for line in printed.splitlines()]
    (row,) = [row for row in rows if row[:2] == [method, level]]
    return row


def test_bounds_follow_their_target_levels_rising(finished: tuple[Path, str]) -> None:
    table = pl.read_csv(finished[0] / "out.csv")
    assert table.columns == ["shop", "ds", "sales", *(f"sales-{end}" for end in ENDS)]
    lo50, hi50, lo90, hi90 = (table[f"sales-{end}"].to_numpy() for end in ENDS)
    assert (lo90 <= lo50).all() and (lo50 < hi50).all() and (hi50 <= hi90).all()
    width = (hi90 - lo90).reshape(2, 6).mean(1)
    assert 5 < width[1] / width[0] < 20  # the second shop sells ten times as much


def test_the_table_is_how_the_saved_intervals_hold(
    finished: tuple[Path, str], two_series_data: CSVDataModule
) -> None:
    """Made again from the Python interface: calibration part, then the test part."""
    folder, printed = finished
    model = seqlight.load(folder / "out.ckpt")
    data = two_series_data
    calibration = ForecastWindows.collect(model, data.calibration_dataloader())
    test = ForecastWindows.collect(model, data.test_dataloader())
    for name, method in (
        ("split", SplitConformal([50, 90])),
        ("split, two-sided", SplitConformal([50, 90], symmetric=False)),
        ("adaptive", AdaptiveConformal([50, 90])),
    ):
        method.fit(calibration, series_count=2)
        if isinstance(method, AdaptiveConformal):
            method.observe(test)
        made = method.intervals(
            test.forecast, series_index=test.series_index, start=test.start, scale=test.scale
        )
        for level, (lower, upper) in made.items():
            row = cells(printed, name, f"{level:g}%")
            coverage = 100 * float(interval_coverage(lower, upper, test.target).nanmean())
            assert row[2] == f"{coverage:.1f}%"
            low, high = map(float, row[3].split(" to "))
            assert low <= coverage <= high
            known = ~test.target.isnan() & ~lower.isnan()
            assert float(row[4].replace(",", "")) == pytest.approx(
                float((upper - lower)[known].mean()), rel=1e-3
            )
            score = float(interval_score(lower, upper, test.target, level).nanmean())
            assert float(row[5].replace(",", "")) == pytest.approx(score, rel=1e-3)
    words = " ".join(printed.split())
    assert "coverage is approximate: windows overlap, and the future drifts" in words
    assert "Intervals by " in words and "within the calibration part" in words


def test_the_picture_has_a_band_for_each_level(finished: tuple[Path, str]) -> None:
    picture = (finished[0] / "out.svg").read_text()
    assert "<!-- 50% interval -->" in picture and "<!-- 90% interval -->" in picture
    assert "Share of values inside on the test part: " in picture


def test_the_checkpoint_writes_the_same_columns(
    finished: tuple[Path, str], two_series_csv: Path, run: Run, tmp_path: Path
) -> None:
    folder, _ = finished
    checkpoint = torch.load(folder / "out.ckpt", weights_only=True)
    assert checkpoint["seqlight"]["intervals"]["series_ids"] == ["east", "west"]
    arguments = ["predict", "--ckpt_path", folder / "out.ckpt", "--data.path"]
    assert run(*arguments, two_series_csv, "--output", tmp_path / "same.csv") == 0
    before, same = (pl.read_csv(path) for path in (folder / "out.csv", tmp_path / "same.csv"))
    assert same.columns == before.columns
    for name in before.columns[2:]:
        np.testing.assert_allclose(same[name], before[name], rtol=1e-5)

    # In another file the shop is found by its id, and a new one has the margins of all, in its own units.
    west = [line for line in two_series_csv.read_text().splitlines() if ",east," not in line]
    other = tmp_path / "other.csv"
    other.write_text("\n".join([*west, *(line.replace(",west,", ",north,") for line in west[1:])]) + "\n")
    assert run(*arguments, other, "--output", tmp_path / "other.out.csv") == 0
    table = pl.read_csv(tmp_path / "other.out.csv")
    widths = {
        shop: (rows["sales-hi-90"] - rows["sales-lo-90"]).to_numpy()
        for (shop,), rows in table.group_by("shop", maintain_order=True)
    }
    own = before.filter(pl.col("shop") == "west")
    np.testing.assert_allclose(widths["west"], own["sales-hi-90"] - own["sales-lo-90"], rtol=1e-4)
    assert np.isfinite(widths["north"]).all() and not np.allclose(widths["north"], widths["west"])


def test_the_saved_model_is_a_conformal_predictor(
    finished: tuple[Path, str], two_series_data: CSVDataModule
) -> None:
    model = seqlight.load(finished[0] / "out.ckpt")
    (batch,) = two_series_data.predict_dataloader()
    forecast = ConformalPredictor(model, model.intervals).predict(batch, quantile_levels=[0.05, 0.95])
    table = pl.read_csv(finished[0] / "out.csv")
    np.testing.assert_allclose(forecast.quantiles[..., 0].flatten(), table["sales-lo-90"], rtol=1e-5)


def test_what_is_not_wanted_is_not_there(
    two_series_csv: Path, run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outputs = ["-o", tmp_path / "out.csv", "--save", tmp_path / "out.ckpt"]
    assert run("forecast", two_series_csv, *COLUMNS, *SIZES, *LINEAR, "--no-intervals", *outputs) == 0
    assert pl.read_csv(tmp_path / "out.csv").columns == ["shop", "ds", "sales"]
    assert "interval" not in capsys.readouterr().out
    saved = torch.load(tmp_path / "out.ckpt", weights_only=True)
    assert "intervals" not in saved["seqlight"]
    assert saved["datamodule_hyper_parameters"]["test_size"] == 0.2


def test_a_method_on_request_keeps_to_what_can_be(
    two_series_csv: Path, run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--interval-method", "two-sided", "--bounds", "90", "none", "--integer", "--level", "90"]
    outputs = ["-o", tmp_path / "out.csv"]
    assert run("forecast", two_series_csv, *COLUMNS, *SIZES, *LINEAR, *options, *outputs) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "Intervals by split, two-sided, as --interval-method asks." in printed
    table = pl.read_csv(tmp_path / "out.csv")
    for end in ("lo", "hi"):
        values = table[f"sales-{end}-90"].to_numpy()
        assert (values >= 90).all() and (values == np.round(values)).all()


def test_too_few_errors_leave_cells_empty_and_are_said(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "short.csv"
    months = np.arange("2018-01", "2021-01", dtype="datetime64[M]")
    rows = [f"{month}-01,{100 + place % 12}" for place, month in enumerate(months)]
    path.write_text("\n".join(["ds,y", *rows]) + "\n")
    outputs = ["-o", tmp_path / "out.csv", "--plot", tmp_path / "out.svg"]
    sizes = ["--context", "6", "--horizon", "3", "--model", "naive"]
    assert run("forecast", path, *sizes, "--level", "60", "95", *outputs) == 0
    table = pl.read_csv(tmp_path / "out.csv")
    assert table["y-lo-95"].is_null().all() and table["y-lo-60"].is_not_null().all()
    printed = " ".join(capsys.readouterr().out.split())
    assert "no interval of 95 % at any step: level 95 needs 19 past forecasts with a known value" in printed
    assert "<!-- 60% interval -->" in (tmp_path / "out.svg").read_text()
    assert "95% interval" not in (tmp_path / "out.svg").read_text()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ["--level", "0.8"],
            "expected per cent, at least 1 and below 100, such as 80, got '0.8'; did you mean 80?",
        ),
        (["--level", "100"], "expected per cent, at least 1 and below 100, such as 80, got '100'"),
        (["--level", "high"], "got 'high'"),
        (["--no-intervals", "--level", "80"], "--no-intervals contradicts --level"),
        (["--no-intervals", "--interval-method", "split"], "--no-intervals contradicts --interval-method"),
        (["--interval-method", "cqr", *LINEAR], "--interval-method cqr: needs a model that says something"),
    ],
)
def test_refused(
    options: list[str],
    message: str,
    two_series_csv: Path,
    run: Run,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run("forecast", two_series_csv, *COLUMNS, *SIZES, *options, "-o", tmp_path / "out.csv") == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_column_of_the_file_is_not_doubled(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "in.csv"
    rows = [f"2024-01-{day:02d},{day},{day}" for day in range(1, 32)]
    path.write_text("\n".join(["ds,y,y-lo-80", *rows]) + "\n")
    columns = ["--time", "ds", "--target", "y", "--target", "y-lo-80"]
    assert run("forecast", path, *columns, "-o", tmp_path / "out.csv") == 2
    assert "--level: the column 'y-lo-80' of bounds would be written beside a column of that name" in (
        capsys.readouterr().err
    )


def test_levels_of_the_command_line(two_series_csv: Path) -> None:
    command = [str(two_series_csv), *COLUMNS]
    assert parse(command).levels == (80.0, 95.0)
    assert parse([*command, "--level", "95%", "--level", "50", "80"]).levels == (50.0, 80.0, 95.0)
    assert parse([*command, "--no-intervals"]).levels == ()


@pytest.mark.parametrize(
    ("length", "horizon", "levels", "series", "expected"),
    [
        (10_000, 24, [80, 95], 1, 0.1),
        (144, 12, [80, 95], 1, 30),  # 19 windows of 12 steps
        (144, 12, [80, 95], 3, 0.1),
        (60, 12, [80, 95], 1, 0.1),  # half of it would be too much
        (144, 12, [80], 1, 15),
        (144, 12, [], 1, 0.0),
    ],
)
def test_size_of_the_calibration_part(
    length: int, horizon: int, levels: list[float], series: int, expected: float
) -> None:
    assert choose_calibration_size(length, horizon, levels, series) == expected


def test_backtests_write_bounds_and_say_how_they_held(
    two_series_csv: Path, run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [
        "backtest",
        two_series_csv,
        *COLUMNS,
        *SIZES,
        "--windows",
        "4",
        "--models",
        "linear",
        "naive",
    ]
    assert run(*arguments, "--level", "80", "95", "-o", tmp_path / "out.csv") == 0
    table = pl.read_csv(tmp_path / "out.csv")
    bounds = ["lo-80", "hi-80", "lo-95", "hi-95"]
    models = [f"{model}{end}" for model in ("linear", "naive") for end in ("", *(f"-{b}" for b in bounds))]
    assert table.columns == ["shop", "ds", "cutoff", "sales", *models]
    inside = (table["sales"] >= table["naive-lo-80"]) & (table["sales"] <= table["naive-hi-80"])
    printed = capsys.readouterr().out
    assert cells(printed, "naive", "80%")[2] == f"{100 * inside.drop_nulls().mean():.1f}%"
    assert "Intervals over all windows; coverage is approximate" in printed
    assert run(*arguments, "-o", tmp_path / "none.csv") == 0
    assert pl.read_csv(tmp_path / "none.csv").columns == ["shop", "ds", "cutoff", "sales", "linear", "naive"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--interval-method", "split"], "--interval-method needs levels; give --level 80 95"),
        (["--level", "80", "--interval-method", "cqr"], "needs models that say something of their errors"),
    ],
)
def test_backtests_refuse(
    options: list[str],
    message: str,
    two_series_csv: Path,
    run: Run,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments = ["backtest", two_series_csv, *COLUMNS, *SIZES, "--models", "naive"]
    assert run(*arguments, *options, "-o", tmp_path / "out.csv") == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_backtest_says_why_bounds_are_empty(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "short.csv"
    days = np.datetime64("2024-01-01") + np.arange(40)
    path.write_text("\n".join(["ds,y", *(f"{day},{place % 7}" for place, day in enumerate(days))]) + "\n")
    options = [
        "--horizon",
        "3",
        "--context",
        "6",
        "--windows",
        "5",
        "--models",
        "naive",
        "--level",
        "80",
        "95",
    ]
    assert run("backtest", path, *options, "-o", tmp_path / "out.csv") == 0
    assert pl.read_csv(tmp_path / "out.csv")["naive-lo-95"].is_null().all()
    printed = " ".join(capsys.readouterr().out.split())
    assert "too few errors at each step: it takes " in printed and "19 for 95%" in printed


def test_series_too_short_for_a_calibration_part_are_forecast_without_intervals(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "short.csv"
    days = np.datetime64("2024-01-01") + np.arange(15)
    path.write_text("\n".join(["ds,y", *(f"{day},{place % 4}" for place, day in enumerate(days))]) + "\n")
    options = ["--horizon", "3", "--context", "4", "--model", "naive"]
    assert run("forecast", path, *options, "-o", tmp_path / "out.csv") == 0
    assert pl.read_csv(tmp_path / "out.csv").columns == ["series_id", "ds", "y"]
    assert "no intervals, for the series are too short for a calibration part" in capsys.readouterr().out
    backtest = ["--horizon", "3", "--context", "4", "--models", "naive", "--windows", "1", "--level", "80"]
    assert run("backtest", path, *backtest, "-o", tmp_path / "back.csv") == 2
    assert "--level: the series are too short for a part to make intervals from" in capsys.readouterr().err
