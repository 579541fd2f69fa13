import math

import pytest
import torch
from torch import nn

from seqlight.metrics.functional import mean_absolute_scaled_error
from seqlight.models import Forecaster, LinearForecaster, LSTMForecaster, SequenceNetwork
from seqlight.predictor import Predictor

STRATEGIES = ["direct", "recursive", "every_step"]
NAN = math.nan


class TenLineForecaster(Forecaster):
    def __init__(self, *, hidden_size: int = 8, **kwargs):
        super().__init__(**kwargs)

    def build_network(self):
        core = nn.GRU(self.input_size, self.hparams.hidden_size, batch_first=True)
        return SequenceNetwork(core, nn.Linear(self.hparams.hidden_size, self.output_size))


def batch_of(samples):
    return torch.utils.data.default_collate(samples)


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("transform", ["none", "standard", "instance"])
def test_forward_maps_raw_values_to_raw_values(sizes, strategy, transform):
    forecaster = LSTMForecaster(hidden_size=4, strategy=strategy, transform=transform, target_size=2, **sizes)
    forecast = forecaster(torch.randn(3, 24, 2))
    assert forecast.shape == (3, 6, 2)
    assert forecast.dtype == torch.float32
    assert forecaster(torch.randn(0, 24, 2)).shape == (0, 6, 2)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_instance_normalised_forecast_follows_level_and_scale(sizes, strategy):
    forecaster = LSTMForecaster(hidden_size=4, strategy=strategy, transform="instance", **sizes).double()
    past = torch.randn(3, 24, 1, dtype=torch.float64)
    torch.testing.assert_close(forecaster(1e3 * past + 7e3), 1e3 * forecaster(past) + 7e3)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_missing_cells_by_nan_or_by_mask_are_the_same(sizes, strategy):
    forecaster = LSTMForecaster(hidden_size=4, strategy=strategy, observed_indicator=True, **sizes)
    past = torch.randn(3, 24, 1)
    observed = torch.rand(3, 24, 1) < 0.6
    by_nan = forecaster(past.masked_fill(~observed, NAN))
    assert by_nan.isfinite().all()
    assert torch.equal(by_nan, forecaster(past, observed))
    assert torch.equal(by_nan, forecaster(past.masked_fill(~observed, 1e6), observed))
    whole = forecaster(past)
    assert not torch.allclose(by_nan, whole)


def test_network_is_told_of_missing_cells_only_by_the_indicator(sizes):
    blind = LSTMForecaster(hidden_size=4, **sizes)
    told = LSTMForecaster(hidden_size=4, observed_indicator=True, **sizes)
    assert (blind.input_size, told.input_size) == (1, 2)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_future_covariates_reach_the_forecast_as_documented(sizes, strategy):
    forecaster = LSTMForecaster(hidden_size=4, strategy=strategy, future_covariate_size=2, **sizes).double()
    past = torch.randn(1, 24, 1, dtype=torch.float64)
    historic_future_covariates = torch.randn(1, 24, 2, dtype=torch.float64, requires_grad=True)
    future_covariates = torch.randn(1, 6, 2, dtype=torch.float64, requires_grad=True)
    forecast = forecaster(
        past, historic_future_covariates=historic_future_covariates, future_covariates=future_covariates
    )
    for step in range(6):
        (gradient,) = torch.autograd.grad(forecast[0, step, 0], future_covariates, retain_graph=True)
        moved_by = set(gradient.abs().sum(2)[0].nonzero()[:, 0].tolist())
        assert moved_by == (set(range(step + 1 if strategy == "recursive" else 6)))
    (gradient,) = torch.autograd.grad(forecast.sum(), historic_future_covariates)
    assert (gradient[0, 0] == 0).all()  # known of the first step: it predicts nothing
    assert (gradient[0, 1:].abs().sum(1) > 0).all()


def test_static_values_reach_the_forecast(sizes):
    forecaster = LSTMForecaster(hidden_size=4, static_covariate_size=3, **sizes)
    assert forecaster.input_size == 4
    past, static = torch.randn(2, 24, 1), torch.randn(2, 3)
    assert not torch.allclose(
        forecaster(past, static_covariates=static), forecaster(past, static_covariates=static + 1)
    )


