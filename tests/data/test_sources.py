"""Every kind of file that is read: compressed, typed, spreadsheets, several at once; each opened once."""

import bz2
import gzip
import io
import lzma
import sys
import warnings
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow
import pytest

from seqlight.cli import main
from seqlight.data import CSVDataModule, CSVDialect, DataError, read_table
from seqlight.data.io.sources import open_source
from seqlight.data.io.table import Table
from seqlight.data.store.series_file import SeriesFile

DAYS = [str(np.datetime64("2024-01-01") + day) for day in range(40)]
TEXT = "ds,id,y\n" + "".join(f"{day},{name},{n}\n" for name in "ab" for n, day in enumerate(DAYS))
COLUMNS: dict[str, Any] = {"time_cols": ["ds"], "target_cols": ["y"], "id_cols": ["id"]}


def zipped(*members: tuple[str, str]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, text in members:
            archive.writestr(name, text)
    return buffer.getvalue()


COMPRESSED: dict[str, Callable[[bytes], bytes]] = {
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zst": lambda data: pyarrow.compress(data, codec="zstd", asbytes=True),
    "zip": lambda data: zipped(("in.csv", data.decode())),
}


def same(table: Table, text: str = TEXT) -> None:
    expected = read_table(text.encode(), **COLUMNS)
    np.testing.assert_array_equal(table.values, expected.values)
    assert table.time is not None and expected.time is not None and table.ids is not None
    assert table.time.cast(pl.String).to_list() == expected.time.to_list()
    assert table.ids.cast(pl.String).to_list() == expected.ids.cast(pl.String).to_list()  # type: ignore[union-attr]


@pytest.mark.parametrize("kind", COMPRESSED)
def test_compressed_text(kind: str, tmp_path: Path) -> None:
    path = tmp_path / f"in.csv.{kind}"
    for text in (
        TEXT,
        TEXT.replace("\n", "\r\n"),
        TEXT.replace("y\n", '"a ""y"\n', 1).replace('"a ""y"', "y"),
    ):
        path.write_bytes(COMPRESSED[kind](text.encode()))
        same(read_table(path, **COLUMNS))
    path.write_bytes(COMPRESSED[kind](TEXT.encode())[:-30])
    with pytest.raises(DataError, match="cannot be read"):
        read_table(path, **COLUMNS)


def test_archives_of_several_files_and_zstd_of_other_encodings(tmp_path: Path) -> None:
    path = tmp_path / "in.zip"
    path.write_bytes(zipped(("a.csv", TEXT), ("b.csv", TEXT)))
    with pytest.raises(DataError, match=r"an archive of 2 files .'a.csv', 'b.csv'.; unpack it"):
        read_table(path, **COLUMNS)
    path.write_bytes(COMPRESSED["zst"](TEXT.replace("ds", "Zeit für", 1).encode("latin-1")))
    with pytest.raises(DataError, match="zstd-compressed text that is not UTF-8; compress it with gzip"):
        read_table(path, **COLUMNS)


@pytest.mark.parametrize("codec", ["zstd", "snappy", "gzip", "lz4", "uncompressed"])
def test_parquet_of_any_codec(codec: str, tmp_path: Path) -> None:
    path = tmp_path / "in.parquet"
    pl.read_csv(TEXT.encode(), try_parse_dates=True).write_parquet(path, compression=codec)  # type: ignore[arg-type]
    same(read_table(path, **COLUMNS))


@pytest.fixture
def parts(tmp_path: Path) -> list[Path]:
    """The rows of each series in a file of its own."""
    lines = TEXT.splitlines()
    paths = [tmp_path / f"part-{n}.csv" for n in (1, 2)]
    for path, rows in zip(paths, (lines[1:41], lines[41:]), strict=True):
        path.write_text("\n".join([lines[0], *rows]) + "\n")
    return paths


def test_several_files_are_one_data_set(parts: list[Path]) -> None:
    same(read_table(parts, **COLUMNS))
    same(read_table(str(parts[0].with_name("part-*.csv")), **COLUMNS))
    typed = parts[1].with_name("part-2.parquet")
    pl.read_csv(parts[1]).write_parquet(typed)
    same(read_table([parts[0], typed], **COLUMNS))
    swapped = parts[1].with_name("swapped.csv")
    pl.read_csv(parts[1]).select("y", "ds", "id").write_csv(swapped)
    same(read_table([parts[0], swapped], **COLUMNS))


def test_their_names_as_ids(parts: list[Path]) -> None:
    data = CSVDataModule(
        parts,
        time_col="ds",
        target_cols="y",
        file_id="shop",
        context_length=3,
        prediction_length=2,
    )
    assert data.series_ids == ["part-1", "part-2"] and data.id_col == "shop"
    again = CSVDataModule(**{**data.hparams, "id_col": "id"})
    assert again.series_ids == ["part-1/a", "part-2/b"]
    with pytest.raises(DataError, match=r"file_id: .*of which there is one"):
        read_table(parts[0], dialect=CSVDialect(file_id="shop"), **COLUMNS)


def test_files_of_different_kinds_are_named(parts: list[Path], tmp_path: Path) -> None:
    parts[1].write_text(parts[1].read_text().replace("ds,id,y", "ds,id,z"))
    with pytest.raises(DataError, match=r"part-2.csv: has no column 'y', which .*part-1.csv has"):
        read_table(parts, **COLUMNS)
    parts[1].write_text("ds,id,y,z\n2024-01-01,c,1,2\n")
    with pytest.raises(DataError, match=r"part-2.csv: has a column 'z', which .*part-1.csv has not"):
        read_table(parts, **COLUMNS)
    parts[1].write_text("ds,id,y\n2024-01-01,c,1.5\n2024-01-02,c,x\n")
    with pytest.raises(DataError, match=r"part-2.csv: line 3, column 'y': expected a number, got 'x'"):
        read_table(parts, **COLUMNS)
    parts[0].write_text("ds;id;y\n2024-01-01;a;1,5\n")
    parts[1].write_text("ds,id,y\n2024-01-01,c,1.5\n")
    with pytest.raises(
        DataError, match=r"part-2.csv: its numbers have decimal_comma=False, those of .*part-1"
    ):
        read_table(parts, **COLUMNS)
    with pytest.raises(DataError, match="no file fits this pattern"):
        read_table(tmp_path / "none-*.csv", **COLUMNS)
    with pytest.raises(DataError, match="is named twice"):
        read_table([parts[0], parts[0]], **COLUMNS)


def test_rows_of_several_files_are_named_with_their_file(parts: list[Path]) -> None:
    parts[1].write_text(parts[1].read_text().replace("2024-01-09,b", "2024-01-08,b"))
    data = CSVDataModule(
        parts, time_col="ds", target_cols="y", id_col="id", context_length=3, prediction_length=2
    )
    with pytest.raises(
        DataError, match=r"line 10 of .*part-2.csv, column 'ds': .* repeats line 9 of .*part-2"
    ):
        _ = data.store


def test_a_folder_of_parquet_files(tmp_path: Path) -> None:
    folder = tmp_path / "parts"
    frame = pl.read_csv(TEXT.encode(), try_parse_dates=True)
    for name in "ab":
        for month in (1, 2):
            (folder / f"id={name}" / f"month={month}").mkdir(parents=True)
            own = frame.filter((pl.col("id") == name) & (pl.col("ds").dt.month() == month)).drop("id")
            own.write_parquet(folder / f"id={name}" / f"month={month}" / "0.parquet")
    same(read_table(folder, **COLUMNS))
    own.rename({"y": "z"}).write_parquet(folder / "id=b" / "month=2" / "0.parquet")
    with pytest.raises(
        DataError, match=r"month=2/0.parquet: has no column 'y', which .*month=1/0.parquet has"
    ):
        read_table(folder, **COLUMNS)
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "a.csv").write_text(TEXT)
    with pytest.raises(
        DataError, match=r"is a folder without Parquet files; give its files instead: '.*\*.csv'"
    ):
        read_table(tmp_path / "texts", **COLUMNS)


