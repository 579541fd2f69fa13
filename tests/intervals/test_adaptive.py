import io
import math
from datetime import datetime, timedelta

import polars as pl
import pytest
import torch

from seqlight.intervals import (
    AdaptiveConformal,
    ForecastWindows,
    SplitConformal,
    method_of_state,
    step_sizes,
)
from seqlight.metrics.functional import interval_score

HORIZON, SEEN, COUNT = 3, 60, 130


def drifting(made, *, series=2, levels=(80, 95), spread=False, seed=0):
    """Windows of every origin, the errors' sizes growing; calibration first, without overlap of targets."""
    generator = torch.Generator().manual_seed(seed)
    start = torch.arange(COUNT).repeat(series) + 50
    index = torch.arange(series).repeat_interleave(COUNT)
    growth = 1 + (start - 50).double() / 60
    errors = torch.randn(len(start), HORIZON, 1, generator=generator).double() * growth[:, None, None]
    windows = made.windows(
        errors * (1 + 9 * (index == 1))[:, None, None],
        series=index,
        start=start,
        scale=torch.where(index == 1, 10.0, 1.0)[:, None],
        spread=torch.full_like(errors, 1.5) if spread else None,
    )
    return windows.select(start < 50 + SEEN), windows.select(start >= 50 + SEEN + HORIZON - 1)


def slow_margins(method, calibration, later, level, series, origin, issued):
    """The margins of one forecast, from nothing but scores that were known at its origin.

    The margins of the earlier forecasts that the misses are those of are found in the same way.
    """
    if origin in issued:
        return issued[origin]
    alpha = 1 - level / 100
    own = calibration.select(calibration.series_index == series)
    split = SplitConformal(method.levels).fit(own)
    first = split.margins(level, torch.tensor([series]), torch.tensor([0]), None)[0, :, 0, 0].tolist()
    assert HORIZON == 3  # the middle step has neighbours: of weights 1, 2, 3, 2, 1 the inner three
    first[1] = (2 * first[0] + 3 * first[1] + 2 * first[2]) / 7
    windows = later.select(later.series_index == series)
    errors = (windows.target - windows.forecast.point)[..., 0].abs().tolist()
    at = {int(start): error for start, error in zip(windows.start, errors, strict=True)}
    shift = 0.0
    for row in range(min(at), origin):
        misses = []
        for step in range(HORIZON):
            if row - step in at:
                margins = slow_margins(method, calibration, later, level, series, row - step, issued)
                misses.append((at[row - step][step] > margins[step]) - alpha)
        if misses:
            shift = max(shift + method.step_size * sum(misses) / len(misses), math.log(0.1))
    factor = 1 + shift if shift > 0 else math.exp(shift)
    issued[origin] = [margin * factor for margin in first]
    return issued[origin]


def test_margins_are_those_of_a_loop_that_knows_no_later_score(made):
    calibration, later = drifting(made)
    few = later.select(later.start < 50 + SEEN + HORIZON - 1 + 9)
    shuffled = few.select(torch.randperm(len(few), generator=torch.Generator().manual_seed(1)))
    few = few.select(few.start % 5 != 0)  # not every row begins a window
    halves = (shuffled.select(shuffled.start % 5 < 3), shuffled.select(shuffled.start % 5 >= 3))
    method = AdaptiveConformal(80, step_size=0.3).fit(calibration)
    for some in halves:  # in any order, and in parts
        method.observe(some.select(some.start % 5 != 0))
    for series in (0, 1):
        issued = {}
        for origin in range(int(few.start.min()), int(few.start.max()) + 5):
            margins = method.margins(80.0, torch.tensor([series]), torch.tensor([origin]), None)
            expected = slow_margins(method, calibration, few, 80.0, series, origin, issued)
            assert margins[0, :, 0, 0].tolist() == pytest.approx(expected)
            assert torch.equal(margins[..., 0], margins[..., 1])


