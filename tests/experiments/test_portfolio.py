"""Portfolios of forecasters: members, weights, time, interrupts, data as they are."""

import os
import signal
import sys
from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest
import torch

import seqlight
from seqlight.data import CSVDataModule
from seqlight.evaluation import forecast_windows
from seqlight.experiments import portfolio, select, simple_forecasts, time_shares
from seqlight.experiments.checkpoints import save_checkpoint
from seqlight.experiments.members import loss_of, robust_linear, segment_length, transform_of
from seqlight.experiments.seasons import learnable_cycles, seasons
from seqlight.experiments.time_shares import schedule
from seqlight.models import EnsembleForecaster, SegmentRNNForecaster

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")  # Lightning's advice on short trainings

STEPS = 24 * 12
WITHOUT_SMOOTHING = (
    "exponential smoothing: left out, statsforecast is not installed: pip install 'seqlight[statsforecast]'"
)
EPOCHS_OF_SO_FEW_WINDOWS = 23  # 600 steps of 26 batches


def frame(columns, step=timedelta(hours=1)):
    """Series of one length, each by its name."""
    times = [datetime(2024, 1, 1) + number * step for number in range(len(next(iter(columns.values()))))]
    return pl.concat(
        pl.DataFrame({"id": name, "time": times, "y": np.asarray(values, float)})
        for name, values in columns.items()
    )


def data_of(columns, **options):
    sizes = {"context_length": 24, "prediction_length": 6, "val_size": 72, "test_size": 24, "batch_size": 32}
    step = options.pop("step", timedelta(hours=1))
    data = CSVDataModule(
        frame(columns, step), time_col="time", target_cols="y", id_col="id", **sizes | options
    )
    data.setup("fit")
    return data


def everyday(steps=STEPS):
    """Series over ten orders of magnitude, one with a jump, counts with many zeros, and a constant one."""
    draw = np.random.default_rng(0)
    hour = np.arange(steps) % 24
    day = np.sin(2 * np.pi * hour / 24)
    return {
        "huge": 1e7 * (5 + day + 0.1 * draw.normal(size=steps)),
        "tiny": 1e-3 * (5 + day + 0.1 * draw.normal(size=steps)),
        "jump": 10 + day + 20.0 * (np.arange(steps) > steps - 110) + 0.1 * draw.normal(size=steps),
        "counts": draw.poisson(0.5 * (hour > 8)),
        "constant": np.full(steps, 3.0),
    }


