"""Rows of a text file that are no data: of separators only, repeated headers, and footers."""

from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from seqlight.data.errors import DataError
from seqlight.data.io.csv_head import CSVHead

_MOST_FOOTERS = 20
_LONGEST_SHOWN = 40
_TOTALS = (
    *("total", "totals", "grand total", "subtotal", "sum", "average", "avg", "mean", "median", "count"),
    *("summe", "gesamt", "gesamtsumme", "mittelwert", "durchschnitt"),
    *("somme", "moyenne", "suma", "promedio", "totale", "media", "totaal"),
)


class RowFilter:
    """Which rows hold data, and what is to be said of the others.

    Args:
        source: what messages call the file.
        head: of the file.
        columns: of the frame, each with its name in the file.
        time: the frame's columns of times; none where rows are steps.
    """

    def __init__(self, source: str, head: CSVHead, columns: dict[str, str], time: Sequence[str]) -> None:
        self.source = source
        self.head = head
        self.columns = columns
        self.time = list(time)
        self.notes: list[str] = []

    def keep(self, frame: pl.DataFrame, filled: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Return which rows are data.

        Args:
            frame: the rows that were read.
            filled: which of them are no blank lines.

        Raises:
            DataError: the last rows look like a footer, but do not say that they are totals.
        """
        keep = filled.copy()
        if not self.time:
            return keep
        empty = filled & self._are_empty(frame)
        self._note(empty, "nothing but separators")
        keep &= ~empty
        again = keep & self._are_headers(frame)
        self._note(again, "the header again")
        keep &= ~again
        return self._without_footer(frame, keep)

    def _are_empty(self, frame: pl.DataFrame) -> NDArray[np.bool_]:
        times = frame[self.time[0]]
        if not any(frame[column].null_count() for column in self.columns):
            return np.zeros(len(frame), np.bool_)
        if not times.null_count() and times.str.len_chars().min() != 0:
            return np.zeros(len(frame), np.bool_)
        cells = [_blank(frame[column]) for column in self.columns]
        return np.logical_and.reduce(cells)

    def _are_headers(self, frame: pl.DataFrame) -> NDArray[np.bool_]:
        first = self.time[0]
        if any(frame[column].dtype not in (pl.String, pl.Categorical) for column in self.columns):
            return np.zeros(len(frame), np.bool_)  # a header among numbers would have been read as text
        likely = (frame[first] == self.columns[first]).fill_null(False).to_numpy()
        if not likely.any():
            return np.asarray(likely)
        same = [
            (frame[column].cast(pl.String).str.strip_chars() == name).fill_null(False).to_numpy()
            for column, name in self.columns.items()
        ]
        return np.logical_and.reduce(same)

    def _without_footer(self, frame: pl.DataFrame, keep: NDArray[np.bool_]) -> NDArray[np.bool_]:
        rows = np.flatnonzero(keep)
        tail = rows[-_MOST_FOOTERS:]
        cells = frame[self.time[0]][tail].fill_null("").str.strip_chars()
        no_time = ~cells.str.contains(r"\d").to_numpy()
        count = int(np.argmin(no_time[::-1])) if not no_time.all() else len(tail)
        if count == 0 or count == len(rows) or count == _MOST_FOOTERS:
            return keep
        footer = tail[len(tail) - count :]
        words = cells.tail(count).str.to_lowercase().str.strip_chars(" :").to_list()
        if any(word not in _TOTALS for word in words):
            shown = next(
                cell for cell, word in zip(cells.tail(count), words, strict=True) if word not in _TOTALS
            )
            what = f"{shown[:_LONGEST_SHOWN]!r} is no time" if shown else "without a time"
            raise DataError(
                f"{self.source}: {self._lines(footer)} look{'s' * (count == 1)} like a footer ({what}); pass "
                f"skip_footer={count} to leave {'them' if count > 1 else 'it'} out, or write a time there"
            )
        kept = keep.copy()
        kept[footer] = False
        self._note(~kept & keep, f"a footer ({cells.tail(count)[0]!r})")
        return kept

    def _note(self, rows: NDArray[np.bool_], what: str) -> None:
        if rows.any():
            found = np.flatnonzero(rows)
            self.notes.append(
                f"{self.source}: {self._lines(found)} hold{'s' * (len(found) == 1)} {what}, and "
                f"{'were' if len(found) > 1 else 'was'} left out"
            )

    def _lines(self, rows: NDArray[np.int64]) -> str:
        lines = (rows + self.head.rows_line).tolist()
        if len(lines) == 1:
            return f"line {lines[0]}"
        if lines[-1] - lines[0] == len(lines) - 1:
            return f"lines {lines[0]} to {lines[-1]}"
        if len(lines) <= 3:
            return f"lines {', '.join(map(str, lines[:-1]))} and {lines[-1]}"
        return f"{len(lines)} lines (the first is {lines[0]})"


def _blank(column: pl.Series) -> NDArray[np.bool_]:
    if column.dtype != pl.String:
        return column.is_null().to_numpy()
    return (column.is_null() | (column.str.strip_chars().str.len_chars() == 0)).fill_null(True).to_numpy()
