"""The table and the sentence below it say what the rows say, whoever wins."""

import math

import pytest
from rich.console import Console

from seqlight.cli.report import error_table, format_error, verdict
from seqlight.evaluation import ComparisonRow


def row(model: str, mae: float, mase: float) -> ComparisonRow:
    return ComparisonRow(model=model, mae=mae, rmse=2 * mae, mase=mase, smape=0.125, windows=7)


def test_the_model_wins() -> None:
    rows = [row("LSTM", 10.0, 0.5), row("linear", 12.0, 0.75), row("naive", 20.0, 1.0)]
    assert verdict(rows, "LSTM") == "The LSTM beats the best simple forecast, linear: MASE 0.5 against 0.75."


@pytest.mark.parametrize("mase", [0.5, 0.7])
def test_the_model_does_not_win(mase: float) -> None:
    rows = [row("LSTM", 10.0, mase), row("linear", 12.0, 0.75), row("naive", 9.0, 0.5)]
    assert verdict(rows, "LSTM").startswith("The LSTM does not beat naive on this data: MASE ")


def test_without_mase_the_mae_decides() -> None:
    rows = [row("LSTM", 10.0, math.nan), row("naive", 9.0, math.nan)]
    assert "does not beat naive on this data: MAE 10 against 9" in verdict(rows, "LSTM")


def test_table() -> None:
    rows = [row("LSTM", 10.0, 0.5), row("naive", 1234.5, math.nan)]
    console = Console(record=True, width=100, file=None, quiet=True)
    with console.capture() as captured:
        console.quiet = False
        console.print(error_table(rows, title="title", caption="caption"))
    text = captured.get()
    assert "title" in text
    assert "caption" in text
    cells = {line.split("│")[1].strip(): line.split("│")[2:-1] for line in text.splitlines() if "│" in line}
    assert [cell.strip() for cell in cells["LSTM"]] == ["10", "20", "0.5", "12.50%"]
    assert [cell.strip() for cell in cells["naive"]] == ["1,234", "2,469", "-", "12.50%"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (0.12345, "0.1235"),
        (12.3456, "12.35"),
        (123456.7, "123,457"),
        (1.5e-6, "1.500e-06"),
        (math.inf, "-"),
    ],
)
def test_format_error(value: float, text: str) -> None:
    assert format_error(value) == text
