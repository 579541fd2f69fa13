"""Small files as people have them: each is read right, or refused with advice that works."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from seqlight.cli.errors import CommandError
from seqlight.cli.forecast.arguments import parse
from seqlight.cli.forecast.plan import plan, read_store
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
