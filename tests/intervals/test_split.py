import io

import pytest
import torch

from seqlight.intervals import ForecastWindows, SplitConformal, method_of_state
from seqlight.intervals.levels import conformal_rank
from seqlight.predictor import Forecast


@pytest.fixture(scope="module")
def simulated(made):
    """2,000 series with 59 exchangeable windows each and one more; the errors' spread is known and varies."""
    generator = torch.Generator().manual_seed(3)
    series_count, seen = 2000, 59
    series = torch.arange(series_count).repeat(seen + 1)
    start = torch.arange(seen + 1).repeat_interleave(series_count)
    spread = torch.rand(len(series), 2, 1, generator=generator, dtype=torch.float64) * 5 + 0.5
    errors = torch.randn(len(series), 2, 1, generator=generator, dtype=torch.float64) * spread + 0.7
    every = made.windows(errors, spread=spread, series=series, start=start)
    return every.select(start < seen), every.select(start == seen)


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("score", ["residual", "scaled", "quantile"])
def test_coverage_of_exchangeable_scores_is_exact(made, simulated, score, symmetric):
    calibration, new = simulated
    method = SplitConformal(made.LEVELS, score=score, symmetric=symmetric, pooling="never").fit(calibration)
    for level, (lower, upper) in made.bounds(method, new).items():
        rank = int(conformal_rank(torch.tensor(59), level, two_sided=not symmetric))
        expected = rank / 60 if symmetric else 2 * rank / 60 - 1
        inside = ((new.target >= lower) & (new.target <= upper)).double()
        # Steps share a window, not its errors: 4,000 independent cells.
        error = (expected * (1 - expected) / inside.numel()) ** 0.5
        assert abs(float(inside.mean()) - expected) < 3 * error, (level, float(inside.mean()), expected)


def test_bounds_by_hand(made):
    windows = made.windows([[[float(e)]] for e in (5, -1, 2, -3, 4, 0, 1, -2, 3)])  # nine signed errors
    two_sided = made.bounds(
        SplitConformal(80, symmetric=False).fit(windows), windows.select(torch.tensor([0]))
    )
    # 10 * 0.9 = 9: the largest error on either side
    assert [float(bound) for bound in two_sided[80.0]] == [-3.0, 5.0]
    one = made.bounds(SplitConformal(80, symmetric=True).fit(windows), windows.select(torch.tensor([0])))
    # 10 * 0.8 = 8: sizes 0 1 1 2 2 3 3 4 5
    assert [float(bound) for bound in one[80.0]] == [-4.0, 4.0]


def test_a_constant_spread_changes_nothing(made):
    generator = torch.Generator().manual_seed(0)
    errors = torch.randn(60, 3, 2, generator=generator, dtype=torch.float64)
    windows = made.windows(errors, spread=torch.full_like(errors, 2.5))
    plain = made.bounds(SplitConformal(made.LEVELS).fit(windows), windows)
    scaled = made.bounds(SplitConformal(made.LEVELS, score="scaled").fit(windows), windows)
    for level, interval in plain.items():
        torch.testing.assert_close(scaled[level], interval, rtol=1e-12, atol=1e-12)


def test_the_models_spread_shows(made):
    generator = torch.Generator().manual_seed(0)
    spread = torch.tensor([1.0, 10.0]).repeat(40)[:, None, None].double()
    windows = made.windows(torch.randn(80, 1, 1, generator=generator).double() * spread, spread=spread)
    lower, upper = made.bounds(SplitConformal(80, score="scaled").fit(windows), windows)[80.0]
    width = (upper - lower)[:, 0, 0]
    torch.testing.assert_close(width[1] / width[0], torch.tensor(10.0).double())


def test_few_scores_are_pooled_in_units_of_each_series(made):
    generator = torch.Generator().manual_seed(1)
    series = torch.tensor([0] * 3 + [1] * 3 + [2] * 30)
    units = torch.tensor([1.0, 100.0, 10.0], dtype=torch.float64)[series][:, None]
    errors = torch.randn(36, 2, 1, generator=generator).double() * units[:, None]
    windows = made.windows(errors, series=series, start=torch.arange(36), scale=units)
    method = SplitConformal(80).fit(windows)
    lower, upper = made.bounds(method, windows.select(torch.tensor([0, 3, 6])))[80.0]
    sizes = (errors / units[:, None]).abs().sort(0).values
    pooled = sizes[30 - 1 + 0]  # 37 * 0.8 = 29.6: the 30th
    torch.testing.assert_close(upper[0], pooled)
    torch.testing.assert_close(upper[1], 100 * pooled)
    own = errors[series == 2].abs().sort(0).values[25 - 1]  # 31 * 0.8 = 24.8
    torch.testing.assert_close(upper[2], own)
    torch.testing.assert_close(lower, -upper)


def test_too_few_scores_leave_the_bound_empty(made):
    errors = torch.ones(18, 1, 1)
    scale = torch.ones(18, 1)
    windows = made.windows(errors, scale=scale)
    intervals = made.bounds(SplitConformal([80, 95]).fit(windows), windows)
    assert intervals[80.0].upper.eq(1).all() and intervals[95.0].upper.isnan().all()
    note = SplitConformal([80, 95]).empty_note(95)
    assert "level 95 needs 19 past forecasts" in note
    one_more = made.windows(torch.ones(19, 1, 1), scale=torch.ones(19, 1))
    assert made.bounds(SplitConformal(95).fit(one_more), one_more)[95.0].upper.eq(1).all()


