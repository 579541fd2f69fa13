"""A sheet of an Excel or OpenDocument file as the text of a CSV file, line by line."""

import io
import zipfile
from typing import Any

import polars as pl

from seqlight.data.errors import DataError
from seqlight.data.io.compressed import ZIP

_OLE = b"\xd0\xcf\x11\xe0"  # Excel's format up to 2003
_MIDNIGHT = r"^\d{4}-\d{2}-\d{2} 00:00:00$"
_TIME = r"^\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}"
_TIME_OF_DAY = r"^(?:1899-12-3[01]|1900-01-00|1904-01-01) (\d{2}:\d{2}:\d{2})"  # of the first days there are


def is_spreadsheet(data: bytes) -> bool:
    """Return whether bytes are an Excel (.xlsx, .xlsb, .xls) or OpenDocument (.ods) file."""
    if data.startswith(_OLE):
        return True
    if not data.startswith(ZIP):
        return False
    try:
        names = set(zipfile.ZipFile(io.BytesIO(data)).namelist())
    except zipfile.BadZipFile:
        return False
    return bool(names & {"xl/workbook.xml", "xl/workbook.bin"}) or {"mimetype", "content.xml"} <= names


def sheet_text(name: str, data: bytes, sheet: str | None) -> tuple[str, bytes]:
    """Return what messages call a sheet, and its cells as CSV with a line for each row.

    Args:
        name: what messages call the file.
        data: all of it.
        sheet: the sheet's name, or its number from 1; None for the only one that is not empty.

    Raises:
        DataError: the package fastexcel is not installed, the file is damaged, or which sheet is not clear.
    """
    try:
        import fastexcel
    except ImportError:
        raise DataError(
            f"{name}: is a spreadsheet, which needs the package fastexcel; install it: "
            "pip install 'seqlight[excel]', or export the sheet as CSV"
        ) from None
    try:
        book = fastexcel.read_excel(data)
        index = _sheet_index(name, book, sheet)
        cells = _cells(book, index)
    except BaseException as error:
        # A damaged file may also make the reader panic, which is no Exception.
        if not isinstance(error, fastexcel.FastExcelError) and type(error).__name__ != "PanicException":
            raise
        raise DataError(
            f"{name}: is a spreadsheet that cannot be read: {str(error).splitlines()[0]}; save it again in "
            "the program that made it, or export the sheet as CSV"
        ) from None
    called = f"{name}, sheet {book.sheet_names[index]!r}" if len(book.sheet_names) > 1 else name
    if cells.is_empty():
        raise DataError(f"{called}: is empty; expected a header line and rows of data")
    lines = cells.with_columns(_as_dates(cells[column]) for column in cells.columns)
    return called, lines.write_csv(include_header=False).encode()


def _sheet_index(name: str, book: Any, sheet: str | None) -> int:
    names: list[str] = book.sheet_names
    listed = ", ".join(map(repr, names))
    if sheet is not None:
        if sheet in names:
            return names.index(sheet)
        if sheet.isdigit() and 1 <= int(sheet) <= len(names):
            return int(sheet) - 1
        raise DataError(f"{name}: sheet: there is no sheet {sheet!r}; the sheets are: {listed}")
    filled = [index for index in range(len(names)) if len(names) == 1 or _holds_cells(book, index)]
    if len(filled) > 1:
        raise DataError(
            f"{name}: which sheet? {', '.join(repr(names[index]) for index in filled)} hold cells; pass "
            f"sheet={names[filled[0]]!r}"
        )
    return filled[0] if filled else 0


def _holds_cells(book: Any, index: int) -> bool:
    """Whether a sheet has a cell; a sheet that is a chart has none."""
    import fastexcel

    try:
        return not _cells(book, index, 1).is_empty()
    except fastexcel.FastExcelError as error:
        if "not a valid worksheet" in str(error):
            return False
        raise


def _cells(book: Any, index: int, rows: int | None = None) -> pl.DataFrame:
    """The cells as text, empty rows at the top included: a row's number is that of the sheet."""
    sheet = book.load_sheet(index, header_row=None, skip_rows=0, n_rows=rows, dtypes="string")
    frame: pl.DataFrame = sheet.to_polars()
    return frame


def _as_dates(column: pl.Series) -> pl.Series:
    """Times as dates where all of a column are midnights, and as times of day where all are of day 0."""
    times = column.str.contains(_TIME).fill_null(False)
    if times.any() and column.filter(times).str.contains(_TIME_OF_DAY).all():
        return column.str.replace(_TIME_OF_DAY, "${1}")
    if not times.any() or not column.filter(times).str.contains(_MIDNIGHT).all():
        return column
    return column.str.replace(r"^(\d{4}-\d{2}-\d{2}) 00:00:00$", "${1}")
