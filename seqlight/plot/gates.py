"""Gates of a recurrent layer over time."""

from typing import Any

import numpy as np
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from numpy.typing import ArrayLike
from torch import Tensor

from seqlight.nn import GRU, LSTM, gate_activations
from seqlight.plot.style import GRID_COLOUR, HISTORY_COLOUR, NOTE_COLOUR, TEXT_COLOUR, TITLE_COLOUR

NAMES = {
    "forget_gate": "forget gate\n1 keeps c",
    "input_gate": "input gate\n1 writes to c",
    "output_gate": "output gate\n1 shows c",
    "update_gate": "update gate\n1 keeps h",
    "reset_gate": "reset gate\n1 looks at h",
    "c": "cell state c\nagainst its largest",
    "h": "state h\nagainst its largest",
}
WIDTH, PANEL_HEIGHT = 9.6, 1.45


def gates(
    layer: LSTM | GRU,
    x: Tensor,
    *,
    values: ArrayLike | None = None,
    time: ArrayLike | None = None,
    title: str | None = None,
    unit: str = "input",
) -> Figure:
    """Draw the gates of an LSTM or GRU over one sequence, one row of pixels for each unit.

    Above, the sequence; below it each gate, from dark (0) to bright (1), and the state that they govern, from
    blue (negative) to red (positive), each unit's against its own largest. Units are sorted by how long they
    remember: those whose forget gate (of a GRU, the update gate) stays nearest to 1 are on top. See
    :func:`seqlight.nn.gate_activations`.

    Args:
        layer: one layer in one direction, without layer normalisation.
        x: [T, C], the layer's input.
        values: [T] or [T, N], what to draw above the gates, for instance the series before scaling; None
            draws `x`.
        time: [T], dates or numbers; None numbers the steps from 0.
        title: heading of the figure; None for the layer's own description.
        unit: what the values are.

    Raises:
        TypeError: `layer` is neither an LSTM nor a GRU of :mod:`seqlight.nn`.
        ValueError: a wrong shape, or a layer that :func:`~seqlight.nn.gate_activations` refuses.
    """
    if x.ndim != 2:
        raise ValueError(f"gates: x expected one sequence [T, C], got {list(x.shape)}")
    found = {name: tensor[0].cpu().numpy() for name, tensor in gate_activations(layer, x[None]).items()}
    steps: Any = np.arange(len(x)) if time is None else np.asarray(time)
    drawn = np.asarray(x.detach().cpu() if values is None else values)
    for name, array in (("time", steps), ("values", drawn)):
        if len(array) != len(x):
            raise ValueError(f"gates: {name} expected T = {len(x)} steps like x, got {len(array)}")
    memory = found["forget_gate" if "forget_gate" in found else "update_gate"].mean(axis=0)
    order = np.argsort(memory)
    shown = [name for name in NAMES if name in found and (name != "h" or "c" not in found)]

    height = 1.0 + PANEL_HEIGHT * (len(shown) + 1)
    figure = Figure(figsize=(WIDTH, height), dpi=150, facecolor="white")
    grid = figure.add_gridspec(
        len(shown) + 1,
        2,
        width_ratios=(1, 0.014),
        left=0.14,
        right=0.935,
        top=1 - 0.55 / height,
        bottom=0.45 / height,
        hspace=0.16,
        wspace=0.03,
    )
    top = figure.add_subplot(grid[0, 0])
    top.plot(steps, drawn, color=HISTORY_COLOUR, linewidth=1.2)
    top.set_ylabel(unit, fontsize=9, color=TEXT_COLOUR, rotation=0, ha="right", va="center", labelpad=10)
    top.grid(True, color=GRID_COLOUR, linewidth=0.8)
    top.set_axisbelow(True)
    axes = [top]
    for row, name in enumerate(shown, start=1):
        ax = figure.add_subplot(grid[row, 0], sharex=top)
        pixels = found[name].T[order]
        if name in ("c", "h"):
            # A unit on its own scale: one that has counted for days would leave the others white.
            largest = np.abs(pixels).max(axis=1, keepdims=True)
            pixels = pixels / np.where(largest > 0, largest, 1.0)
            style: dict[str, Any] = {"cmap": "RdBu_r", "vmin": -1.0, "vmax": 1.0}
        else:
            style = {"cmap": "viridis", "vmin": 0.0, "vmax": 1.0}
        mesh = ax.pcolormesh(
            steps, np.arange(len(order)), pixels, shading="nearest", rasterized=True, **style
        )
        ax.set_ylabel(
            NAMES[name], fontsize=9, color=TEXT_COLOUR, rotation=0, ha="right", va="center", labelpad=10
        )
        ax.set_yticks([])
        bar = figure.colorbar(mesh, cax=figure.add_subplot(grid[row, 1]))
        bar.outline.set_visible(False)
        bar.set_ticks([0.0, 0.5, 1.0] if style["vmin"] == 0 else [style["vmin"], 0.0, style["vmax"]])
        bar.ax.set_yticklabels(["0", "0.5", "1"] if style["vmin"] == 0 else ["-", "0", "+"])
        bar.ax.tick_params(labelsize=7, colors=TEXT_COLOUR, length=2)
        axes.append(ax)
    for ax in axes:
        ax.tick_params(labelsize=8, colors=TEXT_COLOUR, length=3, labelbottom=ax is axes[-1])
        ax.spines[["top", "right"]].set_visible(False)
        ax.spines[["left", "bottom"]].set_color("#bbbbbb")
    if np.issubdtype(steps.dtype, np.datetime64):
        locator = AutoDateLocator(minticks=4, maxticks=10)
        axes[-1].xaxis.set_major_locator(locator)
        axes[-1].xaxis.set_major_formatter(ConciseDateFormatter(locator))
        axes[-1].xaxis.get_offset_text().set(fontsize=8, color=TEXT_COLOUR)
    else:
        axes[-1].set_xlabel("time step", fontsize=9, color=TEXT_COLOUR)
    top.set_xlim(steps[0], steps[-1])
    if title is None:
        kind = "peephole LSTM" if getattr(layer, "peephole", False) else type(layer).__name__
        title = f"Gates of {'an' if kind == 'LSTM' else 'a'} {kind}"
    figure.text(0.02, 1 - 0.12 / height, title, fontsize=14, fontweight="bold", color=TITLE_COLOUR, va="top")
    note = f"{len(order)} units, a row of pixels each; those that remember longest on top"
    figure.text(0.98, 1 - 0.2 / height, note, fontsize=8.5, color=NOTE_COLOUR, va="top", ha="right")
    return figure
