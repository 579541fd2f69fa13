"""Numbers and times as text: the data's own digits, no more than a reader can use."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

SIGNIFICANT = 4
MOST_DECIMALS = 9
MOST_DIGITS = 8  # float32 tells no more apart
SAMPLE = 2_000  # values that decimals are looked for in
HUGE, TINY = 1e15, 1e-6
NONE, MINUS = "\u2013", "\u2212"


@dataclass(frozen=True)
class Digits:
    """How many decimals the values of one unit have.

    Args:
        decimals: of forecasts, means and errors.
        exponent: whether values are too large or too small to be written in full.
        own: decimals of the known values themselves, None for ``decimals``.
    """

    decimals: int
    exponent: bool = False
    own: int | None = None

    @classmethod
    def of(cls, values: NDArray[Any] | Iterable[float]) -> "Digits":
        """Look at known values: four significant digits of the typical one, at most one beyond its own."""
        known = np.asarray(values, np.float64).ravel()
        known = known[np.isfinite(known)]
        if len(known) > SAMPLE:
            known = known[:: len(known) // SAMPLE]
        largest = float(np.abs(known).max()) if len(known) else 0.0
        if largest == 0:
            return cls(0)
        if largest >= HUGE or largest < TINY:
            return cls(SIGNIFICANT, exponent=True)
        typical = float(np.median(np.abs(known[known != 0])))
        wanted = SIGNIFICANT - 1 - math.floor(math.log10(typical))
        own = own_decimals(known)
        decimals = min(wanted, own + int((known != known[0]).any()))
        decimals = int(np.clip(decimals, 0, MOST_DECIMALS))
        return cls(decimals, own=min(own, decimals))

    def text(self, value: float, *, more: int = 0) -> str:
        """``1,234.5``; a dash for what is not finite, an exponent for what is out of all proportion.

        Args:
            value: the number.
            more: decimals beyond those of values, for means and errors.
        """
        if not math.isfinite(value):
            return NONE
        if self.exponent or abs(value) >= HUGE:
            return "0" if value == 0 else f"{value:.{SIGNIFICANT - 1}e}"
        decimals = self.decimals + more
        if decimals and abs(value) >= 10.0 ** (MOST_DIGITS - decimals):
            decimals = max(0, MOST_DIGITS - 1 - math.floor(math.log10(abs(value))))
        text = f"{value:,.{decimals}f}"
        if value != 0 and not any(digit in text for digit in "123456789"):
            return f"{value:.2g}"  # not "0.0" for what is not nothing
        return text.replace("-", MINUS)

    def value(self, value: float) -> str:
        """A known value, as it was written."""
        return self.text(value, more=(self.decimals if self.own is None else self.own) - self.decimals)

    def error(self, value: float) -> str:
        """An error: at least three significant digits where the values themselves have fewer decimals."""
        if not math.isfinite(value) or value == 0 or self.exponent:
            return self.text(value)
        most = 2 - math.floor(math.log10(abs(value)))
        return self.text(value, more=int(np.clip(most - self.decimals, 0, 3)))


def own_decimals(known: NDArray[np.float64]) -> int:
    """The decimals that values were written with, up to six; float32 noise is none."""
    for decimals in range(6):
        rounded = np.round(known, decimals)
        if (np.abs(rounded - known) <= 1e-6 * np.maximum(np.abs(known), 10.0**-decimals)).all():
            return decimals
    return 6


def ratio(value: float) -> str:
    """An error without unit: three significant digits."""
    if not math.isfinite(value):
        return NONE
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:#.3g}" if value == 0 or abs(value) >= 1e-3 else f"{value:.1e}"


def percent(share: float, decimals: int = 0) -> str:
    """``84 %`` of a share of 0.84, on one line, with decimals where it would be 0 or 100 and is not."""
    if not math.isfinite(share):
        return NONE
    text = f"{100 * share:.{decimals}f}"
    if decimals == 0 and float(text) in (0.0, 100.0) and share not in (0.0, 1.0):
        text = f"{100 * share:.1f}" if 0.0005 <= share <= 0.9995 else ("< 0.1" if share < 0.5 else "> 99.9")
    return f"{text}\u00a0%".replace("-", MINUS)


def duration(seconds: float | None) -> str:
    """``12.3 s``, ``4 min 05 s``; nothing for None."""
    if seconds is None:
        return ""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def count(number: int, one: str, many: str = "") -> str:
    """``1 series``, ``1,234 steps``: a number with its noun; ``many`` is ``one`` with an s if not given."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


TIME_STYLES = ("year", "month", "day", "minute", "second", "fraction", "step")
_LENGTHS = {"year": 4, "month": 7, "day": 10, "minute": 16, "second": 19, "fraction": 23}


def time_style(times: Iterable[NDArray[Any]]) -> str:
    """How much of a time must be written: the coarsest style that loses nothing; "step" for integers."""
    style = 0
    for array in times:
        if array.dtype.kind != "M":
            return "step"
        part = array if len(array) <= 500 else np.concatenate([array[:250], array[-250:]])
        while style < 5 and (_cut(part, TIME_STYLES[style]) != part.astype("datetime64[us]")).any():
            style += 1
    return TIME_STYLES[style]


def _cut(times: NDArray[Any], style: str) -> NDArray[Any]:
    unit = {"year": "Y", "month": "M", "day": "D", "minute": "m", "second": "s"}[style]
    return times.astype(f"datetime64[{unit}]").astype("datetime64[us]")


def time_text(time: Any, style: str) -> str:
    """``2024-01-31 07:00`` of a ``datetime64``, cut to ``style``; a number for a step."""
    if style == "step":
        return f"{int(time):,}"
    if np.isnat(time):
        return NONE
    text = str(time.astype("datetime64[us]"))[: _LENGTHS[style]]
    return text.replace("T", " ")
