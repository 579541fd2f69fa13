"""--future and --static-file give what one file gives, in forecast, compare and predict."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

Run = Callable[..., int]
KNOWN, AHEAD = 120, 7
COLUMNS = ["--time", "ds", "--target", "y", "--id", "shop", "--future-covariate", "promo", "--static", "size"]
SIZES = ["--context", "14", "--horizon", AHEAD, "--season", "7"]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Sales that a promotion raises, in one file and in three."""
    folder = tmp_path_factory.mktemp("sales")
    random = np.random.default_rng(0)
    frames = []
    for shop, size in (("a", 10.0), ("b", 30.0)):
        promo = random.integers(0, 2, KNOWN + AHEAD)
        sales = size + 20.0 * promo + random.normal(size=KNOWN + AHEAD)
        start = np.datetime64("2024-01-01")
        days = [str(start + np.timedelta64(day, "D")) for day in range(KNOWN + AHEAD)]
        cells = [round(float(value), 2) if day < KNOWN else None for day, value in enumerate(sales)]
        frames.append(
            pl.DataFrame({"ds": days, "shop": shop, "y": cells, "promo": promo, "size": size}, strict=False)
        )
    whole = pl.concat(frames)
    known = whole.filter(pl.col("y").is_not_null())
    parts = {
        "one": whole,
        "main": known.drop("size"),
        "future": whole.filter(pl.col("y").is_null()).select("shop", "ds", "promo"),
        "shops": whole.unique("shop", maintain_order=True).select("shop", "size"),
    }
    paths = {name: folder / f"{name}.csv" for name in parts}
    for name, frame in parts.items():
        frame.write_csv(paths[name])
    return paths


def test_forecast_and_predict_of_three_files(
    run: Run, files: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [*COLUMNS, *SIZES, "--model", "linear", "-o"]
    assert run("forecast", files["one"], *arguments, tmp_path / "one.csv") == 0
    three = ["--future", files["future"], "--static-file", files["shops"]]
    saved = ["--save", tmp_path / "m.ckpt"]
    assert run("forecast", files["main"], *arguments, tmp_path / "three.csv", *three, *saved) == 0
    expected = (tmp_path / "one.csv").read_bytes()
    assert (tmp_path / "three.csv").read_bytes() == expected
    promoted = pl.read_csv(tmp_path / "one.csv").join(pl.read_csv(files["future"]), on=["shop", "ds"])
    raised = promoted.group_by("shop", "promo").agg(pl.col("y").mean()).sort("shop", "promo")["y"]
    assert raised[1] > raised[0] + 15 and raised[3] > raised[2] + 15

    again = tmp_path / "again.csv"
    assert run("predict", "--ckpt_path", tmp_path / "m.ckpt", "--output", again) == 0
    np.testing.assert_allclose(pl.read_csv(again)["y"], pl.read_csv(tmp_path / "one.csv")["y"], atol=1e-3)
    other = tmp_path / "other.csv"
    flipped = pl.read_csv(files["future"]).with_columns(promo=1 - pl.col("promo"))
    flipped.write_csv(tmp_path / "flipped.csv")
    named = [
        "--data.path",
        files["main"],
        "--data.future",
        tmp_path / "flipped.csv",
        "--data.static",
        files["shops"],
    ]
    assert run("predict", "--ckpt_path", tmp_path / "m.ckpt", "--output", other, *named) == 0
    difference = pl.read_csv(other)["y"] - pl.read_csv(again)["y"]
    assert ((difference > 10).to_numpy() == (promoted["promo"] == 0).to_numpy()).all()
    capsys.readouterr()


def test_compare_takes_them(run: Run, files: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [*COLUMNS, *SIZES, "--strategies", "direct", "--epochs", "1", "--hidden-size", "4"]
    three = ["--future", files["future"], "--static-file", files["shops"], "--no-progress"]
    assert run("compare", "strategies", files["main"], *arguments, *three) == 0
    assert "direct" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--future", "nowhere.csv"], "nowhere.csv: no such file"),
        (["--static-file", "nowhere.csv"], "nowhere.csv: no such file"),
        (
            ["--future", "shops"],
            "--future: .*shops.csv has none of the columns 'promo'; it has 'shop', 'size'",
        ),
    ],
)
def test_wrong_files_are_one_line(
    run: Run, files: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], options, message
) -> None:
    options = [files.get(option, option) for option in options]
    output = tmp_path / "out.csv"
    assert run("forecast", files["one"], *COLUMNS, *SIZES, "-o", output, *options) == 2
    error = capsys.readouterr().err.strip()
    assert re.search(message, error) and "\n" not in error
    assert not output.exists()


def test_files_that_are_read_are_not_written_over(
    run: Run, files: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    before = files["future"].read_bytes()
    arguments = [*COLUMNS, *SIZES, "--future", files["future"], "-o", files["future"]]
    assert run("forecast", files["one"], *arguments) == 2
    assert "is an input file and would be overwritten" in capsys.readouterr().err
    assert files["future"].read_bytes() == before
