"""Charts as the page needs them: drawn once here, with their values for the script that zooms and reads.

A chart is an ``svg`` as wide as the page, without a view box, so that its text keeps its size on a phone. The
lines are in a view box of 1000 by ``HEIGHT`` inside it, which is stretched; strokes keep their width.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqlight.report.inputs import FloatArray
from seqlight.report.numbers import MINUS, Digits, time_text

WIDTH, HEIGHT = 1000, 200  # of the inner view box; HEIGHT is in pixels too
MOST_POINTS = 700  # of a line that is drawn here; the script draws all that are in sight
X_TICKS, Y_TICKS = 4, 4
MOST_MARKS = 50

_SECOND = 1_000_000
_DAY = 86_400 * _SECOND
TIME_STEPS = [
    step * _SECOND
    for step in (1, 5, 15, 30, 60, 300, 900, 1800, 3600, 10_800, 21_600, 43_200, 86_400, 172_800, 604_800)
]
MONTH_STEPS = (1, 3, 6, 12, 24, 60, 120, 240, 600, 1200)


@dataclass(frozen=True, kw_only=True)
class Line:
    """Values against the chart's x; ``css`` is the class that colours it, ``dots`` draws points alone."""

    name: str
    css: str
    values: FloatArray
    dots: bool = False


@dataclass(frozen=True, kw_only=True)
class Area:
    """A band between two lines."""

    name: str
    css: str
    lower: FloatArray
    upper: FloatArray


@dataclass(frozen=True, kw_only=True)
class Chart:
    """Lines and bands against one axis of times or steps.

    Args:
        x: ``datetime64`` or integers [N], increasing.
        lines, areas: of values [N]; NaN leaves a gap.
        style: how x is written.
        digits: how values are written.
        from_zero: whether the axis of values begins at 0.
        since: position in x where the forecast begins, marked by a line; None for none.
        marks: by position in x, what is odd there.
        x_label: what x counts, said when a value is read.
        view: first and last position that are seen at first; None for all.
    """

    x: NDArray[Any]
    lines: Sequence[Line]
    areas: Sequence[Area] = ()
    style: str = "day"
    digits: Digits = Digits(2)  # noqa: RUF009
    from_zero: bool = False
    since: int | None = None
    marks: Mapping[int, str] = field(default_factory=dict)
    x_label: str = ""
    view: tuple[int, int] | None = None

    @property
    def position(self) -> NDArray[np.float64]:
        """x as numbers: microseconds or steps."""
        if self.x.dtype.kind == "M":
            return self.x.astype("datetime64[us]").astype(np.int64).astype(np.float64)
        return self.x.astype(np.float64)

    def drawn(self) -> "Drawn":
        """The chart's paths, ticks and grid."""
        return Drawn.of(self)

    def data(self) -> str:
        """The chart's values as JSON, for the script.

        Times are milliseconds: the first, and the distances of the others, one number where all are equal.
        """
        x = self.position / (1000.0 if self.x.dtype.kind == "M" else 1.0)
        gaps = np.diff(x)
        whole = [int(gap) if gap == int(gap) else float(gap) for gap in gaps]
        return json.dumps(
            {
                "t0": float(x[0]) if len(x) else 0,
                "dt": whole[0] if len(set(whole)) == 1 else whole,
                "n": len(x),
                "style": self.style,
                "decimals": self.digits.decimals,
                "exponent": self.digits.exponent,
                "zero": self.from_zero,
                "label": self.x_label,
                "view": self.view or [0, max(len(x) - 1, 1)],
                "lines": [
                    {"name": line.name, "css": line.css, "dots": line.dots, **self._values(line.values)}
                    for line in self.lines
                ],
                "areas": [
                    {
                        "name": area.name,
                        "css": area.css,
                        "lower": self._values(area.lower),
                        "upper": self._values(area.upper),
                    }
                    for area in self.areas
                ],
                "marks": {str(place): what for place, what in list(self.marks.items())[:MOST_MARKS]},
            },
            ensure_ascii=False,
            separators=(",", ":"),
        )

    def _values(self, values: FloatArray) -> dict[str, Any]:
        """Values from the first known one on, without those missing at the end, in digits that say enough."""
        known = np.flatnonzero(np.isfinite(values))
        if not len(known):
            return {"from": 0, "y": []}
        first, last = int(known[0]), int(known[-1]) + 1
        return {"from": first, "y": [_number(value, self.digits) for value in values[first:last].tolist()]}


def _number(value: float, digits: Digits) -> float | int | None:
    if not math.isfinite(value):
        return None
    short = round(value, digits.decimals + 2)
    if digits.exponent or abs(short - value) > 1e-3 * abs(value):  # the digits may be those of larger series
        short = float(f"{value:.7g}")
    return int(short) if short == int(short) and abs(short) < 1e15 else short


