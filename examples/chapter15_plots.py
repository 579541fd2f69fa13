"""The plots of the chapter's table: errors beside the book's, and their course over the epochs."""

from collections.abc import Sequence
from typing import Any

from chapter15_rows import ROWS, STEPS, Result, quartiles
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullFormatter, StrMethodFormatter
from two_sine_fit import NOISE_VARIANCE

OURS, BOOK, LIMIT, TEXT, GRID = "#1f5fa8", "#d9730d", "#6b6b6b", "#444444", "#e6e6e6"


def bare(ax: Any) -> None:
    """Take away what the eye need not see."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[["left", "bottom"]].set_color("#bbbbbb")
    ax.tick_params(labelsize=8, colors=TEXT, length=3)
    ax.grid(True, which="major", color=GRID, linewidth=0.8)
    ax.set_axisbelow(True)


def draw_errors(keys: Sequence[str], results: Sequence[Result]) -> Figure:
    """One panel per column of the table: the book's figure, ours of every seed, and the noise."""
    columns = [(steps, [key for key in keys if steps in ROWS[key].book]) for steps in STEPS]
    columns = [(steps, rows) for steps, rows in columns if rows]
    heights = [len(rows) + 1.2 for _, rows in columns]
    figure = Figure(figsize=(9.5, 1.6 + 0.34 * sum(heights)), dpi=150, layout="constrained")
    axes = figure.subplots(
        len(columns), 1, squeeze=False, sharex=True, gridspec_kw={"height_ratios": heights}
    )[:, 0]
    for ax, (steps, rows) in zip(axes, columns, strict=True):
        bare(ax)
        ax.grid(False, axis="y")
        for place, key in enumerate(rows):
            errors = Result.of_seeds(results, key, steps)
            first, median, third = quartiles(errors)
            book = ROWS[key].book[steps]
            ax.plot(book, [place] * len(book), color=BOOK, linewidth=2.0, zorder=2)
            ax.plot(book, [place] * len(book), "D", color=BOOK, mfc="white", markersize=7, zorder=3)
            ax.plot(errors, [place] * len(errors), "o", color=OURS, markersize=4, alpha=0.4, zorder=4)
            ax.plot([first, third], [place, place], color=OURS, linewidth=2.0, zorder=4)
            ax.plot(median, place, "|", color=OURS, markersize=13, markeredgewidth=2.2, zorder=5)
        ax.axvline(NOISE_VARIANCE, color=LIMIT, linewidth=1.2, linestyle="--")
        ax.annotate(
            "noise", (NOISE_VARIANCE, 1.0), xycoords=("data", "axes fraction"), xytext=(4, -10),
            textcoords="offset points", fontsize=8, color=LIMIT,
        )  # fmt: skip
        ax.set_yticks(range(len(rows)), [ROWS[key].title for key in rows])
        ax.set_ylim(len(rows) - 0.4, -0.8)
        ax.set_xscale("log")
        ahead = "one step ahead" if steps == 1 else f"{steps} steps ahead, mean over all"
        ax.set_title(ahead, loc="left", fontsize=10, fontweight="bold", color=TEXT)
    axes[-1].xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes[-1].xaxis.set_minor_formatter(NullFormatter())
    axes[-1].set_xlabel("validation MSE", fontsize=9, color=TEXT)
    axes[0].plot([], [], "D", color=BOOK, mfc="white", label="the book")
    axes[0].plot([], [], "o", color=OURS, alpha=0.4, label="ours, each seed")
    axes[0].plot([], [], "|-", color=OURS, markeredgewidth=2.2, label="median and quartiles")
    figure.legend(loc="outside upper right", ncols=3, frameon=False, fontsize=9)
    return figure


def draw_epochs(keys: Sequence[str], results: Sequence[Result]) -> Figure | None:
    """One panel per training: the validation error by epoch; None if nothing was trained."""
    panels = [(key, steps) for key in keys for steps in ROWS[key].trainings]
    if not panels:
        return None
    width = min(4, len(panels))
    height = -(-len(panels) // width)
    figure = Figure(figsize=(3.0 * width + 0.6, 2.2 * height + 0.4), dpi=150, layout="constrained")
    axes = figure.subplots(height, width, squeeze=False, sharey=True).flatten()
    for ax, (key, steps) in zip(axes, panels, strict=False):
        bare(ax)
        for result in results:
            if result.row == key:
                errors = result.epochs[steps]
                ax.plot(range(1, len(errors) + 1), errors, color=OURS, linewidth=1.2, alpha=0.75)
        for figure_of_book in ROWS[key].book[steps]:
            ax.axhline(figure_of_book, color=BOOK, linewidth=1.2)
        ax.axhline(NOISE_VARIANCE, color=LIMIT, linewidth=1.0, linestyle="--")
        ax.set_yscale("log")
        ax.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        ax.yaxis.set_minor_formatter(NullFormatter())
        title = ROWS[key].title.partition(";")[0]
        ahead = "one step ahead" if steps == 1 else f"{steps} steps ahead"
        ax.set_title(f"{title}\n{ahead}", loc="left", fontsize=8, color=TEXT)
    for ax in axes[len(panels) :]:
        ax.set_visible(False)
    figure.supxlabel("epoch", fontsize=9, color=TEXT)
    figure.supylabel("validation MSE", fontsize=9, color=TEXT)
    lines = [
        Line2D([], [], color=OURS, label="ours, each seed"),
        Line2D([], [], color=BOOK, label="the book after its last epoch"),
        Line2D([], [], color=LIMIT, linestyle="--", label="variance of the noise"),
    ]
    figure.legend(handles=lines, loc="outside upper center", ncols=3, frameon=False, fontsize=9)
    return figure
