import importlib.util
import math

import numpy as np
import pytest
import torch

from seqlight.transforms import Decompose, decompose

NAN = math.nan
needs_statsmodels = pytest.mark.skipif(
    importlib.util.find_spec("statsmodels") is None,
    reason="statsmodels is not installed, so nothing checks the decomposition: pip install 'seqlight[test]'",
)


def trending_season(length, season_length, *, noise=0.0, channels=1, batch=1, seed=0):
    """A line plus a periodic pattern plus noise, ``[batch, length, channels]``, float64."""
    generator = torch.Generator().manual_seed(seed)
    steps = torch.arange(length, dtype=torch.float64)[None, :, None]
    draw = {"generator": generator, "dtype": torch.float64}
    slope, level = torch.randn(2, batch, 1, channels, **draw)
    pattern = 5 * torch.randn(batch, season_length, channels, **draw)
    seasonal = (pattern - pattern.mean(1, keepdim=True))[:, torch.arange(length) % season_length]
    trend = 10 * level + slope * steps
    return trend + seasonal + noise * torch.randn(batch, length, channels, **draw), trend, seasonal


@needs_statsmodels
@pytest.mark.parametrize(
    ("length", "season_length"), [(48, 12), (24, 12), (40, 7), (15, 7), (31, 2), (90, 24)]
)
def test_classical_agrees_with_statsmodels(length, season_length):
    from statsmodels.tsa.seasonal import seasonal_decompose, seasonal_mean

    values = trending_season(length, season_length, noise=2.0)[0]
    parts = decompose(values, season_length)
    series, trend = values.numpy().ravel(), parts.trend.numpy().ravel()
    half = season_length // 2
    inner = seasonal_decompose(series, period=season_length).trend
    np.testing.assert_allclose(trend[half:-half], inner[half:-half], rtol=1e-10, atol=1e-10)
    # statsmodels draws its line through n + 1 points at the beginning, but leaves the very last one out at
    # the end; turned round in time it says what its line of season_length points is there.
    line = season_length - 1
    front = seasonal_decompose(series, period=season_length, extrapolate_trend=line).trend
    back = seasonal_decompose(series[::-1], period=season_length, extrapolate_trend=line).trend[::-1]
    if (
        len(inner) - 2 * half > season_length
    ):  # else statsmodels' line at the beginning is one point short too
        np.testing.assert_allclose(trend[:half], front[:half], rtol=1e-10, atol=1e-10)
        np.testing.assert_allclose(trend[-half:], back[-half:], rtol=1e-10, atol=1e-10)
    means = seasonal_mean(series - trend, season_length)
    expected = np.resize(means - means.mean(), length)
    np.testing.assert_allclose(parts.seasonal.numpy().ravel(), expected, rtol=1e-10, atol=1e-10)


@needs_statsmodels
def test_stl_agrees_with_statsmodels():
    from statsmodels.tsa.seasonal import STL

    values = trending_season(60, 12, noise=2.0, batch=2, channels=2)[0]
    parts = decompose(values, 12, method="stl")
    for batch, channel in np.ndindex(2, 2):
        expected = STL(values[batch, :, channel].numpy(), period=12).fit()
        for part, column in zip(parts, (expected.trend, expected.seasonal, expected.resid), strict=True):
            np.testing.assert_allclose(part[batch, :, channel].numpy(), column, rtol=1e-9, atol=1e-9)


@needs_statsmodels
@pytest.mark.parametrize("method", ["classical", "stl"])
def test_air_passengers(method, real_data):
    import polars as pl
    from statsmodels.tsa.seasonal import STL

    column = pl.read_csv(real_data("air_passengers.csv"))["#Passengers"].log().to_numpy()
    parts = decompose(torch.from_numpy(column.copy()).reshape(1, -1, 1), 12, method=method)
    reference = STL(column, period=12).fit()
    # Two ways to see one thing: the logarithm grows by 1.5 and has a yearly season of about 0.2.
    np.testing.assert_allclose(parts.trend.numpy().ravel(), reference.trend, atol=0.06)
    assert parts.seasonal.std().item() == pytest.approx(reference.seasonal.std(), rel=0.1)
    assert parts.remainder.std() < 0.05


