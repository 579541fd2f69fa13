"""Small files as people have them: each is read right, or refused with advice that works."""

import shlex
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from seqlight.cli.errors import CommandError
from seqlight.cli.forecast.arguments import parse
from seqlight.cli.forecast.plan import plan, read_store
from seqlight.cli.time_column import found_columns
from seqlight.cli.wording import in_words_of_options
from seqlight.data import SeriesStore

CaseFile = Callable[[str], Path]
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


def store_of(path: Path, *options: str) -> SeriesStore:
    with in_words_of_options():
        return read_store(parse([str(path), *options]))


def refused(path: Path, *options: str) -> str:
    with pytest.raises(CommandError) as caught:
        store_of(path, *options)
    return str(caught.value)


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_thousands(case_file: CaseFile) -> None:
    path, columns = case_file("thousands_semicolon.csv"), ["--time", "ds", "--target", "y"]
    message = refused(path, *columns)
    assert "'1.010' can be read as 1.01 or as 1010" in message
    assert "--thousands '.' for 1010" in message
    assert store_of(path, *columns, "--thousands", ".").values[:4, 0].tolist() == [950, 970, 990, 1010]


def test_date_and_time(case_file: CaseFile) -> None:
    path, target = case_file("date_and_time.csv"), ["--target", "power"]
    assert "--time Date --time Time" in refused(path, "--time", "Date", *target)
    store = store_of(path, "--time", "Date", "--time", "Time", "--time-format", "%d/%m/%Y %H:%M:%S", *target)
    assert len(store.values) == 400
    assert store.grid is not None and store.grid.frequency.name == "1h"
    assert np.isnan(store.values).sum() == 5
    assert str(store.timestamps(0, 399, 1)[0]) == "2020-01-17 15:00:00"


def test_two_ids(case_file: CaseFile) -> None:
    path, columns = case_file("two_ids.csv"), ["--time", "date", "--target", "sales"]
    message = refused(path, *columns, "--id", "store")
    assert "'family'" in message and "--id store --id family" in message and "remove" not in message
    store = store_of(path, *columns, "--id", "store", "--id", "family")
    assert store.ids == ["1/A", "1/B", "2/A"]
    assert store.lengths.tolist() == [200, 200, 200]
    assert store.series(1)[:2, 0].tolist() == [20, 22]


def test_second_header(case_file: CaseFile) -> None:
    path = case_file("second_header.csv")
    for time in ("Price", "Date"):
        store = store_of(path, "--time", time, "--target", "Close")
        assert len(store.values) == 250
        assert store.values[:2, 0].tolist() == [np.float32(100.24), np.float32(100.42)]


def test_preamble(case_file: CaseFile) -> None:
    path, columns = case_file("preamble.csv"), ["--time", "Week", "--target", "term: (Worldwide)"]
    assert "line 11, column 'term: (Worldwide)': expected a number, got '<1'" in refused(path, *columns)
    for more in ([], ["--skip-rows", "2"]):
        store = store_of(path, *columns, "--missing-value", "<1", *more)
        assert np.flatnonzero(np.isnan(store.values)).tolist() == [7]


def test_sentinel(case_file: CaseFile) -> None:
    path = case_file("sentinel.csv")
    columns = ["--time", "Date Time", "--target", "wv", "--time-format", "%d.%m.%Y %H:%M:%S"]
    notes = plan(parse([str(path), *columns])).notes
    assert any("'wv': -9999 three times, far outside the rest" in note for note in notes)
    assert any("pass --missing-value -9999" in note for note in notes)
    assert (store_of(path, *columns).values == -9999).sum() == 3
    left_out = store_of(path, *columns, "--missing-value", "-9999").values
    assert np.flatnonzero(np.isnan(left_out)).tolist() == [500, 501, 900]


def test_intervals(case_file: CaseFile) -> None:
    path, columns = case_file("intervals.csv"), ["--time", "MTU", "--target", "price"]
    assert "pass --missing-value n/e" in refused(path, *columns)
    store = store_of(path, *columns, "--missing-value", "n/e")
    assert store.grid is not None and store.grid.frequency.name == "1h"
    assert np.isnan(store.values).sum() == 1


