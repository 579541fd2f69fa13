"""Input files that are wrong, and odd ones that must work, for tests of reading at every level.

Plain data, so that it can be loaded from its path (runpy.run_path). A case is a file's content and the
arguments that go beside the path, on top of ``ARGUMENTS``. Content is bytes; ``NO_FILE`` and ``FOLDER``
stand for a path at which there is nothing, or a folder.
"""

import gzip

NO_FILE = "no file"
FOLDER = "folder"

#: Arguments of CSVDataModule for every case.
ARGUMENTS = {"time_col": "time", "target_cols": ["value"], "context_length": 4, "prediction_length": 2}


def hours(count, day="2024-01-01"):
    """Timestamps of ``count`` hours, at most a day."""
    return [f"{day} {hour:02d}:00:00" for hour in range(count)]


def table(*columns, header="time,value", separator=",", end="\n"):
    """CSV bytes of the header and the columns."""
    rows = [separator.join(map(str, row)) for row in zip(*columns, strict=True)]
    return (end.join([header, *rows]) + end).encode()


VALUES = [round(10 + 0.5 * i, 1) for i in range(24)]
GOOD = table(hours(24), VALUES)


def with_line(number, text):
    """GOOD with line ``number`` (the header is line 1) replaced."""
    lines = GOOD.decode().splitlines()
    lines[number - 1] = text
    return ("\n".join(lines) + "\n").encode()


def without_lines(*numbers):
    """GOOD without some lines."""
    lines = GOOD.decode().splitlines()
    return ("\n".join(line for i, line in enumerate(lines, 1) if i not in numbers) + "\n").encode()


TWO_SERIES = table(
    hours(24) + hours(5), VALUES + VALUES[:5], ["long"] * 24 + ["brief"] * 5, header="time,value,id"
)
_LATIN = table(
    hours(24),
    [str(v).replace(".", ",") for v in VALUES],
    ["Zürich"] * 24,
    header="time;Größe;Ort",
    separator=";",
)
_LATIN = _LATIN.decode().encode("latin-1")

TWO_DAYS = table(hours(24) + hours(24, "2024-01-02"), VALUES * 2, header="day,time,value")