@pytest.mark.parametrize("score", ["residual", "scaled", "quantile"])
def test_what_comes_later_changes_no_bound_that_was_issued(made, score):
    calibration, later = drifting(made, spread=True)
    cut = int(later.start.min()) + 20
    # What lies in rows from the cut on becomes huge.
    rows = later.start[:, None] + torch.arange(HORIZON)
    changed = torch.where((rows >= cut)[..., None], later.target + 1e6, later.target)
    other = ForecastWindows(later.forecast, changed, later.series_index, later.start, later.scale)
    made_of = {}
    for name, windows in (("as it was", later), ("changed", other)):
        method = AdaptiveConformal(made.LEVELS, score=score, step_size=0.1).fit(calibration).observe(windows)
        made_of[name] = made.bounds(method, later)
    for level in (80.0, 95.0):
        before, after = made_of["as it was"][level], made_of["changed"][level]
        same = (before.lower == after.lower) & (before.upper == after.upper)
        # Step h of origin t is known at t + h: a forecast that begins at the cut knows the rows before it.
        assert same[later.start <= cut].all()
        # The next forecast knows row `cut`: of step h through the forecast that began h rows before it.
        assert not same[later.start == cut + 1].all()


def test_nothing_is_said_before_the_scores_of_fit_are_known(made):
    calibration, later = drifting(made)
    method = AdaptiveConformal(80, step_size=0.1).fit(calibration)
    last = int(calibration.start.max())
    margins = method.margins(
        80.0, torch.zeros(3).long(), torch.tensor([last, last + 1, last + HORIZON]), None
    )
    known = ~margins[:, :, 0, 0].isnan()
    assert known.tolist() == [[False] * 3, [True, False, False], [True] * 3]
    with pytest.raises(ValueError, match="windows: expected later ones than those of fit"):
        method.observe(calibration)
    with pytest.raises(ValueError, match="each window of a series once"):
        method.observe(later).observe(later)


def test_coverage_follows_the_drift_where_split_falls_behind(made):
    generator = torch.Generator().manual_seed(4)
    count = 3000
    size = torch.where(torch.arange(count) < 500, 1.0, 2.5).double()
    errors = torch.randn(count, 2, 1, generator=generator).double() * size[:, None, None]
    windows = made.windows(errors)
    start = windows.start
    calibration, later = windows.select(start < 500), windows.select(start >= 501)
    shares = {}
    for method in (SplitConformal([80, 95]).fit(calibration), AdaptiveConformal([80, 95]).fit(calibration)):
        if isinstance(method, AdaptiveConformal):
            method.observe(later)
        for level, (lower, upper) in made.bounds(method, later).items():
            shares[method.kind, level] = float(
                ((later.target >= lower) & (later.target <= upper)).double().mean()
            )
    assert shares["split", 80.0] < 0.5 and shares["split", 95.0] < 0.65
    assert abs(shares["adaptive", 80.0] - 0.8) < 0.02 and abs(shares["adaptive", 95.0] - 0.95) < 0.02


@pytest.mark.parametrize(
    ("losses", "expected"),
    [((1.0, 1.02, 1.049, 1.051, 2.0), 0.05), ((1.06, 1.0, 1.2, 1.04, 1.3), 0.1), ((1, 2, 3, 4, 5), 0.01)],
)
def test_the_step_size_is_the_largest_that_costs_little(made, monkeypatch, losses, expected):
    calibration, _ = drifting(made)
    left = list(losses)
    monkeypatch.setattr(step_sizes, "interval_loss", lambda method, windows: left.pop(0))
    assert AdaptiveConformal([80, 95]).fit(calibration).step_size == expected
    assert not left


@pytest.mark.parametrize("symmetric", [True, False])
def test_the_loss_that_step_sizes_are_chosen_by_is_the_interval_score(made, symmetric):
    calibration, later = drifting(made, series=1)
    method = AdaptiveConformal(80, symmetric=symmetric, step_size=0.05).fit(calibration).observe(later)
    interval = made.bounds(method, later)[80.0]
    score = interval_score(*interval, later.target, 80)[..., 0] / method.tensors()["series_step"][0, :, 0]
    assert 2 * step_sizes.interval_loss(method, later) == pytest.approx(float(score.mean()))


def test_unknown_scores_leave_the_margins_as_they_are(made):
    calibration, later = drifting(made)
    blind = ForecastWindows(
        later.forecast, torch.full_like(later.target, torch.nan), later.series_index, later.start, later.scale
    )
    method = AdaptiveConformal(made.LEVELS, step_size=0.1).fit(calibration)
    before = made.bounds(method, later)
    after = made.bounds(method.observe(blind), later)
    for level in before:
        torch.testing.assert_close(after[level], before[level], rtol=0, atol=0)


