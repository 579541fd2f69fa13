"""Imputers side by side on the same hidden cells."""

import warnings

import numpy as np
import polars as pl
import pytest
import torch
from lightning import Trainer

from seqlight.data import CSVImputationDataModule
from seqlight.data.windows.held_out import GapPattern
from seqlight.evaluation import compare_imputers, fill
from seqlight.models import LastValueImputer, LinearInterpolationImputer, RNNImputer


def frame_data(**kwargs):
    rng = np.random.default_rng(0)
    steps = np.arange(200)
    values = np.stack([100 + 20 * np.sin(steps / 4), 5 + rng.normal(0, 1, 200)], axis=1)
    values[20:30, 0] = np.nan
    time = np.datetime64("2024-01-01", "us") + steps * np.timedelta64(1, "h")
    frame = pl.DataFrame({"t": time, "a": values[:, 0], "b": values[:, 1]}, nan_to_null=True)
    return CSVImputationDataModule(frame, time_col="t", target_cols=["a", "b"], window_length=40, **kwargs)


def test_rows_are_per_column_and_in_its_units():
    data = frame_data()
    imputers = {"line": LinearInterpolationImputer(target_size=2), "last": LastValueImputer(target_size=2)}
    rows = compare_imputers(imputers, data)
    assert [(row["model"], row["column"]) for row in rows] == [
        ("line", "a"),
        ("last", "a"),
        ("line", "b"),
        ("last", "b"),
    ]
    held_out = data.held_out("test")[:, 1]
    series = np.where(data.hidden[:, 1], np.nan, data.store.values[:, 1])
    known = np.flatnonzero(~np.isnan(series))
    error = np.interp(np.flatnonzero(held_out), known, series[known]) - data.store.values[held_out, 1]
    row = rows[2]
    assert row["cells"] == held_out.sum()
    assert row["mae"] == pytest.approx(np.abs(error).mean(), rel=1e-4)
    assert row["rmse"] == pytest.approx(np.sqrt((error**2).mean()), rel=1e-4)
    assert row["mre"] == pytest.approx(
        np.abs(error).sum() / np.abs(data.store.values[held_out, 1]).sum(), rel=1e-4
    )


def test_filling_shows_all_that_is_known():
    data = frame_data()
    model = RNNImputer(target_size=2, window_length=40, hidden_size=4)
    filled = fill(model, data)
    known = ~np.isnan(data.store.values)
    assert np.array_equal(filled[known], data.store.values[known])
    assert np.isfinite(filled).all()
    hidden = fill(model, data, hide_held_out=True)
    assert not np.array_equal(hidden[data.hidden], data.store.values[data.hidden])
    assert model.training  # as it was


def test_nothing_to_compare():
    with pytest.raises(ValueError, match="imputers: expected at least one"):
        compare_imputers({}, frame_data())
    with pytest.raises(ValueError, match="expected cells held out for part 'val'"):
        compare_imputers(
            {"line": LinearInterpolationImputer(target_size=2)}, frame_data(val_size=0.0), part="val"
        )


@pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning")
def test_blocks_of_a_real_season_are_filled_better_than_by_a_line(real_data, monkeypatch, tmp_path):
    """Blocks of up to a day of taxi rides, after 60 steps of training."""
    warnings.filterwarnings("ignore", ".*does not have many workers")
    table = pl.read_csv(real_data("taxi_new_york.csv"), try_parse_dates=True).head(3000)
    data = CSVImputationDataModule(
        table,
        time_col="time",
        target_cols="#Passengers",
        window_length=192,
        calendar_features=["hour", "day_of_week"],
    )
    pattern = GapPattern(np.array([1, 12, 48]), 1.0)
    monkeypatch.setattr(CSVImputationDataModule, "pattern", property(lambda self: pattern))
    torch.manual_seed(0)
    model = RNNImputer(
        covariate_size=data.covariate_size, window_length=192, hidden_size=32, longest_gap=48, lr=1e-2
    )
    trainer = Trainer(
        max_steps=60,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        limit_val_batches=0,
        default_root_dir=tmp_path,
    )
    trainer.fit(model, data)
    trained, line = compare_imputers({"rnn": model, "line": LinearInterpolationImputer()}, data)
    assert trained["mae"] < 0.6 * line["mae"]