@pytest.fixture(scope="module", autouse=True)
def no_statsforecast():
    """The same members wherever the tests run; with the library: test_exponential_smoothing.py."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "statsforecast", None)
        yield


@pytest.fixture(scope="module")
def data():
    return data_of(everyday())


@pytest.fixture(scope="module")
def made(data):
    seen = []
    found = portfolio(
        data,
        epochs=1,
        names=["segment_rnn", "es_rnn"],
        nonnegative=True,
        on_member=lambda one: seen.append(one.name),
    )
    return found, seen


def mase(predictor, data, part="val"):
    return forecast_windows({"it": predictor}, data, part=part).rows[0]["mase"]


def test_members_come_the_simplest_first(made):
    found, seen = made
    assert seen == [
        "naive",
        "seasonal naive (24)",
        "linear (least squares)",
        "linear (robust)",
        "cycle (24) + linear",
        "segment RNN",
        "ES-RNN",
    ]
    assert [one.name for one in found.members] == seen
    assert [one.name for one in found.candidates][-1] == "naive"
    assert found.table["model"].to_list() == [*seen, "ensemble"]
    assert found.table.columns == ["model", "weight", "mase", "seconds"]


def test_never_worse_than_the_best_member_where_it_was_weighed(made, data):
    """And the errors that it tells are those of the table."""
    found, _ = made
    assert isinstance(found.predictor, EnsembleForecaster)
    assert found.errors["ensemble"] < min(found.errors[one.name] for one in found.members)
    assert sum(found.weights.values()) == pytest.approx(1)
    for one in (found.members[0], found.members[3], found.ensemble):
        assert found.errors[one.name] == pytest.approx(mase(one.predictor, data), rel=1e-4)
    for row in found.series_weights.values():
        assert sum(row) == pytest.approx(1)
    assert found.series_weights.keys() <= set(data.series_ids)
    assert len(found.series_weights) > 1  # twelve horizons in the validation part are enough


def test_it_learns_from_data_as_they_are(made, data):
    """No series is given up for another, and nothing is forecast that cannot be."""
    found, _ = made
    rows = forecast_windows(
        {"ensemble": found.predictor, "naive": found.members[0].predictor}, data, part="test"
    ).by_series
    errors = dict(zip(zip(rows["model"], rows["series_index"], strict=True), rows["mae"], strict=True))
    for index, name in enumerate(data.series_ids):
        ours, naive = errors["ensemble", index], errors["naive", index]
        most = {"huge": 0.5, "tiny": 0.5, "jump": 0.7}.get(name, 1.05)
        assert ours < most * naive + 1e-6, name
    chosen = select(found.candidates, data)
    assert chosen.chosen == "ensemble"
    assert (chosen.forecast.point >= 0).all()


def test_the_test_part_is_forecast_once(made, data, monkeypatch):
    """The ensemble is joined of what its members have forecast there."""
    found, _ = made
    ensemble = found.ensemble.predictor
    expected = forecast_windows({"ensemble": ensemble}, data, part="test").forecasts["ensemble"].point
    asked = []
    forecast = type(ensemble).forecast

    def counted(self, given, levels=(), samples=0):
        asked.append(self is ensemble)
        return forecast(self, given, levels, samples)

    monkeypatch.setattr(type(ensemble), "forecast", counted)
    selection = select(found.candidates, data, name="ensemble", validation=found.validation)
    assert torch.equal(selection.test.forecasts["ensemble"].point, expected)
    assert sum(asked) == len(list(data.predict_dataloader()))  # of what comes after the data alone


def test_checkpoint_forecasts_the_same(made, data, tmp_path):
    found, _ = made
    save_checkpoint(found.predictor, data, tmp_path / "m.ckpt")
    loaded = seqlight.load(tmp_path / "m.ckpt")
    (batch,) = data.predict_dataloader()
    torch.testing.assert_close(loaded.predict(batch).point, found.predictor.predict(batch).point)


def test_a_simple_one_wins_alone():
    """Where the last day comes again exactly, and nothing is gained by a mean."""
    draw = np.random.default_rng(0)
    found = portfolio(data_of({"a": np.tile(draw.normal(size=24), 12)}), names=[], epochs=1)
    assert found.ensemble is None
    assert found.best.name == "seasonal naive (24)" and found.weights[found.best.name] == 1
    assert found.predictor is found.best.predictor


def test_no_time_leaves_networks_out(data):
    found = portfolio(data, max_time=0.0)
    assert [one.name for one in found.members][-1] == "cycle (24) + linear"
    assert found.notes == [
        WITHOUT_SMOOTHING,
        "left out for lack of time (max_time): segment RNN, linear + segment RNN, ES-RNN, peephole LSTM, TCN",
    ]
    assert found.predictor.predict(next(iter(data.predict_dataloader()))).point.isfinite().all()


def test_little_time_makes_a_training_shorter(data, monkeypatch):
    """Fewer epochs from the beginning, not the same ones cut off; on a machine of one speed."""
    measured = time_shares.seconds_per_step
    monkeypatch.setattr(time_shares, "seconds_per_step", lambda *given: measured(*given) and 0.01)
    model = SegmentRNNForecaster(context_length=24, prediction_length=6, observed_indicator=False)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    usual = schedule(model, data, 1e6)
    assert usual.whole and usual.epochs == EPOCHS_OF_SO_FEW_WINDOWS
    shorter = schedule(model, data, usual.seconds / 4)
    assert shorter is not None and not shorter.whole and shorter.epochs < usual.epochs
    assert schedule(model, data, 1e-3) is None
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize(
    ("epoch", "ending"), [(0, signal.SIGINT), (1, signal.SIGTERM)], ids=["in the first epoch", "later"]
)
def test_an_interrupt_leaves_what_there_is(data, monkeypatch, epoch, ending):
    """A real signal, in the middle of a training: what came before and the best epoch so far are used."""
    ordinary = SegmentRNNForecaster.training_step

    def interrupted(self, batch, batch_idx):
        if self.current_epoch == epoch and batch_idx == 1:
            os.kill(os.getpid(), ending)
        return ordinary(self, batch, batch_idx)

    monkeypatch.setattr(SegmentRNNForecaster, "training_step", interrupted)
    handlers = [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)]
    found = portfolio(data, epochs=3, names=["segment_rnn", "lstm"])
    assert [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)] == handlers
    names = [one.name for one in found.members]
    assert ("segment RNN" in names) == (epoch == 1)
    assert found.notes == [
        WITHOUT_SMOOTHING,
        "segment RNN: interrupted, its best epoch so far is used"
        if epoch
        else "segment RNN: left out, interrupted before its first epoch",
        "peephole LSTM: not trained, after an interrupt",
    ]
    assert found.predictor.predict(next(iter(data.predict_dataloader()))).point.isfinite().all()


def test_an_exit_that_is_no_interrupt_goes_on(data):
    def leave(_):
        raise SystemExit(3)

    with pytest.raises(SystemExit) as caught:
        portfolio(data, names=[], on_member=leave)
    assert caught.value.code == 3


def test_seasons_of_steps():
    half_hours = data_of({"a": np.arange(48 * 12.0)}, step=timedelta(minutes=30))
    assert seasons(half_hours) == [48, 336] and learnable_cycles(half_hours) == [48]
    days = data_of({"a": np.arange(288.0)}, step=timedelta(days=1))
    assert seasons(days) == [7, 365] and learnable_cycles(days) == [7]
    assert seasons(data_of({"a": np.arange(288.0)}, step=timedelta(minutes=7))) == [1440]
    assert segment_length(half_hours) == 6 and segment_length(days) == 6


def test_one_scale_or_each_its_own(data):
    assert transform_of(data) == "instance + last"
    columns = everyday()
    assert (
        transform_of(data_of({name: columns[name] for name in ("counts", "constant")})) == "standard + last"
    )


def test_errors(data):
    with pytest.raises(ValueError, match=r"^max_time: expected seconds, at least 0, got nan"):
        portfolio(data, max_time=float("nan"))
    with pytest.raises(ValueError, match=r"^names: expected some of 'segment_rnn', .* got 'rnn'"):
        portfolio(data, names=["rnn"])
    with pytest.raises(ValueError, match=r"^data: there is no validation part"):
        portfolio(data_of(everyday(), val_size=0))


def test_least_squares_of_some_of_very_many_windows(data, monkeypatch):
    """At even distances over all series, and nearly as good."""
    every = simple_forecasts.least_squares(data)
    monkeypatch.setattr(simple_forecasts, "MOST_ROWS", 300)
    monkeypatch.setattr(simple_forecasts, "ROWS_PER_INPUT", 0)
    batches = list(simple_forecasts.windows_to_solve(data, every))
    assert sum(len(batch["start"]) for batch in batches) == 300
    assert set(torch.cat([batch["series_index"] for batch in batches]).tolist()) == set(range(5))
    some = simple_forecasts.least_squares(data)
    assert mase(some, data) < 1.5 * mase(every, data)


def test_least_absolute_errors_take_series_as_they_are(data):
    """A series that repeats itself but for a millionth of noise, and one with outliers, spoil no other."""
    draw = np.random.default_rng(1)
    day = np.sin(2 * np.pi * np.arange(STEPS) / 24)
    columns = {f"s{scale}": 10.0**scale * (5 + day + 0.2 * draw.normal(size=STEPS)) for scale in (-4, 0, 6)}
    columns["exact"] = 100 + 10 * day + 1e-4 * draw.normal(size=STEPS)
    columns["spikes"] = 5 + day + 100.0 * (draw.random(STEPS) < 0.02)
    wild = data_of(columns)
    squares, absolute = simple_forecasts.least_squares(wild), robust_linear(wild)
    rows = forecast_windows({"squares": squares, "absolute": absolute}, wild, part="test").by_series
    errors = dict(zip(zip(rows["model"], rows["series_index"], strict=True), rows["mase"], strict=True))
    for index, name in enumerate(wild.series_ids):
        assert errors["absolute", index] < 1.1 * errors["squares", index], name
    number = wild.series_ids.index("exact")
    assert errors["absolute", number] < 0.1 * errors["squares", number]


def test_loss_without_a_scale():
    assert loss_of(data_of({"a": np.full(STEPS, 2.0)})) == "mae"
    assert robust_linear(data_of({"a": np.full(STEPS, 2.0)})) is not None
