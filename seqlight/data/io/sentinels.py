"""Numbers that may stand for a missing value: -9999 among values around 3."""

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# Codes in use: all nines (or eights, sevens), limits of integers, fill values of netCDF and of rasters.
_CODE = re.compile(r"-?(9{2,}(\.9+)?|8{3,}|7{3,}|9{2,}\.\d?9+)")
_LIMITS = {32767.0, 32768.0, 65535.0, 2147483647.0, 2147483648.0, 4294967295.0}
_HUGE = 1e15
_ALONE = {-1.0, -9.0, -99.0, -999.0, -9999.0}  # where all other values are 0 or more
_FAR_CODE = 2.0  # ranges of the other values between them and a code
_FAR = 20.0  # and a number that is no code but occurs several times
_LEAST_ROWS = 10
_LEAST_VALUES = 3  # of a measured quantity; fewer are classes, among which a 0 or -1 is one of them
_MOST_SENTINELS = 3
_WORDS = {1: "once", 2: "twice", 3: "three times", 4: "four times", 5: "five times", 6: "six times"}


@dataclass(frozen=True)
class Sentinel:
    """A number far from all others, or unlike them: how often it occurs, and where the others lie."""

    value: float
    count: int
    low: float
    high: float
    apart: bool = False

    def __str__(self) -> str:
        """Return the finding in words."""
        times = _WORDS.get(self.count, f"{self.count:,} times")
        where = "alone among the rest" if self.apart else "far outside the rest"
        return f"{self.text} {times}, {where} ({self.low:g} to {self.high:g})"

    @property
    def text(self) -> str:
        """The number, in as few digits as tell it from its neighbours."""
        value = np.float32(self.value)
        if abs(self.value) < 1e15:
            return np.format_float_positional(value, trim="-")
        return np.format_float_scientific(value, trim="-")


def find_sentinels(known: NDArray[np.float32]) -> list[Sentinel]:
    """Return the lowest and highest numbers that lie far outside the others, and are a code or recur.

    Args:
        known: finite values.
    """
    found: list[Sentinel] = []
    while len(known) >= _LEAST_ROWS and len(found) < _MOST_SENTINELS:
        low, high = known.min(), known.max()
        candidates = [_candidate(known, value) for value in (low, high)] if low < high else []
        best = max((one for one in candidates if one is not None), key=_distance, default=None)
        if best is None:
            break
        found.append(best)
        known = known[known != np.float32(best.value)]
    if not found:
        found = _alone(known)
        if found:
            known = known[known != np.float32(found[0].value)]
    # What was found first was compared with a rest that held the others.
    low, high = float(known.min()), float(known.max())
    return [Sentinel(one.value, one.count, low, high, one.apart) for one in found]


def _alone(known: NDArray[np.float32]) -> list[Sentinel]:
    """A code such as -1 that is the only negative number, or a 0 far below all others."""
    if len(known) < _LEAST_ROWS:
        return []
    low = np.float32(known.min())
    if low != 0 and float(low) not in _ALONE:
        return []
    others = known[known != low]
    if not len(others) or len(known) - len(others) > len(known) // 2:
        return []
    least, most = float(others.min()), float(others.max())
    if low == 0:
        apart = least > _FAR_CODE * max(most - least, float(np.spacing(np.float32(most))))
    else:
        apart = least >= 0 and not _counts_down(others, float(low))
    if not apart or len(np.unique(others)) < _LEAST_VALUES:
        return []
    return [Sentinel(float(low), len(known) - len(others), least, most, apart=True)]


def _counts_down(others: NDArray[np.float32], value: float) -> bool:
    """Whether fractions reach down to a code closely, as those of a quantity that may be negative do."""
    least, most = float(others.min()), float(others.max())
    return bool((others % 1 != 0).any()) and least - value <= most - least


def _candidate(known: NDArray[np.float32], value: np.float32) -> Sentinel | None:
    count = int((known == value).sum())
    code = _is_code(float(value))
    if (count == 1 and not code) or count > len(known) // 2:
        return None
    # Another code on the same side must not hide this one: compare with the bulk of the rest.
    rest = known[known != value]
    low, high = (float(edge) for edge in np.quantile(rest, (0.02, 0.98)))
    gap = low - float(value) if value < low else float(value) - high
    nearest = float(np.abs(rest - value).min())
    far = _FAR_CODE if code else _FAR
    resolution = float(np.finfo(np.float32).eps) * max(abs(low), abs(high), 1e-30)
    spread = max(high - low, resolution)
    if gap <= far * spread or nearest <= spread or not (code or low < high):
        return None
    return Sentinel(float(value), count, low, high)


def _distance(one: Sentinel) -> float:
    return max(one.low - one.value, one.value - one.high)


def _is_code(value: float) -> bool:
    text = f"{value:.7g}"
    return bool(_CODE.fullmatch(text)) or abs(value) in _LIMITS or abs(value) >= _HUGE
