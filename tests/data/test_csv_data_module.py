"""Windows of CSV files and frames: what they hold, how they are split, and what is known when."""

import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from seqlight.data import CSVDataModule, DataError

PARTS = ("train", "val", "test")


def frame_of(lengths, channels=1, start="2024-01-01", step="1h"):
    """A long frame of one series per length, with values that tell series, row and channel apart."""
    frames = []
    for series, length in enumerate(lengths):
        times = pl.datetime_range(
            pl.lit(start).str.to_datetime() + pl.duration(days=series),
            pl.lit(start).str.to_datetime() + pl.duration(days=series) + pl.duration(hours=length - 1),
            step,
            eager=True,
        )
        columns = {f"y{c}": np.arange(length) + 1000.0 * series + 0.25 * c for c in range(channels)}
        frames.append(pl.DataFrame({"id": [f"s{series}"] * length, "time": times, **columns}))
    return pl.concat(frames)


def module_of(frame, **arguments):
    defaults = {
        "time_col": "time",
        "target_cols": [name for name in frame.columns if name.startswith("y")],
        "id_col": "id",
        "context_length": 5,
        "prediction_length": 3,
    }
    return CSVDataModule(frame, **{**defaults, **arguments})


def whole(dataset):
    return dataset.__getitems__(torch.arange(len(dataset)))


@given(
    lengths=st.lists(st.integers(2, 60), min_size=1, max_size=4),
    context=st.integers(1, 6),
    horizon=st.integers(1, 4),
    stride=st.integers(1, 5),
    val_size=st.one_of(st.just(0), st.integers(4, 6), st.floats(0, 0.5)),
    test_size=st.one_of(st.just(0), st.integers(4, 6), st.floats(0, 0.45)),
)
def test_parts_share_no_target_and_windows_equal_slices(
    lengths, context, horizon, stride, val_size, test_size
):
    needed = 1 + horizon
    for size in (val_size, test_size):
        needed += size if isinstance(size, int) else horizon * (size > 0)
    frame = frame_of(lengths, channels=2)
    module = module_of(
        frame,
        context_length=context,
        prediction_length=horizon,
        stride=stride,
        val_size=val_size,
        test_size=test_size,
    )
    if max(lengths) < needed:
        with pytest.raises(DataError, match=f"{needed} are needed"):
            module.setup("fit")
        return
    series = [module.series(i)[1] for i in range(len(lengths))]
    assert [len(values) for values in series] == lengths
    targets = {part: set() for part in PARTS}
    starts = {part: [[] for _ in lengths] for part in PARTS}
    for part in PARTS:
        dataset = module.dataset(part)
        batch = whole(dataset)
        for i in range(len(dataset)):
            index, start = int(batch["series_index"][i]), int(batch["start"][i])
            values = series[index]
            assert start >= 1
            before = np.full((max(context - start, 0), 2), np.nan)  # the series begins later
            past = np.concatenate([before, values[max(start - context, 0) : start]])
            assert np.array_equal(batch["past_target"][i], past, equal_nan=True)
            assert np.array_equal(batch["future_target"][i], values[start : start + horizon])
            targets[part] |= {(index, position) for position in range(start, start + horizon)}
            starts[part][index].append(start)
    assert not targets["train"] & targets["val"]
    assert not targets["train"] & targets["test"]
    assert not targets["val"] & targets["test"]
    for index, length in enumerate(lengths):
        steps = {part: stride if part == "train" else 1 for part in PARTS}
        assert bool(starts["train"][index]) == (length >= 1 + horizon)
        for part in PARTS:
            wanted = (
                length > horizon
                if part == "train"
                else (length >= needed and (val_size if part == "val" else test_size) > 0)
            )
            own = starts[part][index]
            assert bool(own) == wanted
            assert own == list(range(own[0], own[-1] + 1, steps[part])) if own else True
        # In time: everything trained on, inputs too, comes before any target of the later parts.
        trained = max((start + horizon for start in starts["train"][index]), default=0)
        later = [start for part in ("val", "test") for start in starts[part][index]]
        assert all(start >= trained for start in later)
        if test_size and length >= needed:
            assert starts["test"][index][-1] == length - horizon
        if val_size and test_size and length >= needed:
            assert max(starts["val"][index]) + horizon <= min(starts["test"][index])


def test_fractions_are_of_each_series_own_length():
    module = module_of(frame_of([100, 40]), val_size=0.2, test_size=0.3)
    assert module.split.train_stop.tolist() == [50, 20]
    assert module.split.val_stop.tolist() == [70, 28]
    values, observed = module.training_target()
    assert values[:, 0].tolist() == [*range(50), *range(1000, 1020)]
    assert observed.all()


def test_predict_windows_follow_the_last_rows():
    module = module_of(frame_of([30, 25]), calendar_features=["hour"], origin="own")
    batch = next(iter(module.predict_dataloader()))
    assert "future_target" not in batch
    assert batch["start"].tolist() == [30, 25]
    assert batch["past_target"][1, :, 0].tolist() == [1020, 1021, 1022, 1023, 1024]
    times = module.timestamps(1, 25, 3)
    assert module.format_timestamps(times)[0] == "2024-01-03 01:00:00"
    angle = 2 * np.pi * np.array([1, 2, 3]) / 24
    expected = np.stack([np.sin(angle), np.cos(angle)], 1)
    np.testing.assert_allclose(batch["future_covariates"][1], expected, atol=1e-6)


