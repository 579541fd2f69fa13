"""Forecasters of recurrent layers learn, come back from checkpoints, and refuse."""

import pytest
import torch

import seqlight
from seqlight import nn
from seqlight.models import (
    GRUForecaster,
    LSTMForecaster,
    NaiveForecaster,
    RecurrentForecaster,
    RNNForecaster,
)

CELLS = [
    (GRUForecaster, nn.GRU, {}),
    (RNNForecaster, nn.RNN, {}),
    (RNNForecaster, nn.RNN, {"nonlinearity": "relu"}),
]


@pytest.mark.parametrize(("forecaster_class", "layer_class", "options"), CELLS)
def test_learns_a_sine_and_comes_back(
    sizes, loader, trainer, tmp_path, forecaster_class, layer_class, options
):
    torch.manual_seed(0)
    forecaster = forecaster_class(hidden_size=16, lr=2e-2, lr_schedule="one_cycle", **options, **sizes)
    running = trainer(max_epochs=8, limit_val_batches=0)
    running.fit(forecaster, loader(320, shuffle=True))
    running.save_checkpoint(tmp_path / "a.ckpt")

    loaded = seqlight.load(tmp_path / "a.ckpt")
    assert type(loaded) is forecaster_class and type(loaded.network.core) is layer_class
    assert dict(loaded.hparams) == dict(forecaster.hparams)
    assert options.items() <= vars(loaded.network.core).items()
    past = 1e3 + 50 * torch.randn(3, 24, 1)
    past[0, 4] = torch.nan
    assert torch.equal(loaded(past), forecaster.eval()(past))

    errors = []
    for one in (loaded, NaiveForecaster(**sizes)):
        validating = trainer()
        validating.validate(one, loader(64), verbose=False)
        errors.append(validating.callback_metrics["val_mae"].item())
    assert errors[0] < 0.3 * errors[1]


@pytest.mark.parametrize(("forecaster_class", "layer_class", "options"), CELLS)
def test_options_reach_the_layers(sizes, forecaster_class, layer_class, options):
    forecaster = forecaster_class(hidden_size=5, num_layers=3, dropout=0.2, **options, **sizes)
    core = forecaster.network.core
    assert (core.hidden_size, core.num_layers, core.dropout) == (5, 3, 0.2)
    assert options.items() <= vars(core).items()
    assert forecaster_class(dropout=0.2, **options, **sizes).network.core.dropout == 0  # and no warning


@pytest.mark.parametrize("forecaster_class", [GRUForecaster, RNNForecaster])
@pytest.mark.parametrize(
    ("argument", "message"),
    [({"hidden_size": 0}, "hidden_size"), ({"num_layers": 0}, "num_layers"), ({"dropout": 1.0}, "dropout")],
)
def test_wrong_arguments(sizes, forecaster_class, argument, message):
    with pytest.raises(ValueError, match=message):
        forecaster_class(**argument, **sizes)


def test_wrong_nonlinearity(sizes):
    with pytest.raises(ValueError, match="nonlinearity expected 'tanh' or 'relu', got 'gelu'"):
        RNNForecaster(nonlinearity="gelu", **sizes)


def test_a_subclass_without_layers_is_told(sizes):
    class Mine(RecurrentForecaster):
        pass

    with pytest.raises(NotImplementedError, match="Mine has no layers: override build_core"):
        Mine(**sizes)


REGULARISED = [
    (LSTMForecaster, {"peephole": True, "zoneout": (0.1, 0.05)}),
    (LSTMForecaster, {"zoneout": 0.1}),
    (GRUForecaster, {"zoneout": 0.1}),
    (RNNForecaster, {"zoneout": 0.1, "nonlinearity": "relu"}),
]


@pytest.mark.parametrize(("forecaster_class", "options"), REGULARISED)
def test_layer_norm_and_noise_train_and_come_back(
    sizes, loader, trainer, tmp_path, forecaster_class, options
):
    options = {"layer_norm": True, "recurrent_dropout": 0.2, **options}
    torch.manual_seed(0)
    forecaster = forecaster_class(hidden_size=6, num_layers=2, **options, **sizes)
    running = trainer(max_epochs=1, limit_val_batches=0)
    before = {name: value.clone() for name, value in forecaster.network.core.state_dict().items()}
    running.fit(forecaster, loader(64, shuffle=True))
    running.save_checkpoint(tmp_path / "a.ckpt")
    after = forecaster.network.core.state_dict()
    assert all(not torch.equal(after[name], value) for name, value in before.items())

    loaded = seqlight.load(tmp_path / "a.ckpt")
    core = loaded.network.core
    assert {name: getattr(core, name) for name in options} == options
    assert dict(loaded.hparams) == dict(forecaster.hparams)
    past = torch.randn(3, 24, 1)
    assert torch.equal(loaded(past), loaded(past))  # nothing is drawn in evaluation
    assert torch.equal(loaded(past), forecaster.eval()(past))


@pytest.mark.parametrize("forecaster_class", [LSTMForecaster, GRUForecaster, RNNForecaster])
@pytest.mark.parametrize("option", ["recurrent_dropout", "zoneout"])
def test_wrong_probability(sizes, forecaster_class, option):
    with pytest.raises(ValueError, match=f"{option} expected a probability p with 0 <= p < 1, got 1.0"):
        forecaster_class(**{option: 1.0}, **sizes)
