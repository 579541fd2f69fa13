"""What messages about a file advise is followed here, and works."""

import shlex
import warnings
from pathlib import Path

import numpy as np
import pytest

from seqlight.cli.errors import CommandError
from seqlight.cli.forecast.arguments import parse
from seqlight.cli.forecast.plan import ForecastPlan, plan, read_store
from seqlight.cli.wording import in_words_of_options

DAYS = [str(np.datetime64("2024-01-01") + day) for day in range(56)]


def planned(path: Path, *options: str) -> ForecastPlan:
    with in_words_of_options():
        return plan(parse([str(path), *options, "-o", str(path.parent / "out.csv")]))


def values(path: Path, *options: str) -> np.ndarray:
    given = parse([str(path), *options, "-o", str(path.parent / "out.csv")])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return read_store(given).values[:, 0]


def refused(path: Path, *options: str) -> str:
    with pytest.raises(CommandError) as caught:
        planned(path, *options)
    return str(caught.value)


def write(path: Path, header: str, *columns: list[object], separator: str = ",") -> Path:
    rows = [separator.join(map(str, row)) for row in zip(*columns, strict=True)]
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


@pytest.mark.parametrize("separator", [";", "\t"])
def test_thousands_or_decimals(tmp_path: Path, separator: str) -> None:
    numbers = [950 + 20 * step for step in range(56)]
    cells = [f"{number:,}".replace(",", ".") for number in numbers]
    path = write(tmp_path / "in.csv", separator.join(["ds", "y"]), DAYS, cells, separator=separator)
    columns = ["--time", "ds", "--target", "y"]
    message = refused(path, *columns)
    assert "line 5, column 'y': '1.010' can be read as 1.01 or as 1010" in message
    for advice, expected in (("--decimal-point", 1.01), ("--thousands '.'", 1010.0)):
        assert f"{advice} for" in message
        read = values(path, *columns, *shlex.split(advice))
        assert read[0] == 950
        assert read[3] == np.float32(expected)
    # A decimal comma leaves one meaning for the point.
    assert values(path, *columns, "--decimal-comma").tolist() == numbers


def test_thousands_or_decimals_in_quotes(tmp_path: Path) -> None:
    path = write(tmp_path / "in.csv", "ds,y", DAYS, [f'"{12 + step % 9},000"' for step in range(56)])
    columns = ["--time", "ds", "--target", "y"]
    message = refused(path, *columns)
    for advice, expected in (("--decimal-comma", 12.0), ("--thousands ','", 12000.0)):
        assert f"{advice} for" in message
        assert values(path, *columns, *shlex.split(advice))[0] == expected


@pytest.mark.parametrize(
    ("cells", "separator", "expected"),
    [
        (["1,234.56", "7.5"], ";", [1234.56, 7.5]),
        (["1.234,56", "7,5"], ";", [1234.56, 7.5]),
        (["1 234,5", "7,25"], ";", [1234.5, 7.25]),
        (["1\u202f234,5", "7,25"], ";", [1234.5, 7.25]),
        (["1'234", "987"], ",", [1234, 987]),
        (["1\u2019234.5", "7"], ",", [1234.5, 7]),
        (['"1,234.5"', "7"], ",", [1234.5, 7]),
        (['"12,34,567"', '"1,234.5"'], ",", [1234567, 1234.5]),
        (["1.234.567", "950"], ";", [1234567, 950]),
        (["0.123", "0.456"], ";", [0.123, 0.456]),
        (["1.004", "0.5"], ";", [1.004, 0.5]),
        (["\u22123", "1e-3"], ",", [-3, 0.001]),
    ],
)
def test_clear_numbers_are_read(
    tmp_path: Path, cells: list[str], separator: str, expected: list[float]
) -> None:
    path = write(tmp_path / "in.csv", f"ds{separator}y", DAYS, cells * 28, separator=separator)
    read = values(path, "--time", "ds", "--target", "y")
    assert np.array_equal(read, np.float32(expected * 28))


def test_three_decimals_everywhere_in_a_file_with_commas_are_said(tmp_path: Path) -> None:
    path = write(tmp_path / "in.csv", "ds,y", DAYS, [f"{20 + step / 1000:.3f}" for step in range(56)])
    notes = planned(path, "--time", "ds", "--target", "y").notes
    assert any("'20.000' was read as 20, as every cell has three digits" in note for note in notes)
    assert any("pass --thousands '.' if it is 20000, --decimal-point if it is not" in note for note in notes)
    for advice in (["--decimal-point"], ["--thousands", "."]):
        assert not planned(path, "--time", "ds", "--target", "y", *advice).notes


