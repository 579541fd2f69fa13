"""Which formats a text may have: the registry of what people write, by the look of one example."""

import re
from collections.abc import Iterator

from seqlight.data.time.calendar_format import CalendarFormat
from seqlight.data.time.formats import TimeFormat
from seqlight.data.time.interval_format import SEPARATORS, IntervalFormat
from seqlight.data.time.number_formats import NumberFormat

# Readings of numbers by their digits before the point. Unix times begin in 1973 (their ninth digit).
_DIGITS: dict[int, tuple[str, ...]] = {
    4: ("%Y",),
    5: ("excel", "%y%m%d"),
    6: ("%Y%m", "%y%m%d", "%d%m%y", "%m%d%y"),
    7: ("%Y%j",),
    8: ("%Y%m%d", "%d%m%Y", "%m%d%Y", "%y%m%d%H"),
    9: ("epoch", "%y%m%d%H%M"),
    10: ("%Y%m%d%H", "epoch", "%y%m%d%H%M"),
    12: ("%Y%m%d%H%M", "%y%m%d%H%M%S", "epoch_ms"),
    13: ("epoch_ms",),
    14: ("%Y%m%d%H%M%S",),
    15: ("epoch_us",),
    16: ("epoch_us", "%Y%m%d%H%M%S%2f"),
    17: ("%Y%m%d%H%M%S%3f",),
    18: ("epoch_ns",),
    19: ("epoch_ns",),
    20: ("%Y%m%d%H%M%S%6f",),
}
_NUMBER = re.compile(r"(?P<whole>\d+)(?P<fraction>\.\d+)?")
_SCIENTIFIC = re.compile(r"1\.\d+e\+?(15|16|17|18)")

_MONTH = r"(?P<month>Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)(?P<long>[a-z]*)"
_WEEKDAY = r"(?P<weekday>(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)(?P<long_weekday>[a-z]*)(?P<comma>,? ))?"
_NAMED = [
    re.compile(_WEEKDAY + pattern, re.IGNORECASE)
    for pattern in (
        rf"(?P<day>\d{{1,2}})(?P<s1>[ ./-]*){_MONTH}(?P<s2>[ ,./-]*)(?P<year>\d{{4}}|\d{{2}})",
        rf"{_MONTH}(?P<s1>\.? |-|/)(?P<day>\d{{1,2}})(?P<s2>,? |-|/)(?P<year>\d{{4}}|\d{{2}})",
        rf"(?P<year>\d{{4}})(?P<s1>[ ./-]*){_MONTH}(?P<s2>[ ./-]*)(?P<day>\d{{1,2}})",
        rf"{_MONTH}(?P<s1>[ .,/'-]*)(?P<year>\d{{4}}|\d{{2}})",
        rf"(?P<year>\d{{4}}|\d{{2}})(?P<s1>[ ./-]*){_MONTH}",
    )
]
_NUMERIC = re.compile(r"(?P<a>\d{1,4})(?P<sep>[-/. :])(?P<b>\d{1,2})(?P=sep)(?P<c>\d{1,4})(?P<dot>\.?)")
_IDEOGRAPHS = re.compile(r"\d{4}(?P<y>年 ?)\d{1,2}(?P<m>月 ?)(?:\d{1,2}日)?")
_YEAR_MONTH = re.compile(r"(?P<a>\d{1,4})(?P<sep>[-/. :]|-?M)(?P<b>\d{1,4})")
_QUARTERS = [
    # Without a Q it may be a month as well: which of the two leaves no gaps, decides.
    re.compile(r"(?P<year>\d{4})(?P<s>[-/ _.:]*[Qq]|[-/_.:])(?P<q>[1-4])"),
    re.compile(r"(?P<p>[Qq])(?P<q>[1-4])(?P<s>[-/ _.:,']*)(?P<year>\d{4}|\d{2})"),
    re.compile(r"(?P<q>[1-4])(?P<s>[Qq][-/ _.:']*)(?P<year>\d{4}|\d{2})"),
]
_WEEK = re.compile(r"\d{4}(?P<s>[-/ _.]*[Ww])\d{2}(?:(?P<d>-?)[1-7])?")
_TIME = re.compile(
    r"\d{1,2}(?:(?P<colon>[:.])\d{2}(?P<second>(?P=colon)\d{2}(?P<fraction>[.,]\d{1,9})?)?"
    r"|(?P<h>h)(?P<hm>\d{2})?)?(?P<half> ?[AaPp][Mm])?"
)
_COMPACT_TIME = re.compile(r"\d{4}(?P<second>\d{2}(?P<fraction>[.,]\d{1,9})?)?")
_ZONE = re.compile(
    r"(?P<gap> ?)(?P<zone>Z|[+-]\d{2}(?::?\d{2})?|[A-Z]{3,5}|[A-Z][A-Za-z_]+/[A-Za-z_/]+)"
    r"(?P<rest>\[[A-Za-z_/]+\])?"
)
# No interval of two times with weekday, month and zone written out is longer; prose need not be looked at.
_LONGEST = 100
_GAPS = ("T", " ", ", ", "_", ";", " - ", "  ", "t", "-", ":")


