"""Pictures of how past forecasts were off: by time, as residuals, and how often bands held."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike, NDArray

from seqlight.plot.forecasts import PANEL_INCHES
from seqlight.plot.step_errors import STEP_COLOURS
from seqlight.plot.style import FORECAST_COLOUR, GRID_COLOUR, HISTORY_COLOUR, TEXT_COLOUR, TITLE_COLOUR

BAR_COLOUR = STEP_COLOURS[1]


def errors_by_time(
    errors: Mapping[str, float], *, title: str = "Error by hour of the day", error_label: str = "error"
) -> Figure:
    """Bars of the error at each hour, weekday or month; the highest stands out.

    Args:
        errors: by the label of each bar, in their order; NaN where nothing is known.
        title: heading of the figure.
        error_label: what the errors are, written beside the y axis.

    Raises:
        ValueError: no error is known.

    """
    values = np.array(list(errors.values()), np.float64)
    if not np.isfinite(values).any():
        raise ValueError(f"errors_by_time: errors expected at least one number, got {dict(errors)}")
    figure, (ax,) = _axes(1)
    colours = [BAR_COLOUR] * len(values)
    colours[int(np.nanargmax(values))] = FORECAST_COLOUR
    ax.bar(np.arange(len(values)), values, width=0.8, color=colours)
    every = max(1, len(values) // 12)
    ax.set_xticks(np.arange(0, len(values), every), list(errors)[::every])
    _style(ax, title, "", error_label)
    figure.tight_layout()
    return figure


def errors_over_time(
    time: NDArray[Any],
    errors: Mapping[str, NDArray[np.floating[Any]]],
    *,
    title: str = "Error of past forecasts",
    error_label: str = "error",
) -> Figure:
    """One line for each forecaster: its error against the time at which the forecast begins.

    Args:
        time: ``datetime64`` or integer steps [K], increasing.
        errors: float [K] for each forecaster, by name.
        title: heading of the figure.
        error_label: what the errors are, written beside the y axis.

    Raises:
        ValueError: ``errors`` is empty, or an array has another length than ``time``.

    """
    if not errors:
        raise ValueError("errors_over_time: errors expected at least one forecaster, got none")
    wrong = [name for name, values in errors.items() if values.shape != time.shape]
    if wrong:
        raise ValueError(
            f"errors_over_time: errors[{wrong[0]!r}] expected shape {time.shape} like time, "
            f"got {errors[wrong[0]].shape}"
        )
    figure, (ax,) = _axes(1)
    for index, (name, values) in enumerate(errors.items()):
        ax.plot(time, values, color=STEP_COLOURS[index % len(STEP_COLOURS)], linewidth=1.5, label=name)
    ax.set_ylim(bottom=0)
    _style(ax, title, "", error_label)
    if time.dtype.kind == "M":
        locator = AutoDateLocator(minticks=4, maxticks=10)
        ax.xaxis.set_major_locator(locator)
        ax.xaxis.set_major_formatter(ConciseDateFormatter(locator))
    ax.grid(axis="x", color=GRID_COLOUR, linewidth=0.8)
    legend = ax.legend(
        loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False, fontsize=9, labelcolor=TEXT_COLOUR
    )
    for text in legend.get_texts():
        text.set_parse_math(False)  # names are the user's: a $ is one, and begins no formula
    figure.tight_layout()
    return figure


def residuals(
    edges: ArrayLike,
    counts: ArrayLike,
    autocorrelation: ArrayLike,
    *,
    bound: float,
    title: str = "Residuals",
    error_label: str = "forecast - actual",
) -> Figure:
    """How often errors of each size are, and how alike those are that lie some steps apart.

    Args:
        edges: [K + 1], of the histogram's bins, as :func:`numpy.histogram` returns them.
        counts: [K], errors in each bin.
        autocorrelation: [L], of lags 1 to L.
        bound: dashed lines at plus and minus this; outside, a correlation is more than chance.
        title: heading of the figure.
        error_label: what the errors are, written below the histogram.

    Raises:
        ValueError: there is not one edge more than counts.

    """
    bins, numbers, correlations = (np.asarray(one, np.float64) for one in (edges, counts, autocorrelation))
    if bins.shape != (len(numbers) + 1,):
        raise ValueError(f"residuals: edges expected shape {(len(numbers) + 1,)}, got {bins.shape}")
    figure, (left, right) = _axes(2)
    left.bar(bins[:-1], numbers, width=np.diff(bins) * 0.94, align="edge", color=BAR_COLOUR)
    _style(left, title, error_label, "how often")
    lags = np.arange(1, len(correlations) + 1)
    beyond = np.abs(correlations) > bound
    right.bar(lags, correlations, width=0.6, color=np.where(beyond, FORECAST_COLOUR, BAR_COLOUR).tolist())
    right.axhline(0, color=HISTORY_COLOUR, linewidth=0.8)
    for limit in (bound, -bound):
        right.axhline(limit, color=TEXT_COLOUR, linewidth=0.8, linestyle=(0, (3, 3)))
    right.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True))
    _style(right, "Autocorrelation", "steps apart", "correlation")
    figure.tight_layout()
    return figure


def coverage(levels: Sequence[float], inside: Sequence[float], *, title: str = "Coverage") -> Figure:
    """How often bands held what came, beside how often they should have.

    Args:
        levels: of the bands in percent.
        inside: share of the values inside each, between 0 and 1.
        title: heading of the figure.

    Raises:
        ValueError: no level, or another number of shares.

    """
    if not levels or len(levels) != len(inside):
        raise ValueError(
            "coverage: levels and inside expected one number for each band, got "
            f"{len(levels)} and {len(inside)}"
        )
    figure, (ax,) = _axes(1, height=1.5 + 0.45 * len(levels))
    places = np.arange(len(levels))
    ax.barh(places, np.full(len(levels), 100.0), height=0.34, color=GRID_COLOUR)
    ax.barh(places, 100 * np.asarray(inside, np.float64), height=0.34, color=BAR_COLOUR, label="inside")
    ax.plot(levels, places, "|", color=HISTORY_COLOUR, markersize=17, markeredgewidth=2.2, label="should be")
    for place, share in zip(places, inside, strict=True):
        ax.text(101, place, f"{100 * share:.1f} %", va="center", fontsize=9, color=TEXT_COLOUR)
    ax.set_yticks(places, [f"{level:g} %" for level in levels])
    ax.set_xlim(0, 110)
    ax.set_ylim(len(levels) - 0.4, -0.6)
    _style(ax, title, "per cent of the values", "")
    ax.grid(visible=False)
    ax.legend(
        loc="lower right", bbox_to_anchor=(1, 1), ncols=2, frameon=False, fontsize=9, labelcolor=TEXT_COLOUR
    )
    figure.tight_layout()
    return figure


def _axes(count: int, *, height: float = 3.8) -> tuple[Figure, Any]:
    figure = Figure(figsize=(PANEL_INCHES[0], height), dpi=150, facecolor="white")
    return figure, figure.subplots(1, count, squeeze=False)[0]


def _style(ax: Axes, title: str, x_label: str, y_label: str) -> None:
    heading: dict[str, Any] = {"fontsize": 13, "fontweight": "bold", "color": TITLE_COLOUR, "pad": 12}
    ax.set_title(title, loc="left", parse_math=False, **heading)
    ax.set_xlabel(x_label, fontsize=9, color=TEXT_COLOUR, parse_math=False)
    ax.set_ylabel(y_label, fontsize=9, color=TEXT_COLOUR, parse_math=False)
    ax.tick_params(labelsize=8, colors=TEXT_COLOUR, length=3)
    ax.grid(axis="y", color=GRID_COLOUR, linewidth=0.8)
    ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[["left", "bottom"]].set_color("#bbbbbb")