def test_ids_and_times_of_day_that_are_not_named(tmp_path: Path) -> None:
    shops = ["a", "a", "b"] * len(DAYS)
    kinds = ["x", "y", "x"] * len(DAYS)
    times = [day for day in DAYS for _ in range(3)]
    path = write(tmp_path / "in.csv", "ds,shop,kind,y", times, shops, kinds, range(3 * len(DAYS)))
    columns = ["--time", "ds", "--target", "y"]
    message = refused(path, *columns, "--id", "shop")
    assert "column 'kind' tells such rows apart: name --id shop --id kind" in message
    assert "3 series" in planned(path, *columns, "--id", "shop", "--id", "kind").description
    assert "columns 'shop' and 'kind' tell such rows apart: name --id shop --id kind" in refused(
        path, *columns
    )

    hours = [f"{hour:02d}:00" for hour in range(24)]
    apart = write(
        tmp_path / "apart.csv",
        "day;hour;y",
        [day for day in DAYS[:10] for _ in hours],
        hours * 10,
        range(240),
        separator=";",
    )
    message = refused(apart, "--time", "day", "--target", "y")
    assert "column 'hour' holds the time of day: name both columns, --time day --time hour" in message
    assert "240 steps of 1h" in planned(apart, "--time", "day", "--time", "hour", "--target", "y").description


def test_sentinels_are_told_and_left_out(tmp_path: Path) -> None:
    numbers: list[object] = [round(3 + step % 7 / 10, 1) for step in range(56)]
    for step in (10, 20, 30):
        numbers[step] = "-9999.0"
    numbers[40] = "n/e"
    path = write(tmp_path / "in.csv", "ds,y", DAYS, numbers)
    columns = ["--time", "ds", "--target", "y"]
    message = refused(path, *columns)
    assert "line 42, column 'y': expected a number, got 'n/e'" in message
    assert "pass --missing-value n/e" in message
    notes = planned(path, *columns, "--missing-value", "n/e").notes
    assert any("column 'y': -9999 three times, far outside the rest (3 to 3.6)" in note for note in notes)
    both = [*columns, "--missing-value", "n/e", "--missing-value", "-9999"]
    assert not [note for note in planned(path, *both).notes if "outside" in note]
    assert np.flatnonzero(np.isnan(values(path, *both))).tolist() == [10, 20, 30, 40]


@pytest.mark.parametrize(
    "numbers",
    [[0, 0, 0, 40], [1, 2, 3, 2000], [-1, -1, 99, 3], [0.0, 0.1, 0.2, 0.3]],
)
def test_ordinary_extremes_are_no_sentinels(tmp_path: Path, numbers: list[float]) -> None:
    jitter = [number + step % 5 / 10 for step, number in enumerate(numbers * 14)]
    path = write(tmp_path / "in.csv", "ds,y", DAYS, jitter)
    assert not [n for n in planned(path, "--time", "ds", "--target", "y").notes if "outside" in n]


def test_lines_above_and_below_the_header(tmp_path: Path) -> None:
    rows = "\n".join(f"{day},{step}" for step, day in enumerate(DAYS))
    path = tmp_path / "in.csv"
    path.write_text(f"Report: sales, all shops, 2024\n\nds,y\n{rows}\n")
    columns = ["--time", "ds", "--target", "y"]
    found = planned(path, *columns)
    assert any("the header was found in line 3, lines above it were left out" in note for note in found.notes)
    assert not planned(path, *columns, "--skip-rows", "2").notes
    assert "line 2 was taken for the header" not in refused(path, *columns, "--skip-rows", "0")

    path.write_text(f"Price,Close\nTicker,ABC\nDate,\n{rows}\n")
    for time in ("Date", "Price"):
        read = values(path, "--time", time, "--target", "Close")
        assert read.tolist() == list(range(56))


def test_encodings_are_found(tmp_path: Path) -> None:
    text = "Zeit;Größe\n" + "\n".join(f"{day};{step},5" for step, day in enumerate(DAYS)) + "\n"
    path = tmp_path / "in.csv"
    columns = ["--time", "Zeit", "--target", "Größe"]
    for encoding, said in (("utf-8", 0), ("utf-8-sig", 0), ("utf-16", 0), ("utf-16-be", 0), ("cp1252", 1)):
        path.write_bytes(text.encode(encoding))
        notes = planned(path, *columns).notes
        assert len([note for note in notes if "Windows-1252" in note]) == said
        assert values(path, *columns).tolist() == [step + 0.5 for step in range(56)]
    assert not planned(path, *columns, "--encoding", "cp1252").notes