def candidates(example: str, *, fractions: bool = False, intervals: bool = True) -> list[TimeFormat]:
    """Return the formats that text like ``example`` may have.

    Args:
        example: one value.
        fractions: whether other values have fractions of seconds.
        intervals: whether to look for intervals too.
    """
    if len(example) > _LONGEST:
        return []
    number = _number_formats(example)
    if number:
        return number
    patterns = dict.fromkeys(_moments(example, fractions))
    found: list[TimeFormat] = [CalendarFormat(pattern) for pattern in patterns]
    if intervals and (not found or any("%z" in pattern for pattern in patterns)):
        found += _intervals(example)
    return found


def date_patterns(text: str) -> list[str]:
    """Return the patterns that ``text`` may have as a date without a time of day."""
    return _dates_of_day(text)


def time_pattern(text: str) -> str | None:
    """Return the pattern of ``text`` as a time of day, or None where it is none."""
    return _time(text, False, "date")


def _number_formats(example: str) -> list[TimeFormat]:
    if _SCIENTIFIC.fullmatch(example):
        return [NumberFormat("epoch_ns"), NumberFormat("epoch_us")]
    match = _NUMBER.fullmatch(example)
    if match is None:
        with_comma = re.fullmatch(r"(\d{5}|\d{9,}),\d+", example)
        names = _DIGITS.get(len(with_comma[1]), ()) if with_comma else ()
        return [NumberFormat(name, mark=",") for name in names if not name.startswith("%")]
    fraction = match["fraction"] or ""
    found: list[TimeFormat] = []
    for name in _DIGITS.get(len(match["whole"]), ()):
        if not name.startswith("%"):
            found.append(NumberFormat(name))
        elif not fraction or fraction == ".0":
            # 2020010105.0 is what an integer becomes in a column of floats.
            found.append(CalendarFormat(name + fraction))
    if len(match["whole"]) == 4 and len(fraction) == 3:
        found.append(CalendarFormat("%Y.%m"))
    return found


def _moments(example: str, fractions: bool) -> Iterator[str]:
    """Patterns of dates with or without a time of day, in either order."""
    yield from _dates(example)
    for gap in _GAPS:
        left, middle, right = example.partition(gap)
        while middle:
            for zone_start in _zone_starts(right):
                time, zone = _time(right[:zone_start], fractions, left), _zone(right[zone_start:])
                if (
                    time is None
                    or zone is None
                    or (gap in "-:" and len(gap) == 1 and not _dates_of_day(left))
                    # 05-30 is rather half past five than five o'clock west of Greenwich.
                    or (time == "%H" and right[zone_start:].startswith("-"))
                ):
                    continue
                yield from (date + gap + time + zone for date in _dates_of_day(left))
            time = _time(left, fractions, "")
            if time is not None and gap == " " and ":" in left:
                yield from (time + gap + date for date in _dates_of_day(right))
            more, middle, right = right.partition(gap)
            left = left + gap + more


def _zone_starts(text: str) -> list[int]:
    """Where a zone may begin in what follows the date."""
    starts = {match.start() for match in re.finditer(r" ?(?:[A-Z]|[+-])", text)}
    return [len(text), *sorted(starts - {0}, reverse=True)]


def _zone(text: str) -> str | None:
    if not text:
        return ""
    match = _ZONE.fullmatch(text)
    if match is None or match["zone"].upper() in ("AM", "PM"):
        return None
    zone = match["zone"]
    if zone not in ("Z", "UTC", "GMT"):
        zone = "%z" if zone[0] in "+-" else "%Z" if "/" not in zone else zone
    return match["gap"] + zone + (match["rest"] or "")


def _time(text: str, fractions: bool, date: str) -> str | None:
    match = _TIME.fullmatch(text)
    if match is not None:
        if match["h"]:
            return "%Hh%M" if match["hm"] else "%Hh"
        colon, half = match["colon"] or "", match["half"] or ""
        pattern = "%I" if half else "%H"
        pattern += f"{colon}%M" if colon else ""
        if match["second"]:
            pattern += f"{colon}%S" + "%.f" * bool(fractions or match["fraction"])
        return pattern + half.replace(half.strip(), "%p") if half else pattern
    match = _COMPACT_TIME.fullmatch(text)
    if match is not None and date:
        return "%H%M" + ("%S" + "%.f" * bool(fractions or match["fraction"]) if match["second"] else "")
    return None


