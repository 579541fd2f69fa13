"""Where the windows of a backtest begin: at one time for all series, or counted from each one's own end."""

import numpy as np
from numpy.typing import NDArray

from seqlight.data.store.origins import Origin, check_origin
from seqlight.data.store.series_store import SeriesStore
from seqlight.data.store.splits import Splitter
from seqlight.data.store.time_grid import TimeGrid

Int64Array = NDArray[np.int64]


def backtest_cutoffs(
    store: SeriesStore,
    ends: Int64Array,
    splitter: Splitter,
    *,
    windows: int,
    step_size: int | None = None,
    origin: Origin = "auto",
) -> Int64Array:
    """Return the first step to forecast of each window and series, ``[windows, S]``, oldest window first.

    Args:
        store: the series.
        ends: ``[S]``, position after each series' last known target.
        splitter: has the horizon.
        windows: number of windows.
        step_size: steps from one to the next; None for the horizon.
        origin: "common" cuts all series at the same times, counted from the end of the series that ends last:
            a row is known at a cutoff if its time is not after the time of the cutoff, whatever its series.
            "own" counts from each series' own end. "auto" is "common" where rows have times, and "own" where
            they have none, for steps of two series are then not the same moments.

    Returns:
        Positions on the series' grids. At 0 or below a series has not begun; at ``ends`` or above it has
        ended before.

    Raises:
        DataError: a number below 1, or an unknown ``origin``.
    """
    check_origin(origin)
    own = splitter.cutoffs(ends, windows=windows, step_size=step_size)
    begun = np.flatnonzero(ends > 0)
    if origin == "own" or not len(begun):
        return own
    grid = store.grid
    if grid is None:
        return own if origin == "auto" else np.repeat(own.max(axis=1, keepdims=True), len(ends), axis=1)
    last_times = grid.frequency.timestamps(ends[begun] - 1, grid.origin[begun], grid.anchor[begun])
    latest = begun[last_times.argmax()]
    times = grid.frequency.timestamps(own[:, latest] - 1, grid.origin[latest], grid.anchor[latest])
    return np.stack([_first_after(grid, int(time)) for time in times])


def _first_after(grid: TimeGrid, time: int) -> Int64Array:
    """Return the first position of each series that lies after a time, ``[S]``; below 0 before its first."""
    frequency, origin, anchor = grid.frequency, grid.origin, grid.anchor
    first = frequency.positions(np.full_like(origin, time), origin, anchor)[0]
    # Grids count months, or days with rows; the row of a month may come after the time, or before it.
    while (late := frequency.timestamps(first - 1, origin, anchor) > time).any():
        first = first - late
    while (early := frequency.timestamps(first, origin, anchor) <= time).any():
        first = first + early
    return first
