"""What is odd in data, by a few simple rules of robust statistics.

The rules, for a series ``x`` (``docs/howto/report.md`` tells them to readers):

- *gap*: missing steps in a row between two known values; *no values*: nothing is known.
- *short*: fewer known steps than ``least`` (two seasons, or what a forecast and a check of it need).
- *constant*: all known values are equal.
- *stuck*: a value that is not 0 repeats at least 12 times, and ten times as often as is usual for the series.
- A change from one step to the next is *large* if, after taking off what is usual at that step of the season,
  it is beyond 12 robust standard deviations (1.4826 times the median absolute deviation). What follows names
  it: an *outlier* where at most three values later the series is back, a *level step* where the medians of
  the values before and after differ by more than half the change, else a *jump*.
- *level step* in noise: the mean of a season (12 steps at least) after it differs from that before by more
  than 6 robust standard deviations of such differences, after taking off those one season earlier and later,
  so that no trend counts; in series of eight seasons at least.
- *ended*: the last known value is more than ``horizon`` steps before that of the others.

They are made to be quiet on noise, trends, seasons, random walks and counts: of a hundred such series, at
most one is told. They look at one series at a time and claim no cause.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqlight.report.inputs import Series
from seqlight.report.model import Oddity
from seqlight.report.numbers import Digits, count, percent, time_text

KINDS = {
    "empty": ("no values", "series without values"),
    "gap": ("gap", "series with gaps"),
    "outlier": ("outlier", "outliers"),
    "jump": ("jump", "jumps"),
    "step": ("level step", "level steps"),
    "stuck": ("stuck", "stuck values"),
    "constant": ("constant", "constant series"),
    "short": ("short", "short series"),
    "ended": ("ended", "series that ended"),
}
"""What one of each is called, and what several are."""


def counted(kind: str, number: int) -> str:
    """What so many of a kind are called; a series counts once, though it may have many gaps."""
    one, several = KINDS[kind]
    return one if number == 1 and "series" not in several else several


LARGE = 12.0  # robust standard deviations, of a change
LARGE_STEP = 6.0  # of a difference of means
BACK_WITHIN = 3  # steps
LEAST_WINDOW = 12
STUCK = 12
USUAL_TIMES = 10
MOST_OF_A_KIND = 5  # events of one kind in one series that are told one by one
MAD_TO_STD = 1.4826

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What the rules need to know of the data.

    Args:
        season_length: steps of a season, 1 for none.
        least: known steps below which a series is called short.
        horizon: steps after which a series that ended before the others is told.
        style: how times are written, see ``seqlight.report.numbers``.
    """

    season_length: int = 1
    least: int = 0
    horizon: int = 1
    style: str = "day"


def find_oddities(series: Sequence[Series], digits: Sequence[Digits], rules: Rules) -> list[Oddity]:
    """Apply the rules to every series; the weightiest come first."""
    latest = max((one.time[-1] for one in series if len(one.time)), default=None)
    found = [
        replace(oddity, index=index)
        for index, (one, own) in enumerate(zip(series, digits, strict=True))
        for oddity in oddities_of(one, own, rules, latest)
    ]
    return sorted(found, key=lambda oddity: -oddity.weight)


