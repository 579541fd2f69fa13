"""What is chosen when the user leaves it open."""

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqlight.cli.sizes import (
    DAY_US,
    MONTH_US,
    WEEK_US,
    YEAR_US,
    choose_calendar_features,
)
from seqlight.data.store.splits import Splitter
from seqlight.data.store.window_sizes import MAX_DEFAULT_CONTEXT, choose_sizes

HOUR_US = DAY_US / 24


@pytest.mark.parametrize(
    ("length", "season", "expected"),
    [
        (17_420, 24, (336, 24)),  # two years of hours: two weeks in, a day out
        (10_320, 48, (336, 48)),  # half hours
        (144, 12, (36, 12)),  # twelve years of months
        (1000, 7, (98, 7)),  # days
        (200, 52, (52, 16)),  # four years of weeks: the season fits, and is taken
        (40, 1, (7, 3)),  # years
        (100_000, 1440, (336, 168)),  # minutes: the season is too long to look at
    ],
)
def test_defaults(length: int, season: int, expected: tuple[int, int]) -> None:
    assert choose_sizes(length, season, horizon=None, context=None) == expected


def test_given_sizes_stay() -> None:
    assert choose_sizes(1000, 24, horizon=5, context=7) == (7, 5)
    assert choose_sizes(1000, 24, horizon=150, context=None) == (250, 150)


@given(length=st.integers(1, 10**6), season=st.integers(1, 10_000))
def test_defaults_leave_room_for_training(length: int, season: int) -> None:
    context, horizon = choose_sizes(length, season, horizon=None, context=None)
    assert 1 <= context <= MAX_DEFAULT_CONTEXT or context <= 2 * horizon
    assert horizon >= 1
    if length >= 12:
        assert Splitter(context, horizon).shortest() <= length


@pytest.mark.parametrize(
    ("step", "span", "expected"),
    [
        (HOUR_US, 10 * WEEK_US, ["hour", "day_of_week"]),
        (HOUR_US, 3 * DAY_US, ["hour"]),
        (DAY_US, YEAR_US, ["day_of_week"]),
        (DAY_US, 3 * YEAR_US, ["day_of_week", "day_of_year"]),
        (WEEK_US, 3 * YEAR_US, ["day_of_year"]),
        (MONTH_US * 1.08, 12 * YEAR_US, ["month"]),
        (MONTH_US * 1.08, YEAR_US, []),
    ],
)
def test_calendar_features_need_two_periods(step: float, span: float, expected: list[str]) -> None:
    assert choose_calendar_features(step, span) == expected


def test_a_short_series_does_not_limit_the_others(
    run: Callable[..., int], tmp_path: Path, two_series_csv: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "sales.csv"
    new = "".join(f"2024-03-01 {hour:02d}:00:00,new,5,x\n" for hour in range(24))
    path.write_text(two_series_csv.read_text() + new)
    options = ["--time", "ds", "--target", "sales", "--id", "shop", "--missing", "mask", "--model", "naive"]
    quiet = ["-o", tmp_path / "out.csv"]
    assert run("forecast", path, *options, *quiet) == 0
    out = capsys.readouterr().out
    assert "windows of 18 steps" in out  # a twelfth of 216, the middle one of the lengths
    assert "note: 18 steps ahead, a twelfth of the series, not a season of 24; --horizon asks" in out
    assert pl.read_csv(tmp_path / "out.csv")["shop"].value_counts()["count"].to_list() == [18] * 3
