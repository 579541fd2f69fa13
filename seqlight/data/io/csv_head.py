"""The head of a CSV file: its separator, where the header is, and which lines below it are still header."""

import csv
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from seqlight.data.errors import DataError
from seqlight.data.io.dialect import CSVDialect
from seqlight.data.io.numbers import MISSING_SPELLINGS
from seqlight.data.io.text_file import TextFile

SEPARATORS = (",", ";", "\t", "|")
_MOST_LINES = 100  # searched for a header
_MOST_TITLES = 5  # lines below a title that are looked at
_MERGED = 2  # names that a line of merged cells lacks
_MOST_LABELS = 3  # lines of a header below its first one
_NUMBER = re.compile(r"[+-]?[\d.,' ]*\d[\d.,' ]*([eE][+-]?\d+)?%?")
_SEPARATOR_LINE = re.compile(r'"?sep=.?"?', re.IGNORECASE)  # for Excel, above the header
_DATE_LIKE = re.compile(r"\d{1,4}[-/.:]\d")


@dataclass(frozen=True)
class CSVHead:
    """What stands above the rows.

    Attributes:
        separator: between the fields.
        names: of the columns.
        line: of the header, from 1.
        rows_line: of the first row, from 1.
        labels: lines of names or units below the header, as lists of cells.
    """

    separator: str
    names: list[str]
    line: int
    rows_line: int
    labels: tuple[tuple[str, ...], ...] = ()

    def resolve(self, name: str) -> str:
        """Return the header's name of a column that may be named by a line below the header instead."""
        if name in self.names:
            return name
        below = {index for cells in self.labels for index, cell in enumerate(cells) if cell == name}
        return self.names[below.pop()] if len(below) == 1 else name


def find_head(file: TextFile, dialect: CSVDialect, wanted: Sequence[str] = ()) -> CSVHead:
    """Find separator and header: the first line that names every wanted column, or is as wide as most.

    Raises:
        DataError: the header is not well-formed.
    """
    check_line_ends(file)
    lines = [line.removesuffix("\r") for line in file.head.split("\n")]
    separators = SEPARATORS if dialect.separator is None else (dialect.separator,)
    heads = [head for separator in separators if (head := _head(file, dialect, lines, separator, wanted))]
    naming = [head for head in heads if all(head.resolve(name) in head.names for name in wanted)]
    # Of several, the one that most lines agree with.
    return max(naming or heads, key=lambda head: _agreement(lines, head))


def _head(
    file: TextFile, dialect: CSVDialect, lines: list[str], separator: str, wanted: Sequence[str]
) -> CSVHead:
    skip = dialect.skip_rows or 0
    filled = [index for index, line in enumerate(lines) if index >= skip and line.strip()]
    if len(filled) > 1 and _SEPARATOR_LINE.fullmatch(lines[filled[0]].lstrip("\ufeff")):
        filled = filled[1:]
    if not filled:
        raise file.error(f"skip_rows: {skip} lines are skipped, and nothing is below them in the first lines")
    candidates = filled[:1] if dialect.skip_rows is not None else filled[:_MOST_LINES]
    first = below = None
    for index in candidates:
        head = _head_at(file, lines, separator, index)
        if first is None and head.names and _is_as_wide_as_most(lines, filled, separator, index):
            first = head
        if wanted and all(name in head.names for name in wanted):
            return head
        if wanted and below is None and all(head.resolve(name) in head.names for name in wanted):
            below = head
    if below is not None:
        return below
    first = first or _head_at(file, lines, separator, candidates[0])
    top = _head_at(file, lines, separator, candidates[0])
    if first.line > top.line and len(top.names) > 1 and _labels(top.names) and _is_row(first.names):
        # The first line has names, and what was taken for the header is a row of data.
        raise file.error(
            f"line {first.line} has {len(first.names)} fields, the header {len(top.names)} (line {top.line})"
            "; every row needs as many as the header (quote fields that contain the separator, and remove "
            "separators at the ends of rows)"
        )
    return first if dialect.skip_rows is not None else _below_titles(file, lines, separator, first)


