"""The receptive field of stacked causal convolutions: a tree of taps, or a bar for every layer."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator
from torch import nn

from seqlight.plot.convolutions import Convolution, find_convolutions, name_of
from seqlight.plot.style import FORECAST_COLOUR, GRID_COLOUR, NOTE_COLOUR, TEXT_COLOUR, TITLE_COLOUR

LARGEST_TREE = 64  # input steps; beyond, the nodes would run into each other
IDLE_COLOUR = "#d8dbe0"
EDGE_INCHES = {"left": 1.15, "right": 0.25, "top": 0.95, "bottom": 0.75}
LABEL_INCHES = 1.55  # to the right of the tree or the bars


def receptive_field(
    model: nn.Module | Sequence[nn.Module],
    *,
    form: Literal["auto", "tree", "bars"] = "auto",
    title: str | None = None,
) -> Figure:
    """Draw which inputs an output of stacked causal convolutions depends on, and through which taps.

    The tree has a node for every layer and time step. The taps that lead to the last output are drawn in
    colour, all others in grey: with kernel 2 and dilations that double, each input of the receptive field is
    reached in exactly one way. The bars show, for receptive fields too long for a tree, how far back each
    layer sees, on a logarithmic time axis: the pale part through the layers below, the strong part by its
    own taps.

    Args:
        model: a :class:`~seqlight.nn.WaveNet`, :class:`~seqlight.nn.TCN`,
            :class:`~seqlight.nn.CausalConv1d`, a module or forecaster that contains one, or a sequence of
            layers that work one after the other. Of a forecaster, the context is drawn too.
        form: ``"tree"``, ``"bars"``, or ``"auto"``: a tree up to 64 steps.
        title: heading of the figure; None for the model's name and its receptive field.

    Raises:
        TypeError: the model is no module, nor a sequence of modules.
        ValueError: the model has no causal convolution, or recurrent layers too; or an unknown form.
    """
    layers = find_convolutions(model)
    if form not in ("auto", "tree", "bars"):
        raise ValueError(f"receptive_field: form expected 'auto', 'tree' or 'bars', got {form!r}")
    field = layers[-1].field
    if form == "auto":
        form = "tree" if field <= LARGEST_TREE else "bars"
    context = getattr(model, "context_length", None)
    note = f"{len(layers)} causal convolution{'s' if len(layers) > 1 else ''} of {kernels(layers)}"
    if context is not None:
        share = "all" if field >= context else f"the last {field:,}"
        note += f"; the forecast depends on {share} of the {context:,} steps of context"
    heading = title or f"{name_of(model)}: receptive field of {field:,} time step{'s' if field > 1 else ''}"
    if form == "tree":
        return draw_tree(layers, heading, note)
    return draw_bars(layers, heading, note, context)


def kernels(layers: Sequence[Convolution]) -> str:
    """Name the kernel sizes, e.g. "kernel 2" or "kernels 2 and 3"."""
    sizes = sorted({layer.module.kernel_size for layer in layers})
    if len(sizes) == 1:
        return f"kernel {sizes[0]}"
    return f"kernels {', '.join(map(str, sizes[:-1]))} and {sizes[-1]}"


def layer_colours(layers: Sequence[Convolution]) -> list[str]:
    """Return a colour for each layer, by its dilation: the same in every block."""
    dilations = sorted({layer.module.dilation for layer in layers})
    shades = colormaps["viridis"](np.linspace(0.12, 0.74, max(len(dilations), 2)))
    return [to_hex(shades[dilations.index(layer.module.dilation)]) for layer in layers]


def draw_tree(layers: Sequence[Convolution], title: str, note: str) -> Figure:
    """Draw a node for every layer and time step, and the taps between them."""
    field, count = layers[-1].field, len(layers)
    colours = layer_colours(layers)
    figure, ax = make_figure(
        width=min(0.7 + 0.27 * field, 13.0), height=max(0.62 * count, 1.0), title=title, note=note
    )
    times = range(1 - field, 1)
    idle_width = 0.5 if field <= 32 else 0.3
    reached = {0}
    used_of_row = {count: reached}
    for row in range(count, 0, -1):
        conv = layers[row - 1].module
        shifts = [tap * conv.dilation for tap in range(conv.kernel_size)]
        idle = [[(t - s, row - 1), (t, row)] for t in times for s in shifts if t - s >= times[0]]
        ax.add_collection(LineCollection(idle, colors=IDLE_COLOUR, linewidths=idle_width, zorder=1))
        used = [[(t - s, row - 1), (t, row)] for t in reached for s in shifts]
        ax.add_collection(LineCollection(used, colors=colours[row - 1], linewidths=1.5, zorder=3))
        reached = {t - s for t in reached for s in shifts}
        used_of_row[row - 1] = reached
    size = float(np.clip(900.0 / field, 9.0, 42.0))
    for row in range(count + 1):
        used_times = sorted(used_of_row[row])
        colour = TITLE_COLOUR if row == 0 else FORECAST_COLOUR if row == count else colours[row - 1]
        others = [t for t in times if t not in used_of_row[row]]
        ax.scatter(others, [row] * len(others), s=size * 0.5, color=IDLE_COLOUR, linewidths=0, zorder=2)
        ax.scatter(
            used_times,
            [row] * len(used_times),
            s=size * (1.8 if row == count else 1.0),
            color=colour,
            edgecolors="white",
            linewidths=0.6,
            zorder=4,
        )
    label_layers(ax, layers, colours, at=0.0)
    ax.set_ylim(-0.35, count + 0.3)
    ax.set_xlim(times[0] - 0.6, 0.6)
    apart = max(1, 2 ** round(np.log2(field / 8)))
    ax.set_xticks(range(0, -field, -apart), [str(steps) for steps in range(0, field, apart)])
    ax.set_xlabel("time steps before the output", fontsize=9, color=TEXT_COLOUR)
    return figure


def draw_bars(layers: Sequence[Convolution], title: str, note: str, context: int | None) -> Figure:
    """Draw how far back each layer sees, the current step counted as 1, on a logarithmic axis."""
    field, count = layers[-1].field, len(layers)
    colours = layer_colours(layers)
    figure, ax = make_figure(width=8.0, height=max(0.26 * (count + 1), 1.2), title=title, note=note)
    nearest = 0.8  # the right edge: the current step needs a width on a logarithmic axis
    before = 1
    for row, (layer, colour) in enumerate(zip(layers, colours, strict=True), start=1):
        pale = max(before, nearest + 0.2)
        ax.barh(row, pale - nearest, left=nearest, height=0.72, color=colour, alpha=0.22, linewidth=0)
        ax.barh(row, layer.field - before, left=before, height=0.72, color=colour, linewidth=0)
        # A few steps behind thousands are too thin for a bar.
        ax.vlines(layer.field, row - 0.36, row + 0.36, color=colour, linewidth=2.0)
        before = layer.field
    ax.plot(1, count, "o", color=FORECAST_COLOUR, markersize=7, markeredgecolor="white", zorder=4)
    farthest = max(field, context or 0)
    if context is not None:
        ax.axvline(context, color=FORECAST_COLOUR, linewidth=1.2, linestyle=(0, (4, 2)), zorder=3)
        ax.annotate(
            f"context {context:,}",
            (context, 0.25),
            xytext=(4, 0),
            textcoords="offset points",
            fontsize=8,
            color=FORECAST_COLOUR,
            va="center",
        )
    ax.set_xscale("log")
    ax.set_xlim(farthest * 1.35, nearest)
    ax.set_ylim(0.0, count + 0.7)
    ticks = [1.0] + [base * 10.0**power for power in range(7) for base in (2, 5, 10)]
    ax.xaxis.set_major_locator(FixedLocator([tick for tick in ticks if tick <= farthest]))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, position: f"{value:,.0f}"))
    ax.grid(axis="x", color=GRID_COLOUR, linewidth=0.8)
    ax.set_axisbelow(True)
    label_layers(ax, layers, colours, at=nearest, input_row=False)
    ax.set_xlabel("steps seen, from the current one back (logarithmic)", fontsize=9, color=TEXT_COLOUR)
    return figure


def make_figure(*, width: float, height: float, title: str, note: str) -> tuple[Figure, Axes]:
    """Make a figure whose axes have the given size in inches, with its head; widened for a long head."""
    across = width + EDGE_INCHES["left"] + EDGE_INCHES["right"] + LABEL_INCHES
    across = max(across, 0.3 + 0.115 * len(title), 0.3 + 0.068 * len(note))
    high = height + EDGE_INCHES["top"] + EDGE_INCHES["bottom"]
    figure = Figure(figsize=(across, high), dpi=150, facecolor="white")
    ax = figure.add_axes(
        (
            EDGE_INCHES["left"] / across,
            EDGE_INCHES["bottom"] / high,
            1.0 - (EDGE_INCHES["left"] + EDGE_INCHES["right"] + LABEL_INCHES) / across,
            height / high,
        )
    )
    figure.text(
        0.15 / across, 1 - 0.16 / high, title, fontsize=13, fontweight="bold", color=TITLE_COLOUR, va="top"
    )
    figure.text(0.15 / across, 1 - 0.47 / high, note, fontsize=9, color=NOTE_COLOUR, va="top")
    ax.spines[["top", "right", "left"]].set_visible(False)
    ax.spines["bottom"].set_color("#bbbbbb")
    ax.tick_params(labelsize=8, colors=TEXT_COLOUR, length=3)
    ax.tick_params(axis="y", length=0)
    return figure, ax


def label_layers(
    ax: Axes, layers: Sequence[Convolution], colours: Sequence[str], *, at: float, input_row: bool = True
) -> None:
    """Number the layers at the left, and write dilation and steps seen at the right."""
    rows = range(0 if input_row else 1, len(layers) + 1)
    ax.set_yticks(rows, ["input" if row == 0 else f"layer {row}" for row in rows])
    for row, (layer, colour) in enumerate(zip(layers, colours, strict=True), start=1):
        ax.annotate(
            f"dilation {layer.module.dilation:,}",
            (1.0, row),
            xycoords=("axes fraction", "data"),
            xytext=(10, 0),
            textcoords="offset points",
            fontsize=8.5,
            fontweight="bold",
            color=colour,
            va="center",
        )
        ax.annotate(
            f"sees {layer.field:,}",
            (1.0, row),
            xycoords=("axes fraction", "data"),
            xytext=(78, 0),
            textcoords="offset points",
            fontsize=8.5,
            color=TEXT_COLOUR,
            va="center",
        )
