"""Times spread over several columns are joined, read, and written back into the columns."""

from datetime import date, datetime, time, timedelta

import polars as pl
import pytest

from seqlight.data import DataError
from seqlight.data.time.combined_columns import combine_time_columns, is_time_of_day
from seqlight.data.time.time_format import parse_times

HOURS = [datetime(2020, 1, 1) + timedelta(hours=i) for i in range(800)]
DAYS = [datetime(2020, 1, 1) + timedelta(days=i) for i in range(400)]


def texts(pattern, times=HOURS):
    return [t.strftime(pattern) for t in times]


def check(columns, times=HOURS):
    combined = combine_time_columns({name: pl.Series(values) for name, values in columns.items()})
    read, fmt, bad = parse_times(combined.text, combined.time_format)
    assert bad is None
    moments = pl.Series(read).cast(pl.Datetime("us"))
    assert moments.to_list() == times
    if fmt.has_offset and not fmt.wall_time:
        moments = moments.dt.replace_time_zone("UTC")
    back = combined.split(fmt.format(moments))
    assert list(back) == list(columns)
    for name, values in columns.items():
        assert back[name].to_list() == [str(value) for value in values]


CASES = {
    "date and time": {"Date": texts("%d/%m/%Y"), "Time": texts("%H:%M:%S")},
    "time and date": {"Time": texts("%H:%M"), "Date": texts("%Y-%m-%d")},
    "half days": {"Date": texts("%Y-%m-%d"), "Time": texts("%I:%M %p")},
    "names of months": {"Date": texts("%b %d, %Y"), "Time": texts("%H:%M")},
    "digits": {"Date": texts("%Y%m%d"), "Time": texts("%H%M")},
    "zone": {"Date": texts("%Y-%m-%d"), "Time": texts("%H:%M"), "Zone": texts("UTC")},
    "date of a spreadsheet": {"Date": texts("%Y-%m-%d 00:00:00"), "Time": texts("1899-12-30 %H:%M:%S")},
    "bare hours": {"Date": texts("%Y-%m-%d"), "Hour": [t.hour for t in HOURS]},
    "hours of hundreds": {"Date": texts("%Y-%m-%d"), "HrMn": [t.hour * 100 for t in HOURS]},
    "numbers": {
        "year": [t.year for t in HOURS],
        "month": [t.month for t in HOURS],
        "day": [t.day for t in HOURS],
        "hour": [t.hour for t in HOURS],
    },
    "numbers in another order": {
        "Hour": texts("%H"),
        "Day": texts("%d"),
        "Month": texts("%m"),
        "Year": texts("%Y"),
        "Minute": texts("%M"),
    },
    "numbers without telling names": {
        "a": [t.year for t in HOURS],
        "b": [t.month for t in HOURS],
        "c": [t.day for t in HOURS],
        "e": [t.hour for t in HOURS],
    },
    "day of the year": {
        "YEAR": texts("%Y"),
        "DOY": [t.timetuple().tm_yday for t in HOURS],
        "HR": texts("%H"),
    },
    "intervals": {
        "Date": texts("%Y-%m-%d"),
        "Time": [f"{t:%H:%M}-{t + timedelta(hours=1):%H:%M}" for t in HOURS],
    },
}


@pytest.mark.parametrize("name", CASES)
def test_hours(name):
    check(CASES[name])


def test_hours_from_1_to_24():
    ends = [t + timedelta(hours=1) for t in HOURS]
    check({"Date": texts("%d.%m.%Y"), "Hour": [t.hour + 1 for t in HOURS]}, ends)
    check(
        {"year": texts("%Y"), "month": texts("%m"), "day": texts("%d"), "hour": [t.hour + 1 for t in HOURS]},
        ends,
    )


def test_months_quarters_and_weeks():
    months = [datetime(1990 + i // 12, 1 + i % 12, 1) for i in range(60)]
    check({"Year": texts("%Y", months), "Month": texts("%b", months)}, months)
    check({"Year": texts("%Y", months), "Month": texts("%B", months)}, months)
    check({"yr": texts("%y", months), "mo": [m.month for m in months]}, months)
    quarters = months[::3]
    check({"year": texts("%Y", quarters), "qtr": [(m.month + 2) // 3 for m in quarters]}, quarters)
    weeks = [datetime(2018, 1, 1) + timedelta(weeks=i) for i in range(110)]
    check({"year": texts("%G", weeks), "week": [w.isocalendar().week for w in weeks]}, weeks)
    check({"Year": texts("%Y", DAYS), "Month": texts("%m", DAYS), "Day": texts("%d", DAYS)}, DAYS)


def test_columns_of_dates_and_times_of_a_frame():
    columns = {
        "date": pl.Series([t.date() for t in HOURS]),
        "time": pl.Series([t.time() for t in HOURS]),
    }
    combined = combine_time_columns(columns)
    read, fmt, bad = parse_times(combined.text, combined.time_format)
    assert bad is None
    assert pl.Series(read).cast(pl.Datetime("us")).to_list() == HOURS
    back = combined.split(fmt.format(pl.Series(HOURS)))
    assert back["date"][25] == str(date(2020, 1, 2))
    assert back["time"][25] == str(time(1))


def test_what_is_no_time_is_refused():
    with pytest.raises(DataError, match=r"a date and a time of day.*'Date' with '2020-01-01', 'y' with 'x'"):
        combine_time_columns({"Date": pl.Series(["2020-01-01"]), "y": pl.Series(["x"])})
    with pytest.raises(DataError, match="a column of the hour, but none of the day"):
        combine_time_columns({"year": pl.Series([2020]), "month": pl.Series([1]), "hour": pl.Series([5])})
    with pytest.raises(DataError, match="first rows of column 'Time' are all empty"):
        combine_time_columns({"Date": pl.Series(["2020-01-01"]), "Time": pl.Series([None], dtype=pl.String)})


def test_times_of_day_are_told():
    assert is_time_of_day(pl.Series(["05:00", "5:30", "13:00:00"]))
    assert is_time_of_day(pl.Series(["5:00 PM"]))
    for other in (["2020-01-01"], ["5"], ["x"], ["2020-01-01 05:00"]):
        assert not is_time_of_day(pl.Series(other))
