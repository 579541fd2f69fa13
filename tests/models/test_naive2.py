"""Naive2 as a forecaster, against the M4 competition's rules written out for one series at a time."""

import math

import pytest
import torch

from seqlight.models import Naive2Forecaster

SEASON = 4


def written_out(values, horizon, season):
    """The forecast of a plain list by loops."""
    count, last = len(values), values[-1]
    plain = [last] * horizon
    if season == 1 or count < 3 * season:
        return plain
    mean = sum(values) / count
    variance = sum((value - mean) ** 2 for value in values)

    def correlation(lag):
        return sum((values[t] - mean) * (values[t - lag] - mean) for t in range(lag, count)) / variance

    squares = sum(correlation(lag) ** 2 for lag in range(1, season))
    if abs(correlation(season)) <= 1.645 * math.sqrt((1 + 2 * squares) / count):
        return plain
    ratios = {phase: [] for phase in range(season)}
    half = season // 2
    for t in range(half, count - half):
        if season % 2:
            average = sum(values[t - half : t + half + 1]) / season
        else:
            inner = sum(values[t - half + 1 : t + half])
            average = (inner + (values[t - half] + values[t + half]) / 2) / season
        ratios[t % season].append(values[t] / average)
    indices = [sum(found) / len(found) for found in ratios.values()]
    indices = [index * season / sum(indices) for index in indices]
    adjusted = last / indices[(count - 1) % season]
    return [adjusted * indices[(count + step) % season] for step in range(horizon)]


@pytest.mark.parametrize("season", [1, 4, 5])
def test_against_the_rules_written_out(season):
    """Windows with a season, with a weak one, and without; both answers of the test of it come."""
    generator = torch.Generator().manual_seed(season)
    strength = torch.linspace(0, 0.5, 12, dtype=torch.float64)[:, None]
    steps = torch.arange(41)
    noise = torch.randn(12, 41, generator=generator, dtype=torch.float64)
    values = 50 * (1 + strength * torch.sin(2 * math.pi * steps / max(season, 2) + 0.4)) + 4 * noise
    model = Naive2Forecaster(season_length=season, context_length=41, prediction_length=7)
    found = model(values[..., None])[..., 0]
    expected = torch.tensor([written_out(row.tolist(), 7, season) for row in values], dtype=torch.float64)
    torch.testing.assert_close(found, expected)
    seasonal = int((expected != expected[:, :1]).any(1).sum())
    assert 0 < seasonal < 12 if season > 1 else seasonal == 0


def test_too_short_for_a_season_and_gaps():
    model = Naive2Forecaster(season_length=SEASON, context_length=11, prediction_length=3, target_size=2)
    values = torch.tensor([1.0, 9.0, 5.0, 3.0]).repeat(3)[:11, None].repeat(1, 2)[None]
    values[0, -1, 0] = torch.nan
    values[0, :, 1] = torch.nan
    found = model(values)
    assert found[0, :, 0].tolist() == [9.0] * 3 and found[0, :, 1].isnan().all()


def test_what_is_refused():
    with pytest.raises(ValueError, match="season_length: expected at least 1, got 0"):
        Naive2Forecaster(season_length=0, context_length=11, prediction_length=3)