def test_example_inputs_fit_forward(sizes):
    forecaster = LSTMForecaster(
        hidden_size=4, future_covariate_size=2, static_covariate_size=1, target_size=3, **sizes
    )
    assert forecaster(**forecaster.example_inputs(5)).shape == (5, 6, 3)


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("missing", [0.0, 0.3])
def test_logged_values_are_those_of_the_forecasts(sizes, loader, trainer, strategy, missing):
    torch.manual_seed(0)
    data = loader(70, missing=missing)
    forecaster = TenLineForecaster(strategy=strategy, observed_indicator=bool(missing), **sizes)
    running = trainer()
    running.validate(forecaster, data, verbose=False)
    logged = {name: value.item() for name, value in running.callback_metrics.items()}
    every = batch_of([sample for sample in data.dataset])
    with torch.no_grad():
        preds = forecaster(every["past_target"])
        known = ~every["future_target"].isnan()
        errors = (preds - every["future_target"])[known]
        mase = mean_absolute_scaled_error(preds, every["future_target"], every["scale"], known)
        _, state = forecaster.transform.transform(every["past_target"])
        target = forecaster.transform.transform_future(every["future_target"], state)
        transformed = forecaster.transform.transform_future(preds, state)
    assert logged["val_mae"] == pytest.approx(errors.abs().mean().item(), rel=1e-4)
    assert logged["val_rmse"] == pytest.approx(errors.square().mean().sqrt().item(), rel=1e-4)
    last = (preds - every["future_target"])[:, -1][known[:, -1]]
    assert logged["val_mae_last"] == pytest.approx(last.abs().mean().item(), rel=1e-4)
    assert logged["val_rmse_last"] == pytest.approx(last.square().mean().sqrt().item(), rel=1e-4)
    assert logged["val_mase"] == pytest.approx(mase.item(), rel=1e-4)
    assert logged["val_loss"] == pytest.approx((transformed - target)[known].square().mean().item(), rel=1e-4)
    assert 0 < logged["val_smape"] < 2
    if strategy == "every_step":
        # Each of the L outputs is a forecast of the H steps after it, and scored as one.
        with torch.no_grad():
            past, future = every["past_target"], every["future_target"]
            inputs, state = forecaster.transform.transform(past)
            series = torch.cat([inputs, forecaster.transform.transform_future(future, state)], dim=1)
            indicator = [(~inputs.isnan()).float()] if missing else []
            outputs, _ = forecaster.network(torch.cat([inputs.nan_to_num(0.0), *indicator], dim=2))
        differences = torch.cat(
            [outputs[:, t, :] - series[:, t + 1 : t + 7, 0] for t in range(24)]  # one channel, H = 6
        )
        expected = differences[~differences.isnan()].square().mean().item()
        assert logged["val_loss_all_steps"] == pytest.approx(expected, rel=1e-4)
        assert abs(expected / logged["val_loss"] - 1) > 1e-3
    else:
        assert "val_loss_all_steps" not in logged
    running.test(forecaster, data, verbose=False)
    assert running.callback_metrics["test_mae"].item() == pytest.approx(logged["val_mae"])
    predictions = running.predict(forecaster, data)
    torch.testing.assert_close(torch.cat([part["prediction"] for part in predictions]), preds)
    assert torch.cat([part["series_index"] for part in predictions]).tolist() == list(range(70))
    assert all((part["start"] == 24).all() for part in predictions)


def test_batches_without_scale_have_no_mase(sizes, windows, trainer):
    samples = [{name: value for name, value in sample.items() if name != "scale"} for sample in windows(8)]
    running = trainer()
    running.validate(TenLineForecaster(**sizes), torch.utils.data.DataLoader(samples), verbose=False)
    assert "val_mae" in running.callback_metrics
    assert "val_mase" not in running.callback_metrics


def test_window_without_any_observed_past_is_not_scored(sizes, windows, trainer):
    samples = windows(8)
    samples[0]["past_target"] = torch.full_like(samples[0]["past_target"], NAN)
    running = trainer()
    torch.manual_seed(0)
    forecaster = TenLineForecaster(**sizes)
    running.validate(forecaster, torch.utils.data.DataLoader(samples), verbose=False)
    alone = trainer()
    alone.validate(forecaster, torch.utils.data.DataLoader(samples[1:]), verbose=False)
    for name, value in running.callback_metrics.items():
        torch.testing.assert_close(value, alone.callback_metrics[name])


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"hidden_size": 0}, ValueError, "hidden_size: expected at least 1, got 0"),
        ({"hidden_size": 2.5}, TypeError, "hidden_size: expected an integer, got 2.5"),
        ({"num_layers": 0}, ValueError, "num_layers: expected at least 1, got 0"),
        ({"dropout": 1.0}, ValueError, "dropout: expected at least 0.0 and less than 1.0, got 1.0"),
        ({"prediction_length": 0}, ValueError, "prediction_length: expected at least 1, got 0"),
        ({"context_length": -1}, ValueError, "context_length: expected at least 1, got -1"),
        ({"target_size": True}, TypeError, "target_size: expected an integer, got True"),
        ({"lr": -1.0}, ValueError, "lr: expected at least 0.0, got -1.0"),
        ({"lr": "fast"}, TypeError, "lr: expected a number, got 'fast'"),
        ({"strategy": "recursiv"}, ValueError, r"strategy: expected one of .* Did you mean 'recursive'\?"),
        ({"transform": "instanse"}, ValueError, r"transform: .* Did you mean 'instance'\?"),
        ({"optimizer": "adamW"}, ValueError, r"optimizer: .* Did you mean 'adamw'\?"),
        ({"lr_schedule": "cosin"}, ValueError, r"lr_schedule: .* Did you mean 'cosine'\?"),
        ({"loss": "rmse"}, ValueError, r"loss: .* Did you mean 'mse'\?"),
    ],
)
def test_bad_arguments_are_named(sizes, arguments, error, message):
    with pytest.raises(error, match=message):
        LSTMForecaster(**(sizes | arguments))