def test_a_series_with_few_scores_starts_from_the_pool(made):
    calibration, later = drifting(made)
    few = calibration.select((calibration.series_index == 0) | (calibration.start < 52))
    method = AdaptiveConformal(80, step_size=0.1).fit(few)
    first = later.select((later.series_index == 1) & (later.start == later.start.min()))
    assert made.bounds(method, first)[80.0].upper.isfinite().all()
    moved = made.bounds(method.observe(later), later.select(later.series_index == 1))[80.0].upper
    assert moved.isfinite().all() and len(moved[:, 0, 0].unique()) > 10


def test_the_state_goes_on_from_the_last_score(made):
    calibration, later = drifting(made)
    method = AdaptiveConformal(made.LEVELS).fit(calibration, series_ids=["a", "b"]).observe(later)
    file = io.BytesIO()
    torch.save(method.state(), file)
    file.seek(0)
    again = method_of_state(torch.load(file, weights_only=True))
    assert again.step_size == method.step_size
    end = int(later.start.max()) + HORIZON
    where = (torch.tensor([0, 1]), torch.tensor([end, end]), None)
    torch.testing.assert_close(again.margins(95.0, *where), method.margins(95.0, *where))
    # Rows of another file begin elsewhere: the margins are those after the last score at any row.
    other = again.for_series(["b", "c"])
    there = other.margins(95.0, torch.tensor([0]), torch.tensor([7]), None)
    torch.testing.assert_close(there[0], method.margins(95.0, *where)[1])


@pytest.mark.parametrize("wrong", [0.0, -1.0, float("inf"), float("nan")])
def test_wrong_step_sizes(wrong):
    with pytest.raises(ValueError, match="step_size: expected a number above 0, or None"):
        AdaptiveConformal(step_size=wrong)


def test_a_scale_of_later_windows_moves_no_earlier_margin(made):
    """Backtests scale each window by what came before it; few own scores, so that those of all are taken."""
    calibration, later = drifting(made, series=4)
    few = calibration.select(calibration.start < 55)

    def margins(windows, scale):
        windows.scale[windows.start > windows.start.min() + 4] *= scale
        method = AdaptiveConformal(95, step_size=0.1).fit(few).observe(windows)
        early = windows.select(windows.start <= windows.start.min() + 4)
        return method.margins(95.0, early.series_index, early.start, early.scale)

    expected = margins(later.select(later.start > 0), 1.0)
    assert expected.isfinite().all()
    assert torch.equal(margins(later.select(later.start > 0), 7.0), expected)


def test_a_series_without_a_scale_at_first_has_margins_once_it_has_one(made):
    calibration, later = drifting(made)
    few = calibration.select(calibration.start < 60)
    later.scale[later.start == later.start.min()] = torch.nan
    method = AdaptiveConformal(95, step_size=0.1).fit(few).observe(later)
    margins = method.margins(95.0, later.series_index, later.start, later.scale)
    first = later.start == later.start.min()
    assert margins[first].isnan().all() and margins[~first].isfinite().all()


def test_intervals_of_a_model_that_are_too_wide_are_drawn_in(made):
    """Margins are below 0 then, and so is what step sizes are compared by."""
    errors = torch.randn(90, HORIZON, 1, generator=torch.Generator().manual_seed(0))
    windows = made.windows(errors, spread=torch.full_like(errors, 20.0))
    method = AdaptiveConformal(80, score="quantile").fit(windows)
    assert method.step_size in (0.01, 0.02, 0.05, 0.1, 0.2)
    assert (method.margins(80.0, torch.tensor([0]), torch.tensor([500]), None) < -20).all()


def test_margins_of_few_windows_keep_a_width_and_the_order_of_levels(made):
    """Long runs of hits after a calibration with an outlier; margins that move by amounts came to 0."""
    calibration, _ = drifting(made, series=1)
    errors = torch.full((400, HORIZON, 1), 1e-3)
    quiet = made.windows(errors, start=torch.arange(400) + 200)
    method = AdaptiveConformal([50, 80, 95], step_size=0.2).fit(calibration.select(calibration.start > 85))
    first = [method.margins(level, torch.tensor([0]), torch.tensor([999]), None) for level in method.levels]
    method.observe(quiet)
    last = [method.margins(level, torch.tensor([0]), torch.tensor([999]), None) for level in method.levels]
    for before, after in zip(first, last, strict=True):
        torch.testing.assert_close(after, 0.1 * before)
    bounds = method.intervals(
        quiet.forecast, series_index=quiet.series_index, start=quiet.start, scale=quiet.scale
    )
    widths = torch.stack([bounds[level].upper - bounds[level].lower for level in method.levels])
    assert (widths > 0).all() and (widths.diff(dim=0) >= 0).all()