def _below_titles(file: TextFile, lines: list[str], separator: str, head: CSVHead) -> CSVHead:
    """The header below titles that are padded with separators: the first fuller line without numbers.

    Such a line is empty but for its first cell, or lacks several names: merged cells of a spreadsheet.
    """
    while True:
        filled = sum(bool(name.strip()) for name in head.names)
        title = filled <= 1 and (not filled or bool(head.names[0].strip())) and len(head.names) > 1
        if not title and len(head.names) - filled < _MERGED:
            return head
        other = None
        for index in range(head.line, min(head.line + _MOST_TITLES, len(lines))):
            if not lines[index].strip(f"{separator} \t\r"):
                continue
            other = _head_at(file, lines, separator, index)
            named = [name for name in other.names if name.strip()]
            if len(other.names) != len(head.names) or not _labels(named):
                return head
            if len(named) > filled:
                break
            other = None  # one more line of titles, as empty as the one before
        if other is None:
            return head
        head = other


def _head_at(file: TextFile, lines: list[str], separator: str, index: int) -> CSVHead:
    names, after = _record(file, lines, separator, index)
    labels: list[tuple[str, ...]] = []
    position = after
    while len(labels) <= _MOST_LABELS and position < len(lines):
        if not lines[position].strip():
            position += 1
            continue
        cells, end = _record(file, lines, separator, position)
        if len(cells) != len(names) or not _labels(cells):
            break
        labels.append(tuple(cell.strip() for cell in cells))
        position = end
    # Labels are labels only above a row of data; text all the way down is something else.
    if len(labels) > _MOST_LABELS or position >= len(lines) or not lines[position].strip():
        labels, position = [], after
    while position < len(lines) and not lines[position].strip():
        position += 1
    return CSVHead(separator, names, index + 1, position + 1, tuple(labels))


def _is_row(cells: Sequence[str]) -> bool:
    """Whether cells are data: a number or a date first, or numbers alone."""
    texts = [cell.strip() for cell in cells if cell.strip()]
    return bool(texts) and bool(
        _DATE_LIKE.search(texts[0]) or all(_NUMBER.fullmatch(text) for text in texts[:2])
    )


def _labels(cells: Sequence[str]) -> bool:
    """Whether cells are names or units: some text, and no number, date or spelling of a missing value."""
    texts = [cell.strip() for cell in cells if cell.strip()]
    first = cells[0].strip() if cells else ""
    return (
        bool(texts)
        and not re.search(r"\d", first)
        and not any(
            _NUMBER.fullmatch(text) or _DATE_LIKE.search(text) or text.lower() in MISSING_SPELLINGS
            for text in texts
        )
    )


def _record(file: TextFile, lines: list[str], separator: str, index: int) -> tuple[list[str], int]:
    """The fields of the record that begins in a line, and the line after it."""
    reader = csv.reader((line + "\n" for line in lines[index:]), delimiter=separator)
    try:
        return next(reader), index + reader.line_num
    except csv.Error as error:
        raise file.error(f"line {index + 1}: the header is not well-formed: {error}") from None


def _width(line: str, separator: str) -> int:
    return re.sub(r'"[^"]*"', "", line).count(separator) + 1


def _is_as_wide_as_most(lines: list[str], filled: list[int], separator: str, index: int) -> bool:
    widths = Counter(_width(lines[other], separator) for other in filled[1:] or filled)
    return _width(lines[index], separator) == widths.most_common(1)[0][0]


def _agreement(lines: list[str], head: CSVHead) -> tuple[bool, float, int, int]:
    """How well a separator fits: whether it makes names, not numbers, and the share of rows as wide."""
    rows = [line for line in lines[head.rows_line - 1 : head.rows_line + 200] if line.strip()][:100]
    width = len(head.names)
    share = sum(_width(line, head.separator) == width for line in rows) / max(1, len(rows))
    named = width > 1 and not any(_NUMBER.fullmatch(name) or _DATE_LIKE.search(name) for name in head.names)
    rank = SEPARATORS.index(head.separator) if head.separator in SEPARATORS else 0
    return named, share if width > 1 else 0.0, width, -rank


def check_line_ends(file: TextFile) -> None:
    """Raise DataError for a carriage return within the first line."""
    first = file.head.split("\n", 1)[0].removesuffix("\r")
    if "\r" in first:
        raise DataError(f"{file.name}: the header is not well-formed: it has a carriage return in it")