@pytest.mark.parametrize("season_length", [2, 7, 12])
@pytest.mark.parametrize("missing", [0.0, 0.15])
def test_line_and_pattern_are_told_apart_exactly(season_length, missing):
    values, trend, seasonal = trending_season(6 * season_length + 1, season_length, batch=3, channels=2)
    holes = torch.rand(values.shape, generator=torch.Generator().manual_seed(1)) < missing
    holes[:, :season_length] = holes[:, -season_length:] = (
        False  # so that each hole has neighbours on both sides
    )
    parts = decompose(values.masked_fill(holes, NAN), season_length)
    torch.testing.assert_close(parts.trend, trend)
    torch.testing.assert_close(parts.seasonal, seasonal)
    assert torch.equal(parts.remainder.isnan(), holes)
    assert parts.remainder.nan_to_num(0.0).abs().max() < 1e-9


def test_parts_add_up_and_keep_the_shape():
    values = trending_season(50, 12, noise=1.0, batch=6, channels=2)[0].reshape(2, 3, 50, 2).float()
    parts = decompose(values, 12)
    for part in parts:
        assert part.shape == values.shape and part.dtype == torch.float32
    torch.testing.assert_close(sum(parts), values)


@pytest.mark.parametrize("method", ["classical", pytest.param("stl", marks=needs_statsmodels)])
def test_channel_without_values_is_missing_throughout(method):
    values = trending_season(30, 5, noise=1.0, channels=2)[0]
    alone = decompose(values[..., :1], 5, method=method)
    values[..., 1] = NAN
    parts = decompose(values, 5, method=method)
    for part, single in zip(parts, alone, strict=True):
        assert part[..., 1].isnan().all()
        torch.testing.assert_close(part[..., :1], single)


@pytest.mark.parametrize("trend", ["linear", "last"])
def test_trend_and_season_go_on_as_documented(trend):
    values, line, seasonal = trending_season(48, 12, batch=3, channels=2)
    transform = Decompose(2, 12, trend=trend).double()
    past, state = transform.transform(values[:, :30])
    assert past.abs().max() < 1e-9
    forecast = transform.inverse(torch.zeros(3, 18, 2, dtype=torch.float64), state)
    if trend == "linear":
        torch.testing.assert_close(forecast, values[:, 30:])
    else:
        torch.testing.assert_close(forecast, line[:, 29:30] + seasonal[:, 30:])


def test_window_without_observed_cell_takes_the_training_mean():
    transform = Decompose(1, 3).fit(torch.tensor([[1.0], [4.0]]))
    past, state = transform.transform(torch.full((1, 9, 1), NAN))
    assert past.isnan().all()
    torch.testing.assert_close(transform.inverse(torch.zeros(1, 4, 1), state), torch.full((1, 4, 1), 2.5))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda x: decompose(x, 1), ValueError, "season_length: expected at least 2 steps, got 1"),
        (lambda x: decompose(x, 2.5), TypeError, r"season_length: expected an integer, got 2\.5"),
        (
            lambda x: decompose(x, 3, method="x11"),
            ValueError,
            "method: expected one of 'classical', 'stl'; got 'x11'",
        ),
        (lambda x: decompose(x, 9), ValueError, r"values: .*two seasons of 9, T >= 18, got \[1, 12, 1\]"),
        (
            lambda x: decompose(x.long(), 3),
            TypeError,
            "values: expected a floating-point tensor, got torch.int64",
        ),
        (
            lambda x: Decompose(1, 4, trend="up"),
            ValueError,
            "trend: expected one of 'linear', 'last'; got 'up'",
        ),
        (
            lambda x: Decompose(1, 9).transform(x),
            ValueError,
            r"past: Decompose\(.*needs at least 18 steps, got 12",
        ),
    ],
)
def test_bad_arguments_are_named(call, error, message):
    with pytest.raises(error, match=message):
        call(torch.zeros(1, 12, 1))


def test_stl_without_statsmodels_says_what_to_install(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"pip install 'seqlight\[stl\]'"):
        Decompose(1, 12, method="stl")
