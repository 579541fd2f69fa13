"""Small files whose times are written or spaced as people write and space them, through the command."""

import csv
from datetime import datetime, timedelta

import pytest

from seqlight.cli import main

# file, columns, step, first and last forecast times
CASES = {
    "hour_digits": ("t", "y", "1h", ["2020011100", "2020011101"]),
    "hour_only": ("t", "y", "1h", ["2020-01-11 00", "2020-01-11 01"]),
    "epoch_float": ("Timestamp", "Close", "1min", ["1325436060.0", "1325436120.0"]),
    "last_business_day": ("ds", "y", "BME", ["2020-01-31", "2020-02-28", "2020-03-31"]),
    "quarters": ("ds", "y", "1q", ["2020Q1", "2020Q2", "2020Q3", "2020Q4"]),
    "excel_serial": ("ds", "y", "1d", ["44131", "44132"]),
    "sub_second": ("ds", "y", "100ms", ["2020-01-01T00:00:40.000", "2020-01-01T00:00:40.100"]),
    "hour_24": ("ds", "y", "1h", ["2020-01-17 17:00", "2020-01-17 18:00"]),
    "market_hours": (
        "ds",
        "y",
        "30min@Mon-Fri 09:30-16:00",
        [f"2023-03-23 {minute // 60:02d}:{minute % 60:02d}:00" for minute in range(570, 961, 30)],
    ),
}


def forecast(path, time, target, out, capsys, *more):
    options = ["--time", time, "--target", target, "--model", "naive", "--output", str(out), *more]
    try:
        code = main(["forecast", str(path), *options])
    except SystemExit as exit:
        code = exit.code
    captured = capsys.readouterr()
    times = []
    if code == 0:
        with out.open(newline="") as rows:
            times = [row[time] for row in csv.DictReader(rows)]
    return code, times, captured.out + captured.err


@pytest.mark.parametrize("name", CASES)
def test_case(name, case_file, tmp_path, capsys):
    time, target, step, first = CASES[name]
    code, times, said = forecast(case_file(f"{name}.csv"), time, target, tmp_path / "f.csv", capsys)
    assert code == 0, said
    assert f"steps of {step}, " in said.replace("\n", " ")
    assert times[: len(first)] == first
    assert len(set(times)) == len(times)


def test_twelve_last_business_days(case_file, tmp_path, capsys):
    path = case_file("last_business_day.csv")
    for options in ((), ("--calendar", "BME"), ("--frequency", "BME")):
        _, times, _ = forecast(path, "ds", "y", tmp_path / "f.csv", capsys, "--horizon", "12", *options)
        assert times == [
            *("2020-01-31", "2020-02-28", "2020-03-31", "2020-04-30", "2020-05-29", "2020-06-30"),
            *("2020-07-31", "2020-08-31", "2020-09-30", "2020-10-30", "2020-11-30", "2020-12-31"),
        ]


def test_hours_of_digits_by_their_pattern(case_file, tmp_path, capsys):
    path = case_file("hour_digits.csv")
    code, times, _ = forecast(path, "t", "y", tmp_path / "f.csv", capsys, "--time-format", "%Y%m%d%H")
    assert code == 0
    assert times[:2] == ["2020011100", "2020011101"]


def test_hours_of_digits_need_no_rows_inserted(case_file, tmp_path, capsys):
    lines = case_file("hour_digits.csv").read_text().splitlines()
    holed = tmp_path / "holed.csv"
    holed.write_text("\n".join([*lines[:50], *lines[53:]]) + "\n")
    filled = tmp_path / "filled.csv"
    options = ["--time", "t", "--insert-rows", "--model", "linear", "--output", str(filled)]
    assert main(["impute", str(holed), *options]) == 0
    assert [line.split(",")[0] for line in filled.read_text().splitlines()] == [
        line.split(",")[0] for line in lines
    ]


