import math

import pytest
import torch
from torch import nn
from torch.nn.functional import mse_loss

from seqlight.strategies import (
    STRATEGIES,
    DirectStrategy,
    EveryStepStrategy,
    RecursiveStrategy,
    Window,
    masked_loss,
)

LENGTH, HORIZON, CHANNELS = 7, 3, 2
NAN = math.nan


def squared(preds, target):
    return mse_loss(preds, target, reduction="none")


def series(batch=4):
    values = torch.arange(batch * (LENGTH + HORIZON) * CHANNELS, dtype=torch.float32)
    values = values.reshape(batch, LENGTH + HORIZON, CHANNELS) / 10
    return values[:, :LENGTH], values[:, LENGTH:]


def window(past, **kwargs):
    return Window(past=past, prediction_length=HORIZON, **kwargs)


class Recording(nn.Module):
    """Sums its inputs over time; its output is the running sum of the target channels plus 1."""

    def __init__(self, *, keeps_state=True):
        super().__init__()
        self.keeps_state = keeps_state
        self.calls = []

    def forward(self, x, state=None):
        self.calls.append(x)
        sums = x[..., :CHANNELS].cumsum(1) + (0 if state is None else state)
        return sums + 1, sums[:, -1:] if self.keeps_state else None


class Strided(nn.Module):
    """A strided, valid convolution, aligned to the end of its input."""

    def __init__(self, output_size, kernel=3, stride=2):
        super().__init__()
        self.conv = nn.Conv1d(CHANNELS, output_size, kernel, stride)

    def forward(self, x, state=None):
        skipped = (x.shape[1] - self.conv.kernel_size[0]) % self.conv.stride[0]
        return self.conv(x[:, skipped:].transpose(1, 2)).transpose(1, 2), None

    def output_steps(self, length):
        (kernel,), (stride,) = self.conv.kernel_size, self.conv.stride
        return range(kernel - 1 + (length - kernel) % stride, length, stride)


@pytest.mark.parametrize(("name", "output_size"), [("direct", 6), ("every_step", 6), ("recursive", 2)])
def test_output_size(name, output_size):
    assert STRATEGIES[name](CHANNELS, HORIZON).output_size == output_size


def test_every_step_targets_are_the_following_steps_at_every_step():
    past, future = series()
    whole = torch.cat([past, future], dim=1)
    targets = EveryStepStrategy(CHANNELS, HORIZON).targets(past, future, range(LENGTH))
    assert targets.shape == (4, LENGTH, HORIZON, CHANNELS)
    for step in range(LENGTH):
        assert torch.equal(targets[:, step], whole[:, step + 1 : step + 1 + HORIZON])


def test_recursive_targets_are_the_next_step_at_every_step():
    past, future = series()
    targets = RecursiveStrategy(CHANNELS, HORIZON).targets(past, future, range(LENGTH))
    assert torch.equal(targets[:, :, 0], torch.cat([past[:, 1:], future[:, :1]], dim=1))


def test_direct_target_is_the_future():
    past, future = series()
    assert torch.equal(DirectStrategy(CHANNELS, HORIZON).targets(past, future, range(LENGTH))[:, 0], future)


@pytest.mark.parametrize("name", ["direct", "every_step", "recursive"])
def test_loss_is_the_mean_over_the_known_targets(name):
    past, future = series()
    past[1, 3] = NAN
    future[2, 1, 0] = NAN
    strategy = STRATEGIES[name](CHANNELS, HORIZON)
    network = nn.GRU(CHANNELS, strategy.output_size, batch_first=True)
    total, count = strategy.loss(network, window(past), future, squared)
    output = network(past.nan_to_num(0.0))[0].unflatten(2, (strategy.horizon, CHANNELS))
    target = strategy.targets(past, future, range(LENGTH))
    if name == "direct":
        output = output[:, -1:]
    known = ~target.isnan()
    assert count == known.sum()
    torch.testing.assert_close(total, (output - target)[known].square().sum())
    total.backward()
    assert all(parameter.grad.isfinite().all() for parameter in network.parameters())


def test_loss_without_any_known_target_is_zero_with_zero_gradient():
    preds = torch.randn(3, requires_grad=True)
    total, count = masked_loss(squared, preds, torch.full((3,), NAN))
    total.backward()
    assert (total.item(), count.item()) == (0.0, 0.0)
    assert preds.grad.tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("name", ["direct", "every_step"])
def test_decode_is_the_last_output(name):
    past, _ = series()
    strategy = STRATEGIES[name](CHANNELS, HORIZON)
    network = nn.GRU(CHANNELS, strategy.output_size, batch_first=True)
    decoded = strategy.decode(network, window(past))
    assert torch.equal(decoded, network(past)[0][:, -1].unflatten(1, (HORIZON, CHANNELS)))


