"""What is learned of how the errors of steps and channels go together."""

import math

import pytest
import torch

from seqlight.models import LinearForecaster
from seqlight.models.forecasting.step_dependence import MOST_CHANNELS, StepDependence

STEPS = torch.tensor([[1.0, 0.6, 0.3], [0.6, 1.0, 0.6], [0.3, 0.6, 1.0]])
CHANNELS = torch.tensor([[1.0, -0.8], [-0.8, 1.0]])


def scores(count: int, seed: int = 0) -> torch.Tensor:
    """Normal scores [B, H, C] whose correlations are the products of those of steps and channels."""
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randn(count, 3, 2, generator=generator)
    return torch.linalg.cholesky(STEPS) @ drawn @ torch.linalg.cholesky(CHANNELS).T


def test_steps_and_channels_depend_as_errors_do() -> None:
    dependence = StepDependence(3, 2)
    errors = scores(20_000)
    errors[::3, 1, 0] = math.nan  # some are not known
    for batch in errors.split(1000):
        dependence.moments.update(batch)
    dependence.fit()
    torch.testing.assert_close(dependence.factor @ dependence.factor.T, STEPS, atol=0.03, rtol=0)
    made = dependence(torch.randn(20_000, 1, 3, 2, generator=torch.Generator().manual_seed(1)))
    expected = torch.kron(STEPS, CHANNELS)
    torch.testing.assert_close(torch.corrcoef(made.flatten(1).T), expected, atol=0.04, rtol=0)
    torch.testing.assert_close(made.std(0), torch.ones(1, 3, 2), atol=0.03, rtol=0)


@pytest.mark.parametrize(("steps", "channels"), [(1, 1), (1, 2), (2, 1)])
def test_one_step_or_one_channel(steps: int, channels: int) -> None:
    dependence = StepDependence(steps, channels)
    dependence.moments.update(torch.randn(50, steps, channels))
    dependence.fit()
    assert dependence(torch.randn(4, 1, steps, channels)).isfinite().all()


def test_of_very_many_channels_only_the_steps_are_learned() -> None:
    dependence = StepDependence(2, MOST_CHANNELS + 1)
    assert dependence.channel_factor.shape == (1, 1)
    dependence.moments.update(torch.randn(5, 2, MOST_CHANNELS + 1))
    dependence.fit()
    assert dependence(torch.randn(4, 1, 2, MOST_CHANNELS + 1)).shape == (4, 1, 2, MOST_CHANNELS + 1)


def test_a_checkpoint_of_before_draws_channels_by_themselves() -> None:
    forecaster = LinearForecaster(head="normal", context_length=4, prediction_length=3, target_size=2)
    state = forecaster.state_dict()
    del state["dependence.channel_factor"]
    state["dependence.fitted"].fill_(True)
    forecaster.dependence.channel_factor.fill_(0.5)
    forecaster.load_state_dict(state)
    assert torch.equal(forecaster.dependence.channel_factor, torch.eye(2))


def test_one_step_of_several_channels_needs_a_validation_too() -> None:
    forecaster = LinearForecaster(head="normal", context_length=4, prediction_length=1, target_size=2)
    with pytest.raises(ValueError, match="paths need to know how errors of steps and channels go together"):
        forecaster.predict({"past_target": torch.randn(2, 4, 2)}, samples=3)
