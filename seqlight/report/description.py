"""What the data are, and which versions made a report."""

import platform
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version

import numpy as np

from seqlight.report.inputs import FloatArray, Series
from seqlight.report.numbers import Digits, count, percent, time_text

PACKAGES = ("seqlight", "torch", "lightning", "numpy", "polars")


def describe(
    series: Sequence[Series], digits: Digits, *, step: str, season_length: int, style: str
) -> tuple[tuple[str, str], ...]:
    """Return name and value of what the data are.

    Args:
        series: all of them.
        digits: of the first unit.
        step: what one step is.
        season_length: steps of a season.
        style: how times are written.
    """
    units = list(dict.fromkeys(one.unit for one in series))
    filled = [one.filled if one.filled is not None else np.zeros(1, bool) for one in series]
    lengths = np.array([len(one.values) for one in series])
    missing = sum(int(np.isnan(one.values).sum()) for one in series) + sum(int(one.sum()) for one in filled)
    timed = [one for one in series if len(one.time)]
    first = min((one.time[0] for one in timed), default=None)
    last = max((one.time[-1] for one in timed), default=None)
    steps = f"{lengths.min():,}"
    if lengths.min() != lengths.max():
        steps += f" to {lengths.max():,}, {int(np.median(lengths)):,} in the middle"
    found = [
        ("series", f"{len(series):,}"),
        ("columns", ", ".join(units[:20]) + (" …" if len(units) > 20 else "")),
        ("steps of a series", steps),
    ]
    if first is not None and last is not None:
        found.append(("from", time_text(first, style)))
        found.append(("to", time_text(last, style)))
    if step != "step":
        found.append(("one step", step))
    if season_length > 1:
        found.append(("season", count(season_length, "step")))
    cells = int(lengths.sum())
    found.append(("missing", f"{missing:,} of {cells:,} values ({percent(missing / max(cells, 1))})"))
    values = [known_values(one) for one in series if one.unit == units[0]]
    known: FloatArray = np.concatenate(values)
    known = known[np.isfinite(known)]
    if len(units) == 1 and len(known):
        low, middle, high = (digits.value(float(q)) for q in np.quantile(known, [0, 0.5, 1]))
        found.append(("values", f"{low} to {high}, {middle} in the middle"))
    return tuple(found)


def known_values(series: Series) -> FloatArray:
    """The values that were not filled in, with NaN where they are missing."""
    return series.values if series.filled is None else series.values[~series.filled]


def versions() -> tuple[tuple[str, str], ...]:
    """Names and versions of what a report depends on."""
    found = [("Python", platform.python_version())]
    for name in PACKAGES:
        try:
            found.append((name, version(name)))
        except PackageNotFoundError:
            continue
    return tuple(found)
