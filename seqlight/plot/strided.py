"""What a strided convolution does to the time axis."""

from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from seqlight.plot.style import FORECAST_COLOUR, HISTORY_COLOUR, NOTE_COLOUR, TEXT_COLOUR, TITLE_COLOUR

IDLE_COLOUR = "#c3c9d1"


def strided_convolution(steps: int, *, kernel_size: int, stride: int, title: str | None = None) -> Figure:
    """Draw the time axis before and after a strided, valid convolution, and the taps in between.

    Each output stands above the last input that it has seen, which is the step whose targets it gets. The
    outputs are aligned to the end, as in :class:`seqlight.models.ConvGRUForecaster`: the last one has seen
    the last input, and inputs at the beginning that no output sees are drawn hollow.

    Args:
        steps: input steps T.
        kernel_size: taps K of the convolution.
        stride: input steps from one output to the next.
        title: heading of the figure; None for "50 steps become 24".

    Raises:
        ValueError: a size below 1, or fewer steps than taps.
    """
    for name, value in (("steps", steps), ("kernel_size", kernel_size), ("stride", stride)):
        if value < 1:
            raise ValueError(f"strided_convolution: {name} expected at least 1, got {value}")
    if steps < kernel_size:
        raise ValueError(
            f"strided_convolution: steps expected at least kernel_size = {kernel_size}, got {steps}"
        )
    last_seen = range(kernel_size - 1 + (steps - kernel_size) % stride, steps, stride)
    first_seen = last_seen[0] - kernel_size + 1
    left, right, bottom, height = 0.95, 0.35, 0.8, 2.9
    width = left + right + max(0.3 * steps, 4.5)
    figure = Figure(figsize=(width, height), dpi=150, facecolor="white")
    ax = figure.add_axes(
        (left / width, bottom / height, 1 - (left + right) / width, 1 - (bottom + 0.8) / height)
    )
    ax.set_xlim(0.4, steps + 0.6)
    ax.set_ylim(-0.25, 1.25)
    chosen = len(last_seen) // 2
    for number, last in enumerate(last_seen):
        taps = [[(tap + 1, 0), (last + 1, 1)] for tap in range(last - kernel_size + 1, last + 1)]
        colour, line_width = (FORECAST_COLOUR, 1.9) if number == chosen else (IDLE_COLOUR, 0.9)
        ax.add_collection(
            LineCollection(taps, colors=colour, linewidths=line_width, zorder=1 + (number == chosen))
        )
    inputs = range(steps)
    ax.scatter(
        [t + 1 for t in inputs],
        [0] * steps,
        s=42,
        facecolors=[HISTORY_COLOUR if t >= first_seen else "white" for t in inputs],
        edgecolors=HISTORY_COLOUR,
        linewidths=1.2,
        zorder=3,
    )
    ax.scatter(
        [t + 1 for t in last_seen],
        [1] * len(last_seen),
        s=60,
        c=[FORECAST_COLOUR if number == chosen else "#2a9d8f" for number in range(len(last_seen))],
        edgecolors="white",
        linewidths=0.8,
        zorder=3,
    )
    ax.set_yticks([0, 1], [f"{steps} inputs", f"{len(last_seen)} outputs"])
    ticks = [t + 1 for t in last_seen]
    every = max(1, round(len(ticks) / 16))
    ax.set_xticks(ticks[::-1][::every])
    ax.set_xlabel("input step that an output has seen last", fontsize=9, color=TEXT_COLOUR)
    ax.tick_params(labelsize=9, colors=TEXT_COLOUR, length=3)
    ax.tick_params(axis="y", length=0)
    ax.spines[["top", "right", "left"]].set_visible(False)
    ax.spines["bottom"].set_color("#bbbbbb")
    heading = title or f"{steps} steps become {len(last_seen)}"
    figure.text(
        0.2 / width, 1 - 0.14 / height, heading, fontsize=14, fontweight="bold", color=TITLE_COLOUR, va="top"
    )
    note = (
        f"kernel size {kernel_size}, stride {stride}: each output, as the red one, sees {kernel_size} inputs"
    )
    figure.text(0.2 / width, 1 - 0.45 / height, note, fontsize=9, color=NOTE_COLOUR, va="top")
    return figure
