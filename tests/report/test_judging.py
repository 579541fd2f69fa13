"""Errors of past forecasts against plain loops, and torchmetrics-like definitions of the house."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from seqlight.metrics import forecast_metrics
from seqlight.report import PastForecasts, Series
from seqlight.report.judging import Judged, bin_edges, scales
from seqlight.report.numbers import Digits

W, H, S = 30, 4, 3


@pytest.fixture(scope="module")
def past() -> PastForecasts:
    rng = np.random.default_rng(0)
    series = np.repeat(np.arange(S), W // S)
    begin = np.tile(np.arange(W // S), S)
    time = np.datetime64("2024-01-01", "us") + (begin[:, None] + np.arange(H)) * np.timedelta64(1, "h")
    truth = rng.normal(50, 10, (S, W // S + H))
    target = np.array([truth[one, first : first + H] for one, first in zip(series, begin, strict=True)])
    target[3, 1] = np.nan
    good = target + rng.normal(1, 2, (W, H))
    return PastForecasts(
        series=series,
        time=time,
        target=target,
        preds={"good": good, "bad": good + 5},
        bands={80: (good - 3, good + 2), 50: (good - 1, good + 1)},
        scale=np.repeat([1.0, 2.0, 4.0], W // S),
    )


@pytest.fixture(scope="module")
def judged(past: PastForecasts) -> Judged:
    return Judged(past, np.array([1.0, 2.0, 4.0]))


def test_the_table_is_the_houses_metrics(judged: Judged) -> None:
    past = judged.past
    row = judged.row("good", chosen=True)
    for name, metric in forecast_metrics().set_dtype(torch.float64).items():
        own = {"mae": "MAE", "rmse": "RMSE", "mase": "MASE", "smape": "sMAPE"}.get(name)
        if own is None:
            continue
        arguments = [
            torch.from_numpy(past.preds["good"])[..., None],
            torch.from_numpy(past.target)[..., None],
        ]
        if name == "mase":
            arguments.append(torch.from_numpy(judged.scale[past.series])[:, None])
        metric.update(*arguments, torch.isfinite(arguments[1]))
        assert row.errors[own] == pytest.approx(float(metric.compute())), name
    assert row.errors["bias"] == pytest.approx(float(np.nanmean(past.preds["good"] - past.target)))


def test_sums_by_loops(judged: Judged) -> None:
    past = judged.past
    off = np.abs(past.preds["good"] - past.target)
    assert judged.by_step("good") == pytest.approx(np.nanmean(off, axis=0))
    by_series = [np.nanmean(off[past.series == one]) for one in range(S)]
    assert judged.by_series("good", S + 1)[:S] == pytest.approx(by_series)
    assert np.isnan(judged.by_series("good", S + 1)[S])
    (by_hour,) = judged.by_time("good", "y", Digits(1))
    hours = past.time.astype("datetime64[h]").astype(int) % 24
    for hour in range(24):
        own = off[hours == hour]
        expected = np.nanmean(own) if own.size else np.nan
        assert by_hour.errors[hour] == pytest.approx(expected, nan_ok=True)
        assert by_hour.count[hour] == np.isfinite(own).sum()
    origins = judged.by_origin(["good"], "y", Digits(1))
    assert origins is not None
    expected = [np.nanmean(off[past.time[:, 0] == time]) for time in origins.time]
    assert origins.errors["good"] == pytest.approx(expected)


def test_weekdays_are_told_of_days_alone(past: PastForecasts) -> None:
    def parts(step: str, unit: str) -> list[str]:
        steps = np.arange(W)[:, None] + np.arange(H)
        time = (np.datetime64("2024-01", step) + steps).astype(unit)
        found = Judged(replace(past, time=time), np.array([1.0, 2.0, 4.0])).by_time("good", "y", Digits(1))
        return [one.part for one in found]

    assert parts("D", "datetime64[us]") == ["day of the week"]
    assert parts("M", "datetime64[us]") == ["month"]  # their first days fall on every weekday


def test_coverage(judged: Judged) -> None:
    narrow, wide = judged.coverage(np.full(W, 2.0), "y", Digits(1))
    assert (narrow.level, wide.level) == (50, 80)
    past = judged.past
    known = np.isfinite(past.target)
    for one in (narrow, wide):
        lower, upper = past.bands[one.level]
        inside = (past.target >= lower) & (past.target <= upper)
        assert one.inside == pytest.approx(inside[known].mean())
        assert one.width == pytest.approx((upper - lower)[known].mean() / 2)
        assert one.cells == known.sum()


def test_residuals(judged: Judged) -> None:
    residuals = judged.residuals("good", "y", Digits(1))
    assert residuals is not None
    off = (judged.past.preds["good"] - judged.past.target).ravel()
    off = off[np.isfinite(off)]
    assert residuals.counts.sum() == len(off)
    assert (residuals.mean, residuals.std) == (pytest.approx(off.mean()), pytest.approx(off.std()))


def test_autocorrelation_takes_the_shortest_lead_of_each_time() -> None:
    """Errors of one step ahead that follow x(t) = 0.8 x(t-1) + noise, beside larger ones of later steps."""
    rng = np.random.default_rng(0)
    errors = np.zeros(800)
    for step in range(1, len(errors)):
        errors[step] = 0.8 * errors[step - 1] + rng.normal()
    time = np.arange(800)[:, None] + np.arange(2)
    preds = np.stack([errors, rng.normal(0, 100, 800)], axis=1)
    preds[-1, 1] = 0.0  # the last time has only a forecast of two steps
    order = rng.permutation(800)  # windows come in any order
    past = PastForecasts(
        series=np.zeros(800, np.int64), time=time[order], target=np.zeros((800, 2)), preds={"a": preds[order]}
    )
    residuals = Judged(past, np.ones(1)).residuals("a", "y", Digits(1))
    assert residuals is not None
    assert residuals.autocorrelation[:3] == pytest.approx([0.8, 0.64, 0.51], abs=0.12)
    assert residuals.bound == pytest.approx(1.96 / np.sqrt(801))


def test_neighbours_of_other_series_are_none() -> None:
    """Two series of constant errors, +1 and -1: without their means nothing is left to correlate."""
    past = PastForecasts(
        series=np.repeat([0, 1], 50),
        time=np.tile(np.arange(50), 2)[:, None],
        target=np.zeros((100, 1)),
        preds={"a": np.repeat([1.0, -1.0], 50)[:, None]},
    )
    residuals = Judged(past, np.ones(2)).residuals("a", "y", Digits(1))
    assert residuals is not None and len(residuals.autocorrelation) == 0


def test_scales_look_at_nothing_that_is_judged() -> None:
    values = np.concatenate([np.tile([1.0, 3.0], 50), np.full(20, 1000.0)])
    series = [Series(name="a", unit="y", time=np.arange(120), values=values)]
    past = PastForecasts(
        series=np.zeros(1, np.int64),
        time=np.arange(100, 104)[None],
        target=np.ones((1, 4)),
        preds={"a": np.ones((1, 4))},
    )
    assert scales(series, 1, past) == pytest.approx([2.0])
    assert scales(series, 3, past) == pytest.approx([2.0])
    assert np.isnan(scales([Series(name="b", unit="y", time=np.arange(50), values=np.ones(50))], 1, None))
    assert scales(series, 1, None) > 2.0


@pytest.mark.parametrize(
    "values", [np.array([1.0, 1.0]), np.array([0.0, 1e-12]), np.r_[np.zeros(99), 1e9], np.arange(5.0)]
)
def test_bins_of_any_values(values: np.ndarray) -> None:
    edges = bin_edges(values)
    assert (np.diff(edges) > 0).all() and 2 <= len(edges) <= 41
