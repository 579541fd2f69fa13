"""Reading the needed columns of a CSV file into a Table, with one clear error for whatever is wrong."""

import csv
import gzip
import io
import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from seqlight.data.errors import DataError
from seqlight.data.io.table import Table, check_columns

_HEAD_BYTES = 1 << 16
COARSEST = 0.05  # of a column's standard deviation
MISSING_SPELLINGS = ("", "na", "n/a", "#n/a", "nan", "null", "none", "-", "?")
_CONTAINERS = {
    b"PAR1": "a Parquet file: read it with polars.read_parquet and pass the frame",
    b"PK\x03\x04": "a ZIP archive or a spreadsheet: unpack it, or export it as CSV",
    b"\x28\xb5\x2f\xfd": "zstd-compressed: unpack it, or compress it with gzip",
    b"BZh": "bzip2-compressed: unpack it, or compress it with gzip",
    b"\xfd7zXZ": "xz-compressed: unpack it, or compress it with gzip",
    b"\xff\xfe": "UTF-16 text: pass encoding='utf-16'",
    b"\xfe\xff": "UTF-16 text: pass encoding='utf-16'",
}


@dataclass(frozen=True)
class CSVDialect:
    """How a CSV file is written.

    Attributes:
        separator: one character between the fields.
        decimal_comma: numbers are written 1,5 for one and a half; needs another separator.
        encoding: Python's name of the text encoding.
    """

    separator: str = ","
    decimal_comma: bool = False
    encoding: str = "utf-8"

    def __post_init__(self) -> None:
        """Check the arguments; raises DataError."""
        if len(self.separator) != 1 or self.separator in '"\r\n':
            raise DataError(f"separator: expected one character such as ',' or ';', got {self.separator!r}")
        if self.decimal_comma and self.separator == ",":
            raise DataError("decimal_comma: needs another separator than ',', such as separator=';'")
        try:
            "".encode(self.encoding)
        except LookupError:
            raise DataError(
                f"encoding: expected a text encoding that Python knows, such as 'utf-8' or 'latin-1', "
                f"got {self.encoding!r}"
            ) from None

    def numbers(self, text: pl.Series) -> pl.Series:
        """Stripped cells as Float64, null for what is no number, as with a point beside decimal commas."""
        if self.decimal_comma:
            text = text.str.replace(".", "x", literal=True).str.replace(",", ".", literal=True)
        return text.cast(pl.Float64, strict=False)


def read_csv_table(
    path: str | os.PathLike[str],
    *,
    time_col: str,
    target_cols: Sequence[str],
    id_col: str | None = None,
    dialect: CSVDialect | None = None,
) -> Table:
    """Read the named columns of the CSV file at ``path`` (plain or gzip).

    Empty fields and the usual spellings of a missing value (NA, NaN, null, ...) become NaN. Blank lines are
    left out.

    Raises:
        DataError: the file cannot be read, lacks a column, has rows of another width than its header, or
            text, infinity or a number beyond float32's range in a target column.
    """
    return _Reader(Path(path), dialect or CSVDialect()).read(time_col, list(target_cols), id_col)


