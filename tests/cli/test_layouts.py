"""``--layout`` and ``--time none``: found where a file leaves no doubt, else asked about, and followed."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from seqlight.cli.errors import CommandError
from seqlight.cli.forecast.arguments import ForecastArguments, parse
from seqlight.cli.forecast.plan import plan, read_store
from seqlight.cli.time_column import found_columns

Run = Callable[..., int]
CaseFile = Callable[[str], Path]
DAYS = [str(np.datetime64("2024-01-01") + day) for day in range(60)]


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def lines(*rows: str) -> Path:
    Path("in.csv").write_text("\n".join(rows) + "\n")
    return Path("in.csv")


def found(path: Path, *options: str) -> tuple[ForecastArguments, str]:
    return found_columns(parse([str(path), *options]), "forecast")


WIDE = ["ds,north,south", *(f"{day},{n},{n % 5}" for n, day in enumerate(DAYS))]
ROWS = [
    "shop," + ",".join(DAYS),
    *(",".join([name, *(str(n + level) for n in range(60))]) for level, name in enumerate("ab")),
]
NUMBERED = ["shop," + ",".join(f"d_{n}" for n in range(1, 61)), *ROWS[1:]]
MATRIX = [",".join(f"V{n}" for n in range(1, 5)), *(f"{n},{n + 1},{n + 2},{n + 3}" for n in range(60))]


@pytest.mark.parametrize(
    ("content", "options", "said"),
    [
        (WIDE, ["--layout", "wide"], "--time ds"),
        (ROWS, [], "--layout rows --id shop"),
        (NUMBERED, [], "--layout rows --id shop"),
        (["y", *map(str, range(60))], [], "--time none --target y"),
        (["y;x", *(f"{n};{n}" for n in range(60))], ["--time", "none", "--target", "x"], ""),
    ],
)
def test_found(content: list[str], options: list[str], said: str) -> None:
    path = lines(*content)
    given, line = found(path, *options)
    assert line == (f"found in the file: {said}" if said else "")
    again, nothing = found(path, *options, *said.split())
    assert nothing == ""
    assert (again.time, again.targets, again.id, again.layout) == (
        given.time,
        given.targets,
        given.id,
        given.layout,
    )


@pytest.mark.parametrize(
    ("content", "asked", "answers"),
    [
        (
            WIDE,
            "which column is to be forecast. 'north', 'south' hold numbers.*pass --layout 'wide'",
            [["--target", "north"], ["--layout", "wide"]],
        ),
        (
            MATRIX,
            "--layout is missing: which one.*--layout 'rows' if each row.*--layout 'wide' with --time none",
            [["--layout", "rows"], ["--layout", "wide", "--time", "none"]],
        ),
        (
            ["a,b", *(f"{n},{n + 1}" for n in range(60))],
            "which column holds the timestamps. The file has 'a', 'b'; --time none if it has none",
            [["--time", "none", "--target", "a"], ["--time", "none", "--layout", "wide"]],
        ),
    ],
)
def test_asked_and_answered(content: list[str], asked: str, answers: list[list[str]]) -> None:
    path = lines(*content)
    with pytest.raises(CommandError, match=asked):
        found(path)
    for answer in answers:
        store = read_store(found(path, *answer)[0])
        assert int(store.lengths.max()) == (4 if "rows" in answer else 60)


def first_columns(path: Path) -> list[str]:
    """The lines of a forecast without its intervals: id, time and target."""
    return [",".join(line.split(",")[:3]) for line in path.read_text().splitlines()]


def test_forecasts_of_each_layout(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    """The output is in long form, its times and steps written as they came."""
    options = ("--model", "naive", "--horizon", "2", "-o", "out.csv", "--plot", "out.png")
    expected = {
        "wide": (WIDE, ["--layout", "wide"], ["series_id,ds,y", "north,2024-03-01,59.0"]),
        "rows": (ROWS, [], ["shop,time,y", "a,2024-03-01,59.0"]),
        "numbered": (NUMBERED, [], ["shop,step,y", "a,d_61,59.0"]),
        "none": (["y", *map(str, range(60))], [], ["series_id,step,y", "series,60,59.0"]),
    }
    for content, more, head in expected.values():
        assert run("forecast", lines(*content), *more, *options) == 0
        assert first_columns(Path("out.csv"))[:2] == head
    assert "in.csv: 60 steps 0 to 59\nthe forecast begins at 60\n" in capsys.readouterr().out


def test_picture_and_report_number_steps_as_the_file_does(
    run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import seqlight.plot

    begins: list[int] = []
    draw = seqlight.plot.forecast

    def kept(panels: list, **options: object) -> object:
        begins.extend(int(panel.forecast_time[0]) for panel in panels)
        return draw(panels, **options)

    monkeypatch.setattr(seqlight.plot, "forecast", kept)
    outputs = ["-o", "out.csv", "--plot", "out.png", "--report", "out.html"]
    sizes = ["--model", "naive", "--horizon", "4", "--context", "8"]
    assert run("forecast", lines(*NUMBERED), *sizes, *outputs) == 0
    assert pl.read_csv("out.csv")["step"][0] == "d_61"
    assert begins == [61, 61]
    assert "from 61<" in Path("out.html").read_text() and "to 64" in Path("out.html").read_text()
    assert "MASE's season is 1 step\n" in capsys.readouterr().out


def test_a_checkpoint_of_rows_forecasts_such_rows(run: Run) -> None:
    path = lines(*NUMBERED)
    options = ("--model", "linear", "--horizon", "2")
    assert run("forecast", path, *options, "--save", "m.ckpt", "-o", "one.csv") == 0
    assert run("predict", "--ckpt_path", "m.ckpt", "--output", "two.csv") == 0
    assert pl.read_csv("two.csv").equals(pl.read_csv("one.csv"))
    assert run("predict", "--ckpt_path", "m.ckpt", "--data.path", lines(*ROWS)) == 2


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--time", "none", "--frequency", "1h"], "--frequency: expected none for rows without times"),
        (["--time", "none", "--as-of", "5"], "as_of: expected none for rows without times"),
    ],
)
def test_what_needs_times(
    options: list[str], said: str, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("forecast", lines("y", *map(str, range(60))), "--target", "y", *options) == 2
    assert said.replace("as_of", "--as-of") in capsys.readouterr().err


def test_series_of_steps_may_end_when_they_like(run: Run) -> None:
    """The last steps of two series need not be the same moments, so that no series has ended."""
    short = ",".join(["c", *map(str, range(20)), *[""] * 40])
    assert run("forecast", lines(*NUMBERED, short), "--model", "naive", "--horizon", "1", "-o", "o.csv") == 0
    assert first_columns(Path("o.csv"))[-1] == "c,d_21,19.0"


def test_real_files(case_file: CaseFile) -> None:
    given, line = found(case_file("rows_are_series.csv"))
    assert line == "found in the file: --layout rows --id id"
    store = read_store(given)
    assert store.ids == [f"item{n}" for n in range(1, 6)]
    assert store.series(0)[:5, 0].tolist() == [3, 5, 6, 4, 1]
    assert store.time_text(0, int(store.lengths[0])) == "d_301"
    given, line = found(case_file("no_time.csv"))
    assert line == "found in the file: --time none --target y"
    assert plan(given).begins == "the forecast begins at 800"


def test_one_window_is_said_in_the_singular(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    path = lines("y", *(str(number % 7) for number in range(30)))
    assert run("forecast", path, "--horizon", "7", "--context", "7", "--model", "naive", "-o", "out.csv") == 0
    assert "Errors on the test part: 1 window of 7 steps" in capsys.readouterr().out
