"""Grids of the times of the week at which rows occur: shop and market hours, weekends of any kind."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from zoneinfo import available_timezones

import numpy as np

from seqlight.data.errors import DataError
from seqlight.data.time.exchanges import FIRST_DAY, open_days
from seqlight.data.time.steps import (
    DAY,
    HOUR,
    MINUTE,
    SECOND,
    WEEK,
    BoolArray,
    FixedFrequency,
    Frequency,
    Int64Array,
)
from seqlight.data.time.zones import local_times, utc_times

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MOST_SLOTS = WEEK // MINUTE
_GROUP = re.compile(r"(?P<days>[A-Z][a-z]{2}(?:[-,][A-Z][a-z]{2})*)(?: (?P<times>[\d:,-]+))?")


@dataclass(frozen=True)
class WeekPatternFrequency(Frequency):
    """One step per time of the week at which there are rows: what lies between is no missing cell.

    Attributes:
        step: the step within a day, in microseconds.
        slots: times of the week in microseconds since Monday 00:00, increasing.
        exchange: code of an exchange on whose trading days alone there are rows; None for every week alike.
        zone: the zone in whose local time the week is, where the times are UTC; None where they are local.
    """

    step: int
    slots: tuple[int, ...]
    exchange: str | None = None
    zone: str | None = None

    @property
    def name(self) -> str:
        """The step and the times of the week: "30min@Mon-Fri 09:30-16:00", "1d@Sun-Thu", "1d@XNYS"."""
        every_day = self.slots == tuple(range(0, WEEK, DAY))
        times = "" if every_day and self.exchange else ";".join(self._groups())
        return f"{FixedFrequency(self.step).name}@{' '.join(filter(None, (times, self.exchange, self.zone)))}"

    @property
    def season_length(self) -> int:
        """Steps in a day where all days have as many, more than one; else in a week."""
        per_day = {count for count in self._per_weekday.tolist() if count}
        return max(per_day) if len(per_day) == 1 and max(per_day) > 1 else len(self.slots)

    def positions(
        self, timestamps: Int64Array, origin: Int64Array, anchor: Int64Array
    ) -> tuple[Int64Array, BoolArray]:
        """Times of the week counted since the origin; on the grid at exactly one of them."""
        index, exact = self._index(np.asarray(timestamps))
        return index - self._index(np.asarray(origin))[0], exact

    def timestamps(self, positions: Int64Array, origin: Int64Array, anchor: Int64Array) -> Int64Array:
        """The time that many times of the week after the origin."""
        index = self._index(np.asarray(origin))[0] + np.asarray(positions, np.int64)
        if self.exchange is None:
            weeks, slot = np.divmod(index, len(self.slots))
            return utc_times(weeks * WEEK + self._slots[slot] - 3 * DAY, self.zone)
        before = self._slots_before
        day = np.searchsorted(before, index, side="right") - 1
        if np.any(index < 0) or np.any(index >= before[-1]):
            raise DataError(f"calendar: {self.exchange} is known from 1960 to 2099 only")
        weekday = (day + FIRST_DAY + 3) % 7
        first_slot = np.concatenate([[0], np.cumsum(self._per_weekday)])[weekday]
        time_of_day = self._slots[first_slot + index - before[day]] % DAY
        return utc_times((day + FIRST_DAY) * DAY + time_of_day, self.zone)

    @cached_property
    def _slots(self) -> Int64Array:
        return np.array(self.slots, np.int64)

    @cached_property
    def _per_weekday(self) -> Int64Array:
        return np.bincount(self._slots // DAY, minlength=7)

    @cached_property
    def _slots_before(self) -> Int64Array:
        """Slots on open days before each day that the exchange's calendar knows, counted from FIRST_DAY."""
        assert self.exchange is not None  # asked for with an exchange only
        is_open = open_days(self.exchange)
        counts = self._per_weekday[(np.arange(len(is_open)) + FIRST_DAY + 3) % 7] * is_open
        return np.concatenate([[0], np.cumsum(counts)])

    def _index(self, timestamps: Int64Array) -> tuple[Int64Array, BoolArray]:
        """Number of the last slot at or before each time, and whether it is exactly there."""
        timestamps = local_times(timestamps, self.zone)
        # 1970-01-01 was a Thursday.
        weeks, time_of_week = np.divmod(timestamps + 3 * DAY, WEEK)
        slot = np.searchsorted(self._slots, time_of_week, side="right") - 1
        exact = self._slots[slot] == time_of_week
        if self.exchange is None:
            return weeks * len(self.slots) + slot, exact
        days = timestamps // DAY - FIRST_DAY
        before = self._slots_before
        if np.any(days < 0) or np.any(days >= len(before) - 1):
            raise DataError(f"calendar: {self.exchange} is known from 1960 to 2099 only")
        first_slot = np.concatenate([[0], np.cumsum(self._per_weekday)])[time_of_week // DAY]
        is_open = before[days + 1] > before[days]
        within = np.where(is_open, slot - first_slot, -1)
        return before[days] + within, exact & is_open

    def _groups(self) -> Iterator[str]:
        """Days of the same times, each group as text."""
        by_day = [tuple(slot % DAY for slot in self.slots if slot // DAY == day) for day in range(7)]
        done: set[tuple[int, ...]] = {()}
        for times in by_day:
            if times not in done:
                done.add(times)
                days = [day for day in range(7) if by_day[day] == times]
                if 0 in days and 6 in days and len(days) < 7:  # a week that begins on Sunday, say
                    last_absent = max(day for day in range(7) if day not in days)
                    days = [day - 7 if day > last_absent else day for day in days]
                    days.sort()
                names = ",".join("-".join(_DAYS[day] for day in ends) for ends in _ranges(days, 1))
                hours = ",".join(
                    "-".join(_clock(time) for time in ends) for ends in _ranges(times, self.step)
                )
                yield names if times == (0,) else f"{names} {hours}"


def parse_week_pattern(step: int, text: str) -> WeekPatternFrequency | None:
    """Return the pattern that follows the "@" of a name; None where it is none.

    Raises:
        DataError: an exchange is named that is not known.
    """
    exchange = zone = None
    if match := re.fullmatch(r"(.*?) ?([A-Z][A-Za-z]+/[A-Za-z_/+-]+)", text):
        text, zone = match[1], match[2]
        if zone not in available_timezones():
            return None
    if match := re.fullmatch(r"(.*?) ?([A-Z][A-Z0-9]{3})", text):
        text, exchange = match[1], match[2]
        open_days(exchange)
    slots: set[int] = set()
    for group in filter(None, text.split(";")):
        match = _GROUP.fullmatch(group.strip())
        if match is None:
            return None
        days = list(_expand(match["days"], _day, 1))
        times = list(_expand(match["times"], _microseconds, step)) if match["times"] else [0]
        if None in days or None in times:
            return None
        slots |= {day * DAY + time for day in days for time in times}  # type: ignore[operator]
    if not slots:
        if exchange is None:
            return None
        slots = set(range(0, WEEK, step))
    return WeekPatternFrequency(step, tuple(sorted(slots)), exchange, zone)


def observed_pattern(
    times: Int64Array, step: int, exchange: str | None = None, zone: str | None = None
) -> tuple[WeekPatternFrequency, float] | None:
    """Return the pattern of all times of the week that occur, and the share of its cells that have rows.

    Args:
        times: [times] int64 microseconds, increasing, each once.
        step: what divides all steps between them.
        exchange: code of an exchange that the pattern is to be limited to.
        zone: the zone in whose local time the week is, where the times are UTC.

    Returns:
        None where the step is so fine that a week has more than a slot a minute.
    """
    if step < WEEK // _MOST_SLOTS or WEEK % step:
        return None
    weeks, time_of_week = np.divmod(local_times(times, zone) + 3 * DAY, WEEK)
    slots = np.unique(time_of_week)
    if zone is not None and np.any((slots >= 6 * DAY) & (slots < 6 * DAY + 4 * HOUR)):
        return None  # on Sunday nights clocks are put forward and back: local times are missing or come twice
    if len(slots) > _MOST_SLOTS:
        return None
    pattern = WeekPatternFrequency(step, tuple(int(slot) for slot in slots), exchange, zone)
    return pattern, len(times) / (len(np.unique(weeks)) * len(slots))


def distinct_times(timestamps: Int64Array, step: int) -> Int64Array | None:
    """Return the times that occur, increasing, each once; None where there are too many to look at.

    Millions of rows of many series have few distinct times, which are told without sorting.
    """
    start = int(timestamps.min())
    cells = (int(timestamps.max()) - start) // step + 1
    if cells > 4 * len(timestamps) + 1_000_000 or np.any((timestamps - start) % step):
        return np.unique(timestamps) if len(timestamps) <= 1_000_000 else None
    present = np.zeros(cells, np.bool_)
    present[(timestamps - start) // step] = True
    return np.flatnonzero(present) * step + start


def is_structural(pattern: WeekPatternFrequency, share: float, times: Int64Array) -> bool:
    """Return whether the times of the week without rows are so by a rule rather than by chance."""
    weeks = len(np.unique((times + 3 * DAY) // WEEK))
    absent = WEEK // pattern.step - len(pattern.slots)
    by_chance = (1 - share) ** weeks * absent
    return weeks >= 3 and share >= 0.6 and absent * pattern.step >= 0.05 * WEEK and by_chance < 0.01


def _ranges(values: Sequence[int], step: int) -> Iterator[tuple[int, ...]]:
    """Values as (first, last) of runs a step apart, or (value,) alone."""
    run: list[int] = []
    for value in [*values, None]:
        if run and value != run[-1] + step:
            yield (run[0], run[-1]) if len(run) > 1 else (run[0],)
            run = []
        if value is not None:
            run.append(value)


def _expand(text: str, read: Callable[[str], int | None], step: int) -> Iterator[int | None]:
    """The values of "Mon-Wed,Fri" or "09:30-16:00"; None for what cannot be read."""
    for part in text.split(","):
        first, *others = (read(end) for end in part.split("-"))
        last = others[-1] if others else first
        if first is None or last is None or len(others) > 1:
            yield None
        elif last >= first:
            yield from range(first, last + 1, step)
        elif read is _day:  # Sat-Tue
            yield from (*range(first, 7), *range(last + 1))
        else:
            yield None


def _day(text: str) -> int | None:
    return _DAYS.index(text) if text in _DAYS else None


def _clock(time: int) -> str:
    """A time of day as 09:30, with its seconds if it has any."""
    text = f"{time // HOUR:02d}:{time % HOUR // MINUTE:02d}"
    return f"{text}:{time % MINUTE // SECOND:02d}" if time % MINUTE else text


def _microseconds(text: str) -> int | None:
    match = re.fullmatch(r"(\d{2}):(\d{2})(?::(\d{2}))?", text)
    return (
        None
        if match is None
        else (int(match[1]) * HOUR + int(match[2]) * MINUTE + int(match[3] or 0) * SECOND)
    )
