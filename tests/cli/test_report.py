"""The table and the sentence below it say what the rows say, whoever wins."""

import math

import pytest
from rich.console import Console

from seqlight.cli.report import error_table, format_error, verdict
from seqlight.evaluation import ComparisonRow
from seqlight.experiments.selection import best_row, deciding_error


def row(model: str, mae: float, mase: float, windows: int = 70) -> ComparisonRow:
    return ComparisonRow(model=model, mae=mae, rmse=2 * mae, mase=mase, smape=0.125, windows=windows)


OPTIONS = {"LSTM": "lstm", "linear": "linear", "naive": "naive"}


def test_the_model_wins() -> None:
    rows = [row("LSTM", 10.0, 0.5), row("linear", 12.0, 0.75), row("naive", 20.0, 1.0)]
    assert verdict(rows, "LSTM", options=OPTIONS, validation=None) == (
        "Forecast by LSTM, as --model lstm asks. "
        "On the test part it beats the best other one, linear: MASE 0.5 against 0.75."
    )


@pytest.mark.parametrize("mase", [0.5, 0.7, math.nan])
def test_the_model_of_the_user_does_not_win(mase: float) -> None:
    rows = [row("LSTM", 10.0, mase), row("linear", 12.0, 0.75), row("naive", 9.0, 0.5)]
    sentence = verdict(rows, "LSTM", options=OPTIONS, validation=None)
    assert sentence.startswith(
        "Forecast by LSTM, as --model lstm asks. On the test part it does not beat naive: MASE "
    )
    assert sentence.endswith(" against 0.5; --model naive uses that one.")


def test_the_model_of_the_validation_part_does_not_win() -> None:
    """The other one is not offered: the errors of the test part are not to choose by."""
    validation = [row("LSTM", 10.0, 0.75), row("linear", 12.0, 0.25)]
    rows = [row("LSTM", 10.0, 0.5), row("linear", 12.0, 0.75)]
    assert verdict(rows, "linear", options=OPTIONS, validation=validation) == (
        "Forecast by linear, which has the lowest MASE on the validation part, 0.25. "
        "On the test part it does not beat LSTM: MASE 0.75 against 0.5."
    )


@pytest.mark.parametrize(
    ("windows", "said"), [(1, "; there is 1 window only, so the choice is uncertain."), (20, ".")]
)
def test_a_choice_by_few_windows_is_called_uncertain(windows: int, said: str) -> None:
    rows = [row("LSTM", 10.0, 0.75, windows)]
    assert verdict(rows, "LSTM", options=OPTIONS, validation=rows) == (
        f"Forecast by LSTM, which has the lowest MASE on the validation part, 0.75{said}"
    )


def test_without_mase_the_mae_decides() -> None:
    rows = [row("LSTM", 10.0, math.nan), row("naive", 9.0, math.nan)]
    assert deciding_error(rows) == "mae"
    sentence = verdict(rows, "LSTM", options=OPTIONS, validation=rows)
    assert "which has the lowest MAE on the validation part, 9." in sentence
    assert "does not beat naive: MAE 10 against 9." in sentence


def test_nothing_to_beat() -> None:
    sentence = verdict([row("naive", 9.0, 0.5)], "naive", options=OPTIONS, validation=None)
    assert sentence == "Forecast by naive, as --model naive asks."


def test_without_a_scored_window_there_is_no_verdict() -> None:
    unscored = [row(name, math.nan, math.nan) for name in ("LSTM", "naive")]
    nothing = "no window has known values both to forecast from and to compare with"
    assert verdict(unscored, "naive", options=OPTIONS, validation=unscored) == (
        f"Forecast by naive, the simplest one, for in the validation part {nothing}. "
        f"There is no verdict, for in the test part {nothing}."
    )
    half = [row("LSTM", math.nan, math.nan), row("naive", 9.0, 0.5)]
    sentence = verdict(half, "naive", options=OPTIONS, validation=None)
    why = "the others could not be scored"
    assert sentence.endswith(f"asks. There is no verdict, for in the test part {why}.")


@pytest.mark.parametrize(
    ("errors", "best"),
    [
        ([0.5, 0.75, 1.0], "LSTM"),
        ([0.5, 0.5, 1.0], "linear"),
        ([math.nan, 0.5, 1.0], "linear"),
        ([math.nan, math.nan, math.nan], "naive"),
    ],
)
def test_best_row(errors: list[float], best: str) -> None:
    rows = [row(name, 1.0, error) for name, error in zip(OPTIONS, errors, strict=True)]
    assert best_row(rows, "mase")["model"] == best


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
        (6.9014e15, "6.901e+15"),
        (math.inf, "-"),
    ],
)
def test_format_error(value: float, text: str) -> None:
    assert format_error(value) == text
