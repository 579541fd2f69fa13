"""Reading the needed columns of a CSV file into a Table, with one clear error for whatever is wrong."""

import io
import os
import warnings
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from seqlight.data.errors import DataError
from seqlight.data.io.cells import NumberColumns
from seqlight.data.io.columns import Wanted
from seqlight.data.io.csv_checks import explain_broken_rows, field_counts
from seqlight.data.io.csv_head import find_head
from seqlight.data.io.dialect import CSVDialect
from seqlight.data.io.repeats import text_columns
from seqlight.data.io.row_filter import RowFilter
from seqlight.data.io.table import Table, check_columns
from seqlight.data.io.text_file import TextFile, open_text

_CLOSE = 1e-4  # of the largest number: differences that a float32 holds with few digits or none
_SAMPLE_ROWS = 1000
# Digits that need no more than Int32, and numbers whose point cannot group thousands.
_WHOLE = r"^[+-]?[0-9]{1,9}$"
_PLAIN = r"^[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?$"
_DECIDED = (
    r"^[+-]?(?:0*\.[0-9]+|0[0-9]*\.[0-9]*|[0-9]+\.(?:[0-9]{1,2}|[0-9]{4,})|[0-9]{4,}\.[0-9]+"
    r"|[0-9]+\.[0-9]*[eE][+-]?[0-9]+)$"
)


def csv_table(
    source: str | os.PathLike[str] | TextFile,
    *,
    time_cols: Sequence[str],
    target_cols: Sequence[str],
    id_cols: Sequence[str] = (),
    covariate_cols: Sequence[str] = (),
    dialect: CSVDialect | None = None,
    notes: bool = True,
) -> Table:
    """Read the named columns of a CSV file, see :func:`seqlight.data.io.read_table`.

    Empty fields and the usual spellings of a missing value (NA, NaN, null, ...) become NaN. Blank lines are
    left out.

    Raises:
        DataError: the file cannot be read, lacks a column, has rows of another width than its header, text,
            infinity or a number beyond float32's range in a target column, or numbers with two readings.
    """
    dialect = dialect or CSVDialect()
    file = source if isinstance(source, TextFile) else open_text(source, dialect.encoding)
    wanted = Wanted(list(time_cols), list(target_cols), list(id_cols), list(covariate_cols))
    try:
        reader = _Reader(_without_footer(file, dialect), dialect, notes)
        table = reader.read(wanted)
    except _NotUTF8:
        if dialect.encoding is not None:
            raise file.encoding_error() from None
        file.decode_as_fallback()
        reader = _Reader(_without_footer(file, dialect), dialect, notes)
        table = reader.read(wanted)
    file.left_out = reader.file.left_out
    if file.note is not None:
        warnings.warn(file.note, stacklevel=4)
    return table


def _without_footer(file: TextFile, dialect: CSVDialect) -> TextFile:
    return file.without_footer(dialect.skip_footer) if dialect.skip_footer else file


