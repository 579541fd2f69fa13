"""The table that sets the model against simple forecasts, and the sentence below it."""

import math
from collections.abc import Sequence

from rich.table import Table

from seqlight.evaluation import ComparisonRow

COLUMNS = ("mae", "rmse", "mase", "smape")
TITLES = {"mae": "MAE", "rmse": "RMSE", "mase": "MASE", "smape": "sMAPE"}


def error_table(rows: Sequence[ComparisonRow], *, title: str, caption: str) -> Table:
    """One line per forecast; the lowest error of each column is bold."""
    table = Table(title=title, caption=caption, title_justify="left", caption_justify="left")
    table.add_column("forecast")
    for column in COLUMNS:
        table.add_column(TITLES[column], justify="right")
    lowest = {column: lowest_error(rows, column) for column in COLUMNS}
    for row in rows:
        cells = []
        for column in COLUMNS:
            value = row[column]  # type: ignore[literal-required]
            text = format_error(value, percent=column == "smape")
            cells.append(f"[bold]{text}[/bold]" if value == lowest[column] else text)
        table.add_row(row["model"], *cells)
    return table


def lowest_error(rows: Sequence[ComparisonRow], column: str) -> float:
    """The smallest of a column's finite values; NaN if there is none."""
    values = [row[column] for row in rows]  # type: ignore[literal-required]
    return min((value for value in values if math.isfinite(value)), default=math.nan)


def format_error(value: float, *, percent: bool = False) -> str:
    """Four significant digits, no exponent where it can be helped; sMAPE (a fraction) in per cent."""
    if not math.isfinite(value):
        return "-"
    if percent:
        return f"{100 * value:.2f}%"
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.4g}" if value >= 1e-4 or value == 0 else f"{value:.3e}"


def verdict(rows: Sequence[ComparisonRow], model: str) -> str:
    """Whether ``model`` beats the best of the other rows, by MASE (by MAE where there is no MASE)."""
    column = "mase" if all(math.isfinite(row["mase"]) for row in rows) else "mae"
    own = next(row[column] for row in rows if row["model"] == model)  # type: ignore[literal-required]
    others = [row for row in rows if row["model"] != model]
    best = min(others, key=lambda row: row[column])  # type: ignore[literal-required]
    other = best[column]  # type: ignore[literal-required]
    figures = f"{TITLES[column]} {format_error(own)} against {format_error(other)}"
    if own < other:
        return f"The {model} beats the best simple forecast, {best['model']}: {figures}."
    return f"The {model} does not beat {best['model']} on this data: {figures}. Prefer the simple forecast."
