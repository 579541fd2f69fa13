"""From a vector to a sequence."""

import pytest
import torch

import seqlight
from seqlight.data import SyntheticDataModule
from seqlight.models import SequenceGenerator

SIZES = {"static_covariate_size": 4, "prediction_length": 12}


def data_module(n_train=1500):
    return SyntheticDataModule(
        "parametric_sines", context_length=1, prediction_length=12, n_train=n_train, n_val=64, n_test=64
    )


@pytest.mark.parametrize("feed", ["repeat", "first"])
def test_unrolls_a_wave_and_comes_back(trainer, tmp_path, feed):
    torch.manual_seed(0)
    data = data_module()
    model = SequenceGenerator(
        core="gru", feed=feed, hidden_size=32, lr=2e-2, lr_schedule="one_cycle", **SIZES
    )
    running = trainer(max_epochs=5, gradient_clip_val=1.0)
    running.fit(model, data)
    wave = data.drawn.target[:, 1:]
    assert running.callback_metrics["val_loss"] < 0.15 * wave.var()
    running.save_checkpoint(tmp_path / "a.ckpt", weights_only=True)
    loaded = seqlight.load(tmp_path / "a.ckpt")
    static = torch.from_numpy(data.drawn.static[-3:])
    assert torch.equal(loaded(static), model.eval()(static))
    (*_, last) = running.predict(model, data)
    torch.testing.assert_close(last["prediction"][-3:], loaded(static))
    assert last["start"][-1] == 1


@pytest.mark.parametrize("core", ["rnn", "lstm", "tcn", "wavenet"])
def test_every_core_gives_any_length(core):
    model = SequenceGenerator(core=core, target_size=2, hidden_size=4, **SIZES).eval()
    vector = torch.randn(3, 4)
    sequence = model(vector)
    assert sequence.shape == (3, 12, 2)
    torch.testing.assert_close(model(vector, steps=20)[:, :12], sequence)


def test_what_the_core_is_fed():
    vector = torch.randn(3, 4)
    repeated, first = (SequenceGenerator(core="rnn", feed=feed, **SIZES) for feed in ("repeat", "first"))
    fed = []
    for model in (repeated, first):
        model.network.core.register_forward_pre_hook(lambda module, arguments: fed.append(arguments[0]))
        model(vector)
    assert torch.equal(fed[0], vector.unsqueeze(1).repeat(1, 12, 1))
    assert torch.equal(fed[1][:, 0], vector) and (fed[1][:, 1:] == 0).all()


def test_unknown_cells_do_not_count():
    model = SequenceGenerator(**SIZES)
    batch = {"static_covariates": torch.randn(2, 4), "future_target": torch.randn(2, 12, 1)}
    batch["future_target"][0, 3] = torch.nan
    output = model.output(batch)
    total, count = model.loss(output, model.target(batch, output))
    errors = (output - batch["future_target"]).flatten()
    assert count == 23
    torch.testing.assert_close(total, errors[~errors.isnan()].square().sum())


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ({"static_covariate_size": 0}, "static_covariate_size"),
        ({"feed": "last"}, "feed: expected one of 'repeat', 'first'"),
        ({"core": "mlp"}, "core: expected one of"),
        ({"core_options": {"kernel_size": 3}}, "core_options: LSTM has no option 'kernel_size'"),
        ({"loss": "mape"}, "loss"),
    ],
)
def test_wrong_arguments(argument, message):
    with pytest.raises(ValueError, match=message):
        SequenceGenerator(**{**SIZES, **argument})


def test_wrong_shapes():
    model = SequenceGenerator(**SIZES)
    with pytest.raises(
        ValueError, match=r"static_covariates: expected shape \[B, V\] = \[B, 4\], got \[3, 5\]"
    ):
        model(torch.randn(3, 5))
    with pytest.raises(ValueError, match="steps: expected at least 1, got 0"):
        model(torch.randn(3, 4), steps=0)
    batch = {"static_covariates": torch.randn(3, 4), "future_target": torch.randn(3, 11, 1)}
    with pytest.raises(ValueError, match=r"future_target: expected shape \[B, H, C\] = \[3, 12, 1\]"):
        model.validation_step(batch, 0)
