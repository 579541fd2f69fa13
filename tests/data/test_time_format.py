"""Timestamp formats are found, parsed as pandas parses them, and written back as they came."""

import contextlib

import polars as pl
import pytest

from seqlight.data import CSVDataModule, DataError
from seqlight.data.time.time_format import parse_times

FORMATS = [
    (["2024-01-31 13:05:09", "2024-01-31 13:06:09"], "%Y-%m-%d %H:%M:%S", "2024-01-31 13:05:09"),
    (["2024-01-31 13:05", "2024-01-31 13:06"], "%Y-%m-%d %H:%M", "2024-01-31 13:05:00"),
    (["2024-01-31T13:05:09.25", "2024-01-31T13:05:10"], "%Y-%m-%dT%H:%M:%S%.f", "2024-01-31 13:05:09.250000"),
    (["2024-01-31T13:05:09Z", "2024-01-31T14:05:09Z"], "%Y-%m-%dT%H:%M:%SZ", "2024-01-31 13:05:09"),
    (
        ["2024-01-31 13:05:09+02:00", "2024-01-31 14:05:09+02:00"],
        "%Y-%m-%d %H:%M:%S%z",
        "2024-01-31 11:05:09",
    ),
    (["2024/1/31", "2024/2/1"], "%Y/%m/%d", "2024-01-31 00:00:00"),
    (["31.12.2024 08:00", "31.12.2024 09:00"], "%d.%m.%Y %H:%M", "2024-12-31 08:00:00"),
    (["12/31/2024 1:05 PM", "12/31/2024 2:05 PM"], "%m/%d/%Y %I:%M %p", "2024-12-31 13:05:00"),
    (["31/12/24", "30/12/24"], "%d/%m/%y", "2024-12-31 00:00:00"),
    (["20240131", "20240201"], "%Y%m%d", "2024-01-31 00:00:00"),
    (["1949-01", "1949-02"], "%Y-%m", "1949-01-01 00:00:00"),
    (["1949", "1950"], "%Y", "1949-01-01 00:00:00"),
    (["Jan 2020", "Feb 2020"], "%b %Y", "2020-01-01 00:00:00"),
    (["Dec-99", "Jan-00"], "%b-%y", "1999-12-01 00:00:00"),
    (["31 Jan 2020", "1 Feb 2020"], "%d %b %Y", "2020-01-31 00:00:00"),
    (["1706706309", "1706706310"], "epoch", "2024-01-31 13:05:09"),
    (["1706706309250", "1706706310000"], "epoch_ms", "2024-01-31 13:05:09.250000"),
]


@pytest.mark.parametrize(("texts", "pattern", "first"), FORMATS, ids=[pattern for _, pattern, _ in FORMATS])
def test_format_is_found(texts, pattern, first):
    times, found, bad = parse_times(pl.Series(texts), None)
    assert bad is None
    assert found.pattern == pattern
    parsed = pl.Series(times).cast(pl.Datetime("us"))
    assert str(parsed[0]) == first
    zoned = parsed.dt.replace_time_zone("UTC") if found.has_offset else parsed
    again, _, _ = parse_times(found.format(zoned), pattern)
    assert again.tolist() == times.tolist()


def test_day_first_is_told_from_month_first_by_later_rows():
    texts = [f"{day:02d}/01/2024" for day in range(1, 32)]
    assert parse_times(pl.Series(texts), None)[1].pattern == "%d/%m/%Y"
    swapped = [f"01/{day:02d}/2024" for day in range(1, 32)]
    assert parse_times(pl.Series(swapped), None)[1].pattern == "%m/%d/%Y"


def test_two_digit_years_that_may_be_days_are_refused():
    with pytest.raises(DataError, match="fits both '%d-%m-%y' and '%y-%m-%d'"):
        parse_times(pl.Series(["24-01-30", "24-01-31"]), None)
    days = [f"24-01-{day:02d}" for day in range(1, 32)]
    assert (
        str(pl.Series(parse_times(pl.Series(days), "%y-%m-%d")[0]).cast(pl.Datetime)[30])
        == "2024-01-31 00:00:00"
    )


def test_unreadable_format_is_refused():
    with pytest.raises(DataError, match="time_format: '%Q' "):
        parse_times(pl.Series(["2024"]), "%Q")


def hourly_berlin(count):
    utc = pl.datetime_range(pl.datetime(2024, 10, 26), pl.datetime(2024, 10, 29), "1h", eager=True).head(
        count
    )
    return utc.dt.replace_time_zone("UTC").dt.convert_time_zone("Europe/Berlin")


def test_hours_through_the_end_of_summer_time():
    local = hourly_berlin(48)
    text = local.dt.strftime("%Y-%m-%d %H:%M:%S%z")
    for column in (local, text):
        frame = pl.DataFrame({"time": column, "value": range(48)})
        module = CSVDataModule(
            frame, time_col="time", target_cols="value", context_length=4, prediction_length=2
        )
        offsets = "2 UTC offsets" if column is text else None
        with pytest.warns(UserWarning, match=offsets) if offsets else contextlib.nullcontext():
            times, values = module.series(0)
        assert len(values) == 48
        assert module.season_length == 24
        assert times.dt.convert_time_zone("Europe/Berlin").to_list() == local.to_list()


def test_local_days_through_the_end_of_summer_time():
    days = pl.date_range(pl.date(2024, 10, 20), pl.date(2024, 11, 10), "1d", eager=True).cast(
        pl.Datetime("us")
    )
    local = days.dt.replace_time_zone("Europe/Berlin")
    text = local.dt.strftime("%Y-%m-%dT%H:%M:%S%z")
    for column in (local, text):
        frame = pl.DataFrame({"time": column, "value": range(len(days))})
        module = CSVDataModule(
            frame, time_col="time", target_cols="value", context_length=4, prediction_length=2
        )
        assert module.timestamps(0, 0, 30).to_list()[: len(days)] == days.to_list()
        assert module.season_length == 7


def test_naive_local_hours_that_repeat_say_why():
    local = hourly_berlin(48).dt.replace_time_zone(None)
    frame = pl.DataFrame({"time": local, "value": range(48)})
    module = CSVDataModule(frame, time_col="time", target_cols="value", context_length=4, prediction_length=2)
    with pytest.raises(DataError, match=r"repeats row .*daylight saving"):
        module.setup("fit")