def _dates_of_day(text: str) -> list[str]:
    """Patterns of dates that name a day, to which a time of day may be joined."""
    return [pattern for pattern in _dates(text) if re.search("%[djuA]|%-d", pattern)]


def _dates(text: str) -> Iterator[str]:
    if re.fullmatch(r"\d{4}|\d{6}|\d{8}", text):
        yield from (name for name in _DIGITS[len(text)] if name.startswith("%") and "H" not in name)
    if re.fullmatch(r"\d{4}-\d{3}", text):
        yield "%Y-%j"
    if match := _NUMERIC.fullmatch(text):
        yield from _numeric_dates(match)
    if match := _IDEOGRAPHS.fullmatch(text):
        yield f"%Y{match['y']}%m{match['m']}" + "%d日" * text.endswith("日")
    if match := _YEAR_MONTH.fullmatch(text):
        yield from _year_months(match)
    for quarter in _QUARTERS:
        if match := quarter.fullmatch(text):
            year = "%Y" if len(match["year"]) == 4 else "%y"
            pieces = [(match.start("year"), year), (match.start("q"), "%q"), (match.start("s"), match["s"])]
            pieces += [(0, match["p"])] if "p" in match.groupdict() else []
            yield "".join(piece for _, piece in sorted(pieces, key=lambda piece: piece[0]))
    if match := _WEEK.fullmatch(text):
        yield f"%G{match['s']}%V" + ("" if match["d"] is None else match["d"] + "%u")
    for named in _NAMED:
        if match := named.fullmatch(text):
            yield _named_date(match, long=bool(match["long"]))
            if match["month"].lower() == "may":
                yield _named_date(match, long=True)


def _numeric_dates(match: re.Match[str]) -> Iterator[str]:
    sep, first, last, dot = match["sep"], match["a"], match["c"], match["dot"]
    if len(first) > 2:
        dates = [f"%Y{sep}%m{sep}%d"]
    elif len(last) > 2:
        dates = [f"%d{sep}%m{sep}%Y", f"%m{sep}%d{sep}%Y"]
    else:
        dates = [f"%d{sep}%m{sep}%y", f"%m{sep}%d{sep}%y", f"%y{sep}%m{sep}%d"]
    yield from (date + dot for date in dates)


def _year_months(match: re.Match[str]) -> Iterator[str]:
    sep, first, last = match["sep"], match["a"], match["b"]
    if len(first) == 4 and len(last) <= 2:
        yield f"%Y{sep}%m"
    elif len(last) == 4 and len(first) <= 2:
        yield f"%m{sep}%Y"
    elif max(len(first), len(last)) <= 2 and sep in "-/":
        # Two short numbers: years may be numbered from 1, or have two digits on either side.
        yield from ((f"%Y{sep}%m",) if len(first) == 1 else (f"%y{sep}%m",))
        yield from ((f"%m{sep}%y",) if len(last) == 2 else ())


def _named_date(match: re.Match[str], *, long: bool) -> str:
    fields = match.groupdict()
    month = "%B" if long else "%b"
    pieces = [
        (match.start("month"), month),
        (match.start("year"), "%Y" if len(fields["year"]) == 4 else "%y"),
    ]
    pieces += [(match.start(name), fields[name]) for name in ("s1", "s2") if fields.get(name)]
    if fields.get("day"):
        pieces.append((match.start("day"), "%d"))
    if fields["weekday"]:
        pieces.append((0, ("%A" if fields["long_weekday"] else "%a") + fields["comma"]))
    return "".join(piece for _, piece in sorted(pieces, key=lambda piece: piece[0]))


def _intervals(example: str) -> list[TimeFormat]:
    for separator in SEPARATORS:
        found: list[TimeFormat] = []
        for match in re.finditer(re.escape(separator), example):
            start, end = example[: match.start()], example[match.end() :]
            starts = list(_moments(start, False))
            ends = list(_moments(end, False))
            time = _time(end, False, "")
            for pattern in starts:
                if pattern in ends and "%" in pattern:
                    found.append(IntervalFormat.of(pattern, separator, pattern))
                elif time is not None and ":" in time and "%M" in pattern:
                    found.append(IntervalFormat.of(pattern, separator, time))
        if found:
            return found
    return []
