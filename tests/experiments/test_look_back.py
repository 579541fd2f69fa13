"""Members that see the last steps of a window alone, and the choice between them and the others."""

from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest
import torch

import seqlight
from seqlight.data import CSVDataModule
from seqlight.experiments.candidates import Candidate
from seqlight.experiments.checkpoints import save_checkpoint
from seqlight.experiments.look_back import over_whole_windows, shorter_look_back, with_look_back
from seqlight.experiments.members import networks, robust_candidate, simple_members
from seqlight.experiments.refitting import all_training
from seqlight.experiments.weighing import best_look_back
from seqlight.models import EnsembleForecaster


def data_of(values, **sizes):
    times = [datetime(2024, 1, 1) + timedelta(hours=number) for number in range(len(values))]
    data = CSVDataModule(
        pl.DataFrame({"time": times, "y": values}),
        time_col="time",
        target_cols="y",
        **{"context_length": 96, "prediction_length": 6, "val_size": 72, "test_size": 24} | sizes,
    )
    data.setup("fit")
    return data


def hours(count=500):
    draw = np.random.default_rng(0)
    return 5 + np.sin(2 * np.pi * np.arange(count) / 24) + 0.3 * draw.normal(size=count)


@pytest.fixture(scope="module")
def data():
    return data_of(hours())


def test_half_of_the_window_in_whole_seasons(data):
    assert shorter_look_back(data) == 48
    assert shorter_look_back(data_of(hours(), context_length=110)) == 48
    assert shorter_look_back(data_of(hours(), context_length=90)) is None  # less than two days


def test_the_parts_forecast_the_same_steps(data):
    cut = with_look_back(data, 48)
    assert cut.context_length == 48 and data.context_length == 96
    for part in ("val", "test"):
        assert len(cut.dataset(part)) == len(data.dataset(part))
        one, other = (some.dataset(part).__getitems__([3]) for some in (cut, data))
        torch.testing.assert_close(one["future_target"], other["future_target"])
        torch.testing.assert_close(one["past_target"], other["past_target"][:, -48:])
    assert len(cut.dataset("train")) == len(data.dataset("train")) + 48
    assert with_look_back(data, None) is data


def test_a_member_of_the_last_steps_takes_whole_windows(data, tmp_path):
    cut = with_look_back(data, 48)
    inner = robust_candidate(cut, 24)
    member = over_whole_windows(inner, data, 48)
    (batch,), (short,) = ([next(iter(some.test_dataloader()))] for some in (data, cut))
    expected = inner.predictor.predict(short).point
    torch.testing.assert_close(member.predictor.predict(batch).point, expected)
    save_checkpoint(member.predictor, data, tmp_path / "m.ckpt")
    torch.testing.assert_close(seqlight.load(tmp_path / "m.ckpt").predict(batch).point, expected)
    again = member.again(all_training(data), None)
    assert again.predictor.context_length == 96
    assert not torch.equal(again.predictor.predict(batch).point, expected)


def test_a_network_of_the_last_steps_is_given_its_covariates():
    """Alone, and as a member of an ensemble."""
    data = data_of(hours(), calendar_features=["hour"])
    cut = with_look_back(data, 48)
    network = next(one for one in networks(cut) if one.name == "segment_rnn").build().eval()
    member = over_whole_windows(Candidate("network", network), data, 48).predictor
    batch, short = (next(iter(some.test_dataloader())) for some in (data, cut))
    expected = network.predict(short).point
    torch.testing.assert_close(member.predict(batch).point, expected)
    joined = EnsembleForecaster.of([member, member], [0.5, 0.5])
    torch.testing.assert_close(joined.predict(batch).point, expected)
    inputs = joined.example_inputs(2)
    assert joined(**inputs).shape == (2, 6, 1)


def test_the_validation_part_chooses(data):
    """Where what is long ago has come to mean the opposite, the shorter look-back is better."""
    draw = np.random.default_rng(1)
    same, opposite = draw.normal(size=(2, 900))
    opposite[:] = same
    for step in range(60, 900):
        noise = 0.3 * draw.normal()
        same[step] = 0.95 * same[step - 60] + noise
        opposite[step] = (0.95 if step < 750 else -0.95) * opposite[step - 60] + noise
    for values, expected in ((same, None), (opposite, 48)):  # it changes in the validation and the test part
        some = data_of(values)
        assert best_look_back(list(simple_members(some, smoothing_seconds=0.0, notes=[])), some) == expected
