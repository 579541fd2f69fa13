"""What a report says: the two sentences, the numbers beside them, what is refused."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from seqlight.report import HiddenErrors, ModelRun, PastForecasts, Report, Series, build, render

N, H = 400, 12


def make(
    name: str = "a", *, unit: str = "sales", level: float = 100.0, ahead: float = 110.0, days: int = 1
) -> Series:
    """A daily series that alternates around ``level``, and a constant forecast."""
    time = np.datetime64("2024-01-01", "us") + np.arange(N + H) * np.timedelta64(days, "D")
    return Series(
        name=name,
        unit=unit,
        time=time[:N],
        values=level + np.tile([-1.0, 1.0], N // 2),
        forecast_time=time[N:],
        forecast=np.full(H, ahead),
    )


def make_past(series: list[Series], off: dict[str, float]) -> PastForecasts:
    """Two windows of every series, each model off by a constant."""
    begins = (N - H, N - 2 * H)
    target = np.array([one.values[begin : begin + H] for one in series for begin in begins])
    return PastForecasts(
        series=np.repeat(np.arange(len(series)), 2),
        time=np.array([one.time[begin : begin + H] for one in series for begin in begins]),
        target=target,
        preds={name: target + error for name, error in off.items()},
        bands={80: (target - 1, target + 1), 95: (target + 1, target + 2)},
    )


def plain(report: Report) -> list[str]:
    return [sentence.replace("\u00a0", " ") for sentence in report.answer]


def test_a_forecast_says_what_will_come_and_how_far_to_trust_it() -> None:
    series = [make()]
    past = make_past(series, {"network": 2.0, "naive": -4.0})
    assert plain(build(series, past=past, chosen="network")) == [
        "Over the next 12 days, to 2025-02-15, sales is forecast to average 110.0, against 100.0 in the 12 "
        "days before (+10 %).",
        "In 2 past forecasts that it was not trained on, network was off by 2.00 on average, 50 % less than "
        "the next best: naive, 4.00.",
    ]


@pytest.mark.parametrize(
    ("mine", "sentence"),
    [
        (5.0, "naive was off by 5.00 on average, 25 % more than the best of the others: other, 4.00."),
        (4.0, "naive was off by 4.00 on average, as was the best of the others: other, 4.00."),
        (40.0, "naive was off by 40.0 on average, 10 times as much as the best of the others: other, 4.00."),
    ],
)
def test_a_model_that_is_no_better_is_said_to_be(mine: float, sentence: str) -> None:
    series = [make()]
    past = make_past(series, {"naive": mine, "other": 4.0})
    assert plain(build(series, past=past, chosen="naive"))[1].endswith(sentence)


def test_other_first_sentences() -> None:
    assert plain(build([make(ahead=100.1)]))[0].endswith("100.0 in the 12 days before (about the same).")
    assert plain(build([make(), make("b", ahead=50.0)]))[0].startswith(
        "Over the next 12 days, to 2025-02-15, sales of the 2 series is forecast to average 80.0, against 100"
    )
    # Not 12 steps before, which are another part of a season of 30, but the same steps one season before.
    assert "against 100.0 in the same days a season before" in plain(build([make()], season_length=30))[0]
    assert plain(build([make(), make("b", unit="visits", ahead=50.0)]))[0] == (
        "Over the next 12 days, to 2025-02-15, 1 series of 2 are forecast higher than in the 12 days before, "
        "and 1 lower."
    )
    # A week or a year before, where the steps are such.
    weeks = plain(build([make(days=7)]))[0]
    assert "the next 12 weeks" in weeks and "in the same weeks a year before" in weeks
    assert "the next 12 steps" in plain(build([make(days=3)]))[0]
    assert (
        plain(build([make()]))[1]
        == "No forecast of the past could be checked, so nothing is known of its errors."
    )


@pytest.mark.parametrize("kind", ["backtest", "compare"])
def test_a_backtest_says_who_won(kind: Any) -> None:
    series = [make(), make("b", level=1000.0)]
    past = make_past(series, {"b": 4.0, "a": 2.0})
    report = build(series, past=past, kind=kind)
    assert plain(report) == [
        "a has the lowest error of 2 models in 4 forecasts of 12 steps that begin at 2 times between "
        "2025-01-11 and 2025-01-23: off by 2.00 on average.",
        "That is 50 % less than b, and lower in 100 % of the single forecasts.",
    ]
    assert [row.chosen for row in report.models] == [False, True]
    once = replace(past, time=np.repeat(past.time[:1], 4, axis=0))
    assert (
        "in 4 forecasts of 12 steps that begin at 2025-01-23: off"
        in build(series, past=once, kind=kind).answer[0]
    )


def test_filled_gaps() -> None:
    one = make()
    filled = np.zeros(N, bool)
    filled[10:20] = True
    one = replace(one, filled=filled, forecast_time=one.time[:0], forecast=one.values[:0])
    hidden = [
        HiddenErrors(
            column="sales", method="network", errors={"MAE": 0.5, "MRE": 0.01}, cells=40, chosen=True
        ),
        HiddenErrors(
            column="sales", method="last value", errors={"MAE": 2.0, "MRE": 0.04}, cells=40, chosen=False
        ),
    ]
    report = build([one], kind="impute", hidden=hidden)
    assert plain(report) == [
        "10 missing values of 400 (2 %) in 1 series have been filled.",
        "On 40 known values that were hidden to measure errors, network was off by 0.500 on average, last "
        "value by 2.00.",
    ]
    assert "Filled series" in render(report)
    assert plain(build([one], kind="impute"))[1].startswith("No known value was hidden")


def test_first_screen() -> None:
    series = [make(f"s{index}") for index in range(3)]
    past = make_past(series, {"network": 2.0, "naive": 4.0})
    errors = np.array([3.0, 3.0, 1.0, 1.0, 2.0, 2.0])[:, None]
    past = replace(past, preds={"network": past.target + errors, "naive": past.target + 4.0})
    report = build(series, past=past, chosen="network", runs={"network": ModelRun(seconds=61.0, weight=0.5)})
    assert report.first == 2  # the series whose error is in the middle
    facts = {fact.label: fact.value.replace("\u00a0", " ") for fact in report.facts}
    assert facts == {
        "forecast": "12 days",
        "typical error": "2.00",
        "against the next best": "\u221250 %",
        "MASE": "1.00",  # one step back is off by 2
        "95 % band held": "0 %",
        "found odd in the data": "0",
    }
    assert [(one.level, one.inside) for one in report.coverage] == [(80, 1.0), (95, 0.0)]
    page = render(report)
    assert "1 min 01 s" in page and "50\u00a0%" in page
    assert dict(report.versions).keys() >= {"Python", "seqlight", "torch"}


def test_columns_of_different_units_are_scaled_before_they_are_pooled() -> None:
    series = [make("a"), make("b", unit="visits", level=1e6)]
    past = make_past(series, {"network": 2.0})
    report = build(series, past=past)
    assert report.residuals is not None and report.residuals.unit.startswith("multiples")
    assert report.residuals.mean == pytest.approx(1.0)
    assert report.coverage[0].unit.startswith("multiples")


def test_series_without_a_forecast_value_or_a_past() -> None:
    """A series without any known value, and steps instead of times, in one page."""
    empty = replace(make("empty"), values=np.full(N, np.nan), forecast=np.full(H, np.nan))
    steps = [replace(one, time=np.arange(N), forecast_time=np.arange(N, N + H)) for one in (make("a"), empty)]
    report = build(steps, season_length=7)
    assert report.oddities[0].kind == "empty"
    assert report.time_style == "step"
    assert "to 411, sales" in report.answer[0]
    assert "no value is known" in render(report)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"series": []}, "series expected at least one Series, got none"),
        ({"kind": "backtest"}, "past expected PastForecasts for kind 'backtest', got None"),
        ({"chosen": "x", "past": {"network": 1.0}}, r"chosen expected one of \['network'\], got 'x'"),
    ],
)
def test_refused(arguments: dict[str, Any], message: str) -> None:
    series = arguments.pop("series", [make()])
    if "past" in arguments:
        arguments["past"] = make_past(series, arguments["past"])
    with pytest.raises(ValueError, match=message):
        build(series, **arguments)


def test_a_window_of_an_unknown_series_is_refused() -> None:
    past = make_past([make(), make("b")], {"network": 1.0})
    with pytest.raises(ValueError, match=r"past\.series expected positions from 0 to 0, got 0 to 1"):
        build([make()], past=past)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"values": np.zeros(3)}, r"Series 'a': values expected shape \(400,\) like time, got \(3,\)"),
        ({"forecast": np.zeros(3)}, r"forecast expected shape \(12,\) like forecast_time, got \(3,\)"),
        ({"bands": {0.8: (np.zeros(H), np.zeros(H))}}, "got 0.8; for 80 % give 80"),
        (
            {"bands": {100: (np.zeros(H), np.zeros(H))}},
            "levels of bands are percent from 1 to below 100, got 100",
        ),
        ({"bands": {80: (np.zeros(H), np.zeros(2))}}, r"bands\[80\] expected shape \(12,\)"),
    ],
)
def test_arrays_that_do_not_fit(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(make(), **changes)


def test_past_forecasts_that_do_not_fit() -> None:
    past = make_past([make()], {"network": 1.0})
    with pytest.raises(ValueError, match="preds expected at least one model"):
        replace(past, preds={})
    with pytest.raises(
        ValueError, match=r"preds\['x'\] expected shape \[W, H\] = \(2, 12\) like target, got \(2, 3\)"
    ):
        replace(past, preds={"x": np.zeros((2, 3))})
    with pytest.raises(ValueError, match=r"series expected shape \(2,\), one of each window, got \(5,\)"):
        replace(past, series=np.zeros(5, np.int64))


def test_months_that_are_missing_a_year_before_are_compared_with_the_same_ones() -> None:
    """Ten of twelve are known; the two that are not would be the highest."""
    months = np.arange("2020-01", "2024-01", dtype="datetime64[M]")
    shape = np.tile(np.where(np.arange(12) >= 10, 300.0, 100.0), 4)
    values = shape[:36].copy()
    values[34:36] = np.nan
    series = Series(
        name="milk",
        unit="pounds",
        time=months[:36],
        values=values,
        forecast_time=months[36:],
        forecast=shape[36:] * 1.1,
    )
    first = build([series], season_length=12).answer[0]
    assert "to average 146.7, against 100.0 in the same months a year before, of which 10 of 12" in first
    assert "values are known (+10\u00a0% over these)" in first
    values[28:] = np.nan
    assert "against" not in build([replace(series, values=values)], season_length=12).answer[0]
