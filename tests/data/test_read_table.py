"""One table from any source: files, frames of several libraries, covariates and several ids."""

from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from seqlight.data import CSVDialect, DataError, read_table
from seqlight.data.io.table import joined_ids

FRAME = pl.DataFrame(
    {
        "day": [f"2024-01-{day:02d}" for day in range(1, 13)],
        "shop": ["a", "b"] * 6,
        "y": [float(number) for number in range(11)] + [None],
        "price": [1.5, None] * 6,
        "promo": ["none", "sale", "NA", ""] * 3,
    }
)
COLUMNS = {
    "time_cols": ["day"],
    "target_cols": ["y"],
    "id_cols": ["shop"],
    "covariate_cols": ["price", "promo"],
}


def sources(folder: Path) -> dict[str, object]:
    FRAME.write_csv(folder / "a.csv")
    FRAME.write_csv(folder / "a.tsv", separator="\t")
    FRAME.write_parquet(folder / "a.parquet")
    FRAME.write_ipc(folder / "a.arrow")
    return {
        "csv": folder / "a.csv",
        "tsv": folder / "a.tsv",
        "parquet": folder / "a.parquet",
        "arrow": folder / "a.arrow",
        "polars": FRAME,
        "lazy": FRAME.lazy(),
        "pandas": pd.DataFrame(FRAME.to_dict(as_series=False)),
        "pandas, with an index": pd.DataFrame(FRAME.to_dict(as_series=False)).set_index("day"),
    }


def test_every_source_gives_the_same_table(tmp_path: Path) -> None:
    for name, source in sources(tmp_path).items():
        table = read_table(source, **COLUMNS)
        assert table.time is not None and table.time.to_list() == FRAME["day"].to_list(), name
        assert np.array_equal(table.values[:, 0], [*range(11), np.nan], equal_nan=True), name
        assert table.ids is not None and table.ids.cast(pl.String).to_list() == ["a", "b"] * 6, name
        assert table.covariates.schema == {"price": pl.Float32, "promo": pl.String}, name
        assert table.covariates["price"].to_list() == [1.5, None] * 6, name
        assert table.covariates["promo"].to_list() == ["none", "sale", None, None] * 3, name


def test_a_frame_of_pyarrow_is_read() -> None:
    pytest.importorskip("pyarrow")
    assert np.array_equal(
        read_table(FRAME.to_arrow(), **COLUMNS).values, read_table(FRAME, **COLUMNS).values, equal_nan=True
    )


@pytest.mark.parametrize("name", ["index", ""])
def test_an_unnamed_index_of_pandas_is_a_column(name: str) -> None:
    frame = pd.DataFrame({"y": range(12)}, index=pd.date_range("2024-01-01", periods=12))
    table = read_table(frame, time_cols=[name], target_cols=["y"])
    assert table.time is not None and str(table.time[11]) == "2024-01-12 00:00:00"


def test_decimals_of_pandas_are_numbers_with_one_reading() -> None:
    values = [Decimal("50.000"), None, Decimal("1.250")]
    frame = pd.DataFrame({"ds": ["2020-01-01", "2020-01-02", "2020-01-03"], "y": values})
    table = read_table(frame, time_cols=["ds"], target_cols=["y"])
    np.testing.assert_array_equal(table.values, np.float32([[50], [np.nan], [1.25]]))


def test_text_in_a_frame_is_read_as_in_a_file() -> None:
    days = FRAME["day"]
    frame = pl.DataFrame({"day": days, "y": ["950", "1.010"] * 6})
    arguments = {"time_cols": ["day"], "target_cols": ["y"]}
    with pytest.raises(
        DataError, match=r"frame: row 1, column 'y': '1\.010' can be read as 1\.01 or as 1010"
    ):
        read_table(frame, **arguments)
    for dialect, expected in (
        (CSVDialect(thousands="."), 1010),
        (CSVDialect(decimal_comma=False), np.float32(1.01)),
    ):
        assert read_table(frame, dialect=dialect, **arguments).values[1, 0] == expected
    marked = frame.with_columns(y=pl.Series([3.0, -9999.0] * 6))
    dialect = CSVDialect(missing_values=["-9999"])
    assert (
        np.isnan(read_table(marked, dialect=dialect, **arguments).values[:, 0]).tolist() == [False, True] * 6
    )


def test_covariates_with_a_stray_word_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(
        "t,y,x\n" + "\n".join(f"2024-01-{d:02d},{d},{'<1' if d == 5 else d}" for d in range(1, 13))
    )
    arguments = {"time_cols": ["t"], "target_cols": ["y"], "covariate_cols": ["x"]}
    with pytest.raises(DataError, match=r"line 6, column 'x': expected a number, got '<1'"):
        read_table(path, **arguments)
    table = read_table(path, dialect=CSVDialect(missing_values=["<1"]), **arguments)
    assert table.covariates["x"][4] is None


def test_a_damaged_parquet_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    FRAME.write_parquet(path)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match=r"a\.parquet: is a Parquet file that cannot be read"):
        read_table(path, **COLUMNS)


CELLS = st.text(st.sampled_from("ab/\\ "), max_size=3)


@example([("a/", "b"), ("a", "/b")])
@example([("a\\", "b"), ("a", "b"), ("a\\/b", ""), ("a", "b/")])
@given(st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=20))
def test_joined_ids_are_as_different_as_their_cells(rows: list[tuple[str, str]]) -> None:
    keys = pl.DataFrame({"one": [row[0] for row in rows], "two": [row[1] for row in rows]})
    ids = joined_ids(keys).cast(pl.String).to_list()
    assert len(set(ids)) == len(set(rows))
    assert len(set(zip(ids, rows, strict=True))) == len(set(rows))
