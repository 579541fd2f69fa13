"""The table that sets the model against simple forecasts, and the sentence below it."""

import math
from collections.abc import Mapping, Sequence

from rich.markup import escape
from rich.table import Table

from seqlight.evaluation import ComparisonRow
from seqlight.experiments.selection import best_row, deciding_error
from seqlight.report.names import plain

COLUMNS = ("mae", "rmse", "mase", "smape")
IN_UNITS = ("mae", "rmse")
MOST_TARGETS = 8  # that have lines of their own
ALL = "all together"
TITLES = {"mae": "MAE", "rmse": "RMSE", "mase": "MASE", "smape": "sMAPE"}

FEW_WINDOWS = 20  # below it the errors of a part say little about the next ones
NOTHING_SCORED = "no window has known values both to forecast from and to compare with"


def error_table(
    rows: Sequence[ComparisonRow],
    *,
    title: str,
    caption: str,
    by_target: Mapping[str, Sequence[ComparisonRow]] | None = None,
) -> Table:
    """One line per forecast; the lowest error of each column is bold.

    Args:
        rows: errors over all targets.
        title: above the table.
        caption: below it.
        by_target: errors of each target by itself. Of several, each has its lines, if they are not too many,
            and those over all of them have only errors without a unit: units may differ.
    """
    several = by_target is not None and len(by_target) > 1
    groups = [(ALL, list(rows))]
    if by_target is not None and 1 < len(by_target) <= MOST_TARGETS:
        groups[:0] = [(escape(plain(name)), list(own)) for name, own in by_target.items()]
    table = Table(title=title, caption=caption, title_justify="left", caption_justify="left")
    for name in (["target"] if several else []) + ["forecast"]:
        table.add_column(name)
    for column in COLUMNS:
        table.add_column(TITLES[column], justify="right")
    for group, own in groups:
        for number, row in enumerate(own):
            cells = [row["model"], *error_cells(row, own, pooled=several and group == ALL)]
            table.add_row(*([group if number == 0 else ""] if several else []), *cells)
        table.add_section()
    return table


def error_cells(row: ComparisonRow, rows: Sequence[ComparisonRow], *, pooled: bool) -> list[str]:
    """The errors of a line; of several targets taken together, those in their units are left out."""
    cells = []
    for column in COLUMNS:
        value = row[column]  # type: ignore[literal-required]
        if pooled and column in IN_UNITS:
            cells.append("")
            continue
        text = format_error(value, percent=column == "smape")
        cells.append(f"[bold]{text}[/bold]" if value == lowest_error(rows, column) else text)
    return cells


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
    if 1000 <= value < 1e12:
        return f"{value:,.0f}"
    return f"{value:.4g}" if 1e-4 <= value < 1000 or value == 0 else f"{value:.3e}"


def verdict(
    rows: Sequence[ComparisonRow],
    model: str,
    *,
    options: Mapping[str, str],
    validation: Sequence[ComparisonRow] | None,
    where: str = "on the validation part",
) -> str:
    """Whose forecast is written and why, and whether that model beats the best of the others.

    Where no window could be scored there is no verdict, which is said.

    Args:
        rows: errors on the test part.
        model: the one in use.
        options: by the models' names in ``rows``, what ``--model`` calls them.
        validation: errors on the validation part if the model was chosen by them, None if by the user.
        where: what these errors are taken over.
    """
    if validation is None:
        why = f"as --model {options[model]} asks"
    else:
        column = deciding_error(validation)
        lowest = best_row(validation, column)[column]  # type: ignore[literal-required]
        why = f"which has the lowest {TITLES[column]} {where}, {format_error(lowest)}"
        windows = validation[0]["windows"]
        if windows < FEW_WINDOWS:
            few = "there is 1 window" if windows == 1 else f"there are {windows} windows"
            why += f"; {few} only, so the choice is uncertain"
        if not math.isfinite(lowest):
            why = f"the simplest one, for in the validation part {NOTHING_SCORED}"
    sentence = f"Forecast by {model}, {why}."
    others = [row for row in rows if row["model"] != model]
    if not others:
        return sentence
    column = deciding_error(rows)
    own = next(row[column] for row in rows if row["model"] == model)  # type: ignore[literal-required]
    best = best_row(others, column)
    other = best[column]  # type: ignore[literal-required]
    if not math.isfinite(other):
        why = "the others could not be scored" if math.isfinite(own) else NOTHING_SCORED
        return f"{sentence} There is no verdict, for in the test part {why}."
    figures = f"{TITLES[column]} {format_error(own)} against {format_error(other)}"
    if own < other:
        return f"{sentence} On the test part it beats the best other one, {best['model']}: {figures}."
    if own == other and validation is not None:
        equal = f"{TITLES[column]} {format_error(own)}"
        return f"{sentence} On the test part it is as good as {best['model']}: {equal}."
    # Chosen by the errors on the test part, a model would look better than it is: not so with "auto".
    hint = f"; --model {options[best['model']]} uses that one" if validation is None else ""
    return f"{sentence} On the test part it does not beat {best['model']}: {figures}{hint}."
