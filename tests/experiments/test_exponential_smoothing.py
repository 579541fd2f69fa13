"""Exponential smoothing as a member of portfolios: which form, in which time, and where it cannot be had."""

from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest
import torch

import seqlight
from seqlight.data import CSVDataModule
from seqlight.evaluation import forecast_windows
from seqlight.experiments import portfolio
from seqlight.experiments.checkpoints import save_checkpoint
from seqlight.experiments.exponential_smoothing import exponential_smoothing, variants, windows_to_fit
from seqlight.models import EnsembleForecaster, StatsForecastForecaster

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")  # Lightning's advice


def data_of(values, **options):
    """Hours of one series or more; a season of a day unless it is said otherwise."""
    names = [f"s{number}" for number in range(len(values))]
    times = [datetime(2024, 1, 1) + timedelta(hours=hour) for hour in range(values.shape[1])]
    frame = pl.concat(
        pl.DataFrame({"id": name, "time": times, "y": series})
        for name, series in zip(names, values, strict=True)
    )
    sizes = {"context_length": 72, "prediction_length": 6, "val_size": 30, "test_size": 18}
    data = CSVDataModule(frame, time_col="time", target_cols="y", id_col="id", **(sizes | options))
    data.setup("fit")
    return data


def daily(noise, series=2, steps=240):
    """A level that wanders, and a day."""
    draw = np.random.default_rng(0)
    day = 10 * np.sin(2 * np.pi * np.arange(steps) / 24)
    return 100 + day + np.cumsum(noise * draw.normal(size=(series, steps)), 1)


@pytest.fixture
def library(statsforecast_stand_in):
    return statsforecast_stand_in


@pytest.fixture(scope="module")
def data():
    return data_of(daily(1.0))


def test_the_form_is_chosen_on_validation_windows_among_those_that_time_allows(data, library):
    fits = windows_to_fit(data)
    assert fits == 2 * (25 + 13) + 2
    notes = []
    made = exponential_smoothing(data, 2.0, notes)  # Slow takes 0.05 s for each of 78 windows
    assert made.name == "exponential smoothing (Theta)" and not notes
    assert made.predictor.hparams["model_arguments"] == {
        "season_length": 24,
        "decomposition_type": "additive",
    }
    assert library.fits < 3 * fits
    assert exponential_smoothing(data, 0.0, notes) is None
    assert notes[0].startswith("exponential smoothing: left out, its fits to 78 windows take about 0 s, of 0")


def test_without_a_season_in_the_context(data):
    assert [one.title for one in variants(data)] == ["ETS", "Theta", "seasonal"]
    assert [one.title for one in variants(data_of(daily(1.0), context_length=47))] == [
        "ETS",
        "Theta",
        "simple",
    ]
    assert [one.title for one in variants(data_of(daily(1.0), season_length=1))] == ["ETS", "Theta", "simple"]


def test_where_the_library_is_not_installed(data, library):
    library.take_away()
    found = portfolio(data, names=[], max_time=30)
    assert found.notes == [
        "exponential smoothing: left out, statsforecast is not installed: pip install "
        "'seqlight[statsforecast]'"
    ]
    assert not [one.name for one in found.members if "smoothing" in one.name]


def test_member_of_a_portfolio(library, tmp_path):
    """Each window of a part is fitted once, though the ensemble asks for it again."""
    days = daily(0.0) + 5 * np.random.default_rng(1).normal(size=(2, 240))
    data = data_of(days)
    found = portfolio(data, names=[], max_time=10)  # a fifth of it for smoothing
    names = [one.name for one in found.members]
    assert names[:4] == [
        "naive",
        "seasonal naive (24)",
        "exponential smoothing (Theta)",
        "linear (least squares)",
    ]
    assert found.weights["exponential smoothing (Theta)"] > 0
    before = library.fits
    both = {"ensemble": found.predictor, "member": found.members[2].predictor}
    forecast_windows(both, data, part="test")
    assert library.fits == before + 2 * 13
    save_checkpoint(found.predictor, data, tmp_path / "m.ckpt")
    loaded = seqlight.load(tmp_path / "m.ckpt")
    assert any(isinstance(one, StatsForecastForecaster) for one in loaded.members)
    (batch,) = data.predict_dataloader()
    torch.testing.assert_close(loaded.predict(batch).point, found.predictor.predict(batch).point)


def test_the_library_itself(data, tmp_path):
    pytest.importorskip("statsforecast.models", reason="statsforecast is not installed: not tested")
    noisy = data_of(daily(3.0))
    found = portfolio(noisy, names=[], max_time=60)
    (member,) = [one for one in found.members if one.name.startswith("exponential smoothing")]
    assert not found.notes
    errors = {row["model"]: row["mase"] for row in found.validation.rows}
    assert errors[member.name] < 0.9 * errors["seasonal naive (24)"]
    weekly = data_of(daily(1.0) - daily(0.0), season_length=1)
    plain = exponential_smoothing(weekly, 30.0, [])
    assert plain.predictor.hparams["model"] in (
        "AutoETS",
        "DynamicOptimizedTheta",
        "SimpleExponentialSmoothingOptimized",
    )
    joined = EnsembleForecaster.of([member.predictor, found.members[0].predictor])
    save_checkpoint(joined, noisy, tmp_path / "m.ckpt")
    (batch,) = noisy.predict_dataloader()
    again = seqlight.load(tmp_path / "m.ckpt").predict(batch).point
    torch.testing.assert_close(again, joined.predict(batch).point)
    assert again.isfinite().all()
