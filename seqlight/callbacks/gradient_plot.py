"""A picture of gradients through time."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PANEL_INCHES = (7.2, 2.9)
MOST_LINES = 12


def gradients_through_time(
    steps: Sequence[int], norms: Sequence[dict[str, NDArray[np.float32]]], *, title: str
) -> "Figure":
    """Draw the norm of the gradient for the state against the time step, on a logarithmic scale.

    One panel for each state of each layer, one line for each monitored training step, dark to light. A line
    that falls towards the left is a gradient that vanishes on its way back through time, one that rises
    explodes.

    Args:
        steps: the monitored training steps, increasing.
        norms: for each of them, the norms [T] by state; not all need all states, or the same T.
        title: heading of the figure.

    Returns:
        A figure that needs no display; ``figure.savefig("gradients.png")`` writes it.
    """
    from matplotlib import colormaps
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    chosen = np.unique(np.linspace(0, len(steps) - 1, MOST_LINES).round().astype(int))
    states = list(dict.fromkeys(name for found in norms for name in found))
    height = PANEL_INCHES[1] * len(states) + 0.9
    figure = Figure(figsize=(PANEL_INCHES[0], height), dpi=150, facecolor="white", layout="constrained")
    axes = figure.subplots(len(states), 1, squeeze=False)[:, 0]
    colours = ScalarMappable(Normalize(steps[0], max(steps[-1], steps[0] + 1)), colormaps["viridis"])
    for ax, name in zip(axes, states, strict=True):
        for index in chosen:
            values = norms[index].get(name)
            if values is None:
                continue
            visible = np.where((values > 0) & np.isfinite(values), values, np.nan)
            single = {"marker": "o"} if len(visible) == 1 else {}
            ax.plot(
                np.arange(1, len(visible) + 1), visible, color=colours.to_rgba(steps[index]), lw=1.2, **single
            )
        ax.set_yscale("log")
        ax.set_title(name, loc="left", fontsize=10)
        ax.set_ylabel("gradient norm")
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        ax.grid(True, color="#e6e6e6")
        ax.spines[["top", "right"]].set_visible(False)
    axes[-1].set_xlabel("time step")
    figure.suptitle(title)
    figure.colorbar(
        colours, ax=list(axes), label="training step", ticks=MaxNLocator(6, integer=True), pad=0.02
    )
    return figure
