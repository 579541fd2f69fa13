"""Grids of odd calendars: found in the times or named, and continued as pandas and exchanges do."""

import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqlight.data import CSVDataModule, DataError, infer_frequency, parse_frequency
from seqlight.data.time.frequency import frequency_on

START = np.array([0])
# pandas alias -> name and season length of ours
ALIASES = {
    "BME": ("BME", 12),
    "BMS": ("BMS", 12),
    "BQE": ("BQE", 4),
    "BQS": ("BQS", 4),
    "BYE": ("BYE", 1),
    "SMS": ("SMS", 24),
    "SME": ("SME", 24),
    "WOM-2FRI": ("WOM-2FRI", 12),
    "WOM-3WED": ("WOM-3WED", 12),
}
HALF_HOURS = pd.date_range("2023-01-02", periods=7000, freq="30min")
HOURS = HALF_HOURS[::2]
DAYS = pd.date_range("2023-01-02", periods=400, freq="D")


def microseconds(index):
    return index.to_numpy("datetime64[us]").astype(np.int64)


def check(times, name, known, frequency=None):
    """Found from the first ``known`` times, the frequency ``name`` continues them; its name restores it."""
    if frequency is None:
        frequency = infer_frequency(times[:known], START)
    assert frequency.name == name
    anchor = frequency.anchors(times[:known], START)
    assert np.array_equal(frequency.timestamps(np.arange(len(times)), times[:1], anchor), times)
    positions, on_grid = frequency.positions(times, times[:1], anchor)
    assert on_grid.all()
    assert np.array_equal(positions, np.arange(len(times)))
    assert not frequency.positions(times + 1, times[:1], anchor)[1].any()
    restored = parse_frequency(frequency.name)
    assert restored == frequency
    assert hash(restored) == hash(frequency)
    return frequency


@pytest.mark.parametrize("alias", ALIASES)
@given(
    start=st.datetimes(
        pd.Timestamp("1960-01-01").to_pydatetime(), pd.Timestamp("2040-01-01").to_pydatetime()
    ),
    rows=st.integers(24, 60),
)
def test_months_of_business(alias, start, rows):
    times = microseconds(pd.date_range(pd.Timestamp(start).floor("min"), periods=rows + 30, freq=alias))
    name, season = ALIASES[alias]
    assert check(times, name, rows).season_length == season


@pytest.mark.parametrize("alias", ALIASES)
def test_absent_months(alias):
    times = microseconds(pd.date_range("2001-01-01 08:00", periods=80, freq=alias))
    present = np.array([i for i in range(80) if i % 11 != 5])
    frequency = infer_frequency(times[present], START)
    assert frequency.name == ALIASES[alias][0]
    assert np.array_equal(frequency.positions(times[present], times[:1], 0)[0], present)


def test_last_fridays():
    # The last Friday of a month is no other weekday of the month for long.
    fridays = pd.date_range("2010-01-01", "2020-01-01", freq="W-FRI")
    last = fridays[fridays.month != (fridays + pd.Timedelta(days=7)).month]
    check(microseconds(last), "LWOM-FRI", 40)


def test_two_days_a_month():
    days = pd.date_range("2010-01-01", "2015-01-01", freq="D")
    check(microseconds(days[days.day.isin([5, 20])]), "SM-5-20", 40)


def weekday(index):
    return index.day_of_week


