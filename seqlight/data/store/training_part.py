"""The training part of a store that is too large to be copied, for whatever is fitted on it."""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seqlight.data.store.series_store import SeriesStore
from seqlight.data.store.splits import training_rows

LEAST_ROWS = 1_000_000
"""Training parts of fewer rows are copied, which takes no time."""

_ROWS_AT_A_TIME = 1 << 19


class StoredTrainingPart:
    """The first rows of each series, read part by part.

    Args:
        store: the series.
        train_stop: [S] how many rows of each.
    """

    def __init__(self, store: SeriesStore, train_stop: NDArray[np.int64]) -> None:
        self._store = store
        self._stop = train_stop

    def __len__(self) -> int:
        """Number of rows."""
        return int(self._stop.sum())

    def parts(self) -> Iterator[Tensor]:
        """Yield the rows [n, C], NaN where missing."""
        indptr, stop, values = self._store.indptr, self._stop, self._store.values
        first = 0
        while first < len(stop):
            after = int(np.searchsorted(indptr, indptr[first] + _ROWS_AT_A_TIME, side="right")) - 1
            if after <= first:  # a long series
                begin, end = int(indptr[first]), int(indptr[first] + stop[first])
                for row in range(begin, end, _ROWS_AT_A_TIME):
                    yield torch.from_numpy(np.array(values[row : min(row + _ROWS_AT_A_TIME, end)]))
                after = first + 1
            else:
                own = values[indptr[first] : indptr[after]]
                rows = training_rows(indptr[first : after + 1] - indptr[first], stop[first:after])
                yield torch.from_numpy(own[rows])
            first = after

    def sample(self, count: int) -> Tensor:
        """Return every k-th row [n, C] of all, at least ``count`` of them and less than twice as many."""
        rows = np.arange(0, len(self), max(1, len(self) // count))
        ends = np.cumsum(self._stop)
        series = np.searchsorted(ends, rows, side="right")
        rows += (self._store.indptr[:-1] - (ends - self._stop))[series]
        return torch.from_numpy(self._store.values[rows])

    def moments(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return number, mean and deviation of the known cells, each float64 [C]."""
        count, mean, deviation = map(torch.from_numpy, self._store.statistics.moments(self._stop))
        return count, mean, deviation