@given(indices=st.lists(st.integers(0, 67), min_size=1, max_size=20))
def test_covariates_belong_to_their_rows(indices):
    module = module_of(frame_of([40, 60]), calendar_features=["hour", "day_of_week"], val_size=0, test_size=0)
    dataset = module.dataset("train")
    batch = dataset.__getitems__(indices)
    covariates = torch.cat([batch["historic_future_covariates"], batch["future_covariates"]], dim=1)
    assert covariates.shape == (len(indices), 8, module.future_covariate_size)
    for i in range(len(indices)):
        start = int(batch["start"][i])
        times = module.timestamps(int(batch["series_index"][i]), start - 5, 8)
        hours = times.dt.hour().to_numpy()
        np.testing.assert_allclose(covariates[i, :, 0], np.sin(2 * np.pi * hours / 24), atol=1e-6)
        days = times.dt.weekday().to_numpy() - 1
        np.testing.assert_allclose(covariates[i, :, 3], np.cos(2 * np.pi * days / 7), atol=1e-6)


def test_missing_cells_are_masked():
    frame = frame_of([40], channels=2).with_row_index()
    frame = frame.filter(~pl.col("index").is_in([10, 11])).with_columns(
        y1=pl.when(pl.col("index") == 20).then(None).otherwise("y1")
    )
    module = module_of(frame, missing="mask", val_size=0, test_size=0)
    assert module.observed_indicator
    batch = whole(module.dataset("train"))
    start = batch["start"][:, None]
    for name, offset in (("past", -5), ("future", 0)):
        positions = start + torch.arange(offset, offset + (5 if name == "past" else 3))
        absent = torch.isin(positions, torch.tensor([10, 11]))
        expected = torch.stack([~absent, ~(absent | (positions == 20))], dim=2)
        assert torch.equal(batch[f"{name}_observed"], expected)
        assert torch.equal(torch.isnan(batch[f"{name}_target"]), ~expected)
    values, observed = module.training_target()
    assert observed.sum(0).tolist() == [38, 37]
    assert torch.equal(torch.isnan(values), ~observed)
    prediction = next(iter(module.predict_dataloader()))
    assert set(prediction) == {"past_target", "past_observed", "series_index", "start", "phase"}


def test_series_in_any_order_of_rows_are_the_same():
    frame = frame_of([30, 40, 25])
    expected = module_of(frame).store
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        by_time = module_of(frame.sort("time", maintain_order=True)).store  # mixed, but each in order
    with pytest.warns(UserWarning, match="not in the order of time"):
        shuffled = module_of(frame.sample(fraction=1, shuffle=True, seed=3)).store
    for store in (by_time, shuffled):
        order = [store.ids.index(name) for name in expected.ids]
        for index, own in enumerate(order):
            assert np.array_equal(store.series(own), expected.series(index))
            assert store.timestamps(own, 0, 3).equals(expected.timestamps(index, 0, 3))


def test_frames_of_pandas_and_polars_are_the_same(tmp_path):
    frame = frame_of([30, 40]).with_columns(y0=pl.when(pl.col("y0") == 7).then(None).otherwise("y0"))
    frame.write_csv(tmp_path / "series.csv")
    in_pandas = pd.DataFrame({name: frame[name].to_list() for name in frame.columns})
    sources = [
        frame.lazy(),
        tmp_path / "series.csv",
        in_pandas,
        in_pandas.set_index("time"),
        in_pandas.assign(time=in_pandas["time"].astype(str), id=in_pandas["id"].astype("category")),
        in_pandas.assign(y0=in_pandas["y0"].astype("Float64")),
    ]
    expected = module_of(frame, missing="mask").store
    for source in sources:
        arguments = {"time_col": "time", "target_cols": "y0", "id_col": "id", "missing": "mask"}
        module = CSVDataModule(source, **arguments, context_length=5, prediction_length=3)
        assert np.array_equal(module.store.values, expected.values, equal_nan=True)
        assert module.series_ids == ["s0", "s1"]
        assert module.timestamps(1, 40, 2).equals(expected.timestamps(1, 40, 2))


def test_pandas_periods():
    frame = pd.DataFrame({"time": pd.period_range("2020-01", periods=30, freq="M"), "y0": np.arange(30.0)})
    module = module_of(frame, id_col=None)
    assert module.season_length == 12
    assert module.format_timestamps(module.timestamps(0, 30, 1)) == ["2022-07-01 00:00:00"]


