"""A CSV file as text, cell by cell, to be written again with nothing changed but what is meant."""

import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from seqlight.data.errors import DataError
from seqlight.data.io.csv_head import CSVHead, find_head
from seqlight.data.io.dialect import CSVDialect
from seqlight.data.io.filled_cells import FilledCells
from seqlight.data.io.numbers import NumberStyle, TextNumbers, is_missing, read_numbers, tidied
from seqlight.data.io.signs import without_signs
from seqlight.data.io.text_file import TextFile

_MOST_DECIMALS = 17
_FLOAT32_DIGITS = 7
_PAD = "\0"  # where a row that is no data has its cells of the new columns


@dataclass
class CSVText:
    """The records of a CSV file as they are written: quotes, blanks, spellings and line ends included.

    Attributes:
        file: the file.
        dialect: how it is written.
        head: where its header is.
        above: the lines above the header.
        header: the fields of the header, as written.
        header_end: the header's line end.
        labels: further lines of the header (names, units): their fields and line ends.
        rows: the fields of each row, as written; blank lines are not among them.
        ends: the line end of each row ("" after a last row without one).
        blanks: blank lines above each row, and after the last: one string more than there are rows; rows that
            are no data (footers, repeated headers) stand there too.
    """

    file: TextFile
    dialect: CSVDialect
    head: CSVHead
    above: str
    header: list[str]
    header_end: str
    labels: list[tuple[list[str], str]]
    rows: list[list[str]]
    ends: list[str]
    blanks: list[str]

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.rows)

    def names(self) -> list[str]:
        """The names of the columns, without their quotes."""
        return [unquoted(field) for field in self.header]

    def resolved(self, columns: Sequence[str]) -> list[str]:
        """The header's names of columns that may be named by a further line of the header."""
        return [self.head.resolve(name) for name in columns]

    def column(self, name: str) -> pl.Series:
        """The cells of a column as text without quotes and blanks around, a String series."""
        index = self.names().index(self.head.resolve(name))
        return pl.Series(name, [unquoted(row[index]) for row in self.rows], pl.String).str.strip_chars()

    def numbers(self, name: str) -> pl.Series | None:
        """A column as Float64, null where a value is missing; None if a cell holds anything but numbers."""
        read = self._read(name)
        return None if read.bad is not None or read.values.null_count() == len(self) else read.values

    def _read(self, name: str) -> TextNumbers:
        text = tidied(self.column(name))
        missing = is_missing(text, self.dialect.missing_values)
        return read_numbers(without_signs(text, missing)[0], missing, self.dialect.styles())

    def _signs(self, name: str) -> tuple[str, str]:
        """What stands before and behind each number of a column."""
        text = tidied(self.column(name))
        signs = without_signs(text, is_missing(text, self.dialect.missing_values))[1]
        if signs is None or signs.sign is None:
            return "", ""
        return (signs.sign, "") if signs.before else ("", signs.sign)

    def decimals(self, name: str, style: NumberStyle) -> int | None:
        """Most decimals that a number of the column is written with; None if one has an exponent."""
        return self._most_decimals(self.column(name), style)

    def _most_decimals(self, cells: pl.Series, style: NumberStyle) -> int | None:
        text = tidied(cells)
        missing = is_missing(text, self.dialect.missing_values)
        number = without_signs(text, missing)[0].filter(~missing)
        if number.str.contains("[eE]").any():
            return None
        longest = number.str.split_exact(style.decimal, 1).struct.field("field_1").str.len_chars().max()
        return min(longest, _MOST_DECIMALS) if isinstance(longest, int) else 0

    def _row_decimals(self, columns: Sequence[int], row: int, style: NumberStyle) -> int | None:
        """Likewise of some cells of one row."""
        cells = pl.Series([unquoted(self.rows[row][index]) for index in columns], dtype=pl.String)
        return self._most_decimals(cells, style)

    def with_rows(
        self, after: NDArray[np.int64], cells: Mapping[str, Sequence[str]], copied: Sequence[str]
    ) -> tuple["CSVText", NDArray[np.int64], NDArray[np.int64]]:
        """The text with new rows.

        Args:
            after: [A] the row below which each new row comes; several below one row come in their order.
            cells: by column name, the A new cells; quoted where the row above has quotes.
            copied: columns whose cell is that of the row above. All others are empty.

        Returns:
            The new text, where each old row is in it [rows], and where each new row is [A].
        """
        names = self.names()
        by_row: dict[int, list[int]] = {}
        for number, row in enumerate(after.tolist()):
            by_row.setdefault(row, []).append(number)
        result = replace(self, rows=[], ends=[], blanks=[self.blanks[0]])
        old, new = np.empty(len(self), np.int64), np.empty(len(after), np.int64)
        for row, (fields, end) in enumerate(zip(self.rows, self.ends, strict=True)):
            old[row] = len(result)
            result.rows.append(fields)
            for number in by_row.get(row, ()):
                new[number] = len(result)
                result.ends.append(end or self.header_end)
                result.blanks.append("")
                added = [""] * len(fields)
                for name, column in cells.items():
                    index = names.index(name)
                    quoted = fields[index].strip().startswith('"')
                    added[index] = f'"{column[number]}"' if quoted else self._quoted(column[number])
                for name in copied:
                    added[names.index(name)] = fields[names.index(name)]
                result.rows.append(added)
            result.ends.append(end)
            result.blanks.append(self.blanks[row + 1])
        return result, old, new

    def filled(self, cells: FilledCells) -> bytes:
        """Return the file with some cells filled, and more columns that tell which.

        Every other byte stays as it is. A value is written with as many decimals as the known cells of its
        column have at most (of its row, where columns are steps), and no more than float32 can carry.
        """
        columns = self.names()
        index_of = {name: columns.index(self.head.resolve(name)) for name in cells.values}
        places = list(index_of.values())
        of_row: dict[int, int | None] = {}
        written = {}
        for name, values in cells.values.items():
            style = self._read(name).style
            decimals = None if cells.alike else self.decimals(name, style)
            before, behind = self._signs(name)
            texts = {}
            for place in np.flatnonzero(cells.filled[name]).tolist():
                if cells.alike:
                    if place not in of_row:
                        of_row[place] = self._row_decimals(places, place, style)
                    decimals = of_row[place]
                signed = before + self._number(float(values[place]), decimals, style) + behind
                texts[place] = self._quoted_number(signed, style)
            written[index_of[name]] = texts
        separator = self.dialect.separator or ","
        padding = separator * len(cells.marks)
        header = [*self.header, *map(self._quoted, cells.marks)]
        out = io.StringIO(newline="")
        out.write(self.above + separator.join(header) + (self.header_end or "\n"))
        for labels, end in self.labels:
            out.write(separator.join([*labels, *[""] * len(cells.marks)]) + end)
        filled_rows = {place for texts in written.values() for place in texts}
        marks: list[tuple[str, ...]] = list(zip(*cells.marks.values(), strict=True))
        for number, (row, end, blank) in enumerate(zip(self.rows, self.ends, self.blanks[:-1], strict=True)):
            if number in filled_rows:
                row = [
                    written[index].get(number, field) if index in written else field
                    for index, field in enumerate(row)
                ]
            own = map(self._quoted, marks[number])
            out.write(blank.replace(_PAD, padding) + separator.join([*row, *own]) + end)
        out.write(self.blanks[-1].replace(_PAD, padding))
        return self.file.encode(out.getvalue())

    def _number(self, value: float, decimals: int | None, style: NumberStyle) -> str:
        if decimals is None:
            text = f"{value:.{_FLOAT32_DIGITS}g}"
        else:
            whole = len(str(int(abs(value)))) if abs(value) >= 1 else 0
            text = f"{value:.{max(0, min(decimals, max(_FLOAT32_DIGITS - whole, 0)))}f}"
            text = text.replace("-", "") if not text.strip("-0.") else text  # no "-0"
        return text.replace(".", style.decimal)

    def _quoted_number(self, text: str, style: NumberStyle) -> str:
        return f'"{text}"' if style.decimal == self.dialect.separator else text

    def _quoted(self, field: str) -> str:
        if any(character in field for character in (self.dialect.separator or ",", '"', "\n", "\r")):
            doubled = field.replace('"', '""')
            return f'"{doubled}"'
        return field


