"""Every bad file gets one clear error, every odd one is read."""

import runpy
import warnings
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqlight.data import CSVDataModule, DataError

CASES = runpy.run_path(str(Path(__file__).with_name("bad_files.py")))
ARGUMENTS, BAD_FILES, ODD_FILES, UNSORTED_FILES, VALUES = (
    CASES[name] for name in ("ARGUMENTS", "BAD_FILES", "ODD_FILES", "UNSORTED_FILES", "VALUES")
)
SNIPPETS = st.sampled_from(
    [b",", b"\n", b'"', b"\r", b";", b"\n\n", b"inf", b"nan", b"2024-01-01 03:00:00", b"\xff"]
)


def place(content, path):
    if content == CASES["FOLDER"]:
        path.mkdir()
    elif content != CASES["NO_FILE"]:
        path.write_bytes(content)
    return path


@pytest.mark.parametrize("name", BAD_FILES)
def test_bad_file_gets_one_clear_error(name, tmp_path):
    content, arguments, expected = BAD_FILES[name]
    path = place(content, tmp_path / "series.csv")
    with pytest.raises(DataError, match=expected) as caught:
        CSVDataModule(path, **{**ARGUMENTS, **arguments}).setup("fit")
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    assert len(message) < 500
    argument_errors = (
        "context_length",
        "prediction_length",
        "batch_size",
        "stride",
        "test_size",
        "frequency:",
    )
    about_file = not message.startswith(
        (*argument_errors, "calendar", "target_cols", "time_col,", "encoding:", "sep", "thousands: ")
    )
    assert (str(path) in message) == about_file


@pytest.mark.parametrize("name", ODD_FILES)
def test_odd_file_is_read(name, tmp_path):
    content, arguments = ODD_FILES[name]
    path = place(content, tmp_path / "series.csv")
    module = CSVDataModule(path, **{**ARGUMENTS, **arguments})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        times, values = module.series(0)
    assert np.array_equal(values[:, 0], np.float32(VALUES))
    assert str(times[0]) == "2024-01-01 00:00:00"
    assert module.format_timestamps(times[:1]) == ["2024-01-01 00:00:00"]


@pytest.mark.parametrize("name", UNSORTED_FILES)
def test_unsorted_file_is_sorted_with_a_warning(name, tmp_path):
    content, arguments = UNSORTED_FILES[name]
    path = place(content, tmp_path / "series.csv")
    with pytest.warns(UserWarning, match="not in the order of time .*sorted by 'time'"):
        _, values = CSVDataModule(path, **{**ARGUMENTS, **arguments}).series(0)
    assert np.array_equal(values[:, 0], np.float32(VALUES))


def test_numbers_that_float32_cannot_tell_apart_are_told(tmp_path):
    """As of a meter that has run for long; a level that is large and a spread that is, too, are fine."""
    path = tmp_path / "series.csv"
    for level, warned in ((1e9, True), (1e6, False)):
        rows = (f"2024-01-{day:02d},{level + 30 * (day % 7):.0f}" for day in range(1, 31))
        path.write_text("\n".join(["time,value", *rows]))
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            CSVDataModule(path, **ARGUMENTS).setup("fit")
        found = [str(one.message) for one in caught if "subtract a constant" in str(one.message)]
        assert len(found) == warned
        assert all("column 'value' varies by" in one and "kept in steps of 64;" in one for one in found)


def test_row_numbers_count_blank_lines(tmp_path):
    path = tmp_path / "series.csv"
    path.write_bytes(b"time,value\n2024-01-01,1\n\n\n2024-01-02,x\n")
    with pytest.raises(DataError, match=r"line 5, column 'value'"):
        CSVDataModule(path, **ARGUMENTS).setup("fit")


@given(
    case=st.sampled_from([(CASES["GOOD"], {}), (CASES["TWO_SERIES"], {"id_col": "id", "skip_short": True})]),
    missing=st.sampled_from(["error", "mask"]),
    damage=st.lists(
        st.tuples(st.integers(0, 900), st.integers(0, 20), st.one_of(st.binary(max_size=4), SNIPPETS)),
        min_size=1,
        max_size=3,
    ),
)
def test_damaged_file_is_read_or_gets_one_clear_error(tmp_path_factory, case, missing, damage):
    content, arguments = bytearray(case[0]), case[1]
    for position, length, replacement in damage:
        content[position : position + length] = replacement
    path = tmp_path_factory.getbasetemp() / "damaged.csv"
    path.write_bytes(content)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*(not in the order of time|Windows-1252|the header|far outside)")
        try:
            module = CSVDataModule(path, **ARGUMENTS, **arguments, missing=missing)
            module.setup("fit")
        except DataError as error:
            assert len(str(error).splitlines()) == 1
        else:
            assert (missing == "mask") or not np.isnan(module.store.values).any()


@pytest.mark.parametrize("form", ["text", "whole numbers", "frame"])
def test_numbers_that_are_one_in_float32_are_told_too(tmp_path, form):
    """Between 1e9 + 40 and 1e9 + 60 there is no float32 but 1e9 + 64: what varies is lost as a whole."""
    values = [1e9 + 50 + 10 * (-1) ** day for day in range(1, 31)]
    times = [f"2024-01-{day:02d}" for day in range(1, 31)]
    if form == "frame":
        source = pl.DataFrame({"time": times, "value": values})
    else:
        source = tmp_path / "series.csv"
        rows = (f"{time},{value:.{3 * (form == 'text')}f}" for time, value in zip(times, values, strict=True))
        source.write_text("\n".join(["time,value", *rows]))
    with pytest.warns(UserWarning, match="'value' varies by 10 only, .* in steps of 64; subtract a constant"):
        CSVDataModule(source, **ARGUMENTS).setup("fit")


def test_a_missing_value_that_is_a_number_is_left_out_of_any_column(tmp_path):
    """Without a warning of the library's own, which would come out as a note."""
    path = tmp_path / "series.csv"
    rows = (f"2024-01-{day:02d},{-9999.5 if day == 9 else day + 0.25}" for day in range(1, 31))
    path.write_text("\n".join(["time,value", *rows]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        _, values = CSVDataModule(path, **ARGUMENTS, missing_values=["-9999.5"], missing="mask").series(0)
    assert np.flatnonzero(np.isnan(values[:, 0])).tolist() == [8]


def test_a_file_without_names_does_not_lose_its_first_row(tmp_path):
    """The first row would be the header; with a line above it, as the message says, all rows are read."""
    path = tmp_path / "series.csv"
    rows = "".join(f"2024-01-{day:02d},{day}.5\n" for day in range(1, 31))
    path.write_text(rows)
    arguments = ARGUMENTS | {"time_col": "2024-01-01", "target_cols": ["1.5"]}
    with pytest.raises(
        DataError, match=r"line 1 is no header but a row of data.*write a line with the names"
    ):
        CSVDataModule(path, **arguments).setup("fit")
    path.write_text("time,value\n" + rows)
    times, values = CSVDataModule(path, **ARGUMENTS).series(0)
    assert len(times) == 30
    assert values[0, 0] == 1.5


def test_the_separator_line_of_excel_is_no_header(tmp_path):
    path = tmp_path / "series.csv"
    rows = "".join(f"2024-01-{day:02d};{day}.5\n" for day in range(1, 31))
    path.write_text("sep=;\ntime;value\n" + rows)
    with pytest.warns(UserWarning, match="header was found in line 2"):
        _, values = CSVDataModule(path, **ARGUMENTS).series(0)
    assert np.array_equal(values[:, 0], np.arange(1, 31) + np.float32(0.5))