def test_base_class_says_what_is_missing(sizes):
    with pytest.raises(NotImplementedError, match="Forecaster has no network: override build_network"):
        Forecaster(**sizes)


def test_hyperparameters_must_be_plain(sizes):
    with pytest.raises(TypeError, match=r"hidden_size: hyperparameters must be plain values.*got type"):
        TenLineForecaster(hidden_size=nn.GRU, **sizes)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"past_target": None}, ValueError, "batch: missing past_target; it has"),
        ({"future_target": None}, ValueError, "batch: missing future_target"),
        (
            {"past_target": torch.zeros(2, 9, 1)},
            ValueError,
            r"past_target: .*= \[B, 24, 1\], got \[2, 9, 1\]",
        ),
        ({"past_target": torch.zeros(2, 24)}, ValueError, r"past_target: .*got \[2, 24\]"),
        ({"future_target": torch.zeros(2, 6, 2)}, ValueError, r"future_target: .*= \[2, 6, 1\], got"),
        ({"past_observed": torch.ones(2, 24)}, ValueError, r"past_observed: .*= \[2, 24, 1\], got \[2, 24\]"),
        ({"future_covariates": None}, ValueError, "batch: missing future_covariates"),
        (
            {"historic_future_covariates": torch.zeros(2, 24, 3)},
            ValueError,
            r"historic_future_covariates: .*= \[2, 24, 1\], got",
        ),
    ],
)
def test_bad_batches_are_named(sizes, change, error, message):
    forecaster = LSTMForecaster(hidden_size=2, future_covariate_size=1, **sizes)
    batch = {
        "past_target": torch.zeros(2, 24, 1),
        "future_target": torch.zeros(2, 6, 1),
        "historic_future_covariates": torch.zeros(2, 24, 1),
        "future_covariates": torch.zeros(2, 6, 1),
    }
    with pytest.raises(error, match=message):
        forecaster.training_step(batch | change, 0)


def test_batch_that_is_no_dict_is_named(sizes):
    with pytest.raises(
        TypeError, match=r"batch: expected a dict of tensors with the keys past_target.*got list"
    ):
        LSTMForecaster(**sizes).predict_step([torch.zeros(2, 24, 1)], 0)


def test_forward_asks_for_the_covariates_it_needs(sizes):
    with pytest.raises(ValueError, match=r"historic_future_covariates: needed, .* future_covariate_size=1"):
        LSTMForecaster(future_covariate_size=1, **sizes)(torch.zeros(2, 24, 1))


def test_transform_is_fitted_on_the_training_part_only_once(sizes, loader, trainer):
    data = loader(64)
    forecaster = LinearForecaster(transform="standard", **sizes)
    trainer(max_epochs=1, limit_val_batches=0).fit(forecaster, data)
    every = torch.cat([sample["past_target"] for sample in data.dataset])
    torch.testing.assert_close(forecaster.transform.mean, every.mean(0))
    torch.testing.assert_close(forecaster.transform.scale, every.std(0, correction=0))
    before = forecaster.transform.mean.clone()
    trainer(max_epochs=1, limit_val_batches=0).fit(forecaster, loader(128))
    assert torch.equal(forecaster.transform.mean, before)


def test_training_target_of_the_datamodule_comes_first(sizes, windows, trainer):
    from lightning import LightningDataModule

    class Data(LightningDataModule):
        def training_target(self):
            return torch.tensor([[2.0], [4.0], [9e9]]), torch.tensor([[True], [True], [False]])

        def train_dataloader(self):
            return torch.utils.data.DataLoader(windows(32), batch_size=8)

    forecaster = LinearForecaster(transform="standard", **sizes)
    trainer(max_epochs=1, limit_val_batches=0).fit(forecaster, datamodule=Data())
    assert (forecaster.transform.mean.item(), forecaster.transform.scale.item()) == (3.0, 1.0)


def test_a_forecaster_is_a_predictor(sizes, windows):
    forecaster = LSTMForecaster(hidden_size=4, dropout=0.5, **sizes)
    assert isinstance(forecaster, Predictor)
    batch = batch_of(windows(5, missing=0.2))
    batch["past_target"][1] = NAN
    forecast = forecaster.predict(batch, quantile_levels=(0.1, 0.9))
    assert forecaster.training  # as it was, though dropout was left out of the forecast
    expected = forecaster.eval()(batch["past_target"])
    assert expected[1].isnan().all()
    torch.testing.assert_close(forecast.point, expected, equal_nan=True)
    assert not forecast.point.requires_grad
    assert (forecast.quantiles, forecast.quantile_levels, forecast.samples) == (None, (), None)
    with pytest.raises(ValueError, match="samples: head='point' gives points alone, got samples=3"):
        forecaster.predict(batch, samples=3)
