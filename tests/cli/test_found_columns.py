"""A file with no options: columns and separator are found, and said; nothing is guessed between two."""

import io
import shlex
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from seqlight.cli.errors import CommandError
from seqlight.cli.forecast.arguments import ForecastArguments, parse
from seqlight.cli.forecast.plan import plan
from seqlight.cli.time_column import found_columns
from seqlight.data import DataError
from seqlight.data.io import text_file

Run = Callable[..., int]
DAYS = [str(np.datetime64("2024-01-01") + day) for day in range(56)]


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def found(text: str, *options: str) -> tuple[ForecastArguments, str]:
    Path("in.csv").write_text(text)
    return found_columns(parse(["in.csv", *options]), "forecast")


def lines(header: str, rows: list[str]) -> str:
    return "\n".join([header, *rows]) + "\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (lines("ds,y", [f"{day},{n}" for n, day in enumerate(DAYS)]), "--time ds --target y"),
        (
            lines("ds;y;note", [f"{day};{n},5;x" for n, day in enumerate(DAYS)]),
            "--time ds --target y --separator ';'",
        ),
        (
            lines("y\tds\tshop", [f"{n}\t{day}\t{s}" for n, day in enumerate(DAYS) for s in "ab"]),
            "--time ds --target y --id shop --separator tab",
        ),
        (
            lines("day,clock,y", [f"{day},{h:02d}:00,{h}" for day in DAYS[:3] for h in range(24)]),
            "--time day --time clock --target y",
        ),
        (
            lines("y,year,month,day", [f"{n},2024,1,{n + 1}" for n in range(31)]),
            "--time year --time month --time day --target y",
        ),
        (lines(",y", [f"{day},{n}" for n, day in enumerate(DAYS)]), "--time '' --target y"),
        (
            lines("Some title\n\nds,y", [f"{day},{n}" for n, day in enumerate(DAYS)]),
            "--time ds --target y",
        ),
    ],
)
def test_found(text: str, said: str) -> None:
    given, line = found(text)
    assert line == f"found in the file: {said}"
    again, nothing = found(text, *_words(said))
    assert nothing == ""
    assert (again.time, again.targets, again.id) == (given.time, given.targets, given.id)


def _words(said: str) -> list[str]:
    return shlex.split(said)


@pytest.mark.parametrize(
    ("header", "row", "asked"),
    [
        ("ds,a,b", "{day},1,2", "--target COLUMN is missing: which column is to be forecast. 'a', 'b' hold"),
        ("ds,a", "{day},x", "--target COLUMN is missing: no column of in.csv holds numbers"),
        ("ds,ds2,a", "{day},{day},1", "--time COLUMN is missing: .*'ds' and 'ds2' look like it"),
        ("a,b", "1,2", "--time COLUMN is missing: which column holds the timestamps. The file has 'a', 'b'"),
    ],
)
def test_asked(header: str, row: str, asked: str) -> None:
    with pytest.raises(CommandError, match=asked):
        found(lines(header, [row.format(day=day) for day in DAYS]))


def test_a_time_of_day_beside_a_named_date_is_no_id() -> None:
    rows = [f"{day},{hour:02}:00,{hour}" for day in DAYS[:20] for hour in range(24)]
    path = lines("Date,Time,y", rows)
    with pytest.raises(DataError, match=r"repeats line 2; column 'Time' holds the time of day"):
        plan(found(path, "--time", "Date")[0])
    assert found(path, "--time", "Date", "--id", "Time")[0].id == ["Time"]


def test_two_columns_that_name_the_series_are_asked_about() -> None:
    rows = [f"{day},{s},{s}{s},1" for day in DAYS for s in "ab"]
    with pytest.raises(CommandError, match=r"--id COLUMN is missing: .*'code' or 'name' would do"):
        found(lines("ds,code,name,y", rows))


def test_forecast_without_options(
    run: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """From standard input too, which can be read only once."""
    text = lines("ds;y", [f"{day};{n % 7},5" for n, day in enumerate(DAYS)])
    Path("in.csv").write_text(text)
    assert run("forecast", "in.csv", "--model", "naive", "-o", "one.csv") == 0
    assert "note: found in the file: --time ds --target y --separator ';'" in capsys.readouterr().out
    text_file._standard_input.cache_clear()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    assert run("forecast", "-", "--model", "naive", "-o", "two.csv") == 0
    text_file._standard_input.cache_clear()
    assert Path("one.csv").read_text() == Path("two.csv").read_text()
    assert Path("one.csv").read_text().splitlines()[1].startswith("series,2024-02-26,6.5")
