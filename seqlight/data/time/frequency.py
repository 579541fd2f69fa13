"""Which grid times lie on: found from the times, or named.

Times are int64 microseconds since 1970-01-01 (UTC, or local wall time where the data has no zone).
"""

import re

import numpy as np

from seqlight.data.errors import DataError
from seqlight.data.time.exchanges import exchange_zone
from seqlight.data.time.month_rules import month_rule_named, month_rules, semi_months
from seqlight.data.time.steps import (
    DAY,
    HOUR,
    MINUTE,
    SECOND,
    WEEK,
    BoolArray,
    BusinessDayFrequency,
    FixedFrequency,
    Frequency,
    Int64Array,
    MonthFrequency,
    all_steps_are,
    dates,
    months_of,
)
from seqlight.data.time.week_pattern import (
    WeekPatternFrequency,
    distinct_times,
    is_structural,
    observed_pattern,
    parse_week_pattern,
)

__all__ = [
    "DAY",
    "HOUR",
    "MINUTE",
    "SECOND",
    "WEEK",
    "BusinessDayFrequency",
    "FixedFrequency",
    "Frequency",
    "MonthFrequency",
    "check_frequency",
    "fraction_digits",
    "frequency_on",
    "infer_frequency",
    "parse_frequency",
    "series_of_coarser_steps",
]

OBSERVED = "observed"
_EXCHANGE = re.compile(r"X[A-Z0-9]{3}|24/7|24/5")
_FIXED_UNITS = {
    **dict.fromkeys(("us",), 1),
    **dict.fromkeys(("ms",), 1000),
    **dict.fromkeys(("s", "sec", "second", "seconds"), SECOND),
    **dict.fromkeys(("min", "m", "t", "minute", "minutes"), MINUTE),
    **dict.fromkeys(("h", "hour", "hours", "hourly"), HOUR),
    **dict.fromkeys(("d", "day", "days", "daily"), DAY),
    **dict.fromkeys(("w", "week", "weeks", "weekly"), WEEK),
}
_MONTH_UNITS = {
    **dict.fromkeys(("mo", "ms", "me", "month", "months", "monthly"), 1),
    **dict.fromkeys(("q", "qs", "qe", "quarter", "quarters", "quarterly"), 3),
    **dict.fromkeys(("y", "ys", "ye", "a", "year", "years", "yearly"), 12),
}


def parse_frequency(text: str) -> Frequency:
    """Return the frequency named ``text``: a count and a unit, such as "1h", "30min", "7d", "1mo", "1q".

    Units: us, ms, s, min, h, d, w, b (business day), mo, q, y; pandas' aliases ("ME", "QS", "W-SUN", "MS"
    in capitals) are taken too, with those of business months ("BME", "BMS", "BQE"), half months ("SMS",
    "SME", "SM-5-20") and weekdays of the month ("WOM-2FRI", "LWOM-FRI"). "30min@Mon-Fri 09:30-16:00" is a
    step at times of the week only, "1d@XNYS" the trading days of an exchange.

    Raises:
        DataError: the unit is unknown or the count is not positive.
    """
    text = text.strip()
    step, at, rest = text.partition("@")
    if at:
        pattern = _pattern_named(step, rest)
        if pattern is not None:
            return pattern
    elif _EXCHANGE.fullmatch(text):
        return _exchange_days(text)
    elif (rule := month_rule_named(text)) is not None:
        return rule
    match = re.fullmatch(r"(\d*)\s*([A-Za-z]+)(-[A-Za-z]{3})?", text)
    if match:
        count = int(match[1] or 1)
        word = match[2]
        unit = word.lower()
        # "M" and "MS" are pandas' months, "m" and "ms" are minutes and milliseconds.
        if word in ("M", "MS"):
            unit = "mo"
        if count > 0 and unit in ("b", "business") and count == 1:
            return BusinessDayFrequency()
        if count > 0 and unit in _FIXED_UNITS and word != "MS":
            return FixedFrequency(count * _FIXED_UNITS[unit])
        if count > 0 and unit in _MONTH_UNITS:
            return MonthFrequency(count * _MONTH_UNITS[unit])
    raise DataError(
        "frequency: expected a count and a unit such as '1h', '30min', '1d', '1w', '1mo', '1q', '1y' or "
        "'1b' (business day), one of pandas' names such as 'BME', 'SMS' or 'WOM-2FRI', times of the week as "
        f"in '30min@Mon-Fri 09:30-16:00', or an exchange such as 'XNYS', got {text!r}"
    )