def read_csv_text(file: TextFile, dialect: CSVDialect) -> CSVText:
    """Take a CSV file apart that ``read_table`` has accepted.

    Args:
        file: the file.
        dialect: ``Table.dialect``, with everything settled that the reading has found.

    Raises:
        DataError: the text cannot be taken apart into as many fields in every row as the header has.
    """
    head = find_head(file, dialect)
    lines, below = file.text().split("\n"), ""
    if dialect.skip_footer:
        filled = [index for index, line in enumerate(lines) if line.strip()]
        below = "\n".join(lines[filled[-dialect.skip_footer] :])
        lines = [*lines[: filled[-dialect.skip_footer]], ""]
    above = "".join(line + "\n" for line in lines[: head.line - 1])
    records = list(_records("\n".join(lines[head.line - 1 :]), head.separator))
    fields, header_end = records[0]
    result = CSVText(file, dialect, head, above, fields, header_end, [], [], [], [""])
    labels = len(head.labels)
    left_out, record = set(file.left_out), 0
    # In a file of one column an empty line is an empty cell, but for those at the end.
    last = max(number for number, (row, _) in enumerate(records) if row != [""])
    for number, (row, end) in enumerate(records[1:], 1):
        if row == [""] and (len(fields) > 1 or number > last):
            if len(result.labels) == labels:
                result.blanks[-1] += end
            elif result.labels:
                result.labels[-1] = (result.labels[-1][0], result.labels[-1][1] + end)
            else:
                result.header_end += end
            continue
        if len(row) != len(fields):
            raise DataError(
                f"{file.name}: row {len(result) + 1} has {len(row)} fields, the header {len(fields)}; every "
                "row needs as many as the header"
            )
        if len(result.labels) < labels:
            result.labels.append((row, end))
            continue
        if record in left_out:
            result.blanks[-1] += head.separator.join(row) + _PAD + end
        else:
            result.rows.append(row)
            result.ends.append(end)
            result.blanks.append("")
        record += 1
    result.blanks[-1] += below
    return result