@pytest.mark.parametrize("scale", [None, float("nan"), 0.0])
def test_a_series_without_scale_is_not_pooled(made, scale):
    of_windows = None if scale is None else torch.tensor([scale] * 2 + [1.0] * 30)[:, None]
    windows = made.windows(
        torch.ones(32, 1, 1), series=[0] * 2 + [1] * 30, start=torch.arange(32), scale=of_windows
    )
    upper = made.bounds(SplitConformal(80).fit(windows), windows)[80.0].upper[:, 0, 0]
    assert upper[:2].isnan().all() and upper[2:].eq(1).all()


def test_pooling_as_it_is_asked_for(made):
    windows = made.windows(
        torch.tensor([1.0] * 9 + [3.0] * 9)[:, None, None],
        series=[0] * 9 + [1] * 9,
        start=torch.arange(18),
        scale=torch.ones(18, 1),
    )
    tops = {
        pooling: made.bounds(SplitConformal(80, pooling=pooling).fit(windows), windows)[80.0].upper[0].item()
        for pooling in ("few", "always", "never")
    }
    assert tops == {"few": 1.0, "always": 3.0, "never": 1.0}
    unseen = windows.select(torch.tensor([0]))
    for pooling, expected in (("few", 3.0), ("never", float("nan"))):
        method = SplitConformal(80, pooling=pooling).fit(windows)
        upper = method.intervals(
            unseen.forecast, series_index=torch.tensor([-1]), start=unseen.start, scale=unseen.scale
        )[80.0].upper
        torch.testing.assert_close(upper, torch.full_like(upper, expected), equal_nan=True)


def test_missing_cells_count_for_nothing(made):
    generator = torch.Generator().manual_seed(5)
    errors = torch.randn(40, 2, 2, generator=generator).double()
    hidden = torch.rand(errors.shape, generator=generator) < 0.3
    method = SplitConformal([80, 90]).fit(made.windows(errors.masked_fill(hidden, torch.nan)))
    upper = made.bounds(method, made.windows(errors))[80.0].upper[0]
    for step in range(2):
        for channel in range(2):
            known = errors[:, step, channel][~hidden[:, step, channel]]
            alone = SplitConformal([80, 90]).fit(made.windows(known[:, None, None]))
            own = made.bounds(alone, made.windows(torch.zeros(1, 1, 1)))[80.0].upper
            assert upper[step, channel] == own.item()


@pytest.mark.parametrize("score", ["residual", "quantile"])
def test_levels_never_cross(made, score):
    # Level 95 takes the pool, whose scores are smaller than the series' own, which are enough for 80; the
    # model's own interval is too wide, so that the margins of CQR are negative.
    generator = torch.Generator().manual_seed(2)
    errors = torch.randn(500, 4, 1, generator=generator).double() * 0.01
    errors[:10] *= 1000
    windows = made.windows(
        errors,
        spread=torch.full_like(errors, 3.0),
        series=[0] * 10 + [1] * 490,
        start=torch.arange(500),
        scale=torch.ones(500, 1),
    )
    intervals = made.bounds(SplitConformal(made.LEVELS, score=score).fit(windows), windows)
    inner, outer = intervals[80.0], intervals[95.0]
    assert (inner.lower <= inner.upper).all()
    assert (outer.lower <= inner.lower).all() and (outer.upper >= inner.upper).all()


def test_the_state_is_plain_and_finds_series_by_their_names(made):
    generator = torch.Generator().manual_seed(2)
    errors = torch.randn(60, 3, 1, generator=generator).double()
    errors[30:] *= 10
    windows = made.windows(
        errors, series=[0] * 30 + [1] * 30, start=torch.arange(60), scale=torch.ones(60, 1)
    )
    method = SplitConformal(made.LEVELS).fit(windows, series_ids=["a", "b"])
    file = io.BytesIO()
    torch.save({"intervals": method.state()}, file)
    file.seek(0)
    again = method_of_state(torch.load(file, weights_only=True)["intervals"])
    before, after = made.bounds(method, windows), made.bounds(again, windows)
    for level in before:
        torch.testing.assert_close(after[level], before[level], rtol=0, atol=0)
    other = again.for_series(["new", "b", "a"])
    here = windows.select(torch.tensor([0, 0, 0]))
    upper = other.intervals(
        here.forecast, series_index=torch.arange(3), start=here.start, scale=torch.ones(3, 1)
    )[80.0].upper
    own = before[80.0].upper
    torch.testing.assert_close(upper[1:], torch.stack([own[30], own[0]]))
    assert (upper[0] > own[0]).all() and (upper[0] < own[30]).all()  # the pool's


def test_what_is_wrong_is_named(made):
    windows = made.windows(torch.ones(20, 2, 1))
    with pytest.raises(
        ValueError, match="score: expected one of 'residual', 'scaled', 'quantile', got 'cqr'"
    ):
        SplitConformal(score="cqr")
    with pytest.raises(ValueError, match="pooling: expected one of 'few', 'always', 'never'"):
        SplitConformal(pooling="yes")
    with pytest.raises(ValueError, match="SplitConformal: call fit before"):
        made.bounds(SplitConformal(), windows)
    with pytest.raises(ValueError, match=r"expected its quantile 0\.1, it has none"):
        SplitConformal(score="scaled").fit(windows)
    with pytest.raises(ValueError, match="series_ids: expected 1, one for each series, got 2"):
        SplitConformal().fit(windows, series_count=1, series_ids=["a", "b"])
    with pytest.raises(ValueError, match="target: expected"):
        ForecastWindows(
            Forecast(torch.zeros(2, 3, 1)), torch.zeros(2, 3, 2), torch.zeros(2).long(), torch.zeros(2).long()
        )
    method = SplitConformal().fit(windows)
    with pytest.raises(ValueError, match=r"series_index: expected numbers below 1.* or -1, got 4"):
        method.intervals(windows.forecast, series_index=torch.full((20,), 4), start=windows.start, scale=None)
    with pytest.raises(ValueError, match="without series_ids"):
        method.for_series(["a"])
