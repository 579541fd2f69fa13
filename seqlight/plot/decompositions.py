"""Draw a series before and after trend and season are taken away."""

from typing import Any

import numpy as np
import torch
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike

from seqlight.plot.forecasts import PANEL_INCHES, mark_lone_points
from seqlight.plot.style import FORECAST_COLOUR, GRID_COLOUR, HISTORY_COLOUR, TEXT_COLOUR, TITLE_COLOUR
from seqlight.transforms import decompose


def decomposition(
    values: ArrayLike,
    season_length: int,
    *,
    method: str = "classical",
    time: ArrayLike | None = None,
    title: str = "Decomposition",
    unit: str = "value",
) -> Figure:
    """Draw a series before and after trend and season are taken away.

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
    figure.text(0.095, 0.978, title, fontsize=14, fontweight="bold", color=TITLE_COLOUR, va="top")
    spread = f"standard deviation: {np.nanstd(series):.3g} before, {np.nanstd(remainder):.3g} after"
    figure.text(0.095, 0.938, spread, fontsize=9, color=TEXT_COLOUR, va="top")
    return figure
