"""Every way in which people write times is read right and written back to the letter, or asked about."""

from datetime import datetime, timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqlight.data import CSVDataModule, DataError
from seqlight.data.time.number_formats import number_text
from seqlight.data.time.time_format import parse_times, writes_apart

HOUR = timedelta(hours=1)
HOURS = [datetime(2020, 1, 1) + timedelta(hours=i) for i in range(480)]
DAYS = [datetime(2020, 1, 1) + timedelta(days=i) for i in range(100)]
WEEKS = [datetime(2018, 1, 1) + timedelta(weeks=i) for i in range(110)]
MONTHS = [datetime(1990 + i // 12, 1 + i % 12, 1) for i in range(60)]
QUARTERS = [datetime(1990 + i // 4, 3 * (i % 4) + 1, 1) for i in range(40)]
EPOCH = datetime(1970, 1, 1)


def microseconds(times):
    return [(time - EPOCH) // timedelta(microseconds=1) for time in times]


def check(texts, times, pattern=None, found=None):
    """The texts are read as ``times`` and come back letter by letter."""
    read, fmt, bad = parse_times(pl.Series(texts), pattern)
    assert bad is None
    if found is not None:
        assert fmt.pattern == found
    assert read.tolist() == microseconds(times)
    written = pl.Series(read).cast(pl.Datetime("us"))
    if fmt.has_offset and not fmt.wall_time:
        written = written.dt.replace_time_zone("UTC")
    assert fmt.format(written).to_list() == texts
    assert writes_apart(fmt, written)


STRFTIME = [
    (HOURS, "%Y%m%d%H"),
    (HOURS, "%y%m%d%H%M"),
    (HOURS, "%Y%m%d%H%M"),
    (HOURS, "%y%m%d%H%M%S"),
    (HOURS, "%Y%m%d%H%M%S"),
    (HOURS, "%Y%m%d%H.0"),
    (HOURS, "%Y-%m-%d %H"),
    (HOURS, "%d.%m.%Y %H"),
    (HOURS, "%Y-%m-%dT%H"),
    (HOURS, "%Y-%m-%d-%H"),
    (HOURS, "%d.%m.%Y %Hh"),
    (HOURS, "%m/%d/%Y %I %p"),
    (HOURS, "%m/%d/%Y %I:%M %p"),
    (HOURS, "%Y%m%d %H%M"),
    (HOURS, "%Y%m%dT%H%M%S"),
    (HOURS, "%Y%m%dT%H%M%SZ"),
    (HOURS, "%d.%m.%Y %H.%M"),
    (HOURS, "%H:%M %d.%m.%Y"),
    (HOURS, "%Y:%m:%d %H:%M:%S"),
    (HOURS, "%Y-%m-%d, %H:%M"),
    (HOURS, "%d/%b/%Y:%H:%M:%S"),
    (HOURS, "%a, %d %b %Y %H:%M:%S GMT"),
    (HOURS, "%Y-%m-%d %H:%M:%S UTC"),
    (HOURS, "%Y-%m-%d %H:%M GMT"),
    (HOURS, "%Y-%m-%dT%H:%M:%SZ"),
    (DAYS, "%Y%m%d"),
    (DAYS, "%d%m%Y"),
    (DAYS, "%y%m%d"),
    (DAYS, "%Y%j"),
    (DAYS, "%y/%m/%d"),
    (DAYS, "%y-%m-%d"),
    (DAYS, "%d/%m/%y"),
    (DAYS, "%d %m %Y"),
    (DAYS, "%Y.%m.%d."),
    (DAYS, "%A %d %B %Y"),
    (DAYS, "%b %d, %Y"),
    (DAYS, "%Y年%m月%d日"),
    (DAYS, "%G-W%V-%u"),
    (WEEKS, "%G-W%V"),
    (WEEKS, "%GW%V"),
    (MONTHS, "%Y%m"),
    (MONTHS, "%Y-%m"),
    (MONTHS, "%m/%Y"),
    (MONTHS, "%m/%y"),
    (MONTHS, "%y-%b"),
    (MONTHS, "%b-%y"),
    (MONTHS, "%B %Y"),
    (MONTHS, "%b. %Y"),
    (MONTHS, "%YM%m"),
    (MONTHS, "%Y.%m"),
]


@pytest.mark.parametrize(("times", "pattern"), STRFTIME, ids=[pattern for _, pattern in STRFTIME])
def test_strftime_patterns(times, pattern):
    texts = [time.strftime(pattern) for time in times]
    check(texts, times, found=pattern if "%A" not in pattern else None)
    check(texts, times, pattern)


@pytest.mark.parametrize(
    "style",
    [
        *(
            "{y}Q{q}",
            "{y}-Q{q}",
            "{y} Q{q}",
            "{y}q{q}",
            "Q{q} {y}",
            "Q{q}-{y}",
            "Q{q}/{s}",
            "{q}Q{y}",
            "Q{q}'{s}",
        ),
        *("{y}:{q}", "{y}-{q}", "{y}/{q}", "{y}.{q}"),  # months would leave gaps
    ],
)
def test_quarters(style):
    texts = [style.format(y=t.year, s=f"{t.year % 100:02d}", q=(t.month + 2) // 3) for t in QUARTERS]
    check(texts, QUARTERS)
    check(texts, QUARTERS, "quarter")


def test_weeks_by_name():
    check(["2020-W53", "2021-W01"], [datetime(2020, 12, 28), datetime(2021, 1, 4)], "iso_week")


SEPARATE = {
    "no leading zeros": ([f"{t.day}/{t.month}/{t.year} {t.hour}:00" for t in HOURS], HOURS),
    "months in capitals": ([t.strftime("%b-%y").upper() for t in MONTHS], MONTHS),
    "months in small letters": ([t.strftime("%d %b %Y").lower() for t in DAYS], DAYS),
    "years from 1": (
        [f"{t.year - 1989}-{t.month:02d}" for t in MONTHS],
        [t.replace(year=t.year - 1989) for t in MONTHS],
    ),
    "24:00": (
        [f"{t - HOUR:%Y-%m-%d} 24:00" if t.hour == 0 else f"{t:%Y-%m-%d %H:%M}" for t in HOURS[1:]],
        HOURS[1:],
    ),
    "hour 24 in digits": (
        [f"{t - HOUR:%Y%m%d}24" if t.hour == 0 else f"{t:%Y%m%d%H}" for t in HOURS[1:]],
        HOURS[1:],
    ),
    "offset with a colon": ([f"{t:%Y-%m-%dT%H:%M:%S}+02:00" for t in HOURS], [t - 2 * HOUR for t in HOURS]),
    "offset of hours": ([f"{t:%Y-%m-%dT%H:%M:%S}-05" for t in HOURS], [t + 5 * HOUR for t in HOURS]),
    "one zone's name": ([f"{t:%Y-%m-%d %H:%M} Europe/Berlin" for t in HOURS[:48]], HOURS[:48]),
    "standard time all year": ([f"{t:%Y-%m-%d %H:%M} EST" for t in HOURS], HOURS),
    "lost zeros": (
        [f"{t:%y%m%d%H%M}".lstrip("0") for t in (datetime(2001, 1, 1) + i * HOUR for i in range(100))],
        [datetime(2001, 1, 1) + i * HOUR for i in range(100)],
    ),
}


@pytest.mark.parametrize("name", SEPARATE)
def test_styles(name):
    check(*SEPARATE[name])


def test_winter_and_summer_by_their_abbreviations():
    utc = pl.datetime_range(datetime(2024, 3, 30), datetime(2024, 4, 2), "1h", eager=True)
    local = utc.dt.replace_time_zone("UTC").dt.convert_time_zone("Europe/Berlin")
    check(local.dt.strftime("%Y-%m-%d %H:%M %Z").to_list(), utc.to_list())
    with pytest.raises(DataError, match="the zones CET, PST, which are not winter and summer"):
        parse_times(pl.Series(["2020-01-01 00:00 CET", "2020-01-01 01:00 PST"]), None)


@pytest.mark.parametrize("digits", [1, 2, 3, 6])
@pytest.mark.parametrize("sign", [".", ","])
def test_fractions_keep_their_digits(digits, sign):
    times = [datetime(2020, 1, 1) + timedelta(microseconds=i * 10 ** (6 - digits)) for i in range(40)]
    texts = [f"{t:%Y-%m-%d %H:%M:%S}{sign}{t.microsecond // 10 ** (6 - digits):0{digits}d}" for t in times]
    check(texts, times)
    check([text.removesuffix(sign + "0" * digits) for text in texts], times)


@pytest.mark.parametrize(
    ("unit", "name"), [(1, "epoch"), (10**3, "epoch_ms"), (10**6, "epoch_us"), (10**9, "epoch_ns")]
)
@pytest.mark.parametrize("ending", ["", ".0"])
def test_unix_time(unit, name, ending):
    seconds = [microsecond // 10**6 for microsecond in microseconds(HOURS)]
    texts = [f"{second * unit}{ending}" for second in seconds]
    check(texts, HOURS, found=name)
    check(texts, HOURS, name)


def test_unix_time_in_scientific_notation_and_with_fractions():
    check([repr(float(m * 1000)) for m in microseconds(HOURS)], HOURS, found="epoch_ns")
    quarters = [HOURS[0] + i * timedelta(milliseconds=250) for i in range(50)]
    check([f"{m / 10**6:.2f}" for m in microseconds(quarters)], quarters, found="epoch")
    check([repr(m / 10**6) for m in microseconds(quarters)], quarters, found="epoch")


def test_spreadsheet_day_numbers():
    check([str(43831 + i) for i in range(100)], DAYS, found="excel")
    check([repr(43831 + i / 24) for i in range(480)], HOURS, found="excel")
    for digits in (4, 5, 8, 10):
        check([f"{43831 + i / 24:.{digits}f}" for i in range(480)], HOURS, found="excel")
    check(["43831", "43832"], DAYS[:2], "excel")


def intervals(separator, pattern, ending=None, length=HOUR):
    return [f"{t.strftime(pattern)}{separator}{(t + length).strftime(ending or pattern)}" for t in HOURS]


INTERVALS = {
    "dash": intervals(" - ", "%d.%m.%Y %H:%M"),
    "slash": intervals("/", "%Y-%m-%dT%H:%M"),
    "to": intervals(" to ", "%Y-%m-%d %H:%M:%S"),
    "no spaces": intervals("-", "%Y-%m-%d %H:%M"),
    "hours only": intervals("-", "%Y-%m-%d %H:%M", "%H:%M"),
    "inclusive": intervals(" - ", "%Y-%m-%d %H:%M", "%H:%M", timedelta(minutes=59)),
}


@pytest.mark.parametrize("name", INTERVALS)
def test_intervals(name):
    check(INTERVALS[name], HOURS)
    check(INTERVALS[name], HOURS, parse_times(pl.Series(INTERVALS[name]), None)[1].pattern)
    if name != "hours only":  # one may read -01:00 as an offset
        check(INTERVALS[name][:30], HOURS[:30], "interval:%d.%m.%Y %H:%M" if name == "dash" else "interval")


def test_intervals_of_months_and_years():
    last = [(t + timedelta(days=31)).replace(day=1) - timedelta(days=1) for t in MONTHS]
    check([f"{a:%Y-%m-%d}/{b:%Y-%m-%d}" for a, b in zip(MONTHS, last, strict=True)], MONTHS)
    check(
        [f"{year}/{year + 1}" for year in range(1990, 2010)], [datetime(y, 1, 1) for y in range(1990, 2010)]
    )


def test_intervals_of_no_common_length_are_refused():
    with pytest.raises(DataError, match="different lengths"):
        parse_times(
            pl.Series([f"{d:%Y-%m-%d} - {d + i * HOUR * 24:%Y-%m-%d}" for i, d in enumerate(DAYS, 1)]), None
        )


# texts, and the readings between which is asked
TWO_WAYS = {
    "months or quarters": (["2020-1", "2020-2", "2020-3"], ["%Y-%m", "%Y-%q"]),
    "hours or Unix time": (["2020010100", "2020010101", "2020010102"], ["%Y%m%d%H", "epoch"]),
    "months or days": (["200101", "200102", "200103"], ["%Y%m", "%y%m%d", "%d%m%y"]),
    "day or month first": (["01/02/2020", "02/02/2020"], ["%d/%m/%Y", "%m/%d/%Y"]),
    "digits, day or month first": (["01022020", "02022020"], ["%d%m%Y", "%m%d%Y", "%y%m%d%H"]),
    "end or offset": (
        ["2020-01-01 00:00-01:00", "2020-01-01 01:00-02:00"],
        ["%Y-%m-%d %H:%M%z", "interval:%Y-%m-%d %H:%M"],
    ),
}


def test_the_example_of_two_readings_is_a_time_that_differs():
    texts = [f"0{day}/01/2020 {hour:02}:00" for day in (1, 2) for hour in range(24)]
    with pytest.raises(DataError) as caught:
        parse_times(pl.Series(texts), None)
    for pattern, time in (("%d/%m/%Y", "2020-01-02"), ("%m/%d/%Y", "2020-02-01")):
        assert f"time_format='{pattern} %H:%M' ('02/01/2020 00:00' is {time} 00:00:00)" in str(caught.value)


@pytest.mark.parametrize("name", TWO_WAYS)
def test_two_readings_are_asked_about_and_each_option_works(name):
    texts, patterns = TWO_WAYS[name]
    with pytest.raises(DataError) as caught:
        parse_times(pl.Series(texts), None)
    times = set()
    for pattern in patterns:
        assert f"time_format={pattern!r} (" in str(caught.value)
        read, _, bad = parse_times(pl.Series(texts), pattern)
        assert bad is None
        times.add(tuple(read.tolist()))
    assert len(times) == len(patterns)


@pytest.mark.parametrize("text", ["1-Jan", "Jan-01"])
def test_days_without_a_year_are_no_years(text):
    texts = [text.replace("1", str(i)) for i in range(1, 29)]
    with pytest.raises(DataError, match="without a year: write the year too"):
        parse_times(pl.Series(texts), None)


@pytest.mark.parametrize("text", ["hello", "20", "05:00", "1990.25", "2020-13-01", "12345", "1e5"])
def test_no_format_has_no_misleading_hint(text):
    with pytest.raises(DataError, match="expected timestamps such as") as caught:
        parse_times(pl.Series([text] * 3), None)
    assert "%" not in str(caught.value)


def test_wrong_pattern_names_the_one_that_fits():
    for text, pattern in (
        ("2020-01-01 05:00", "%Y-%m-%d %H:%M"),
        ("2020Q1", "%YQ%q"),
        ("2020-W01", "%G-W%V"),
    ):
        for wrong in ("%d/%m/%Y", "epoch", "quarter" if "Q" not in text else "excel"):
            with pytest.raises(DataError, match="does not fit") as caught:
                parse_times(pl.Series([text]), wrong)
            assert f"time_format={pattern!r} fits" in str(caught.value)


def test_numbers_of_frames_become_text_without_exponents():
    assert number_text(pl.Series([1577836800000000000.0])).to_list() == ["1577836800000000000.0"]
    assert number_text(pl.Series([1325412060.0, 1.5])).to_list() == ["1325412060.0", "1.5"]
    assert number_text(pl.Series([2020010100])).to_list() == ["2020010100"]


PATTERNS = st.sampled_from(
    [
        "%Y-%m-%d %H:%M:%S.%f",
        "%d.%m.%Y %H:%M:%S",
        "%Y/%m/%d %H:%M",
        "%Y%m%d%H%M%S",
        "%I:%M:%S %p %B %d, %Y",
        "%Y-%m-%dT%H:%M:%S+05:30",
        "%a %b %d %Y %H:%M",
        "%y%m%d%H%M",
        "%Y-%j %H:%M",
        "%G-W%V-%u %H:%M",
    ]
)


@given(
    PATTERNS,
    st.lists(st.datetimes(datetime(1970, 1, 2), datetime(2068, 12, 30)), min_size=1, max_size=20),
    st.sampled_from([str, str.upper, str.lower]),
)
def test_given_patterns_come_back_to_the_letter(pattern, times, case):
    texts = [time.strftime(pattern) for time in times]
    if case is not str and "T" not in pattern and "W" not in pattern:
        texts = [case(text) for text in texts]
    ours = pattern.replace(".%f", "%.f").replace("+05:30", "%z")
    read, fmt, bad = parse_times(pl.Series(texts), ours)
    assert bad is None
    east = timedelta(hours=5, minutes=30) if fmt.has_offset and not fmt.wall_time else timedelta()
    expected = [datetime.strptime(time.strftime(pattern), pattern) - east for time in times]
    assert read.tolist() == microseconds(expected)
    written = pl.Series(read).cast(pl.Datetime("us"))
    if fmt.has_offset and not fmt.wall_time:
        written = written.dt.replace_time_zone("UTC")
    assert fmt.format(written).to_list() == texts


@given(
    st.sampled_from(["epoch", "epoch_ms", "epoch_us", "epoch_ns"]),
    st.lists(st.integers(-(10**15), 4 * 10**15), min_size=1, max_size=20, unique=True),
)
def test_unix_times_come_back(name, times):
    unit = {"epoch": 10**6, "epoch_ms": 10**3}.get(name, 1)
    times = [time // unit * unit for time in times]
    texts = [str(time // unit * (1000 if name == "epoch_ns" else 1)) for time in times]
    read, fmt, bad = parse_times(pl.Series(texts), name)
    assert bad is None
    assert read.tolist() == times
    assert fmt.format(pl.Series(read).cast(pl.Datetime("us"))).to_list() == texts


def test_days_keep_their_one_offset():
    for ending in ("Z", " UTC", "+02:00"):
        texts = [f"{day:%Y-%m-%d %H:%M:%S}{ending}" for day in DAYS]
        check(texts, DAYS)


def test_a_grid_that_the_format_cannot_write_is_refused():
    frame = pl.DataFrame({"time": [f"{day:%Y-%m-%d}" for day in DAYS], "value": range(100)})
    arguments = dict(time_col="time", target_cols="value", context_length=4, prediction_length=2)
    module = CSVDataModule(frame, frequency="12h", missing="mask", **arguments)
    with pytest.raises(DataError, match=r"frequency: 12h is finer than column 'time', .*'%Y-%m-%d'"):
        module.setup("fit")
    CSVDataModule(frame, frequency="1d", **arguments).setup("fit")


def test_times_of_a_frame_are_written_apart():
    for step, first, second in (
        ("100ms", "2020-01-01 00:00:00.000", "2020-01-01 00:00:00.100"),
        ("1us", "2020-01-01 00:00:00.000000", "2020-01-01 00:00:00.000001"),
        ("1s", "2020-01-01 00:00:00", "2020-01-01 00:00:01"),
    ):
        times = pl.datetime_range(DAYS[0], DAYS[1], step, eager=True).head(100) if step == "1s" else None
        if times is None:
            unit = 100_000 if step == "100ms" else 1
            times = pl.Series([DAYS[0] + timedelta(microseconds=unit * i) for i in range(100)])
        module = CSVDataModule(
            pl.DataFrame({"time": times, "value": range(100)}),
            time_col="time",
            target_cols="value",
            context_length=4,
            prediction_length=2,
        )
        module.setup("fit")
        assert module.store.grid.format(module.store.timestamps(0, 0, 2)).to_list() == [first, second]


@given(
    st.lists(
        st.one_of(
            st.text(max_size=30),
            st.text("0123456789-:/. TZ+Q", max_size=25),
            st.text("0123456789", min_size=1, max_size=21),
            st.from_regex(
                r"[0-3]?\d[-/. ](\d\d|Jan|May)[-/. ]\d{2,4}[T ,]?(\d\d:\d\d(:\d\d)?)?.{0,4}", fullmatch=True
            ),
        ),
        min_size=1,
        max_size=4,
    ),
    st.sampled_from([None, "epoch", "epoch_ns", "excel", "quarter", "interval", "%Y%m%d", "%d.%m.%y %H"]),
)
def test_any_text_is_read_or_refused(texts, pattern):
    try:
        times, fmt, bad = parse_times(pl.Series(texts, dtype=pl.String), pattern)
    except DataError:
        return
    assert len(times) == len(texts)
    if bad is None and not fmt.has_offset:
        # What was read is written as the same time again.
        assert writes_apart(fmt, pl.Series(times).cast(pl.Datetime("us")))


FRAMES = {
    "integers": ([int(f"{t:%Y%m%d%H}") for t in HOURS], ["2020012100", "2020012101"]),
    "integers that became floats": (
        [float(f"{t:%Y%m%d%H}") for t in HOURS],
        ["2020012100.0", "2020012101.0"],
    ),
    "seconds": ([m / 10**6 for m in microseconds(HOURS)], ["1579564800.0", "1579568400.0"]),
    "nanoseconds": (
        [float(m * 1000) for m in microseconds(HOURS)],
        ["1579564800000000000.0", "1579568400000000000.0"],
    ),
    "day numbers": ([43831 + i / 24 for i in range(480)], ["43851.0", "43851.041666666664"]),
}


@pytest.mark.parametrize("kind", FRAMES)
def test_numbers_in_frames(kind):
    numbers, following = FRAMES[kind]
    module = CSVDataModule(
        pl.DataFrame({"time": numbers, "value": range(480)}),
        time_col="time",
        target_cols="value",
        context_length=24,
        prediction_length=12,
    )
    module.setup("fit")
    times = module.timestamps(0, 480, 2)
    assert times.to_list() == [HOURS[-1] + HOUR, HOURS[-1] + 2 * HOUR]
    assert module.store.grid.format(times).to_list() == following


def test_hours_and_minutes_after_a_dash_are_no_offset():
    """``05-30`` is not five o'clock west of Greenwich; with its pattern it is half past five."""
    texts = pl.Series(["2021-03-01-05-05", "2021-03-01-06-05"])
    with pytest.raises(DataError, match="none of the known formats; pass its strftime pattern"):
        parse_times(texts, None)
    times, _, wrong = parse_times(texts, "%Y-%m-%d-%H-%M")
    assert wrong is None
    assert times.tolist() == [1614575100000000, 1614578700000000]
