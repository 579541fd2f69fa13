"""The encoder-decoder forecaster: it learns, samples on schedule, comes back, and refuses."""

import math

import pytest
import torch

import seqlight
from seqlight import nn
from seqlight.models import EncoderDecoderForecaster, Forecaster, LSTMForecaster, NaiveForecaster

QUICK = {"hidden_size": 16, "lr": 2e-2, "lr_schedule": "one_cycle"}
SAMPLED = {"teacher_forcing_schedule": "linear", "teacher_forcing_steps": 60}


@pytest.mark.parametrize(
    ("cell", "options"),
    [
        ("lstm", {"cell_options": {"peephole": True}} | SAMPLED),
        ("gru", {}),
        ("rnn", {"num_layers": 2, "dropout": 0.1}),
    ],
)
def test_learns_a_sine_and_comes_back(sizes, loader, trainer, tmp_path, cell, options):
    torch.manual_seed(0)
    forecaster = EncoderDecoderForecaster(cell=cell, **options, **QUICK, **sizes)
    running = trainer(max_epochs=8, limit_val_batches=0)
    running.fit(forecaster, loader(320, shuffle=True))
    running.save_checkpoint(tmp_path / "a.ckpt")

    loaded = seqlight.load(tmp_path / "a.ckpt")
    assert type(loaded) is EncoderDecoderForecaster
    assert type(loaded.network.decoder) is {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}[cell]
    assert dict(loaded.hparams) == dict(forecaster.hparams)
    past = 1e3 + 50 * torch.randn(3, 24, 1)
    past[0, 4] = torch.nan
    assert torch.equal(loaded(past), forecaster.eval()(past))

    errors = []
    for one in (loaded, NaiveForecaster(**sizes)):
        validating = trainer()
        validating.validate(one, loader(64), verbose=False)
        errors.append(validating.callback_metrics["val_mae"].item())
    assert errors[0] < 0.3 * errors[1]


@pytest.mark.parametrize("context_length", [1, 30])
def test_lengths_in_and_out_are_free(context_length):
    forecaster = EncoderDecoderForecaster(context_length=context_length, prediction_length=7, hidden_size=4)
    assert forecaster(torch.randn(3, context_length, 1)).shape == (3, 7, 1)


def test_covariates_of_the_future_reach_their_own_step_and_later_ones(sizes):
    forecaster = EncoderDecoderForecaster(hidden_size=4, future_covariate_size=2, **sizes).double()
    inputs = {name: value.double() for name, value in forecaster.example_inputs().items()}
    future = torch.randn(1, 6, 2, dtype=torch.float64, requires_grad=True)
    inputs |= {"past_target": torch.randn(1, 24, 1, dtype=torch.float64), "future_covariates": future}
    forecast = forecaster(**inputs)
    for step in range(6):
        (gradient,) = torch.autograd.grad(forecast[0, step, 0], future, retain_graph=True)
        assert gradient.abs().sum(2)[0].nonzero()[:, 0].tolist() == list(range(step + 1))


def test_schedules(sizes):
    def probabilities(steps, **kwargs):
        forecaster = EncoderDecoderForecaster(hidden_size=2, teacher_forcing_steps=100, **kwargs, **sizes)
        return [forecaster.teacher_forcing_probability(step) for step in steps]

    assert probabilities([0, 50, 10**6]) == [1, 1, 1]
    assert probabilities([0, 10**6], teacher_forcing=0.3) == [0.3, 0.3]
    linear = probabilities([0, 25, 100, 1000], teacher_forcing_schedule="linear", teacher_forcing_min=0.2)
    assert linear == pytest.approx([1, 0.8, 0.2, 0.2])
    k = 29.5365995  # k ln k = 100
    expected = [k / (k + math.exp(step / k)) for step in (0, 30, 100, 200)]
    inverse = probabilities([0, 30, 100, 200], teacher_forcing_schedule="inverse_sigmoid")
    assert inverse == pytest.approx(expected, abs=1e-6) and inverse[2] == pytest.approx(0.5)
    assert probabilities([10**6], teacher_forcing_schedule="inverse_sigmoid") == [0]


def test_schedule_follows_the_optimisers_steps(sizes, loader, trainer):
    calls = []

    class Watched(EncoderDecoderForecaster):
        def training_loss(self, window, future):
            calls.append(self.teacher_forcing_probability(self.global_step))
            return super().training_loss(window, future)

    forecaster = Watched(hidden_size=2, teacher_forcing_schedule="linear", teacher_forcing_steps=4, **sizes)
    running = trainer(max_epochs=1, limit_val_batches=0)
    running.fit(forecaster, loader(96, batch_size=16))
    assert calls == [1, 0.75, 0.5, 0.25, 0, 0]
    assert running.callback_metrics["teacher_forcing"].item() == pytest.approx(sum(calls) / 6)


def test_a_network_of_ones_own(sizes, loader, trainer):
    """What encodes and decodes can be used by any Forecaster."""

    class Mine(Forecaster):
        def __init__(self, **kwargs):
            super().__init__(strategy="encoder_decoder", **kwargs)

        def build_network(self):
            layers = (nn.LSTM(self.input_size, 8, layer_count) for layer_count in (1, 1))
            return nn.EncoderDecoder(*layers, output_size=self.output_size)

    running = trainer(max_epochs=1)
    running.fit(Mine(**sizes), loader(64), loader(32))
    assert running.callback_metrics["val_mae"].isfinite()


def test_ready_networks_do_not_decode(sizes):
    with pytest.raises(TypeError, match=r"'encoder_decoder': .*SequenceNetwork has no encode and no decode"):
        LSTMForecaster(strategy="encoder_decoder", **sizes)


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ({"cell": "lstmm"}, "cell: expected one of 'lstm', 'gru', 'rnn'; got 'lstmm'. Did you mean 'lstm'"),
        ({"cell": "tcn"}, "cell: expected one of"),
        (
            {"cell_options": {"peepholes": True}},
            "LSTM has no option 'peepholes'; it has .*peephole",
        ),
        ({"hidden_size": 0}, "hidden_size"),
        ({"num_layers": 0}, "num_layers"),
        ({"teacher_forcing": 1.5}, "teacher_forcing: expected a probability between .* got 1.5"),
        ({"teacher_forcing": 0.1, "teacher_forcing_min": 0.2}, "teacher_forcing_min = 0.2 and 1, got 0.1"),
        ({"teacher_forcing_schedule": "cosine"}, "teacher_forcing_schedule: expected one of"),
        ({"teacher_forcing_steps": 0}, "teacher_forcing_steps"),
    ],
)
def test_wrong_arguments(sizes, argument, message):
    with pytest.raises(ValueError, match=message):
        EncoderDecoderForecaster(**argument, **sizes)


# torch's own call of an autograd.Function while it traces.
@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")
def test_whole_forecaster_is_exported(sizes):
    forecaster = EncoderDecoderForecaster(hidden_size=4, future_covariate_size=2, **sizes).eval()
    inputs = forecaster.example_inputs(2)
    batch = torch.export.Dim("batch")
    exported = torch.export.export(
        forecaster, (), kwargs=inputs, dynamic_shapes={name: {0: batch} for name in inputs}
    )
    inputs = {name: torch.randn(5, *value.shape[1:]) for name, value in inputs.items()}
    torch.testing.assert_close(exported.module()(**inputs), forecaster(**inputs))
