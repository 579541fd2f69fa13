"""A recurrent net unrolled through time, with the states that travel."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from seqlight.nn import GRU, LSTM, RNN
from seqlight.plot.style import FORECAST_COLOUR, HISTORY_COLOUR, NOTE_COLOUR, TEXT_COLOUR, TITLE_COLOUR

COLUMN, ROW = 1.75, 1.25  # inches from cell to cell
CELL_WIDTH, CELL_HEIGHT = 0.72, 0.5
STATE_COLOURS = (FORECAST_COLOUR, "#2a9d8f", "#e9a03b", "#7d5ba6", "#7b8fa6")
SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


def unrolled(layer: RNN | LSTM | GRU, *, steps: int = 4, title: str | None = None) -> Figure:
    """Draw stacked recurrent layers once for every time step, and what travels between the copies.

    Coloured arrows to the right are states: each layer hands its own to itself, one time step later, and to
    nobody else. Grey arrows upward are outputs: layer k's output at step t is the input of layer k + 1 at the
    same step. On the left the states come in (zeros, or what the caller passed), on the right they come out,
    as the second thing that the layer returns.

    Args:
        layer: a recurrent layer of :mod:`seqlight.nn`, in one direction.
        steps: time steps to draw.
        title: heading of the figure; None for the layer's own description.

    Raises:
        TypeError: `layer` is no recurrent layer of seqlight.
        ValueError: `layer` is bidirectional, or there are fewer than 1 steps.
    """
    if not isinstance(layer, RNN | LSTM | GRU):
        raise TypeError(
            f"unrolled: layer expected a seqlight.nn.RNN, LSTM or GRU, got {type(layer).__name__}"
        )
    if layer.bidirectional:
        raise ValueError("unrolled: layer expected one direction, got bidirectional=True")
    if steps < 1:
        raise ValueError(f"unrolled: steps expected at least 1, got {steps}")
    layers, states = layer.num_layers, ["h", "c"] if isinstance(layer, LSTM) else ["h"]
    left, right, bottom, top = 1.3, 1.75, 1.25, 0.45
    width, height = left + right + COLUMN * (steps - 1), bottom + top + ROW * (layers + 1)
    figure = Figure(figsize=(max(width, 7.0), height), dpi=150, facecolor="white")
    ax = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    ax.set_xlim(0.0, max(width, 7.0))
    ax.set_ylim(0.0, height)
    ax.set_axis_off()

    def centre(step: int, row: int) -> tuple[float, float]:
        """Return the centre of a cell; row 0 is the input, row `layers` + 1 the output."""
        return left + COLUMN * (step - 1), bottom + ROW * (row - 0.25)

    for step in range(1, steps + 1):
        x, y = centre(step, 0)
        name = str(step).translate(SUBSCRIPTS)
        ax.text(x, y, f"x{name}", fontsize=13, color=HISTORY_COLOUR, ha="center", va="center")
        ax.text(x, y - 0.34, f"step {step}", fontsize=8.5, color=NOTE_COLOUR, ha="center", va="center")
        for row in range(1, layers + 2):
            _arrow(ax, centre(step, row - 1), centre(step, row), "#9aa3ae", upward=True)
        ax.text(
            *centre(step, layers + 1), f"y{name}", fontsize=13, color=HISTORY_COLOUR, ha="center", va="center"
        )
    for row in range(1, layers + 1):
        colour = STATE_COLOURS[(row - 1) % len(STATE_COLOURS)]
        mark = str(row).translate(SUPERSCRIPTS) if layers > 1 else ""
        for number, state in enumerate(states):
            shift = 0.0 if len(states) == 1 else (0.11, -0.11)[number]
            line_style = "-" if number == 0 else (0, (4, 1.5))
            for step in range(steps + 1):
                begin, end = centre(step, row), centre(step + 1, row)
                if step == 0:
                    begin = (begin[0] + COLUMN - 1.0, begin[1])
                if step == steps:
                    end = (end[0] - COLUMN + 1.0, end[1])
                begin, end = (begin[0], begin[1] + shift), (end[0], end[1] + shift)
                _arrow(ax, begin, end, colour, from_cell=step > 0, to_cell=step < steps, style=line_style)
                label = f"{state}{mark}{str(step).translate(SUBSCRIPTS)}"
                ax.text(
                    (begin[0] + end[0]) / 2 + (0.0 if 0 < step < steps else (-0.18, 0.18)[step > 0]),
                    begin[1] + (0.13 if shift >= 0 else -0.13),
                    label,
                    fontsize=10.5,
                    color=colour,
                    ha="center",
                    va="center",
                )
        for step in range(1, steps + 1):
            x, y = centre(step, row)
            ax.add_patch(
                FancyBboxPatch(
                    (x - CELL_WIDTH / 2, y - CELL_HEIGHT / 2),
                    CELL_WIDTH,
                    CELL_HEIGHT,
                    boxstyle="round,pad=0,rounding_size=0.1",
                    facecolor="white",
                    edgecolor=colour,
                    linewidth=1.8,
                    zorder=3,
                )
            )
            name = type(layer).__name__
            ax.text(
                x,
                y + 0.07,
                name,
                fontsize=10,
                fontweight="bold",
                color=TEXT_COLOUR,
                ha="center",
                va="center",
                zorder=4,
            )
            ax.text(
                x,
                y - 0.12,
                f"layer {row}",
                fontsize=7.5,
                color=NOTE_COLOUR,
                ha="center",
                va="center",
                zorder=4,
            )
    names = " and ".join(states)
    x, y = centre(steps, layers)
    ax.text(
        x + 1.05,
        y + 0.32 + 0.11 * len(states),
        f"returned:\n{names} [{layers}, B, {layer.hidden_size}]",
        fontsize=8.5,
        color=NOTE_COLOUR,
        ha="center",
        va="bottom",
    )
    stack = (
        f"{layers} stacked {type(layer).__name__} layers"
        if layers > 1
        else f"One {type(layer).__name__} layer"
    )
    heading = title or f"{stack}, unrolled through time"
    ax.text(
        0.2, height - 0.16, heading, fontsize=14, fontweight="bold", color=TITLE_COLOUR, ha="left", va="top"
    )
    ax.text(
        0.2,
        0.16,
        "coloured: states, each from a layer to itself, one step later    grey: outputs, up to the next layer"
        "\nall cells of a row are one layer: the same weights at every step",
        fontsize=8.5,
        color=NOTE_COLOUR,
        ha="left",
        va="bottom",
        linespacing=1.5,
    )
    return figure


def _arrow(
    ax: Axes,
    begin: tuple[float, float],
    end: tuple[float, float],
    colour: str,
    *,
    upward: bool = False,
    from_cell: bool = True,
    to_cell: bool = True,
    style: object = "-",
) -> None:
    """Draw an arrow between the edges of two cells."""
    (x0, y0), (x1, y1) = begin, end
    if upward:
        y0, y1 = y0 + CELL_HEIGHT / 2, y1 - CELL_HEIGHT / 2
    else:
        x0, x1 = x0 + from_cell * CELL_WIDTH / 2, x1 - to_cell * CELL_WIDTH / 2
    ax.annotate(
        "",
        (x1, y1),
        xytext=(x0, y0),
        arrowprops={
            "arrowstyle": "-|>",
            "color": colour,
            "linewidth": 1.6,
            "linestyle": style,
            "shrinkA": 0,
            "shrinkB": 0,
            "mutation_scale": 11,
        },
        zorder=2,
    )