def check_frequency(name: str) -> None:
    """Raise DataError unless ``name`` is one that :func:`frequency_on` takes."""
    if name != OBSERVED:
        parse_frequency(name)


def frequency_on(
    name: str, timestamps: Int64Array, first_rows: Int64Array, zone: str | None = None
) -> Frequency:
    """Return the frequency named ``name``, completed from the times where the name leaves something to them.

    "observed" is the pattern of the times of the week that occur; "XNYS" (or another exchange) is that
    pattern on trading days. The rest is as in :func:`parse_frequency`.

    Args:
        name: as above.
        timestamps: [rows] int64 microseconds, the series one after the other, each increasing.
        first_rows: [S] first row of each series.
        zone: the zone that UTC times were given in; an exchange has a zone of its own.

    Raises:
        DataError: the name is unknown, or the times have no pattern of the week.
    """
    exchange = name if _EXCHANGE.fullmatch(name) else None
    if name != OBSERVED and exchange is None:
        return parse_frequency(name)
    if exchange is not None:
        _exchange_days(exchange)
    steps = _steps_inside(timestamps, first_rows)
    found = None
    if len(steps):
        step = _pattern_step(steps)
        if zone is not None and exchange is not None:
            zone = exchange_zone(exchange)
        found = observed_pattern(np.unique(timestamps), step, exchange, None if zone == "UTC" else zone)
    if found is None:
        raise DataError(
            f"calendar: {name!r} learns the times of the week at which rows occur, and these times have no "
            "step of a minute or more that divides a week; name the step instead, such as frequency='1h'"
        )
    return found[0]


def infer_frequency(
    timestamps: Int64Array, first_rows: Int64Array, zone: str | None = None
) -> Frequency | None:
    """Return the frequency on which the given times lie, or None where no series has two rows.

    ``timestamps`` [rows] holds the series one after the other, each strictly increasing; ``first_rows`` [S]
    is where each starts. One frequency serves all series. Calendar months are recognised by a constant day
    of the month (or month ends, business days, weekdays of the month, two days a month); business days by
    weekends that are all absent, and other times of the week that never occur by three weeks or more without
    them; otherwise it is the smallest step if the others are multiples of it, else the commonest step, and
    whatever lies off that grid is for the caller to refuse. ``zone`` is the zone that UTC times were given
    in: hours of the week are those of its clocks.
    """
    inside = np.ones(max(len(timestamps) - 1, 0), np.bool_)
    inside[first_rows[1:] - 1] = False
    if not inside.any():
        return None
    first = int(np.argmax(inside))
    commonest = int(timestamps[first + 1] - timestamps[first])
    if all_steps_are(commonest, timestamps, first_rows):
        months = _infer_months(timestamps, first_rows, inside) if commonest >= 28 * DAY else None
        return months or FixedFrequency(commonest)
    steps = np.diff(timestamps)[inside]
    values, counts = np.unique(steps, return_counts=True)
    smallest, commonest = int(values[0]), int(values[np.argmax(counts)])
    if commonest >= 28 * DAY:
        months = _infer_months(timestamps, first_rows, inside)
        if months is not None:
            return months
    if smallest >= 10 * DAY and len(timestamps) >= 6:
        halves = semi_months(timestamps)
        if halves is not None:
            return halves
    if smallest == DAY and _skips_every_weekend(timestamps, steps):
        return BusinessDayFrequency()
    pattern = _infer_pattern(timestamps, values, zone)
    if pattern is not None:
        return pattern
    return FixedFrequency(smallest if not np.any(values % smallest) else commonest)


def _steps_inside(timestamps: Int64Array, first_rows: Int64Array) -> Int64Array:
    steps = np.diff(timestamps)
    inside = np.ones(len(steps), np.bool_)
    inside[first_rows[1:] - 1] = False
    return steps[inside]


def _pattern_step(steps: Int64Array) -> int:
    """What divides all steps; a day for whole days, however far apart."""
    step = int(np.gcd.reduce(steps))
    return DAY if step % DAY == 0 else step


