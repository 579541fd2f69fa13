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


@pytest.fixture
def german_days():
    pytest.importorskip("holidays", reason="public holidays need the package holidays")
    return pd.date_range("2019-12-20", "2021-01-05", freq="6h")


def test_holidays_and_the_days_before_them(german_days):
    features = calendar_features(
        german_days.to_numpy("datetime64[us]").astype(np.int64), ["holidays:DE", "holidays:DE-BY", "hour"]
    )
    assert features.shape == (len(german_days), 6)
    german = [
        "2019-12-25",
        "2019-12-26",
        "2020-01-01",
        "2020-04-10",
        "2020-04-13",
        "2020-05-01",
        "2020-05-21",
    ]
    german += ["2020-06-01", "2020-10-03", "2020-12-25", "2020-12-26", "2021-01-01"]
    bavarian = [*german, "2020-01-06", "2020-06-11", "2020-11-01", "2021-01-06"]
    for column, expected in ((0, german), (2, bavarian)):
        days = pd.DatetimeIndex(expected)
        assert np.array_equal(features[:, column] == 1, german_days.normalize().isin(days))
        eves = german_days.normalize().isin(days - pd.Timedelta(days=1))
        assert np.array_equal(features[:, column + 1] == 1, eves)
    assert set(np.unique(features[:, :4])) == {0, 1}


@pytest.mark.parametrize("code", ["XX", "DE-XX", ""])
def test_unknown_countries_are_refused(code, german_days):
    with pytest.raises(DataError, match="expected the ISO code of a country, such as 'holidays:DE'"):
        calendar_features(np.array([0]), [f"holidays:{code}"])