def oddities_of(series: Series, digits: Digits, rules: Rules, latest: Any = None) -> Iterator[Oddity]:
    """Apply the rules to one series.

    Args:
        series: filled cells count as missing.
        digits: of its values.
        rules: see there.
        latest: the last time of all series, or None for no comparison.
    """
    values = np.asarray(series.values, np.float64)
    if series.filled is not None:
        values = np.where(series.filled, np.nan, values)
    known = np.flatnonzero(np.isfinite(values))

    def at(kind: str, what: str, position: int | None = None, *, weight: float) -> Oddity:
        time = "" if position is None else time_text(series.time[position], rules.style)
        return Oddity(kind=kind, series=series.name, time=time, what=what, position=position, weight=weight)

    if not len(known):
        yield at("empty", "no value is known", weight=100.0)
        return
    compact = values[known]
    if len(known) < rules.least:
        yield at("short", f"only {count(len(known), 'known step')}, below {rules.least:,}", weight=30.0)
    if len(known) > 1 and (compact == compact[0]).all():
        yield at("constant", f"every known value is {digits.value(compact[0])}", weight=40.0)
    for what, position, share in gaps(values, known):
        yield at("gap", what, position, weight=10.0 + share)
    if latest is not None and len(series.time):
        behind = steps_between(series.time, series.time[known[-1]], latest)
        if behind > rules.horizon:
            what = f"its last known value is {count(behind, 'step')} before the end of the data"
            yield at("ended", what, int(known[-1]), weight=35.0)
    if len(known) < 2 * LEAST_WINDOW or (compact == compact[0]).all():
        return
    runs = stuck(compact)
    for position, value, length in runs:
        what = f"{digits.value(value)} repeats {length:,} times"
        yield at("stuck", what, int(known[position]), weight=15.0 + length / len(known))
    for kind, position, before, after, size in events(
        compact, known, rules.season_length, [run[0] for run in runs]
    ):
        text = f"{digits.text(after)} after {digits.text(before)}"
        if kind == "step":
            text = f"the level goes from about {digits.text(before)} to {digits.text(after)}"
        elif kind == "outlier":
            text = f"{digits.value(after)} where its neighbours are about {digits.text(before)}"
        yield at(
            kind, text, int(known[position]), weight={"step": 25.0}.get(kind, 20.0) + min(size, 99) / 100
        )


def gaps(values: Array, known: NDArray[np.int64]) -> Iterator[tuple[str, int, float]]:
    """At most one line for the gaps of a series: what they are, where the longest begins, their share."""
    holes = np.diff(known) - 1
    if not holes.any():
        return
    longest = int(holes.argmax())
    number, missing = int((holes > 0).sum()), int(holes.sum())
    share = missing / (known[-1] - known[0] + 1)
    what = f"{count(number, 'gap')}, {count(missing, 'missing step')} ({percent(share)})"
    if number > 1 and holes[longest] > 1:
        what += f"; the longest, of {holes[longest]:,}, begins here"
    yield what, int(known[longest]) + 1, float(share)


def stuck(compact: Array) -> list[tuple[int, float, int]]:
    """Begin, value and length of the runs of one value that are far longer than the usual run."""
    change = np.flatnonzero(np.diff(compact))
    begins = np.concatenate([[0], change + 1])
    lengths = np.diff(np.concatenate([begins, [len(compact)]]))
    usual = max(1.0, float(np.median(lengths)))
    odd = np.flatnonzero((lengths >= max(STUCK, USUAL_TIMES * usual)) & (compact[begins] != 0))
    odd = odd[np.argsort(-lengths[odd], kind="stable")][:MOST_OF_A_KIND]
    return [(int(begins[run]), float(compact[begins[run]]), int(lengths[run])) for run in odd]


Event = tuple[str, int, float, float, float]
"""Kind, position among the known values, level before, value or level after, size in standard deviations."""


def events(
    compact: Array, known: NDArray[np.int64], season_length: int, told: Sequence[int] = ()
) -> list[Event]:
    """Outliers, jumps and level steps, at most ``MOST_OF_A_KIND`` of each, the largest first.

    Where something is ``told`` already, at these positions, the mean steps for that very reason.
    """
    found = large_changes(compact, known, season_length)
    taken = [*told, *(position for _, position, *_ in found)]
    window = max(LEAST_WINDOW, season_length)
    for event in level_steps(compact, compact - usual_by_phase(compact, known, season_length), window):
        if all(abs(event[1] - position) > 3 * window for position in taken):
            found.append(event)
    kept: list[Event] = []
    for event in sorted(found, key=lambda event: -event[4]):
        if sum(other[0] == event[0] for other in kept) < MOST_OF_A_KIND:
            kept.append(event)
    return kept


