"""The same series in a long file, as columns and as rows are the same store; times and steps come back."""

import warnings
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from seqlight.data import CSVDataModule, DataError, SeriesStore
from seqlight.data.io.dialect import CSVDialect
from seqlight.data.store.series_file import SeriesFile

FILES = settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
NAMES = st.text("abcxyz_ /ö", min_size=1, max_size=6).map(str.strip).filter(bool)
FORMATS = ["%Y-%m-%d", "%d.%m.%Y", "%m/%d/%y", "%Y%m%d"]
START = np.datetime64("2021-01-28")


@st.composite
def series_of_days(draw: st.DrawFn) -> dict[str, dict[int, float]]:
    """By name, values on some of 15 to 40 days; every series has its first and last ones."""
    days = draw(st.integers(15, 30))
    names = draw(st.lists(NAMES, min_size=2, max_size=5, unique_by=str.lower))
    values = st.floats(-9e5, 9e5, width=32).map(lambda value: round(value, 2))
    found = {}
    for name in names:
        begin = draw(st.integers(0, 5))
        gaps = draw(st.sets(st.integers(begin + 1, days - 2), max_size=4))
        found[name] = {day: draw(values) for day in range(begin, days) if day not in gaps}
    return found


def cells(series: dict[str, dict[int, float]], name: str, days: int) -> list[str]:
    return [str(series[name].get(day, "")) for day in range(days)]


def write(path: Path, lines: list[list[str]], separator: str = ",") -> Path:
    frame = pl.DataFrame(lines[1:], schema=[str(n) for n in range(len(lines[0]))], orient="row")
    head = pl.DataFrame([lines[0]], schema=frame.schema, orient="row")
    pl.concat([head, frame]).write_csv(path, include_header=False, separator=separator)
    return path


def read(path: object, layout: str, **options: object) -> SeriesStore:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # sentinels, large numbers
        source = SeriesFile(
            path,
            time_col=options.pop("time_col", None),
            target_cols="value",
            id_col=options.pop("id_col", None),
            missing="mask",
            dialect=CSVDialect(layout=layout, decimal_comma=False),
            **options,
        )
        return source.read().store


def contents(store: SeriesStore) -> dict[str, tuple[list[str], list[float]]]:
    return {
        name: (
            store.format(store.timestamps(index, 0, int(store.lengths[index]))).to_list(),
            store.series(index)[:, 0].tolist(),
        )
        for index, name in enumerate(store.ids)
    }


def same(one: SeriesStore, other: SeriesStore) -> None:
    left, right = contents(one), contents(other)
    assert left.keys() == right.keys()
    for name, (times, values) in left.items():
        assert times == right[name][0]
        np.testing.assert_array_equal(values, right[name][1])


@FILES
@given(series=series_of_days(), pattern=st.sampled_from(FORMATS), separator=st.sampled_from(",;\t"))
def test_times(tmp_path: Path, series: dict, pattern: str, separator: str) -> None:
    days = 1 + max(max(own) for own in series.values())
    times = pl.Series(START + np.arange(days)).dt.strftime(pattern).to_list()
    long = [[times[day], name, str(value)] for name, own in series.items() for day, value in own.items()]
    columns = {name: cells(series, name, days) for name in series}
    wide = [[time, *row] for time, row in zip(times, zip(*columns.values(), strict=True), strict=True)]
    rows = [[name, *own] for name, own in columns.items()]
    options = {"time_format": pattern} if pattern == "%m/%d/%y" else {}  # days up to 12 alone may swap
    expected = read(
        write(tmp_path / "long.csv", [["ds", "id", "value"], *long], separator),
        "long",
        time_col="ds",
        id_col="id",
        **options,
    )
    assert expected.ids == list(series)
    by_columns = write(tmp_path / "wide.csv", [["ds", *series], *wide], separator)
    by_rows = write(tmp_path / "rows.csv", [["id", *times], *rows], separator)
    same(read(by_columns, "wide", time_col="ds", **options), expected)
    same(read(by_rows, "rows", id_col="id", **options), expected)
    frame = pl.read_csv(by_columns, separator=separator, infer_schema=False)
    same(read(frame, "wide", time_col="ds", **options), expected)


@FILES
@given(
    series=series_of_days(),
    prefix=st.sampled_from(["", "V", "d_", "F "]),
    first=st.sampled_from([0, 1, 2, 95, 1995]),
)
def test_steps(tmp_path: Path, series: dict, prefix: str, first: int) -> None:
    days = 1 + max(max(own) for own in series.values())
    columns = {name: cells(series, name, days) for name in series}
    wide = [list(row) for row in zip(*columns.values(), strict=True)]
    rows = [[name, *own] for name, own in columns.items()]
    by_columns = read(write(tmp_path / "wide.csv", [list(series), *wide]), "wide")
    steps = [f"{prefix}{first + day}" for day in range(days)]
    if prefix == "" and first == 1995:
        steps = [f"{step}." for step in steps]  # plain, they are years
    by_rows = read(write(tmp_path / "rows.csv", [["id", *steps], *rows]), "rows", id_col="id")
    for name, index in zip(series, range(len(series)), strict=True):
        np.testing.assert_array_equal(by_rows.series(index), by_columns.series(index), err_msg=name)
        assert by_rows.time_text(index, 0) == steps[0]
        assert by_rows.time_text(index, days - 1) == steps[-1]
        assert by_columns.time_text(index, 3) == "3"


def lines(path: Path, *rows: str) -> Path:
    path.write_text("\n".join(rows) + "\n")
    return path


