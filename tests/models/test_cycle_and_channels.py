"""What every forecaster takes: a learned cycle of the clock, and one channel at a time."""

import runpy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest
import torch

from seqlight import models
from seqlight.data import CSVDataModule

covariates = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("covariates.py"))))

SIZES = {"context_length": 12, "prediction_length": 3, "target_size": 3, "observed_indicator": True}
SMALL = SIZES | {"hidden_size": 4}
ONE_CHANNEL = {
    "direct": lambda **kw: models.LSTMForecaster(**SMALL | kw, **covariates.EVERY),
    "every step": lambda **kw: models.TCNForecaster(
        num_blocks=1, strategy="every_step", **SMALL | kw, **covariates.EVERY
    ),
    "recursive": lambda **kw: models.GRUForecaster(strategy="recursive", **SMALL | kw, **covariates.AHEAD),
    "strided": lambda **kw: models.ConvGRUForecaster(strategy="every_step", **SMALL | kw),
    "encoder decoder": lambda **kw: models.EncoderDecoderForecaster(**SMALL | kw, **covariates.EVERY),
    "linear": lambda **kw: models.LinearForecaster(**SIZES | kw, **covariates.EVERY),
}


def inputs_of(model, batch=4):
    torch.manual_seed(batch)
    made = {
        name: torch.randn_like(value) if value.is_floating_point() else torch.randint_like(value, 3)
        for name, value in model.example_inputs(batch).items()
    }
    made["past_target"][1, 4, 0] = torch.nan
    return made


@pytest.mark.parametrize("name", ONE_CHANNEL)
def test_each_channel_is_forecast_as_by_a_model_of_one_channel(name):
    torch.manual_seed(0)
    several = ONE_CHANNEL[name](channels="independent").eval()
    single = ONE_CHANNEL[name](target_size=1).eval()
    weights = {
        key.replace("network.network.", "network."): value for key, value in several.state_dict().items()
    }
    single.load_state_dict(
        {
            key: weights[key][:1] if "transform." in key and weights[key].ndim else weights[key]
            for key in single.state_dict()
        }
    )
    inputs = inputs_of(several)
    with torch.no_grad():
        together = several(**inputs)
        for channel in range(3):
            own = inputs | {"past_target": inputs["past_target"][..., channel : channel + 1]}
            torch.testing.assert_close(together[..., channel : channel + 1], single(**own))


@pytest.mark.parametrize("name", ONE_CHANNEL)
def test_training_loss_is_the_mean_over_the_channels(name):
    torch.manual_seed(0)
    several = ONE_CHANNEL[name](channels="independent").eval()
    inputs = inputs_of(several) | {"future_target": torch.randn(4, 3, 3)}
    window, state = several._batch_window(inputs, with_future=True)
    future = several._transformed_future(several._future(inputs), state)
    total, count = several.training_loss(window, future)
    order = [2, 0, 1]
    shuffled = inputs | {key: inputs[key][..., order] for key in ("past_target", "future_target")}
    window, state = several._batch_window(shuffled, with_future=True)
    future = several._transformed_future(several._future(shuffled), state)
    other, other_count = several.training_loss(window, future)
    assert count == other_count > 0
    torch.testing.assert_close(total, other)


