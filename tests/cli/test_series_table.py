"""Small lines and the tables of series: right, 80 columns wide, without colour where none is wanted."""

from dataclasses import replace
from io import BytesIO, StringIO, TextIOWrapper

import numpy as np
import polars as pl
import pytest
from rich.console import Console
from rich.table import Table

from seqlight.cli.series_table import backtest_table, forecast_table, series_errors
from seqlight.cli.sparkline import sparkline
from seqlight.data import CSVDataModule
from seqlight.experiments import Selection, baselines, select

NAMES = ["[bold]x[/bold]", "n" * 300, "\x1b[31mred", *(f"shop {index}" for index in range(11))]


@pytest.mark.parametrize(
    ("values", "width", "options", "line"),
    [
        ([0, 1, 2, 3, 4, 5, 6, 7], 8, {}, "▁▂▃▄▅▆▇█"),
        ([0, 1, 2, 3, 4, 5, 6, 7], 4, {}, "▁▃▆█"),
        ([0, np.nan, 7], 8, {}, "▁ █"),
        ([5, 5, 5], 8, {}, "▄▄▄"),
        ([5], 8, {"low": 0.0}, "█"),
        ([0, 7], 8, {"low": 0.0, "high": 14.0}, "▁▅"),
        ([0, 7], 8, {"blocks": False}, "_#"),
        ([np.nan, np.nan], 8, {}, "  "),
        ([], 8, {}, ""),
    ],
)
def test_sparkline(values: list[float], width: int, options: dict, line: str) -> None:
    assert sparkline(np.array(values, np.float64), width, **options) == line


@pytest.fixture(scope="module")
def data() -> CSVDataModule:
    rng = np.random.default_rng(0)
    days = np.datetime64("2024-01-01", "us") + np.arange(120) * np.timedelta64(1, "D")
    frames = [
        pl.DataFrame(
            {
                "shop": name,
                "ds": days,
                "sales": 100.0 * (1 + place) + rng.normal(0, 1 + place**2, 120).round(1),
            }
        )
        for place, name in enumerate(NAMES)
    ]
    data = CSVDataModule(
        pl.concat(frames),
        time_col="ds",
        target_cols="sales",
        id_col="shop",
        context_length=14,
        prediction_length=7,
    )
    data.setup("fit")
    return data


@pytest.fixture(scope="module")
def selection(data: CSVDataModule) -> Selection:
    return select(baselines(data).values(), data, name="naive")


def printed(table: Table, console: Console) -> list[str]:
    assert isinstance(console.file, StringIO)
    console.print(table)
    return console.file.getvalue().splitlines()


def pipe() -> Console:
    """What ``seqlight ... | cat`` gets."""
    return Console(file=StringIO(), highlight=False, soft_wrap=True, width=80)


def test_ten_lines_of_at_most_80_columns(selection: Selection, data: CSVDataModule) -> None:
    tables = (forecast_table(selection, data, pipe()), backtest_table(selection.test, "naive", data, pipe()))
    for table in tables:
        lines = printed(table, pipe())
        assert max(map(len, lines)) <= 80
        assert "\x1b" not in "".join(lines)
        rows = [line for line in lines if line.startswith("│")]
        assert len(rows) == 10
        assert "worst 10 of 14 by MASE" in lines[0]


def test_what_the_lines_say(selection: Selection, data: CSVDataModule) -> None:
    errors = series_errors(selection.test, "naive")
    by_series = selection.test.by_series.filter(pl.col("model") == "naive").sort("series_index")
    assert [one.mae for one in errors] == pytest.approx(by_series["mae"].to_list(), rel=1e-5)
    assert [one.mase for one in errors] == pytest.approx(by_series["mase"].to_list(), rel=1e-5)
    assert {len(one.by_window) for one in errors} == set(by_series["windows"].to_list())
    few = [one for one in errors if one.series < 3]
    keep = np.isin(selection.test.series_index.numpy(), [0, 1, 2])
    assert len(few) == 3 and keep.any()
    text = "\n".join(printed(backtest_table(selection.test, "naive", data, pipe()), pipe()))
    worst = max(errors, key=lambda one: one.mase)
    assert f"{worst.mae:.1f}" in text and data.series_ids[worst.series][:10] in text


def test_names_are_text(selection: Selection, data: CSVDataModule) -> None:
    shown = replace(
        selection,
        forecast=type(selection.forecast)(selection.forecast.point[:3]),
        series_index=selection.series_index[:3],
        start=selection.start[:3],
    )
    lines = printed(forecast_table(shown, data, pipe()), pipe())
    text = "\n".join(lines)
    assert "[bold]x[/bold]" in text
    assert "nnnnnnnnnnnnnnn…" in text and max(map(len, lines)) <= 80
    assert "\x1b" not in text and "\ufffd[31mred" in text


@pytest.mark.parametrize(("no_color", "coloured"), [("", True), ("1", False)])
def test_colour(
    selection: Selection, data: CSVDataModule, monkeypatch: pytest.MonkeyPatch, no_color: str, coloured: bool
) -> None:
    monkeypatch.setenv("NO_COLOR", no_color)
    console = Console(file=StringIO(), force_terminal=True, color_system="standard", width=80)
    text = "\n".join(printed(forecast_table(selection, data, console), console))
    assert ("\x1b[31m" in text) == coloured


def test_a_terminal_without_blocks(selection: Selection, data: CSVDataModule) -> None:
    file = TextIOWrapper(BytesIO(), encoding="ascii")
    console = Console(file=file, width=80)
    console.print(forecast_table(selection, data, console).columns[1]._cells[0])
    assert backtest_table(selection.test, "naive", data, console).row_count == 10
    file.seek(0)
    assert set(file.read().strip()) <= set("_.,-=+*# ")
