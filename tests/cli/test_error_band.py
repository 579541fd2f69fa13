"""The band holds the share of past errors that it says."""

import numpy as np
import pytest

from seqlight.cli.error_band import COVERAGE, MIN_WINDOWS, ErrorBand


def test_quantiles_are_per_series_step_and_channel() -> None:
    rng = np.random.default_rng(0)
    windows, horizon, channels = 400, 3, 2
    series = np.repeat([0, 1], windows)
    spread = np.array([1.0, 10.0])[series][:, None, None] * np.array([1.0, 2.0, 4.0])[None, :, None]
    target = rng.standard_normal((2 * windows, horizon, channels)) * spread
    preds = np.zeros_like(target)
    band = ErrorBand.of_errors(preds, target, series, 2)
    assert band.lower.shape == band.upper.shape == (2, horizon, channels)
    for s in range(2):
        own = target[series == s]
        np.testing.assert_allclose(band.lower[s], np.quantile(own, 0.1, axis=0))
        np.testing.assert_allclose(band.upper[s], np.quantile(own, 0.9, axis=0))
    assert band.share_inside(preds, target, series) == pytest.approx(COVERAGE, abs=0.01)


def test_missing_targets_do_not_count() -> None:
    target = np.arange(100.0).reshape(100, 1, 1)
    target[::2] = np.nan
    series = np.zeros(100, dtype=np.int64)
    band = ErrorBand.of_errors(np.zeros_like(target), target, series, 1)
    assert band.upper[0, 0, 0] == pytest.approx(np.quantile(np.arange(1.0, 100.0, 2.0), 0.9))


def test_too_few_errors_give_no_band() -> None:
    target = np.ones((MIN_WINDOWS, 2, 1))
    target[0, 1] = np.nan
    series = np.zeros(MIN_WINDOWS, dtype=np.int64)
    band = ErrorBand.of_errors(np.zeros_like(target), target, series, 2)
    assert band.upper[0, :, 0].tolist() == pytest.approx([1.0, np.nan], nan_ok=True)
    assert np.isnan(band.upper[1]).all()
    nothing = ErrorBand(lower=np.full((1, 2, 1), np.nan), upper=np.full((1, 2, 1), np.nan))
    assert nothing.share_inside(target, target, series) is None


def test_wrong_shapes_are_named() -> None:
    with pytest.raises(ValueError, match=r"got \(3, 2, 1\), \(3, 2\) and \(3,\)"):
        ErrorBand.of_errors(np.zeros((3, 2, 1)), np.zeros((3, 2)), np.zeros(3, dtype=np.int64), 1)
