"""Where ``seqlight forecast`` and ``predict`` begin, of files as people have them."""

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

import seqlight

Run = Callable[..., int]
Case = Callable[[str], Path]
COLUMNS = ["--time", "ds", "--target", "y"]
FAST = ["--epochs", "1", "--hidden-size", "4", "--no-progress"]


@pytest.mark.filterwarnings("default:no forecast of series")
@pytest.mark.parametrize("model", ["lstm", "linear", "naive"])
def test_an_ended_series_is_named_and_empty(
    run: Run, case_file: Case, tmp_path: Path, capsys: pytest.CaptureFixture[str], model: str
) -> None:
    output = tmp_path / "out.csv"
    arguments = ["forecast", case_file("ended_series.csv"), *COLUMNS, "--id", "id", "--model", model, *FAST]
    outputs = ["-o", output, "--plot", tmp_path / "out.png", "--save", tmp_path / "out.ckpt"]
    assert run(*arguments, *outputs) == 0
    printed = capsys.readouterr().out
    assert "the forecast begins at 2022-07-20; series 'c': no known value since 2022-04-10" in printed
    rows = [line.split(",") for line in output.read_text().splitlines()[1:]]
    assert [row[0] for row in rows] == ["a"] * 7 + ["b"] * 7 + ["c"] * 7
    assert [row[1] for row in rows] == [f"2022-07-{day}" for day in range(20, 27)] * 3
    assert [row[2] == "" for row in rows] == [False] * 14 + [True] * 7
    again = tmp_path / "again.csv"
    assert run("predict", "--ckpt_path", tmp_path / "out.ckpt", "--output", again) == 0
    printed = capsys.readouterr()
    assert "no forecast of series 'c'" in printed.out + printed.err
    assert "the forecast begins at 2022-07-20; series 'c': no known value" in printed.out
    assert [line.split(",")[2] == "" for line in again.read_text().splitlines()[1:]] == [False] * 14 + [
        True
    ] * 7


def test_the_advice_for_an_ended_series_works(
    run: Run, case_file: Case, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["forecast", case_file("ended_series.csv"), *COLUMNS, "--id", "id", "--model", "naive"]
    assert run(*arguments, "--origin", "own", "-o", tmp_path / "out.csv") == 0
    assert "forecasts begin between 2022-04-11 and 2022-07-20" in capsys.readouterr().out
    of_c = pl.read_csv(tmp_path / "out.csv").filter(pl.col("id") == "c")
    assert of_c["ds"].to_list() == [f"2022-04-{day}" for day in range(11, 18)]
    assert of_c["y"].null_count() == 0


def test_appended_rows_are_the_future(
    run: Run, case_file: Case, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["forecast", case_file("appended_future.csv"), *COLUMNS, "--model", "naive", "-o"]
    assert run(*arguments, tmp_path / "out.csv") == 0
    assert "the forecast begins at 2022-10-21" in capsys.readouterr().out
    assert pl.read_csv(tmp_path / "out.csv")["ds"].to_list() == [f"2022-10-{day}" for day in range(21, 28)]
    assert run(*arguments, tmp_path / "earlier.csv", "--as-of", "2022-10-10") == 0
    assert "the forecast begins at 2022-10-11" in capsys.readouterr().out
    assert pl.read_csv(tmp_path / "earlier.csv")["ds"][0] == "2022-10-11"


def test_mixed_steps_are_refused_with_advice_that_works(
    run: Run, case_file: Case, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["forecast", case_file("mixed_steps.csv"), *COLUMNS, "--id", "id", "--model", "naive"]
    assert run(*arguments, "-o", tmp_path / "out.csv") == 2
    assert "series 'w' has steps of 1w, others have 1d" in capsys.readouterr().err
    assert run(*arguments, "--frequency", "1d", "-o", tmp_path / "out.csv") == 0


def test_predicting_a_new_series_needs_its_context_alone(run: Run, case_file: Case, tmp_path: Path) -> None:
    source = case_file("appended_future.csv")
    checkpoint = tmp_path / "m.ckpt"
    outputs = ["-o", tmp_path / "out.csv", "--save", checkpoint]
    assert run("forecast", source, *COLUMNS, "--model", "linear", *outputs) == 0
    lines = source.read_text().splitlines()
    brief = tmp_path / "brief.csv"
    context = seqlight.load(checkpoint).context_length
    brief.write_text("\n".join([lines[0], *lines[-7 - context : -7]]) + "\n")  # so many known values
    options = ["--data.path", brief, "--output", tmp_path / "new.csv"]
    assert run("predict", "--ckpt_path", checkpoint, *options) == 0
    expected, found = (pl.read_csv(tmp_path / name) for name in ("out.csv", "new.csv"))
    assert found["ds"].to_list() == expected["ds"].to_list()
    assert found["y"].to_list() == pytest.approx(expected["y"].to_list(), rel=1e-5)


def test_a_promotion_known_ahead_is_seen(
    run: Run, case_file: Case, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["forecast", case_file("appended_future.csv"), *COLUMNS, "--model", "linear", "-o"]
    outputs = [tmp_path / "out.csv", "--save", tmp_path / "m.ckpt"]
    assert run(*arguments, *outputs, "--future-covariate", "promo") == 0
    values = pl.read_csv(tmp_path / "out.csv")["y"].to_list()
    assert values[2] == pytest.approx(27.3, abs=0.6)  # 2022-10-23, with a promotion: 5 above its weekday
    assert run("predict", "--ckpt_path", tmp_path / "m.ckpt", "--output", tmp_path / "again.csv") == 0
    assert pl.read_csv(tmp_path / "again.csv")["y"].to_list() == pytest.approx(values, rel=1e-5)
    lines = case_file("appended_future.csv").read_text().splitlines()
    (tmp_path / "short.csv").write_text("\n".join(lines[:-2]) + "\n")
    capsys.readouterr()
    short = ["forecast", tmp_path / "short.csv", *arguments[2:], tmp_path / "no.csv"]
    assert run(*short, "--future-covariate", "promo") == 2
    assert "column 'promo' of series 'series'" in capsys.readouterr().err
    assert not (tmp_path / "no.csv").exists()
    assert run(*short, "--past-covariate", "promo") == 0


def test_a_checkpoint_of_days_refuses_hours(
    run: Run, case_file: Case, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outputs = ["-o", tmp_path / "out.csv", "--save", tmp_path / "m.ckpt"]
    source = case_file("appended_future.csv")
    assert run("forecast", source, *COLUMNS, "--model", "linear", *outputs) == 0
    hours = [f"2024-03-{1 + hour // 24:02d} {hour % 24:02d}:00,{hour % 7}" for hour in range(200)]
    (tmp_path / "hours.csv").write_text("\n".join(["ds,y", *hours]) + "\n")
    options = ["--data.path", tmp_path / "hours.csv", "--output", tmp_path / "no.csv"]
    assert run("predict", "--ckpt_path", tmp_path / "m.ckpt", *options) == 2
    message = capsys.readouterr().err
    assert "'1d'" in message
    assert "'1h'" in message
    assert not (tmp_path / "no.csv").exists()