class _Reader:
    def __init__(self, file: TextFile, dialect: CSVDialect, notes: bool) -> None:
        self.file = file
        self.dialect = dialect
        self.notes = notes  # about values

    def read(self, wanted: Wanted) -> Table:
        self._find_head(wanted)
        head = self.head
        index = {name: position for position, name in enumerate(head.names)}
        columns = {name: f"column_{index[head.resolve(name)] + 1}" for _, name in wanted.pairs()}
        number_names = [*wanted.targets, *wanted.covariates]
        last = f"column_{len(head.names)}"
        needed = list(dict.fromkeys([*columns.values(), last]))
        schema = self._schema([columns[name] for name in number_names])
        if len(wanted.ids) == 1:
            schema[columns[wanted.ids[0]]] = pl.Categorical
        try:
            frame = self._read(schema, needed)
        except _NotNumbers:
            texts = [columns[name] for name in number_names]
            frame = self._read(schema | dict.fromkeys(texts, pl.String), needed)
        frame, row_numbers = self._rows_of_data(frame, last, columns, wanted)

        keys = pl.DataFrame({name: frame[columns[name]] for name in wanted.ids})
        table = Table(
            source=self.file.name,
            time=None,
            keys=keys if wanted.ids else None,
            values=np.empty((len(frame), len(wanted.targets)), np.float32),
            first_line=head.rows_line,
            row_numbers=row_numbers,
            other_columns=lambda: self._others(columns, row_numbers),
        )
        table.take_times({name: frame[columns[name]].alias(name) for name in wanted.time})
        numbers = NumberColumns(self.dialect, table, separator=head.separator, notes=self.notes)
        for name in wanted.targets:
            numbers.add(name, frame[columns[name]])
        for name in wanted.covariates:
            numbers.add(name, frame[columns[name]], text_allowed=True)
        read = numbers.settled()
        for i, name in enumerate(wanted.targets):
            table.values[:, i] = read.pop(name)
        table.covariates = pl.DataFrame({name: read[name] for name in wanted.covariates})
        table.dialect = replace(
            self.dialect,
            separator=head.separator,
            encoding=self.file.encoding,
            skip_rows=head.line - 1,
            decimal_comma=numbers.decimal_comma,
            thousands=numbers.thousands,
        )
        return table

    def _find_head(self, wanted: Wanted) -> None:
        names = [name for _, name in wanted.pairs()]
        head = find_head(self.file, self.dialect, names)
        pairs = [(argument, head.resolve(name)) for argument, name in wanted.pairs()]
        given = self.dialect.separator
        if given is not None and any(name not in head.names for _, name in pairs):
            other = find_head(self.file, replace(self.dialect, separator=None), names)
            if all(other.resolve(name) in other.names for name in names):
                raise self.file.error(
                    f"the fields of the header are separated by {other.separator!r}, not by {given!r}; pass "
                    f"separator={other.separator!r}"
                )
        try:
            check_columns(self.file.name, pairs, head.names)
        except DataError as error:
            hint = ""
            if len(head.names) == 1 and self.dialect.skip_rows is not None:
                hint = f" (skip_rows={self.dialect.skip_rows} makes line {head.line} the header)"
            elif head.line > 1:
                hint = f" (line {head.line} was taken for the header; skip_rows tells how many are above it)"
            raise DataError(f"{error}{hint}") from None
        if (
            head.line > 1
            and self.dialect.skip_rows is None
            and any(line.strip() for line in self.file.head.split("\n")[: head.line - 1])
        ):
            warnings.warn(
                f"{self.file.name}: the header was found in line {head.line}, lines above it were left out "
                f"(skip_rows={head.line - 1})",
                stacklevel=5,
            )
        if head.labels:
            first = head.rows_line - len(head.labels)
            one = len(head.labels) == 1
            lines = f"line {first}" if len(head.labels) == 1 else f"lines {first} to {head.rows_line - 1}"
            warnings.warn(
                f"{self.file.name}: {lines} below the header hold{'s' * one} no numbers or dates, but names "
                f"or units, and {'was' if one else 'were'} left out",
                stacklevel=5,
            )
        self.head = head

    def _schema(self, numbers: Sequence[str]) -> dict[str, pl.DataType | type[pl.DataType]]:
        """Types to parse the columns as: text wherever its first rows leave the reading of numbers open."""
        width = len(self.head.names)
        schema: dict[str, pl.DataType | type[pl.DataType]] = {
            f"column_{i + 1}": pl.String for i in range(width)
        }
        if self.dialect.decimal_comma or self.dialect.thousands is not None:
            return schema
        lines = self.file.head.split("\n")[self.head.rows_line - 1 :][: _SAMPLE_ROWS + 1]
        try:
            sample = pl.read_csv(
                io.BytesIO("\n".join(lines).encode()),
                has_header=False,
                schema=schema,
                separator=self.head.separator,
                truncate_ragged_lines=True,
                raise_if_empty=False,
            )
        except pl.exceptions.PolarsError:
            return schema  # what is wrong is said by the reading of the whole
        for column in numbers:
            cells = sample[column].drop_nulls()
            if len(cells) and cells.str.contains(_WHOLE).all():
                schema[column] = pl.Int32
            elif (
                cells.str.contains(_PLAIN).all()
                and (
                    cells.str.contains(_DECIDED).any() or (len(cells) and self.dialect.decimal_comma is False)
                )
                and not _lie_close(cells.cast(pl.Float64, strict=False))
            ):
                schema[column] = pl.Float32
        return schema

    def _read(self, schema: dict[str, pl.DataType | type[pl.DataType]], columns: list[str]) -> pl.DataFrame:
        try:
            return pl.read_csv(
                self.file.source,
                # The header was read already, so columns go by position: names may be odd.
                has_header=False,
                skip_lines=self.head.rows_line - 1,
                raise_if_empty=False,
                schema=schema,
                columns=columns,
                separator=self.head.separator,
            ).select(columns)
        except pl.exceptions.PolarsError as error:
            message = str(error)
            if "dtype `f32`" in message or "dtype `i32`" in message:
                raise _NotNumbers from None
            if "utf-8" in message.lower():
                raise _NotUTF8 from None
            explain_broken_rows(self.file, self.head)
            first_line = message.splitlines()[0] if message else type(error).__name__
            raise self.file.error(f"is not a well-formed CSV file: {first_line}") from None
        except OSError as error:
            raise self.file.error(f"cannot be read: {error}") from None

    def _rows_of_data(
        self, frame: pl.DataFrame, last: str, columns: dict[str, str], wanted: Wanted
    ) -> tuple[pl.DataFrame, NDArray[np.int64] | None]:
        filled = np.ones(len(frame), np.bool_)
        # A row that is too short, or blank, comes back with its last fields null.
        if frame[last].null_count():
            counts = field_counts(self.file, self.head)
            own = counts > 0
            if len(self.head.names) == 1 and own.any():
                # An empty line is an empty cell there, but for those at the end.
                own = np.arange(len(own)) <= np.flatnonzero(own)[-1]
            if len(counts) == len(frame):
                filled = own
        if not filled.any():
            raise self.file.error("has a header and no rows; expected at least one row of data")
        by_column = {column: self.head.resolve(name) for name, column in columns.items()}
        rows = RowFilter(self.file.name, self.head, by_column, [columns[name] for name in wanted.time])
        keep = rows.keep(frame, filled)
        for note in rows.notes:
            warnings.warn(note, stacklevel=6)
        self.file.left_out = tuple(np.flatnonzero(~keep[filled]).tolist())
        if keep.all():
            return frame, None
        if not keep.any():
            raise self.file.error("has a header and no rows; expected at least one row of data")
        return frame.filter(pl.Series(keep)), np.flatnonzero(keep) + self.head.rows_line

    def _others(self, taken: dict[str, str], row_numbers: NDArray[np.int64] | None) -> pl.DataFrame:
        """The columns that are not in use, as text."""
        rest = {f"column_{i + 1}": name for i, name in enumerate(self.head.names)}
        columns = [column for column in rest if column not in taken.values()]
        if not columns:
            return pl.DataFrame()
        frame = self._read(dict.fromkeys(rest, pl.String), columns)
        if row_numbers is not None:
            frame = frame[row_numbers - self.head.rows_line]
        return text_columns(frame, [rest[column] for column in columns])


class _NotNumbers(Exception):
    """A number column holds something that is not a plain number."""


class _NotUTF8(Exception):
    """The text is not UTF-8 further down."""


def _lie_close(numbers: pl.Series) -> bool:
    """Whether float32 may lose what tells the numbers apart; read as text, their own spread is known."""
    low, high = numbers.min(), numbers.max()
    if not isinstance(low, float) or not isinstance(high, float):
        return False
    return 0 < high - low < _CLOSE * max(abs(low), abs(high))
