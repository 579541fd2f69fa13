"""Where the rows of a streamed file lie on the grids of their series."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqlight.data.store.grid_positions import FEW_CELLS, MOST_CELLS_PER_ROW, check_one_step, step_of
from seqlight.data.store.row_names import RowNames
from seqlight.data.store.streamed_rows import ROWS_AT_A_TIME, StreamedRows
from seqlight.data.time.frequency import DAY, OBSERVED, FixedFrequency, Frequency, parse_frequency

Int64Array = NDArray[np.int64]

SAMPLE_ROWS = 2_000_000
"""Rows of the first series by which the step is found; that of all others is then compared with it."""

_LEAST_MONTH = 28 * DAY
_BYTES_AT_A_TIME = 1 << 24


@dataclass(frozen=True)
class Layout:
    """The grids of a file's series, and where its rows go.

    Attributes:
        step: of all grids.
        indptr: [S + 1] where the grid of each series begins.
        origin: [S] time of position 0 of each.
        anchor: [S], see ``Frequency.anchors``.
        rows: of the file; None where they are in their place.
    """

    step: Frequency
    indptr: Int64Array
    origin: Int64Array
    anchor: Int64Array
    rows: StreamedRows | None = None

    @property
    def has_gaps(self) -> bool:
        """Whether there are more cells than rows."""
        return self.rows is not None and self.rows.count < int(self.indptr[-1])

    def placed(self, cells: NDArray[Any], name: str, scratch: Path) -> NDArray[Any]:
        """Return cells [rows, K] of the file's rows, laid out on the grids; NaN or -1 where there is no row.

        Raises:
            OSError: there is no room.
        """
        if self.rows is None:
            return cells
        laid_out = _new_array(
            scratch / f"{name}_on_grid.npy", (int(self.indptr[-1]), cells.shape[1]), cells.dtype
        )
        if self.has_gaps:
            absent = -1 if cells.dtype.kind == "i" else np.nan
            for begin in range(0, len(laid_out), ROWS_AT_A_TIME):
                laid_out[begin : begin + ROWS_AT_A_TIME] = absent
        for rows, times, series in self.rows.parts():
            laid_out[self._places(times, series)[0]] = cells[rows]
        return laid_out

    def _places(self, times: Int64Array, series: NDArray[np.int32]) -> tuple[Int64Array, NDArray[np.bool_]]:
        positions, on_grid = self.step.positions(times, self.origin[series], self.anchor[series])
        return self.indptr[series] + positions, on_grid

    def is_right(self, names: RowNames, ids: Sequence[str], inferred: bool) -> bool:
        """Return whether each row lies on its series' grid, alone, and no series has a step of its own."""
        assert self.rows is not None  # rows that are in their place are right
        taken = np.zeros(int(self.indptr[-1]), np.bool_)
        for _, times, series in self.rows.parts():
            places, on_grid = self._places(times, series)
            if not on_grid.all():
                return False
            taken[places] = True
        counts = self.rows.counts
        if int(np.count_nonzero(taken)) < self.rows.count:
            return False
        if not inferred or len(ids) == 1:
            return True
        # A step of two or more leaves every other cell empty.
        sparse = (counts > 3) & (np.diff(self.indptr) > 2 * (counts - 1))
        for one in np.flatnonzero(sparse).tolist():
            own = np.flatnonzero(taken[self.indptr[one] : self.indptr[one + 1]])
            if np.gcd.reduce(own) > 1:
                times = self.step.timestamps(own, self.origin[one], self.anchor[one])
                check_one_step(names, self.step, times, np.zeros(1, np.int64), [ids[one]])
        return True


def lay_out(
    rows: StreamedRows, names: RowNames, ids: Sequence[str], frequency: str | None, zone: str | None
) -> Layout | None:
    """Find the step of a file's rows, and where they lie.

    Args:
        rows: of the file.
        names: of its columns, for messages.
        ids: names of the S series.
        frequency: the step, such as "1h"; None infers it.
        zone: that of the times.

    Returns:
        None where a row lies off its grid or repeats, and for steps of calendar months.

    Raises:
        DataError: no series has two rows, or a series has a step of its own.
    """
    counts, origin = rows.counts.copy(), rows.first.copy()
    anchor = np.zeros_like(origin)
    own = FixedFrequency(rows.step) if 0 < rows.step < _LEAST_MONTH else None
    if rows.are_in_place and own is not None and counts.max() > 1:
        given = None if frequency is None else _named(frequency)
        if frequency is None or given == own:
            return Layout(own, _indptr(counts), origin, anchor)
    sample = _sample(rows, counts)
    if sample is None:
        return None
    step = step_of(names, frequency, *sample, zone)
    if type(step).anchors is not Frequency.anchors:
        return None
    ends, on_grid = step.positions(rows.last, origin, anchor)
    cells = int((ends + 1).sum())
    if not on_grid.all() or cells > max(FEW_CELLS, MOST_CELLS_PER_ROW * rows.count):
        return None
    layout = Layout(step, _indptr(ends + 1), origin, anchor, rows)
    return layout if layout.is_right(names, ids, frequency is None) else None


def _new_array(path: Path, shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:
    """Return a new file as an array of zeros, whose room on the disk is taken.

    Raises:
        OSError: there is none. Of a file without it, a write to a page would end the process.
    """
    made: NDArray[Any] = np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape)
    with path.open("r+b") as file:
        size = path.stat().st_size
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, size)
        else:
            begin = size - made.nbytes
            file.seek(begin)
            for first in range(begin, size, _BYTES_AT_A_TIME):
                file.write(bytes(min(_BYTES_AT_A_TIME, size - first)))
    return made


def _named(frequency: str) -> Frequency | None:
    """The frequency of a name; None for one that is learned of the times."""
    return None if frequency == OBSERVED else parse_frequency(frequency)


def _indptr(lengths: Int64Array) -> Int64Array:
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)


def _sample(rows: StreamedRows, counts: Int64Array) -> tuple[Int64Array, Int64Array] | None:
    """The times of the first series, sorted, and where each begins; None where a time repeats."""
    many = np.cumsum(counts)
    last = max(1, int(np.searchsorted(many, SAMPLE_ROWS, side="right")))
    wanted = min(int(many[last - 1]), 2 * SAMPLE_ROWS)
    found_times: list[Int64Array] = []
    found_series: list[Int64Array] = []
    for _, times, series in rows.parts():
        own = series < last
        found_times.append(times[own])
        found_series.append(series[own].astype(np.int64))
        wanted -= len(found_times[-1])
        if wanted <= 0:
            break
    times, series = np.concatenate(found_times), np.concatenate(found_series)
    order = np.lexsort((times, series))
    times, series = times[order], series[order]
    first_rows = np.flatnonzero(np.append(True, series[1:] != series[:-1]))
    repeated = np.diff(times) == 0
    repeated[first_rows[1:] - 1] = False
    return None if repeated.any() else (times, first_rows)
