"""Rows without times are the steps of each series, in their order."""

import numpy as np
import polars as pl
import pytest

from seqlight.data import CSVDataModule, DataError

SIZES = {"context_length": 5, "prediction_length": 2, "time_col": None, "target_cols": "y"}


def test_a_column_of_numbers_is_one_series_of_steps():
    data = CSVDataModule(pl.DataFrame({"y": np.arange(40.0)}), **SIZES)
    data.setup("fit")
    assert data.series_ids == ["series"]
    assert data.season_length == 1
    assert data.timestamps(0, 40, 2).to_list() == [40, 41]
    assert data.format_timestamps(data.timestamps(0, 40, 2)) == ["40", "41"]
    batch = next(iter(data.predict_dataloader()))
    assert batch["start"].tolist() == [40]
    assert batch["past_target"].flatten().tolist() == [35, 36, 37, 38, 39]


def test_mixed_rows_keep_their_order_within_a_series():
    frame = pl.DataFrame({"id": ["a", "b"] * 20, "y": np.arange(40.0)})
    data = CSVDataModule(frame, id_col="id", **SIZES)
    assert data.store.series(0)[:, 0].tolist() == list(range(0, 40, 2))
    assert data.store.series(1)[:, 0].tolist() == list(range(1, 40, 2))


def test_missing_cells_and_what_needs_times():
    frame = pl.DataFrame({"y": [1.0, None, *map(float, range(30))]})
    with pytest.raises(DataError, match="the first at 1; fill them"):
        _ = CSVDataModule(frame, **SIZES).store
    with pytest.raises(DataError, match="frequency: expected none for rows without times, got '1h'"):
        _ = CSVDataModule(frame, frequency="1h", **SIZES).store
    with pytest.raises(DataError, match="calendar_features: expected none for rows without times"):
        CSVDataModule(frame, calendar_features=["hour"], **SIZES)
