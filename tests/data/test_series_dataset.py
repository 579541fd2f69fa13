"""A data set is a store and a schema; DataModules take it, and checkpoints remember what its columns are."""

import datetime

import numpy as np
import polars as pl
import pytest
import torch

from seqlight.data import CSVDataModule, DataError, ForecastDataModule, Schema, SeriesDataset, SeriesStore
from seqlight.data.store.series_file import SeriesFile
from seqlight.inputs import check_schema

START = datetime.datetime(2024, 1, 1)
COLUMNS = {
    "time_col": "time",
    "target_cols": "y",
    "id_col": "id",
    "past_covariate_cols": ["p"],
    "future_covariate_cols": ["w"],
    "static_cols": ["k"],
}
SIZES = {"context_length": 6, "prediction_length": 2}


def frame(**changed):
    rows = 60
    columns = {
        "id": ["a"] * 30 + ["b"] * 30,
        "time": [START + datetime.timedelta(hours=hour % 30) for hour in range(rows)],
        "y": np.arange(rows, dtype=float),
        "p": np.random.default_rng(0).normal(size=rows),
        "w": ["sun", "rain", "snow"] * 20,
        "k": [1.5] * 30 + [2.5] * 30,
    }
    return pl.DataFrame(columns | changed)


def same(one, other):
    assert one.keys() == other.keys()
    return all(torch.equal(one[name].nan_to_num(-1), other[name].nan_to_num(-1)) for name in one)


def test_a_module_of_a_dataset_gives_the_batches_of_the_file():
    source = frame()
    dataset = SeriesFile(source, **COLUMNS).read()
    of_dataset = ForecastDataModule(dataset, **SIZES, origin="own")
    of_file = CSVDataModule(source, **COLUMNS, **SIZES, origin="own", calendar_features=["hour"])
    assert of_dataset.schema() | {"calendar_features": ["hour"], "time_zone": None} == of_file.schema()
    of_file = CSVDataModule(source, **COLUMNS, **SIZES, origin="own")
    for part in ("train", "val", "test"):
        ours, theirs = of_dataset.dataset(part), of_file.dataset(part)
        assert len(ours) == len(theirs)
        assert same(ours.__getitems__(range(len(ours))), theirs.__getitems__(range(len(ours))))


def test_the_schema_takes_from_the_store_what_was_left_open():
    schema = SeriesFile(frame(), **COLUMNS, units={"y": "MW"}).read().schema
    assert schema == Schema(
        targets=("y",),
        past=("p",),
        future=("w",),
        static=("k",),
        categories=("w",),
        time="time",
        id="id",
        step="1h",
        units={"y": "MW"},
    )
    store = SeriesStore.from_arrays([np.arange(40, dtype=np.float32)])
    dataset = SeriesDataset.from_store(store, "load")
    assert dataset.schema.step == "rows without times" and dataset.schema.targets == ("load",)
    assert dataset.frame(0).columns == ["step", "load"]
    data = ForecastDataModule(dataset, **SIZES)
    data.setup("fit")
    assert len(data.dataset("train")) > 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"targets": ("a", "b")}, "2 targets, but the store has 1 channels"),
        ({"targets": ("a",), "step": "1d"}, "step '1d', but the store has 'rows without times'"),
        ({"targets": ("a",), "past": ("p",)}, "past covariates p, but the store has none"),
        ({"targets": ()}, "targets: expected at least one column"),
        ({"targets": ("a",), "past": ("a",)}, "column 'a' has two parts to play"),
        ({"targets": ("a",), "units": {"b": "MW"}}, "units: there is no column 'b' among 'a'"),
    ],
)
def test_a_schema_that_the_store_contradicts(arguments, message):
    store = SeriesStore.from_arrays([np.arange(40, dtype=np.float32)])
    with pytest.raises(DataError, match=message):
        SeriesDataset(store, Schema(**arguments))


def test_gaps_are_refused_or_masked():
    store = SeriesStore.from_arrays([np.where(np.arange(40) == 3, np.nan, 1.0).astype(np.float32)])
    dataset = SeriesDataset.from_store(store, "load")
    with pytest.raises(DataError, match=r"column 'load': 1 missing cell .*the first at 3"):
        ForecastDataModule(dataset, **SIZES).setup("fit")
    ForecastDataModule(dataset, missing="mask", **SIZES).setup("fit")


@pytest.mark.parametrize(
    ("frame_changes", "arguments", "message"),
    [
        ({}, {"units": {"y": "kW"}}, "targets 'y' with unit 'MW'; in the data it is 'kW'"),
        ({}, {"units": {"p": "F"}}, "past_covariates 'p' with unit 'C'; in the data it is 'F'"),
        (
            {"p": ["x", "y", "z"] * 20},
            {"units": {}},
            "column 'p' as a past covariate of numbers; in the data it is a past covariate of text",
        ),
        (
            {},
            {"past_covariate_cols": [], "future_covariate_cols": ["w", "p"], "units": {}},
            "column 'p' as a past covariate of numbers; in the data it is a future covariate of numbers",
        ),
        (
            {"time": [START + datetime.timedelta(days=day % 30) for day in range(60)]},
            {},
            "frequency '1h', the data have '1d'",
        ),
        (
            {"time": [f"2024-01-{1 + hour // 24:02} {hour % 24:02}:00+02:00" for hour in [*range(30)] * 2]},
            {},
            "time_zone None, the data have 'UTC'",
        ),
    ],
)
def test_a_checkpoint_refuses_other_meanings(frame_changes, arguments, message):
    def schema(source, **changed):
        options = {"units": {"y": "MW", "p": "C"}, "calendar_features": ["hour"]} | COLUMNS | changed
        return CSVDataModule(source, **options, **SIZES).schema()

    trained = schema(frame())
    check_schema(trained, schema(frame()))
    with pytest.raises(ValueError, match=message):
        check_schema(trained, schema(frame(**frame_changes), **arguments))


def test_a_changed_future_changes_no_statistic_of_training():
    source = frame()
    late = pl.col("time") >= START + datetime.timedelta(hours=20)
    changed = source.with_columns(
        y=pl.when(late).then(pl.col("y") * 9 + 70).otherwise("y"),
        p=pl.when(late).then(pl.col("p") * 9 - 5).otherwise("p"),
        w=pl.when(late).then(pl.lit("hail")).otherwise("w"),
    )
    before, after = (
        CSVDataModule(one, **COLUMNS, **SIZES, val_size=4, test_size=6, season_length=3)
        for one in (source, changed)
    )
    assert before.split.train_stop.tolist() == [20, 20]
    np.testing.assert_array_equal(before.scale, after.scale)
    for kind, pair in before.covariate_statistics().items():
        assert all(map(torch.equal, pair, after.covariate_statistics()[kind]))
    assert before.covariates.vocabularies == after.covariates.vocabularies
    assert torch.equal(before.training_target()[0], after.training_target()[0])
    own = source.filter(~late)["p"].to_numpy()
    mean, std = before.covariate_statistics()["past_covariates"]
    np.testing.assert_allclose([mean[0], std[0]], [own.mean(), own.std()], rtol=1e-5)
