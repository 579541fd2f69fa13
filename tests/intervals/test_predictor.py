import pytest
import torch

from seqlight.intervals import (
    AdaptiveConformal,
    ConformalPredictor,
    ForecastWindows,
    SplitConformal,
    interval_methods,
)
from seqlight.models import LinearForecaster, NaiveForecaster
from seqlight.predictor import Predictor

LENGTH, HORIZON = 6, 3


def batch(values, starts):
    """Windows of one series [T, C] that begin at ``starts``."""
    values = torch.as_tensor(values, dtype=torch.float32)
    return {
        "past_target": torch.stack([values[start - LENGTH : start] for start in starts]),
        "future_target": torch.stack([values[start : start + HORIZON] for start in starts]),
        "series_index": torch.zeros(len(starts), dtype=torch.int64),
        "start": torch.tensor(starts),
    }


def walk(seed=0, steps=200):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(steps, 1, generator=generator).cumsum(0) + 50


def naive(**options):
    forecaster = NaiveForecaster(context_length=LENGTH, prediction_length=HORIZON)
    for name, value in options.items():
        setattr(forecaster, name, value)
    return forecaster


def conformal(forecaster, values, **options):
    windows = ForecastWindows.collect(
        forecaster, [batch(values, list(range(6, 80))), batch(values, [90, 95])]
    )
    return ConformalPredictor(forecaster, SplitConformal([80, 95], **options).fit(windows))


def test_it_is_a_predictor_whose_quantiles_are_the_bounds():
    values = walk()
    predictor = conformal(naive(), values)
    assert isinstance(predictor, Predictor)
    assert (predictor.context_length, predictor.prediction_length, predictor.target_size) == (6, 3, 1)
    assert predictor.hparams["intervals"]["levels"] == [80.0, 95.0]
    here = batch(values, [150, 160])
    point, intervals = predictor.intervals(here)
    forecast = predictor.predict(here, quantile_levels=[0.025, 0.1, 0.5, 0.9, 0.975])
    torch.testing.assert_close(forecast.point, point.point)
    assert forecast.quantiles is not None and (forecast.quantiles.diff(dim=-1) >= 0).all()
    torch.testing.assert_close(forecast.quantiles[..., 1], intervals[80.0].lower)
    torch.testing.assert_close(forecast.quantiles[..., 4], intervals[95.0].upper)
    torch.testing.assert_close(forecast.quantiles[..., 2], forecast.point)
    assert predictor.predict(here).quantiles is None
    # A random walk: the errors grow with the step.
    width = (intervals[95.0].upper - intervals[95.0].lower)[0, :, 0]
    assert (width.diff() > 0).all()


def test_a_conformal_predictor_can_be_evaluated_and_wrapped_again():
    values = walk()
    predictor = conformal(naive(), values)
    windows = ForecastWindows.collect(
        predictor, [batch(values, list(range(80, 140)))], quantile_levels=[0.1, 0.9]
    )
    again = ConformalPredictor(predictor, SplitConformal(80, score="quantile").fit(windows))
    interval = again.intervals(batch(values, [150]))[1][80.0]
    assert interval.upper.isfinite().all()


@pytest.mark.parametrize("wanted", [[0.2], [0.5, 0.3]])
def test_other_quantiles_are_refused(wanted):
    values = walk()
    predictor = conformal(naive(), values)
    with pytest.raises(
        ValueError, match=r"expected some of 0\.025, 0\.1, 0\.5, 0\.9, 0\.975, the bounds of levels 80"
    ):
        predictor.predict(batch(values, [150]), quantile_levels=wanted)
    with pytest.raises(ValueError, match="samples: conformal intervals have none"):
        predictor.predict(batch(values, [150]), samples=3)


def test_an_unfitted_method_is_refused():
    with pytest.raises(ValueError, match="method: expected a fitted one"):
        ConformalPredictor(naive(), SplitConformal())


