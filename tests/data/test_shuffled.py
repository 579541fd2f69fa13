"""An order that is computed is a permutation, differs with its seed, and is as even as a drawn one."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from seqlight.data.windows import window_loader
from seqlight.data.windows.shuffled import Shuffled
from seqlight.data.windows.window_loader import WindowSampler


@given(total=st.integers(1, 5000), seed=st.integers(0, 50))
def test_it_is_a_permutation(total, seed):
    order = Shuffled(total, [seed, 0])(np.arange(total))
    assert sorted(order.tolist()) == list(range(total))


def test_seeds_give_other_orders_and_no_order_shows_through():
    total = 100_000
    one, other = (Shuffled(total, [0, epoch])(np.arange(total)) for epoch in (0, 1))
    assert (one == other).mean() < 1e-3
    for order in (one, other):
        assert abs(np.corrcoef(order, np.arange(total))[0, 1]) < 0.02
        assert abs(np.corrcoef(order[1:], order[:-1])[0, 1]) < 0.02
        # Each batch of 1,000 is spread over the whole: its mean is within five deviations.
        means = order.reshape(100, 1000).mean(1)
        assert np.abs(means - total / 2).max() < 5 * total / np.sqrt(12 * 1000)


@pytest.mark.parametrize("processes", [1, 2, 3])
def test_the_sampler_takes_it_for_many_windows(monkeypatch, processes):
    monkeypatch.setattr(window_loader, "MOST_PERMUTED", 100)
    monkeypatch.setattr(window_loader, "_CHUNK", 64)
    windows = 1001
    shares = []
    for rank in range(processes):
        sampler = WindowSampler(range(windows), num_replicas=processes, rank=rank, shuffle=True, seed=3)
        whole = list(sampler)
        assert len(whole) == len(sampler)
        sampler.skip = 150
        assert list(sampler) == whole[150:]
        assert list(sampler) == whole
        sampler.set_epoch(1)
        assert list(sampler) != whole
        shares.append(whole)
    assert set(torch.tensor(shares).flatten().tolist()) == set(range(windows))
    assert sum(map(len, shares)) - windows < processes
