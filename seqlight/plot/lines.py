"""Lines over time, one panel below the other."""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike

from seqlight.plot.style import FORECAST_COLOUR, GRID_COLOUR, HISTORY_COLOUR, TEXT_COLOUR, TITLE_COLOUR

COLOURS = (HISTORY_COLOUR, FORECAST_COLOUR, "#2a9d8f", "#e9a03b", "#7b8fa6", "#7d5ba6", "#8d5a44")
PANEL_INCHES = (9.6, 2.15)


def lines(
    panels: Mapping[str, Mapping[str, ArrayLike]],
    *,
    title: str = "",
    x_label: str = "time step",
    y_label: str = "",
    log: bool = False,
    first_step: int = 0,
) -> Figure:
    """Draw sequences over time: a panel for each heading, and in it a line for each label.

    Args:
        panels: ``{heading: {label: [T], ...}, ...}``, from top to bottom; NaN leaves a gap. A line's
            colour is its place in its panel.
        title: heading of the figure.
        x_label: beneath the last panel.
        y_label: beside every panel.
        log: whether the y axes are logarithmic.
        first_step: number of the first time step.

    Raises:
        ValueError: there is no panel, or a line is not [T].
    """
    if not panels:
        raise ValueError("lines: panels expected at least one, got none")
    height = PANEL_INCHES[1] * len(panels) + 1.0
    figure = Figure(figsize=(PANEL_INCHES[0], height), dpi=150, facecolor="white")
    axes = figure.subplots(len(panels), 1, squeeze=False, sharex=True)[:, 0]
    for ax, (heading, drawn) in zip(axes, panels.items(), strict=True):
        for number, (label, values) in enumerate(drawn.items()):
            line = np.asarray(values)
            if line.ndim != 1:
                raise ValueError(f"lines: {label!r} expected [T], got {list(line.shape)}")
            known = np.isfinite(line).sum()
            ax.plot(
                np.arange(first_step, first_step + len(line)),
                line,
                color=COLOURS[number % len(COLOURS)],
                linewidth=1.5,
                label=label,
                marker="o" if known <= 30 else "",
                markersize=3 if known > 1 else 6,
            )
        if log:
            ax.set_yscale("log")
        ax.set_title(heading, loc="left", fontsize=10, color=TEXT_COLOUR, fontweight="bold", pad=5)
        ax.set_ylabel(y_label, fontsize=9, color=TEXT_COLOUR)
        ax.xaxis.set_major_locator(MaxNLocator(nbins=10, integer=True))
        ax.tick_params(which="both", labelsize=8, colors=TEXT_COLOUR, length=3)
        ax.grid(True, color=GRID_COLOUR, linewidth=0.8)
        ax.set_axisbelow(True)
        ax.spines[["top", "right"]].set_visible(False)
        ax.spines[["left", "bottom"]].set_color("#bbbbbb")
        ax.margins(x=0.01)
        ax.legend(
            loc="center left",
            bbox_to_anchor=(1.005, 0.5),
            frameon=False,
            fontsize=9,
            labelcolor=TEXT_COLOUR,
            handlelength=1.4,
        )
    axes[-1].set_xlabel(x_label, fontsize=9, color=TEXT_COLOUR)
    figure.subplots_adjust(left=0.085, right=0.775, top=1 - 0.72 / height, bottom=0.5 / height, hspace=0.36)
    figure.align_ylabels(axes)
    figure.text(0.085, 1 - 0.14 / height, title, fontsize=14, fontweight="bold", color=TITLE_COLOUR, va="top")
    return figure
