"""Rows that are no data, cells with signs, titles, mixed times: read and said, or refused by their name."""

import warnings
from pathlib import Path

import numpy as np
import pytest

from seqlight.cli.errors import CommandError
from seqlight.cli.forecast.arguments import parse
from seqlight.cli.forecast.plan import plan
from seqlight.cli.time_column import found_columns
from seqlight.cli.wording import in_words_of_options

DAYS = [str(np.datetime64("2024-01-01") + day) for day in range(60)]
ROWS = [f"{day},{n % 7 + 3}" for n, day in enumerate(DAYS)]
THREE = [f"{row},5" for row in ROWS]
VALUES = [n % 7 + 3 for n in range(60)]


def written(tmp_path: Path, *lines: str) -> Path:
    path = tmp_path / "in.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def read(path: Path, *options: str) -> tuple[np.ndarray, list[str]]:
    """Values and notes, columns named and found."""
    with in_words_of_options():
        named = plan(parse([str(path), "--time", "ds", "--target", "y", *options]))
        given, _ = found_columns(parse([str(path), "--target", "y", *options]), "forecast")
        found = plan(given)
    np.testing.assert_array_equal(named.store.values, found.store.values)
    assert named.notes == found.notes
    return named.store.values[:, 0], named.notes


def refusal(path: Path, *options: str) -> str:
    with pytest.raises(CommandError) as caught:
        read(path, *options)
    return str(caught.value)


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["ds,y", *ROWS, "Total,432"], "line 62 holds a footer ('Total'), and was left out"),
        (["ds,y,z", *THREE, ",,", "Summe:,3,4"], "line 63 holds a footer ('Summe:'), and was left out"),
        (["ds,y,z", *THREE, *[",,"] * 5], "lines 62 to 66 hold nothing but separators, and were left out"),
        (["ds,y", *ROWS[:20], ",", *ROWS[20:]], "line 22 holds nothing but separators, and was left out"),
        (["ds,y", *ROWS[:20], "ds,y", *ROWS[20:]], "line 22 holds the header again, and was left out"),
        (
            ["Sales 2024,,", ",,", "ds,y,z", *THREE],
            "the header was found in line 3, lines above it were left out",
        ),
        (["Report,", "ds,y", *ROWS], "the header was found in line 2, lines above it were left out"),
        (["North,,,South", "ds,y,a,b", *(f"{row},1,2" for row in ROWS)], "the header was found in line 2"),
        (["ds,y", ",kg", *ROWS], "line 2 below the header holds no numbers or dates, but names or units"),
    ],
)
def test_what_is_no_row_is_left_out_and_said(lines: list[str], said: str, tmp_path: Path) -> None:
    values, notes = read(written(tmp_path, *lines))
    assert values.tolist() == VALUES
    assert any(said in note for note in notes), notes


@pytest.mark.parametrize(
    ("lines", "said", "count"),
    [
        (
            ["ds,y", *ROWS, "Source: World Bank,"],
            "line 62 looks like a footer ('Source: World Bank' is no",
            1,
        ),
        (
            ["ds,y,z", *THREE, ",432,1"],
            "line 62 looks like a footer (without a time); pass --skip-footer 1",
            1,
        ),
        (
            ["ds,y,z", *THREE, "Source: x", "2024"],
            "if the last 2 lines are a footer, pass --skip-footer 2",
            2,
        ),
        (["ds,y", *ROWS, "", "a,b,c"], "if the last line is a footer, pass --skip-footer 1", 1),
    ],
)
def test_other_footers_are_refused_and_skipped(
    lines: list[str], said: str, count: int, tmp_path: Path
) -> None:
    path = written(tmp_path, *lines)
    assert said in refusal(path)
    assert read(path, "--skip-footer", str(count))[0].tolist() == VALUES


def test_ragged_rows_before_others_are_no_footer(tmp_path: Path) -> None:
    message = refusal(written(tmp_path, "ds,y", *ROWS[:9], "x", *ROWS[9:]))
    assert "line 11 has 1 field, the header 2" in message and "footer" not in message
    assert "61 lines" in refusal(written(tmp_path, "ds,y", *ROWS), "--skip-footer", "99")


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        (["${}"], "the currency sign '$' was left out"),
        (["{} €"], "the currency sign '€' was left out"),
        (["-{} USD", "{} USD"], "the currency sign 'USD' was left out"),
        (["{}%"], "the percent sign was left out: 5% is 5"),
        (["${}", "{}"], "the currency sign '$' was left out of 30 of 60 cells"),
        (['"$1,{}00.50"'], "the currency sign '$' was left out"),
    ],
)
def test_signs(cells: list[str], said: str, tmp_path: Path) -> None:
    lines = [f"{day},{cells[n % len(cells)].format(n % 7 + 3)}" for n, day in enumerate(DAYS)]
    values, notes = read(written(tmp_path, "ds,y", *lines))
    expected = np.array(VALUES, np.float32)
    if cells[0].startswith("-"):
        expected[::2] *= -1
    if "1,{}00.50" in cells[0]:
        expected = 1000.5 + 100 * expected
    assert values.tolist() == expected.tolist()
    assert any(said in note for note in notes), notes


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        (["{}%", "{}"], "30 of 60 cells have the sign '%': write all cells with it, or none"),
        (["${}", "{}€"], "the column mixes the signs '$' and '€': write all cells in one unit"),
        (
            ["{}", "{}", "{}", "$x{}"],
            "a currency or percent sign is left out where it stands beside a number",
        ),
    ],
)
def test_signs_that_mean_two_things(cells: list[str], said: str, tmp_path: Path) -> None:
    lines = [f"{day},{cells[n % len(cells)].format(n % 7 + 3)}" for n, day in enumerate(DAYS)]
    with pytest.raises(CommandError, match="expected a number") as caught, in_words_of_options():
        plan(parse([str(written(tmp_path, "ds,y", *lines)), "--time", "ds", "--target", "y"]))
    assert said in str(caught.value)


