"""Statistics by prefix sums equal those of a plain loop over the rows before a cutoff, and see none after."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqlight.data import seasonal_scale
from seqlight.data.store.prefix_sums import BLOCK, PrefixStatistics


def series_of(lengths, channels, seed):
    random = np.random.default_rng(seed)
    values = (random.normal(size=(sum(lengths), channels)) * 3 + 1000).astype(np.float32)
    values[random.random(values.shape) < 0.2] = np.nan
    return values, np.cumsum([0, *lengths])


@given(
    lengths=st.lists(st.integers(1, 3 * BLOCK), min_size=1, max_size=4),
    channels=st.integers(1, 2),
    seed=st.integers(0, 9),
    season=st.integers(1, 30),
    data=st.data(),
)
def test_equals_a_plain_loop(lengths, channels, seed, season, data):
    values, indptr = series_of(lengths, channels, seed)
    asked = data.draw(st.lists(st.integers(0, len(lengths) - 1), min_size=1, max_size=5))
    cutoffs = [data.draw(st.integers(0, lengths[one])) for one in asked]
    statistics = PrefixStatistics(values, indptr)
    series, cutoff = np.array(asked), np.array(cutoffs)
    count, mean = statistics.count(cutoff, series), statistics.mean(cutoff, series)
    std = statistics.std(cutoff, series)
    difference = statistics.seasonal_difference(cutoff, season, series)
    for row, (one, stop) in enumerate(zip(asked, cutoffs, strict=True)):
        own = values[indptr[one] : indptr[one] + stop].astype(np.float64)
        for channel in range(channels):
            known = own[~np.isnan(own[:, channel]), channel]
            assert count[row, channel] == len(known)
            if len(known):
                np.testing.assert_allclose(mean[row, channel], known.mean(), rtol=1e-9)
                np.testing.assert_allclose(std[row, channel], known.std(), rtol=1e-6, atol=1e-6)
            else:
                assert np.isnan(mean[row, channel]) and np.isnan(std[row, channel])
            pairs = np.abs(own[season:, channel] - own[:-season, channel])
            pairs = pairs[~np.isnan(pairs)]
            expected = pairs.mean() if len(pairs) else np.nan
            np.testing.assert_allclose(difference[row, channel], expected, rtol=1e-5)


def test_scale_is_that_of_the_definition():
    values, indptr = series_of([700, 5, 30], 2, 0)
    stops = np.array([600, 5, 0])
    found = PrefixStatistics(values, indptr).mase_scale(stops, 24)
    np.testing.assert_allclose(found, seasonal_scale(values, indptr, stops, 24), rtol=1e-5)
    assert found.dtype == np.float32 and np.isnan(found[2]).all()


def test_pooled_is_over_the_rows_of_all_series():
    values, indptr = series_of([700, 300], 1, 1)
    seen = np.concatenate([values[:513], values[700:900]])
    mean, std = PrefixStatistics(values, indptr).pooled(np.array([513, 200]))
    np.testing.assert_allclose([mean, std], [[np.nanmean(seen)], [np.nanstd(seen)]], rtol=1e-5)


def test_a_large_series_does_not_blur_a_small_one():
    small, indptr = series_of([600, 600], 1, 4)
    large = small.copy()
    large[:600] *= 1e30
    stops = np.array([600, 600])
    for name, arguments in (("mean", ()), ("std", ()), ("mase_scale", (24,))):
        alone = getattr(PrefixStatistics(small, indptr), name)(stops, *arguments)
        beside = getattr(PrefixStatistics(large, indptr), name)(stops, *arguments)
        np.testing.assert_array_equal(alone[1], beside[1])


def test_later_rows_change_nothing():
    values, indptr = series_of([900, 40], 1, 2)
    cutoff = np.array([517, 40])
    changed = values.copy()
    changed[517:900] = 1e6
    for name, arguments in (("mean", ()), ("std", ()), ("count", ()), ("mase_scale", (24,))):
        before = getattr(PrefixStatistics(values, indptr), name)(cutoff, *arguments)
        after = getattr(PrefixStatistics(changed, indptr), name)(cutoff, *arguments)
        np.testing.assert_array_equal(before, after)
    assert (PrefixStatistics(changed, indptr).mean(np.array([518, 40])) != before).any()


@pytest.mark.parametrize("cutoff", [-3, 0, 10**6])
def test_cutoffs_outside_a_series_are_its_ends(cutoff):
    values, indptr = series_of([300], 1, 3)
    statistics = PrefixStatistics(values, indptr)
    within = np.array([min(max(cutoff, 0), 300)])
    np.testing.assert_array_equal(statistics.count(np.array([cutoff])), statistics.count(within))


def test_no_columns_give_no_statistics():
    values, indptr = series_of([2 * BLOCK + 1, 3], 0, 0)
    mean, std = PrefixStatistics(values, indptr).pooled(np.array([2 * BLOCK, 3]))
    assert mean.shape == std.shape == (0,)
