"""Files that nobody meant to write so: each is read right, or refused with a fix that works."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from seqlight.cli.errors import CommandError
from seqlight.cli.forecast.arguments import parse
from seqlight.cli.forecast.plan import read_store
from seqlight.cli.time_column import found_columns
from seqlight.cli.wording import in_words_of_options, percent
from seqlight.data import SeriesStore
from seqlight.data.time.far_rows import find_far_row

DAYS = [date(2020, 1, 1) + timedelta(days=day) for day in range(60)]
HOURS = [datetime(2020, 1, 1) + timedelta(hours=hour) for hour in range(96)]


def lines(times: Sequence[object], values: Sequence[object] | None = None) -> list[str]:
    cells = values if values is not None else [step % 7 for step in range(len(times))]
    return ["t,y", *(f"{time},{cell}" for time, cell in zip(times, cells, strict=True))]


def changed(items: Sequence[object], place: int, item: object) -> list[object]:
    return [*items[:place], item, *items[place + 1 :]]


def store_of(folder: Path, content: list[str] | bytes, *options: str) -> SeriesStore:
    path = folder / "in.csv"
    path.write_bytes(content if isinstance(content, bytes) else ("\n".join(content) + "\n").encode())
    with in_words_of_options():
        return read_store(found_columns(parse([str(path), *options]), "forecast")[0])


NUMBERS = list(range(60))
REFUSED = {
    "digits of another script": (
        lines(DAYS, changed(NUMBERS, 5, "\u0661\u0662")),
        "line 7, column 'y': expected",
    ),
    "a comma in numbers": (["t,y", *(f"{day},1,5" for day in DAYS)], "line 2 has 3 fields, the header 2"),
    "a comma at the end": (["t,y", *(f"{day},1," for day in DAYS)], "remove separators at the ends of rows"),
    "a quote that is open": (lines(DAYS, changed(NUMBERS, 30, '"1')), "line 32: a quote opens there"),
    "a header alone": (["t,y"], "has a header and no rows"),
    "no value": (lines(DAYS, [""] * 60), "no column of .* holds numbers only.*'y' is empty"),
    "words": (lines(DAYS, ["yes"] * 60), "'y' holds 'yes'"),
    "a name twice": (
        ["t,y,y", *(f"{day},1,2" for day in DAYS)],
        "2 of them are called 'y': rename all but one",
    ),
    "UTF-32 without a mark": (
        "\n".join(lines(DAYS)).encode("utf-32-le"),
        "is binary data, not",
    ),
    "day and month swapped": (
        lines([f"{day:%d/%m/%Y}" if row < 30 else f"{day:%m/%d/%Y}" for row, day in enumerate(DAYS)]),
        "'t' looks like it, but '01/31/2020' is not of the format '%d/%m/%Y'",
    ),
    "another language": (
        lines([f"{day.day} {('ene', 'feb')[day.month - 1]} {day.year}" for day in DAYS]),
        "'t', such as '1 ene 2020', has no format that is known",
    ),
    "nanoseconds": (
        lines([f"2020-01-01T00:00:00.{10 * n:09d}" for n in range(60)]),
        "differ by less than a microsecond, the finest that is kept; pass --time none",
    ),
    "a repeated hour": (lines(changed(HOURS, 50, HOURS[49])), "local times repeat when daylight saving ends"),
    "the end of years": (
        lines([date(9999, 11, 2) + timedelta(days=day) for day in range(60)]),
        "strftime pattern",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str, tmp_path: Path) -> None:
    content, message = REFUSED[name]
    with pytest.raises(CommandError, match=message):
        store_of(tmp_path, content)


def test_a_repeated_day_is_no_matter_of_clocks(tmp_path: Path) -> None:
    with pytest.raises(CommandError) as caught:
        store_of(tmp_path, lines(changed(DAYS, 30, DAYS[29])))
    assert "repeats line 31" in str(caught.value) and "daylight" not in str(caught.value)


@pytest.mark.filterwarnings("ignore:.*rows are not in the order of time")
@pytest.mark.parametrize("wrong", ["2105-01-31", "2021-03-01", "1920-01-31", "9999-12-31"])
def test_a_wrong_year(wrong: str, tmp_path: Path) -> None:
    """The row of a slip is not the end of its series, unless the step is given."""
    content = lines(changed(DAYS, 30, wrong))
    said = f"line 32, column 't': {wrong} .* pass --frequency '1d' if it is right"
    with pytest.raises(CommandError, match=said):
        store_of(tmp_path, content)
    if wrong < "2030":
        assert int(store_of(tmp_path, content, "--frequency", "1d").lengths[0]) > 400


def test_far_rows() -> None:
    def found(*series: Sequence[int]) -> object:
        positions = np.concatenate([np.array(one, np.int64) for one in series])
        return find_far_row(positions, np.concatenate([[0], np.cumsum([len(one) for one in series])]))

    dense = list(range(40))
    assert found(dense, [*dense, 60]) is None  # a gap shorter than the series
    assert found([0, 1, 300]) is None  # too few rows to call one of them odd
    assert found([0, *range(40, 400, 9), 1000]) is None  # most steps are absent anyway
    assert found([*dense, *range(500, 540)]) is None  # a pause
    assert found([*range(10), 40, 41]) is None  # another one
    far = found(dense, [-100, *dense])
    assert (far.row, far.gap, far.span, far.after) == (40, 100, 40, False)
    far = found([-900, *dense, 1000])
    assert (far.row, far.gap, far.span, far.after) == (41, 961, 40, True)
    far = found([*dense, 100], dense)
    assert (far.row, far.gap, far.span, far.after) == (40, 61, 40, True)


COLUMNS = {
    "hours from 0": ("date,hour,y", [f"{t:%Y-%m-%d},{t.hour}" for t in HOURS], "1h"),
    "hours to 24": ("date,hour,y", [f"{t:%Y-%m-%d},{t.hour + 1}" for t in HOURS], "1h"),
    "months": ("year,month,y", [f"{1990 + n // 12},{n % 12 + 1}" for n in range(60)], "1mo"),
    "names of months": (
        "year,month,y",
        [f"{1990 + n // 12},{date(1, n % 12 + 1, 1):%b}" for n in range(60)],
        "1mo",
    ),
    "quarters": ("Year,Quarter,y", [f"{1990 + n // 4},Q{n % 4 + 1}" for n in range(60)], "1q"),
    "weeks": ("year,week,y", [f"2018,{n + 1}" for n in range(52)], "1w"),
    "days of the year": ("t,y", [f"2020-{n + 1:03d}" for n in range(60)], "1d"),
}


@pytest.mark.parametrize("name", COLUMNS)
def test_parts_of_times(name: str, tmp_path: Path) -> None:
    header, times, step = COLUMNS[name]
    store = store_of(tmp_path, [header, *(f"{time},{n}" for n, time in enumerate(times))])
    assert (len(store), store.grid.frequency.name, int(store.lengths[0])) == (1, step, len(times))


def test_digits_that_are_cut_are_said(tmp_path: Path) -> None:
    seconds = [f"2020-01-01T00:{n // 60:02d}:{n % 60:02d}.1234567" for n in range(120)]
    with pytest.warns(
        UserWarning, match="digits beyond the microsecond, such as those of .*1234567', were cut"
    ):
        assert store_of(tmp_path, lines(seconds)).time_text(0, 1) == "2020-01-01T00:00:01.1234560"


def test_utf_32(tmp_path: Path) -> None:
    assert store_of(tmp_path, "\n".join(lines(DAYS)).encode("utf-32")).series(0)[:3, 0].tolist() == [0, 1, 2]


def test_names_of_folders_are_no_values(tmp_path: Path) -> None:
    for year in (2020, 2021):
        (tmp_path / "parts" / f"year={year}").mkdir(parents=True)
        days = [date(year, 12, 20) + timedelta(days=day) for day in range(12)]
        frame = pl.DataFrame({"t": days, "y": range(12)})
        frame.write_parquet(tmp_path / "parts" / f"year={year}" / "a.parquet")
    given, said = found_columns(parse([str(tmp_path / "parts")]), "forecast")
    assert (given.targets, said) == (["y"], "found in the file: --time t --target y")


def test_shares() -> None:
    assert [percent(share) for share in (0.017, 0.5, 0.985, 0.9981)] == ["1.7%", "50%", "98%", "99.81%"]


def test_titles_above_merged_cells(tmp_path: Path) -> None:
    """As a spreadsheet has them: a title, an empty line, and a name over two columns."""
    content = ["Report,,", ",,", ",Region,", "day,north,south", ",MWh,MWh", *(f"{day},1,2" for day in DAYS)]
    with pytest.warns(UserWarning, match="header was found in line 4|line 5 below the header"):
        assert len(store_of(tmp_path, content, "--target", "south").values) == 60


def test_damaged_spreadsheets_and_times_of_day_in_them(tmp_path: Path) -> None:
    xlsxwriter = pytest.importorskip("xlsxwriter")
    pytest.importorskip("fastexcel")
    path = tmp_path / "in.xlsx"
    book = xlsxwriter.Workbook(path, {"default_date_format": "yyyy-mm-dd"})
    sheet = book.add_worksheet()
    clock = book.add_format({"num_format": "hh:mm"})
    sheet.write_row(0, 0, ["Date", "Time", "y"])
    for row, time in enumerate(HOURS, 1):
        sheet.write_datetime(row, 0, datetime(time.year, time.month, time.day))
        sheet.write_datetime(row, 1, time.time(), clock)
        sheet.write_number(row, 2, row)
    book.close()
    whole = path.read_bytes()
    store = store_of(tmp_path, whole)
    assert (store.grid.frequency.name, len(store.values)) == ("1h", 96)
    with pytest.raises(CommandError, match="is a spreadsheet that cannot be read: "):
        store_of(tmp_path, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600))
    assert pl.Series(store.series(0)[:, 0]).is_sorted()


def test_days_with_offsets_of_no_clock(tmp_path: Path) -> None:
    days = [f"{day}T00:00:00+0{1 + row % 2}:00" for row, day in enumerate(DAYS)]
    with pytest.warns(UserWarning, match="UTC offsets that follow no one clock: the days are taken as"):
        assert store_of(tmp_path, lines(days)).time_text(0, 60) == "2020-03-01T00:00:00"