def test_zeros_in_front_and_steps_without_a_column(tmp_path: Path) -> None:
    path = lines(tmp_path / "in.csv", "id,s007,s010,s008", "a,1,4,2", "b,5,8,6")
    with pytest.warns(UserWarning, match="1 step has no column .the first is 's009'.: missing cells"):
        store = (
            SeriesFile(
                path,
                time_col=None,
                target_cols="y",
                id_col="id",
                missing="mask",
                dialect=CSVDialect(layout="rows"),
            )
            .read()
            .store
        )
    np.testing.assert_array_equal(store.series(1)[:, 0], [5, 6, np.nan, 8])
    assert store.time_text(0, 4) == "s011"


def test_years_are_times(tmp_path: Path) -> None:
    path = lines(tmp_path / "in.csv", "country,2001,2002,2003,2004", "a,1,2,3,4")
    store = read(path, "rows", id_col="country")
    assert store.grid is not None and store.grid.frequency.name == "1y"
    assert contents(store) == {"a": (["2001", "2002", "2003", "2004"], [1, 2, 3, 4])}


@pytest.mark.parametrize(
    ("layout", "options", "said"),
    [
        ("wide", {"time_col": "ds", "target_cols": ["a", "b"]}, "there is one target, whose name is yours"),
        ("wide", {"time_col": "ds", "target_cols": "a"}, "'a' is a column of .*choose another name"),
        ("wide", {"time_col": "ds", "target_cols": "y", "id_col": "a"}, "id_col is what to call them"),
        ("rows", {"time_col": "ds", "target_cols": "y"}, "time_col is what to call them"),
        ("rows", {"time_col": None, "target_cols": "y"}, "needs columns named by times, or numbered"),
        ("tall", {"time_col": None, "target_cols": "y"}, "layout: expected one of 'long', 'wide', 'rows'"),
    ],
)
def test_what_cannot_be(layout: str, options: dict, said: str, tmp_path: Path) -> None:
    path = lines(tmp_path / "in.csv", "ds,a,b", "2024-01-01,1,2", "2024-01-02,3,4")
    with pytest.raises(DataError, match=said):
        CSVDataModule(path, layout=layout, context_length=1, prediction_length=1, **options).setup("fit")


def test_two_rows_of_one_id(tmp_path: Path) -> None:
    path = lines(tmp_path / "in.csv", "id,shop,d1,d2,d3", "a,x,1,2,3", "a,y,4,5,6")
    with pytest.raises(DataError, match="line 3: the id 'a' is that of line 2 too; name more columns"):
        read(path, "rows", id_col="id")
    assert read(path, "rows", id_col=["id", "shop"]).ids == ["a/x", "a/y"]


def test_columns_beside_the_steps_are_said(tmp_path: Path) -> None:
    path = lines(tmp_path / "in.csv", "id,kind,Lat,1/22/20,1/23/20,1/24/20", "a,x,5.5,1,2,3", "b,y,6.5,4,5,6")
    source = SeriesFile(
        path,
        time_col=None,
        target_cols="y",
        id_col="id",
        static_cols="kind",
        dialect=CSVDialect(layout="rows"),
    )
    with pytest.warns(UserWarning, match="column 'Lat' was left out: no step by its name"):
        dataset = source.read()
    store = dataset.store
    assert store.covariates is not None and store.covariates.static_categories.values.tolist() == [[0], [1]]
    assert contents(store)["b"] == (["1/22/20", "1/23/20", "1/24/20"], [4, 5, 6])
    assert dataset.schema.time == "time"


def test_columns_known_ahead_are_those_of_all_series(tmp_path: Path) -> None:
    days = [f"2024-01-{day:02d},{day % 2},{day},{-day}" for day in range(1, 21)]
    ahead = ["2024-01-21,7,,", "2024-01-22,8,,"]
    path = lines(tmp_path / "in.csv", "ds,promo,a,b", *days, *ahead)
    data = CSVDataModule(
        path,
        layout="wide",
        time_col="ds",
        target_cols="y",
        future_covariate_cols="promo",
        context_length=3,
        prediction_length=2,
    )
    batch = next(iter(data.predict_dataloader()))
    assert data.series_ids == ["a", "b"] and data.id_col == "series_id"
    assert batch["past_target"][:, -1, 0].tolist() == [20, -20]
    assert batch["future_covariates"][:, :, 0].tolist() == [[7, 8], [7, 8]]


def test_bad_cells_are_named_by_line_and_column(tmp_path: Path) -> None:
    path = lines(tmp_path / "in.csv", "id,d1,d2,d3", "a,1,2,3", "b,4,x,6")
    with pytest.raises(DataError, match="line 3, column 'd2': expected a number, got 'x'"):
        read(path, "rows", id_col="id")


def test_a_code_for_missing_is_looked_for_in_each_row(tmp_path: Path) -> None:
    path = lines(
        tmp_path / "in.csv",
        "id," + ",".join(f"d{n}" for n in range(30)),
        "a," + ",".join(str(5000 + n) for n in range(30)),
        "b," + ",".join("-999" if n == 7 else str(n % 5) for n in range(30)),
    )
    with pytest.warns(UserWarning, match="line 3, series 'b': -999 once, far outside the rest"):
        SeriesFile(
            path, time_col=None, target_cols="y", id_col="id", dialect=CSVDialect(layout="rows")
        ).read()


def test_the_cache_keeps_how_steps_are_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEQLIGHT_CACHE", str(tmp_path / "cache"))
    path = lines(tmp_path / "in.csv", "id,d_05,d_06,d_07", "a,1,2,3", "b,4,5,6")
    for _ in range(2):
        source = SeriesFile(
            path, time_col=None, target_cols="y", id_col="id", dialect=CSVDialect(layout="rows"), cache=True
        )
        assert source.cache_folder() is not None
        assert source.read().store.time_text(1, 3) == "d_08"
