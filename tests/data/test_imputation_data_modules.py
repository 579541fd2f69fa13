"""Windows over whole series with cells held out, from CSV files, frames and generators."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from seqlight.data import (
    CSVImputationDataModule,
    DataError,
    GapWindows,
    SeriesStore,
    SyntheticImputationDataModule,
)


def windows(lengths, window_length, stride, **kwargs):
    arrays = [np.arange(n, dtype=np.float32) + 1000 * i for i, n in enumerate(lengths)]
    store = SeriesStore.from_arrays(arrays)
    ones = np.ones(len(store.values), np.float32)
    return store, GapWindows(store, window_length=window_length, stride=stride, time_gap=ones, **kwargs)


@pytest.mark.parametrize("lengths", [[5], [10], [11], [37, 3, 24]])
@pytest.mark.parametrize("stride", [1, 4, 10])
def test_windows_cover_every_row_and_share_the_held_out_cells(lengths, stride):
    all_rows = np.ones((sum(lengths), 1), bool)
    _, dataset = windows(lengths, 10, stride, hidden=all_rows, held_out=all_rows)
    batch = dataset.__getitems__(range(len(dataset)))
    told = batch["held_out_target"]
    told = told[~told.isnan()]
    expected = np.concatenate([np.arange(n) + 1000 * i for i, n in enumerate(lengths)])
    assert sorted(told.tolist()) == expected.tolist()  # each once
    assert batch["target"].isnan().all()
    assert not batch["observed"].any()


def test_a_window_is_the_series_at_its_place():
    store, dataset = windows([37, 3], 10, 4)
    for index in range(len(dataset)):
        window = dataset[index]
        series = store.series(int(window["series_index"]))[int(window["start"]) :][:10]
        np.testing.assert_array_equal(window["target"][: len(series)].numpy(), series)
        assert window["target"][len(series) :].isnan().all()
    assert dataset[-1]["start"] == 0
    with pytest.raises(IndexError):
        dataset[len(dataset)]


@pytest.fixture
def irregular(tmp_path: Path) -> Path:
    """Series a at 0, 1, 2, 5, 6, 10 hours and b at 0, 2, 4, 8; rows of both mixed, descending."""
    rows = [(hour, "a", 10 + hour) for hour in (0, 1, 2, 5, 6, 10)]
    rows += [(hour, "b", "" if hour == 2 else 100 + hour) for hour in (0, 2, 4, 8)]
    rows.sort(key=lambda row: -row[0])
    lines = [f"2024-01-01 {hour:02d}:00,{name},{value}" for hour, name, value in rows]
    path = tmp_path / "irregular.csv"
    path.write_text("\n".join(["t,id,y", *lines]) + "\n")
    return path


ARGUMENTS = {"time_col": "t", "target_cols": "y", "id_col": "id", "window_length": 4}


@pytest.mark.filterwarnings("ignore:.*rows are not in the order of time")
def test_time_gaps_are_in_typical_steps(irregular):
    data = CSVImputationDataModule(irregular, **ARGUMENTS, calendar_features=["hour"])
    gaps = {
        name: data.time_gap[slice(*data.store.indptr[i : i + 2])] for i, name in enumerate(data.series_ids)
    }
    assert gaps["a"].tolist() == [1, 1, 1, 3, 1, 4]
    assert gaps["b"].tolist() == [1, 1, 1, 2]
    (batch,) = data.predict_dataloader()
    assert batch["time_gap"].shape == batch["target"].shape[:2]
    angle = 2 * np.pi * np.array([0, 1, 2, 5, 6, 10]) / 24
    own = data.covariates[slice(*data.store.indptr[data.series_ids.index("a") :][:2])]
    np.testing.assert_allclose(own, np.stack([np.sin(angle), np.cos(angle)], 1), atol=1e-6)


@pytest.mark.filterwarnings("ignore:.*rows are not in the order of time")
def test_absent_rows_are_added_on_request(irregular):
    data = CSVImputationDataModule(irregular, **ARGUMENTS, insert_rows=True)
    lengths = dict(zip(data.series_ids, data.store.lengths.tolist(), strict=True))
    assert lengths == {"a": 11, "b": 9}
    values = np.full_like(data.store.values, 7)
    written = data.filled_csv(values, np.isnan(data.store.values)).decode()
    table = pl.read_csv(written.encode()).sort("id", "t")
    original = pl.read_csv(irregular).sort("id", "t")
    assert table["t"].to_list() == [
        f"2024-01-01 {hour:02d}:00" for last in (10, 8) for hour in range(last + 1)
    ]
    known = table.join(original.drop_nulls(), on=["t", "id"], how="semi")
    assert known["y"].to_list() == original.drop_nulls()["y"].to_list()
    assert not known["y_filled"].any()
    rest = table.join(original.drop_nulls(), on=["t", "id"], how="anti")
    assert (rest["y"] == 7).all()
    assert rest["y_filled"].all()
    assert len(rest) == 11 + 9 - 9


def test_a_regular_file_gets_no_row(irregular, tmp_path):
    path = tmp_path / "regular.csv"
    path.write_text("t,y\n2024-01-01,1\n2024-01-02,\n2024-01-03,4\n")
    data = CSVImputationDataModule(path, time_col="t", target_cols="y", insert_rows=True)
    written = data.filled_csv(data.store.values, np.zeros((3, 1), bool))
    assert written == b"t,y,y_filled\n2024-01-01,1,false\n2024-01-02,,false\n2024-01-03,4,false\n"


def test_no_part_but_prediction_shows_held_out_cells():
    data = SyntheticImputationDataModule(n_series=40, series_length=50, missing=0.3, window_length=32)
    values, hidden = data.store.values, data.hidden
    assert np.isnan(values).mean() == pytest.approx(0.3, abs=0.02)
    assert not (data.held_out("val") & data.held_out("test")).any()
    known = (~np.isnan(values)).sum()
    for part in ("val", "test"):
        assert data.held_out(part).sum() == pytest.approx(0.1 * known, rel=0.15)
    shown = np.where(hidden, np.nan, values)
    for part in ("train", "val", "test", "predict"):
        dataset = data.dataset(part)
        batch = dataset.__getitems__(range(len(dataset)))
        row = batch["series_index"] * 50 + batch["start"]
        expected = values if part == "predict" else shown
        np.testing.assert_array_equal(batch["target"][:, 0].numpy(), expected[row])
    told = [data.dataset(part).__getitems__(range(len(data.dataset(part)))) for part in ("val", "test")]
    for part, batch in zip(("val", "test"), told, strict=True):
        assert (~batch["held_out_target"].isnan()).sum() == data.held_out(part).sum()
    target, observed = data.training_target()
    assert torch.equal(observed, ~torch.from_numpy(shown).isnan())
    assert torch.equal(target.isnan(), ~observed)


def test_loaders_and_order_by_the_seed():
    def first_batches(seed):
        data = SyntheticImputationDataModule(n_series=20, series_length=20, seed=seed, batch_size=4)
        return [batch["series_index"].tolist() for batch in data.train_dataloader()]

    assert first_batches(1) == first_batches(1) != first_batches(2)
    data = SyntheticImputationDataModule(n_series=20, series_length=20, val_size=0.0, test_size=0.0)
    assert data.val_dataloader() == []
    with pytest.raises(DataError, match="test_size: no cell is held out"):
        data.test_dataloader()


def test_a_frame_is_filled_as_a_table():
    times = pl.Series("t", np.arange(4).astype("datetime64[D]").astype("datetime64[us]"))
    frame = pl.DataFrame({"t": times, "y": [1.0, None, 3.0, 4.0]})
    data = CSVImputationDataModule(frame, time_col="t", target_cols="y")
    assert "path" not in data.hparams
    filled = np.isnan(data.store.values)
    table = pl.read_csv(data.filled_csv(np.full((4, 1), 2, np.float32), filled))
    assert table.columns == ["t", "y", "y_filled"]
    assert table["y"].to_list() == [1, 2, 3, 4]
    assert table["y_filled"].to_list() == [False, True, False, False]
    synthetic = SyntheticImputationDataModule(n_series=2, series_length=10)
    nothing = np.zeros_like(synthetic.store.values, bool)
    assert len(pl.read_csv(synthetic.filled_csv(synthetic.store.values, nothing))) == 20


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"window_length": 0}, "window_length: expected a whole number of at least 1"),
        ({"stride": 5}, "stride: expected at most window_length = 4"),
        ({"val_size": 1.0}, "val_size: expected a share"),
        ({"val_size": 0.5, "test_size": 0.5}, "expected less than 1 together"),
        ({"seed": -1}, "seed: expected 0 or more"),
        ({"target_cols": []}, "target_cols: expected at least one"),
        ({"target_cols": "t"}, "column 't' is named twice"),
        ({"frequency": "often"}, "frequency: expected a count and a unit"),
        ({"calendar_features": ["moon"]}, "calendar_features"),
    ],
)
def test_wrong_arguments(arguments, message):
    with pytest.raises(DataError, match=message):
        CSVImputationDataModule("no.csv", **(ARGUMENTS | arguments))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"generator": "dice"}, "generator: expected one of"),
        ({"series_length": 1}, "series_length: expected a whole number of at least 2"),
        ({"missing": 1.0}, "missing: expected a share"),
    ],
)
def test_wrong_arguments_of_the_generator(arguments, message):
    with pytest.raises(DataError, match=message):
        SyntheticImputationDataModule(**arguments)
