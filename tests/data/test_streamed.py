"""A file that is read part by part gives what it gives as a whole."""

import contextlib
import datetime
import warnings

import numpy as np
import polars as pl
import pytest

from seqlight.data import DataError, SeriesFile
from seqlight.data.io.dialect import CSVDialect
from seqlight.data.store import cache, series_file, streamed, streamed_grid, streamed_rows

START = datetime.datetime(2024, 1, 1)


@pytest.fixture(autouse=True)
def small_parts(tmp_path, monkeypatch):
    """A folder of caches, and parts of 7 rows."""
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path / "cache"))
    monkeypatch.setattr(streamed, "LEAST_ROWS", 1)
    for part in (streamed, streamed_grid, streamed_rows):
        monkeypatch.setattr(part, "ROWS_AT_A_TIME", 7)


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
@pytest.mark.parametrize(("ids", "segments"), [("id", 1_000_000), (["id", "store"], 2)])
def test_it_is_what_reading_the_whole_gives(tmp_path, monkeypatch, kind, ids, segments):
    """Of files whose times are kept as segments, and of those whose times become files."""
    monkeypatch.setattr(streamed_rows, "MOST_SEGMENTS", segments)
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


def covariates_of(table):
    """Every kind of column beside the targets; a text of one row alone, and cells that are missing."""
    rows = pl.int_range(pl.len())
    return table.with_columns(
        p=(rows * 0.5).sqrt(),
        holiday=rows % 7 == 0,
        weather=pl.when(rows % 3 == 0)
        .then(None)
        .when(rows == 40)
        .then(pl.lit("snow"))
        .otherwise(pl.lit("sun")),
        promotion=pl.when(rows % 2 == 0).then(pl.lit("x")).otherwise(pl.lit("w")).cast(pl.Categorical),
        size=pl.col("id").replace_strict({"a": 1.5, "b": 2.5, "c": None}).fill_null(3.5),
        region=pl.when(rows % 5 == 0).then(None).otherwise(pl.col("id").replace({"c": "north"})),
    )


PARTS = {
    "past_covariate_cols": ["p", "weather"],
    "future_covariate_cols": ["promotion", "holiday"],
    "static_cols": ["size", "region"],
}


@pytest.mark.parametrize(("kind", "segments"), [("plain", 99), ("gaps", 99), ("mixed", 2)])
def test_covariates_are_those_of_reading_the_whole(tmp_path, monkeypatch, kind, segments):
    monkeypatch.setattr(streamed_rows, "MOST_SEGMENTS", segments)
    path = tmp_path / "a.parquet"
    covariates_of(frame(kind)).write_parquet(path)
    whole, said = read(path, kept=False, **PARTS)
    monkeypatch.setattr(SeriesFile, "_read", None)
    for _ in range(2):
        ours, ours_said = read(path, kept=True, **PARTS)
        assert_same(ours, whole)
        assert ours_said == said
        for name, part in vars(whole.store.covariates).items():
            own = getattr(ours.store.covariates, name)
            assert own.names == part.names and getattr(own, "labels", 0) == getattr(part, "labels", 0)
            np.testing.assert_array_equal(own.values, part.values)


@pytest.mark.parametrize(
    "change",
    [
        pl.lit("12").alias("weather"),  # numbers in text
        pl.lit("n/a").alias("weather"),
        pl.lit(" sun").alias("weather"),
        pl.lit("3 EUR").alias("weather"),
        pl.lit(1e30).alias("p"),
        (pl.int_range(pl.len()) % 2).cast(pl.Float64).alias("size"),  # changes within a series
    ],
)
def test_what_a_part_cannot_tell_is_read_as_a_whole(tmp_path, monkeypatch, change):
    path = tmp_path / "a.parquet"
    covariates_of(frame("plain")).with_columns(change).write_parquet(path)
    reads = []
    whole = SeriesFile._read
    monkeypatch.setattr(SeriesFile, "_read", lambda self: reads.append(1) or whole(self))
    with contextlib.suppress(DataError):  # of size and p, by their row
        read(path, kept=True, **PARTS)
    assert reads == [1]


