import sys
from types import ModuleType

import numpy as np
import pytest
import torch
from torch import nn

import seqlight
from seqlight.models import Forecaster, LSTMForecaster, SequenceNetwork

SOURCE = """
from torch import nn
from seqlight.models import Forecaster, SequenceNetwork

class Mine(Forecaster):
    def __init__(self, *, hidden_size: int = 8, **kwargs):
        super().__init__(strategy="recursive", **kwargs)

    def build_network(self):
        core = nn.GRU(self.input_size, self.hparams.hidden_size, batch_first=True)
        return SequenceNetwork(core, nn.Linear(self.hparams.hidden_size, self.output_size))
"""


@pytest.fixture
def module_of():
    """Makes a module of SOURCE under a name, as importing a user's file or running it as a script does."""
    before = dict(sys.modules)

    def make(name):
        module = ModuleType(name)
        sys.modules[name] = module
        exec(SOURCE, module.__dict__)
        return module

    yield make
    for name in set(sys.modules) - set(before):
        del sys.modules[name]
    sys.modules.update(before)


def save(forecaster, loader, trainer, path, **kwargs):
    running = trainer(max_steps=3, limit_val_batches=0, **kwargs)
    running.fit(forecaster, loader(64))
    running.save_checkpoint(path)
    return forecaster.eval()


@pytest.mark.parametrize("strategy", ["direct", "recursive", "every_step"])
@pytest.mark.parametrize("transform", ["standard", "instance"])
def test_loaded_forecaster_is_the_same_on_raw_values(sizes, loader, trainer, tmp_path, strategy, transform):
    forecaster = LSTMForecaster(
        hidden_size=np.int64(5),
        num_layers=2,
        dropout=0.2,
        peephole=True,
        strategy=strategy,
        transform=transform,
        **sizes,
    )
    save(forecaster, loader, trainer, tmp_path / "lstm.ckpt")
    loaded = seqlight.load(tmp_path / "lstm.ckpt")
    assert type(loaded) is LSTMForecaster
    assert not loaded.training
    assert dict(loaded.hparams) == dict(forecaster.hparams)
    never_seen = 1e3 + 50 * torch.randn(3, 24, 1)
    never_seen[0, 4] = torch.nan
    assert torch.equal(loaded(never_seen), forecaster(never_seen))


def test_checkpoint_holds_plain_values_only(sizes, loader, trainer, tmp_path):
    save(LSTMForecaster(hidden_size=4, **sizes), loader, trainer, tmp_path / "a.ckpt")
    checkpoint = torch.load(tmp_path / "a.ckpt", weights_only=True)
    assert checkpoint["hyper_parameters"]["hidden_size"] == 4
    loaded = LSTMForecaster.load_from_checkpoint(tmp_path / "a.ckpt", weights_only=True)
    assert type(loaded) is LSTMForecaster


def test_loading_leaves_the_random_state_alone(sizes, loader, trainer, tmp_path):
    save(LSTMForecaster(hidden_size=4, **sizes), loader, trainer, tmp_path / "a.ckpt")
    before = torch.get_rng_state()
    seqlight.load(tmp_path / "a.ckpt")
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("by_lightning", [False, True])
def test_class_of_an_imported_module_comes_back(sizes, loader, trainer, tmp_path, module_of, by_lightning):
    mine = module_of("some_users_models").Mine
    forecaster = save(mine(hidden_size=4, **sizes), loader, trainer, tmp_path / "mine.ckpt")
    path = tmp_path / "mine.ckpt"
    loaded = (
        mine.load_from_checkpoint(path, weights_only=True).eval() if by_lightning else seqlight.load(path)
    )
    assert type(loaded) is mine
    past = torch.randn(2, 24, 1)
    assert torch.equal(loaded(past), forecaster(past))


def test_class_of_a_module_that_is_not_imported_is_named(sizes, loader, trainer, tmp_path, module_of):
    mine = module_of("some_users_models").Mine
    save(mine(**sizes), loader, trainer, tmp_path / "mine.ckpt")
    del sys.modules["some_users_models"]
    with pytest.raises(
        ImportError, match=r"import some_users_models first, or pass .*load\(path, cls=Mine\)"
    ):
        seqlight.load(tmp_path / "mine.ckpt")
    assert type(seqlight.load(tmp_path / "mine.ckpt", cls=mine)) is mine


def test_class_of_a_script(sizes, loader, trainer, tmp_path, module_of):
    mine = module_of("__main__").Mine
    save(mine(**sizes), loader, trainer, tmp_path / "mine.ckpt")
    assert type(seqlight.load(tmp_path / "mine.ckpt")) is mine  # in the same script
    sys.modules["__main__"] = ModuleType("__main__")
    with pytest.raises(
        ImportError, match=r"made in a script, so pass the class itself: load\(path, cls=Mine\)"
    ):
        seqlight.load(tmp_path / "mine.ckpt")
    assert type(seqlight.load(tmp_path / "mine.ckpt", cls=mine)) is mine


def test_name_in_a_checkpoint_cannot_reach_another_object(sizes, loader, trainer, tmp_path):
    save(LSTMForecaster(hidden_size=4, **sizes), loader, trainer, tmp_path / "a.ckpt")
    checkpoint = torch.load(tmp_path / "a.ckpt", weights_only=True)
    for reference in ("os:system", "seqlight.models.forecasting.forecaster:torch.nn.Linear", "sys:modules"):
        checkpoint["seqlight"]["class"] = reference
        torch.save(checkpoint, tmp_path / "b.ckpt")
        with pytest.raises(ImportError, match="is not known here"):
            seqlight.load(tmp_path / "b.ckpt")


def test_files_that_are_no_checkpoints_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="path: no such checkpoint file"):
        seqlight.load(tmp_path / "none.ckpt")
    (tmp_path / "text.ckpt").write_text("hello")
    with pytest.raises(ValueError, match=r"text.ckpt cannot be read as a checkpoint"):
        seqlight.load(tmp_path / "text.ckpt")
    torch.save({"state_dict": {}}, tmp_path / "other.ckpt")
    with pytest.raises(ValueError, match=r"other.ckpt is no checkpoint of a seqlight model"):
        seqlight.load(tmp_path / "other.ckpt")


# torch's own call of an autograd.Function while it traces.
@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")
def test_compiled_network_is_saved_under_plain_names(sizes, loader, trainer, tmp_path):
    forecaster = LSTMForecaster(hidden_size=4, **sizes)
    forecaster.network = torch.compile(forecaster.network, backend="eager")
    save(forecaster, loader, trainer, tmp_path / "compiled.ckpt")
    loaded = seqlight.load(tmp_path / "compiled.ckpt")
    past = torch.randn(2, 24, 1)
    torch.testing.assert_close(loaded(past), forecaster(past))
    other = LSTMForecaster(hidden_size=4, **sizes)
    other.network = torch.compile(other.network, backend="eager")
    trainer().validate(
        other, loader(64), ckpt_path=tmp_path / "compiled.ckpt", verbose=False, weights_only=True
    )
    torch.testing.assert_close(other(past), forecaster(past))


def test_subclass_with_a_plain_module(sizes):
    class Stateless(Forecaster):
        def build_network(self):
            return SequenceNetwork(
                nn.LSTM(self.input_size, 3, batch_first=True), nn.Linear(3, self.output_size)
            )

    assert Stateless(**sizes)(torch.randn(2, 24, 1)).shape == (2, 6, 1)
