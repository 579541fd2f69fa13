"""A DataModule of a path and nothing else: columns, layout and sizes are found, said, and kept."""

import pickle
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from seqlight.data import CSVDataModule, DataError
from seqlight.data.io import sources

DAYS = pl.date_range(pl.date(2024, 1, 1), pl.date(2024, 4, 9), eager=True)
FRAME = pl.DataFrame(
    {
        "ds": DAYS.extend(DAYS),
        "shop": ["a"] * 100 + ["b"] * 100,
        "sales": np.arange(200.0),
    }
)


@pytest.mark.parametrize("kind", ["csv", "parquet", "arrow", "polars", "pandas"])
def test_everything_is_found(kind: str, tmp_path: Path) -> None:
    source: object = FRAME if kind == "polars" else FRAME.to_pandas()
    if kind in ("csv", "parquet", "arrow"):
        source = tmp_path / f"in.{kind}"
        {"csv": FRAME.write_csv, "parquet": FRAME.write_parquet, "arrow": FRAME.write_ipc}[kind](source)
    with pytest.warns(UserWarning, match="found time_col='ds', target_cols='sales', id_col='shop'; "):
        data = CSVDataModule(source)
    assert (data.context_length, data.prediction_length) == (25, 7)
    assert data.series_ids == ["a", "b"] and data.time_col == "ds"
    kept = {name: data.hparams[name] for name in ("time_col", "target_cols", "id_col", "context_length")}
    assert kept == {"time_col": ["ds"], "target_cols": ["sales"], "id_col": ["shop"], "context_length": 25}
    data.setup("fit")
    assert next(iter(data.train_dataloader()))["past_target"].shape[1:] == (25, 1)


def test_rows_without_times(tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("y\n" + "".join(f"{n}\n" for n in range(60)))
    with pytest.warns(UserWarning, match="found time_col=None, target_cols='y'; pass"):
        data = CSVDataModule(tmp_path / "in.csv", prediction_length=3)
    assert data.prediction_length == 3 and data.timestamps(0, 60, 1).to_list() == [60]


def test_each_row_a_series(tmp_path: Path) -> None:
    rows = [
        "id," + ",".join(f"d{n}" for n in range(60)),
        *(f"{i}," + ",".join("1234567890" * 6) for i in "ab"),
    ]
    (tmp_path / "in.csv").write_text("\n".join(rows) + "\n")
    with pytest.warns(
        UserWarning, match="found layout='rows', time_col='step', target_cols='y', id_col='id'"
    ):
        data = CSVDataModule(tmp_path / "in.csv")
    assert data.series_ids == ["a", "b"] and data.hparams["layout"] == "rows"
    assert data.format_timestamps(data.timestamps(0, 60, 1)) == ["d60"]


def test_between_two_readings_it_asks() -> None:
    two = FRAME.filter(pl.col("shop") == "a").with_columns(visits=pl.col("sales") * 2)
    with pytest.raises(DataError, match=r"'sales', 'visits' hold numbers; if each .* pass layout='wide'"):
        CSVDataModule(two)
    with pytest.warns(UserWarning, match="found time_col='ds'; pass"):
        assert CSVDataModule(two, target_cols=["sales", "visits"]).target_size == 2
    with pytest.warns(UserWarning, match="found time_col='ds', target_cols='y', id_col='series_id'"):
        assert CSVDataModule(two.drop("shop"), layout="wide").series_ids == ["sales", "visits"]


def test_named_columns_read_nothing(tmp_path: Path) -> None:
    data = CSVDataModule(
        tmp_path / "none.csv", time_col="t", target_cols="y", context_length=3, prediction_length=2
    )
    assert data.target_size == 1


def test_the_file_is_opened_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For the columns and for the series; again where another file has taken its place in between."""
    path = tmp_path / "a.csv"
    rows = [f"2024-01-{day:02},{day % 7}" for day in range(1, 29)]
    path.write_text("\n".join(["day,y", *rows]) + "\n")
    opened = []
    open_binary = sources.open_binary
    monkeypatch.setattr(sources, "open_binary", lambda *args: opened.append(1) or open_binary(*args))
    with pytest.warns(UserWarning, match="time_col='day'"):
        data = CSVDataModule(path)
        assert opened == [1] and data.store.values[2] == 3
        data = CSVDataModule(path, context_length=4, prediction_length=2)
    assert opened == [1, 1]
    pickle.loads(pickle.dumps(data))  # as another process gets it
    path.unlink()
    path.write_text("\n".join(["day,y", *(f"{row}5" for row in rows)]) + "\n")
    assert data.store.values[2] == 35 and len(opened) == 3
