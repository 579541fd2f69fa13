"""Statistics of the beginning of each series, at any cutoff, by prefix sums."""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

Int64Array = NDArray[np.int64]
Float32Array = NDArray[np.float32]
Float64Array = NDArray[np.float64]

_Sums = Callable[[Int64Array, Int64Array, Int64Array, Int64Array], Float64Array]

BLOCK = 256
_WINDOWS_AT_A_TIME = 1024


class PrefixSums:
    """Sums over the rows of each series before a cutoff, for any series and cutoff in the same short time.

    What is summed up to each row would take several times the data. So the sums are kept at the beginning of
    every block of 256 rows, and the few rows behind the last whole block are added up when asked for.

    Args:
        sums_of: returns the sums [n, K] float64 over the rows ``first`` [n] to ``stop - 1`` [n] of a window;
            its arguments are the first rows [n] of windows of 256 rows, ``first`` and ``stop``, counted in
            the window, and the series [n].
        indptr: [S + 1] where each series begins.
        width: K.
        sums: :attr:`sums` of the same rows, made before; None makes them.
    """

    def __init__(
        self, sums_of: _Sums, indptr: Int64Array, width: int, sums: Float64Array | None = None
    ) -> None:
        self._sums_of = sums_of
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
        self.sums[place] = self._in_parts(
            indptr[series] + number * BLOCK, np.full_like(series, BLOCK), series
        )
        self._add_up(blocks)

    def before(self, series: Int64Array, cutoff: Int64Array) -> Float64Array:
        """Return the sums [N, K] over positions 0 to ``cutoff - 1`` [N] of each of ``series`` [N].

        A cutoff beyond a series' end counts as its end.
        """
        cutoff = np.minimum(np.maximum(cutoff, 0), self._lengths[series])
        block = cutoff // BLOCK
        sums: Float64Array = self.sums[self._first_block[series] + block]
        rest = cutoff - block * BLOCK
        some = np.flatnonzero(rest)
        begin = self._indptr[series] + block * BLOCK
        sums[some] += self._in_parts(begin[some], rest[some], series[some])
        return sums

    def _in_parts(self, begin: Int64Array, count: Int64Array, series: Int64Array) -> Float64Array:
        """Sums [n, K] over ``count`` rows from ``begin``; the windows of a part fit into a fast cache."""
        found = np.empty((len(begin), self.sums.shape[1]))
        for first in range(0, len(begin), _WINDOWS_AT_A_TIME):
            part = slice(first, first + _WINDOWS_AT_A_TIME)
            found[part] = self._sums_of(begin[part], np.zeros_like(count[part]), count[part], series[part])
        return found

    def _add_up(self, blocks: Int64Array) -> None:
        """Add each block's sums to those before it, each series by itself.

        Beside the sums of a large series, those of a small one would lose their digits.
        """
        longest = int(blocks.max(initial=0))
        if longest > len(blocks):
            for one in np.flatnonzero(blocks > 1).tolist():
                own = self.sums[self._first_block[one] : self._first_block[one + 1]]
                np.cumsum(own, axis=0, out=own)
            return
        order = np.argsort(-blocks, kind="stable")
        first = self._first_block[order]
        for number in range(2, longest + 1):
            at = first[: int(np.searchsorted(-blocks[order], -number, side="right"))] + number
            self.sums[at] += self.sums[at - 1]


class _Windows:
    """Windows of 256 rows, each one copy of contiguous memory."""

    def __init__(self, values: Float32Array) -> None:
        if len(values) < BLOCK:
            padding = np.zeros((BLOCK - len(values), values.shape[1]), np.float32)
            values = np.concatenate([values, padding])
        values = np.ascontiguousarray(np.asarray(values))
        rows, channels = values.shape
        self._last = rows - BLOCK
        self._windows = np.lib.stride_tricks.as_strided(
            values, (self._last + 1, BLOCK * channels), (values.strides[0], values.itemsize), writeable=False
        )
        self._shape = (BLOCK, channels)

    def begin(self, begin: Int64Array, first: Int64Array, stop: Int64Array) -> tuple[Int64Array, ...]:
        """The same rows in windows that end with the last row at the latest."""
        moved = np.maximum(begin - self._last, 0)
        return begin - moved, first + moved, stop + moved

    def __call__(self, begin: Int64Array) -> Float32Array:
        """[n, 256, C]."""
        return self._windows[begin].reshape(len(begin), *self._shape)


def _inside(first: Int64Array, stop: Int64Array) -> NDArray[np.bool_] | None:
    """[n, 256, 1] which rows of windows lie in [first, stop); None where all do."""
    if not first.any() and (stop == BLOCK).all():
        return None
    row = np.arange(BLOCK)
    inside: NDArray[np.bool_] = (row >= first[:, None]) & (row < stop[:, None])
    return inside[:, :, None]


def _known(cells: NDArray[np.floating], inside: NDArray[np.bool_] | None) -> NDArray[np.bool_] | None:
    """[n, 256, C] which cells are known and inside; None where all are."""
    missing = np.isnan(cells)
    if missing.any():
        return ~missing if inside is None else ~missing & inside
    return inside


def _counts(known: NDArray[np.bool_] | None, count: int, channels: int) -> Float64Array:
    if known is None:
        return np.full((count, channels), float(BLOCK))
    return np.broadcast_to(known, (count, BLOCK, channels)).sum(1).astype(np.float64)


