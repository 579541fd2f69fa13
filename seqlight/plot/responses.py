"""What each layer of stacked causal convolutions responds to."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray
from torch import Tensor, nn

from seqlight.nn.wavenet_gated_layer import GatedLayer
from seqlight.plot.convolutions import Convolution, find_convolutions, name_of
from seqlight.plot.style import FORECAST_COLOUR, HISTORY_COLOUR, NOTE_COLOUR, TEXT_COLOUR, TITLE_COLOUR

Array = NDArray[np.float64]

WIDTH_INCHES = 11.0
INPUT_INCHES = 1.25
CLIP = 2.5  # standard deviations at the ends of the colour scale
COLOURS = LinearSegmentedColormap.from_list(
    "responses", ["#1f5a7a", "#8fb9c9", "#f6f5f1", "#e3a58f", "#a8323e"]
)


def layer_responses(
    model: nn.Module,
    series: Tensor | NDArray[Any],
    *,
    max_layers: int = 10,
    max_channels: int = 16,
    title: str | None = None,
    **inputs: Tensor,
) -> Figure:
    """Draw what the layers of a convolutional model make of a series: a heat map per layer under the input.

    A row of a heat map is one channel of a layer: red where its response is above its own mean over the
    series, blue where it is below (in standard deviations). Channels that never change are left out; the
    others are sorted by phase, so that channels that follow each other through a pattern stand together. The
    line above a heat map is as long as the layer's receptive field: patterns that are longer cannot be told
    apart by that layer.

    Shown is what a convolution gives after its activation; for a layer of the gated WaveNet what it adds to
    the result through its skip connection.

    Args:
        model: a :class:`~seqlight.nn.WaveNet`, :class:`~seqlight.nn.TCN`,
            :class:`~seqlight.nn.CausalConv1d`, a module that contains one, or a forecaster. It is run in
            evaluation mode, without gradients.
        series: one series, ``[T]`` or ``[T, C]``. For a forecaster the past in original units, so T must be
            its ``context_length``.
        max_layers: of more layers, so many are shown, evenly spread from the lowest to the highest.
        max_channels: of more channels, the ones shown are evenly spread over the phases.
        title: heading of the figure; None for the model's name.
        inputs: further arguments of ``model``'s forward, e.g. ``historic_future_covariates`` of a forecaster.

    Raises:
        TypeError: `series` is neither a tensor nor an array.
        ValueError: the series has no step or more than two dimensions, a number is below 1, or the model
            has no causal convolution.
    """
    for name, number in (("max_layers", max_layers), ("max_channels", max_channels)):
        if number < 1:
            raise ValueError(f"layer_responses: {name} expected at least 1, got {number}")
    values = as_series(series)
    layers = find_convolutions(model)
    recorded = record(model, layers, values, inputs)
    shown = np.unique(np.linspace(0, len(layers) - 1, min(max_layers, len(layers))).round().astype(int))

    heights = [INPUT_INCHES, *(0.32 + 0.035 * max_channels for _ in shown)]
    high = sum(heights) + 0.14 * len(shown) + 1.5
    figure = Figure(figsize=(WIDTH_INCHES, high), dpi=150, facecolor="white")
    panels = figure.subplots(
        len(heights), 1, sharex=True, gridspec_kw={"height_ratios": heights, "hspace": 0.28}
    )
    figure.subplots_adjust(left=0.075, right=0.85, top=1 - 0.95 / high, bottom=0.55 / high)
    draw_input(panels[0], values.numpy())
    for ax, index in zip(panels[:0:-1], shown, strict=True):  # the highest layer under the input
        draw_layer(ax, recorded[index], layers[index], number=index + 1, max_channels=max_channels)
    for ax in panels[:-1]:
        ax.tick_params(axis="x", length=0, labelbottom=False)
    panels[-1].set_xlabel("time step", fontsize=9, color=TEXT_COLOUR)
    panels[-1].xaxis.set_major_locator(MaxNLocator(nbins=12, integer=True))

    left = 0.15 / WIDTH_INCHES
    heading = title or f"{name_of(model)}: what each layer responds to"
    figure.text(left, 1 - 0.16 / high, heading, fontsize=13, fontweight="bold", color=TITLE_COLOUR, va="top")
    note = (
        "rows: channels, red above and blue below their own mean; "
        "the line above a layer: the steps of input it sees"
    )
    if len(shown) < len(layers):
        note = f"{len(shown)} of {len(layers)} layers; {note}"
    figure.text(left, 1 - 0.48 / high, note, fontsize=9, color=NOTE_COLOUR, va="top")
    return figure


def as_series(series: Tensor | NDArray[Any]) -> Tensor:
    """Check one series and return it as [T, C], in floating point."""
    if isinstance(series, np.ndarray):
        series = torch.from_numpy(series)
    if not isinstance(series, Tensor):
        raise TypeError(f"layer_responses: series expected a tensor or an array, got {type(series).__name__}")
    if series.ndim not in (1, 2) or series.shape[0] == 0:
        raise ValueError(
            f"layer_responses: series expected one series [T] or [T, C] of at least one step, "
            f"got {list(series.shape)}"
        )
    if series.ndim == 1:
        series = series.unsqueeze(1)
    return series.detach().cpu().to(torch.promote_types(series.dtype, torch.float32))


def record(
    model: nn.Module, layers: Sequence[Convolution], values: Tensor, inputs: dict[str, Tensor]
) -> list[Array]:
    """Run the model on one series, and return each layer's response [T, channels]."""
    responses: dict[int, Tensor] = {}
    hooks = []
    modules = dict(model.named_modules())
    for index, layer in enumerate(layers):
        owner = modules.get(layer.name.rpartition(".")[0])
        gated = isinstance(owner, GatedLayer)

        def keep(
            module: nn.Module, arguments: Any, output: Any, index: int = index, gated: bool = gated
        ) -> None:
            response = output[1 if gated else 0]
            if gated and arguments[2] is not None:  # the sum of the skip connections below
                response = response - arguments[2]
            # Only of the first call, the whole series: a recursive forecast goes on step by step.
            responses.setdefault(index, response.detach()[0])

        hooks.append((owner if gated and owner is not None else layer.module).register_forward_hook(keep))
    training = model.training
    example = next(iter(model.parameters()))
    try:
        model.eval()
        with torch.no_grad():
            model(values.to(example.device, example.dtype).unsqueeze(0), **inputs)
    finally:
        model.train(training)
        for hook in hooks:
            hook.remove()
    return [responses[index].double().cpu().numpy() for index in range(len(layers))]