class Series:
    """What a method asks of a DataModule: names, hours, and how many there are."""

    def __init__(self, ids, first_hour, ends):
        self.series_ids, self.first_hour, self.ends = ids, first_hour, ends

    def timestamps(self, series, start, count):
        begin = datetime(2024, 1, 1) + timedelta(hours=self.first_hour + start)
        return pl.datetime_range(begin, begin + timedelta(hours=count - 1), "1h", eager=True)


def saved(method):
    file = io.BytesIO()
    torch.save(method.state(), file)
    file.seek(0)
    return method_of_state(torch.load(file, weights_only=True))


def test_a_loaded_method_goes_on_where_it_was_in_a_file_that_begins_elsewhere(made):
    calibration, later = drifting(made)
    cut = int(later.start.min()) + 30
    # Targets from the cut on were not known when it was saved.
    rows = later.start[:, None] + torch.arange(HORIZON)
    target = later.target.masked_fill((rows >= cut)[..., None], torch.nan)
    before = ForecastWindows(later.forecast, target, later.series_index, later.start, later.scale)
    data = Series(["a", "b"], 0, [200, 200])
    method = AdaptiveConformal(made.LEVELS, step_size=0.1).fit(calibration, data=data)
    again = saved(method.observe(before.select(before.start < cut)))
    assert again.seen_until == {name: 1704067200000000 + (cut - 1) * 3_600_000_000 for name in "ab"}
    with pytest.raises(ValueError, match=r"observe: .*method.for_data\(data\)"):
        again.observe(later)
    # The other file has the series the other way round, and begins 40 hours later.
    bound = again.for_data(Series(["b", "a", "new"], 40, [160, 160, 160]))
    moved = ForecastWindows(
        later.forecast, later.target, 1 - later.series_index, later.start - 40, later.scale
    )
    with pytest.warns(UserWarning, match=r"of 136 windows were observed before and are skipped"):
        bound.observe(moved)
    whole = AdaptiveConformal(made.LEVELS, step_size=0.1).fit(calibration, data=data).observe(later)
    for level in (80.0, 95.0):
        for start in (cut, cut + 20, 400):
            expected = whole.margins(level, torch.tensor([0, 1]), torch.tensor([start] * 2), None)
            found = bound.margins(level, torch.tensor([1, 0]), torch.tensor([start - 40] * 2), None)
            torch.testing.assert_close(found, expected)
    with pytest.warns(UserWarning, match="136 of 136 windows"):
        saved(bound).for_data(Series(["b", "a"], 40, [160, 160])).observe(moved)


def test_a_state_of_before_has_margins_and_learns_nothing_more(made):
    calibration, later = drifting(made)
    method = AdaptiveConformal(made.LEVELS, step_size=0.1).fit(calibration, series_ids=["a", "b"])
    state = method.state()
    for name in ("series_shift", "series_seen"):
        state["tensors"].pop(name)
    old = method_of_state({name: value for name, value in state.items() if name != "seen_until"})
    at = (torch.tensor([0, 1]), torch.tensor([999, 999]), None)
    torch.testing.assert_close(old.margins(80.0, *at), method.margins(80.0, *at))
    with pytest.raises(ValueError, match="observe: its state is of a version"):
        old.observe(later)


def test_margins_of_a_model_of_more_data_are_relative_to_its_scale(made):
    calibration, later = drifting(made)
    for method in (SplitConformal(made.LEVELS), AdaptiveConformal(made.LEVELS, step_size=0.1)):
        method.fit(calibration)
        if isinstance(method, AdaptiveConformal):
            method.observe(later)
        other = method.rescaled(torch.tensor([[2.0], [torch.nan]]))
        at = (torch.tensor([0, 1]), torch.tensor([999, 999]), None)
        expected = method.margins(95.0, *at) * torch.tensor([2.0, 1.0])[:, None, None, None]
        torch.testing.assert_close(other.margins(95.0, *at), expected)
