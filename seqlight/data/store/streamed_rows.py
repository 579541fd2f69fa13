"""Rows of a file in its order: the time and the series of each, kept as segments of regular steps."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Int32Array = NDArray[np.int32]
Int64Array = NDArray[np.int64]

MOST_SEGMENTS = 2_000_000
"""Of more segments than this, the times and series of all rows are written to files instead."""

ROWS_AT_A_TIME = 1 << 19
_FIRST_STEPS = 1 << 16

Part = tuple[slice, Int64Array, Int32Array]


class StreamedRows:
    """Takes the rows of a file part by part, and gives them again in parts.

    Rows that follow each other in the file, of one series and one step apart, are a segment, of which only
    the beginning is kept: a file that is sorted takes a segment for each series, one of several parts a
    segment for each part and series. Rows in the order of time are segments of one row each; beyond
    ``MOST_SEGMENTS`` the times and series of rows become files.

    Args:
        scratch: a folder for such files.

    Attributes:
        count: of rows.
        step: microseconds from row to row of a segment; 0 as long as there are no two rows of a series.
        segments: their number, while they are kept.
    """

    def __init__(self, scratch: Path) -> None:
        self.count = 0
        self.step = 0
        self.segments = 0
        self._scratch = scratch
        self._rows: list[Int64Array] = []
        self._times: list[Int64Array] = []
        self._series: list[Int32Array] = []
        self._next: tuple[int, int] = (-1, 0)  # series and time of a row that would continue the last segment
        self._spilled = False
        self._counts = np.zeros(0, np.int64)
        self._first = np.zeros(0, np.int64)
        self._last = np.zeros(0, np.int64)

    def begins(self, times: Int64Array, changes: NDArray[np.bool_]) -> Int64Array:
        """Return the rows [k] of a part at which segments begin.

        Args:
            times: [n] int64 microseconds.
            changes: [n - 1] whether the series of a row is another one than that of the row before.
        """
        steps = np.diff(times)
        if self.step <= 0 and len(steps):
            of_series = steps[~changes][:_FIRST_STEPS]
            of_series = of_series[of_series > 0]
            if len(of_series):
                values, counts = np.unique(of_series, return_counts=True)
                self.step = int(values[np.argmax(counts)])
        breaks = changes | (steps != self.step) if self.step > 0 else np.ones(len(steps), np.bool_)
        return np.concatenate([[0], np.flatnonzero(breaks) + 1])

    def add(self, times: Int64Array, begins: Int64Array, series: Int32Array) -> Int32Array:
        """Take a part: its ``times`` [n], and where its segments begin [k] and of which ``series`` [k].

        Returns:
            The series [n] of its rows.

        Raises:
            OSError: there is no room.
        """
        lengths = np.diff(np.append(begins, len(times)))
        starts = times[begins]
        ends = starts + (lengths - 1) * self.step
        self._extend(int(series.max()) + 1)
        np.add.at(self._counts, series, lengths)
        np.minimum.at(self._first, series, starts)
        np.maximum.at(self._last, series, ends)
        every = np.repeat(series, lengths)
        if self._spilled:
            self._write(times, every)
        else:
            skip = int(self.step > 0 and self._next == (int(series[0]), int(starts[0])))
            self._rows.append(begins[skip:] + self.count)
            self._times.append(starts[skip:])
            self._series.append(series[skip:])
            self._next = (int(series[-1]), int(ends[-1]) + self.step)
            self.segments += len(begins) - skip
        self.count += len(times)
        if self.segments > MOST_SEGMENTS and not self._spilled:
            self._spill()
        return every

    @property
    def counts(self) -> Int64Array:
        """[S] rows of each series."""
        return self._counts[: self._known]

    @property
    def first(self) -> Int64Array:
        """[S] the first time of each series."""
        return self._first[: self._known]

    @property
    def last(self) -> Int64Array:
        """[S] the last time of each series."""
        return self._last[: self._known]

    @property
    def _known(self) -> int:
        return int(np.count_nonzero(self._counts))  # series are numbered as they come

    @property
    def are_in_place(self) -> bool:
        """Whether each series is one segment: all rows stand where they are to stand, each a step apart."""
        return not self._spilled and self.segments == self._known and self.step > 0

    def parts(self) -> Iterator[Part]:
        """Yield the rows of the file [n], with their times [n] and series [n]."""
        if self._spilled:
            all_times = np.memmap(self._scratch / "times", np.int64, "r")
            all_series = np.memmap(self._scratch / "series", np.int32, "r")
            for begin in range(0, self.count, ROWS_AT_A_TIME):
                rows = slice(begin, min(begin + ROWS_AT_A_TIME, self.count))
                yield rows, np.asarray(all_times[rows]), np.asarray(all_series[rows])
            return
        starts, of_starts = np.concatenate(self._rows), np.concatenate(self._times)
        series = np.concatenate(self._series)
        for begin in range(0, self.count, ROWS_AT_A_TIME):
            end = min(begin + ROWS_AT_A_TIME, self.count)
            first = int(np.searchsorted(starts, begin, side="right")) - 1
            own = slice(first, int(np.searchsorted(starts, end, side="left")))
            lengths = np.diff(np.append(np.maximum(starts[own], begin), end))
            within = np.arange(begin, end) - np.repeat(starts[own], lengths)
            times = np.repeat(of_starts[own], lengths) + within * self.step
            yield slice(begin, end), times, np.repeat(series[own], lengths)

    def _extend(self, most: int) -> None:
        if most <= len(self._counts):
            return
        more = max(most, 2 * len(self._counts)) - len(self._counts)
        limits = np.iinfo(np.int64)
        self._counts = np.concatenate([self._counts, np.zeros(more, np.int64)])
        self._first = np.concatenate([self._first, np.full(more, limits.max)])
        self._last = np.concatenate([self._last, np.full(more, limits.min)])

    def _spill(self) -> None:
        for _, times, series in self.parts():
            self._write(times, series)
        self._spilled = True
        self._rows, self._times, self._series = [], [], []

    def _write(self, times: Int64Array, series: Int32Array) -> None:
        for name, array in (("times", times), ("series", series)):
            with (self._scratch / name).open("ab") as file:
                file.write(np.ascontiguousarray(array).data.cast("B"))
