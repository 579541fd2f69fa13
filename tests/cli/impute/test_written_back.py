"""Files of every layout, and several at once, are filled and written again as they came."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

Run = Callable[..., int]
DAYS = [str(np.datetime64("2024-01-01") + day) for day in range(12)]
LINE = ["impute", "--model", "linear"]


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def write(name: str, *lines: str) -> str:
    Path(name).write_text("\n".join(lines) + "\n")
    return name


def cells(values: list[float], missing: set[int]) -> list[str]:
    return ["" if index in missing else f"{value:g}" for index, value in enumerate(values)]


NORTH = cells([*range(12)], {0, 4, 5})
SOUTH = cells([step * 2 for step in range(12)], {7, 11})
WIDE = ["ds,north,south", *(",".join(row) for row in zip(DAYS, NORTH, SOUTH, strict=True))]
FILLED = [("north", "1", "4", "5"), ("south", "14", "20")]


def test_columns_are_series(run: Run) -> None:
    assert run(*LINE, write("in.csv", *WIDE), "--layout", "wide", "-o", "out.csv") == 0
    table = pl.read_csv("out.csv")
    assert table.columns == ["ds", "north", "south", "north_filled", "south_filled"]
    assert table["ds"].to_list() == DAYS
    for name, *filled in FILLED:
        assert table.filter(f"{name}_filled")[name].cast(pl.String).to_list() == filled
    kept = [line.split(",")[:3] for line in Path("out.csv").read_text().splitlines()[1:]]
    for before, after in zip(WIDE[1:], kept, strict=True):
        assert all(old in ("", new) for old, new in zip(before.split(","), after, strict=True))


def test_rows_that_are_absent_are_one_row_of_all_columns(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write("in.csv", *WIDE[:3], *WIDE[5:])
    assert run(*LINE, path, "--layout", "wide", "--insert-rows", "-o", "out.csv") == 0
    table = pl.read_csv("out.csv")
    assert table["ds"].to_list() == DAYS
    assert table.filter(pl.col("north_filled") & pl.col("south_filled"))["ds"].to_list() == DAYS[2:4]
    assert "2 series of 12 rows, 4 of them added" in capsys.readouterr().out


@pytest.mark.parametrize("names", [DAYS, [f"d_{step}" for step in range(1, 13)]])
def test_rows_are_series(names: list[str], run: Run) -> None:
    """The marks of a row are one cell; decimals are those of the row."""
    halves = [f"{cell}.5" if cell else "" for cell in NORTH]
    path = write("in.csv", ",".join(["shop", *names]), ",".join(["a", *halves]), ",".join(["b", *SOUTH]))
    more = ["--plot", "out.png", "--report", "out.html"] if names is not DAYS else []
    assert run(*LINE, path, "-o", "out.csv", *more) == 0
    lines = [line.split(",") for line in Path("out.csv").read_text().splitlines()]
    assert lines[0] == ["shop", *names, "y_filled"]
    assert lines[1] == [
        "a",
        "1.5",
        *(f"{step}.5" for step in range(1, 12)),
        "|".join([names[0], *names[4:6]]),
    ]
    assert lines[2] == ["b", *(str(2 * step) for step in range(11)), "20", f"{names[7]}|{names[11]}"]


def test_a_step_without_a_column_is_not_written(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    header = ",".join(["shop", *(f"d_{step}" for step in range(1, 13) if step != 6)])
    row = ",".join(["a", *SOUTH[:5], *SOUTH[6:]])
    assert run(*LINE, write("in.csv", header, row), "--id", "shop", "-o", "out.csv") == 0
    assert Path("out.csv").read_text().splitlines()[0] == f"{header},y_filled"
    assert "filled 2 cells;" in capsys.readouterr().out


def test_rows_without_times_are_steps(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    path = write("in.csv", "y", *(cell or "NA" for cell in NORTH))
    assert run(*LINE, path, "-o", "out.csv") == 0
    assert "found in the file: --time none" in capsys.readouterr().out
    expected = ["1,true", *(f"{step},{'true' if step in (4, 5) else 'false'}" for step in range(1, 12))]
    assert Path("out.csv").read_text().splitlines() == ["y,y_filled", *expected]


def test_several_files_are_one_data_set_and_stay_several(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    both = [f"{day},{cell}" for day, cell in zip(DAYS, SOUTH, strict=True)]
    write("part-1.csv", "t,y", *both[:7])
    Path("part-2.csv").write_bytes("\r\n".join(["t,y", *both[7:]]).encode("utf-16"))
    assert run(*LINE, "part-*.csv", "-o", "out") == 0
    assert "part-1.csv and 1 more: 12 rows, 2 empty cells" in capsys.readouterr().out
    assert sorted(path.name for path in Path("out").iterdir()) == ["part-1.csv", "part-2.csv"]
    assert Path("out/part-1.csv").read_text().splitlines()[1] == "2024-01-01,0,false"
    second = Path("out/part-2.csv").read_bytes().decode("utf-16")
    # Day 8 lies between two files.
    assert second.startswith("t,y,y_filled\r\n2024-01-08,14,true\r\n")
    assert run(*LINE, "part-*.csv", "--file-id", "shop", "-o", "out") == 0
    assert "2 series of 5 to 7 rows" in capsys.readouterr().out
    assert (
        Path("out/part-2.csv").read_bytes().decode("utf-16").startswith("t,y,y_filled\r\n2024-01-08,16,true")
    )


def test_a_file_that_holds_a_frame_keeps_its_rows_and_columns(run: Run) -> None:
    hours = [np.datetime64("2024-01-01T00", "us") + np.timedelta64(hour, "h") for hour in (3, 0, 1, 6)]
    frame = pl.DataFrame({"t": np.array(hours), "note": list("abcd"), "y": [7, 1, None, 13]})
    frame.write_parquet("in.parquet")
    assert run(*LINE, "in.parquet", "-o", "out.csv") == 0
    assert Path("out.csv").read_text().splitlines() == [
        "t,note,y,y_filled",
        "2024-01-01 03:00:00,a,7,false",
        "2024-01-01 00:00:00,b,1,false",
        "2024-01-01 01:00:00,c,3,true",
        "2024-01-01 06:00:00,d,13,false",
    ]
    assert run(*LINE, "in.parquet", "--insert-rows", "-o", "out.csv") == 0
    assert pl.read_csv("out.csv")["y"].to_list() == [7, 9, 11, 1, 3, 5, 13]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["part-*.csv", "-o", "in.csv"], "--output: of several files it is the folder of the filled ones"),
        (["part-*.csv", "-o", "."], "--output of part-1.csv: 'part-1.csv' is an input file"),
        (["part-1.csv", "sub/part-1.csv", "-o", "out"], "would be written as 'out/part-1.csv'"),
        (["in.csv", "-o", "out.xlsx"], "--output: what is written is CSV"),
        (["in.csv", "--file-id", "shop"], "--file-id: names series by their files, and there is one"),
        (["steps.csv", "--insert-rows"], "--insert-rows: the rows have no times"),
        (["rows.csv", "--insert-rows"], "--insert-rows: each row is a series"),
        (["almost.csv"], "line 4, column 'y': expected a number, got '<1'.*or name the columns to fill with"),
        (
            ["codes.csv"],
            "--id COLUMN is missing: which column names the series. 'sold' or 'store' with 'kind'",
        ),
    ],
)
def test_refused(options: list[str], message: str, run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    import re

    Path("sub").mkdir()
    for name in ("part-1.csv", "part-2.csv", "sub/part-1.csv", "in.csv"):
        write(name, "t,y", *(f"{day},{step}" for step, day in enumerate(DAYS)))
    write("steps.csv", "y", *NORTH)
    write("rows.csv", ",".join(["shop", *DAYS]), ",".join(["a", *NORTH]), ",".join(["b", *SOUTH]))
    write("almost.csv", "t,y", *(f"{day},{'<1' if step == 2 else step}" for step, day in enumerate(DAYS)))
    kinds = [(store, kind) for store in "12" for kind in "AB"]
    rows = [(day, *kind, 10 * k + n % 3) for n, day in enumerate(DAYS) for k, kind in enumerate(kinds)]
    write("codes.csv", "t,store,kind,sold", *(",".join(map(str, row)) for row in rows))
    before = sorted(Path().rglob("*"))
    assert run(*LINE, *options) == 2
    assert re.search(message, capsys.readouterr().err)
    assert sorted(Path().rglob("*")) == before


def test_a_column_without_a_cell_in_its_first_rows_is_filled_too(run: Run) -> None:
    hours = [str(np.datetime64("2024-01-01T00") + hour) for hour in range(1100)]
    late = ["", *[""] * 1049, *(str(step) if step != 20 else "" for step in range(50))]
    write("in.csv", "t,y,late", *(f"{hour},1,{cell}" for hour, cell in zip(hours, late, strict=True)))
    assert run(*LINE, "in.csv", "-o", "out.csv") == 0
    assert pl.read_csv("out.csv").columns == ["t", "y", "late", "y_filled", "late_filled"]