def test_bad_frames():
    frame = frame_of([30])
    with pytest.raises(DataError, match="frame: column 'y0': expected numbers, got dtype Date"):
        module_of(frame.with_columns(y0=pl.lit("2020-01-01").str.to_date())).setup("fit")
    with pytest.raises(DataError, match="frame: row 0, column 'y0': expected a number, got 'x'"):
        module_of(frame.with_columns(y0=pl.lit("x"))).setup("fit")
    with pytest.raises(
        DataError, match="time_col: column 'time': expected dates, times or text, got dtype Boolean"
    ):
        module_of(frame.with_columns(time=pl.lit(True))).setup("fit")
    with pytest.raises(
        DataError, match="frame: row 3, column 'time': expected a timestamp, got an empty cell"
    ):
        module_of(frame.with_columns(time=pl.when(pl.col("y0") == 3).then(None).otherwise("time"))).setup(
            "fit"
        )
    with pytest.raises(DataError, match="frame: has no rows"):
        module_of(frame.head(0)).setup("fit")
    with pytest.raises(DataError, match="frame: target_cols: there is no column 'y7'; did you mean 'y0'"):
        module_of(frame, target_cols=["y7"]).setup("fit")


def test_sizes_are_known_before_the_file_is_read(tmp_path):
    module = CSVDataModule(
        tmp_path / "not there yet.csv",
        time_col="time",
        target_cols=["a", "b"],
        context_length=24,
        prediction_length=6,
        missing="mask",
        calendar_features=["hour", "month"],
        season_length=12,
    )
    assert (module.target_size, module.context_length, module.prediction_length) == (2, 24, 6)
    assert (module.future_covariate_size, module.observed_indicator, module.season_length) == (4, True, 12)
    assert module.hparams["path"] == str(tmp_path / "not there yet.csv")
    torch.save(dict(module.hparams), tmp_path / "hparams.pt")
    assert torch.load(tmp_path / "hparams.pt", weights_only=True)["target_cols"] == ["a", "b"]
    assert "path" not in module_of(frame_of([30])).hparams


def test_short_series_are_left_out_on_request():
    frame = frame_of([30, 9, 40])
    assert module_of(frame).series_ids == ["s0", "s1", "s2"]
    module = module_of(frame, skip_short=True, calendar_features=["hour"])
    assert module.series_ids == ["s0", "s2"]
    assert module.series(1)[1][:2, 0].tolist() == [2000, 2001]
    assert (
        module.timestamps(1, 0, 1).to_list() == frame.filter(pl.col("id") == "s2")["time"].head(1).to_list()
    )
    assert len(next(iter(module.predict_dataloader()))["start"]) == 2


def test_history_is_the_end_of_a_series():
    module = module_of(frame_of([30, 20]))
    times, values = module.history(1, 4)
    assert values[:, 0].tolist() == [1016, 1017, 1018, 1019]
    assert times.to_list() == module.series(1)[0].to_list()[-4:]
    assert len(module.history(1, 100)[1]) == 20


def test_scale_uses_training_alone():
    frame = frame_of([40])
    wild_end = frame.with_row_index().with_columns(
        y0=pl.when(pl.col("index") >= 28).then(1e6 + pl.col("index")).otherwise(pl.col("y0") ** 2)
    )
    module = module_of(wild_end, season_length=4, test_size=8, val_size=4)
    squares = np.arange(28.0) ** 2
    batch = whole(module.dataset("test"))
    assert torch.allclose(batch["scale"], torch.tensor(np.abs(squares[4:] - squares[:-4]).mean()).float())


@pytest.mark.parametrize(
    ("name", "time_col", "target_col", "context", "horizon", "rows", "season", "follows"),
    [
        ("ETTh1.csv", "date", "OT", 168, 24, 17420, 24, "2018-06-26 20:00:00"),
        ("taxi_new_york.csv", "time", "#Passengers", 336, 48, 10320, 48, "2015-02-01 00:00:00"),
        ("air_passengers.csv", "Month", "#Passengers", 36, 12, 144, 12, "1961-01"),
    ],
)
def test_real_files(real_data, name, time_col, target_col, context, horizon, rows, season, follows):
    module = CSVDataModule(
        real_data(name),
        time_col=time_col,
        target_cols=target_col,
        context_length=context,
        prediction_length=horizon,
    )
    module.setup("fit")
    assert module.store.lengths.tolist() == [rows]
    assert module.season_length == season
    assert module.format_timestamps(module.timestamps(0, rows, 1)) == [follows]
    assert len(module.dataset("test")) == round(0.2 * rows) - horizon + 1
    assert np.isfinite(module.scale).all()


def test_absent_months_are_missing_cells(real_data):
    arguments = {
        "time_col": "Month",
        "target_cols": "Pounds per cow",
        "context_length": 24,
        "prediction_length": 12,
    }
    with pytest.raises(
        DataError, match=r"'Pounds per cow': 13 missing cells .*first at 1963-09.*missing=\"mask\""
    ):
        CSVDataModule(real_data("milk_incomplete.csv"), **arguments).setup("fit")
    module = CSVDataModule(real_data("milk_incomplete.csv"), **arguments, missing="mask")
    times, values = module.series(0)
    assert len(values) == 168
    assert int(np.isnan(values).sum()) == 13
    assert module.season_length == 12
    assert module.format_timestamps(times[[0, -1]]) == ["1962-01", "1975-12"]