@pytest.mark.parametrize("source", ["folder", "pattern", "list"])
def test_several_files_are_one(tmp_path, monkeypatch, source):
    """Each has the rows of some hours of all series; one of them changes, and all are read again."""
    table = frame("plain")
    (tmp_path / "parts").mkdir()
    for number, hours in enumerate(((0, 11), (11, 12), (12, 30))):
        within = pl.col("time").is_between(
            *(START + datetime.timedelta(hours=hour) for hour in hours), "left"
        )
        table.filter(within).write_parquet(tmp_path / "parts" / f"{number}.parquet")
    files = [tmp_path / "parts" / f"{number}.parquet" for number in range(3)]
    given = {"folder": tmp_path / "parts", "pattern": str(tmp_path / "parts" / "*.parquet"), "list": files}
    whole, said = read(given[source], kept=False)
    reads = []
    streamed_store = streamed.stream_store
    monkeypatch.setattr(SeriesFile, "_read", None)
    monkeypatch.setattr(
        series_file,
        "stream_store",
        lambda *args, **kwargs: reads.append(1) or streamed_store(*args, **kwargs),
    )
    for _ in range(2):
        ours, ours_said = read(given[source], kept=True)
        assert_same(ours, whole)
        assert ours_said == said and reads == [1]
    pl.read_parquet(files[1]).with_columns(y=pl.col("y") + 1).write_parquet(files[1])
    ours, _ = read(given[source], kept=True)
    assert reads == [1, 1] and (ours.store.values != whole.store.values).any()


def test_the_names_of_files_name_series(tmp_path, monkeypatch):
    for name, rows in frame("plain").group_by("id"):
        rows.drop("id").write_parquet(tmp_path / f"{name[0]}.parquet")
    dialect = CSVDialect(file_id="shop")
    arguments = {"id_col": None, "dialect": dialect}
    whole, _ = read(tmp_path / "*.parquet", kept=False, **arguments)
    monkeypatch.setattr(SeriesFile, "_read", None)
    ours, _ = read(tmp_path / "*.parquet", kept=True, **arguments)
    assert_same(ours, whole)
    assert ours.store.ids == ["a", "b", "c"]


@pytest.mark.parametrize("every", ["1h", "1d"])
def test_zones_are_told_as_by_reading_the_whole(tmp_path, monkeypatch, every):
    times = pl.datetime_range(START, START + datetime.timedelta(days=100), every, time_zone="UTC", eager=True)
    times = times.dt.convert_time_zone("Europe/Berlin") if every == "1h" else times
    path = tmp_path / "a.parquet"
    pl.DataFrame({"time": times, "y": np.arange(len(times)) % 9.0, "z": np.arange(len(times))}).write_parquet(
        path
    )
    whole, _ = read(path, kept=False, id_col=None)
    monkeypatch.setattr(SeriesFile, "_read", None)
    ours, _ = read(path, kept=True, id_col=None)
    assert_same(ours, whole)
    assert ours.store.time_text(0, 5) == whole.store.time_text(0, 5)


def test_other_steps_than_those_of_the_first_series(tmp_path, monkeypatch):
    """The step is told by the first series; that of another is finer or coarser, which is an error."""
    monkeypatch.setattr(streamed_grid, "SAMPLE_ROWS", 5)
    path = tmp_path / "a.parquet"
    hours = {"a": np.arange(0, 40, 2), "b": np.arange(30), "c": np.arange(0, 40, 4)}

    def write(*names):
        pl.concat(
            pl.DataFrame({"id": name, "time": hours[name], "y": 1.0 * hours[name], "z": hours[name]})
            for name in names
        ).with_columns(time=pl.lit(START) + pl.duration(hours=pl.col("time"))).write_parquet(path)

    for names in ("ab", "bc", "ac"):
        write(*names)
        with pytest.raises(DataError, match="has steps of"):
            read(path, kept=True)
    write("b", "c")
    whole, _ = read(path, kept=False, frequency="1h")
    monkeypatch.setattr(SeriesFile, "_read", None)
    ours, _ = read(path, kept=True, frequency="1h")
    assert_same(ours, whole)