class PrefixStatistics:
    """What is known of each series before a cutoff: counts, means, deviations and seasonal differences.

    Built once over a store's values, without a copy of them; every question is answered from the rows before
    the cutoff alone, so the statistics of one fold of a backtest cost as little as those of another and see
    nothing of what comes later.

    Args:
        values: [rows, C] float32, missing cells NaN.
        indptr: [S + 1], series s is ``values[indptr[s]:indptr[s + 1]]``.
        saved: what :meth:`sums` gave of the same values before, by lag.
        shift: :attr:`shift` of the same values.
    """

    def __init__(
        self,
        values: Float32Array,
        indptr: Int64Array,
        saved: Mapping[int, Float64Array] | None = None,
        shift: Float64Array | None = None,
    ) -> None:
        self._values = values
        self._indptr = np.asarray(indptr, np.int64)
        self._channels = values.shape[1]
        self._ends = self._indptr[1:]
        # Sums of squares lose digits where a mean is large beside its deviation: that of a series' first
        # subtracted from all of a series.
        self._shift = _first_known(values, self._indptr) if shift is None else shift
        self._windows = _Windows(values)
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
        _, mean, std = self.moments(cutoff)
        return mean, std

    def moments(self, cutoff: Int64Array) -> tuple[Float64Array, Float64Array, Float64Array]:
        """Return the number [C] of these cells too, before their mean and deviation."""
        series, cutoff = self._asked(None, cutoff)
        sums = self._sums(cutoff, series)
        count = sums[:, : self._channels]
        mean, std = (np.nan_to_num(of_series) for of_series in self._mean_and_std(sums, series))
        total = count.sum(0)
        together = _ratio((count * mean).sum(0), total)
        variance = _ratio((count * (std**2 + (mean - together) ** 2)).sum(0), total)
        return total, together, np.sqrt(variance)

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
        undefined = np.flatnonzero(np.isnan(scale).any(axis=1))
        if season_length > 1 and len(undefined):
            some, stop = (every[undefined] for every in self._asked(series, cutoff))
            by_one = self._beginnings(some, stop).seasonal_difference(stop, 1)
            scale[undefined] = np.where(np.isnan(scale[undefined]), by_one, scale[undefined])
        return np.where(scale > 0, scale, np.nan).astype(np.float32)

    def sums(self, lag: int) -> Float64Array:
        """Return the sums to be saved: of the cells (lag 0), or of differences ``lag`` steps apart."""
        if lag:
            return self._differences_of(lag).sums
        self._sums(np.zeros(1, np.int64), np.zeros(1, np.int64))
        assert self._moments is not None  # made by the question
        return self._moments.sums

    @property
    def shift(self) -> Float64Array:
        """[S, C] what is subtracted from a series' cells before they are added up; to be saved, too."""
        return self._shift

    def _beginnings(self, series: Int64Array, stop: Int64Array) -> "PrefixStatistics":
        """Statistics of copies of some series up to ``stop`` [n], which need no sums of the others."""
        lengths = np.minimum(np.maximum(stop, 0), np.diff(self._indptr)[series])
        indptr = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        rows = np.arange(indptr[-1]) + np.repeat(self._indptr[series] - indptr[:-1], lengths)
        return PrefixStatistics(self._values[rows], indptr)

    def _asked(self, series: Int64Array | None, cutoff: Int64Array) -> tuple[Int64Array, Int64Array]:
        series = np.arange(len(self)) if series is None else np.asarray(series, np.int64)
        return series, np.broadcast_to(np.asarray(cutoff, np.int64), series.shape)

    def _sums(self, cutoff: Int64Array, series: Int64Array) -> Float64Array:
        if self._moments is None:
            self._moments = PrefixSums(self._moments_of, self._indptr, 3 * self._channels, self._saved.get(0))
        return self._moments.before(series, cutoff)

    def _mean_and_std(self, sums: Float64Array, series: Int64Array) -> tuple[Float64Array, Float64Array]:
        count, total, squares = np.split(sums, 3, axis=1)
        mean = _ratio(total, count)
        variance = np.maximum(_ratio(squares, count) - mean**2, 0.0)
        return mean + self._shift[series], np.sqrt(variance)

    def _moments_of(
        self, begin: Int64Array, first: Int64Array, stop: Int64Array, series: Int64Array
    ) -> Float64Array:
        begin, first, stop = self._windows.begin(begin, first, stop)
        cells = self._windows(begin) - self._shift[series][:, None]
        known = _known(cells, _inside(first, stop))
        if known is not None:
            cells = np.where(known, cells, 0.0)
        counts = _counts(known, len(begin), self._channels)
        return np.concatenate([counts, cells.sum(1), np.einsum("nrc,nrc->nc", cells, cells)], axis=1)

    def _differences_of(self, lag: int) -> PrefixSums:
        if lag not in self._differences:

            def sums_of(
                begin: Int64Array, first: Int64Array, stop: Int64Array, series: Int64Array
            ) -> Float64Array:
                # Each row with the one a season before, if the series has it.
                first = np.maximum(first, lag - (begin - self._indptr[series]))
                begin, first, stop = self._windows.begin(begin, first, stop)
                early = begin < lag  # there is no whole window so many rows before
                difference = self._windows(begin) - self._windows(np.maximum(begin - lag, 0))
                for one in np.flatnonzero(early).tolist():
                    rows = np.arange(begin[one], begin[one] + BLOCK)
                    rows = np.minimum(rows, len(self._values) - 1)
                    difference[one] = self._values[rows] - self._values[np.maximum(rows - lag, 0)]
                difference = np.abs(difference, out=difference)
                known = _known(difference, _inside(np.minimum(first, BLOCK), stop))
                if known is not None:
                    difference = np.where(known, difference, np.float32(0))
                counts = _counts(known, len(begin), self._channels)
                return np.concatenate([counts, difference.sum(1, dtype=np.float64)], axis=1)

            self._differences[lag] = PrefixSums(
                sums_of, self._indptr, 2 * self._channels, self._saved.get(lag)
            )
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