@pytest.mark.parametrize(
    ("name", "options", "found", "begins"),
    [
        ("hour_digits.csv", [], "--time t --target y", "2020011100"),
        ("hour_only.csv", [], "--time t --target y", "2020-01-11 00"),
        ("ended_series.csv", [], "--time ds --target y --id id", "2022-07-20; series 'c': no known value"),
        ("no_header_name.csv", [], "--time '' --target y", "2020-01-13 12:00:00"),
        ("appended_future.csv", ["--future-covariate", "promo"], "--time ds --target y", "2022-10-21"),
        (
            "thousands_semicolon.csv",
            ["--thousands", "."],
            "--time ds --target y --separator ';'",
            "2020-10-27",
        ),
        (
            "date_and_time.csv",
            [],
            "--time Date --time Time --target power --separator ';'",
            "17/01/2020 16:00:00",
        ),
        ("two_ids.csv", ["--target", "sales"], "--time date --id store --id family", "2020-07-19"),
        ("second_header.csv", ["--target", "Close"], "--time Price", "2020-09-07"),
        (
            "preamble.csv",
            ["--missing-value", "<1"],
            "--time Week --target 'term: (Worldwide)'",
            "2023-11-01",
        ),
        ("epoch_float.csv", [], "--time Timestamp --target Close", "1325436060.0"),
        ("last_business_day.csv", [], "--time ds --target y", "2020-01-31"),
        ("quarters.csv", [], "--time ds --target y", "2020Q1"),
        ("excel_serial.csv", [], "--time ds --target y", "44131"),
        (
            "sentinel.csv",
            ["--target", "wv", "--time-format", "%d.%m.%Y %H:%M:%S"],
            "--time 'Date Time'",
            "11.01.2020 10:00:00",
        ),
        ("market_hours.csv", [], "--time ds --target y", "2023-03-23 09:30:00"),
        ("solar.csv", [], "--time ds --target y", "2020-02-11 16:00:00"),
        ("rows_are_series.csv", [], "--layout rows --id id", "d_301"),
        ("no_time.csv", [], "--time none --target y", "800"),
        ("sub_second.csv", [], "--time ds --target y", "2020-01-01T00:00:40.000"),
        ("hour_24.csv", [], "--time ds --target y", "2020-01-17 17:00"),
        (
            "intervals.csv",
            ["--missing-value", "n/e"],
            "--time MTU --target price",
            "17.01.2020 15:00 - 17.01.2020 16:00",
        ),
    ],
)
def test_with_columns_found_and_with_what_was_found_given(
    name: str, options: list[str], found: str, begins: str, case_file: CaseFile
) -> None:
    path = case_file(name)
    for named in ([], shlex.split(found)):
        given, line = found_columns(parse([str(path), *options, *named]), "forecast")
        assert line == ("" if named else f"found in the file: {found}")
        assert plan(given).begins.startswith(f"the forecast begins at {begins}")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("mixed_steps.csv", "series 'w' has steps of 1w, others have 1d"),
        ("thousands_semicolon.csv", "'1.010' can be read as 1.01 or as 1010"),
        ("sentinel.csv", "which column is to be forecast? 'T', 'wv' hold numbers"),
        ("second_header.csv", "which column is to be forecast? 'Close', 'Volume' hold numbers"),
        ("two_ids.csv", "which column is to be forecast? 'store', 'sales' hold numbers"),
        ("intervals.csv", "expected a number, got 'n/e'"),
    ],
)
def test_what_is_asked_without_options(name: str, said: str, case_file: CaseFile) -> None:
    with pytest.raises(CommandError) as caught, in_words_of_options():
        plan(found_columns(parse([str(case_file(name))]), "forecast")[0])
    assert said in str(caught.value)


def test_real_weekly_series_in_rows(real_data: CaseFile) -> None:
    given, line = found_columns(parse([str(real_data("m4_weekly_train.csv"))]), "forecast")
    assert line == "found in the file: --layout rows --id V1"
    store = read_store(given)
    assert len(store) == 359 and store.ids[:2] == ["W1", "W2"]
    assert store.series(0)[0, 0] == np.float32(1089.2) and store.time_text(0, 0) == "V2"
    assert store.ends[0] == 2179 and store.time_text(0, 2179) == "V2181"
    given, line = found_columns(parse([str(real_data("m4_weekly_test.csv"))]), "forecast")
    assert line == "found in the file: --layout rows --id V1"
    assert read_store(given).series(2)[:2, 0].tolist() == [np.float32(9602.4), np.float32(9895.9)]
