"""Series with their filled cells marked."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from seqlight.plot.forecasts import frame, mark_lone_points, stacked_axes, style_axes
from seqlight.plot.style import FORECAST_COLOUR, HISTORY_COLOUR


@dataclass(frozen=True, kw_only=True)
class ImputationPanel:
    """One series of a plot of filled cells.

    Args:
        title: the series' name, written above the panel.
        unit: what the values are, written beside the y axis; a column's name will do.
        time: ``datetime64`` [N], or steps as integers, increasing.
        values: float [N], known and filled ones; NaN where a cell stayed empty.
        filled: bool [N], which were filled.

    Raises:
        ValueError: the arrays differ in shape.
    """

    title: str
    unit: str
    time: NDArray[np.datetime64] | NDArray[np.int64]
    values: NDArray[np.floating[Any]]
    filled: NDArray[np.bool_]

    def __post_init__(self) -> None:
        for name in ("values", "filled"):
            array = getattr(self, name)
            if array.ndim != 1 or array.shape != self.time.shape:
                raise ValueError(
                    f"ImputationPanel: {name} expected shape {self.time.shape} like time, got {array.shape}"
                )


def imputation(
    panels: Sequence[ImputationPanel],
    *,
    title: str = "Filled cells",
    note: str = "",
    max_panels: int = 6,
) -> Figure:
    """Draw series with the filled cells marked, one panel per series.

    Args:
        panels: the series, in the order in which they are drawn from top to bottom.
        title: heading of the figure.
        note: a line of small print at the bottom.
        max_panels: only the first ``max_panels`` are drawn; the note then says how many there are.

    Raises:
        ValueError: ``panels`` is empty.
    """
    if not panels:
        raise ValueError("imputation: panels expected at least one ImputationPanel, got none")
    shown = list(panels[:max_panels])
    if len(shown) < len(panels):
        note = f"{note}  ·  {len(shown)} of {len(panels)} panels shown".lstrip(" ·")
    figure, axes = stacked_axes(len(shown))
    for ax, panel in zip(axes, shown, strict=True):
        draw_filled(ax, panel)
    frame(figure, axes, title=title, note=note)
    return figure


def draw_filled(ax: Axes, panel: ImputationPanel) -> None:
    """Draw one series with its filled cells into ``ax``."""
    # matplotlib's stubs want floats where its date converter takes datetime64
    time: Any = panel.time
    known = np.where(panel.filled, np.nan, panel.values)
    ax.plot(time, known, color=HISTORY_COLOUR, linewidth=1.2, label="known")
    mark_lone_points(ax, time, known)
    # A filled stretch is drawn from the known cell before it to the one after it.
    beside = panel.filled.copy()
    beside[1:] |= panel.filled[:-1]
    beside[:-1] |= panel.filled[1:]
    ax.plot(time, np.where(beside, panel.values, np.nan), color=FORECAST_COLOUR, linewidth=1.3, alpha=0.75)
    size = float(np.clip(900 / max(len(time), 1), 1.8, 4.0))
    ax.plot(
        time[panel.filled],
        panel.values[panel.filled],
        "o",
        color=FORECAST_COLOUR,
        markersize=size,
        label="filled",
    )
    dates = np.issubdtype(panel.time.dtype, np.datetime64)
    style_axes(ax, title=panel.title, unit=panel.unit, dates=dates)
