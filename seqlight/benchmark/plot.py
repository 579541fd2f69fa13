"""Results as a picture: speed against the baseline on a log axis."""

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator

from seqlight.benchmark.results import PeerResult, Report, Results, Row

OURS = ("#1b7f79", "#5fb3a3", "#0b3c49", "#7fa650")
OTHERS = ("#e07a5f", "#8d99ae", "#c9a227", "#7d5ba6", "#9c6644")
INK = "#2f3640"
FAINT = "#e3e6ea"
LANE = 0.13  # distance of two peers of one case, in cases
MANY = 5  # kinds of layers; with more, not every number of threads and allocator fits a page


def plot_results(results: Results) -> Figure:
    """A panel for each kind of layer, number of threads and mode: median and quartiles of every peer's ratio.

    With several memory allocators, each gets its own panels. With more than five kinds of layers, only the
    largest number of threads and the first allocator are drawn.
    """
    families = list(dict.fromkeys(row.family for report in results.reports for row in report.rows))
    heights = [_height(results, family) for family in families]
    widest = max((len(_modes(results, family)) for family in families), default=1)
    figure = Figure(figsize=(5.9 * widest + 0.4, sum(heights) + 0.4), dpi=150, layout="constrained")
    parts = figure.subfigures(max(len(families), 1), 1, squeeze=False, height_ratios=heights or None)[:, 0]
    for part, family in zip(parts, families, strict=False):
        _draw_family(part, results, family, name_it=len(families) > 1)
    baselines = {_baseline_label(results, family) for family in families}
    against = baselines.pop() if len(baselines) == 1 else "each panel's baseline"
    figure.suptitle(_heading(results.reports[0], against), fontsize=11, color=INK, x=0.01, ha="left")
    return figure


def _draw_family(part: SubFigure, results: Results, family: str, *, name_it: bool) -> None:
    """Draw the panels of one kind of layer, with their legend."""
    rows = _lines(results, family)
    modes = _modes(results, family)
    cases = _cases(results, family)
    peers = _peers(results, family)
    styles = _styles(peers)
    panels = part.subplots(len(rows), len(modes), squeeze=False, sharex="col", sharey=True)
    for line, (report, threads) in zip(panels, rows, strict=True):
        for axes, mode in zip(line, modes, strict=True):
            chosen = {
                row.case: row
                for row in report.rows
                if (row.family, row.threads, row.mode) == (family, threads, mode)
            }
            _panel(axes, cases, chosen, styles)
            title = f"{mode}, {threads} thread{'s' if threads != 1 else ''}"
            if name_it:
                title = f"{family}, {title}"
            if len(results.reports) > 1:
                title += f" ({report.machine['allocator']})"
            axes.set_title(title, loc="left", fontsize=10.5, fontweight="bold", color=INK)
    baseline = _baseline_label(results, family)
    shape = next((row.shape for report, _ in rows for row in report.rows if row.family == family), {})
    for line in panels:
        line[0].set_ylabel(", ".join(shape), fontsize=9, color=INK)
    for axes in panels[-1]:
        axes.set_xlabel(f"times as fast as {baseline} (median and quartiles)", fontsize=9, color=INK)
    handles = {}
    for axes in panels.flat:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            handles[label] = handle
    ordered = [peer.label for peer in peers if peer.label in handles]
    part.legend(
        [handles[label] for label in ordered],
        ordered,
        loc="outside lower center",
        ncols=min(3 if len(modes) > 1 else 2, max(1, len(ordered))),
        frameon=False,
        fontsize=9,
    )


def _lines(results: Results, family: str) -> list[tuple[Report, int]]:
    """The reports and numbers of threads in which a kind of layer was measured: a line of panels each."""
    lines = [
        (report, threads)
        for report in results.reports
        for threads in dict.fromkeys(row.threads for row in report.rows if row.family == family)
    ]
    if len({row.family for report in results.reports for row in report.rows}) > MANY:
        return [max((line for line in lines if line[0] is lines[0][0]), key=lambda line: line[1])]
    return lines


def _modes(results: Results, family: str) -> list[str]:
    return list(
        dict.fromkeys(row.mode for report in results.reports for row in report.rows if row.family == family)
    )


def _cases(results: Results, family: str) -> list[str]:
    return list(
        dict.fromkeys(row.case for report in results.reports for row in report.rows if row.family == family)
    )


