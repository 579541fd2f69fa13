import pytest
import torch

from seqlight.metrics.functional import block_bootstrap


def autoregression(count, share, seed):
    """Numbers of which neighbours are alike, mean 0, variance 1."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(count, generator=generator, dtype=torch.float64)
    values = [noise[0]]
    for one in noise[1:]:
        values.append(share * values[-1] + (1 - share**2) ** 0.5 * one)
    return torch.stack(values)


def test_ranges_hold_the_mean_as_often_as_they_say():
    # The exact mean is 0; the variance of the mean of an AR(1) is (1 + a) / (1 - a) / n.
    held = {1: 0, 30: 0}
    repeats = 150
    for seed in range(repeats):
        values = autoregression(600, 0.8, seed)
        for block in held:
            low, high = block_bootstrap(values, torch.ones(600), block, repeats=300, seed=seed)
            held[block] += low <= 0 <= high
    assert held[30] / repeats > 0.85
    assert held[1] / repeats < 0.65  # blocks of 1 take neighbours for independent


def test_it_is_a_ratio_of_sums():
    numerator = torch.tensor([1.0, 0.0, 3.0, 0.0, 8.0, 0.0])
    low, high = block_bootstrap(numerator, 2 * numerator, 2, repeats=50)
    assert low == high == pytest.approx(0.5)
    assert block_bootstrap(numerator, torch.ones(6), 2) == block_bootstrap(numerator, torch.ones(6), 2)


@pytest.mark.parametrize(("count", "block"), [(0, 3), (1, 3), (5, 3)])
def test_fewer_than_two_blocks_have_no_range(count, block):
    low, high = block_bootstrap(torch.ones(count), torch.ones(count), block)
    assert low != low and high != high
