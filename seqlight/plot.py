"""Pictures of forecasts, as matplotlib figures that need no display and no ``pyplot`` state.

Every function returns a :class:`matplotlib.figure.Figure`; ``figure.savefig("forecast.png")`` writes it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, StrMethodFormatter
from numpy.typing import ArrayLike, NDArray

__all__ = ["ForecastPanel", "decomposition", "errors_by_step", "forecast"]

HISTORY_COLOUR = "#3b4252"
FORECAST_COLOUR = "#d1495b"
BASELINE_COLOUR = "#7b8fa6"
TEXT_COLOUR = "#4a4a4a"
GRID_COLOUR = "#e6e6e6"
PANEL_INCHES = (9.6, 2.5)
HEAD_INCHES = 0.95  # title and legend
FOOT_INCHES = 0.62  # tick labels of the last panel and the note


@dataclass(frozen=True, kw_only=True)
class ForecastPanel:
    """One series of a forecast plot.

    Args:
        title: the series' name, written above the panel.
        unit: what the values are, written beside the y axis; a column's name will do.
        history_time: ``datetime64`` [N], increasing.
        history: float [N]; NaN where a value is missing, which leaves a gap in the line.
        forecast_time: ``datetime64`` [H], continuing ``history_time``.
        forecast: float [H].
        lower, upper: float [H], edges of a band around the forecast, or None for no band.
        actual: float [H], what really came, or None while that is unknown.

    Raises:
        ValueError: two arrays that belong together differ in shape, or only one edge of the band is given.
    """

    title: str
    unit: str
    history_time: NDArray[np.datetime64]
    history: NDArray[np.floating[Any]]
    forecast_time: NDArray[np.datetime64]
    forecast: NDArray[np.floating[Any]]
    lower: NDArray[np.floating[Any]] | None = None
    upper: NDArray[np.floating[Any]] | None = None
    actual: NDArray[np.floating[Any]] | None = None

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


def forecast(
    panels: Sequence[ForecastPanel],
    *,
    title: str = "Forecast",
    band_label: str = "band",
    note: str = "",
    max_panels: int = 6,
) -> Figure:
    """History, forecast and error band, one panel per series.

    Args:
        panels: the series, in the order in which they are drawn from top to bottom.
        title: heading of the figure.
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

    panel_height = PANEL_INCHES[1] * (1.4 if len(shown) == 1 else 1.0)
    height = panel_height * len(shown) + HEAD_INCHES + FOOT_INCHES
    figure = Figure(figsize=(PANEL_INCHES[0], height), dpi=150, facecolor="white")
    axes = figure.subplots(len(shown), 1, squeeze=False)[:, 0]
    for ax, panel in zip(axes, shown, strict=True):
        draw_panel(ax, panel, band_label=band_label)
    if len({axis_span(panel) for panel in shown}) == 1:  # the same dates below each other: write them once
        for ax in axes[:-1]:
            ax.xaxis.get_offset_text().set_visible(False)

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
        color="#222222",
        va="top",
    )
    entries: dict[str, Any] = {
        label: handle for ax in axes for handle, label in zip(*ax.get_legend_handles_labels(), strict=True)
    }
    order = sorted(entries, key=lambda label: label == band_label)  # the lines first
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
        figure.text(0.095, 0.09 / height, note, fontsize=7.5, color="#7a7a7a", va="bottom")
    return figure


def draw_panel(ax: Axes, panel: ForecastPanel, *, band_label: str) -> None:
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
    ax.plot(forecast_time, panel.forecast, color=FORECAST_COLOUR, linewidth=1.9, label="forecast", **marker)
    if len(panel.forecast) == 1:
        ax.plot(forecast_time, panel.forecast, "o", color=FORECAST_COLOUR, markersize=4)
    if len(history_time):
        ax.axvline(history_time[-1], color="#9a9a9a", linewidth=0.8, linestyle=(0, (3, 3)), zorder=0)
    style_axes(ax, panel)


def axis_span(panel: ForecastPanel) -> tuple[Any, Any]:
    """First and last date of a panel."""
    times = np.concatenate([panel.history_time, panel.forecast_time])
    return times[0], times[-1]


def join_to_history(panel: ForecastPanel) -> tuple[Any, NDArray[np.floating[Any]]]:
    """The stroke from the last known value to the first forecast; empty when there is no known value."""
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