def test_numbers_too_large_to_train_on(tmp_path: Path) -> None:
    path = written(tmp_path, "ds,y", *(f"{day},{'2e31' if n == 9 else n}" for n, day in enumerate(DAYS)))
    message = refusal(path)
    assert "line 11, column 'y': 2e+31 is too large to compute with in float32" in message
    assert "divide the column by a power of ten so that it stays below 1e+17" in message
    assert np.flatnonzero(np.isnan(read(path, "--missing-value", "2e+31")[0])).tolist() == [9]
    values, _ = read(written(tmp_path, "ds,y", *(f"{day},{n + 1}e15" for n, day in enumerate(DAYS))))
    assert values[0] == np.float32(1e15)


@pytest.mark.parametrize(
    ("odd", "others", "noted"),
    [
        ("-1", "{}", "-1 once, alone among the rest (4 to 6)"),
        ("-99", "{}.5", "-99 once"),
        ("0", "10{}", "0 once"),
        ("-9", "0.{}", "-9 once, alone among the rest"),
        ("0", "{}", None),
        ("-0.7", "0.{}", None),
        ("-1", "-{}", None),
    ],
)
def test_a_code_alone_is_noted_and_kept(odd: str, others: str, noted: str | None, tmp_path: Path) -> None:
    lines = [f"{day},{odd if n == 30 else others.format(n % 3 + 4)}" for n, day in enumerate(DAYS)]
    values, notes = read(written(tmp_path, "ds,y", *lines))
    assert values[30] == np.float32(odd)
    if noted is None:
        assert notes == []
    else:
        assert len(notes) == 1 and noted in notes[0] and f"pass --missing-value {odd}" in notes[0]


@pytest.mark.parametrize("classes", [(0, 1), (0, 10), (-1, 1), (-1, 0, 1)])
def test_a_class_is_no_code(classes: tuple[int, ...], tmp_path: Path) -> None:
    lines = [f"{day},{classes[n % 7 % len(classes)]}" for n, day in enumerate(DAYS)]
    assert read(written(tmp_path, "ds,y", *lines))[1] == []


@pytest.mark.parametrize("late", [1, 30, 59])
def test_dates_among_times(late: int, tmp_path: Path) -> None:
    lines = [f"{day}{' 00:00:00' if n >= late else ''},{n}" for n, day in enumerate(DAYS)]
    message = refusal(written(tmp_path, "ds,y", *lines))
    assert (
        f"column 'ds' mixes dates (line 2: '2024-01-01') and times (line {late + 2}: '{DAYS[late]} 00"
        in message
    )
    assert "write all in one way" in message


def test_several_offsets_are_said(tmp_path: Path) -> None:
    winter = [f"2024-03-30T{hour:02d}:00:00+01:00,{hour}" for hour in range(24)]
    summer = [f"2024-03-31T{hour:02d}:00:00+02:00,{hour}" for hour in range(1, 24)]
    _, notes = read(written(tmp_path, "ds,y", *winter, *summer))
    assert len(notes) == 1
    assert "2 UTC offsets (+01:00, +02:00): they are read as UTC, and forecasts are written with" in notes[0]
    assert read(written(tmp_path, "ds,y", *winter))[1] == []


@pytest.mark.parametrize(
    ("name", "cells", "found"),
    [
        ("sensor", [str(1_700_000_000 + 3600 * n) for n in range(60)], "--time sensor --target y"),
        ("k", [day.replace("-", "") for day in DAYS], "--time k --target y"),
        ("year", [str(1960 + n) for n in range(60)], "--time year --target y"),
    ],
)
def test_numbers_that_are_times(name: str, cells: list[str], found: str, tmp_path: Path) -> None:
    path = written(tmp_path, f"{name},y", *(f"{cell},{n}" for n, cell in enumerate(cells)))
    assert found_columns(parse([str(path)]), "forecast")[1] == f"found in the file: {found}"


def test_numbers_that_may_be_times_are_listed(tmp_path: Path) -> None:
    path = written(tmp_path, "k,y", *(f"{45000 + n},{n % 5}" for n in range(60)))
    may_be = (
        r"where its numbers are times, pass --time 'k' .the first is then 2023-03-15T00:00:00.; --time none"
    )
    with pytest.raises(CommandError, match=may_be):
        found_columns(parse([str(path)]), "forecast")


def test_impute_keeps_what_is_no_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from seqlight.cli import main

    monkeypatch.chdir(tmp_path)
    lines = ["ds,y", *(f"{day},{'' if n == 5 else f'${n}'}" for n, day in enumerate(DAYS))]
    lines[20:20] = ["ds,y"]
    path = written(tmp_path, *lines, "Total,$1765", "Source: x")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        main(["impute", str(path), "--model", "linear", "--target", "y", "--skip-footer", "1", "-o", "o.csv"])
    out = Path("o.csv").read_text().splitlines()
    assert out[0] == "ds,y,y_filled" and out[6] == "2024-01-06,$5,true" and out[7] == "2024-01-07,$6,false"
    assert out[20] == "ds,y," and out[-2:] == ["Total,$1765,", "Source: x"]
