import math

import pytest
import torch

from seqlight.models import (
    EnsembleForecaster,
    Forecaster,
    NaiveForecaster,
    SeasonalNaiveForecaster,
    WindowForecast,
    WindowForecaster,
    load,
)
from seqlight.predictor import Predictor

NAN = math.nan


def column(*values):
    return torch.tensor(values).reshape(1, -1, 1)


def test_naive_repeats_the_last_observed_value():
    naive = NaiveForecaster(context_length=4, prediction_length=2)
    assert naive(column(1.0, 2.0, 3.0, 4.0)).flatten().tolist() == [4.0, 4.0]
    assert naive(column(1.0, 2.0, NAN, NAN)).flatten().tolist() == [2.0, 2.0]
    assert naive(column(NAN, NAN, NAN, NAN)).isnan().all()


def test_naive_takes_each_channel_by_itself():
    naive = NaiveForecaster(context_length=2, prediction_length=1, target_size=2)
    assert naive(torch.tensor([[[1.0, 2.0], [NAN, 3.0]]])).tolist() == [[[1.0, 3.0]]]


def test_seasonal_naive_repeats_the_last_season():
    seasonal = SeasonalNaiveForecaster(season_length=3, context_length=7, prediction_length=5)
    forecast = seasonal(column(0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0))
    assert forecast.flatten().tolist() == [4.0, 5.0, 6.0, 4.0, 5.0]


def test_seasonal_naive_takes_the_last_observed_value_of_the_phase():
    seasonal = SeasonalNaiveForecaster(season_length=3, context_length=6, prediction_length=3)
    assert seasonal(column(0.0, 1.0, 2.0, NAN, 4.0, NAN)).flatten().tolist() == [0.0, 4.0, 2.0]
    # No observed value at the first phase: the last observed one of all.
    assert seasonal(column(NAN, 1.0, 2.0, NAN, 4.0, NAN)).flatten().tolist() == [4.0, 4.0, 2.0]
    assert seasonal(column(*[NAN] * 6)).isnan().all()


def test_seasonal_naive_is_exact_on_a_periodic_series():
    seasonal = SeasonalNaiveForecaster(season_length=5, context_length=12, prediction_length=9, target_size=2)
    pattern = torch.randn(5, 2).repeat(5, 1)[None]
    assert torch.equal(seasonal(pattern[:, 3:15]), pattern[:, 15:24])


def test_season_must_fit_the_past():
    with pytest.raises(ValueError, match="season_length: expected at most context_length = 6"):
        SeasonalNaiveForecaster(season_length=7, context_length=6, prediction_length=1)
    with pytest.raises(ValueError, match="season_length: expected at least 1, got 0"):
        SeasonalNaiveForecaster(season_length=0, context_length=6, prediction_length=1)


@pytest.mark.parametrize("missing", [0.0, 0.2])
def test_baseline_runs_through_the_trainer(sizes, loader, trainer, missing, tmp_path):
    data = loader(40, missing=missing)
    baseline = SeasonalNaiveForecaster(season_length=12, observed_indicator=bool(missing), **sizes)
    running = trainer(max_epochs=50)
    running.fit(baseline, data, data)
    assert running.current_epoch == 1
    assert running.callback_metrics["train_loss"] == running.callback_metrics["val_loss"]
    running.test(baseline, data, verbose=False)
    assert running.callback_metrics["test_mase"].isfinite()
    assert len(running.predict(baseline, data)) == 2
    running.save_checkpoint(tmp_path / "baseline.ckpt", weights_only=True)
    loaded = load(tmp_path / "baseline.ckpt")
    past = data.dataset[0]["past_target"][None]
    assert type(loaded) is SeasonalNaiveForecaster
    torch.testing.assert_close(loaded(past), baseline(past))


def test_what_is_not_trained_has_no_network():
    naive = NaiveForecaster(context_length=3, prediction_length=2)
    for model in (naive, EnsembleForecaster.of([naive])):
        assert isinstance(model, WindowForecaster) and not isinstance(model, Forecaster)
        assert isinstance(model, Predictor)
        assert not any(
            hasattr(model, name) for name in ("network", "strategy", "transform", "head", "inputs")
        )
        assert not any("fitted" in name for name in model.state_dict())


def test_weights_saved_when_baselines_had_a_transform_load():
    """Of a baseline by itself, and as a member of an ensemble."""
    naive = NaiveForecaster(context_length=3, prediction_length=2)
    both = EnsembleForecaster.of([naive, naive], [0.25, 0.75])
    fitted = torch.tensor(True)
    naive.load_state_dict({"transform.fitted": fitted})
    old = {"weight_table": torch.tensor([[0.5, 0.5]]), "members.0.transform.fitted": fitted}
    both.load_state_dict({"transform.fitted": fitted, "members.1.transform.fitted": fitted, **old})
    assert both.weight_table.tolist() == [[0.5, 0.5]]
    with pytest.raises(RuntimeError, match=r"transform\.mean"):  # nothing else is dropped
        naive.load_state_dict({"transform.mean": fitted})


class Drift(WindowForecaster):
    """Goes on from the last value by the mean change, with quantiles of normal errors."""

    has_distribution = True

    def __init__(self, *, spread: float = 1.0, **sizes):
        super().__init__(**sizes)
        self._score_quantiles((0.1, 0.5, 0.9))

    def check_levels(self, levels):
        pass

    def forecast(self, given, levels=(), samples=0):
        past = given["past_target"]
        slope = (past[:, -1:] - past[:, :1]) / (past.shape[1] - 1)
        steps = torch.arange(1, self.prediction_length + 1).reshape(1, -1, 1)
        point = past[:, -1:] + slope * steps
        errors = self.hparams["spread"] * torch.special.ndtri(torch.tensor(levels))
        return WindowForecast(self.bounds.apply(point), point.unsqueeze(-1) + errors if levels else None)


def test_a_forecaster_of_ones_own_needs_one_method(loader, trainer, tmp_path):
    sizes = {"context_length": 24, "prediction_length": 6}
    model = Drift(spread=2.0, nonnegative=True, **sizes)
    data = loader(8)
    assert model(torch.arange(24.0).reshape(1, -1, 1)).flatten().tolist() == [
        24.0,
        25.0,
        26.0,
        27.0,
        28.0,
        29.0,
    ]
    (logged,) = trainer().validate(model, data, verbose=False)
    assert logged["val_mase"] > 0 and logged["val_wql"] > 0 and logged["val_loss"] > logged["val_mae"] ** 2
    running = trainer()
    model.quantile_levels = (0.25, 0.75)
    predicted = running.predict(model, data)[0]
    assert predicted["quantiles"].shape == (*predicted["prediction"].shape, 2)
    running.save_checkpoint(tmp_path / "drift.ckpt", weights_only=True)
    loaded = load(tmp_path / "drift.ckpt")
    assert type(loaded) is Drift and loaded.hparams["spread"] == 2.0 and loaded.bounds.low == 0.0
    with pytest.raises(NotImplementedError, match="WindowForecaster has no forecast: override forecast"):
        WindowForecaster(**sizes)(torch.ones(1, 24, 1))
