"""Forecasters with trend and season removed, then added back."""

import importlib.util
import math

import pytest
import torch
from lightning import LightningDataModule, seed_everything
from torch import nn
from torch.utils.data import DataLoader

from seqlight.models import LinearForecaster, LSTMForecaster, NaiveForecaster, load
from seqlight.transforms import build_transform

STRATEGIES = ["direct", "recursive", "every_step"]
TEXTS = [
    "min_max",
    "log",
    "box_cox + standard",
    "difference",
    "difference(1, 12) + standard",
    "decompose(12)",
    "log + difference(12) + instance",
]
STL = pytest.param(
    "decompose(12, method=stl) + standard",
    marks=pytest.mark.skipif(
        importlib.util.find_spec("statsmodels") is None, reason="no statsmodels: pip install 'seqlight[test]'"
    ),
)


def climbing_windows(count, *, first=0, context=24, horizon=6, missing=0.0, seed=0):
    """Windows of one series that climbs, with a season of 12 that grows with it; all above 0."""
    generator = torch.Generator().manual_seed(seed)
    steps = torch.arange(first, first + count + context + horizon - 1)
    level = 20 + 0.5 * steps
    values = level * (1 + 0.2 * torch.sin(2 * torch.pi * steps / 12)) + 0.3 * torch.randn(
        len(steps), generator=generator
    )
    holes = torch.rand(len(steps), generator=generator) < missing
    windows = values.masked_fill(holes, math.nan).unfold(0, context + horizon, 1).unsqueeze(2)
    return [
        {"past_target": w[:context], "future_target": w[context:], "scale": torch.full((1,), 3.0)}
        for w in windows
    ]


def batches(samples, **kwargs):
    return DataLoader(samples, batch_size=32, **kwargs)


def together(samples):
    return {name: torch.stack([sample[name] for sample in samples]) for name in samples[0]}


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("text", [*TEXTS, STL])
def test_fits_scores_predicts_and_loads(sizes, trainer, tmp_path, text, strategy):
    samples = climbing_windows(64, missing=0.1)
    forecaster = LSTMForecaster(
        hidden_size=4, strategy=strategy, transform=text, observed_indicator=True, **sizes
    )
    run = trainer(max_epochs=1, enable_progress_bar=False)
    run.fit(forecaster, batches(samples), batches(samples))
    assert all(math.isfinite(value) for value in run.callback_metrics.values())
    (logged,) = run.test(forecaster, batches(samples), verbose=False)
    predicted = torch.cat([part["prediction"] for part in run.predict(forecaster, batches(samples))])

    # Errors are those of the forecasts in original units.
    future = together(samples)["future_target"]
    known = ~future.isnan()
    error = (predicted - future).abs()[known].mean().item()
    assert logged["test_mae"] == pytest.approx(error, rel=1e-4)
    assert logged["test_mase"] == pytest.approx(error / 3.0, rel=1e-4)

    # The checkpoint forecasts raw values with no data around.
    run.save_checkpoint(tmp_path / "model.ckpt")
    loaded = load(tmp_path / "model.ckpt")
    assert loaded.hparams["transform"] == text
    assert loaded.transform.fitted
    torch.testing.assert_close(loaded(together(samples)["past_target"]), predicted)


class Perfect(nn.Module):
    """Says what the strategy wants to hear: the true values that follow each step."""

    def __init__(self, series, horizon):
        super().__init__()
        self.answers, self.step = series.unfold(1, horizon, 1)[:, 1:].flatten(2), 0

    def forward(self, x, state=None):
        first = 0 if state is None else state
        return self.answers[:, first : first + x.shape[1]], first + x.shape[1]


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("text", [*TEXTS, "difference(1, 12)", "decompose(12, trend=last)"])
def test_perfect_network_has_no_loss_and_forecasts_the_truth(sizes, text, strategy):
    """Targets, past and inverse of every transform fit together in every strategy."""
    batch = together(climbing_windows(40, missing=0.05))
    future = climbing_windows(40)  # without holes
    batch["future_target"] = together(future)["future_target"]
    batch = {name: value.double() for name, value in batch.items()}
    forecaster = LSTMForecaster(hidden_size=1, strategy=strategy, transform=text, **sizes).double()
    forecaster.transform.fit(batch["past_target"])
    window, state = forecaster._batch_window(batch, with_future=True)
    target = forecaster.transform.transform_future(batch["future_target"], state)
    series = torch.cat([window.past, target], dim=1).nan_to_num(123.0)
    forecaster.network = Perfect(series, forecaster.strategy.horizon)
    total, count = forecaster.strategy.loss(forecaster.network, window, target, forecaster.pointwise_loss)
    assert count > 0 and total < 1e-18 * count
    torch.testing.assert_close(forecaster.predict_step(batch, 0)["prediction"], batch["future_target"])


def test_steps_without_a_difference_are_marked_as_missing(sizes):
    forecaster = LSTMForecaster(
        hidden_size=1, strategy="every_step", transform="difference(1, 12)", observed_indicator=True, **sizes
    )
    batch = together(climbing_windows(3))
    window, _ = forecaster._batch_window(batch, with_future=True)
    inputs = window.inputs()
    assert inputs[:, :13].abs().max() == 0
    assert inputs[:, 13:, 1].min() == 1