def test_intervals_are_hours_by_their_start(case_file, tmp_path, capsys):
    known = tmp_path / "known.csv"
    known.write_text(case_file("intervals.csv").read_text().replace("n/e", ""))
    code, times, said = forecast(known, "MTU", "price", tmp_path / "f.csv", capsys)
    assert code == 0, said
    assert "steps of 1h, " in said
    assert times[0] in ("17.01.2020 16:00 - 17.01.2020 17:00", "17.01.2020 15:00 - 17.01.2020 16:00")


def test_calendar_and_frequency_exclude_each_other(case_file, tmp_path, capsys):
    both = ("--frequency", "1h", "--calendar", "BME")
    code, _, said = forecast(case_file("quarters.csv"), "ds", "y", tmp_path / "f.csv", capsys, *both)
    assert code == 2
    assert "--calendar: not allowed with argument --frequency" in said


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("BXE", "--frequency: expected a count and a unit"),
        ("XQQQ", "--calendar: there is no exchange 'XQQQ'"),
    ],
)
def test_unknown_calendar_is_refused(name, words, case_file, tmp_path, capsys):
    path = case_file("quarters.csv")
    if name.startswith("X"):
        pytest.importorskip("exchange_calendars")
    code, _, said = forecast(path, "ds", "y", tmp_path / "f.csv", capsys, "--calendar", name)
    assert code == 2
    assert words in said


def hours_of_digits(count):
    return "t,y\n" + "".join(f"202001{1 + i // 24:02d}{i % 24:02d},{i % 7}\n" for i in range(count))


def test_two_readings_are_asked_about_and_both_options_work(tmp_path, capsys):
    path = tmp_path / "one_day.csv"
    path.write_text(hours_of_digits(24))
    code, _, said = forecast(path, "t", "y", tmp_path / "f.csv", capsys)
    assert code == 2
    assert "--time-format '%Y%m%d%H' (the first is 2020-01-01 00:00:00)" in said
    assert "--time-format 'epoch' (the first is 2034-01-04 17:55:00)" in said
    for pattern, first in (("%Y%m%d%H", "2020010200"), ("epoch", "2020010124")):
        code, times, _ = forecast(path, "t", "y", tmp_path / "f.csv", capsys, "--time-format", pattern)
        assert code == 0
        assert times[0] == first


def day_ends_at_24(time):
    start = time - timedelta(hours=1)
    return f"{start:%Y-%m-%d} 24:00" if time.hour == 0 else f"{time:%Y-%m-%d %H:%M}"


WRITTEN = {
    "24:00": day_ends_at_24,
    "intervals": lambda time: f"{time:%Y-%m-%d %H:%M} - {time + timedelta(hours=1):%Y-%m-%d %H:%M}",
    "hours alone": lambda time: f"{time:%Y-%m-%d %H}",
    "no leading zeros": lambda time: f"{time.day}/{time.month}/{time.year} {time.hour}:00",
    "milliseconds": lambda time: f"{time:%Y-%m-%dT%H:%M:%S}.000",
    "quarters": lambda time: f"{time.day + 1980}-Q{time.hour // 6 + 1}",
}


@pytest.mark.parametrize("kind", WRITTEN)
def test_rows_are_inserted_as_the_others_are_written(kind, tmp_path, capsys):
    hours = [
        datetime(2020, 1, 1, 1) + timedelta(hours=i) for i in range(0, 700, 6 if kind == "quarters" else 1)
    ]
    lines = [f"{WRITTEN[kind](hour)},{i % 24}" for i, hour in enumerate(hours)]
    path, filled = tmp_path / "rows.csv", tmp_path / "filled.csv"
    absent = {22, 23, 24, 60}
    path.write_text("\n".join(["t,y", *(line for i, line in enumerate(lines) if i not in absent)]) + "\n")
    options = ["--time", "t", "--target", "y", "--insert-rows", "--model", "linear", "--output", str(filled)]
    assert main(["impute", str(path), *options]) == 0, capsys.readouterr().err
    written = [line.split(",")[0] for line in filled.read_text().splitlines()[1:]]
    assert written == [line.split(",")[0] for line in lines]
