"""The table of errors of several targets, whose units may differ."""

import io

from rich.console import Console

from seqlight.cli.report import MOST_TARGETS, error_table
from seqlight.evaluation import ComparisonRow


def row(model: str, mae: float, mase: float) -> ComparisonRow:
    return ComparisonRow(model=model, mae=mae, rmse=2 * mae, mase=mase, smape=0.1 * mase, windows=3)


def printed(**options: object) -> list[str]:
    rows = [row("lstm", 500.0, 0.9), row("naive", 400.0, 1.1)]
    file = io.StringIO()
    Console(width=100, file=file).print(error_table(rows, title="errors", caption="", **options))  # type: ignore[arg-type]
    lines = file.getvalue().splitlines()
    return ["".join(line.split()) for line in lines if line.startswith("│")]


def test_of_one_target_it_has_all_errors() -> None:
    own = {"sales": [row("lstm", 500.0, 0.9), row("naive", 400.0, 1.1)]}
    assert printed() == printed(by_target=own) == ["│lstm│500│1,000│0.9│9.00%│", "│naive│400│800│1.1│11.00%│"]


def test_of_several_each_has_its_lines_and_all_together_nothing_in_units() -> None:
    own = {name: [row("lstm", 1.0, 0.5), row("naive", 2.0, 0.6)] for name in ("[b]sales", "visits")}
    lines = printed(by_target=own)
    assert lines[0] == "│[b]sales│lstm│1│2│0.5│5.00%│" and lines[1] == "││naive│2│4│0.6│6.00%│"
    assert lines[-2:] == ["│alltogether│lstm│││0.9│9.00%│", "││naive│││1.1│11.00%│"]
    many = {f"y{number}": own["visits"] for number in range(MOST_TARGETS + 1)}
    assert printed(by_target=many) == lines[-2:]
