"""Regular times in every format, drawn at random: read as they were meant and written back to the letter."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqlight.data import DataError
from seqlight.data.time.offset_zones import zone_of_offsets
from seqlight.data.time.time_format import TimeFormat, parse_times

EPOCH = datetime(1970, 1, 1)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
Times = list[datetime]


def microseconds(times: Times) -> list[int]:
    return [(time - EPOCH) // timedelta(microseconds=1) for time in times]


def months(start: datetime, count: int, step: int) -> Times:
    first = 12 * start.year + start.month - 1
    return [datetime((first + n * step) // 12, (first + n * step) % 12 + 1, 1) for n in range(count)]


def grid(start: datetime, step: timedelta, count: int) -> Times:
    return [start + n * step for n in range(count)]


def hours(start: datetime, count: int) -> Times:
    return grid(start.replace(minute=0, second=0, microsecond=0), HOUR, count)


def days(start: datetime, count: int) -> Times:
    return grid(datetime(start.year, start.month, start.day), DAY, count)


def weeks(start: datetime, count: int) -> Times:
    day = datetime(start.year, start.month, start.day)
    return grid(day - day.weekday() * DAY, 7 * DAY, count)


def quarters(start: datetime, count: int) -> Times:
    return months(start.replace(month=3 * ((start.month - 1) // 3) + 1, day=1), count, 3)


def every(unit: timedelta) -> Callable[[datetime, int], Times]:
    return lambda start, count: grid(start.replace(microsecond=0), unit, count)


def strftime(pattern: str) -> Callable[[datetime], str]:
    return lambda time: time.strftime(pattern)


def quarter(style: str) -> Callable[[datetime], str]:
    return lambda time: style.format(y=time.year, s=f"{time.year % 100:02d}", q=(time.month + 2) // 3)


def number(unit: int, ending: str = "") -> Callable[[datetime], str]:
    return lambda time: f"{(time - EPOCH) // timedelta(microseconds=1) * unit // 1_000_000}{ending}"


def late(time: datetime) -> str:
    return f"{time - HOUR:%Y-%m-%d} 24:00" if time.hour == 0 else f"{time:%Y-%m-%d %H:%M}"


def interval(separator: str, pattern: str, length: timedelta) -> Callable[[datetime], str]:
    return lambda time: f"{time.strftime(pattern)}{separator}{(time + length).strftime(pattern)}"


def digits(count: int) -> Callable[[datetime], str]:
    return lambda time: f"{time:%Y-%m-%d %H:%M:%S}.{time.microsecond // 10 ** (6 - count):0{count}d}"


# How times are written, which times, the name that settles the format, and whether it may be asked for.
NEVER, MAYBE = False, True
FORMATS = {
    **{
        f"quarters as {style}": (quarter(style), quarters, "quarter", NEVER)
        for style in ("{y}Q{q}", "{y}-Q{q}", "{y} Q{q}", "Q{q} {y}", "{q}Q{y}", "Q{q}/{y}")
    },
    "weeks as 2018-W01": (strftime("%G-W%V"), weeks, "iso_week", NEVER),
    "weeks as 2018W01": (strftime("%GW%V"), weeks, "iso_week", NEVER),
    "hours as 2020-01-31 05": (strftime("%Y-%m-%d %H"), hours, "%Y-%m-%d %H", NEVER),
    "hours as 2020-01-31T05": (strftime("%Y-%m-%dT%H"), hours, "%Y-%m-%dT%H", NEVER),
    "hours as 31.01.2020 05": (strftime("%d.%m.%Y %H"), hours, "%d.%m.%Y %H", MAYBE),
    "hours as digits": (strftime("%Y%m%d%H"), hours, "%Y%m%d%H", MAYBE),
    **{
        f"{name} as {kind}": (number(unit, ending), every(step), name, MAYBE)
        for kind, ending in (("integers", ""), ("floats", ".0"))
        for name, unit, step in (
            ("epoch", 1, HOUR),
            ("epoch_ms", 10**3, HOUR),
            ("epoch_us", 10**6, timedelta(minutes=1)),
            ("epoch_ns", 10**9, HOUR),
        )
    },
    "seconds with a fraction": (
        lambda time: f"{((time - EPOCH) // timedelta(milliseconds=1)) / 1000:.3f}",
        every(timedelta(milliseconds=20)),
        "epoch",
        MAYBE,
    ),
    "a spreadsheet's days": (lambda time: f"{(time - EPOCH).days + 25569}", days, "excel", MAYBE),
    "a spreadsheet's hours": (
        lambda time: repr((time - datetime(1899, 12, 30)) / DAY),
        hours,
        "excel",
        MAYBE,
    ),
    "a spreadsheet's hours with a comma": (
        lambda time: f"{(time - datetime(1899, 12, 30)) / DAY:.8f}".replace(".", ","),
        hours,
        "excel",
        NEVER,
    ),
    "24:00": (late, hours, "%Y-%m-%d %H:%M", NEVER),
    "intervals of hours": (interval(" - ", "%Y-%m-%d %H:%M", HOUR), hours, "interval", NEVER),
    "intervals of days": (interval("/", "%Y-%m-%d", DAY), days, "interval", NEVER),
    "intervals to 23:59": (interval(" to ", "%Y-%m-%d %H:%M", 1439 * HOUR / 60), days, "interval", NEVER),
    **{
        f"UTC as {ending}": (strftime(f"%Y-%m-%d %H:%M:%S{ending}"), hours, None, NEVER)
        for ending in (" UTC", " GMT", "Z", "+00:00")
    },
    **{
        f"{count} digits of seconds": (digits(count), every(timedelta(seconds=10**-count)), None, NEVER)
        for count in (1, 2, 3, 6)
    },
    "months as 2020-01": (strftime("%Y-%m"), lambda s, n: months(s, n, 1), "%Y-%m", NEVER),
    "months as 01/2020": (strftime("%m/%Y"), lambda s, n: months(s, n, 1), "%m/%Y", NEVER),
    "months as Jan 2020": (strftime("%b %Y"), lambda s, n: months(s, n, 1), "%b %Y", NEVER),
    "months as January-20": (strftime("%B-%y"), lambda s, n: months(s, n, 1), "%B-%y", MAYBE),
    "months as 202001": (strftime("%Y%m"), lambda s, n: months(s, n, 1), "%Y%m", MAYBE),
    "days of the year": (strftime("%Y-%j"), days, "%Y-%j", NEVER),
}


def check(read: tuple[object, TimeFormat, int | None], texts: list[str], times: Times) -> None:
    found, fmt, bad = read
    assert bad is None
    assert list(found) == microseconds(times)
    written = pl.Series(found).cast(pl.Datetime("us"))
    if fmt.has_offset and not fmt.wall_time:
        written = written.dt.replace_time_zone("UTC")
    assert fmt.format(written).to_list() == texts


STARTS = st.datetimes(datetime(1974, 1, 1), datetime(2037, 12, 31))


@pytest.mark.parametrize("name", FORMATS)
@settings(max_examples=10)
@given(start=STARTS, count=st.integers(12, 60))
def test_every_format(name: str, start: datetime, count: int) -> None:
    write, draw, pattern, may_ask = FORMATS[name]
    times = draw(start, count)
    texts = [write(time) for time in times]
    try:
        check(parse_times(pl.Series(texts), None), texts, times)
    except DataError as error:
        assert may_ask and "pass the right one as time_format" in str(error), error
    if pattern is not None:
        check(parse_times(pl.Series(texts), pattern), texts, times)


ZONES = ["Europe/Berlin", "Europe/London", "America/New_York", "America/St_Johns", "Australia/Sydney"]
STYLES = {
    "+01:00": lambda offset: offset[:3] + ":" + offset[3:],
    "+0100": lambda offset: offset,
    "Z": lambda offset: "Z" if offset == "+0000" else offset[:3] + ":" + offset[3:],
}


@settings(max_examples=25)
@given(
    start=STARTS.map(lambda time: time.replace(year=2010 + time.year % 14)),
    count=st.integers(24, 400),
    zone=st.sampled_from(ZONES),
    style=st.sampled_from(sorted(STYLES)),
    step=st.sampled_from([1, 6, 24 * 7]),
)
def test_offsets_that_change_with_the_clock(
    start: datetime, count: int, zone: str, style: str, step: int
) -> None:
    """Hours are moments; days and weeks are those of the local calendar, with the offset of their date."""
    if step < 24:
        times = [time.replace(tzinfo=UTC) for time in grid(hours(start, 1)[0], step * HOUR, count)]
        local = [time.astimezone(ZoneInfo(zone)) for time in times]
    else:
        local = [time.replace(tzinfo=ZoneInfo(zone)) for time in weeks(start, count // 4)]
    texts = [f"{time:%Y-%m-%dT%H:%M:%S}{STYLES[style](f'{time:%z}')}" for time in local]
    meant = [
        time.astimezone(UTC).replace(tzinfo=None) if step < 24 else time.replace(tzinfo=None)
        for time in local
    ]
    check(parse_times(pl.Series(texts), None), texts, meant)


def test_offsets_of_no_one_clock() -> None:
    utc = pl.Series(microseconds(hours(datetime(2024, 1, 1), 3))).to_numpy()
    assert zone_of_offsets(utc, pl.Series([60, 60, 60]).to_numpy()) == "Europe/Berlin"
    assert zone_of_offsets(utc, pl.Series([60, 120, 60]).to_numpy()) is None
    texts = ["2024-01-01T00:00:00+01:00", "2024-01-01T02:00:00+02:00", "2024-01-01T02:00:00+01:00"]
    times, fmt, _ = parse_times(pl.Series(texts), None)
    written = fmt.format(pl.Series(times).cast(pl.Datetime("us")).dt.replace_time_zone("UTC"))
    assert written.to_list() == [
        "2023-12-31T23:00:00+00:00",
        "2024-01-01T00:00:00+00:00",
        "2024-01-01T01:00:00+00:00",
    ]
