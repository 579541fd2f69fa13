"""Frequencies are inferred, continue as pandas continues them, and put rows where they belong."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqlight.data import DataError, infer_frequency, parse_frequency
from seqlight.data.time.frequency import series_of_coarser_steps

# pandas alias -> name and season length of ours
ALIASES = {
    "s": ("1s", 3600),
    "15min": ("15min", 96),
    "30min": ("30min", 48),
    "h": ("1h", 24),
    "6h": ("6h", 4),
    "D": ("1d", 7),
    "B": ("1b", 5),
    "W-SUN": ("1w", 52),
    "W-WED": ("1w", 52),
    "MS": ("1mo", 12),
    "ME": ("1mo", 12),
    "QS": ("1q", 4),
    "QE": ("1q", 4),
    "YS": ("1y", 1),
    "YE": ("1y", 1),
}


def microseconds(index):
    return index.to_numpy("datetime64[us]").astype(np.int64)


@pytest.mark.parametrize("alias", ALIASES)
@given(
    start=st.datetimes(
        pd.Timestamp("1950-01-01").to_pydatetime(), pd.Timestamp("2040-01-01").to_pydatetime()
    ),
    rows=st.integers(14, 40),
)
def test_inferred_grid_continues_the_calendar(alias, start, rows):
    start = pd.Timestamp(start).floor("min")
    times = microseconds(pd.date_range(start, periods=rows + 20, freq=alias))
    known = times[:rows]
    frequency = infer_frequency(known, np.array([0]))
    assert (frequency.name, frequency.season_length) == ALIASES[alias]
    anchor = frequency.anchors(known, np.array([0]))
    assert np.array_equal(frequency.timestamps(np.arange(rows + 20), times[0], anchor), times)
    positions, on_grid = frequency.positions(times, times[:1], anchor)
    assert on_grid.all()
    assert np.array_equal(positions, np.arange(rows + 20))


@given(
    alias=st.sampled_from(["30min", "h", "D", "W-SUN", "MS", "ME", "QE"]),
    absent=st.sets(st.integers(1, 58), max_size=25),
)
def test_absent_rows_leave_the_grid_as_it_is(alias, absent):
    times = microseconds(pd.date_range("2001-03-05 09:30", periods=60, freq=alias))
    present = np.array([i for i in range(60) if i not in absent])
    frequency = infer_frequency(times[present], np.array([0]))
    if np.diff(present).min() > 1:  # no two neighbours are left to show the step
        return
    assert frequency.name == ALIASES[alias][0]
    anchor = frequency.anchors(times[present], np.array([0]))
    positions, on_grid = frequency.positions(times[present], times[:1], anchor)
    assert on_grid.all()
    assert np.array_equal(positions, present)


@given(day=st.integers(1, 31), months=st.sampled_from([1, 2, 3, 12]), first=st.integers(0, 600))
def test_months_keep_their_day_where_it_exists(day, months, first):
    starts = np.arange(first, first + 40 * months, months).astype("datetime64[M]").astype("datetime64[D]")
    ends = (starts.astype("datetime64[M]") + 1).astype("datetime64[D]") - 1
    times = np.minimum(starts + day - 1, ends).astype("datetime64[us]").astype(np.int64)
    frequency = infer_frequency(times[:30], np.array([0]))
    anchor = frequency.anchors(times[:30], np.array([0]))
    assert np.array_equal(frequency.timestamps(np.arange(40), times[0], anchor), times)


def test_one_frequency_serves_series_of_different_phase():
    first = microseconds(pd.date_range("2024-01-31", periods=14, freq="ME"))
    second = microseconds(pd.date_range("2023-05-15", periods=20, freq="MS")) + 14 * 86_400_000_000
    times = np.concatenate([first, second])
    frequency = infer_frequency(times, np.array([0, 14]))
    assert frequency.name == "1mo"
    assert frequency.anchors(times, np.array([0, 14])).tolist() == [31, 15]


@pytest.mark.parametrize(
    ("text", "season"), [("1s", 3600), ("15min", 96), ("100ms", 1), ("500us", 1), ("7h", 1)]
)
def test_seasons_are_those_that_such_data_usually_have(text, season):
    assert parse_frequency(text).season_length == season


def test_series_of_one_row_have_no_frequency():
    assert infer_frequency(np.array([0, 5]), np.array([0, 1])) is None


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("1h", "1h"),
        ("H", "1h"),
        ("24h", "1d"),
        ("15m", "15min"),
        ("M", "1mo"),
        ("MS", "1mo"),
        ("500ms", "500ms"),
        ("12mo", "1y"),
        ("QE", "1q"),
        ("W-SUN", "1w"),
        ("B", "1b"),
        ("2 d", "2d"),
        ("daily", "1d"),
        ("2MS", "2mo"),
    ],
)
def test_frequency_names(text, name):
    assert parse_frequency(text).name == name


@pytest.mark.parametrize("text", ["", "0h", "-1h", "2b", "1x", "h1", "1.5h"])
def test_unknown_frequency_is_refused(text):
    with pytest.raises(DataError, match="frequency: expected a count and a unit"):
        parse_frequency(text)


def test_a_weekly_series_among_daily_ones_is_found():
    daily = microseconds(pd.date_range("2020-07-01", periods=60, freq="D"))
    weekly = microseconds(pd.date_range("2020-07-01", periods=9, freq="W"))
    sparse = daily[[0, 3, 5, 9, 30]]
    times, first_rows = np.concatenate([daily, weekly, sparse]), np.array([0, 60, 69])
    found = series_of_coarser_steps(times, first_rows, parse_frequency("1d"))
    assert [(series, step.name) for series, step in found] == [(1, "1w")]
    assert series_of_coarser_steps(daily, first_rows[:1], parse_frequency("1d")) == []


def test_yearly_among_monthly_series():
    monthly = microseconds(pd.date_range("2020-01-01", periods=30, freq="MS"))
    yearly = microseconds(pd.date_range("2015-01-01", periods=5, freq="YS"))
    found = series_of_coarser_steps(
        np.concatenate([yearly, monthly]), np.array([0, 5]), parse_frequency("1mo")
    )
    assert [(series, step.name) for series, step in found] == [(0, "1y")]
