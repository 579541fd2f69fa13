"""The encoder-decoder strategy: what the decoder is fed in training and in decoding."""

import math

import pytest
import torch
from torch import nn
from torch.nn.functional import mse_loss

from seqlight.nn import GRU, EncoderDecoder
from seqlight.strategies import EncoderDecoderStrategy, Window

LENGTH, HORIZON, CHANNELS, COVARIATES = 7, 4, 2, 1


def squared(preds, target):
    return mse_loss(preds, target, reduction="none")


class Recording(nn.Module):
    """Encodes the past as its last value; every output is the decoder's input target plus 1."""

    def __init__(self):
        super().__init__()
        self.calls = []

    def encode(self, x):
        self.calls.append(x)
        return x[:, -1]

    def decode(self, inputs, state):
        self.calls.append(inputs)
        return inputs[..., :CHANNELS] + 1, state


def window(batch=3, **kwargs):
    torch.manual_seed(0)
    past = torch.randn(batch, LENGTH, CHANNELS)
    covariates = torch.arange(LENGTH + HORIZON - 1.0).expand(batch, -1).unsqueeze(2)
    return Window(past=past, prediction_length=HORIZON, covariates=covariates, **kwargs)


@pytest.fixture
def strategy():
    return EncoderDecoderStrategy(CHANNELS, HORIZON)


def test_decoding_feeds_back_its_own_forecast(strategy):
    network, given = Recording(), window()
    forecast = strategy.decode(network, given)
    steps = torch.arange(1.0, HORIZON + 1).reshape(1, -1, 1)
    torch.testing.assert_close(forecast, given.past[:, -1:] + steps)
    past, *steps = network.calls
    assert torch.equal(past, given.inputs())
    assert torch.equal(steps[0], past[:, -1:])
    # Each step has the covariates of the time that it predicts, which entry t of `covariates` is for t + 1.
    assert [step[0, 0, -1].item() for step in steps] == [6, 7, 8, 9]


def test_teacher_forcing_is_one_call_on_the_truth(strategy):
    network, given = Recording(), window()
    future = torch.randn(3, HORIZON, CHANNELS)
    total, count = strategy.loss(network, given, future, squared)
    assert len(network.calls) == 2
    told = torch.cat([given.past[:, -1:], future[:, :-1]], dim=1)
    torch.testing.assert_close(network.calls[1][..., :CHANNELS], told)
    torch.testing.assert_close(network.calls[1][0, :, -1], torch.tensor([6.0, 7, 8, 9]))
    torch.testing.assert_close(total, (told + 1 - future).square().sum())
    assert count == future.numel()


def test_missing_truth_is_shown_as_missing(strategy):
    network, given = Recording(), window(observed_indicator=True)
    future = torch.randn(3, HORIZON, CHANNELS)
    future[0, 1, 0] = math.nan
    total, count = strategy.loss(network, given, future, squared)
    assert network.calls[1][0, 2, :4].tolist() == [0, future[0, 1, 1].item(), 0, 1]
    assert total.isfinite() and count == future.numel() - 1


def test_step_by_step_with_the_truth_alone_is_the_fused_call(strategy):
    layers = GRU(3, 5), GRU(3, 5)
    network = EncoderDecoder(*layers, output_size=CHANNELS).double()
    given = window(input_dtype=torch.float64)
    future = torch.randn(3, HORIZON, CHANNELS)
    fused = strategy.loss(network, given, future, squared)
    stepwise = strategy._decode(network, given, future, 1.0)[0]
    torch.testing.assert_close(squared(stepwise, future).sum(), fused[0], rtol=1e-5, atol=1e-6)


def test_the_coin_is_tossed_for_every_window_and_step(strategy):
    batch = 4000
    network, given = Recording(), window(batch)
    truth = torch.full((batch, HORIZON, CHANNELS), 100.0)
    strategy.loss(network, given, truth, squared, teacher_forcing=0.3)
    fed = torch.cat(network.calls[1:], dim=1)[:, 1:, :CHANNELS] == 100.0
    assert (fed[..., 0] == fed[..., 1]).all()  # all channels of a step together
    shares = fed[..., 0].float().mean(0)
    assert ((shares - 0.3).abs() < 0.03).all()
    together = (fed[:, 0, 0] & fed[:, 1, 0]).float().mean()
    assert together == pytest.approx(0.09, abs=0.02)


def test_no_gradient_through_what_was_fed_back(strategy):
    network = EncoderDecoder(GRU(3, 5), GRU(3, 5), output_size=CHANNELS)
    given = window()
    inputs = []
    network.decoder.register_forward_pre_hook(lambda module, arguments: inputs.append(arguments[0]))
    total, _ = strategy.loss(network, given, torch.randn(3, HORIZON, CHANNELS), squared, teacher_forcing=0.0)
    total.backward()
    assert len(inputs) == HORIZON and not any(step.requires_grad for step in inputs)
    assert network.encoder.weight_ih_l0.grad.abs().sum() > 0


def test_networks_that_do_not_encode_are_refused(strategy):
    with pytest.raises(TypeError, match="Linear has no encode and no decode"):
        strategy.check_network(nn.Linear(2, 2))
    strategy.check_network(Recording())


def test_wrong_output_of_the_network(strategy):
    class Wide(Recording):
        def decode(self, inputs, state):
            return inputs.repeat(1, 1, 2), state

    with pytest.raises(ValueError, match=r"Wide.decode: expected .* = \[3, 1, 2\], got \[3, 1, 6\]"):
        strategy.decode(Wide(), window())
