"""The MASE denominator equals its definition, and is NaN where it has none."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from seqlight.data import seasonal_scale

CELLS = st.one_of(st.integers(-50, 50).map(float), st.just(float("nan")))


def one_series(values, season):
    for lag in (season, 1):
        differences = [abs(b - a) for a, b in zip(values, values[lag:], strict=False) if not np.isnan(b - a)]
        if differences:
            return np.mean(differences) or np.nan
    return np.nan


@given(
    series=st.lists(st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=12), min_size=1, max_size=5),
    season=st.integers(1, 6),
    data=st.data(),
)
def test_scale_is_the_mean_absolute_seasonal_difference_of_training(series, season, data):
    stops = [data.draw(st.integers(0, len(values))) for values in series]
    indptr = np.cumsum([0] + [len(values) for values in series])
    scale = seasonal_scale(
        np.float32([cell for values in series for cell in values]), indptr, np.array(stops), season
    )
    expected = [
        [one_series([cell[channel] for cell in values[:stop]], season) for channel in range(2)]
        for values, stop in zip(series, stops, strict=True)
    ]
    assert scale.dtype == np.float32
    np.testing.assert_allclose(scale, expected, rtol=1e-6)


def test_constant_series_has_no_scale():
    values = np.float32([[3], [3], [3], [1], [2], [4]])
    scale = seasonal_scale(values, np.array([0, 3, 6]), np.array([3, 3]), 1)
    assert np.isnan(scale[0, 0])
    assert scale[1, 0] == 1.5
