"""Grids with one or two days a month: last business days, third Fridays, the 1st and the 15th."""

import re
from dataclasses import dataclass

import numpy as np

from seqlight.data.time.steps import (
    DAY,
    BoolArray,
    Frequency,
    Int64Array,
    days_of_month,
    month_lengths,
    months_of,
)

WEEKDAYS = ("MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN")
# pandas' names, by the months between two days.
_BUSINESS = {
    "BME": ("end", 1),
    "BQE": ("end", 3),
    "BYE": ("end", 12),
    "BMS": ("start", 1),
    "BQS": ("start", 3),
    "BYS": ("start", 12),
}
_NAMES = {value: name for name, value in _BUSINESS.items()}
_OLD_NAMES = {"BM": "BME", "BQ": "BQE", "BY": "BYE", "BA": "BYE", "BAS": "BYS"}


@dataclass(frozen=True)
class MonthRuleFrequency(Frequency):
    """One day every ``months`` months, by a rule of weekdays, at the origin's time of day.

    Attributes:
        rule: "end" and "start" are the last and the first business day (Monday to Friday), "2FRI" the second
            Friday, "LFRI" the last.
        months: months between two days.
    """

    rule: str
    months: int = 1

    @property
    def name(self) -> str:
        """The name that pandas has for it: "BME", "BMS", "BQE", "WOM-2FRI", "LWOM-FRI"."""
        if self.rule in ("end", "start"):
            known = _NAMES.get((self.rule, self.months))
            return known or f"{self.months}{_NAMES[self.rule, 1]}"
        count = "" if self.months == 1 else str(self.months)
        return f"{count}LWOM-{self.rule[1:]}" if self.rule[0] == "L" else f"{count}WOM-{self.rule}"

    @property
    def season_length(self) -> int:
        """Steps in a year."""
        return 12 // self.months if 12 % self.months == 0 else 1

    def positions(
        self, timestamps: Int64Array, origin: Int64Array, anchor: Int64Array
    ) -> tuple[Int64Array, BoolArray]:
        """Grid positions by the calendar month; on the grid on its day, at the origin's time of day."""
        positions = (months_of(timestamps) - months_of(origin)) // self.months
        return positions, self.timestamps(positions, origin, anchor) == timestamps

    def timestamps(self, positions: Int64Array, origin: Int64Array, anchor: Int64Array) -> Int64Array:
        """The day of the rule in the month that many steps after the origin's."""
        months = months_of(np.asarray(origin)) + np.asarray(positions, np.int64) * self.months
        return np.asarray(self._days(months) * DAY + np.asarray(origin) % DAY)

    def _days(self, months: Int64Array) -> Int64Array:
        """Day since 1970 that the rule names in each month."""
        first = months.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
        last = first + month_lengths(months) - 1
        if self.rule == "end":
            return last - np.maximum(_weekday(last) - 4, 0)
        if self.rule == "start":
            weekday = _weekday(first)
            return first + np.where(weekday > 4, 7 - weekday, 0)
        wanted = WEEKDAYS.index(self.rule[1:])
        if self.rule[0] == "L":
            return last - (_weekday(last) - wanted) % 7
        return first + (wanted - _weekday(first)) % 7 + 7 * (int(self.rule[0]) - 1)


@dataclass(frozen=True)
class SemiMonthFrequency(Frequency):
    """Two days a month, at the origin's time of day; 31 is the month's last day.

    Attributes:
        first: day of the month, 1 to 27.
        second: a later day of the month.
    """

    first: int
    second: int

    @property
    def name(self) -> str:
        """ "SMS" (the 1st and 15th), "SME" (the 15th and the last), or "SM-5-20"."""
        known = {(1, 15): "SMS", (15, 31): "SME"}
        return known.get((self.first, self.second), f"SM-{self.first}-{self.second}")

    @property
    def season_length(self) -> int:
        """Steps in a year."""
        return 24

    def positions(
        self, timestamps: Int64Array, origin: Int64Array, anchor: Int64Array
    ) -> tuple[Int64Array, BoolArray]:
        """Grid positions by half months; on the grid on one of the days, at the origin's time of day."""
        positions = self._halves(timestamps) - self._halves(np.asarray(origin))
        return positions, self.timestamps(positions, origin, anchor) == timestamps

    def timestamps(self, positions: Int64Array, origin: Int64Array, anchor: Int64Array) -> Int64Array:
        """The day that many half months after the origin's."""
        months, half = np.divmod(self._halves(np.asarray(origin)) + np.asarray(positions, np.int64), 2)
        start = months.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
        day = np.minimum(np.where(half == 1, self.second, self.first), month_lengths(months))
        return np.asarray((start + day - 1) * DAY + np.asarray(origin) % DAY)

    def _halves(self, timestamps: Int64Array) -> Int64Array:
        months = months_of(timestamps)
        second = np.minimum(self.second, month_lengths(months))
        return 2 * months + (days_of_month(np.asarray(timestamps)) >= second)


def month_rule_named(name: str) -> Frequency | None:
    """Return the frequency that pandas calls ``name``, such as "BME", "WOM-2FRI", "SMS"; None if none."""
    name = name.upper()
    if match := re.fullmatch(r"(\d*)(B[MQYA]?[A-Z]*)", name):
        rule = _BUSINESS.get(_OLD_NAMES.get(match[2], match[2]))
        count = int(match[1] or 1)
        return None if rule is None or count == 0 else MonthRuleFrequency(rule[0], rule[1] * count)
    if match := re.fullmatch(r"(\d*)(?:WOM-([1-4])|LWOM-)([A-Z]{3})", name):
        count = int(match[1] or 1)
        if match[3] not in WEEKDAYS or count == 0:
            return None
        return MonthRuleFrequency((match[2] or "L") + match[3], count)
    if name in ("SMS", "SME", "SM"):
        return SemiMonthFrequency(1, 15) if name == "SMS" else SemiMonthFrequency(15, 31)
    if match := re.fullmatch(r"SM-(\d{1,2})-(\d{1,2})", name):
        first, second = int(match[1]), int(match[2])
        return SemiMonthFrequency(first, second) if 1 <= first <= 27 and first < second <= 31 else None
    return None


def month_rules(months: int) -> list[MonthRuleFrequency]:
    """Return the rules that name one day every ``months`` months, the likeliest first."""
    rules = ["end", "start", *(f"{i}{day}" for i in range(1, 5) for day in WEEKDAYS)]
    return [MonthRuleFrequency(rule, months) for rule in [*rules, *(f"L{day}" for day in WEEKDAYS)]]


def semi_months(timestamps: Int64Array) -> SemiMonthFrequency | None:
    """Return the two days of the month on which all times fall; None where they do not."""
    days = days_of_month(timestamps)
    ends = days == month_lengths(months_of(timestamps))
    distinct = np.unique(days[~ends])
    if len(distinct) == 1 and ends.any() and distinct[0] <= 27:
        return SemiMonthFrequency(int(distinct[0]), 31)
    both = np.unique(days)
    return SemiMonthFrequency(int(both[0]), int(both[1])) if len(both) == 2 and both[0] <= 27 else None


def _weekday(days: Int64Array) -> Int64Array:
    """0 for Monday; 1970-01-01 was a Thursday."""
    return (days + 3) % 7