class Whole:
    low: float | None = 0.0
    high: float | None = 60.0
    integer = True

    def apply(self, forecast):
        return forecast.round().clamp(self.low, self.high)


def test_bounds_keep_to_what_can_be_and_lose_nothing():
    generator = torch.Generator().manual_seed(0)
    values = torch.poisson(torch.full((200, 1), 3.0), generator=generator)
    plain, whole = conformal(naive(), values), conformal(naive(bounds=Whole()), values)
    here = batch(values, list(range(90, 190)))
    inside = {}
    for name, predictor in (("plain", plain), ("whole", whole)):
        intervals = predictor.intervals(here)[1]
        for level, (lower, upper) in intervals.items():
            inside[name, level] = (here["future_target"] >= lower) & (here["future_target"] <= upper)
    intervals = whole.intervals(here)[1]
    for level, (lower, upper) in intervals.items():
        assert lower.min() >= 0 and upper.max() <= 60
        torch.testing.assert_close(lower, lower.round())
        torch.testing.assert_close(upper, upper.round())
        assert (inside["plain", level] == inside["whole", level]).all()
    assert (plain.intervals(here)[1][95.0].lower < 0).any()


def test_windows_without_a_known_past_do_not_count():
    values = walk()
    values[10:20] = torch.nan
    windows = ForecastWindows.collect(naive(), [batch(values, list(range(6, 40)))])
    assert windows.target[windows.start == 18].isnan().all()  # rows 12 to 17 are missing
    masked = batch(walk(), list(range(6, 40)))
    masked["future_observed"] = torch.ones_like(masked["future_target"], dtype=torch.bool)
    masked["future_observed"][3] = False
    assert ForecastWindows.collect(naive(), [masked]).target[3].isnan().all()
    with pytest.raises(ValueError, match="expected at least one window, got none"):
        ForecastWindows.collect(naive(), [])


def test_methods_by_name():
    assert list(interval_methods(with_quantiles=False)) == ["split", "split, two-sided", "adaptive"]
    every = interval_methods([90], with_quantiles=True)
    assert {method.score.name for method in every.values()} == {"residual", "scaled", "quantile"}
    assert every["CQR"].quantile_levels == pytest.approx((0.05, 0.95))


def test_intervals_of_counts_are_counts():
    torch.manual_seed(0)
    forecaster = LinearForecaster(
        context_length=LENGTH, prediction_length=HORIZON, head="poisson", transform="mean_scale"
    )
    counts = torch.poisson(torch.full((200, 1), 1.5))
    predictor = conformal(forecaster.eval(), counts)
    bounds = predictor.predict(batch(counts, list(range(100, 150))), quantile_levels=[0.025, 0.1, 0.9, 0.975])
    assert torch.equal(bounds.quantiles, bounds.quantiles.round()) and bounds.quantiles.min() == 0
    of_some = LinearForecaster(
        context_length=LENGTH,
        prediction_length=HORIZON,
        head="poisson",
        transform="mean_scale",
        bounds=(1.5, 8.5),
    )
    assert (of_some.value_range.low, of_some.value_range.high) == (2.0, 8.0)
    assert of_some.value_range.integer


def test_outcomes_can_be_observed_later():
    values = walk()
    windows = ForecastWindows.collect(naive(), [batch(values, list(range(6, 60)))])
    adaptive = AdaptiveConformal([80], step_size=0.1)
    predictor = ConformalPredictor(naive(), adaptive.fit(windows))
    later = batch(values, list(range(65, 150)))
    expected = AdaptiveConformal([80], step_size=0.1).fit(windows)
    expected.observe(ForecastWindows.collect(naive(), [later]))
    at = (torch.tensor([0]), torch.tensor([160]), None)
    before = predictor.method.margins(80.0, *at)
    assert torch.equal(predictor.observe([later]).method.margins(80.0, *at), expected.margins(80.0, *at))
    assert not torch.equal(before, expected.margins(80.0, *at))
    with pytest.raises(ValueError, match="method: expected one that adapts"):
        conformal(naive(), values).observe([later])
