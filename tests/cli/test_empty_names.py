"""A column whose name is empty, as pandas writes an index, is a column like any other."""

import csv
from collections.abc import Callable
from pathlib import Path

import pytest

from seqlight.callbacks.forecast_writer import column_name

Run = Callable[..., int]
SIZES = ["--horizon", "2", "--context", "4", "--model", "naive"]


def daily_csv(path: Path, header: str) -> Path:
    """Columns of dates, ids and values: "a" counts up by one, "b" is the same plus 100."""
    rows = [f"2024-01-{day:02d},{name},{day + 100 * (name == 'b')}" for day in range(1, 31) for name in "ab"]
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


@pytest.mark.parametrize("unnamed", ["time", "id", "target"])
def test_forecast_writes_the_empty_name(run: Run, tmp_path: Path, unnamed: str) -> None:
    names = {"time": "ds", "id": "shop", "target": "y"} | {unnamed: ""}
    path = daily_csv(tmp_path / "in.csv", ",".join(names.values()))
    columns = [part for option, name in names.items() for part in (f"--{option}", name)]
    outputs = ["-o", tmp_path / "out.csv", "--plot", tmp_path / "out.png"]
    assert run("forecast", path, *columns, *SIZES, *outputs) == 0
    with (tmp_path / "out.csv").open(newline="") as file:
        header, *rows = csv.reader(file)
    assert header[:3] == [names["id"], names["time"], names["target"]]
    assert header[3:5] == [f"{names['target']}-lo-80", f"{names['target']}-hi-80"]
    assert [row[:3] for row in rows] == [
        ["a", "2024-01-31", "30.0"],
        ["a", "2024-02-01", "30.0"],
        ["b", "2024-01-31", "130.0"],
        ["b", "2024-02-01", "130.0"],
    ]
    assert (tmp_path / "out.png").stat().st_size > 0


def test_impute_takes_the_empty_name_of_times(run: Run, tmp_path: Path) -> None:
    rows = [f"2024-01-{day:02d},{'' if day == 10 else day}" for day in range(1, 31)]
    (tmp_path / "in.csv").write_text("\n".join([",y", *rows]) + "\n")
    arguments = ["--time", "", "--model", "linear", "-o", tmp_path / "out.csv"]
    assert run("impute", tmp_path / "in.csv", *arguments) == 0
    lines = (tmp_path / "out.csv").read_text().splitlines()
    assert lines[0] == ",y,y_filled"
    assert lines[10] == "2024-01-10,10,true"


def test_demo_does_not_take_an_empty_name_for_none(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("forecast", "--demo", "--time", "", "-o", tmp_path / "out.csv") == 2
    assert "there is no column ''" in capsys.readouterr().err


def test_only_a_missing_name_has_a_substitute() -> None:
    class Data:
        id_col = ""
        time_col = None

    assert column_name(Data(), "id_col", "series_id") == ""
    assert column_name(Data(), "time_col", "timestamp") == "timestamp"
    assert column_name(Data(), "other", "timestamp") == "timestamp"