def style_axes(ax: Axes, panel: ForecastPanel) -> None:
    """Title on the left, few ticks, a light grid, dates that repeat nothing."""
    ax.set_title(panel.title, loc="left", fontsize=10, color=TEXT_COLOUR, fontweight="bold", pad=5)
    ax.set_ylabel(panel.unit, fontsize=9, color=TEXT_COLOUR)
    locator = AutoDateLocator(minticks=4, maxticks=10)
    ax.xaxis.set_major_locator(locator)
    ax.xaxis.set_major_formatter(ConciseDateFormatter(locator))
    ax.xaxis.get_offset_text().set(fontsize=8, color=TEXT_COLOUR)
    ax.yaxis.set_major_locator(MaxNLocator(nbins=5))
    if max(map(abs, ax.get_ylim())) >= 10_000:
        ax.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    ax.tick_params(labelsize=8, colors=TEXT_COLOUR, length=3)
    ax.grid(True, color=GRID_COLOUR, linewidth=0.8)
    ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[["left", "bottom"]].set_color("#bbbbbb")
    ax.margins(x=0.01, y=0.08)


def decomposition(
    values: ArrayLike,
    season_length: int,
    *,
    method: str = "classical",
    time: ArrayLike | None = None,
    title: str = "Decomposition",
    unit: str = "value",
) -> Figure:
    """A series before and after trend and season are taken away.

    Three panels over one time axis: the series with its trend, the seasonal part, and the remainder, which is
    what a forecaster with ``transform="decompose(...)"`` sees. The panels have one scale, so that their
    heights compare; see :func:`seqlight.transforms.decompose`.

    Args:
        values: float [T]; NaN where a value is missing, which leaves a gap in the line.
        season_length: steps of a season, at least 2; T is at least two seasons.
        method: ``"classical"`` or ``"stl"``.
        time: [T], dates or numbers; None numbers the steps from 0.
        title: heading of the figure.
        unit: what the values are, written beside the y axes.

    Raises:
        ImportError: ``method="stl"`` without statsmodels.
        ValueError: a wrong shape, nothing but NaN, or what ``decompose`` refuses.
    """
    import torch

    from seqlight.transforms import decompose

    series = np.asarray(values, dtype=np.float64)
    if series.ndim != 1:
        raise ValueError(f"decomposition: values expected shape [T], got {list(series.shape)}")
    # matplotlib's stubs want floats where its date converter takes datetime64
    steps: Any = np.arange(len(series)) if time is None else np.asarray(time)
    if steps.shape != series.shape:
        raise ValueError(f"decomposition: time expected shape {series.shape} like values, got {steps.shape}")
    if np.isnan(series).all():
        raise ValueError("decomposition: values expected at least one that is not NaN, got none")
    parts = decompose(torch.from_numpy(series.copy())[:, None], season_length, method=method)
    trend, seasonal, remainder = (part[:, 0].numpy() for part in parts)

    figure = Figure(figsize=(PANEL_INCHES[0], 7.2), dpi=150, facecolor="white")
    spans = [np.nanmax(line) - np.nanmin(line) for line in (series, seasonal, remainder)]
    # Heights in proportion to the values' spans; a panel of little or nothing is still high enough to read.
    floor = 0.25 * max(spans) or 1.0
    heights = [max(span, floor) for span in spans]
    axes = figure.subplots(3, 1, sharex=True, gridspec_kw={"height_ratios": heights})
    panels = (
        (axes[0], series, "before: the series and its trend"),
        (axes[1], seasonal, f"seasonal part: a season has {season_length} steps"),
        (axes[2], remainder, "after: the remainder, which is left to the network"),
    )
    for (ax, line, name), height in zip(panels, heights, strict=True):
        ax.plot(steps, line, color=HISTORY_COLOUR, linewidth=1.1)
        mark_lone_points(ax, steps, line)
        centre = (np.nanmax(line) + np.nanmin(line)) / 2
        ax.set_ylim(centre - 0.56 * height, centre + 0.56 * height)
        ax.set_title(name, loc="left", fontsize=10, color=TEXT_COLOUR, fontweight="bold", pad=5)
        ax.set_ylabel(unit, fontsize=9, color=TEXT_COLOUR)
        ax.yaxis.set_major_locator(MaxNLocator(nbins=3 if height == floor else 5))
        ax.tick_params(labelsize=8, colors=TEXT_COLOUR, length=3)
        ax.grid(True, color=GRID_COLOUR, linewidth=0.8)
        ax.set_axisbelow(True)
        ax.spines[["top", "right"]].set_visible(False)
        ax.spines[["left", "bottom"]].set_color("#bbbbbb")
        ax.margins(x=0.01)
    axes[0].plot(steps, trend, color=FORECAST_COLOUR, linewidth=1.9)
    if np.issubdtype(steps.dtype, np.datetime64):
        locator = AutoDateLocator(minticks=4, maxticks=10)
        axes[2].xaxis.set_major_locator(locator)
        axes[2].xaxis.set_major_formatter(ConciseDateFormatter(locator))
        axes[2].xaxis.get_offset_text().set(fontsize=8, color=TEXT_COLOUR)
    else:
        axes[2].set_xlabel("step", fontsize=9, color=TEXT_COLOUR)
    figure.subplots_adjust(left=0.095, right=0.975, top=0.875, bottom=0.08, hspace=0.32)
    figure.align_ylabels(axes)
    figure.text(0.095, 0.978, title, fontsize=14, fontweight="bold", color="#222222", va="top")
    spread = f"standard deviation: {np.nanstd(series):.3g} before, {np.nanstd(remainder):.3g} after"
    figure.text(0.095, 0.938, spread, fontsize=9, color=TEXT_COLOUR, va="top")
    return figure


