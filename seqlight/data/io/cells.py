"""The number columns of a table: text read in the one way that fits, and notes about odd values."""

import math
import warnings

import numpy as np
import polars as pl
from numpy.typing import NDArray

from seqlight.data.errors import DataError
from seqlight.data.io.dialect import CSVDialect
from seqlight.data.io.numbers import NumberStyle, TextNumbers, as_float, is_missing, read_numbers, tidied
from seqlight.data.io.sentinels import find_sentinels
from seqlight.data.io.signs import Signs, has_sign, without_signs
from seqlight.data.io.table import Table

LARGEST = 1e17  # a thousand squares of it add up to less than float32 holds
_MOST_NOTES = 5
COARSEST = 0.05  # of a column's standard deviation
_ROWS_AT_A_TIME = 1 << 20
_MOSTLY = 0.5  # numbers in a column of covariates that may hold text
_TEXT_MISSING = ("", "na", "n/a", "#n/a", "nan", "null")


class NumberColumns:
    """Columns that are to hold numbers, decided together: a file writes its numbers in one way.

    Args:
        dialect: what is given about the numbers.
        table: names rows in messages.
        separator: of the file; None for a frame.
        notes: tell of odd values.
    """

    def __init__(
        self, dialect: CSVDialect, table: Table, *, separator: str | None = None, notes: bool = True
    ) -> None:
        self.dialect = dialect
        self.table = table
        self.separator = separator
        self.notes = notes
        self.columns: dict[str, pl.Series | TextNumbers] = {}
        self.texts: dict[str, pl.Series] = {}
        self.marks: set[str] = set()  # decimal marks that a column shows beyond doubt
        self.grouping: set[str] = set()
        self.notes_of_all: list[str] = []

    def add(self, name: str, column: pl.Series, *, text_allowed: bool = False) -> None:
        """Take a column of numbers, or of text that reads as numbers; or, if allowed, of any text.

        Raises:
            DataError: a cell is no number.
        """
        if column.dtype != pl.String:
            if column.dtype.is_float():
                self.marks.add(".")
            self.columns[name] = column
            return
        text = tidied(column)
        missing = is_missing(text, self.dialect.missing_values)
        written = text
        text, signs = without_signs(text, missing)
        read = read_numbers(text, missing, self.dialect.styles())
        if text_allowed and read.bad is not None:
            known = int((~missing).sum())
            if int(read.values.is_not_null().sum()) <= _MOSTLY * known:
                gone = text.str.to_lowercase().is_in([*_TEXT_MISSING]) | text.is_in(
                    list(self.dialect.missing_values)
                )
                self.columns[name] = text.set(gone.fill_null(True), None)
                return
        if read.bad is not None:
            raise self._bad_cell(name, written, read, signs)
        if signs is not None:
            some = f" of {signs.cells:,} of {signs.known:,} cells" if signs.cells < signs.known else ""
            self.notes_of_all.append(f"{self.table.source}: column {name!r}: {signs.written}{some}")
        if read.decided:
            self.marks.add(read.style.decimal)
        if read.style.thousands is not None and read.other is None:
            self.grouping.add(read.style.thousands)
        self.texts[name] = text
        self.columns[name] = read

    @property
    def decimal_comma(self) -> bool | None:
        """Whether the decimal mark is a comma; None where no column tells."""
        if self.dialect.decimal_comma is not None or len(self.marks) != 1:
            return self.dialect.decimal_comma
        return "," in self.marks

    @property
    def thousands(self) -> str | None:
        """What groups thousands, as given or where all columns that have groups agree."""
        if self.dialect.thousands is not None or len(self.grouping) != 1:
            return self.dialect.thousands
        return next(iter(self.grouping))

    def settled(self) -> dict[str, pl.Series]:
        """Return each column as Float32 (or String), null where missing.

        Raises:
            DataError: the numbers of a column can be read in two ways, and nothing in the table decides.
        """
        result = {}
        for name, read in self.columns.items():
            if isinstance(read, TextNumbers):
                style = read.style if read.other is None else self._decide(name, read, read.other)
                if style is not read.style:
                    text = self.texts[name]
                    values = style.numbers(text.set(is_missing(text, self.dialect.missing_values), None))
                else:
                    values = read.values
            else:
                values = read
            if values.dtype == pl.String:
                result[name] = values.alias(name)
                continue
            column = self._without_missing_values(values.cast(pl.Float32).alias(name))
            self._check_size(name, column)
            if self.notes:
                self._note(name, column, values)
            result[name] = column
        for note in self.notes_of_all[:_MOST_NOTES]:
            warnings.warn(note, stacklevel=5)
        more = len(self.notes_of_all) - _MOST_NOTES
        if more > 0:
            warnings.warn(f"{self.table.source}: {more} more notes on columns like these", stacklevel=5)
        return result

    def _check_size(self, name: str, column: pl.Series) -> None:
        """Refuse numbers whose squares float32 cannot add up; infinite ones are refused by whoever builds."""
        low, high = column.min(), column.max()
        if low is None or (low >= -LARGEST and high <= LARGEST):  # type: ignore[operator]
            return
        large = (column.abs() > LARGEST) & column.is_finite()
        row = large.arg_max() if large.any() else None
        if row is not None:
            value = np.format_float_scientific(np.float32(column[row]), trim="-")
            raise self._error(
                f"{self.table.row_name(row)}, column {name!r}: {value} is too large to compute with in "
                f"float32, in which sums of squares end at 3.4e38; divide the column by a power of ten so "
                f"that it stays below {LARGEST:g}, or pass missing_values=['{value}'] if it stands for a "
                "missing value"
            )

    def _decide(self, name: str, read: TextNumbers, other: NumberStyle) -> NumberStyle:
        """The style of a column that two fit: by the other columns, or where one is hardly possible."""
        assert read.example is not None  # the two differ there
        text = self.texts[name]
        fitting = [style for style in (read.style, other) if style.decimal in self.marks]
        if len(self.marks) == 1 and len(fitting) == 1:
            chosen, why = fitting[0], "as in the other columns"
        elif self.separator == "," and text.str.contains(r"^[+-]?\d+\.\d{3}$").all():
            # Grouped thousands would leave some cell below 1000, in a file with commas between its fields.
            chosen, why = NumberStyle("."), "as every cell has three digits behind its point"
        else:
            one, two = (
                _written(style.numbers(text.slice(read.example, 1))[0]) for style in (read.style, other)
            )
            cell = text[read.example]
            raise self._error(
                f"{self.table.row_name(read.example)}, column {name!r}: {cell!r} can be read as {one} or as "
                f"{two}, and so can the other cells; pass {read.style} for {one}, {other} for {two}"
            )
        rejected = other if chosen == read.style else read.style
        values = [_written(style.numbers(text.slice(read.example, 1))[0]) for style in (chosen, rejected)]
        self.notes_of_all.append(
            f"{self.table.source}: column {name!r}: {text[read.example]!r} was read as {values[0]}, {why}; "
            f"pass {rejected} if it is {values[1]}, {chosen} if it is not"
        )
        return chosen

    def _bad_cell(self, name: str, text: pl.Series, read: TextNumbers, signs: Signs | None) -> DataError:
        assert read.bad is not None  # why this is called
        value = text[read.bad]
        if value.lower().lstrip("+-") in ("inf", "infinity"):
            return self._error(
                f"{self.table.row_name(read.bad)}, column {name!r}: infinity; mend the cell, or leave it "
                "empty if the value is missing"
            )
        hint = (
            f"mend the cell, or leave it empty if the value is missing (or pass missing_values=[{value!r}])"
        )
        if signs is not None and signs.sign is None:
            listed = " and ".join(map(repr, signs.others))
            some = f"{signs.cells:,} of {signs.known:,} cells have "
            hint = (
                f"{some}the sign {listed}: write all cells with it, or none"
                if len(signs.others) == 1
                else f"the column mixes the signs {listed}: write all cells in one unit"
            )
        elif has_sign(value):
            hint = "a currency or percent sign is left out where it stands beside a number; mend the cell"
        elif any(character.isdigit() for character in value) and any(mark in value for mark in ",."):
            hint = f"the rest of the column is written with {_described(read.style)}; mend the cell"
        return self._error(
            f"{self.table.row_name(read.bad)}, column {name!r}: expected a number, got {value!r}; {hint}"
        )

    def _without_missing_values(self, column: pl.Series) -> pl.Series:
        """Numbers among ``missing_values`` taken out; float32 holds them as it holds the cells."""
        numbers = [number for number in map(as_float, self.dialect.missing_values) if number is not None]
        if not numbers:
            return column
        return column.set(column.is_in(pl.Series(numbers, dtype=pl.Float32).implode()).fill_null(False), None)

    def _note(self, name: str, column: pl.Series, exact: pl.Series) -> None:
        """Tell of numbers that float32 can hardly tell apart, and of those far outside the rest."""
        is_known = column.is_finite().fill_null(False)
        known: NDArray[np.float32] = column.filter(is_known).to_numpy()
        if not len(known):
            return
        lowest, highest = float(known.min()), float(known.max())
        step = float(np.spacing(np.float32(max(abs(lowest), abs(highest)))))
        # The deviation of n numbers is at least their range over sqrt(2 n): most need no closer look.
        if step > COARSEST * (highest - lowest) / math.sqrt(2 * len(known)):
            # In float32 all may be one number: the spread is that of the numbers as they came.
            spread = _spread(exact.filter(is_known))
            if step > COARSEST * spread > 0:
                self.notes_of_all.append(
                    f"{self.table.source}: column {name!r} varies by {spread:.3g} only, and numbers as large "
                    f"as its own are kept in steps of {step:.3g}; subtract a constant from them first"
                )
        for sentinel in find_sentinels(known):
            self.notes_of_all.append(
                f"{self.table.source}: column {name!r}: {sentinel}; if it stands for a missing value, pass "
                f"missing_values=['{sentinel.text}']"
            )

    def _error(self, what: str) -> DataError:
        return DataError(f"{self.table.source}: {what}")


def _spread(numbers: pl.Series) -> float:
    """The standard deviation in float64, part by part: a copy would be twice the size of the column."""
    parts = [numbers.slice(begin, _ROWS_AT_A_TIME) for begin in range(0, len(numbers), _ROWS_AT_A_TIME)]
    mean = sum(float(part.cast(pl.Float64).sum()) for part in parts) / len(numbers)
    squares = sum(float(np.square(part.cast(pl.Float64).to_numpy() - mean).sum()) for part in parts)
    return float(np.sqrt(squares / len(numbers)))


def _written(value: float | None) -> str:
    return "no number" if value is None else f"{value:.12g}"


def _described(style: NumberStyle) -> str:
    mark = "decimal commas" if style.decimal == "," else "decimal points"
    return mark if style.thousands is None else f"{mark} and thousands grouped by {style.thousands!r}"