def draw_input(ax: Axes, values: NDArray[Any]) -> None:
    """Draw the series itself."""
    steps = np.arange(len(values))
    single = values.shape[1] == 1
    ax.plot(steps, values, color=HISTORY_COLOUR if single else None, linewidth=1.1)
    ax.set_ylabel("input", fontsize=9, color=TEXT_COLOUR, rotation=0, ha="right", va="center")
    ax.yaxis.set_major_locator(MaxNLocator(nbins=4))
    ax.tick_params(labelsize=8, colors=TEXT_COLOUR, length=3)
    ax.spines[["top", "right", "bottom"]].set_visible(False)
    ax.spines["left"].set_color("#bbbbbb")


def draw_layer(ax: Axes, response: Array, layer: Convolution, *, number: int, max_channels: int) -> None:
    """Draw one layer's channels over time, and its receptive field as a line above them."""
    steps = response.shape[0]
    rows = arrange(response, max_channels)
    if len(rows):
        ax.imshow(
            rows,
            aspect="auto",
            cmap=COLOURS,
            vmin=-CLIP,
            vmax=CLIP,
            extent=(-0.5, steps - 0.5, len(rows) - 0.5, -0.5),
            interpolation="nearest",
        )
    else:
        ax.text(0.5, 0.5, "no channel changes", transform=ax.transAxes, fontsize=8, ha="center", va="center")
    ax.set_yticks([])
    ax.set_ylabel(f"layer {number}", fontsize=9, color=TEXT_COLOUR, rotation=0, ha="right", va="center")
    ax.tick_params(labelsize=8, colors=TEXT_COLOUR, length=3)
    ax.spines[:].set_visible(False)
    seen = min(layer.field, steps)
    above = ax.get_xaxis_transform()
    ax.plot(
        [steps - 0.5 - seen, steps - 0.5],
        [1.06, 1.06],
        color=FORECAST_COLOUR,
        linewidth=2.2,
        solid_capstyle="butt",
        transform=above,
        clip_on=False,
    )
    for line, offset, weight in (
        (f"dilation {layer.module.dilation:,}", 0.68, "bold"),
        (f"sees {layer.field:,} step{'s' if layer.field > 1 else ''}", 0.32, "normal"),
    ):
        ax.text(
            1.012,
            offset,
            line,
            transform=ax.transAxes,
            fontsize=8.5,
            color=TEXT_COLOUR,
            fontweight=weight,
            va="center",
        )


def arrange(response: Array, max_channels: int) -> Array:
    """Turn a response [T, channels] into rows [channels, T] in standard deviations, sorted by phase.

    The phase of a channel is the angle of its loadings on the two strongest principal components.
    """
    deviation = response.std(axis=0)
    alive = deviation > 1e-6 * max(float(deviation.max(initial=0.0)), 1e-30)
    scaled = (response[:, alive] - response[:, alive].mean(axis=0)) / deviation[alive]
    if scaled.shape[1] > 2 and scaled.shape[0] > 2:
        loadings = np.linalg.svd(scaled, full_matrices=False)[2][:2]
        scaled = scaled[:, np.argsort(np.arctan2(loadings[1], loadings[0]))]
    if scaled.shape[1] > max_channels:
        scaled = scaled[:, np.linspace(0, scaled.shape[1] - 1, max_channels).round().astype(int)]
    rows: Array = scaled.T
    return rows