PATTERNS = {
    "market hours": (
        HALF_HOURS[(weekday(HALF_HOURS) < 5) & (HALF_HOURS.hour * 60 + HALF_HOURS.minute >= 570)
                   & (HALF_HOURS.hour * 60 + HALF_HOURS.minute <= 960)],
        "30min@Mon-Fri 09:30-16:00",
        14,
    ),
    "Friday and Saturday off": (DAYS[~weekday(DAYS).isin([4, 5])], "1d@Sun-Thu", 5),
    "Sunday off": (DAYS[weekday(DAYS) < 6], "1d@Mon-Sat", 6),
    "two days a week": (DAYS[weekday(DAYS).isin([1, 3])], "1d@Tue,Thu", 2),
    "hours of weekdays": (HOURS[weekday(HOURS) < 5], "1h@Mon-Fri 00:00-23:00", 24),
    "three times a day": (HOURS[HOURS.hour.isin([6, 12, 20])], "2h@Mon-Sun 06:00,12:00,20:00", 3),
    "short Saturdays": (
        HOURS[((weekday(HOURS) < 5) & (HOURS.hour >= 8) & (HOURS.hour < 18))
              | ((weekday(HOURS) == 5) & (HOURS.hour >= 8) & (HOURS.hour < 12))],
        "1h@Mon-Fri 08:00-17:00;Sat 08:00-11:00",
        54,
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", PATTERNS)
def test_times_of_the_week(kind):
    index, name, season = PATTERNS[kind]
    times = microseconds(index)
    assert check(times, name, len(times) // 2).season_length == season
    assert check(times, name, 0, frequency_on("observed", times, START)).season_length == season
    # Holidays and other gaps are missing cells.
    present = np.sort(np.random.default_rng(0).permutation(len(times))[: int(0.9 * len(times))])
    present[0] = 0
    frequency = infer_frequency(times[present], START)
    assert frequency.name == name
    assert np.array_equal(frequency.positions(times[present], times[:1], 0)[0], present)


@given(absent=st.sets(st.integers(1, 498), max_size=150))
def test_gaps_at_random_are_no_calendar(absent):
    present = np.array([i for i in range(500) if i not in absent])
    times = microseconds(HOURS[:500])[present]
    assert infer_frequency(times, START).name == "1h"


def test_two_weeks_teach_no_pattern():
    fortnight = microseconds(DAYS[:14][weekday(DAYS[:14]) < 6])
    assert infer_frequency(fortnight, START).name == "1d"
    assert frequency_on("observed", fortnight, START).name == "1d@Mon-Sat"


def test_series_of_one_pattern_count_their_own_positions():
    index = PATTERNS["market hours"][0]
    times = np.concatenate([microseconds(index), microseconds(index[20:400])])
    first_rows = np.array([0, len(index)])
    frequency = infer_frequency(times, first_rows)
    assert frequency.name == "30min@Mon-Fri 09:30-16:00"
    origin = np.repeat(times[first_rows], [len(index), 380])
    positions, on_grid = frequency.positions(times, origin, np.zeros(len(times)))
    assert on_grid.all()
    assert np.array_equal(positions, np.concatenate([np.arange(len(index)), np.arange(380)]))


@pytest.fixture(scope="module")
def sessions():
    calendars = pytest.importorskip("exchange_calendars", reason="trading days need exchange_calendars")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of pandas, about exchange_calendars
        days = calendars.get_calendar("XNYS").sessions
    return days[(days >= "2019-01-01") & (days < "2024-01-01")]


def test_trading_days(sessions):
    times = microseconds(sessions)
    assert parse_frequency("XNYS").name == "1d@XNYS"
    check(times, "1d@XNYS", 0, parse_frequency("XNYS"))
    check(times, "1d@Mon-Fri XNYS", 0, frequency_on("XNYS", times[:600], START))
    closing = times + 16 * 3_600_000_000
    check(closing, "1d@Mon-Fri 16:00 XNYS", 0, frequency_on("XNYS", closing[:600], START))
    half_hours = (times[:, None] + (np.arange(14) * 30 + 570) * 60_000_000).ravel()
    check(half_hours, "30min@Mon-Fri 09:30-16:00 XNYS", 0, frequency_on("XNYS", half_hours[:900], START))


def test_forecast_skips_holidays(sessions):
    frame = pl.DataFrame(
        {"time": pl.Series(microseconds(sessions)[:250]).cast(pl.Datetime("us")), "y": range(250)}
    )
    module = CSVDataModule(
        frame, time_col="time", target_cols="y", context_length=9, prediction_length=3, frequency="XNYS"
    )
    module.setup("fit")
    assert len(module.series(0)[1]) == 250
    assert module.timestamps(0, 245, 20).to_list() == sessions[245:265].to_pydatetime().tolist()


def test_unknown_calendars_are_refused(sessions):
    for name in (
        "1h@foo",
        "1h@Mon 09:00-08:00",
        "WOM-5FRI",
        "1mo@Mon",
        "SM-20-10",
        "0BME",
        "BXE",
        "LWOM-XYZ",
    ):
        with pytest.raises(DataError, match="frequency: expected a count and a unit"):
            parse_frequency(name)
    with pytest.raises(DataError, match=r"no exchange 'XQQQ'; there are .*XNYS"):
        parse_frequency("XQQQ")
    with pytest.raises(DataError, match="no step of a minute or more that divides a week"):
        frequency_on("observed", np.array([0, 7, 100, 2_000_001]), START)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("1d@Sat-Tue", "1d@Sat-Tue"),
        ("1h@Mon-Wed,Fri 08:00-10:00,12:00", "1h@Mon-Wed,Fri 08:00-10:00,12:00"),
        ("30min@Mon 09:30;Tue 10:30", "30min@Mon 09:30;Tue 10:30"),
        ("bm", "BME"),
        ("2BME", "2BME"),
        ("SM", "SME"),
        ("wom-1mon", "WOM-1MON"),
        ("SM-1-15", "SMS"),
    ],
)
def test_names(text, name):
    assert parse_frequency(text).name == name
    assert parse_frequency(name).name == name


def test_hours_of_the_week_are_those_of_the_local_clock():
    local = pd.date_range("2023-01-02", periods=12_000, freq="30min", tz="America/New_York")
    minutes = local.hour * 60 + local.minute
    open_times = local[(weekday(local) < 5) & (minutes >= 570) & (minutes <= 960)]
    utc = microseconds(open_times.tz_convert("UTC").tz_localize(None))
    frequency = infer_frequency(utc, START, "America/New_York")
    check(utc, "30min@Mon-Fri 09:30-16:00 America/New_York", 0, frequency)
    frame = pl.DataFrame({"time": pl.Series(utc[:1400]).cast(pl.Datetime("us")), "y": range(1400)})
    frame = frame.with_columns(
        pl.col("time").dt.replace_time_zone("UTC").dt.convert_time_zone("America/New_York")
    )
    module = CSVDataModule(frame, time_col="time", target_cols="y", context_length=28, prediction_length=14)
    module.setup("fit")
    following = module.timestamps(0, 1400, 500)
    assert following.to_list() == open_times[1400:1900].to_pydatetime().tolist()


def test_an_exchange_has_a_zone_of_its_own(sessions):
    local = (sessions.to_numpy()[:, None] + pd.to_timedelta([570, 960], unit="min").to_numpy()).ravel()
    utc = microseconds(pd.DatetimeIndex(local).tz_localize("America/New_York").tz_convert(None))
    frequency = frequency_on("XNYS", utc[:500], START, "Europe/London")
    check(utc, "30min@Mon-Fri 09:30,16:00 XNYS America/New_York", 0, frequency)