class TestSpreadsheets:
    @pytest.fixture(autouse=True)
    def _package(self) -> None:
        pytest.importorskip("fastexcel", reason="spreadsheets need the package fastexcel")

    def book(self, path: Path, *, titles: int = 0, units: bool = False, sheets: int = 1) -> Path:
        xlsxwriter = pytest.importorskip("xlsxwriter", reason="writes the test's spreadsheets")
        with xlsxwriter.Workbook(path) as book:
            date = book.add_format({"num_format": "dd.mm.yyyy"})
            for number in range(sheets):
                sheet = book.add_worksheet(f"Sheet {number}")
                rows: list[list[Any]] = [["Report"], [], ["", "North", ""]][:titles]
                rows += [["ds", "id", "y"], *([["", "name", "MWh"]] if units else [])]
                for line in TEXT.splitlines()[1:]:
                    day, name, value = line.split(",")
                    rows.append([np.datetime64(day).astype(object), name, float(value) + number])
                for row, cells in enumerate(rows):
                    for column, cell in enumerate(cells):
                        if hasattr(cell, "year"):
                            sheet.write_datetime(row, column, cell, date)
                        else:
                            sheet.write(row, column, cell)
            book.add_worksheet("Empty")
        return path

    @pytest.mark.parametrize(("titles", "units"), [(0, False), (3, False), (1, True)])
    def test_read(self, titles: int, units: bool, tmp_path: Path) -> None:
        path = self.book(tmp_path / "in.xlsx", titles=titles, units=units)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            table = read_table(path, **COLUMNS)
        same(table)
        said = [str(one.message).partition(": ")[2] for one in caught]
        assert len(said) == (titles > 0) + units
        assert not titles or f"the header was found in line {titles + 1}" in said[0]
        assert not units or f"line {titles + 2} below the header holds no numbers or dates" in said[-1]
        assert table.row_name(0) == f"line {titles + units + 2}"

    def test_several_sheets_are_asked_about(self, tmp_path: Path) -> None:
        path = self.book(tmp_path / "in.xlsx", sheets=2)
        with pytest.raises(
            DataError, match=r"which sheet. 'Sheet 0', 'Sheet 1' hold cells; pass sheet='Sheet 0'"
        ):
            read_table(path, **COLUMNS)
        for sheet in ("Sheet 1", "2"):
            table = read_table(path, dialect=CSVDialect(sheet=sheet), **COLUMNS)
            assert table.values[0, 0] == 1 and "sheet 'Sheet 1'" in table.source
        with pytest.raises(
            DataError, match="there is no sheet 'x'; the sheets are: 'Sheet 0', 'Sheet 1', 'Empty'"
        ):
            read_table(path, dialect=CSVDialect(sheet="x"), **COLUMNS)

    def test_open_document(self, tmp_path: Path) -> None:
        def cell(text: str) -> str:
            if text.replace(".", "").isdigit():
                return f'<table:table-cell office:value-type="float" office:value="{text}"/>'
            if text.startswith("2024"):
                return f'<table:table-cell office:value-type="date" office:date-value="{text}"/>'
            return f'<table:table-cell office:value-type="string"><text:p>{text}</text:p></table:table-cell>'

        rows = "".join(
            f"<table:table-row>{''.join(map(cell, line.split(',')))}</table:table-row>"
            for line in TEXT.splitlines()
        )
        spaces = " ".join(
            f'xmlns:{name}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"'
            for name in ("office", "table", "text")
        )
        content = (
            f'<?xml version="1.0"?><office:document-content {spaces}><office:body><office:spreadsheet>'
            f'<table:table table:name="A">{rows}</table:table>'
            "</office:spreadsheet></office:body></office:document-content>"
        )
        manifest = '<manifest:manifest xmlns:manifest="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"/>'
        (tmp_path / "in.ods").write_bytes(
            zipped(
                ("mimetype", "application/vnd.oasis.opendocument.spreadsheet"),
                ("META-INF/manifest.xml", manifest),
                ("content.xml", content),
            )
        )
        same(read_table(tmp_path / "in.ods", **COLUMNS))

    def test_damaged_files_and_no_package(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "in.xls").write_bytes(b"\xd0\xcf\x11\xe0" + bytes(600))
        with pytest.raises(DataError, match="is a spreadsheet that cannot be read"):
            read_table(tmp_path / "in.xls", **COLUMNS)
        path = self.book(tmp_path / "in.xlsx")
        monkeypatch.setitem(sys.modules, "fastexcel", None)
        with pytest.raises(DataError, match=r"pip install 'seqlight\[excel\]', or export the sheet as CSV"):
            read_table(path, **COLUMNS)


