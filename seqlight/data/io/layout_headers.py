"""What the names of a file's columns say where each row is a series: times, or numbered steps."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from seqlight.data.errors import DataError
from seqlight.data.time.step_names import StepNames
from seqlight.data.time.time_format import parse_times

_LEAST = 3  # columns that make a header of times or steps


@dataclass(frozen=True)
class StepColumns:
    """The columns that are steps of every series.

    Attributes:
        names: of the columns, in the order of the file.
        steps: how they are numbered; None where they are times.
        positions: [T] int64 step of each column, from 0; None where they are times.
    """

    names: list[str]
    steps: StepNames | None = None
    positions: NDArray[np.int64] | None = None


def step_columns(names: Sequence[str], time_format: str | None = None) -> StepColumns | None:
    """Return the columns whose names are times, or else numbers in a row, at the end or at the beginning.

    Args:
        names: of the columns that may be steps, in the order of the file.
        time_format: strftime pattern of the times; None finds it.

    Returns:
        None where neither the last columns nor the first ones have such names.
    """
    for backward in (True, False):
        ordered = list(reversed(names)) if backward else list(names)
        run = _times(ordered, time_format) or _numbered(ordered)
        if len(run) < _LEAST:
            continue
        run = list(reversed(run)) if backward else run
        if _times(run, time_format) == run:
            return StepColumns(run)
        found = StepNames.of(run)
        if found is not None:
            return StepColumns(run, *found)
    return None


def _times(names: list[str], time_format: str | None) -> list[str]:
    """The first names, as far as they are times."""
    text = pl.Series(names, dtype=pl.String).str.strip_chars()
    count = len(names)
    while count >= 1:
        try:
            times, _, bad = parse_times(text.head(count), time_format)
        except DataError as error:
            if "both" in str(error):  # two readings of the times: times they are
                return names[:count]
            count //= 2
            continue
        if bad is None:
            return names[:count] if len(np.unique(times)) == count else []
        count = bad
    return []


def _numbered(names: list[str]) -> list[str]:
    """The first names, as far as they are numbered alike."""
    first = StepNames.of(names[:1])
    if first is None:
        return []
    run: list[str] = []
    seen: set[int] = set()
    for name in names:
        found = StepNames.of([name])
        if (
            found is None
            or (found[0].prefix, found[0].suffix) != (first[0].prefix, first[0].suffix)
            or found[0].first in seen
        ):
            break
        seen.add(found[0].first)
        run.append(name)
    return run
