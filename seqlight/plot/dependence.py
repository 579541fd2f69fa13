"""Which output step depends on which input step, and how strongly."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray
from torch import Tensor

from seqlight.plot.style import NOTE_COLOUR, TEXT_COLOUR, TITLE_COLOUR

SMALLEST = 1e-4  # of the largest derivative; less is drawn as this


def dependence(
    functions: Mapping[str, Callable[[Tensor], Any]], x: Tensor, *, title: str = "Who sees whom"
) -> Figure:
    """Draw, for layers over [B, T, C], the size of the derivative of each output step by each input step.

    One square for each function: a row for every output step, a column for every input step, white where
    the derivative is exactly 0. What a pixel shows forward, it shows backward too: the gradient of a
    loss at that output step reaches that input step along the same way.

    Args:
        functions: by their headings; each takes [B, T, C] and returns [B, T', D], or a tuple whose first
            entry is that. Rows of a batch must not depend on each other.
        x: [T, C], the sequence at which the derivatives are taken.
        title: heading of the figure.

    Raises:
        ValueError: a wrong shape, or there is no function.
    """
    if x.ndim != 2:
        raise ValueError(f"dependence: x expected one sequence [T, C], got {list(x.shape)}")
    if not functions:
        raise ValueError("dependence: functions expected at least one, got none")
    across = 0.5 + 3.35 * len(functions)
    figure = Figure(figsize=(max(across, 6.0), 4.15), dpi=150, facecolor="white", layout="constrained")
    axes = figure.subplots(1, len(functions), squeeze=False)[0]
    mesh = None
    for ax, (name, function) in zip(axes, functions.items(), strict=True):
        sizes = derivative_sizes(function, x)
        relative = sizes / (sizes.max() or 1.0)
        shown = np.ma.masked_where(relative == 0, np.maximum(relative, SMALLEST))
        outputs, inputs = relative.shape
        mesh = ax.pcolormesh(
            np.arange(inputs + 1) + 0.5,
            np.arange(outputs + 1) + 0.5,
            shown,
            cmap="YlGnBu",
            norm=LogNorm(SMALLEST, 1.0),
            edgecolors="#f4f4f4",
            linewidth=0.3,
        )
        ax.invert_yaxis()
        ax.set_box_aspect(1)
        ax.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True, min_n_ticks=2))
        ax.yaxis.set_major_locator(MaxNLocator(nbins=6, integer=True, min_n_ticks=2))
        ax.set_title(name, fontsize=10, color=TEXT_COLOUR, fontweight="bold", pad=6)
        ax.set_xlabel("input step", fontsize=9, color=TEXT_COLOUR)
        ax.tick_params(labelsize=8, colors=TEXT_COLOUR, length=3)
        ax.spines[:].set_color("#bbbbbb")
    axes[0].set_ylabel("output step", fontsize=9, color=TEXT_COLOUR)
    assert mesh is not None
    bar = figure.colorbar(mesh, ax=list(axes), shrink=0.72, pad=0.02)
    bar.set_label("derivative, against the largest", fontsize=8.5, color=NOTE_COLOUR)
    bar.ax.tick_params(labelsize=8, colors=TEXT_COLOUR)
    bar.outline.set_visible(False)
    figure.suptitle(title, x=0.012, ha="left", fontsize=14, fontweight="bold", color=TITLE_COLOUR)
    engine = figure.get_layout_engine()
    assert isinstance(engine, ConstrainedLayoutEngine)
    engine.set(h_pad=0.1)
    return figure


def derivative_sizes(function: Callable[[Tensor], Any], x: Tensor) -> NDArray[np.float64]:
    """Return the norms [T', T] of the Jacobian's blocks: output step by input step."""
    with torch.no_grad():
        output = _first(function(x[None]))
    steps, channels = output.shape[1], output.shape[2]
    with torch.enable_grad():
        # One row of the batch for every output step; one backward pass for every output channel.
        rows = x.detach().expand(steps, *x.shape).clone().requires_grad_()
        own = _first(function(rows)).diagonal(dim1=0, dim2=1)  # [D, T']
        squares = torch.zeros(steps, len(x), dtype=torch.float64)
        for channel in range(channels):
            (gradient,) = torch.autograd.grad(own[channel].sum(), rows, retain_graph=True)
            squares += gradient.double().square().sum(dim=2)
    return squares.sqrt().numpy()


def _first(result: Any) -> Tensor:
    output = result[0] if isinstance(result, tuple) else result
    if not isinstance(output, Tensor) or output.ndim != 3:
        shape = list(output.shape) if isinstance(output, Tensor) else type(output).__name__
        raise ValueError(f"dependence: functions expected to return [B, T', D], got {shape}")
    return output
