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
        widest = int(np.argmax(gaps))
        left, right = widest + 1, len(own) - widest - 1
        if min(left, right) > max(1, int(_FEW * len(own))):
            continue
        after = right < left
        rest = own[:left] if after else own[left:]
        span = int(rest[-1] - rest[0]) + 1
        if len(rest) >= _DENSE * span and gaps[widest] > span:
            return FarRow(begin + (left if after else left - 1), int(gaps[widest]), span, after)
    return None
