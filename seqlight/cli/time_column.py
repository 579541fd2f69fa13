"""Which column of a CSV holds the times, where the user did not say."""

import polars as pl

from seqlight.cli.errors import CommandError
from seqlight.data import CSVDialect, DataError
from seqlight.data.io.csv_head import find_head
from seqlight.data.io.text_file import TextFile
from seqlight.data.time.time_format import parse_times

SAMPLE_ROWS = 1000
MOST_NAMED = 8


def find_time_column(file: TextFile, dialect: CSVDialect, time_format: str | None) -> str:
    """The only column whose first rows are all timestamps, written otherwise than as plain numbers.

    Raises:
        CommandError: there is none, or several.
    """
    head = find_head(file, dialect)
    lines = file.head.split("\n")[head.rows_line - 1 :][:SAMPLE_ROWS]
    try:
        sample = pl.read_csv(
            "\n".join(lines).encode(),
            separator=head.separator,
            has_header=False,
            schema={str(index): pl.String for index in range(len(head.names))},
            truncate_ragged_lines=True,
            raise_if_empty=False,
        )
    except pl.exceptions.PolarsError:
        sample = pl.DataFrame()  # what is wrong with the file is said once the column is known
    names = [name for name in head.names if head.names.count(name) == 1]
    sample = pl.DataFrame(
        [sample[str(head.names.index(name))].alias(name) for name in names] if sample.width else None
    )
    sample = sample.filter(~pl.all_horizontal(pl.all().is_null()))  # blank lines
    found = [column.name for column in sample if _holds_times(column.str.strip_chars(), time_format)]
    if len(found) == 1:
        return found[0]
    looks = f"; {' and '.join(map(repr, found))} look like it" if found else ""
    if not found and sample.width:
        looks = f" The file has {', '.join(map(repr, sample.columns[:MOST_NAMED]))}"
        looks += ", ..." if sample.width > MOST_NAMED else ""
    raise CommandError(
        f"--time COLUMN is missing: which column holds the timestamps?{looks}\n  see: seqlight impute --help"
    )


def _holds_times(column: pl.Series, time_format: str | None) -> bool:
    plain_numbers = column.str.replace(",", ".", literal=True).cast(pl.Float64, strict=False)
    if column.is_empty() or column.has_nulls() or not plain_numbers.has_nulls():
        return False
    try:
        _, _, wrong = parse_times(column, time_format)
    except DataError:
        return False
    return wrong is None
