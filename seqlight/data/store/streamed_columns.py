"""Columns of a file that is read part by part: numbers, texts, values constant within a series."""

import math
import uuid
from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from seqlight.data.io.cells import COARSEST, LARGEST
from seqlight.data.io.dialect import CSVDialect
from seqlight.data.io.numbers import is_missing, read_numbers, tidied
from seqlight.data.io.sentinels import find_sentinels
from seqlight.data.io.signs import without_signs

Float32Array = NDArray[np.float32]
Int32Array = NDArray[np.int32]
Int64Array = NDArray[np.int64]

SAMPLE = 1 << 20
"""Cells of a column that are looked at for numbers far outside the rest, beside the two extremes."""


class NumberColumn:
    """Takes the parts of a column of numbers as float32, and keeps what is to be said of the whole.

    Args:
        rows: of the file, about.
    """

    def __init__(self, rows: int) -> None:
        self._share = min(1.0, SAMPLE / max(rows, 1))
        self._random = np.random.default_rng(0)
        self._sample: list[Float32Array] = []
        self._low, self._lows = np.float32(np.inf), 0
        self._high, self._highs = np.float32(-np.inf), 0
        self._squares, self._center, self._total, self._wide = 0.0, 0.0, 0.0, 0
        self.known = 0
        self.missing = 0

    def __call__(self, column: pl.Series) -> Float32Array | None:
        """Return the cells [n], NaN where missing; None where a number is infinite or too large."""
        cells = column.cast(pl.Float32) if column.dtype != pl.Float32 else column
        values: Float32Array = cells.fill_null(np.nan).to_numpy() if cells.null_count() else cells.to_numpy()
        known = values
        if np.isnan(values.sum()):  # infinities of both signs end here, too
            known = values[~np.isnan(values)]
        self.missing += len(values) - len(known)
        if not len(known):
            return values
        low, high = known.min(), known.max()
        if max(-low, high) > LARGEST:
            return None
        self._extremes(known, low, high)
        if column.dtype not in (pl.Float32, pl.Boolean):
            self._add_exact(column)
        self.known += len(known)
        if self._share < 1:
            known = known[self._random.integers(0, len(known), math.ceil(self._share * len(known)))]
        self._sample.append(known[(known > self._low) & (known < self._high)])
        return values

    def _extremes(self, known: Float32Array, low: np.float32, high: np.float32) -> None:
        if low <= self._low:
            again = int((known == low).sum())
            if low < self._low != self._high:  # what was the lowest is one of the others now
                self._sample.append(np.full(self._of_sample(self._lows), self._low, np.float32))
            self._low, self._lows = low, again + (self._lows if low == self._low else 0)
        if high >= self._high:
            again = int((known == high).sum())
            if high > self._high != self._low:
                self._sample.append(np.full(self._of_sample(self._highs), self._high, np.float32))
            self._high, self._highs = high, again + (self._highs if high == self._high else 0)

    def _of_sample(self, count: int) -> int:
        return math.ceil(self._share * count)

    def _add_exact(self, column: pl.Series) -> None:
        """Add to the deviation of numbers that came with more digits than float32 has."""
        exact = column.cast(pl.Float64)
        if exact.null_count() or not exact.is_finite().all():
            exact = exact.filter(exact.is_finite())
        mean, variance = float(exact.mean()), float(exact.var(ddof=0))  # type: ignore[arg-type]
        if not self._wide:
            self._center = mean
        count, apart = len(exact), mean - self._center
        self._squares += count * (variance + apart**2)
        self._total += count * apart
        self._wide += count

    def is_lost(self) -> bool:
        """Whether float32 can hardly tell the numbers apart, which reading the whole says."""
        if not self._wide:
            return False
        variance = max(self._squares / self._wide - (self._total / self._wide) ** 2, 0.0)
        largest = np.float32(max(abs(self._low), abs(self._high)))
        return float(np.spacing(largest)) > COARSEST * math.sqrt(variance) > 0

    def notes(self) -> list[str]:
        """Say which numbers may stand for a missing value."""
        if not self.known:
            return []
        within = np.concatenate(self._sample)
        within = within[(within > self._low) & (within < self._high)]
        ends = [np.full(self._lows, self._low)]
        if self._high > self._low:
            ends.append(np.full(self._highs, self._high))
        return [
            f"{sentinel}; if it stands for a missing value, pass missing_values=['{sentinel.text}']"
            for sentinel in find_sentinels(np.concatenate([within, *ends]))
        ]