#: name -> (content, more arguments, regular expression that the message must match)
BAD_FILES = {
    "no such file": (NO_FILE, {}, r"no such file"),
    "folder": (FOLDER, {}, r"is a folder without Parquet files"),
    "empty file": (b"", {}, r"is empty; expected a header"),
    "only blank": (b"\n \n\n", {}, r"is empty"),
    "header only": (b"time,value\n", {}, r"has a header and no rows"),
    "header without line end": (b"time,value", {}, r"has a header and no rows"),
    "column not there": (
        GOOD,
        {"target_cols": ["vaule"]},
        r"target_cols.*no column 'vaule'; did you mean 'value'\?.*'time', 'value'",
    ),
    "time column not there": (
        GOOD,
        {"time_col": "Time "},
        r"time_col.*no column 'Time '; did you mean 'time'\?",
    ),
    "id column not there": (
        GOOD,
        {"id_col": "zebra"},
        r"id_col.*no column 'zebra'; The columns are: 'time', 'value'",
    ),
    "column twice": (
        GOOD.replace(b"time,value", b"value,value"),
        {"time_col": "value", "target_cols": ["x"]},
        r"2 columns are called 'value'",
    ),
    "same column for time and target": (GOOD, {"target_cols": ["time"]}, r"column 'time' is named twice"),
    "thousands or decimals": (
        b"time;value\n2024-01-01;950\n2024-01-02;1.010\n2024-01-03;1.020\n",
        {},
        r"line 3, column 'value': '1\.010' can be read as 1\.01 or as 1010, and so can the other cells; pass "
        r"decimal_comma=False for 1\.01, thousands='\.' for 1010",
    ),
    "thousands or decimals in quotes": (
        b'time,value\n2024-01-01,"12,000"\n2024-01-02,"13,000"\n',
        {},
        r"'12,000' can be read as 12 or as 12000.*; pass decimal_comma=True for 12, thousands=',' for 12000",
    ),
    "points that are thousands and decimals": (
        b"time;value\n2024-01-01;1.5\n2024-01-02;1.010,5\n",
        {},
        r"line 3, column 'value': expected a number, got '1\.010,5'; the rest of the column is written with "
        r"decimal points",
    ),
    "decimal comma with points": (
        GOOD,
        {"decimal_comma": True},
        r"line 2, column 'value': expected a number, got '10\.0'; .*written with decimal commas",
    ),
    "thousands and decimals by one mark": (
        GOOD,
        {"decimal_comma": True, "thousands": ","},
        r"thousands: ',' is the decimal mark too",
    ),
    "unknown thousands": (GOOD, {"thousands": "_"}, r"thousands: expected ',', '\.', ' '.*'_'"),
    "separator that is another": (
        GOOD.replace(b",", b";"),
        {"separator": ","},
        r"separated by ';', not by ','; pass separator=';'",
    ),
    "encoding that does not fit": (
        _LATIN,
        {"target_cols": ["Größe"], "encoding": "utf-8"},
        r"is not utf-8 text; pass its encoding, such as encoding='latin-1'",
    ),
    "rows skipped with the header": (
        GOOD,
        {"skip_rows": 3},
        r"no column 'time'.*line 4 was taken for the header; skip_rows tells how many are above it",
    ),
    "all rows skipped": (GOOD, {"skip_rows": 300}, r"skip_rows: 300 lines are skipped, and nothing is below"),
    "missing value as text": (
        with_line(9, "2024-01-01 07:00:00,<1"),
        {},
        r"line 9, column 'value': expected a number, got '<1'; .*\(or pass missing_values=\['<1'\]\)",
    ),
    "text in a numeric column": (
        with_line(7, "2024-01-01 05:00:00,twelve"),
        {},
        r"line 7, column 'value': expected a number, got 'twelve'",
    ),
    "timestamp that does not parse": (
        with_line(9, "someday,1.0"),
        {},
        r"line 9, column 'time': expected a timestamp of the format '%Y-%m-%d %H:%M:%S', got 'someday'",
    ),
    "timestamp of no day": (
        with_line(9, "2024-02-30 00:00:00,1.0"),
        {},
        r"line 9, column 'time'.*got '2024-02-30 00:00:00'",
    ),
    "timestamp empty": (with_line(9, ",1.0"), {}, r"line 9, column 'time'.*got an empty timestamp"),
    "no timestamps": (
        table([f"t{i}" for i in range(24)], VALUES),
        {},
        r"column 'time': expected timestamps such as.*got 't0'.*time_format",
    ),
    "time format that does not fit": (
        GOOD,
        {"time_format": "%d/%m/%Y"},
        r"time_format: '%d/%m/%Y' does not fit.*'2024-01-01 00:00:00'",
    ),
    "day first or month first": (
        table([f"{i % 12 + 1:02d}/{i // 12 + 1:02d}/2024" for i in range(24)], VALUES),
        {},
        r"fits both '%d/%m/%Y' and '%m/%d/%Y'; pass the right one as time_format",
    ),
    "timestamp repeats": (
        with_line(9, "2024-01-01 06:00:00,1.0"),
        {},
        r"line 9, column 'time'.*2024-01-01 06:00:00 repeats line 8; if the file holds several series, name "
        r"the column of their ids with id_col; else remove all but one of such rows",
    ),
    "timestamp repeats in a series": (
        TWO_SERIES + b"2024-01-01 02:00:00,1,brief\n",
        {"id_col": "id"},
        r"line 31, column 'time'.*repeats line 28 of series 'brief'; no other column tells such rows apart",
    ),
    "row repeats": (
        GOOD.replace(b"\n", b",x\n").replace(b"value,x", b"value,note") + b"2024-01-01 06:00:00,13.0,x\n",
        {},
        r"line 26, column 'time'.*repeats line 8; the rows are the same in every other column too",
    ),
    "an id not named": (
        TWO_SERIES,
        {},
        r"line 26, column 'time'.*repeats line 2; column 'id' tells such rows apart: name id_col='id'",
    ),
    "one id of two named": (
        TWO_SERIES.replace(b"long", b"x,long").replace(b"brief", b"x,brief").replace(b",id", b",shop,id"),
        {"id_col": "shop"},
        r"repeats line 2 of series 'x'; column 'id' tells such rows apart: name id_col=\['shop', 'id'\]",
    ),
    "time of day not named": (
        TWO_DAYS.replace(b" ", b","),
        {"time_col": "day"},
        r"repeats line 2; column 'time' holds the time of day: name both columns, time_col=\['day', 'time'\]",
    ),
    "timestamp off the grid": (
        with_line(9, "2024-01-01 07:20:00,1.0"),
        {},
        r"line 9, column 'time': 2024-01-01 07:20:00 is off the grid of step 1h "
        r"between 2024-01-01 07:00:00 and 2024-01-01 08:00:00.*frequency",
    ),
    "first timestamp off the grid": (
        with_line(2, "2023-12-31 23:59:00,1.0"),
        {},
        r"line 2, column 'time': 2023-12-31 23:59:00 is off the grid of step 1h;",
    ),
    "two timestamps off the grid": (
        with_line(9, "2024-01-01 07:20:00,1.0").replace(b"09:00:00", b"09:30:00"),
        {},
        r"line 9, column 'time': .* 08:00:00 \(1 more row is off it\); mend the row",
    ),
    "most timestamps off the grid": (
        table([f"2024-01-01 {i:02d}:{(0, 0, 0, 7)[i % 4]:02d}:00" for i in range(24)], VALUES),
        {},
        r"column 'time': 6 of 24 rows are off the grid of step 1h, which is the commonest, counted from "
        r"2024-01-01 00:00:00; the first is line 5, 2024-01-01 03:07:00\. round=True rounds them to steps of "
        r"1h",
    ),
    "wrong frequency": (GOOD, {"frequency": "2h"}, r"12 of 24 rows are off the grid of step 2h, as given"),
    "no frequency": (
        GOOD,
        {"frequency": "hourlyish"},
        r"frequency: expected a count and a unit.*'hourlyish'",
    ),
    "series too short": (
        table(hours(6), VALUES[:6]),
        {},
        r"the series has 6 time steps up to its last known value, 7 are needed: one step to forecast from, ",
    ),
    "missing cell": (
        with_line(9, "2024-01-01 07:00:00,"),
        {},
        r"column 'value': 1 missing cell .*first at 2024-01-01 07:00:00; fill them, or pass missing=\"mask\"",
    ),
    "missing cell spelt out": (
        with_line(9, "2024-01-01 07:00:00,NaN"),
        {},
        r"column 'value': 1 missing cell .*2024-01-01 07:00:00",
    ),
    "missing rows": (
        without_lines(5, 6, 20),
        {},
        r"column 'value': 3 missing cells .*no row for their time.*2024-01-01 03:00:00.*missing=\"mask\"",
    ),
    "missing cell in a series": (
        TWO_SERIES.replace(b"02:00:00,11.0,brief", b"02:00:00,,brief"),
        {"id_col": "id", "skip_short": True},
        r"column 'value' of series 'brief': 1 missing cell .*2024-01-01 02:00:00",
    ),
    "column of missing cells": (
        table(hours(24), [""] * 24),
        {"missing": "mask"},
        r"column 'value': every cell is missing",
    ),
    "infinity": (with_line(9, "2024-01-01 07:00:00,-inf"), {}, r"line 9, column 'value': infinity"),
    "beyond float32": (
        with_line(9, "2024-01-01 07:00:00,1e39"),
        {},
        r"line 9, column 'value'.*beyond float32's range",
    ),
    "empty id": (
        TWO_SERIES.replace(b"04:00:00,12.0,brief", b"04:00:00,12.0,"),
        {"id_col": "id"},
        r"line 30, column 'id': the series id is empty",
    ),
    "row too long": (with_line(9, "2024-01-01 07:00:00,1.0,7"), {}, r"line 9 has 3 fields, the header 2"),
    "row too short": (with_line(9, "2024-01-01 07:00:00"), {}, r"line 9 has 1 field, the header 2"),
    "row too short in an unused column": (
        table([*hours(3), "x,1"], VALUES[:4], [1, 2, 3, 4], header="time,value,other").replace(
            b"x,1,11.5,4", b"2024-01-01 03:00:00,1"
        ),
        {},
        r"line 5 has 2 fields, the header 3",
    ),
    "quote in a field": (
        with_line(9, '2024-01-01 07:00":00,1.0'),
        {},
        r"line 9(: a quote that is not closed|, column 'time')",
    ),
    "open quote": (
        with_line(9, '"2024-01-01 07:00:00,1.0'),
        {},
        r"line 9: a quote opens there and is not closed",
    ),
    "quote in the header": (b'time,"value\n2024-01-01 00:00:00,1\n', {}, r"no column 'value'"),
    "carriage return in the header": (b"ti\rme,value\n2024-01-01,1\n", {}, r"the header is not well-formed"),
    "binary data": (bytes(range(256)) * 20, {}, r"is binary data, not text"),
    "parquet": (b"PAR1" + bytes(50) + b"PAR1", {}, r"is a Parquet file that cannot be read"),
    "spreadsheet": (b"PK\x03\x04" + bytes(50), {}, r"cannot be read: File is not a zip file"),
    "cut gzip": (gzip.compress(GOOD, mtime=0)[:-20], {}, r"cannot be read"),
    "old mac line ends": (GOOD.replace(b"\n", b"\r"), {}, r"old Mac line ends"),
    "unknown encoding": (GOOD, {"encoding": "klingon"}, r"encoding: expected.*'klingon'"),
    "long separator": (GOOD, {"separator": "::"}, r"separator: expected one character.*'::'"),
    "context length 0": (
        GOOD,
        {"context_length": 0},
        r"context_length: expected a whole number of at least 1, got 0",
    ),
    "prediction length 0": (
        GOOD,
        {"prediction_length": 0},
        r"prediction_length: expected a whole number of at least 1, got 0",
    ),
    "batch size 0": (GOOD, {"batch_size": 0}, r"batch_size: expected a whole number of at least 1, got 0"),
    "stride 0": (GOOD, {"stride": 0}, r"stride: expected a whole number of at least 1, got 0"),
    "test size 1.5": (GOOD, {"test_size": 1.5}, r"test_size: expected a fraction in \[0, 1\)"),
    "test size below a horizon": (
        GOOD,
        {"test_size": 1},
        r"test_size: expected 0 or at least prediction_length = 2",
    ),
    "unknown feature": (
        GOOD,
        {"calendar_features": ["weekday"]},
        r"calendar_features: expected names out of .*'weekday'",
    ),
    "no targets": (GOOD, {"target_cols": []}, r"target_cols: expected at least one column"),
}