@dataclass(frozen=True)
class Tick:
    """A place on an axis (per cent of the width, or pixels from the top), its text and its alignment."""

    place: float
    text: str
    anchor: str = "middle"


@dataclass(frozen=True)
class Drawn:
    """What the template writes: view box coordinates, rounded.

    Attributes:
        lines: class and path of each line.
        areas: class and path of each band.
        x_ticks, y_ticks: ticks.
        since: per cent of the width, or None.
        marks: place in per cent and pixels, and what is there.
    """

    lines: tuple[tuple[str, str], ...]
    areas: tuple[tuple[str, str], ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    since: float | None
    marks: tuple[tuple[float, float, str], ...]

    @classmethod
    def of(cls, chart: Chart) -> "Drawn":
        """Draw a chart."""
        begin, end = chart.view or (0, max(len(chart.x) - 1, 0))
        seen = slice(begin, end + 1)
        x = chart.position[seen]
        low, high = (float(x[0]), float(x[-1])) if len(x) else (0.0, 1.0)
        span = high - low or 1.0
        across = (x - low) / span * WIDTH
        values = [line.values[seen] for line in chart.lines]
        values += [edge[seen] for area in chart.areas for edge in (area.lower, area.upper)]
        bottom, top = value_range(values, from_zero=chart.from_zero)

        def down(numbers: FloatArray) -> FloatArray:
            return HEIGHT * (1 - (np.asarray(numbers, np.float64) - bottom) / (top - bottom))

        since = None
        if chart.since is not None and 0 < chart.since - begin < len(x):
            place = chart.since - begin
            since = round((across[place - 1] + across[place]) / 2 / WIDTH * 100, 2)
        first = chart.lines[0].values[seen] if chart.lines else np.array([])
        marks = tuple(
            (round(across[at - begin] / WIDTH * 100, 2), round(float(down(first[at - begin])), 1), what)
            for at, what in list(chart.marks.items())[:MOST_MARKS]
            if 0 <= at - begin < len(first) and np.isfinite(first[at - begin])
        )
        return cls(
            lines=tuple(
                (line.css, path(across, down(line.values[seen]), dots=line.dots)) for line in chart.lines
            ),
            areas=tuple(
                (area.css, area_path(across, down(area.lower[seen]), down(area.upper[seen])))
                for area in chart.areas
            ),
            x_ticks=tuple(
                Tick(round((place - low) / span * 100, 2), text, anchor_of((place - low) / span))
                for place, text in x_ticks(low, high, chart.style)
            ),
            y_ticks=tuple(
                Tick(round(float(down(np.array(tick))), 1), text) for tick, text in y_ticks(bottom, top)
            ),
            since=since,
            marks=marks,
        )


def value_range(arrays: Sequence[FloatArray], *, from_zero: bool = False) -> tuple[float, float]:
    """The lowest and highest known value with a little room; 0 and 1 where nothing is known."""
    known = [array[np.isfinite(array)] for array in arrays if array is not None]
    lows = [float(array.min()) for array in known if len(array)]
    if not lows:
        return 0.0, 1.0
    low, high = min(lows), max(float(array.max()) for array in known if len(array))
    if from_zero:
        low, high = min(low, 0.0), max(high, 0.0)
    room = 0.06 * (high - low) or abs(high) * 0.1 or 1.0
    return (low if from_zero and low == 0 else low - room), high + room


def path(across: FloatArray, down: FloatArray, *, dots: bool = False) -> str:
    """The path of a line: broken where values are missing, a dot for a value that stands alone."""
    known = np.isfinite(down)
    if dots:
        places = thinned(across, down, MOST_POINTS) if known.sum() > MOST_POINTS else np.flatnonzero(known)
        return "".join(f"M{across[place]:.1f} {down[place]:.1f}h0" for place in places if known[place])
    parts = []
    for begin, end in runs(known):
        places = np.arange(begin, end)
        if len(across) > MOST_POINTS:
            share = max(2, MOST_POINTS * (end - begin) // len(across))
            places = begin + thinned(across[begin:end], down[begin:end], share)
        points = [
            f"{x:.1f} {y:.1f}" for x, y in zip(across[places].tolist(), down[places].tolist(), strict=True)
        ]
        parts.append("M" + "L".join(points) + ("h0" if len(points) == 1 else ""))
    return "".join(parts)


def area_path(across: FloatArray, lower: FloatArray, upper: FloatArray) -> str:
    """The path of a band."""
    known = np.isfinite(lower) & np.isfinite(upper)
    parts = []
    for begin, end in runs(known):
        there = [f"{across[place]:.1f} {upper[place]:.1f}" for place in range(begin, end)]
        back = [f"{across[place]:.1f} {lower[place]:.1f}" for place in range(end - 1, begin - 1, -1)]
        parts.append("M" + "L".join(there + back) + "Z")
    return "".join(parts)


def runs(known: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Begin and end of every stretch of True."""
    if known.all():
        return [(0, len(known))] if len(known) else []
    edges = np.flatnonzero(np.diff(np.concatenate([[False], known, [False]]).astype(np.int8)))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def thinned(across: FloatArray, down: FloatArray, points: int) -> NDArray[np.int64]:
    """Positions of the lowest and highest known value of each of ``points / 2`` equal stretches, in order."""
    if len(down) <= points:
        return np.arange(len(down))
    edges = np.linspace(0, len(down), max(1, points // 2) + 1).astype(np.int64)
    kept = {0, len(down) - 1}
    for begin, end in pairwise(edges.tolist()):
        part = down[begin:end]
        if np.isfinite(part).any():
            kept |= {int(begin + np.nanargmin(part)), int(begin + np.nanargmax(part))}
    return np.array(sorted(kept))


def anchor_of(share: float) -> str:
    """How a tick's text is aligned, so that none leaves the picture."""
    return "start" if share < 0.08 else "end" if share > 0.92 else "middle"


def y_ticks(bottom: float, top: float) -> list[tuple[float, str]]:
    """Round numbers inside the range, with the decimals that tell them apart."""
    step = nice_step((top - bottom) / Y_TICKS)
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    if abs(step * 10**decimals - round(step * 10**decimals)) > 1e-6:  # 2.5 has one more than 2
        decimals += 1
    numbers = np.arange(math.ceil(bottom / step - 1e-9), math.floor(top / step + 1e-9) + 1) * step
    largest = max(abs(bottom), abs(top))
    return [(float(number), axis_number(float(number), decimals, largest)) for number in numbers]


def axis_number(number: float, decimals: int, largest: float) -> str:
    """A tick's text: in millions or billions where it would be long."""
    number = number or 0.0  # no "-0"
    if largest >= 1e12 or decimals > 6:
        return f"{number:.3g}".replace("-", MINUS)
    for size, unit in ((1e9, " bn"), (1e6, " M")):
        if largest >= size:
            return f"{number / size:,.6g}{unit}".replace("-", MINUS)
    return f"{number:,.{decimals}f}".replace("-", MINUS)


def nice_step(step: float) -> float:
    """The next of 1, 2, 2.5, 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(step))
    return next(
        (nice * power for nice in (1, 2, 2.5, 5, 10) if nice * power >= step * (1 - 1e-9)), 10 * power
    )


def x_ticks(low: float, high: float, style: str) -> list[tuple[float, str]]:
    """Ticks of steps at round numbers, of times at round times; each text says what it can be told by."""
    span = high - low
    if span <= 0:
        return [(low, _x_text(low, style))]
    if style == "step":
        step = max(1.0, nice_step(span / X_TICKS))
        step = float(math.ceil(step))
        return [
            (tick, f"{tick:,.0f}") for tick in np.arange(math.ceil(low / step), high / step + 1e-9) * step
        ]
    wanted = span / X_TICKS
    if style in ("year", "month") or wanted > 20 * _DAY:
        months = next((step for step in MONTH_STEPS if step * 30.4 * _DAY >= wanted), MONTH_STEPS[-1])
        first = int(np.datetime64(int(low), "us").astype("datetime64[M]").astype(np.int64))
        first = -(-first // months) * months
        found = []
        for month in range(first, first + months * 3 * X_TICKS, months):
            tick = np.datetime64(month, "M")
            place = float(tick.astype("datetime64[us]").astype(np.int64))
            if low <= place <= high:
                found.append((place, str(tick.astype("datetime64[Y]")) if months >= 12 else str(tick)))
        return found or [(low, _x_text(low, style))]
    chosen = next((step for step in TIME_STEPS if step >= wanted), TIME_STEPS[-1])
    ticks = np.arange(math.ceil(low / chosen) * chosen, high + 1, chosen)
    if chosen >= _DAY:
        return [(float(tick), _x_text(float(tick), "day")[5:]) for tick in ticks]
    return [(float(tick), _clock(float(tick), chosen)) for tick in ticks] or [(low, _x_text(low, style))]


def _x_text(place: float, style: str) -> str:
    return time_text(int(place) if style == "step" else np.datetime64(int(place), "us"), style)


def _clock(place: float, step: float) -> str:
    """The time of day, and at midnight the day."""
    text = str(np.datetime64(int(place), "us"))
    if place % _DAY == 0:
        return text[5:10]
    return text[11:19] if step < 60 * _SECOND else text[11:16]
