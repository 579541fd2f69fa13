"""Rows so far from all others of their series that their time is rather a slip of the pen."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Int64Array = NDArray[np.int64]

_LEAST_ROWS = 10
_FEW = 0.05  # of a series' rows that may lie apart
_DENSE = 0.5  # steps with a row among the others: where most are absent anyway, one more gap says nothing


@dataclass(frozen=True)
class FarRow:
    """A row that lies apart.

    Attributes:
        row: its index among all rows.
        gap: steps between it and the nearest of the others.
        span: steps that the others take.
        after: whether it comes after them.
    """

    row: int
    gap: int
    span: int
    after: bool


def find_far_row(positions: Int64Array, indptr: Int64Array) -> FarRow | None:
    """Return the first row that lies further from the rest of its series than the whole rest is long.

    Args:
        positions: [rows] steps on the grid of each series, increasing.
        indptr: [S + 1] where the rows of each series are.
    """
    counts = np.diff(indptr)
    lengths = positions[indptr[1:] - 1] - positions[indptr[:-1]] + 1
    for series in np.flatnonzero((counts >= _LEAST_ROWS) & (lengths > 2 * counts)).tolist():
        begin = int(indptr[series])
        own = positions[begin : indptr[series + 1]]
        gaps = np.diff(own)
        # The two widest gaps leave a middle, which is the series where one slip lies on either side of it.
        widest = np.sort(np.argsort(gaps)[-2:]) + 1
        edges = [0, *widest.tolist(), len(own)]
        for first, last in _stretches(edges):
            rest = own[first:last]
            span = int(rest[-1] - rest[0]) + 1
            few = max(1, int(_FEW * len(own)))
            if first > few or len(own) - last > few or len(rest) < _DENSE * span:
                continue
            if last < len(own) and gaps[last - 1] > span:
                return FarRow(begin + last, int(gaps[last - 1]), span, True)
            if first > 0 and gaps[first - 1] > span:
                return FarRow(begin + first - 1, int(gaps[first - 1]), span, False)
    return None


def _stretches(edges: list[int]) -> list[tuple[int, int]]:
    """Every stretch between two edges but the whole, the longest ones first."""
    pairs = [(one, other) for place, one in enumerate(edges) for other in edges[place + 1 :]]
    inner = [pair for pair in pairs if pair != (edges[0], edges[-1])]
    return sorted(inner, key=lambda pair: pair[0] - pair[1])