def _height(results: Results, family: str) -> float:
    """Inches that the panels of one kind of layer and their legend take."""
    lanes = 0.2 + LANE * max(3, len(_peers(results, family)))
    panel = max(2.0 if len(_cases(results, family)) > 1 else 1.3, len(_cases(results, family)) * lanes * 0.75)
    return panel * len(_lines(results, family)) + 1.5


def save_plot(results: Results, path: str | Path) -> None:
    """Write the plot; the ending of ``path`` chooses the format."""
    plot_results(results).savefig(path)


def _panel(
    axes: Axes, cases: Sequence[str], rows: Mapping[str, Row], styles: Mapping[str, tuple[str, str]]
) -> None:
    for index, case in enumerate(cases):
        if index % 2:
            axes.axhspan(index - 0.5, index + 0.5, color=FAINT, alpha=0.45, zorder=0, linewidth=0)
        row = rows.get(case)
        if row is None:
            continue
        timed = [peer for peer in row.peers if peer.ratio is not None and peer.name != row.baseline]
        for lane, peer in enumerate(timed):
            assert peer.ratio is not None
            colour, marker = styles[peer.name]
            y = index + (lane - (len(timed) - 1) / 2) * LANE
            axes.errorbar(
                peer.ratio.median,
                y,
                xerr=[[peer.ratio.median - peer.ratio.q1], [peer.ratio.q3 - peer.ratio.median]],
                fmt=marker,
                markersize=6 if peer.ours else 4.5,
                color=colour,
                elinewidth=1.4,
                label=peer.label,
                zorder=4 if peer.ours else 3,
            )
            if peer.ours:
                axes.annotate(
                    f"{peer.ratio.median:.2g}" if peer.ratio.median < 10 else f"{peer.ratio.median:.0f}",
                    (peer.ratio.q3, y),
                    xytext=(5, 0),
                    textcoords="offset points",
                    va="center",
                    fontsize=7,
                    color=colour,
                )
    axes.axvline(1, color=INK, linewidth=1.1, zorder=2)
    axes.set_yticks(range(len(cases)), cases, fontsize=9, color=INK)
    axes.set_ylim(len(cases) - 0.5, -0.5)
    axes.set_xscale("log")
    axes.margins(x=0.12)
    low, high = axes.get_xlim()
    axes.set_xlim(min(low, 0.7), max(high, 1.6))  # at least one tick beside 1, and equality not at the edge
    axes.xaxis.set_major_locator(LogLocator(base=10, subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, position: f"{value:g}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.grid(axis="x", color=FAINT, linewidth=0.8, zorder=1)
    axes.tick_params(length=0, labelsize=9, colors=INK)
    for side in axes.spines.values():
        side.set_visible(False)


def _peers(results: Results, family: str) -> list[PeerResult]:
    """One result of each of a family's peers that have a ratio, ours first."""
    found = {
        peer.name: peer
        for report in results.reports
        for row in report.rows
        for peer in row.peers
        if row.family == family and peer.ratio is not None and peer.name != row.baseline
    }
    return sorted(found.values(), key=lambda peer: not peer.ours)


def _styles(peers: Sequence[PeerResult]) -> dict[str, tuple[str, str]]:
    ours = [peer.name for peer in peers if peer.ours]
    others = [peer.name for peer in peers if not peer.ours]
    return {
        **{name: (OURS[i % len(OURS)], "oDPH"[i % 4]) for i, name in enumerate(ours)},
        **{name: (OTHERS[i % len(OTHERS)], "s^vX*"[i % 5]) for i, name in enumerate(others)},
    }


def _baseline_label(results: Results, family: str) -> str:
    for report in results.reports:
        for row in report.rows:
            peer = row.peer(row.baseline)
            if row.family == family and peer is not None:
                return peer.label
    return "the baseline"


def _heading(report: Report, baseline: str) -> str:
    machine = report.machine
    isa = machine["seqlight_build"].get("cpu_isa", "no native kernels")
    text = (
        f"Speed against {baseline}: {machine['cpu']}, {machine['cores']} cores, torch {machine['torch']}, "
        f"seqlight {machine['seqlight']} ({isa}), float32"
    )
    return textwrap.fill(text, 100)
