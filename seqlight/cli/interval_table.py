"""The table of how intervals held, and the sentences about them."""

import math
from collections.abc import Callable, Sequence

from rich.table import Table

from seqlight.cli.report import format_error
from seqlight.experiments.intervals import Calibrated, IntervalRow
from seqlight.intervals import needed_scores


def interval_table(
    rows: Sequence[IntervalRow], *, caption: str, ranges: bool = False, over: str = "on the test part"
) -> Table:
    """One line for each method and level.

    Args:
        rows: how each held on the test part.
        caption: the sentence below.
        ranges: whether to show how far coverage and score move over resampled blocks of time.
        over: what they were judged on.
    """
    title = f"Intervals {over}; coverage is approximate: windows overlap, and the future drifts"
    table = Table(title=title, caption=caption, title_justify="left", caption_justify="left")
    table.add_column("intervals")
    columns = ["level", "coverage", "range", "mean width", "interval score", "range"]
    for column in columns if ranges else [name for name in columns if name != "range"]:
        table.add_column(column, justify="right")
    for row in rows:
        coverage, score = f"{row.coverage:.1f}%" if row.cells else "-", format_error(row.score)
        between = [range_of(row.coverage_range, "{:.1f}".format), range_of(row.score_range, format_error)]
        cells = [coverage, between[0], format_error(row.width), score, between[1]]
        if not ranges:
            cells = [coverage, format_error(row.width), score]
        table.add_row(row.method, f"{row.level:g}%", *cells)
    return table


def range_of(ends: tuple[float, float], text: Callable[[float], str]) -> str:
    """Both ends of a range, or a dash where there is none."""
    return " to ".join(map(text, ends)) if all(map(math.isfinite, ends)) else "-"


def caption_of(calibrated: Calibrated, *, named: bool, every: bool) -> str:
    """How the method came to be used."""
    if named:
        why = "as --interval-method asks"
    elif not calibrated.chosen_by:
        why = "the simplest one, for there are too few errors in the calibration part to choose by"
    else:
        lowest = min(calibrated.chosen_by, key=lambda name: calibrated.chosen_by[name])
        why = "which has the lowest interval score within the calibration part"
        if lowest != calibrated.method:
            more = 100 * (calibrated.chosen_by[calibrated.method] / calibrated.chosen_by[lowest] - 1)
            why = (
                f"which follows a drift; its interval score within the calibration part is {more:.1f}% "
                f"above the lowest one, that of {lowest}"
            )
    ranges = " Ranges: the middle 95% over resampled blocks of one horizon." if every else ""
    return f"Intervals by {calibrated.method}, {why}.{ranges}"


def empty_caption(rows: Sequence[IntervalRow]) -> str:
    """Why rows of a backtest have no bounds, where there are some."""
    empty = sorted({row.level for row in rows if not row.cells})
    if not empty:
        return ""
    needed = ", ".join(f"{needed_scores(one, two_sided=False)} for {one:g}%" for one in empty)
    return (
        "Cells of bounds are empty where the part before the first window holds too few errors at each "
        f"step: it takes {needed}."
    )


def picture_note(calibrated: Calibrated) -> str:
    """One line about the bands, for the picture."""
    judged = [row for row in calibrated.rows if row.cells]
    if not judged:
        return "No interval could be judged: there are too few errors of past forecasts."
    held = ", ".join(f"{row.coverage:.0f}% for {row.level:g}%" for row in judged)
    return f"Intervals: {calibrated.method}. Share of values inside on the test part: {held} (approximate)."