def test_recursive_decoding_takes_one_step_for_each_new_value():
    past, _ = series()
    network = Recording()
    decoded = RecursiveStrategy(CHANNELS, HORIZON).decode(network, window(past))
    assert [call.shape[1] for call in network.calls] == [LENGTH, 1, 1]
    first = past.sum(1) + 1
    second = past.sum(1) + first + 1
    third = past.sum(1) + first + second + 1
    torch.testing.assert_close(decoded, torch.stack([first, second, third], dim=1))


def test_recursive_decoding_without_state_runs_the_last_inputs_again():
    past, _ = series()
    network = Recording(keeps_state=False)
    decoded = RecursiveStrategy(CHANNELS, HORIZON).decode(network, window(past))
    assert [call.shape[1] for call in network.calls] == [LENGTH] * HORIZON
    first = past.sum(1) + 1
    second = past[:, 1:].sum(1) + first + 1
    third = past[:, 2:].sum(1) + first + second + 1
    torch.testing.assert_close(decoded, torch.stack([first, second, third], dim=1))


def test_inputs_hold_target_indicator_next_covariates_and_static():
    past, _ = series()
    past[0, 2, 1] = NAN
    covariates = torch.randn(4, LENGTH + HORIZON - 1, 5)
    static = torch.randn(4, 2)
    given = window(past, covariates=covariates, static=static, observed_indicator=True)
    inputs = given.inputs()
    assert inputs.shape == (4, LENGTH, CHANNELS + CHANNELS + 5 + 2)
    assert torch.equal(inputs[..., :2], past.nan_to_num(0.0))
    assert inputs[0, 2, 2:4].tolist() == [1.0, 0.0]
    assert inputs[..., 2:4].sum() == 4 * LENGTH * CHANNELS - 1
    assert torch.equal(inputs[..., 4:9], covariates[:, :LENGTH])
    assert torch.equal(inputs[..., 9:], static[:, None].expand(-1, LENGTH, -1))
    fed_back = given.feedback(torch.ones(4, 1, CHANNELS), 2)
    assert torch.equal(fed_back[:, 0, :4], torch.ones(4, 4))
    assert torch.equal(fed_back[:, 0, 4:9], covariates[:, LENGTH + 1])


@pytest.mark.parametrize("length", [LENGTH, LENGTH + 1])
@pytest.mark.parametrize("name", ["direct", "every_step", "recursive"])
def test_shortened_sequence_is_held_against_the_targets_of_the_steps_it_has_seen(name, length):
    past, future = torch.randn(4, length, CHANNELS), torch.randn(4, HORIZON, CHANNELS)
    strategy = STRATEGIES[name](CHANNELS, HORIZON)
    network = Strided(strategy.output_size)
    steps = network.output_steps(length)
    total, count = strategy.loss(network, window(past), future, squared)
    output = network(past)[0].unflatten(2, (strategy.horizon, CHANNELS))
    if name == "direct":
        expected = (output[:, -1] - future).square().sum()
    else:
        every = strategy.targets(past, future, range(length))
        expected = (output - every[:, list(steps)]).square().sum()
    torch.testing.assert_close(total, expected)
    assert strategy.decode(network, window(past)).shape == (4, HORIZON, CHANNELS)
    if name == "every_step":
        assert count == 4 * len(steps) * HORIZON * CHANNELS


@pytest.mark.parametrize(
    ("result", "error", "message"),
    [
        (torch.zeros(4, LENGTH, 6), TypeError, r"must return the pair \(output, state\).*got Tensor"),
        ((torch.zeros(4, 6), None), ValueError, r"\[B, T, output_size\] = \[4, T, 6\], got \[4, 6\]"),
        ((torch.zeros(4, LENGTH, 5), None), ValueError, r"= \[4, T, 6\], got \[4, 7, 5\]"),
        ((torch.zeros(4, 2, 6), None), ValueError, "2 outputs for 7 input steps.*output_steps"),
    ],
)
def test_network_that_breaks_its_contract_is_told(result, error, message):
    class Broken(nn.Module):
        def forward(self, x, state=None):
            return result

    with pytest.raises(error, match=message):
        DirectStrategy(CHANNELS, HORIZON).decode(Broken(), window(series()[0]))


def test_last_output_must_have_seen_the_last_step():
    class TooEarly(Strided):
        def output_steps(self, length):
            return range(2, length - 1, 2)

    with pytest.raises(ValueError, match="of which the last is 6"):
        DirectStrategy(CHANNELS, HORIZON).decode(TooEarly(6), window(series()[0]))
