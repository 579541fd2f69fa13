"""A file that is read part by part gives what it gives as a whole."""

import datetime
import warnings

import numpy as np
import polars as pl
import pytest

from seqlight.data import DataError, SeriesFile
from seqlight.data.store import cache, streamed

START = datetime.datetime(2024, 1, 1)


@pytest.fixture(autouse=True)
def small_parts(tmp_path, monkeypatch):
    """A folder of caches, and parts of 7 rows."""
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path / "cache"))
    monkeypatch.setattr(streamed, "LEAST_ROWS", 1)
    monkeypatch.setattr(streamed, "_ROWS_AT_A_TIME", 7)


def frame(kind):
    random = np.random.default_rng(0)
    rows = [(name, hour) for name, length in (("c", 30), ("a", 25), ("b", 1)) for hour in range(length)]
    if kind == "gaps":
        rows = [row for row in rows if row not in (("c", 11), ("a", 2), ("a", 3))]
    table = pl.DataFrame(
        {
            "id": [name for name, _ in rows],
            "store": [1 + hour * 0 for _, hour in rows],
            "time": [START + datetime.timedelta(hours=hour) for _, hour in rows],
            "y": random.normal(size=len(rows)),
            "z": np.arange(len(rows)),
        }
    )
    if kind == "mixed":
        return table.sort("time", maintain_order=True)
    if kind == "backwards":
        return table.reverse()
    if kind == "missing":
        return table.with_columns(y=pl.when(pl.int_range(pl.len()) % 5 == 1).then(None).otherwise("y"))
    if kind == "code":
        return table.with_columns(
            y=pl.when(pl.int_range(pl.len()).is_in([3, 40])).then(-9999.0).otherwise("y")
        )
    return table


def read(path, *, kept, **arguments):
    """The data set, and what is said."""
    options = {"time_col": "time", "target_cols": ["y", "z"], "id_col": "id", "missing": "mask"} | arguments
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        dataset = SeriesFile(path, cache=kept, **options).read()
    said = [str(one.message) for one in caught if "order of time" not in str(one.message)]
    return dataset, said


def assert_same(ours, theirs):
    np.testing.assert_array_equal(ours.store.values, theirs.store.values)
    np.testing.assert_array_equal(ours.store.indptr, theirs.store.indptr)
    assert ours.store.ids == theirs.store.ids and ours.schema == theirs.schema
    grid, other = ours.store.grid, theirs.store.grid
    assert grid.frequency == other.frequency and grid.dates == other.dates
    np.testing.assert_array_equal(grid.origin, other.origin)
    np.testing.assert_array_equal(ours.store.ends, theirs.store.ends)
    stop = ours.store.ends * 2 // 3
    np.testing.assert_allclose(
        ours.store.statistics.mean(stop), theirs.store.statistics.mean(stop), rtol=1e-6
    )


@pytest.mark.parametrize("kind", ["plain", "mixed", "backwards", "gaps", "missing", "code", "wide"])
@pytest.mark.parametrize("ids", ["id", ["id", "store"]])
def test_it_is_what_reading_the_whole_gives(tmp_path, monkeypatch, kind, ids):
    path = tmp_path / "a.parquet"
    frame(kind).write_parquet(path)
    whole, said = read(path, kept=False, id_col=ids)
    monkeypatch.setattr(SeriesFile, "_read", None)  # not used
    ours, ours_said = read(path, kept=True, id_col=ids)
    assert isinstance(ours.store.values, np.memmap)
    assert_same(ours, whole)
    assert said == ours_said and (kind != "code" or "-9999 twice" in said[0])
    assert not list((tmp_path / "cache").rglob("stream-*"))
    again, again_said = read(path, kept=True, id_col=ids)
    assert_same(again, whole)
    assert again_said == said


def test_days_and_a_single_series(tmp_path, monkeypatch):
    path = tmp_path / "a.parquet"
    days = [START.date() + datetime.timedelta(days=day) for day in range(30)]
    frame("plain").filter(id="c").with_columns(time=pl.Series(days)).write_parquet(path)
    whole, _ = read(path, kept=False, id_col=None)
    monkeypatch.setattr(SeriesFile, "_read", None)
    ours, _ = read(path, kept=True, id_col=None)
    assert_same(ours, whole)
    assert ours.store.grid.frequency.name == "1d" and ours.store.grid.dates


@pytest.mark.parametrize(
    ("spoilt", "message"),
    [
        (lambda table: pl.concat([table, table[3:4]]), "row 56, column 'time': .*repeats row 3"),
        (lambda table: table.with_columns(y=pl.lit(np.inf)), "row 0, column 'y': infinity"),
        (
            lambda table: table.with_columns(
                id=pl.when(pl.int_range(pl.len()) == 9).then(None).otherwise("id")
            ),
            "row 9, column 'id': the series id is empty",
        ),
        (
            lambda table: table.with_columns(
                time=pl.when(pl.int_range(pl.len()) == 9)
                .then(pl.col("time") + pl.duration(minutes=7))
                .otherwise("time")
            ),
            "row 9, column 'time': .* is off the grid",
        ),
    ],
)
def test_what_is_wrong_is_said_by_its_row(tmp_path, spoilt, message):
    path = tmp_path / "a.parquet"
    spoilt(frame("plain")).write_parquet(path)
    with pytest.raises(DataError, match=message):
        read(path, kept=True)


def test_numbers_that_float32_loses_are_read_as_a_whole(tmp_path):
    path = tmp_path / "a.parquet"
    table = frame("plain")
    table.with_columns(y=1e9 + pl.col("y")).write_parquet(path)
    _, said = read(path, kept=True)
    assert any("varies by" in one for one in said)
