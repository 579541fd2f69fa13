"""The forecasters made of causal convolutions, under every strategy."""

import pytest
import torch

from seqlight.models import TCNForecaster, WaveNetForecaster, load

MODELS = {
    "gated WaveNet": (WaveNetForecaster, {"hidden_size": 8, "num_blocks": 1, "layers_per_block": 3}),
    "simple WaveNet": (WaveNetForecaster, {"hidden_size": 8, "gated": False, "num_blocks": 1}),
    "TCN": (TCNForecaster, {"hidden_size": 8, "num_blocks": 2}),
}


def build(name, **kwargs):
    kind, options = MODELS[name]
    torch.manual_seed(0)
    return kind(**options, **kwargs)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("strategy", ["direct", "recursive", "every_step"])
def test_forecasts_with_covariates_and_missing_cells(sizes, name, strategy):
    forecaster = build(
        name, strategy=strategy, target_size=2, future_covariate_size=3, observed_indicator=True, **sizes
    )
    past = torch.randn(4, 24, 2)
    past[:, 5] = torch.nan
    covariates = {
        "historic_future_covariates": torch.randn(4, 24, 3),
        "future_covariates": torch.randn(4, 6, 3),
    }
    forecast = forecaster(past, **covariates)
    assert forecast.shape == (4, 6, 2) and forecast.isfinite().all()


@pytest.mark.parametrize("name", MODELS)
def test_recursion_by_state_equals_running_the_longer_sequence(sizes, name):
    """The strategy takes one step per forecast, handing the state on."""
    forecaster = build(name, strategy="recursive", transform="none", **sizes).double().eval()
    past = torch.randn(2, 24, 1, dtype=torch.float64)
    sequence = past
    for _ in range(6):
        output, _ = forecaster.network(sequence)
        sequence = torch.cat([sequence, output[:, -1:]], 1)
    torch.testing.assert_close(forecaster(past), sequence[:, 24:])


@pytest.mark.parametrize("name", MODELS)
def test_forecast_depends_on_the_receptive_field_only(sizes, name):
    forecaster = build(name, strategy="direct", transform="none", **sizes).double().eval()
    core = forecaster.network if name.endswith("WaveNet") else forecaster.network.core
    field = core.receptive_field
    assert field < 24
    past = torch.randn(2, 24, 1, dtype=torch.float64)
    changed = past.clone()
    changed[:, : 24 - field] += 1
    assert torch.equal(forecaster(changed), forecaster(past))
    changed[:, 24 - field :] += 1
    assert not torch.equal(forecaster(changed), forecaster(past))


@pytest.mark.parametrize("name", MODELS)
def test_learns_and_loads(sizes, name, loader, trainer, tmp_path):
    forecaster = build(name, strategy="every_step", lr=1e-2, **sizes)
    fit = trainer(max_epochs=6, deterministic=True)
    validation = loader(64)
    untrained = fit.validate(forecaster, validation, verbose=False)[0]["val_mae"]
    fit.fit(forecaster, loader(256))
    trained = fit.validate(forecaster, validation, verbose=False)[0]["val_mae"]
    assert trained < 0.5 * untrained
    fit.save_checkpoint(tmp_path / "model.ckpt")
    loaded = load(tmp_path / "model.ckpt")
    past = torch.randn(3, 24, 1)
    torch.testing.assert_close(loaded(past), forecaster.eval()(past))


def test_wrong_sizes(sizes):
    with pytest.raises(ValueError, match="layers_per_block"):
        WaveNetForecaster(layers_per_block=0, **sizes)
    with pytest.raises(ValueError, match="kernel_size"):
        TCNForecaster(kernel_size=0, **sizes)
