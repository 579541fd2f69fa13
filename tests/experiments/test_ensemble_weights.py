"""Weights of ensembles against a search over all of them, and what may not happen."""

from itertools import combinations_with_replacement

import pytest
import torch

from seqlight.experiments.ensemble_weights import (
    ScoredCells,
    combined,
    greedy_weights,
    weights_of_series,
    weights_without_scale,
)

WINDOWS, HORIZON, CHANNELS = 12, 3, 2


def case(seed, members=4, windows=WINDOWS):
    """Members that are off in ways of their own, so that their means are better than each."""
    torch.manual_seed(seed)
    target = 10 * torch.randn(windows, HORIZON, CHANNELS).cumsum(1)
    errors = torch.randn(members, windows, HORIZON, CHANNELS) * torch.linspace(1, 2, members).view(
        -1, 1, 1, 1
    )
    bias = torch.randn(members, 1, 1, CHANNELS)
    known = torch.rand(windows, HORIZON, CHANNELS) > 0.1
    scale = torch.rand(windows, CHANNELS) + 0.5
    target = target.masked_fill(~known, torch.nan)
    return (target.nan_to_num(0) + errors + bias), ScoredCells(target, known, scale)


def error(preds, cells, weights):
    """Mean scaled error, by another way than the code's."""
    mean = torch.einsum("m,mwhc->whc", weights.double(), preds.double())
    scaled = (mean - cells.target.double()).abs() / cells.scale.double()[:, None]
    return float(scaled[cells.known].mean())


@pytest.mark.parametrize("seed", range(8))
def test_greedy_is_near_the_best_of_all_means(seed):
    """Of all means of up to six members drawn with replacement; and never worse than the best member."""
    preds, cells = case(seed)
    weights = greedy_weights(preds, cells, rounds=6)
    every = {}
    for count in range(1, 7):
        for drawn in combinations_with_replacement(range(len(preds)), count):
            mix = torch.bincount(torch.tensor(drawn), minlength=len(preds)) / count
            every[drawn] = error(preds, cells, mix)
    found = error(preds, cells, weights)
    best = min(every.values())
    best_member = min(every[(member,)] for member in range(len(preds)))
    assert weights.sum() == pytest.approx(1)
    assert best <= found + 1e-6
    assert found <= best_member + 1e-6
    assert found - best < 0.02 * best


@pytest.mark.parametrize("seed", range(4))
def test_each_round_adds_the_best_and_the_best_round_is_kept(seed):
    """The same by loops over one group after the other."""
    preds, cells = case(seed, windows=20)
    groups = torch.arange(20) % 3
    found = greedy_weights(preds, cells, groups, rounds=7)
    for group in range(3):
        rows = (groups == group).nonzero().flatten()
        part, of_group = preds[:, rows], cells.of(rows)
        added, rounds = [], []
        for _ in range(7):
            options = [
                error(
                    part,
                    of_group,
                    torch.bincount(torch.tensor([*added, member]), minlength=4) / (len(added) + 1),
                )
                for member in range(4)
            ]
            added.append(options.index(min(options)))
            rounds.append(min(options))
        kept = added[: 1 + rounds.index(min(rounds))]
        expected = torch.bincount(torch.tensor(kept), minlength=4) / len(kept)
        torch.testing.assert_close(found[group], expected)


def test_the_only_good_member_is_taken_alone():
    preds, cells = case(0)
    preds[2] = cells.target.nan_to_num(5.0)
    assert greedy_weights(preds, cells).tolist() == [0, 0, 1, 0]


def test_a_member_that_is_not_finite_is_left_out():
    preds, cells = case(0)
    preds[0, 3, 1, 0] = torch.nan
    cells.known[3, 1, 0] = True
    cells.target[3, 1, 0] = 1.0
    weights = greedy_weights(preds, cells)
    assert weights[0] == 0 and weights.sum() == pytest.approx(1)
    assert combined(preds, weights).isfinite().all()
    with pytest.raises(ValueError, match=r"^preds: expected a member whose forecasts are finite"):
        greedy_weights(preds[:1], cells)