_WIDE = table(
    *[range(24)] * 4,
    hours(24),
    *[["x"] * 24] * 2,
    VALUES,
    *[range(24)] * 2,
    header="a,b,c,d,time,e,f,value,g,h",
)
_LINES = GOOD.decode().splitlines()

#: name -> (content, more arguments); each reads as the 24 values of GOOD in the order of time.
ODD_FILES = {
    "plain": (GOOD, {}),
    "byte order mark": (b"\xef\xbb\xbf" + GOOD, {}),
    "windows line ends": (GOOD.replace(b"\n", b"\r\n"), {}),
    "quotes": (table([f'"{t}"' for t in hours(24)], [f'"{v}"' for v in VALUES], header='"time","value"'), {}),
    "ten columns": (_WIDE, {}),
    "gzip": (gzip.compress(GOOD, mtime=0), {}),
    "no line end at the end": (GOOD[:-1], {}),
    "blank lines": (GOOD.replace(b"\n", b"\n\n", 3) + b"\n\n", {}),
    "blanks around numbers": (GOOD.replace(b",", b", ").replace(b"time, value", b"time,value"), {}),
    "blanks around timestamps": (GOOD.replace(b"2024", b" 2024"), {}),
    "comma and line end in quotes": (
        table(hours(24), VALUES, ['"a, b\nc"'] * 24, header="time,value,note"),
        {},
    ),
    "latin-1, semicolons, decimal commas": (
        _LATIN,
        {"target_cols": ["Größe"], "encoding": "latin-1", "separator": ";", "decimal_comma": True},
    ),
    "utf-16": (GOOD.decode().encode("utf-16"), {"encoding": "utf-16"}),
    "numeric ids": (table([7] * 24, hours(24), VALUES, header="id,time,value"), {"id_col": "id"}),
    "blank first line": (b"\n" + GOOD, {}),
    "decimal commas in quotes": (table(hours(24), [f'"{v}"'.replace(".", ",") for v in VALUES]), {}),
    "semicolons": (GOOD.replace(b",", b";"), {}),
    "semicolons and decimal commas": (GOOD.replace(b",", b";").replace(b".", b","), {}),
    "tabs": (GOOD.replace(b",", b"\t"), {}),
    "bars": (GOOD.replace(b",", b"|"), {}),
    "utf-16 with its mark": (GOOD.decode().encode("utf-16"), {}),
    "utf-16 without a mark": (GOOD.decode().encode("utf-16-be"), {}),
    "skipped lines": (b"time,value\n1,2\n" + GOOD, {"skip_rows": 2}),
    "time of day apart": (
        GOOD.replace(b" ", b",").replace(b"time,", b"day,time,"),
        {"time_col": ["day", "time"]},
    ),
    "another name for times": (GOOD.replace(b"time,", b"ds,"), {"time_col": "ds"}),
}

#: As ODD_FILES, but with the warning that the rows were sorted.
UNSORTED_FILES = {
    "backward": (("\n".join([_LINES[0], *reversed(_LINES[1:])]) + "\n").encode(), {}),
    "unsorted": (("\n".join([_LINES[0], *_LINES[9:], *_LINES[1:9]]) + "\n").encode(), {}),
}
