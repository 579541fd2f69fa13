"""Statistics of the beginning of each series, at any cutoff, by prefix sums."""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

Int64Array = NDArray[np.int64]
Float32Array = NDArray[np.float32]
Float64Array = NDArray[np.float64]

_Terms = Callable[[Int64Array, Int64Array], Float64Array]

BLOCK = 256
_ROWS_AT_A_TIME = 1 << 18


class PrefixSums:
    """Sums over the rows of each series before a cutoff, for any series and cutoff in the same short time.

    What is summed up to each row would take several times the data. So the sums are kept at the beginning of
    every block of 256 rows, and the few rows behind the last whole block are added up when asked for.

    Args:
        terms: returns the terms [n, K] float64 of rows [n], which belong to series [n].
        indptr: [S + 1] where each series begins.
        width: K.
        sums: :attr:`sums` of the same rows, made before; None makes them.
    """

    def __init__(
        self, terms: _Terms, indptr: Int64Array, width: int, sums: Float64Array | None = None
    ) -> None:
        self._terms = terms
        self._indptr = indptr
        self._lengths = np.diff(indptr)
        blocks = self._lengths // BLOCK  # whole ones; what is behind them is never needed as a sum
        self._first_block = np.concatenate([[0], np.cumsum(blocks + 1)])
        if sums is not None:
            self.sums = sums
            return
        self.sums = np.zeros((int(self._first_block[-1]), width))
        series = np.repeat(np.arange(len(blocks)), blocks)
        begins = np.concatenate([[0], np.cumsum(blocks)])
        number = np.arange(len(series)) - begins[series]
        place = self._first_block[series] + number + 1
        rows = indptr[series] + number * BLOCK
        at_once = _ROWS_AT_A_TIME // BLOCK
        for first in range(0, len(rows), at_once):
            some = slice(first, first + at_once)
            every = rows[some, None] + np.arange(BLOCK)
            found = terms(every.ravel(), np.repeat(series[some], BLOCK))
            self.sums[place[some]] = found.reshape(len(every), BLOCK, width).sum(1)
        # Each series by itself: beside the sums of a large one, those of a small one would lose their digits.
        for one in np.flatnonzero(blocks > 1).tolist():
            own = self.sums[self._first_block[one] : self._first_block[one + 1]]
            np.cumsum(own, axis=0, out=own)

    def before(self, series: Int64Array, cutoff: Int64Array) -> Float64Array:
        """Return the sums [N, K] over positions 0 to ``cutoff - 1`` [N] of each of ``series`` [N].

        A cutoff beyond a series' end counts as its end.
        """
        cutoff = np.minimum(np.maximum(cutoff, 0), self._lengths[series])
        block = cutoff // BLOCK
        sums: Float64Array = self.sums[self._first_block[series] + block]
        begin = self._indptr[series] + block * BLOCK
        rest = cutoff - block * BLOCK
        at_once = max(1, _ROWS_AT_A_TIME // BLOCK)
        for start in range(0, len(series), at_once):
            some = slice(start, start + at_once)
            counts = rest[some]
            total = int(counts.sum())
            if not total:
                continue
            owner = np.repeat(np.arange(len(counts)), counts)
            inside = np.arange(total) - np.repeat(np.cumsum(counts) - counts, counts)
            terms = self._terms(begin[some][owner] + inside, series[some][owner])
            for column in range(terms.shape[1]):
                sums[some, column] += np.bincount(owner, terms[:, column], minlength=len(counts))
        return sums


class PrefixStatistics:
    """What is known of each series before a cutoff: counts, means, deviations and seasonal differences.

    Built once over a store's values, without a copy of them; every question is answered from the rows before
    the cutoff alone, so the statistics of one fold of a backtest cost as little as those of another and see
    nothing of what comes later.

    Args:
        values: [rows, C] float32, missing cells NaN.
        indptr: [S + 1], series s is ``values[indptr[s]:indptr[s + 1]]``.
        saved: what :meth:`sums` gave of the same values before, by lag.
    """

    def __init__(
        self,
        values: Float32Array,
        indptr: Int64Array,
        saved: Mapping[int, Float64Array] | None = None,
    ) -> None:
        self._values = values
        self._indptr = np.asarray(indptr, np.int64)
        self._channels = values.shape[1]
        self._ends = self._indptr[1:]
        # Sums of squares lose digits where a mean is large beside its deviation: that of a series' first
        # subtracted from all of a series.
        self._shift = _first_known(values, self._indptr)
        self._saved = dict(saved or {})
        self._moments: PrefixSums | None = None
        self._differences: dict[int, PrefixSums] = {}

    def __len__(self) -> int:
        """Number of series."""
        return len(self._ends)

    def count(self, cutoff: Int64Array, series: Int64Array | None = None) -> Int64Array:
        """Return the number [N, C] of known cells before ``cutoff`` [N] of ``series`` [N] (default: all)."""
        series, cutoff = self._asked(series, cutoff)
        return np.rint(self._sums(cutoff, series)[:, : self._channels]).astype(np.int64)

    def mean(self, cutoff: Int64Array, series: Int64Array | None = None) -> Float64Array:
        """Return the means [N, C] of the known cells before the cutoffs; NaN where there is none."""
        series, cutoff = self._asked(series, cutoff)
        return self._mean_and_std(self._sums(cutoff, series), series)[0]

    def std(self, cutoff: Int64Array, series: Int64Array | None = None) -> Float64Array:
        """Return the standard deviations [N, C] (over n, not n - 1) of the known cells before the cutoffs."""
        series, cutoff = self._asked(series, cutoff)
        return self._mean_and_std(self._sums(cutoff, series), series)[1]

    def pooled(self, cutoff: Int64Array) -> tuple[Float64Array, Float64Array]:
        """Return mean [C] and standard deviation [C] of the cells of all series before ``cutoff`` [S]."""
        series, cutoff = self._asked(None, cutoff)
        sums = self._sums(cutoff, series)
        count = sums[:, : self._channels]
        mean, std = (np.nan_to_num(of_series) for of_series in self._mean_and_std(sums, series))
        total = count.sum(0)
        together = _ratio((count * mean).sum(0), total)
        variance = _ratio((count * (std**2 + (mean - together) ** 2)).sum(0), total)
        return together, np.sqrt(variance)

    def seasonal_difference(
        self, cutoff: Int64Array, season_length: int, series: Int64Array | None = None
    ) -> Float64Array:
        """Return the mean [N, C] of ``|y[t] - y[t - m]|`` over t before the cutoffs, m = ``season_length``.

        Pairs with a missing cell are left out; NaN where there is no pair.
        """
        series, cutoff = self._asked(series, cutoff)
        found = self._differences_of(season_length).before(series, cutoff)
        return _ratio(found[:, self._channels :], found[:, : self._channels])

    def mase_scale(
        self, cutoff: Int64Array, season_length: int, series: Int64Array | None = None
    ) -> Float32Array:
        """Return the denominators [N, C] of MASE for forecasts from the cutoffs [N] on.

        That is :meth:`seasonal_difference`; with m = 1 for a series without a pair of cells a season apart;
        NaN where it is still undefined, and where it is 0 (a constant series), see
        :func:`seqlight.data.seasonal_scale`.
        """
        scale = self.seasonal_difference(cutoff, season_length, series)
        if season_length > 1 and np.isnan(scale).any():
            scale = np.where(np.isnan(scale), self.seasonal_difference(cutoff, 1, series), scale)
        return np.where(scale > 0, scale, np.nan).astype(np.float32)

    def sums(self, lag: int) -> Float64Array:
        """Return the sums to be saved: of the cells (lag 0), or of differences ``lag`` steps apart."""
        if lag:
            return self._differences_of(lag).sums
        self._sums(np.zeros(1, np.int64), np.zeros(1, np.int64))
        assert self._moments is not None  # made by the question
        return self._moments.sums

    def _asked(self, series: Int64Array | None, cutoff: Int64Array) -> tuple[Int64Array, Int64Array]:
        series = np.arange(len(self)) if series is None else np.asarray(series, np.int64)
        return series, np.broadcast_to(np.asarray(cutoff, np.int64), series.shape)

    def _sums(self, cutoff: Int64Array, series: Int64Array) -> Float64Array:
        if self._moments is None:
            self._moments = PrefixSums(self._cells, self._indptr, 3 * self._channels, self._saved.get(0))
        return self._moments.before(series, cutoff)

    def _mean_and_std(self, sums: Float64Array, series: Int64Array) -> tuple[Float64Array, Float64Array]:
        count, total, squares = np.split(sums, 3, axis=1)
        mean = _ratio(total, count)
        variance = np.maximum(_ratio(squares, count) - mean**2, 0.0)
        return mean + self._shift[series], np.sqrt(variance)

    def _cells(self, rows: Int64Array, series: Int64Array) -> Float64Array:
        cells = self._values[rows] - self._shift[series]
        known = ~np.isnan(cells)
        cells[~known] = 0.0
        return np.concatenate([known, cells, cells**2], axis=1)

    def _differences_of(self, lag: int) -> PrefixSums:
        if lag not in self._differences:

            def terms(rows: Int64Array, series: Int64Array) -> Float64Array:
                # Each row with the one a season before, if the series has it.
                paired = rows - lag >= self._indptr[series]
                before = np.maximum(rows - lag, 0)
                difference = np.abs(self._values[rows] - self._values[before]).astype(np.float64)
                known = ~np.isnan(difference) & paired[:, None]
                difference[~known] = 0.0
                return np.concatenate([known, difference], axis=1)

            self._differences[lag] = PrefixSums(terms, self._indptr, 2 * self._channels, self._saved.get(lag))
        return self._differences[lag]


def _first_known(values: Float32Array, indptr: Int64Array) -> Float64Array:
    """[S, C] the first known cell of each series and channel; 0 where there is none."""
    first = np.zeros((len(indptr) - 1, values.shape[1]))
    filled = np.flatnonzero(np.diff(indptr))
    first[filled] = values[indptr[filled]]
    for series, channel in np.argwhere(np.isnan(first)).tolist():
        own = values[indptr[series] : indptr[series + 1], channel]
        known = ~np.isnan(own)
        first[series, channel] = own[int(np.argmax(known))] if known.any() else 0.0
    return first


def _ratio(total: Float64Array, count: Float64Array) -> Float64Array:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(count > 0, total / count, np.nan))
