"""Errors of forecasters against the number of steps ahead."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from seqlight.plot.forecasts import PANEL_INCHES
from seqlight.plot.style import FORECAST_COLOUR, GRID_COLOUR, TEXT_COLOUR, TITLE_COLOUR

STEP_COLOURS = (FORECAST_COLOUR, "#2e7d8c", "#e0a030", "#5b5ea6", "#6a994e", "#8d5a97")
"""Of the lines of :func:`errors_by_step`, in their order; the first is the forecast's own."""


def errors_by_step(
    errors: Mapping[str, NDArray[np.floating[Any]]],
    *,
    title: str = "Error at each step ahead",
    error_label: str = "error",
) -> Figure:
    """Draw one line for each forecaster: its error at every step ahead.

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
    ax.set_title(title, loc="left", fontsize=14, fontweight="bold", color=TITLE_COLOUR, pad=12)
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
