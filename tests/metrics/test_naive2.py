import csv

import numpy as np
import pytest
import torch

from seqlight.metrics import OverallWeightedAverage
from seqlight.metrics.functional import is_seasonal, naive2, seasonal_indices, seasonal_naive_scale

MONTHS = 12


def seasonal_series(length=60, noise=0.02, seed=0):
    """A season of months that multiplies a trend, [1, length, 1]."""
    generator = torch.Generator().manual_seed(seed)
    time = torch.arange(length, dtype=torch.float64)
    season = 1 + 0.4 * torch.sin(2 * torch.pi * time / MONTHS)
    errors = 1 + noise * torch.randn(length, generator=generator, dtype=torch.float64)
    return ((100 + time) * season * errors)[None, :, None]


def walk(length=60, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return (100 + torch.randn(length, generator=generator, dtype=torch.float64).cumsum(0))[None, :, None]


def rows_of(path):
    """The numbers of each row of a file of the M4, without its name."""
    with path.open() as file:
        return [[float(cell) for cell in row[1:] if cell] for row in list(csv.reader(file))[1:]]


def test_m4_weekly(real_data):
    """The published figures of Naive2 on the M4's weekly series, which it takes for not seasonal."""
    read = [rows_of(real_data(name)) for name in ("m4_weekly_train.csv", "m4_weekly_test.csv")]
    metric = OverallWeightedAverage()
    errors = []
    for history, future in zip(*read, strict=True):
        past, target = (
            torch.tensor(values, dtype=torch.float64)[None, :, None] for values in (history, future)
        )
        forecast, scale = naive2(past, len(future), 1), seasonal_naive_scale(past, 1)
        distance = (forecast - target).abs()
        errors.append([(2 * distance / (forecast + target)).mean(), (distance / scale[:, None]).mean()])
        metric.update(forecast, target, forecast, scale)
    smape, mase = np.mean(errors, 0)
    assert round(100 * smape, 3) == 9.161
    assert round(mase, 3) == 2.777
    assert metric.compute() == 1


def test_a_series_without_a_season_repeats_its_last_value():
    past = walk()
    assert not is_seasonal(past, MONTHS).item()
    assert naive2(past, 5, MONTHS)[0, :, 0].tolist() == [past[0, -1, 0]] * 5
    assert naive2(past, 3, 1)[0, :, 0].tolist() == [past[0, -1, 0]] * 3


def test_a_season_is_found_and_put_back():
    past = seasonal_series()
    assert is_seasonal(past, MONTHS).item()
    future = seasonal_series(72)[:, 60:]
    forecast = naive2(past, 12, MONTHS)
    assert ((forecast - future).abs() / future).max() < 0.15
    assert ((past[:, -1:] - future).abs() / future).max() > 0.4  # the last value alone


@pytest.mark.parametrize("season", [4, 7, 12])
def test_indices_and_test_agree_with_statsmodels(season):
    pytest.importorskip("statsmodels", reason="NOT COMPARED: statsmodels is not installed")
    from statsmodels.tsa.seasonal import seasonal_decompose
    from statsmodels.tsa.stattools import acf

    past = seasonal_series(50, noise=0.3, seed=season)
    theirs = seasonal_decompose(past[0, :, 0].numpy(), model="multiplicative", period=season).seasonal[
        :season
    ]
    np.testing.assert_allclose(seasonal_indices(past, season)[0, :, 0], theirs, rtol=1e-12)
    correlations = acf(past[0, :, 0].numpy(), nlags=season, fft=False)[1:]
    bound = 1.645 * np.sqrt((1 + 2 * (correlations[:-1] ** 2).sum()) / 50)
    assert is_seasonal(past, season).item() == (abs(correlations[-1]) > bound)


def test_fewer_than_three_seasons_have_none():
    past = 1.0 + 5.0 * (torch.arange(60) % MONTHS == 3)[None, :, None]  # one high month
    assert is_seasonal(past[:, :36], MONTHS).item()
    assert not is_seasonal(past[:, :35], MONTHS).item()


def test_series_with_nothing_to_divide_by_have_none():
    past = seasonal_series() - 200
    assert naive2(past, 4, MONTHS)[0, :, 0].tolist() == [past[0, -1, 0]] * 4
    constant = torch.full((1, 60, 1), 3.0)
    assert naive2(constant, 4, MONTHS).eq(3).all()


def test_channels_and_missing_cells():
    seasonal, plain = seasonal_series(), walk()
    both = torch.cat([seasonal, plain], -1)
    forecast = naive2(both, 6, MONTHS)
    torch.testing.assert_close(forecast[..., :1], naive2(seasonal, 6, MONTHS))
    torch.testing.assert_close(forecast[..., 1:], naive2(plain, 6, MONTHS))
    late = torch.cat([torch.full((1, 24, 1), torch.nan, dtype=torch.float64), seasonal], 1)
    torch.testing.assert_close(naive2(late, 6, MONTHS), naive2(seasonal, 6, MONTHS))
    seasonal[:, [10, 59]] = torch.nan
    expected = naive2(seasonal_series(), 6, MONTHS)
    assert ((naive2(seasonal, 6, MONTHS) - expected).abs() / expected).max() < 0.1
    assert naive2(torch.full((1, 40, 1), torch.nan), 2, MONTHS).isnan().all()


def test_wrong_arguments():
    with pytest.raises(ValueError, match=r"past: expected \[B, L, C\]"):
        naive2(torch.zeros(3), 1, 1)
    with pytest.raises(ValueError, match="season_length: expected at least 1, got 0"):
        naive2(torch.zeros(1, 3, 1), 1, 0)


def test_owa_is_of_ratios_of_means_and_not_a_mean_of_ratios():
    target = torch.tensor([[[10.0]], [[100.0]]])
    preds, other = torch.tensor([[[12.0]], [[150.0]]]), torch.tensor([[[14.0]], [[80.0]]])
    scale = torch.tensor([[1.0], [10.0]])
    metric = OverallWeightedAverage()
    metric.update(preds, target, other, scale)
    smape = (2 * 2 / 22 + 2 * 50 / 250) / (2 * 4 / 24 + 2 * 20 / 180)
    mase = (2 / 1 + 50 / 10) / (4 / 1 + 20 / 10)
    assert metric.compute() == pytest.approx((smape + mase) / 2)
    by_series = OverallWeightedAverage(by="series", size=2)
    by_series.update(preds, target, other, scale, series_index=torch.tensor([0, 1]))
    first = (2 * 2 / 22) / (2 * 4 / 24) + 2 / 4
    assert by_series.compute()[0] == pytest.approx(first / 2)
    with pytest.raises(ValueError, match="naive2: expected the shape of target"):
        metric.update(preds, target, other[:1], scale)


def test_scales_end_at_each_cutoff():
    history = torch.tensor([[1.0, 3.0, 2.0, 7.0, 4.0]] * 3)[..., None]
    cut = torch.tensor([3, 4, 5])
    scale = seasonal_naive_scale(history, 2, length=cut)
    assert scale[:, 0].tolist() == [1.0, (1 + 4) / 2, pytest.approx((1 + 4 + 2) / 3)]
    squared = seasonal_naive_scale(history, 2, squared=True, length=cut)
    assert squared[:, 0].tolist() == [1.0, (1 + 16) / 2, pytest.approx((1 + 16 + 4) / 3)]
    for place, length in enumerate(cut.tolist()):
        alone = seasonal_naive_scale(history[:1, :length], 2)
        torch.testing.assert_close(scale[place : place + 1], alone)
    # Shorter than a season: differences of one step. One value, or a constant: none.
    assert seasonal_naive_scale(history, 2, length=torch.tensor([2, 2, 1]))[:, 0].nan_to_num(-1).tolist() == [
        2.0,
        2.0,
        -1.0,
    ]
    assert seasonal_naive_scale(torch.ones(1, 9, 1), 2).isnan().all()
