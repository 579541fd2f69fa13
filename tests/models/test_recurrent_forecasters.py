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


@pytest.mark.parametrize("forecaster_class", [LSTMForecaster, GRUForecaster, RNNForecaster])
@pytest.mark.parametrize("strategy", ["direct", "every_step", "recursive"])
def test_batch_norm_learns_and_comes_back(sizes, loader, trainer, tmp_path, forecaster_class, strategy):
    torch.manual_seed(0)
    forecaster = forecaster_class(
        hidden_size=8, num_layers=2, batch_norm=True, strategy=strategy, lr=2e-2, **sizes
    )
    running = trainer(max_epochs=3)
    running.fit(forecaster, loader(256, shuffle=True), loader(32))
    running.save_checkpoint(tmp_path / "a.ckpt")
    loaded = seqlight.load(tmp_path / "a.ckpt")
    assert loaded.network.core.norms[0].norm.num_batches_tracked == 24
    past = torch.randn(3, 24, 1)
    assert torch.equal(loaded(past), forecaster.eval()(past))
    naive = trainer()
    naive.validate(NaiveForecaster(**sizes), loader(32), verbose=False)
    assert running.callback_metrics["val_mae"] < 0.8 * naive.callback_metrics["val_mae"]


def test_batch_norm_stands_before_the_output_layer_too(sizes):
    for num_layers, between in ((1, 0), (3, 2)):
        network = LSTMForecaster(hidden_size=5, num_layers=num_layers, batch_norm=True, **sizes).network
        norms = [module for module in network.modules() if isinstance(module, nn.SequenceBatchNorm)]
        assert len(norms) == between + 1
        assert isinstance(network.head[0], nn.SequenceBatchNorm)


@pytest.mark.parametrize("dropout", [0.0, 0.2])
def test_all_layers_recurrent(sizes, loader, trainer, dropout):
    """The deep RNN of 20, 20 and 1 unit: no linear layer, and nothing beyond what tanh can say."""
    sizes = sizes | {"prediction_length": 1}
    forecaster = RNNForecaster(
        hidden_size=20, num_layers=2, recurrent_output=True, dropout=dropout, transform="none", **sizes
    )
    core = forecaster.network.core
    assert [layer.hidden_size for layer in core.layers] == [20, 20, 1] and core.dropout == dropout
    assert not any(isinstance(module, torch.nn.Linear) for module in forecaster.modules())
    forecast = forecaster(1e3 * torch.randn(16, 24, 1))
    assert forecast.shape == (16, 1, 1) and (forecast.abs() <= 1).all()
    samples = [{"past_target": torch.rand(24, 1), "future_target": torch.rand(1, 1)} for _ in range(8)]
    before = core.layers[2].weight_hh_l0.clone()
    trainer(max_epochs=1, limit_val_batches=0).fit(
        forecaster, torch.utils.data.DataLoader(samples, batch_size=4)
    )
    assert not torch.equal(core.layers[2].weight_hh_l0, before)


def test_all_layers_recurrent_at_every_step(sizes):
    forecaster = GRUForecaster(
        hidden_size=5, recurrent_output=True, batch_norm=True, strategy="every_step", target_size=2, **sizes
    )
    assert [layer.hidden_size for layer in forecaster.network.core.layers] == [5, 12]
    assert forecaster(torch.randn(3, 24, 2)).shape == (3, 6, 2)
