"""Which line of a CSV file is wrong: polars does not say."""

import csv
import io

import numpy as np
import polars as pl
from numpy.typing import NDArray

from seqlight.data.errors import DataError
from seqlight.data.io.csv_head import CSVHead
from seqlight.data.io.text_file import TextFile

_MOST_FOOTERS = 20


def explain_broken_rows(file: TextFile, head: CSVHead) -> None:
    """Raise DataError for the first row that is ragged or quoted wrongly; return if there is none."""
    field_counts(file, head)
    _field_counts_over_lines(file, head)
    _check_quotes(file, head)


def field_counts(file: TextFile, head: CSVHead) -> NDArray[np.int64]:
    """Return the number of fields of each row, 0 for a blank line.

    Raises:
        DataError: a row has not as many as the header.
    """
    line = pl.col("column_1").str.strip_chars_end("\r")
    unquoted = (
        pl.when(line.str.contains('"', literal=True))
        .then(line.str.replace_all(r'"[^"]*"', ""))
        .otherwise(line)
    )
    lines = _lines(file, head).select(
        counts=pl.when(line.is_null() | (line == ""))
        .then(0)
        .otherwise(unquoted.str.count_matches(head.separator, literal=True) + 1),
        open_quote=unquoted.str.contains('"', literal=True),
    )
    if lines["open_quote"].any():  # a quoted field goes over several lines
        return _field_counts_over_lines(file, head)
    counts = lines["counts"].to_numpy().astype(np.int64)
    ragged = (counts != len(head.names)) & (counts > 0)
    if ragged.any():
        row = int(np.argmax(ragged))
        rest = ragged[row:] | (counts[row:] == 0)
        footer = int(ragged.sum()) if rest.all() and row and ragged.sum() <= _MOST_FOOTERS else 0
        raise _ragged_error(file, head, row + head.rows_line, int(counts[row]), footer)
    return counts


def _lines(file: TextFile, head: CSVHead) -> pl.DataFrame:
    """Every line below the header as it is, in one column."""
    return pl.read_csv(
        file.source,
        has_header=False,
        skip_lines=head.rows_line - 1,
        raise_if_empty=False,
        schema={"column_1": pl.String},
        separator="\x01",
        quote_char=None,
        truncate_ragged_lines=True,
    )


def _check_quotes(file: TextFile, head: CSVHead) -> None:
    """Refuse a quote in the middle of a field, which polars takes for the beginning of one."""
    odd = _lines(file, head)["column_1"].str.count_matches('"', literal=True) % 2 == 1
    if odd.any():
        line = (odd.arg_max() or 0) + head.rows_line
        raise file.error(
            f"line {line}: a quote that is not closed; remove it, or quote the field and double the quote"
        )


def _field_counts_over_lines(file: TextFile, head: CSVHead) -> NDArray[np.int64]:
    text = io.StringIO(file.read().decode(errors="replace"), newline="")
    above = head.rows_line - 1
    for _ in range(above):
        text.readline()
    reader = csv.reader(text, delimiter=head.separator, strict=True)
    counts: list[int] = []
    begin = 1
    try:
        for fields in reader:
            if len(fields) not in (0, len(head.names)):
                raise _ragged_error(file, head, begin + above, len(fields))
            counts.append(len(fields))
            begin = reader.line_num + 1
    except csv.Error as error:
        raise file.error(
            f"line {begin + above}: a quote opens there and is not closed as it should be ({error}); mend "
            "the row"
        ) from None
    return np.array(counts, np.int64)


def _ragged_error(file: TextFile, head: CSVHead, line: int, count: int, footer: int = 0) -> DataError:
    width = len(head.names)
    if footer:  # nothing as wide as the header comes after it
        them = "it" if footer == 1 else "them"
        last = "last line is" if footer == 1 else f"last {footer} lines are"
        return file.error(
            f"line {line} has {count} field{'s' * (count != 1)}, the header {width} (line {head.line}); if "
            f"the {last} a footer, pass skip_footer={footer} to leave {them} out; else quote fields "
            "that contain the separator"
        )
    return file.error(
        f"line {line} has {count} field{'s' * (count != 1)}, the header {width} (line {head.line}); "
        "every row needs as many as the header (quote fields that contain the separator)"
    )