def test_a_sheet_of_what_is_none(tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text(TEXT)
    with pytest.raises(DataError, match=r"sheet: .*in.csv is no spreadsheet"):
        read_table(tmp_path / "in.csv", dialect=CSVDialect(sheet="1"), **COLUMNS)


_OPENED: list[str] = []
_watching = False


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    if _watching and event == "open":
        _OPENED.append(str(arguments[0]))


@pytest.fixture(scope="module")
def _hook() -> None:
    sys.addaudithook(_watch)  # which stays until the end of the process, and then notes nothing


@pytest.fixture
def opened(_hook: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The files that Python opens; polars, which would open others, is given none by its path."""
    global _watching
    for name in ("read_csv", "scan_csv", "read_parquet", "scan_parquet", "scan_ipc", "read_ipc"):
        real = getattr(pl, name)

        def checked(source: Any, *args: Any, real: Any = real, **kwargs: Any) -> Any:
            assert not isinstance(source, str | Path), "polars opens the file itself"
            return real(source, *args, **kwargs)

        monkeypatch.setattr(pl, name, checked)
    _OPENED.clear()
    _watching = True
    yield _OPENED
    _watching = False


FORECAST = ("forecast", "--model", "naive", "-o", "out.csv")
IMPUTE = ("impute", "--model", "last", "-o", "out.csv")
COMPARE = ("compare", "strategies", "--strategies", "direct", "--hidden-size", "2", "--epochs", "1")


@pytest.mark.parametrize(
    ("command", "kind", "named"),
    [
        *((command, kind, True) for command in (FORECAST, IMPUTE) for kind in ("csv", "csv.gz", "arrow")),
        *((command, kind, False) for command in (FORECAST, IMPUTE) for kind in ("csv", "csv.gz", "parquet")),
        (COMPARE, "csv", False),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else None,
)
def test_a_command_opens_its_file_once(
    command: tuple[str, ...],
    kind: str,
    named: bool,
    opened: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / f"the-input.{kind}"
    frame = pl.read_csv(TEXT.replace("2024-01-09,a,8", "2024-01-09,a,").encode(), try_parse_dates=True)
    if kind == "csv":
        frame.write_csv(path)
    elif kind == "csv.gz":
        path.write_bytes(gzip.compress(frame.write_csv().encode()))
    elif kind == "parquet":
        frame.write_parquet(path)
    else:
        frame.write_ipc(path)
    opened.clear()
    options = ("--time", "ds", "--target", "y", "--id", "id") if named else ()
    main([*command, str(path), *options])
    assert [one for one in opened if "the-input" in one] == [str(path)]


@pytest.mark.parametrize("cache", [True, False])
def test_a_file_that_was_replaced_after_it_was_opened(
    cache: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is read is what lies there now, not what the open file holds; and so is what the cache keeps."""
    monkeypatch.setenv("SEQLIGHT_CACHE", str(tmp_path / "cache"))
    path, other = tmp_path / "in.csv", tmp_path / "other.csv"
    path.write_text(TEXT)
    opened = open_source(path)
    other.write_text(TEXT.replace("2024-01-01,a,0", "2024-01-01,a,9"))
    other.replace(path)
    for source in (opened, path):
        file = SeriesFile(source, time_col="ds", target_cols="y", id_col="id", cache=cache)
        assert file.read().store.values[0, 0] == 9
