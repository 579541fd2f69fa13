import math

import pytest
import torch

from seqlight.transforms import Difference

NAN = math.nan


def column(*values):
    return torch.tensor(values, dtype=torch.float64).reshape(1, -1, 1)


def test_one_lag_by_hand():
    difference = Difference(1, 2).double()
    past, state = difference.transform(column(1, 5, 4, 9, 16))
    assert past.flatten()[2:].tolist() == [3, 4, 12]
    assert past.flatten()[:2].isnan().all()
    future = difference.transform_future(column(20, 20, 30), state)
    assert future.flatten().tolist() == [11, 4, 10]
    assert difference.inverse(future, state).flatten().tolist() == [20, 20, 30]


def test_lags_are_applied_one_after_the_other():
    generator = torch.Generator().manual_seed(0)
    series = torch.randn(2, 40, 3, generator=generator, dtype=torch.float64)
    once = series[:, 1:] - series[:, :-1]
    expected = once[:, 7:] - once[:, :-7]
    difference = Difference(3, lags=(1, 7)).double()
    past, state = difference.transform(series[:, :30])
    future = difference.transform_future(series[:, 30:], state)
    joined = torch.cat([past, future], dim=1)
    assert joined[:, :8].isnan().all()
    # The future goes on where the past stops, as strategies that join them rely on.
    torch.testing.assert_close(joined[:, 8:], expected)


def test_trend_and_season_are_gone():
    steps = torch.arange(60, dtype=torch.float64)
    series = (3 + 0.5 * steps + torch.tensor([4.0, -1.0, 2.0, 0.0, -5.0]).double().repeat(12)).reshape(
        1, -1, 1
    )
    difference = Difference(1, (1, 5)).double()
    past, state = difference.transform(series[:, :48])
    torch.testing.assert_close(past[:, 6:], torch.zeros(1, 42, 1, dtype=torch.float64))
    torch.testing.assert_close(difference.inverse(torch.zeros(1, 12, 1).double(), state), series[:, 48:])


def test_missing_cells_of_the_past_are_bridged():
    difference = Difference(1, 3).double()
    past, state = difference.transform(column(1, 2, 3, 11, 12, NAN, 21, NAN, NAN))
    # Known only where both terms are.
    assert past.isnan().flatten().tolist() == [True] * 3 + [False, False, True, False, True, True]
    # The last season is 21, then phase by phase the last value known: 12 and 3.
    assert difference.inverse(column(0, 0, 0, 1), state).flatten().tolist() == [21, 12, 3, 22]
    # No value whole seasons before: the last one of all before it, else the next.
    _, state = difference.transform(column(NAN, NAN, 3, NAN, 5, NAN))
    assert state[0].flatten().tolist() == [3, 5, 3]
    _, state = difference.transform(column(NAN, NAN, NAN, NAN, 5, NAN))
    assert state[0].flatten().tolist() == [5, 5, 5]


def test_window_without_observed_cell_goes_on_from_the_training_mean():
    difference = Difference(2).fit(torch.tensor([[1.0, NAN], [4.0, NAN]]))
    past, state = difference.transform(torch.full((1, 5, 2), NAN))
    assert past.isnan().all()
    assert difference.inverse(torch.ones(1, 2, 2), state).tolist() == [[[3.5, 1.0], [4.5, 2.0]]]


def test_missing_cell_of_the_future_makes_its_differences_missing():
    difference = Difference(1).double()
    _, state = difference.transform(column(1, 2))
    future = difference.transform_future(column(3, NAN, 7, 9), state)
    assert future.isnan().flatten().tolist() == [False, True, True, False]


@pytest.mark.parametrize(
    ("lags", "error", "message"),
    [
        ((), ValueError, "lags: expected at least one, got none"),
        ((1, 0), ValueError, "lags: expected at least 1 step, got 0"),
        ((1, 2.0), TypeError, r"lags: expected integers, got 2\.0 \(float\)"),
        (True, TypeError, r"lags: expected integers, got True \(bool\)"),
    ],
)
def test_bad_lags_are_named(lags, error, message):
    with pytest.raises(error, match=message):
        Difference(1, lags)


def test_window_shorter_than_the_lags_is_named():
    assert Difference(1, (1, 24)).min_context_length == 26
    with pytest.raises(
        ValueError, match=r"past: Difference\(.*lags=\(1, 24\)\) needs at least 26 steps, got 25"
    ):
        Difference(1, (1, 24)).transform(torch.zeros(1, 25, 1))
