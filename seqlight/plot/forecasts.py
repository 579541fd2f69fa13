"""The forecast of one or several series, after their history."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, StrMethodFormatter
from numpy.typing import NDArray

from seqlight.plot.style import (
    FORECAST_COLOUR,
    GRID_COLOUR,
    HISTORY_COLOUR,
    NOTE_COLOUR,
    TEXT_COLOUR,
    TITLE_COLOUR,
)

PANEL_INCHES = (9.6, 2.5)
HEAD_INCHES = 0.95  # title and legend
FOOT_INCHES = 0.62  # tick labels of the last panel and the note
SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True, kw_only=True)
class ForecastPanel:
    """One series of a forecast plot.

    Args:
        title: the series' name, written above the panel.
        unit: what the values are, written beside the y axis; a column's name will do.
        history_time: ``datetime64`` [N], or steps as integers, increasing.
        history: float [N]; NaN where a value is missing, which leaves a gap in the line.
        forecast_time: likewise [H], continuing ``history_time``.
        forecast: float [H].
        lower, upper: float [H], edges of a band around the forecast, or None for no band.
        bands: several bands, the innermost first: their edges, float [H] each, by their legend entries.
        actual: float [H], what really came, or None while that is unknown.

    Raises:
        ValueError: two arrays that belong together differ in shape, or only one edge of the band is given.
    """

    title: str
    unit: str
    history_time: NDArray[np.datetime64] | NDArray[np.int64]
    history: NDArray[np.floating[Any]]
    forecast_time: NDArray[np.datetime64] | NDArray[np.int64]
    forecast: NDArray[np.floating[Any]]
    lower: NDArray[np.floating[Any]] | None = None
    upper: NDArray[np.floating[Any]] | None = None
    actual: NDArray[np.floating[Any]] | None = None
    bands: Mapping[str, tuple[NDArray[np.floating[Any]], NDArray[np.floating[Any]]]] = field(
        default_factory=dict
    )

    def __post_init__(self) -> None:
        if (self.lower is None) != (self.upper is None):
            raise ValueError("ForecastPanel: lower and upper must be given together, got only one of them")
        for name, axis in (
            ("history", "history_time"),
            ("forecast", "forecast_time"),
            ("lower", "forecast_time"),
            ("upper", "forecast_time"),
            ("actual", "forecast_time"),
        ):
            values, times = getattr(self, name), getattr(self, axis)
            if values is not None and (values.ndim != 1 or values.shape != times.shape):
                raise ValueError(
                    f"ForecastPanel: {name} expected shape {times.shape} like {axis}, got {values.shape}"
                )
        for label, edges in self.bands.items():
            if [edge.shape for edge in edges] != [self.forecast_time.shape] * 2:
                raise ValueError(
                    f"ForecastPanel: bands expected two edges of shape {self.forecast_time.shape} for "
                    f"{label!r}, got {[edge.shape for edge in edges]}"
                )


def forecast(
    panels: Sequence[ForecastPanel],
    *,
    title: str = "Forecast",
    forecast_label: str = "forecast",
    band_label: str = "band",
    note: str = "",
    max_panels: int = 6,
) -> Figure:
    """Draw history, forecast and error band, one panel per series.

    Args:
        panels: the series, in the order in which they are drawn from top to bottom.
        title: heading of the figure.
        forecast_label: legend entry of the forecasts.
        band_label: legend entry of the bands; say which share of which errors they hold.
        note: a line of small print at the bottom, for instance how many series are not shown.
        max_panels: only the first ``max_panels`` are drawn; the note then says how many there are.

    Raises:
        ValueError: ``panels`` is empty.
    """
    if not panels:
        raise ValueError("forecast: panels expected at least one ForecastPanel, got none")
    shown = list(panels[:max_panels])
    if len(shown) < len(panels):
        note = f"{note}  ·  {len(shown)} of {len(panels)} panels shown".lstrip(" ·")

    figure, axes = stacked_axes(len(shown))
    for ax, panel in zip(axes, shown, strict=True):
        draw_panel(ax, panel, forecast_label=forecast_label, band_label=band_label)
    if len({axis_span(panel) for panel in shown}) == 1:  # the same dates below each other: write them once
        for ax in axes[:-1]:
            ax.xaxis.get_offset_text().set_visible(False)
    last = [band_label, *dict.fromkeys(label for panel in shown for label in panel.bands)]
    frame(figure, axes, title=title, note=note, last_entries=last)
    return figure


def stacked_axes(count: int) -> tuple[Figure, Any]:
    """Make a figure of ``count`` axes below each other, an array [count]."""
    panel_height = PANEL_INCHES[1] * (1.4 if count == 1 else 1.0)
    height = panel_height * count + HEAD_INCHES + FOOT_INCHES
    figure = Figure(figsize=(PANEL_INCHES[0], height), dpi=150, facecolor="white")
    return figure, figure.subplots(count, 1, squeeze=False)[:, 0]


def frame(figure: Figure, axes: Any, *, title: str, note: str, last_entries: Sequence[str] = ()) -> None:
    """Write title, one legend for all axes (``last_entries`` at its end) and small print."""
    height = float(figure.get_figheight())
    figure.subplots_adjust(
        left=0.095,
        right=0.975,
        top=1.0 - HEAD_INCHES / height,
        bottom=FOOT_INCHES / height,
        hspace=0.40,
    )
    figure.align_ylabels(axes)
    figure.text(
        0.095,
        1.0 - 0.16 / height,
        title,
        fontsize=14,
        fontweight="bold",
        color=TITLE_COLOUR,
        va="top",
        parse_math=False,
    )
    entries: dict[str, Any] = {
        label: handle for ax in axes for handle, label in zip(*ax.get_legend_handles_labels(), strict=True)
    }
    places = {label: place for place, label in enumerate(last_entries, start=1)}
    order = sorted(entries, key=lambda label: places.get(label, 0))  # the lines first
    figure.legend(
        [entries[label] for label in order],
        order,
        loc="upper left",
        bbox_to_anchor=(0.092, 1.0 - 0.40 / height),
        ncols=len(entries),
        frameon=False,
        fontsize=9,
        labelcolor=TEXT_COLOUR,
        handlelength=1.6,
        columnspacing=1.6,
        borderaxespad=0.0,
    )
    if note:
        small: dict[str, Any] = {"fontsize": 7.5, "color": NOTE_COLOUR, "va": "bottom", "parse_math": False}
        figure.text(0.095, 0.09 / height, note, **small)


def draw_panel(ax: Axes, panel: ForecastPanel, *, forecast_label: str, band_label: str) -> None:
    """Draw one series into ``ax``."""
    # matplotlib's stubs want floats where its date converter takes datetime64
    history_time: Any = panel.history_time
    forecast_time: Any = panel.forecast_time
    if panel.lower is not None and panel.upper is not None:
        ax.fill_between(
            forecast_time,
            panel.lower,
            panel.upper,
            color=FORECAST_COLOUR,
            alpha=0.18,
            linewidth=0,
            label=band_label,
        )
    outermost_first = list(enumerate(reversed(list(panel.bands.items()))))
    for depth, (label, (lower, upper)) in outermost_first:
        alpha = min(0.14 + 0.12 * depth, 0.5)  # the inner ones are darker, in the legend as well
        ax.fill_between(
            forecast_time, lower, upper, color=FORECAST_COLOUR, alpha=alpha, linewidth=0, label=label
        )
    few = len(panel.history) + len(panel.forecast) <= 80
    marker: dict[str, Any] = {"marker": "o", "markersize": 2.6} if few else {}
    ax.plot(history_time, panel.history, color=HISTORY_COLOUR, linewidth=1.2, label="history", **marker)
    mark_lone_points(ax, panel.history_time, panel.history)
    if panel.actual is not None:
        ax.plot(
            forecast_time,
            panel.actual,
            color=HISTORY_COLOUR,
            linewidth=1.2,
            linestyle=(0, (2, 1.2)),
            label="what came",
        )
    joined_time, joined = join_to_history(panel)
    ax.plot(joined_time, joined, color=FORECAST_COLOUR, linewidth=1.1, alpha=0.55)
    ax.plot(
        forecast_time, panel.forecast, color=FORECAST_COLOUR, linewidth=1.9, label=forecast_label, **marker
    )
    if len(panel.forecast) == 1:
        ax.plot(forecast_time, panel.forecast, "o", color=FORECAST_COLOUR, markersize=4)
    if len(history_time):
        ax.axvline(history_time[-1], color="#9a9a9a", linewidth=0.8, linestyle=(0, (3, 3)), zorder=0)
    dates = np.issubdtype(panel.forecast_time.dtype, np.datetime64)
    style_axes(ax, title=panel.title, unit=panel.unit, dates=dates)


def axis_span(panel: ForecastPanel) -> tuple[Any, Any]:
    """Return the first and last date of a panel."""
    times = np.concatenate([panel.history_time, panel.forecast_time])
    return times[0], times[-1]


def join_to_history(panel: ForecastPanel) -> tuple[Any, NDArray[np.floating[Any]]]:
    """Return the stroke from the last known value to the first forecast; empty without a known value."""
    known = np.flatnonzero(np.isfinite(panel.history))
    if not len(known):
        return panel.forecast_time[:0], panel.forecast[:0]
    last = known[-1]
    times = np.concatenate([panel.history_time[last : last + 1], panel.forecast_time[:1]])
    return times, np.concatenate([panel.history[last : last + 1], panel.forecast[:1]])


def mark_lone_points(ax: Axes, times: Any, values: NDArray[np.floating[Any]]) -> None:
    """Draw a dot on every value whose two neighbours are missing: a line alone would not show it."""
    known = np.concatenate([[False], np.isfinite(values), [False]])
    lone = known[1:-1] & ~known[:-2] & ~known[2:]
    if lone.any():
        ax.plot(times[lone], values[lone], ".", color=HISTORY_COLOUR, markersize=3)


def style_axes(ax: Axes, *, title: str, unit: str, dates: bool = True) -> None:
    """Style the axes: title on the left, few ticks, a light grid, dates or whole numbers of steps."""
    largest = max(map(abs, ax.get_ylim()))
    if largest >= 1e6:  # too wide in full
        power = int(np.log10(largest)) // 3 * 3
        unit = f"{unit} · 10{str(power).translate(SUPERSCRIPTS)}"
        ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value / 10.0**power:,.6g}"))
    elif largest >= 10_000:
        ax.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    # names are the user's: a $ is one, and begins no formula
    ax.set_title(
        title, loc="left", fontsize=10, color=TEXT_COLOUR, fontweight="bold", pad=5, parse_math=False
    )
    ax.set_ylabel(unit, fontsize=9, color=TEXT_COLOUR, parse_math=False)
    if dates:
        locator = AutoDateLocator(minticks=4, maxticks=10)
        ax.xaxis.set_major_locator(locator)
        ax.xaxis.set_major_formatter(ConciseDateFormatter(locator))
    else:
        ax.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True))
    ax.xaxis.get_offset_text().set(fontsize=8, color=TEXT_COLOUR)
    ax.yaxis.set_major_locator(MaxNLocator(nbins=5))
    ax.tick_params(labelsize=8, colors=TEXT_COLOUR, length=3)
    ax.grid(True, color=GRID_COLOUR, linewidth=0.8)
    ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[["left", "bottom"]].set_color("#bbbbbb")
    ax.margins(x=0.01, y=0.08)