class _Reader:
    def __init__(self, path: Path, dialect: CSVDialect) -> None:
        self.path = path
        self.dialect = dialect
        self.source: Path | bytes = path
        self.skip = 1  # lines above the first row: the header, and blank lines after it

    def read(self, time_col: str, target_cols: list[str], id_col: str | None) -> Table:
        header = self._header()
        wanted = [("time_col", time_col)] + [("target_cols", name) for name in target_cols]
        if id_col is not None:
            wanted.append(("id_col", id_col))
        self._check_separator(header, wanted)
        check_columns(str(self.path), wanted, header)

        names = {name: f"column_{header.index(name) + 1}" for _, name in wanted}
        targets = [names[name] for name in target_cols]
        schema: dict[str, pl.DataType | type[pl.DataType]] = {
            f"column_{i + 1}": pl.String for i in range(len(header))
        }
        # polars takes a point for one beside decimal commas too
        schema |= dict.fromkeys(targets, pl.String if self.dialect.decimal_comma else pl.Float32)
        if id_col is not None:
            schema[names[id_col]] = pl.Categorical
        last = f"column_{len(header)}"
        columns = list(dict.fromkeys([*names.values(), last]))
        try:
            frame = self._read(schema, columns)
        except _NotNumbers:
            frame = self._read(schema | dict.fromkeys(targets, pl.String), columns)
        if frame.is_empty():
            raise self._error("has a header and no rows; expected at least one row of data")

        # A row that is too short, or blank, comes back with its last fields null.
        row_numbers = None
        if frame[last].null_count():
            counts = self._field_counts(len(header))
            keep = counts > 0
            if len(counts) == len(frame) and not keep.all():
                row_numbers = np.flatnonzero(keep) + self.skip + 1
                frame = frame.filter(pl.Series(keep))
                if frame.is_empty():
                    raise self._error("has a header and no rows; expected at least one row of data")

        table = Table(
            source=str(self.path),
            time=frame[names[time_col]],
            ids=None if id_col is None else frame[names[id_col]],
            values=np.empty((len(frame), len(targets)), np.float32),
            first_line=self.skip + 1,
            row_numbers=row_numbers,
        )
        for i, (column, name) in enumerate(zip(targets, target_cols, strict=True)):
            numbers = frame[column]
            if numbers.dtype == pl.String:
                numbers = self._numbers(numbers, name, table)
            table.values[:, i] = numbers.to_numpy()
            self._warn_if_coarse(table.values[:, i], name)
        return table

    def _warn_if_coarse(self, values: NDArray[np.float32], name: str) -> None:
        """Say so where float32 has too few digits for what a large number varies by."""
        known = values[np.isfinite(values)]
        if not len(known):
            return
        step, spread = float(np.spacing(np.abs(known).max())), float(known.std(dtype=np.float64))
        if step > COARSEST * spread > 0:
            warnings.warn(
                f"{self.path}: column {name!r} varies by {spread:.3g} only, and numbers as large as its own "
                f"are kept in steps of {step:.3g}; subtract a constant from them first",
                stacklevel=4,
            )

    def _header(self) -> list[str]:
        """Column names; checks on the way that the file is there and is text."""
        path = self.path
        if path.is_dir():
            raise DataError(f"{path}: is a folder; expected a CSV file")
        try:
            with path.open("rb") as file:
                magic = file.read(8)
            compressed = magic.startswith(b"\x1f\x8b")
            with gzip.open(path) if compressed else path.open("rb") as file:
                head = file.read(_HEAD_BYTES)
        except FileNotFoundError:
            raise DataError(f"{path}: no such file; expected the path of a CSV file") from None
        except (OSError, EOFError) as error:
            raise self._error(f"cannot be read: {error}") from None
        if not head.strip(b"\xef\xbb\xbf \t\r\n"):
            raise self._error("is empty; expected a header line and rows of data")
        utf8 = self.dialect.encoding.lower().replace("_", "-") in ("utf-8", "utf8", "utf-8-sig")
        if utf8:
            self._check_text(head)
            text = self._decode(head[: head.rfind(b"\n") + 1] or head, "utf-8-sig")
        else:
            with gzip.open(path) if compressed else path.open("rb") as file:
                text = self._decode(file.read(), self.dialect.encoding).removeprefix("\ufeff")
            self.source = text.encode()
        if "\n" not in text and "\r" in text:
            raise self._error(
                "has old Mac line ends (carriage returns alone); save it with Unix or Windows ones"
            )
        try:
            header = next(csv.reader(io.StringIO(text[:_HEAD_BYTES]), delimiter=self.dialect.separator))
        except csv.Error as error:
            raise self._error(f"the header is not well-formed: {error}") from None
        if not any(name.strip() for name in header):
            raise self._error("begins with a blank line; expected the header there")
        below = text.split("\n")[1:]
        self.skip += next((i for i, line in enumerate(below) if line.strip("\r")), 0)
        return header

    def _check_text(self, head: bytes) -> None:
        for magic, what in _CONTAINERS.items():
            if head.startswith(magic):
                raise self._error(f"is {what}")
        control = sum(head.count(byte) for byte in (*range(9), *range(14, 32)))
        if b"\0" in head or control > len(head) // 100:
            raise self._error("is binary data, not text; expected a CSV file")

    def _decode(self, data: bytes, encoding: str) -> str:
        try:
            return data.decode(encoding)
        except UnicodeError:
            raise self._encoding_error() from None

    def _encoding_error(self) -> DataError:
        return self._error(
            f"is not {self.dialect.encoding} text; pass its encoding, such as encoding='latin-1'"
        )

    def _check_separator(self, header: list[str], wanted: list[tuple[str, str]]) -> None:
        """Say so when the columns are missing because the file has another separator."""
        joined = self.dialect.separator.join(header)
        for separator in ";\t|,":
            names = [name.strip('"') for name in joined.split(separator)]
            missing = any(name not in header for _, name in wanted)
            if separator != self.dialect.separator and missing and all(name in names for _, name in wanted):
                raise self._error(
                    f"the fields of the header are separated by {separator!r}, not by "
                    f"{self.dialect.separator!r}; pass separator={separator!r}"
                    + (" (and decimal_comma=True if numbers are written 1,5)" if separator == ";" else "")
                )

    def _read(self, schema: dict[str, pl.DataType | type[pl.DataType]], columns: list[str]) -> pl.DataFrame:
        try:
            return pl.read_csv(
                self.source,
                # The header was read already, so columns go by position: names may be odd.
                has_header=False,
                skip_rows=self.skip,
                raise_if_empty=False,
                schema=schema,
                columns=columns,
                separator=self.dialect.separator,
                decimal_comma=self.dialect.decimal_comma,
            ).select(columns)
        except pl.exceptions.PolarsError as error:
            message = str(error)
            if "dtype `f32`" in message:
                raise _NotNumbers from None
            if "utf-8" in message.lower():
                raise self._encoding_error() from None
            # polars does not say where: look for the first row that is ragged or quoted wrongly.
            self._field_counts(len(schema))
            self._field_counts_over_lines(len(schema))
            self._check_quotes()
            first_line = message.splitlines()[0] if message else type(error).__name__
            raise self._error(f"is not a well-formed CSV file: {first_line}") from None
        except OSError as error:
            raise self._error(f"cannot be read: {error}") from None

    def _lines(self) -> pl.DataFrame:
        """Every line below the header as it is, in one column."""
        return pl.read_csv(
            self.source,
            has_header=False,
            skip_rows=self.skip,
            raise_if_empty=False,
            schema={"column_1": pl.String},
            separator="\x01",
            quote_char=None,
            truncate_ragged_lines=True,
        )

    def _check_quotes(self) -> None:
        """Refuse a quote in the middle of a field, which polars takes for the beginning of one."""
        odd = self._lines()["column_1"].str.count_matches('"', literal=True) % 2 == 1
        if odd.any():
            line = (odd.arg_max() or 0) + self.skip + 1
            raise self._error(
                f"line {line}: a quote that is not closed; remove it, or quote the field and double the quote"
            )

    def _field_counts(self, width: int) -> NDArray[np.int64]:
        """Number of fields of each row below the header, 0 for a blank line; refuses ragged rows."""
        separator = self.dialect.separator
        line = pl.col("column_1").str.strip_chars_end("\r")
        unquoted = (
            pl.when(line.str.contains('"', literal=True))
            .then(line.str.replace_all(r'"[^"]*"', ""))
            .otherwise(line)
        )
        lines = self._lines().select(
            counts=pl.when(line.is_null() | (line == ""))
            .then(0)
            .otherwise(unquoted.str.count_matches(separator, literal=True) + 1),
            open_quote=unquoted.str.contains('"', literal=True),
        )
        if lines["open_quote"].any():  # a quoted field goes over several lines
            return self._field_counts_over_lines(width)
        counts = lines["counts"].to_numpy().astype(np.int64)
        ragged = (counts != width) & (counts > 0)
        if ragged.any():
            row = int(np.argmax(ragged))
            raise self._ragged_error(row + self.skip + 1, int(counts[row]), width)
        return counts

    def _field_counts_over_lines(self, width: int) -> NDArray[np.int64]:
        data = self.source if isinstance(self.source, bytes) else self.source.read_bytes()
        if data.startswith(b"\x1f\x8b"):
            data = gzip.decompress(data)
        text = io.StringIO(data.decode(errors="replace"), newline="")
        reader = csv.reader(text, delimiter=self.dialect.separator, strict=True)
        counts: list[int] = []
        begin = 1
        try:
            for fields in reader:
                if len(fields) not in (0, width):
                    raise self._ragged_error(begin, len(fields), width)
                counts.append(len(fields))
                begin = reader.line_num + 1
        except csv.Error as error:
            raise self._error(
                f"line {begin}: a quote opens there and is not closed as it should be ({error}); mend the row"
            ) from None
        del counts[0]  # the header
        return np.trim_zeros(np.array(counts, np.int64), "f")

    def _ragged_error(self, line: int, count: int, width: int) -> DataError:
        return self._error(
            f"line {line} has {count} field{'s' * (count != 1)}, the header {width}; "
            "every row needs as many as the header (quote fields that contain the separator)"
        )

    def _numbers(self, text: pl.Series, name: str, table: Table) -> pl.Series:
        """A text column as float32, the usual spellings of a missing value as null."""
        text = text.str.strip_chars()
        missing = text.is_null() | text.str.to_lowercase().is_in(MISSING_SPELLINGS)
        numbers = self.dialect.numbers(text).cast(pl.Float32)
        bad = numbers.is_null() & ~missing
        if bad.any():
            row = bad.arg_max()
            assert row is not None  # some value is True
            value = text[row]
            hint = "mend the cell, or leave it empty if the value is missing"
            if "." in value and ("," in value or self.dialect.decimal_comma):
                hint = "thousands separators are not read: remove them"
            elif "," in value and not self.dialect.decimal_comma:
                hint = "if it is a decimal comma, pass decimal_comma=True with the file's separator"
            raise self._error(
                f"{table.row_name(row)}, column {name!r}: expected a number, got {value!r}; {hint}"
            )
        return numbers.set(missing, None)

    def _error(self, what: str) -> DataError:
        return DataError(f"{self.path}: {what}")


class _NotNumbers(Exception):
    """A target column holds something that is not a plain number."""
