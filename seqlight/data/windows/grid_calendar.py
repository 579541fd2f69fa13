"""Calendar features of windows, computed batch by batch from the time grid."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seqlight.data.store.time_grid import TimeGrid
from seqlight.data.time.calendar_features import FEATURE_WIDTH, WITHIN_A_DAY, calendar_features
from seqlight.data.time.frequency import DAY


class GridCalendar:
    """Calendar features at any positions of the series of a grid.

    Features of whole days are looked up in a table of the days met so far, which is small whatever the size
    of the data.

    Args:
        grid: the series' time grid.
        names: see :func:`seqlight.data.time.calendar_features.calendar_features`.
    """

    def __init__(self, grid: TimeGrid, names: Sequence[str]) -> None:
        self._grid = grid
        self._names = list(names)
        self._of_days = [name for name in names if name not in WITHIN_A_DAY]
        self._first_day = 0
        self._table = np.empty((0, FEATURE_WIDTH * len(self._of_days)), np.float32)

    def __call__(self, series: NDArray[np.int64], begin: NDArray[np.int64], length: int) -> Tensor:
        """Features [B, length, 2 * names] float32 of positions ``begin[b]`` on of ``series[b]``."""
        grid = self._grid
        positions = begin[:, None] + np.arange(length)
        times = grid.frequency.timestamps(positions, grid.origin[series, None], grid.anchor[series, None])
        days = times // DAY
        features = np.empty((*times.shape, FEATURE_WIDTH * len(self._names)), np.float32)
        rows = self._days(int(days.min()), int(days.max()))[days - self._first_day] if self._of_days else None
        for column, name in enumerate(self._names):
            own = slice(FEATURE_WIDTH * column, FEATURE_WIDTH * (column + 1))
            if rows is None or name in WITHIN_A_DAY:
                features[..., own] = calendar_features((times - days * DAY).ravel(), [name]).reshape(
                    *times.shape, FEATURE_WIDTH
                )
            else:
                of_day = FEATURE_WIDTH * self._of_days.index(name)
                features[..., own] = rows[..., of_day : of_day + FEATURE_WIDTH]
        return torch.from_numpy(features)

    def _days(self, first: int, last: int) -> NDArray[np.float32]:
        """The table, grown to hold the days ``first`` to ``last`` since 1970."""
        held = len(self._table)
        if not held or first < self._first_day or last >= self._first_day + held:
            if held:
                first, last = min(first, self._first_day), max(last, self._first_day + held - 1)
            self._table = calendar_features(np.arange(first, last + 1, dtype=np.int64) * DAY, self._of_days)
            self._first_day = first
        return self._table
