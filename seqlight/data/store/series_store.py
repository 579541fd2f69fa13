"""The series of a data set in one contiguous array, each on its own regular time grid."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import polars as pl
from numpy.typing import NDArray

from seqlight.data.errors import DataError
from seqlight.data.store.covariates import Covariates
from seqlight.data.store.prefix_sums import PrefixStatistics
from seqlight.data.store.time_grid import TimeGrid
from seqlight.data.time.step_names import StepNames

Int64Array = NDArray[np.int64]


@dataclass(frozen=True)
class SeriesStore:
    """S series of C channels, one after the other.

    Attributes:
        values: [rows, C] float32, contiguous; missing cells are NaN.
        indptr: [S + 1] int64; series s is ``values[indptr[s]:indptr[s + 1]]``.
        ids: S names.
        grid: the time grid; None for series without times.
        covariates: columns beside the targets; None for none.
        steps: how positions are written where there are no times; None as numbers from 0.
    """

    values: NDArray[np.float32]
    indptr: Int64Array
    ids: list[str]
    grid: TimeGrid | None = None
    covariates: Covariates | None = None
    steps: StepNames | None = None

    def __len__(self) -> int:
        """Number of series."""
        return len(self.ids)

    @property
    def lengths(self) -> Int64Array:
        """[S] rows of each series' grid."""
        return np.diff(self.indptr)

    @cached_property
    def ends(self) -> Int64Array:
        """[S] position after each series' last row with a known value; 0 for a series without one.

        Rows from there on, whose targets are all missing, are the future: a forecast begins there.
        """
        ends = self.lengths
        filled = np.flatnonzero(ends)
        empty_at_the_end = np.isnan(self.values[self.indptr[filled + 1] - 1]).all(axis=1)
        for series in filled[empty_at_the_end].tolist():
            known = np.flatnonzero(~np.isnan(self.series(series)).all(axis=1))
            ends[series] = known[-1] + 1 if len(known) else 0
        return ends

    @cached_property
    def statistics(self) -> PrefixStatistics:
        """What is known of each series before any cutoff; made when first asked for."""
        return PrefixStatistics(self.values, self.indptr)

    def series(self, series_index: int) -> NDArray[np.float32]:
        """[length, C] values of one series (a view)."""
        return self.values[self.indptr[series_index] : self.indptr[series_index + 1]]

    def timestamps(self, series_index: int, start: int, count: int) -> pl.Series:
        """Times of ``count`` positions from ``start``; the positions themselves for series without times."""
        if self.grid is None:
            return pl.Series("time", np.arange(start, start + count, dtype=np.int64))
        return self.grid.timestamps(series_index, start, count)

    def timestamps_at(self, series_index: Int64Array, positions: Int64Array) -> pl.Series:
        """Times [N] of ``positions`` [N] of the series ``series_index`` [N]; positions without times."""
        if self.grid is None:
            return pl.Series("time", positions)
        return self.grid.timestamps_at(series_index, positions)

    def time_text(self, series_index: int, position: int) -> str:
        """Return one time as the data write times; the position itself for series without times."""
        return str(self.format(self.timestamps(series_index, position, 1))[0])

    def format(self, times: pl.Series) -> pl.Series:
        """Return times as text in the form in which they came; without times, positions as steps."""
        return (self.steps or StepNames()).format(times) if self.grid is None else self.grid.format(times)

    def numbered(self, times: pl.Series) -> pl.Series:
        """Return times as they are; without times, the numbers in the names of steps, 2 for ``V2``."""
        return times if self.grid is not None or self.steps is None else times + self.steps.first

    @classmethod
    def from_arrays(
        cls, arrays: Sequence[NDArray[np.float32]], ids: Sequence[str] | None = None
    ) -> "SeriesStore":
        """A store of series without times, from one [length] or [length, C] array each."""
        if not arrays:
            raise DataError("arrays: expected at least one series, got none")
        columns = [np.asarray(array, np.float32).reshape(len(array), -1) for array in arrays]
        if len({column.shape[1] for column in columns}) != 1:
            raise DataError(f"arrays: expected one number of channels, got {[c.shape[1] for c in columns]}")
        indptr = np.concatenate([[0], np.cumsum([len(column) for column in columns])]).astype(np.int64)
        names = [str(i) for i in range(len(columns))] if ids is None else [str(name) for name in ids]
        return cls(np.concatenate(columns), indptr, names)

    def select(self, keep: NDArray[np.bool_]) -> "SeriesStore":
        """A store of the series for which ``keep`` [S] is true."""
        rows = np.repeat(keep, self.lengths)
        grid = self.grid
        if grid is not None:
            grid = replace(grid, origin=grid.origin[keep], anchor=grid.anchor[keep])
        indptr = np.concatenate([[0], np.cumsum(self.lengths[keep])]).astype(np.int64)
        ids = [name for name, kept in zip(self.ids, keep, strict=True) if kept]
        covariates = None if self.covariates is None else self.covariates.select(keep, rows)
        return SeriesStore(self.values[rows], indptr, ids, grid, covariates, self.steps)
