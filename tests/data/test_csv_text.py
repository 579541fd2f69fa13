"""A CSV file as text: nothing changes but what is meant to."""

import csv
import gzip
import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqlight.data import CSVDialect, DataError
from seqlight.data.io.csv_text import CSVText, read_csv_text
from seqlight.data.io.filled_cells import FilledCells
from seqlight.data.io.text_file import open_text


def text_of(tmp_path: Path, content: bytes, **dialect):
    path = tmp_path / "file.csv"
    path.write_bytes(content)
    settled = CSVDialect(**dialect, skip_rows=0)
    return read_csv_text(open_text(path, settled.encoding), settled)


def filled(text: CSVText, name: str, values, gone, suffix: str) -> bytes:
    return text.filled(FilledCells({name: values}, {name: gone}, {}).with_marks(suffix))


ODD = '\ufefftime,"a ""b""",note\r\n1, 1.50 ,"x,\ny"\r\n\r\n2,NA,""\r\n3,-0.25,plain'


def test_every_other_byte_stays(tmp_path):
    """Byte order mark, blanks, quotes, separators and line ends in quotes, blank lines, no last line end."""
    text = text_of(tmp_path, ODD.encode())
    values, gone = np.array([0, 7.123, 0], np.float32), np.array([False, True, False])
    written = filled(text, 'a "b"', values, gone, "_filled").decode()
    assert written == (
        '\ufefftime,"a ""b""",note,"a ""b""_filled"\r\n'
        '1, 1.50 ,"x,\ny",false\r\n\r\n2,7.12,"",true\r\n3,-0.25,plain,false'
    )


FIELDS = st.text(st.sampled_from('ab ,";\n1.é'), max_size=6)


@given(st.lists(st.tuples(FIELDS, FIELDS), min_size=1, max_size=6), st.sampled_from(["\n", "\r\n"]))
def test_what_python_writes_comes_back(tmp_path_factory, rows, end):
    out = io.StringIO()
    writer = csv.writer(out, lineterminator=end, quoting=csv.QUOTE_ALL)
    rows = [("1", "2"), *rows]  # else a first row of text may be a line of units
    writer.writerows([("one", "two"), *rows])
    text = text_of(tmp_path_factory.mktemp("csv"), out.getvalue().encode())
    assert text.names() == ["one", "two"]
    nothing = np.zeros(len(rows))
    written = filled(text, "one", nothing, nothing.astype(bool), "_x").decode()
    assert written.replace(",false" + end, end) == out.getvalue().replace('"two"', '"two",one_x')
    assert [tuple(row[:2]) for row in csv.reader(io.StringIO(written, newline=""))][1:] == rows


@pytest.mark.parametrize(
    ("known", "value", "expected"),
    [
        (["589", "561"], 612.38, "612"),  # whole numbers stay whole
        (["1.5", "2.25"], 0.12345, "0.12"),
        (["1.00000001", "2"], 12345.678, "12345.68"),  # no more digits than float32 has
        (["1e-9", "2"], 1.5e-9, "1.5e-09"),
        (["0.5", "2"], -0.01, "0.0"),
        (["0.5", "2"], -12.34, "-12.3"),
    ],
)
def test_a_filled_number_looks_like_the_known_ones(tmp_path, known, value, expected):
    text = text_of(
        tmp_path, "\n".join(["t,y", *(f"{i},{cell}" for i, cell in enumerate([*known, ""]))]).encode()
    )
    gone = np.array([False, False, True])
    written = filled(text, "y", np.full(3, value, np.float32), gone, "_filled").decode()
    assert written.splitlines()[-1] == f"2,{expected},true"


def test_other_encodings_and_decimal_commas(tmp_path):
    content = "Zeit;Größe\n1;1,25\n2;\n".encode("latin-1")
    text = text_of(tmp_path, content, separator=";", decimal_comma=True, encoding="latin-1")
    assert text.numbers("Größe").to_list() == [1.25, None]
    written = filled(text, "Größe", np.array([0, 3.5]), np.array([False, True]), "_neu")
    assert written == "Zeit;Größe;Größe_neu\n1;1,25;false\n2;3,50;true\n".encode("latin-1")


def test_gzip(tmp_path):
    assert len(text_of(tmp_path, gzip.compress(b"t,y\n1,2\n2,3\n"))) == 2


def test_numbers_are_told_from_text(tmp_path):
    text = text_of(tmp_path, b"t,y,word,empty\n1,?,x,\n2,-1.5e3,,\n")
    assert text.numbers("y").to_list() == [None, -1500.0]
    assert text.numbers("word") is None
    assert text.numbers("empty") is None


def test_new_rows(tmp_path):
    text = text_of(tmp_path, b'"t",id,y\n"1",a,5\n\n"4",a,6')
    text, old, new = text.with_rows(np.array([0, 0]), {"t": ["2", "3"]}, ["id"])
    assert (old.tolist(), new.tolist()) == ([0, 3], [1, 2])
    nothing = np.zeros(4)
    written = filled(text, "y", nothing, nothing.astype(bool), "_f").decode()
    assert written == '"t",id,y,y_f\n"1",a,5,false\n"2",a,,false\n"3",a,,false\n\n"4",a,6,false'


def test_ragged_rows_are_refused(tmp_path):
    with pytest.raises(DataError, match="row 2 has 3 fields, the header 2"):
        text_of(tmp_path, b"t,y\n1,2\n1,2,3\n")
