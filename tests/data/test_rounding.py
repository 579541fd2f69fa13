"""Times that jitter around a grid are rounded to it; times that do not are left to others."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqlight.data.time.frequency import HOUR, MINUTE, SECOND, parse_frequency
from seqlight.data.time.rounding import round_times, rounding_step

START = 1_577_836_800 * SECOND


@given(
    st.sampled_from(["1s", "10s", "1min", "5min", "15min", "1h", "6h", "1d"]),
    st.sampled_from([0, 3, 6]),
    st.integers(0, 2**32 - 1),
)
def test_jitter_is_rounded_away(name, twelfths, seed):
    step = parse_frequency(name)
    random = np.random.default_rng(seed)
    grid = START + twelfths * step.step // 12 + np.arange(300) * step.step
    times = grid + random.integers(-step.step // 10, step.step // 10, 300)
    assert rounding_step(times, np.array([0])) == step
    assert np.array_equal(round_times(times, step), grid)


def test_series_are_told_apart():
    grid = START + np.arange(100) * HOUR
    jitter = np.random.default_rng(0).integers(-5 * MINUTE, 5 * MINUTE, 100)
    times = np.concatenate([grid, grid]) + np.concatenate([jitter, -jitter])
    first_rows = np.array([0, 100])
    assert rounding_step(times, first_rows) == parse_frequency("1h")
    assert np.array_equal(round_times(times, parse_frequency("1h")), np.concatenate([grid, grid]))


@pytest.mark.parametrize("seed", range(5))
def test_times_at_random_have_no_step(seed):
    times = START + np.sort(np.random.default_rng(seed).integers(0, 1000 * HOUR, 500))
    assert rounding_step(times, np.array([0])) is None
    assert rounding_step(times[:1], np.array([0])) is None