def hourly(days=20, channels=2, season=24):
    """A cycle of the clock without any rule inside, at levels that drift from day to day."""
    draw = np.random.default_rng(0)
    shape = draw.normal(size=(season, channels))
    steps = np.arange(days * 24)
    values = shape[(steps + 5) % season] + draw.normal(size=(days, channels))[steps // 24]
    times = pl.datetime_range(
        pl.datetime(2024, 3, 6, 5),
        pl.datetime(2024, 3, 6, 5) + pl.duration(hours=len(steps) - 1),
        "1h",
        eager=True,
    )
    frame = pl.DataFrame({"time": times} | {f"y{i}": values[:, i] for i in range(channels)})
    data = CSVDataModule(
        frame,
        time_col="time",
        target_cols=[f"y{i}" for i in range(channels)],
        context_length=6,
        prediction_length=6,
        batch_size=32,
    )
    data.setup("fit")
    return data, shape


@pytest.fixture(scope="module")
def cyclic():
    return hourly()


SHORT = {"context_length": 6, "prediction_length": 6, "target_size": 2, "transform": "none"}


def error(model, data):
    with torch.no_grad():
        errors = [model.predict(batch).point - batch["future_target"] for batch in data.test_dataloader()]
    return float(torch.cat(errors).abs().mean())


def test_a_cycle_longer_than_the_context_is_found(cyclic, trainer):
    """Solved, and learned by gradient: the steps of the clock from Monday on, for a cycle of 24 the hours."""
    data, shape = cyclic
    plain = models.LinearForecaster(**SHORT).solve(data.train_dataloader())
    solved = models.LinearForecaster(cycle=24, **SHORT).solve(data.train_dataloader())
    assert error(solved, data) < 0.7 * error(plain, data)
    found = solved.learned_cycle.values.detach().numpy()
    assert np.corrcoef(found[:, 0], shape[:, 0])[0, 1] > 0.95
    torch.manual_seed(0)
    learned = models.LinearForecaster(cycle=24, lr=0.02, channels="independent", **SHORT)
    trainer(max_epochs=12, limit_val_batches=0).fit(learned, data)
    assert error(learned, data) < 0.75 * error(plain, data)
    assert np.corrcoef(learned.learned_cycle.values[:, 1].detach().numpy(), shape[:, 1])[0, 1] > 0.9


def test_forecast_is_the_equation():
    """What is left of the transformed past goes through the network, and the cycle comes back."""
    torch.manual_seed(0)
    model = models.LinearForecaster(cycle=5, **SHORT | {"transform": "instance"}).eval()
    with torch.no_grad():
        model.learned_cycle.values.normal_()
    past, phase = torch.randn(3, 6, 2), torch.tensor([0, 7, -1])
    mean, scale = past.mean(1, keepdim=True), past.std(1, keepdim=True, unbiased=False)
    cycle = model.learned_cycle.values
    before = torch.stack([cycle[[(p - 6 + t) % 5 for t in range(6)]] for p in phase.tolist()])
    ahead = torch.stack([cycle[[(p + h) % 5 for h in range(6)]] for p in phase.tolist()])
    left, _ = model.network((past - mean) / scale - before)
    expected = (left.unflatten(2, (6, 2))[:, 0] + ahead) * scale + mean
    with torch.no_grad():
        torch.testing.assert_close(model(past, phase=phase), expected)
        torch.testing.assert_close(model(past, phase=phase + 10), expected)
        future = torch.randn(3, 6, 2)
        _, state = model._batch_window({"past_target": past, "phase": phase}, with_future=False)
        back = model._original_units(model._transformed_future(future, state), state)
    torch.testing.assert_close(back, future)


def test_phase_is_asked_for():
    model = models.LinearForecaster(cycle=5, **SHORT)
    past = torch.zeros(2, 6, 2)
    with pytest.raises(ValueError, match=r"^phase: needed, for the model was built with cycle=5"):
        model(past)
    with pytest.raises(ValueError, match=r"^batch: missing phase"):
        model.predict({"past_target": past})
    with pytest.raises(ValueError, match=r"^phase: expected shape \[B\] = \[2\]"):
        model(past, phase=torch.zeros(3, dtype=torch.int64))
    with pytest.raises(TypeError, match=r"^phase: expected whole numbers"):
        model(past, phase=torch.zeros(2))
    with pytest.raises(ValueError, match=r"^phase: the model was built without a cycle"):
        models.LinearForecaster(**SHORT)(past, phase=torch.zeros(2, dtype=torch.int64))
    with pytest.raises(ValueError, match=r"^cycle: expected at least 2, got 1"):
        models.LinearForecaster(cycle=1, **SHORT)
    with pytest.raises(ValueError, match=r"^channels: expected one of 'mixed', 'independent'"):
        models.LinearForecaster(channels="each", **SHORT)


def test_state_is_carried_for_every_channel(cyclic, trainer):
    """Chunks of one long window with the cycle and single channels: the loss of the whole window."""
    data, _ = cyclic
    torch.manual_seed(0)
    model = models.GRUForecaster(
        cycle=24, channels="independent", strategy="every_step", hidden_size=3, **SHORT
    )
    data.tbptt_steps = 2
    try:
        chunks = list(next(iter([list(data.train_dataloader())[:3]])))
        totals = [model._chunk_loss(chunk) for chunk in chunks]
    finally:
        data.tbptt_steps = None
    assert model._rows == 2 * len(chunks[0]["past_target"])
    whole = {key: torch.cat([chunk[key] for chunk in chunks], dim=1) for key in ("past_target",)}
    whole |= {key: chunks[-1][key] for key in ("future_target", "phase")}
    window, state = model._batch_window(whole, with_future=True)
    total, count = model.training_loss(window, model._transformed_future(model._future(whole), state))
    assert count == sum(one[1] for one in totals)
    torch.testing.assert_close(total, sum(one[0] for one in totals))