def _infer_pattern(
    timestamps: Int64Array, steps: Int64Array, zone: str | None
) -> WeekPatternFrequency | None:
    step = _pattern_step(steps)
    if np.gcd.reduce(steps) % WEEK == 0:
        return None
    distinct = distinct_times(timestamps, step)
    if distinct is None:
        return None
    local = None if zone in (None, "UTC") else observed_pattern(distinct, step, zone=zone)
    found = local or observed_pattern(distinct, step)
    return found[0] if found is not None and is_structural(*found, distinct) else None


def _infer_months(timestamps: Int64Array, first_rows: Int64Array, inside: BoolArray) -> Frequency | None:
    gaps = np.diff(months_of(timestamps))[inside]
    months = max(1, int(np.gcd.reduce(gaps)))
    counts = np.diff(np.append(first_rows, len(timestamps)))
    origin = np.repeat(timestamps[first_rows], counts)

    def share(frequency: Frequency) -> float:
        anchor = np.repeat(frequency.anchors(timestamps, first_rows), counts)
        return float(frequency.positions(timestamps, origin, anchor)[1].mean())

    by_day = MonthFrequency(months)
    on_grid = share(by_day)
    if on_grid < 1 and len(timestamps) >= 4:
        rule = next((rule for rule in month_rules(months) if share(rule) == 1), None)
        if rule is not None:
            return rule
    # A stray row or two should be named as off the monthly grid, not turn the grid into one of odd days.
    return by_day if on_grid > 0.8 else None


def _pattern_named(step: str, rest: str) -> WeekPatternFrequency | None:
    fixed = parse_frequency(step)
    if not isinstance(fixed, FixedFrequency):
        return None
    return parse_week_pattern(fixed.step, rest.strip())


def _exchange_days(code: str) -> WeekPatternFrequency:
    pattern = parse_week_pattern(DAY, code)
    assert pattern is not None  # an exchange alone is a pattern
    return pattern


def _skips_every_weekend(timestamps: Int64Array, steps: Int64Array) -> bool:
    return len(timestamps) >= 5 and bool((steps > DAY).any()) and bool(np.is_busday(dates(timestamps)).all())


def series_of_coarser_steps(
    timestamps: Int64Array, first_rows: Int64Array, frequency: Frequency
) -> list[tuple[int, Frequency]]:
    """Return the series whose own regular step is a multiple of ``frequency``, each with that step.

    A series counts if it has four rows or more, all an exact multiple (two or more) of the common step apart:
    a weekly series among daily ones. One with absent rows here and there does not.

    Args:
        timestamps: [rows] int64 microseconds, the series one after the other, each increasing.
        first_rows: [S] first row of each series.
        frequency: the step common to all.

    Returns:
        (series index, its own frequency), in the order of the series.
    """
    counts = np.diff(np.append(first_rows, len(timestamps)))
    repeat = np.repeat(np.arange(len(first_rows)), counts)
    anchor = frequency.anchors(timestamps, first_rows)
    positions, on_grid = frequency.positions(timestamps, timestamps[first_rows][repeat], anchor[repeat])
    steps = np.diff(positions, prepend=0)
    steps[first_rows] = 0  # the greatest common divisor of 0 and n is n
    divisors = np.gcd.reduceat(steps, first_rows)
    coarser = (divisors > 1) & (counts > 3) & np.logical_and.reduceat(on_grid, first_rows)
    found = []
    for series in np.flatnonzero(coarser):
        own = timestamps[first_rows[series] : first_rows[series] + counts[series]]
        step = infer_frequency(own, np.zeros(1, np.int64))
        if step is not None and step != frequency:
            found.append((int(series), step))
    return found


def fraction_digits(frequency: Frequency, origin: Int64Array) -> int:
    """Return how many digits of the second tell the times of grids apart: 0, 3 or 6.

    Args:
        frequency: the step.
        origin: [S] int64 microseconds, the grids' first times.
    """
    parts = [np.asarray(origin) % SECOND]
    if isinstance(frequency, FixedFrequency):
        parts.append(np.array([frequency.step % SECOND]))
    fractions = np.concatenate(parts)
    return 6 if (fractions % 1000).any() else 3 if fractions.any() else 0