@pytest.mark.parametrize("precision", ["bf16-mixed", "bf16-true", "64-true"])
@pytest.mark.parametrize(
    "text", ["difference(1, 12) + standard", "log + decompose(12)", "box_cox + standard"]
)
def test_precisions(sizes, trainer, text, precision):
    forecaster = LSTMForecaster(hidden_size=4, transform=text, **sizes)
    run = trainer(max_epochs=1, precision=precision)
    samples = climbing_windows(64, missing=0.1)
    run.fit(forecaster, batches(samples))
    (logged,) = run.test(forecaster, batches(samples), verbose=False)
    assert logged["test_mae"] < 22  # of values between 16 and 70


def fitted_mae(samples, held_back, trainer, **kwargs):
    seed_everything(0)
    forecaster = LSTMForecaster(
        context_length=24, prediction_length=6, hidden_size=16, lr=1e-2, lr_schedule="one_cycle", **kwargs
    )
    run = trainer(max_epochs=8)
    run.fit(forecaster, batches(samples, shuffle=True))
    return run.test(forecaster, batches(held_back), verbose=False)[0]["test_mae"]


def test_removing_trend_and_season_pays_on_a_series_that_has_both(trainer):
    training, held_back = climbing_windows(400), climbing_windows(100, first=440, seed=1)
    plain = fitted_mae(training, held_back, trainer, transform="standard")
    for text in (
        "difference(12) + standard",
        "log + difference(1, 12) + standard",
        "decompose(12) + standard",
    ):
        removed = fitted_mae(training, held_back, trainer, transform=text)
        assert removed < 0.2 * plain


@pytest.mark.parametrize("text", TEXTS)
def test_linear_solution_works_in_every_space(sizes, trainer, text):
    training = batches(climbing_windows(200))
    forecaster = LinearForecaster(transform=text, **sizes).solve(training)
    assert forecaster.transform.fitted
    (linear,) = trainer().test(forecaster, batches(climbing_windows(60, seed=1)), verbose=False)
    (naive,) = trainer().test(NaiveForecaster(**sizes), batches(climbing_windows(60, seed=1)), verbose=False)
    assert linear["test_mae"] < 0.5 * naive["test_mae"]


def test_composition_is_fitted_on_windows_of_the_datamodule(sizes, trainer):
    samples = climbing_windows(96)

    class Data(LightningDataModule):
        def training_target(self):
            return torch.zeros(5, 1), torch.ones(5, 1, dtype=torch.bool)  # rows, of no use here

        def train_dataloader(self):
            return batches(samples)

    forecaster = LinearForecaster(transform="difference(1, 12) + standard", **sizes)
    trainer(max_epochs=1).fit(forecaster, datamodule=Data())
    expected = build_transform("difference(1, 12) + standard", 1).fit(together(samples)["past_target"])
    assert expected.transforms[1].scale.item() > 0.1
    for name, value in expected.state_dict().items():
        torch.testing.assert_close(forecaster.transform.state_dict()[name], value)


def test_few_observed_cells_are_still_scored(sizes, trainer):
    """No difference is left, but the forecast goes on from the last value."""
    sample = climbing_windows(1)[0]
    sample["past_target"] = torch.full((24, 1), math.nan)
    sample["past_target"][20] = 50.0
    sample["future_target"] = torch.full((6, 1), 52.0)
    forecaster = LinearForecaster(transform="difference", **sizes)
    nn.init.zeros_(forecaster.network.linear.weight)
    nn.init.zeros_(forecaster.network.linear.bias)
    (logged,) = trainer().test(forecaster, batches([sample]), verbose=False)
    assert logged["test_mae"] == pytest.approx(2.0)


@pytest.mark.parametrize(
    ("text", "needed"),
    [("difference(1, 24)", 26), ("decompose(13) + standard", 26), ("log + difference(24)", 25)],
)
def test_short_context_is_named_when_the_forecaster_is_made(sizes, text, needed):
    with pytest.raises(
        ValueError, match=rf"context_length: expected at least {needed}, which transform .*got 24"
    ):
        LSTMForecaster(transform=text, **sizes)
    LSTMForecaster(transform=text, **(sizes | {"context_length": needed}))


def test_value_without_a_logarithm_stops_the_fit_before_training(sizes, trainer):
    samples = climbing_windows(32)
    samples[3]["past_target"] = samples[3]["past_target"] - 100.0
    with pytest.raises(ValueError, match="values: log with offset 0 needs values above 0, got -"):
        trainer(max_epochs=1).fit(LSTMForecaster(transform="log", **sizes), batches(samples))


@pytest.mark.parametrize(
    "text", ["difference(1, 12) + standard", "decompose(12)", "log + box_cox(0.5, offset=9)"]
)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_forecaster_is_exported_with_its_transform(sizes, text):
    forecaster = LSTMForecaster(hidden_size=2, transform=text, **sizes).eval()
    inputs = forecaster.example_inputs(2)
    batch = torch.export.Dim("batch")
    exported = torch.export.export(
        forecaster, (), kwargs=inputs, dynamic_shapes={name: {0: batch} for name in inputs}
    )
    past = together(climbing_windows(5, missing=0.1))["past_target"]
    torch.testing.assert_close(exported.module()(past_target=past), forecaster(past))