STEP_COLOURS = ("#d1495b", "#2e7d8c", "#e0a030", "#5b5ea6", "#6a994e", "#8d5a97")
"""Of the lines of :func:`errors_by_step`, in their order; the first is the forecast's own."""


def errors_by_step(
    errors: Mapping[str, NDArray[np.floating[Any]]],
    *,
    title: str = "Error at each step ahead",
    error_label: str = "error",
) -> Figure:
    """One line for each forecaster: its error at every step ahead.

    Args:
        errors: float [H] for each forecaster, by name, such as
            ``{result.model: result.mae.numpy() for result in seqlight.evaluation.errors_by_step(...)}``.
        title: heading of the figure.
        error_label: what the errors are, written beside the y axis.

    Raises:
        ValueError: ``errors`` is empty, or its arrays are not all of one shape [H].
    """
    if not errors:
        raise ValueError("errors_by_step: errors expected at least one forecaster, got none")
    shapes = {values.shape for values in errors.values()}
    if len(shapes) > 1 or len(next(iter(shapes))) != 1:
        raise ValueError(f"errors_by_step: errors expected arrays of one shape [H], got {sorted(shapes)}")
    (horizon,) = shapes.pop()
    figure = Figure(figsize=(PANEL_INCHES[0], 4.6), dpi=150, facecolor="white")
    ax = figure.subplots()
    steps = np.arange(1, horizon + 1)
    for index, (name, values) in enumerate(errors.items()):
        colour = STEP_COLOURS[index % len(STEP_COLOURS)]
        marker = "o" if horizon <= 30 else None
        ax.plot(steps, values, color=colour, linewidth=1.8, marker=marker, markersize=3.5, label=name)
    ax.set_title(title, loc="left", fontsize=14, fontweight="bold", color="#222222", pad=12)
    ax.set_xlabel("steps ahead", fontsize=9, color=TEXT_COLOUR)
    ax.set_ylabel(error_label, fontsize=9, color=TEXT_COLOUR)
    ax.set_ylim(bottom=0)
    ax.xaxis.set_major_locator(MaxNLocator(nbins=12, integer=True))
    ax.tick_params(labelsize=8, colors=TEXT_COLOUR, length=3)
    ax.grid(True, color=GRID_COLOUR, linewidth=0.8)
    ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[["left", "bottom"]].set_color("#bbbbbb")
    # In the order in which the lines end, from top to bottom, so that each name stands beside its line.
    handles, labels = ax.get_legend_handles_labels()
    order = sorted(range(len(labels)), key=lambda i: -np.nan_to_num(list(errors.values())[i][-1]))
    ax.legend(
        [handles[i] for i in order],
        [labels[i] for i in order],
        loc="center left",
        bbox_to_anchor=(1.01, 0.5),
        frameon=False,
        fontsize=9,
        labelcolor=TEXT_COLOUR,
    )
    figure.tight_layout()
    return figure