def large_changes(compact: Array, known: NDArray[np.int64], season_length: int) -> list[Event]:
    """Changes beyond the usual ones, named by what follows them."""
    change = np.diff(compact)
    change[np.diff(known) > 1] = np.nan  # across a gap a change says little
    usual = change - usual_by_phase(change, known[1:], season_length)
    spread = robust_std(usual)
    if not spread > 0:
        return []
    found: list[Event] = []
    position, size = 0, np.nan_to_num(np.abs(usual) / spread)
    size[np.abs(np.nan_to_num(change)) < np.abs(np.nan_to_num(usual)) / 2] = 0.0  # a change that did not come
    for place in np.flatnonzero(size > LARGE):
        if place < position:  # the way back of what was told
            continue
        at = int(place) + 1
        before = float(np.median(compact[max(0, at - 5) : at]))
        height = float(change[place])
        after = compact[at + 1 : at + 1 + BACK_WITHIN]
        back = np.flatnonzero(np.abs(after - before) < abs(height) / 2)
        wide = max(LEAST_WINDOW, season_length)
        left, right = compact[max(0, at - wide) : at], compact[at : at + wide]
        if len(back):
            found.append(("outlier", at, before, float(compact[at]), float(size[place])))
            position = at + 1 + int(back[0])
        elif len(right) >= BACK_WITHIN and (np.median(right) - np.median(left)) / height > 0.5:
            levels = float(np.median(left)), float(np.median(right))
            found.append(("step", at, *levels, float(size[place])))
        else:
            found.append(("jump", at, float(compact[at - 1]), float(compact[at]), float(size[place])))
            position = at + wide
    return found


def usual_by_phase(values: Array, positions: NDArray[np.int64], season_length: int) -> Array:
    """The median at each step of the season, where three seasons are there; else the median of all."""
    if season_length < 2 or len(values) < 3 * season_length:
        return np.full_like(
            values, np.median(values[np.isfinite(values)]) if np.isfinite(values).any() else 0.0
        )
    rows = -(-(int(positions[-1]) + 1) // season_length)
    table = np.full(rows * season_length, np.nan)
    table[positions] = values
    table = np.sort(table.reshape(rows, season_length), axis=0)  # np.nanmedian takes ten times as long
    known = np.maximum(np.isfinite(table).sum(0), 1)
    steps = np.arange(season_length)
    usual = (table[(known - 1) // 2, steps] + table[known // 2, steps]) / 2
    return np.nan_to_num(usual)[positions % season_length]


def level_steps(compact: Array, levels: Array, window: int) -> list[Event]:
    """Steps of the mean of ``levels``, the values without their season, between windows, largest first."""
    if len(compact) < 8 * window:  # too few differences to tell what is usual
        return []
    sums = np.concatenate([[0.0], np.cumsum(levels)])
    means = (sums[window:] - sums[:-window]) / window  # of the window that begins there
    difference = means[window:] - means[:-window]  # at begin + window
    bent = difference[window:-window] - (difference[: -2 * window] + difference[2 * window :]) / 2
    spread = robust_std(bent)
    if not spread > 0 or spread < 1e-9 * float(np.abs(compact).max()):
        return []
    size = np.abs(bent) / spread
    found: list[Event] = []
    while len(found) < MOST_OF_A_KIND and size.max(initial=0.0) > LARGE_STEP:
        place = int(size.argmax())
        at = place + 2 * window
        sides = float(np.median(compact[at - window : at])), float(np.median(compact[at : at + window]))
        found.append(("step", at, *sides, float(size[place])))
        size[max(0, place - 3 * window) : place + 3 * window] = 0.0
    return found


def robust_std(values: Array) -> float:
    """1.4826 times the median absolute deviation; where half the values are equal, of those that are not."""
    known = values[np.isfinite(values)]
    if not len(known):
        return 0.0
    off = np.abs(known - np.median(known))
    middle = float(np.median(off))
    if middle > 0:
        return MAD_TO_STD * middle
    off = off[off > 0]
    return MAD_TO_STD * float(np.median(off)) if len(off) else 0.0


def steps_between(times: NDArray[Any], begin: Any, end: Any) -> int:
    """Return how many of the series' own steps lie between two times."""
    if len(times) < 2:
        return 0
    span = np.array([begin, end], times.dtype).astype(np.int64)
    return round(float(span[1] - span[0]) / float(np.median(np.diff(times[-500:].astype(np.int64)))))
