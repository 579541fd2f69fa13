"""A report's pictures as matplotlib figures, for slides and papers."""

from typing import TYPE_CHECKING

import numpy as np

from seqlight.report.model import Panel, Report

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def figures(report: Report) -> dict[str, "Figure"]:
    """Return the pictures of a report, by name; ``figure.savefig("errors.svg")`` writes one.

    Those that a report has no content for are left out. Names: ``"series"`` (of the first screen),
    ``"errors_by_step"``, ``"errors_over_time"``, ``"errors_by_hour"`` and the like, ``"residuals"``,
    ``"coverage"``.

    Args:
        report: see :func:`seqlight.report.build`.

    """
    from seqlight import plot  # matplotlib takes a second to import

    found: dict[str, Figure] = {}
    if report.first is not None and report.panels:
        found["series"] = _series(report.panels[report.first], report.title)
    if report.steps is not None:
        found["errors_by_step"] = plot.errors_by_step(
            dict(report.steps.errors), error_label=f"MAE, {report.steps.unit}"
        )
    if report.origins is not None:
        found["errors_over_time"] = plot.errors_over_time(
            report.origins.time, dict(report.origins.errors), error_label=f"MAE, {report.origins.unit}"
        )
    for times in report.times:
        found[f"errors_by_{times.part.split()[0]}"] = plot.errors_by_time(
            dict(zip(times.labels, times.errors.tolist(), strict=True)),
            title=f"Error by {times.part}",
            error_label=f"MAE, {times.unit}",
        )
    if report.residuals is not None:
        own = report.residuals
        found["residuals"] = plot.residuals(
            own.edges,
            own.counts,
            own.autocorrelation,
            bound=own.bound,
            error_label=f"forecast - actual, {own.unit}",
        )
    if report.coverage:
        found["coverage"] = plot.coverage(
            [one.level for one in report.coverage], [one.inside for one in report.coverage]
        )
    return found


def _series(panel: Panel, title: str) -> "Figure":
    """One series with its forecast and its bands, or with what was filled."""
    from seqlight import plot

    if panel.filled is not None:
        filled = plot.ImputationPanel(
            title=panel.row.name, unit=panel.unit, time=panel.time, values=panel.values, filled=panel.filled
        )
        return plot.imputation([filled], title=title)
    shown = slice(max(0, len(panel.time) - max(7 * len(panel.forecast), 60)), None)
    one = plot.ForecastPanel(
        title=panel.row.name,
        unit=panel.unit,
        history_time=panel.time[shown],
        history=np.asarray(panel.values[shown], np.float64),
        forecast_time=panel.forecast_time,
        forecast=panel.forecast,
        actual=panel.actual,
        bands={f"{level:g} %": edges for level, edges in reversed(list(panel.bands.items()))},
    )
    return plot.forecast([one], title=title)