def unquoted(field: str) -> str:
    """A field's content: without the quotes around it."""
    if len(field) >= 2 and field[0] == field[-1] == '"':
        return field[1:-1].replace('""', '"')
    return field


def _records(text: str, separator: str) -> Sequence[tuple[list[str], str]]:
    """Each record's fields as written, and its line end."""
    lines = text.splitlines(keepends=True) if _plain_lines(text) else re.findall(r"[^\n]*\n|[^\n]+", text)
    records: list[tuple[list[str], str]] = []
    field = re.compile(rf'(?:"(?:[^"]|"")*"|[^{re.escape(separator)}"]|")*')
    waiting = ""
    for line in lines:
        line = waiting + line
        if line.count('"') % 2:  # a quoted field goes on in the next line
            waiting = line
            continue
        waiting = ""
        content = line.rstrip("\n")
        content = content.removesuffix("\r") if line.endswith("\n") else content
        end = line[len(content) :]
        if '"' not in content:
            records.append((content.split(separator), end))
            continue
        fields, position = [], 0
        while True:
            match = field.match(content, position)
            assert match is not None  # it matches the empty string too
            fields.append(match[0])
            if match.end() >= len(content):
                break
            position = match.end() + 1
        records.append((fields, end))
    if waiting:
        records.append(([waiting], ""))
    return records


def _plain_lines(text: str) -> bool:
    r"""Whether ``str.splitlines`` breaks at ``\n`` alone: no other character that it takes for a line end."""
    return not re.search("[\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029]", text)