def test_scales_of_ten_orders_of_magnitude_count_alike():
    """The error is relative to each window's scale: large series do not decide alone."""
    preds, cells = case(1)
    factor = 10.0 ** torch.linspace(-5, 5, WINDOWS)
    larger = ScoredCells(cells.target * factor[:, None, None], cells.known, cells.scale * factor[:, None])
    torch.testing.assert_close(
        greedy_weights(preds * factor[:, None, None], larger), greedy_weights(preds, cells)
    )


def test_windows_without_a_scale_do_not_count():
    preds, cells = case(2)
    cells.scale[:6] = torch.nan
    expected = greedy_weights(preds[:, 6:], cells.of(torch.arange(6, 12)))
    torch.testing.assert_close(greedy_weights(preds, cells), expected)


def test_weights_of_long_series_are_their_own():
    """Where nothing is left of the error they are taken whole, else half way from those of all."""
    preds, cells = case(3, windows=40)
    series = torch.cat([torch.full((30,), 4), torch.full((10,), 9)])
    start = torch.cat([torch.arange(30), torch.arange(10)])
    preds[1, :30] = cells.target[:30].nan_to_num(0.0)
    preds[1, 30:] += 1000
    together, own = weights_of_series(preds, cells, series, start, least_horizons=5)
    assert own.keys() == {4}  # the other's ten origins span four horizons
    assert own[4].tolist() == [0, 1, 0, 0]
    torch.testing.assert_close(together, greedy_weights(preds, cells))
    _, own = weights_of_series(preds, cells, series, start, least_horizons=4)
    rows = torch.arange(30, 40)
    alone = greedy_weights(preds[:, rows], cells.of(rows))
    torch.testing.assert_close(own[9], (alone + together) / 2)
    assert error(preds[:, rows], cells.of(rows), own[9]) < error(preds[:, rows], cells.of(rows), together)
    _, own = weights_of_series(
        preds[:, :30], cells.of(torch.arange(30)), series[:30], start[:30], least_horizons=1
    )
    assert own == {}  # one series: its weights are those of all


def test_short_series_after_long_ones():
    preds, cells = case(3, windows=40)
    series = torch.tensor([1] * 15 + [2] * 15 + [3] * 5 + [7] * 5)
    start = torch.cat([torch.arange(int(count)) for count in series.unique(return_counts=True)[1]])
    for member, begin in ((1, 0), (2, 15)):  # each long series has one member that is exact
        preds[member, begin : begin + 15] = cells.target[begin : begin + 15].nan_to_num(0.0)
    _, own = weights_of_series(preds, cells, series, start, least_horizons=5)
    assert {one: row.tolist() for one, row in own.items()} == {1: [0, 1, 0, 0], 2: [0, 0, 1, 0]}


def test_a_series_without_a_scale_is_weighed_by_its_errors_as_they_are():
    preds, cells = case(5, windows=40)
    series, start = torch.arange(40) // 20, torch.arange(40) % 20
    cells.scale[20:] = torch.nan
    preds[2, 20:] = cells.target[20:].nan_to_num(0.0)
    _, own = weights_of_series(preds, cells, series, start, least_horizons=2)
    assert own[1].tolist() == [0, 0, 1, 0]


def test_few_windows_are_enough_for_a_series_without_a_scale():
    """Constant series have no say in the common weights; the member that is right about each forecasts it."""
    preds, cells = case(2)
    series = torch.arange(WINDOWS) // 3
    cells.scale[series == 1] = 0.0
    cells.scale[series == 3] = torch.nan
    common = greedy_weights(preds, cells)
    assert weights_without_scale(preds, cells, series, common) == {}  # no member is right about them
    preds[3, series == 1] = cells.target[series == 1].nan_to_num(5.0)
    preds[0, series == 2] = cells.target[series == 2].nan_to_num(5.0)  # which has a scale
    found = weights_without_scale(preds, cells, series, common)
    assert found.keys() == {1} and found[1].tolist() == [0, 0, 0, 1]
    unscaled = ScoredCells(cells.target, cells.known, torch.zeros_like(cells.scale))
    assert weights_without_scale(preds, unscaled, series, common) == {}  # MAE weighs all of them together
