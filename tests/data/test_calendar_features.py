"""Calendar features turn once in their period."""

import numpy as np
import pandas as pd
import pytest

from seqlight.data import DataError
from seqlight.data.time.calendar_features import FEATURE_NAMES, calendar_features


def test_features_equal_the_calendar():
    index = pd.date_range("2023-12-30 22:45", periods=20_000, freq="37min")
    features = calendar_features(index.to_numpy("datetime64[us]").astype(np.int64), FEATURE_NAMES)
    assert features.shape == (20_000, 2 * len(FEATURE_NAMES))
    assert features.dtype == np.float32
    year_length = np.where(index.is_leap_year, 366, 365)
    phases = {
        "minute": index.minute / 60,
        "hour": (index.hour * 60 + index.minute) / 1440,
        "day_of_week": index.day_of_week / 7,
        "day_of_month": (index.day - 1) / index.days_in_month,
        "day_of_year": (index.day_of_year - 1) / year_length,
        "month": (index.month - 1) / 12,
    }
    for column, name in enumerate(FEATURE_NAMES):
        angle = 2 * np.pi * np.asarray(phases[name])
        np.testing.assert_allclose(features[:, 2 * column], np.sin(angle), atol=1e-6)
        np.testing.assert_allclose(features[:, 2 * column + 1], np.cos(angle), atol=1e-6)


def test_times_before_1970():
    index = pd.date_range("1949-01-01", periods=30, freq="MS")
    features = calendar_features(index.to_numpy("datetime64[us]").astype(np.int64), ["month"])
    np.testing.assert_allclose(features[:, 0], np.sin(2 * np.pi * (index.month - 1) / 12), atol=1e-6)


def test_a_feature_twice_is_refused():
    with pytest.raises(DataError, match="each name may appear once"):
        calendar_features(np.array([0]), ["hour", "hour"])