class Numbering:
    """Numbers texts in the order in which they come.

    Attributes:
        names: the texts, by their number.
    """

    def __init__(self) -> None:
        self._dtype = pl.Categorical(pl.Categories(uuid.uuid4().hex))
        # polars forgets the categories when no column of them is left.
        self._kept = pl.Series([""], dtype=self._dtype)
        self._numbers = np.full(1024, -1, np.int32)
        self.names: list[str] = []

    def __call__(self, texts: pl.Series) -> Int32Array:
        """Return the number [n] of each text, -1 for null."""
        again = (texts == texts.head(1)).arg_true().head(2)
        if len(again) == 2:
            # Rows in the order of time repeat the series of the time before, which is quicker to see.
            cycle = int(again[1])
            if cycle < len(texts) // 2 and texts[cycle:].equals(texts[:-cycle]):
                return np.resize(self._of(texts[:cycle]), len(texts))
        return self._of(texts)

    def _of(self, texts: pl.Series) -> Int32Array:
        physical = texts.cast(self._dtype).to_physical()
        missing = physical.is_null().to_numpy() if physical.null_count() else None
        raw = physical.fill_null(0).to_numpy().astype(np.int64)
        most = int(raw.max(initial=0))
        if most >= len(self._numbers):
            grown = np.full(2 * most + 1, -1, np.int32)
            grown[: len(self._numbers)] = self._numbers
            self._numbers = grown
        numbers: Int32Array = self._numbers[raw]
        is_new = numbers < 0 if missing is None else (numbers < 0) & ~missing
        if is_new.any():
            rows = np.flatnonzero(is_new)
            distinct, at = np.unique(raw[rows], return_index=True)
            order = np.argsort(at)
            self._numbers[distinct[order]] = np.arange(len(self.names), len(self.names) + len(distinct))
            self.names += texts.gather(rows[at[order]]).cast(pl.String).to_list()
            numbers = self._numbers[raw]
        if missing is not None:
            numbers[missing] = -1
        return numbers

    def sorted(self) -> tuple[list[str], Int32Array]:
        """Return the texts in their order, and by number (the last for null) the place of each in it."""
        order = np.array(pl.Series(self.names, dtype=pl.String).arg_sort().to_list(), np.int64)
        places = np.full(len(order) + 1, -1, np.int32)
        places[order] = np.arange(len(order))
        return [self.names[index] for index in order.tolist()], places

    def are_plain(self) -> bool:
        """Whether no text is a number, or means a missing value, or has blanks or signs to be taken off."""
        texts = pl.Series(self.names, dtype=pl.String)
        tidy = tidied(texts)
        missing = is_missing(tidy)
        unsigned, _ = without_signs(tidy, missing)
        if missing.any() or not texts.equals(tidy) or not tidy.equals(unsigned):
            return False
        read = read_numbers(unsigned, missing, CSVDialect().styles())
        return read.values.null_count() == len(texts)


class ConstantColumn:
    """Takes the parts of a column that is to be constant within each series.

    Args:
        missing: what stands for a missing cell, NaN or -1.
    """

    def __init__(self, missing: float | int) -> None:
        self._missing = missing
        self._values: NDArray[np.generic] = np.empty(0, np.float32 if missing != -1 else np.int32)

    def __call__(self, cells: NDArray[np.generic], series: Int32Array) -> bool:
        """Take cells [n] of ``series`` [n]; return whether each is its series' one value or missing."""
        most = int(series.max(initial=-1)) + 1
        if most > len(self._values):
            grown = np.full(max(most, 2 * len(self._values)), self._missing, self._values.dtype)
            grown[: len(self._values)] = self._values
            self._values = grown
        known = self._is_known(cells)
        first = np.flatnonzero(known & ~self._is_known(self._values)[series])[::-1]
        self._values[series[first]] = cells[first]  # the first one last
        return bool((cells[known] == self._values[series][known]).all())

    def of_series(self, count: int) -> NDArray[np.generic]:
        """Return the values [S]."""
        missing = np.full(max(count - len(self._values), 0), self._missing, self._values.dtype)
        return np.concatenate([self._values[:count], missing])

    def _is_known(self, cells: NDArray[np.generic]) -> NDArray[np.bool_]:
        found = ~np.isnan(cells) if self._missing != -1 else cells >= 0  # type: ignore[operator]
        return np.asarray(found, np.bool_)


def stacked(columns: Sequence[NDArray[Any]], dtype: type) -> NDArray[Any]:
    """Return columns [n] as [n, K], without a copy of a single one."""
    if len(columns) == 1 and columns[0].dtype == dtype:
        return np.ascontiguousarray(columns[0])[:, None]
    table: NDArray[Any] = np.empty((len(columns[0]), len(columns)), dtype)
    for index, column in enumerate(columns):
        table[:, index] = column
    return table
