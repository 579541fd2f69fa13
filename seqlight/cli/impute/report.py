"""The table of errors on hidden cells, and what it says."""

import math
from collections.abc import Mapping, Sequence

from rich.markup import escape
from rich.table import Table

from seqlight.cli.report import format_error
from seqlight.evaluation import ImputationRow

METRICS = {"mae": "MAE", "rmse": "RMSE", "mre": "MRE"}


def imputation_table(
    rows: Sequence[ImputationRow],
    chosen: Mapping[str, str],
    names: Mapping[str, str],
    *,
    title: str,
    caption: str,
) -> Table:
    """One line per column and method; the lowest error of each column is bold, the method in use marked.

    Args:
        rows: errors, the rows of a column one after the other; ``model`` is a key of ``names``.
        chosen: by column, the method that fills it.
        names: what the table calls each method.
        title: heading.
        caption: the sentence below.
    """
    table = Table(title=title, caption=escape(caption), title_justify="left", caption_justify="left")
    several = len({row["column"] for row in rows}) > 1
    if several:
        table.add_column("column")
    table.add_column("filled by")
    for heading in METRICS.values():
        table.add_column(heading, justify="right")
    table.add_column("in use", justify="center")
    for column in dict.fromkeys(row["column"] for row in rows):
        own = [row for row in rows if row["column"] == column]
        for row in own:
            cells = [escape(column) if row is own[0] else ""] if several else []
            cells.append(names[row["model"]])
            for metric in METRICS:
                value: float = row[metric]  # type: ignore[literal-required]
                text = format_error(value, percent=metric == "mre")
                lowest = lowest_error(own, metric)
                cells.append(f"[bold]{text}[/bold]" if value == lowest else text)
            cells.append("*" if chosen.get(column) == row["model"] else "")
            table.add_row(*cells, end_section=several and row is own[-1])
    return table


def lowest_error(rows: Sequence[ImputationRow], metric: str) -> float:
    """The smallest finite value of a metric; NaN if there is none."""
    values: list[float] = [row[metric] for row in rows]  # type: ignore[literal-required]
    return min((value for value in values if math.isfinite(value)), default=math.nan)


def imputation_verdict(
    rows: Sequence[ImputationRow],
    chosen: Mapping[str, str],
    names: Mapping[str, str],
    *,
    chosen_by_validation: bool,
) -> str:
    """For each column, whether the method in use had the lowest MAE; plainly where another one had.

    Args:
        rows: errors.
        chosen: by column, the method in use.
        names: what the table calls each method.
        chosen_by_validation: whether the method was chosen on other hidden cells, not by the user.
    """
    sentences = []
    for column in dict.fromkeys(row["column"] for row in rows):
        errors = {row["model"]: row["mae"] for row in rows if row["column"] == column}
        method = chosen[column]
        others = {name: error for name, error in errors.items() if name != method and math.isfinite(error)}
        if not others or not math.isfinite(errors[method]):
            continue
        best = min(others, key=others.__getitem__)
        ours, theirs = format_error(errors[method]), format_error(others[best])
        if errors[method] < others[best]:
            sentences.append(
                f"{column}: the {names[method]} beats the {names[best]}, MAE {ours} against {theirs}."
            )
        elif errors[method] == others[best]:
            sentences.append(f"{column}: the {names[method]} is as good as the {names[best]}, MAE {ours}.")
        elif chosen_by_validation:
            sentences.append(
                f"{column}: the {names[method]} was best on the other half of the hidden cells; on this half "
                f"the {names[best]} is, MAE {theirs} against {ours}."
            )
        else:
            sentences.append(
                f"{column}: the {names[method]} does not beat the {names[best]}, MAE {ours} "
                f"against {theirs}; --model {best} uses that one."
            )
    return "\n".join(sentences)


def best_methods(rows: Sequence[ImputationRow]) -> dict[str, str]:
    """By column, the method with the lowest MAE; the simpler one of equals."""
    chosen = {}
    for column in dict.fromkeys(row["column"] for row in rows):
        own = [row for row in rows if row["column"] == column and math.isfinite(row["mae"])]
        if own:
            # Networks come first and "last" comes last: of equals the last one is the simplest.
            chosen[column] = min(reversed(own), key=lambda row: row["mae"])["model"]
    return chosen
