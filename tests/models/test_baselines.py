import math

import pytest
import torch

from seqlight.models import NaiveForecaster, SeasonalNaiveForecaster, load

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
