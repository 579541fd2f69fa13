"""Results as text: tables for the terminal (rich) and for Markdown, from the same cells."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from rich.markup import escape
from rich.table import Table as RichTable

from seqlight.benchmark.results import PeerResult, Report, Results, Row
from seqlight.benchmark.timing import Quartiles

Value = TypeVar("Value")

NONE = "–"  # noqa: RUF001

BUSY_GAIN = 1.2  # torch.mm's gain from more threads, below which the machine must be busy


@dataclass
class Table:
    """Cells of text under a title; ``sections`` are the indices of rows that begin a group."""

    title: str
    columns: list[str]
    rows: list[list[str]] = field(default_factory=list)
    sections: list[int] = field(default_factory=list)

    def without_empty_columns(self) -> "Table":
        """The same table less the columns that say nothing in any row."""
        keep = [i for i in range(len(self.columns)) if any(row[i] != NONE for row in self.rows)]
        columns = [self.columns[i] for i in keep]
        return Table(self.title, columns, [[row[i] for i in keep] for row in self.rows], self.sections)

    def rich(self) -> RichTable:
        """For a terminal; the first column to the left, the others to the right."""
        table = RichTable(title=escape(self.title), title_justify="left")
        for index, column in enumerate(self.columns):
            table.add_column(
                escape(column), justify="left" if index == 0 else "right", no_wrap=index == 0, overflow="fold"
            )
        for index, row in enumerate(self.rows):
            if index in self.sections and index:
                table.add_section()
            table.add_row(*map(escape, row))
        return table

    def markdown(self) -> str:
        """As a Markdown table under a bold title."""
        marks = ["---", *(["---:"] * (len(self.columns) - 1))]
        lines = [" | ".join(cells) for cells in (self.columns, marks, *self.rows)]
        return "\n".join([f"**{self.title}**", "", *(f"| {line} |" for line in lines)]) + "\n"


def machine_lines(report: Report) -> list[str]:
    """What a reader must know about the machine, one fact group a line."""
    machine = report.machine
    build = machine["seqlight_build"]
    if build.get("native"):
        kernels = f"native kernels for {build.get('cpu_isa')}, compiler {build.get('compiler')}"
    else:
        kernels = f"no native kernels ({build.get('reason')})"
    load = machine["load_average"]
    return [
        f"{machine['cpu']}, {machine['cores']} usable cores, {machine['system']}",
        f"torch {machine['torch']} ({machine['torch_cpu_capability']}, "
        f"oneDNN {'on' if machine['onednn'] else 'off'}), "
        f"seqlight {machine['seqlight']} ({kernels}), Python {machine['python']}",
        f"allocator: {machine['allocator']}; denormals flushed by torch: "
        f"{'yes' if machine['flush_denormal'] else 'no'}; "
        + (f"load average at the start: {load[0]:.1f}; " if load else "")
        + machine["time"],
    ]


def detail_table(rows: Sequence[Row], title: str) -> Table:
    """Every peer of the rows: time, speed against the baseline, share of torch.mm's speed, kept memory.

    Peers that were skipped or failed their gate stand in it with the reason.
    """
    table = Table(
        title,
        ["peer", "variant", "ms", "times as fast", "of torch.mm", "kept", "compiled in", "largest error"],
    )
    for row in rows:
        table.sections.append(len(table.rows))
        for peer in row.peers:
            table.rows.append(
                [
                    peer.label,
                    peer.variant,
                    _milliseconds(peer.seconds) if peer.seconds else peer.status,
                    peer.reason or _ratio(peer.ratio),
                    _share(peer),
                    NONE if peer.kept_floats is None else f"{peer.kept_floats:.2f}",
                    NONE if peer.compile_seconds is None else f"{peer.compile_seconds:.1f} s",
                    f"{max(peer.errors.values()):.0e}" if peer.errors else NONE,
                ]
            )
    return table.without_empty_columns()


def row_title(row: Row) -> str:
    """Sizes, mode, threads and the machine's matrix-product speed measured just before."""
    per = "" if row.unit == "call" else f", times per {row.unit}"
    gflops = ", ".join(f"{value:.0f} GFLOP/s at {n}" for n, value in sorted(row.matmul_gflops.items()))
    sizes = ",".join(row.shape)
    return f"{row.family} {sizes} = {row.case}, {row.mode}, {_threads(row.threads)}{per} (torch.mm: {gflops})"


def summary_tables(report: Report) -> list[Table]:
    """Median speed against the baseline with quartiles, by kind of layer, mode and number of threads."""
    tables = []
    for family in (families := _unique(row.family for row in report.rows)):
        of_family = [row for row in report.rows if row.family == family]
        for mode in _unique(row.mode for row in of_family):
            for threads in _unique(row.threads for row in of_family):
                rows = [row for row in of_family if row.mode == mode and row.threads == threads]
                if rows:
                    kind = f"{family}, " if len(families) > 1 else ""
                    where = f"{mode}, {_threads(threads)}, {report.machine['allocator']}"
                    tables.append(_summary(rows, f"{kind}{where}: times as fast as "))
    return tables


def _summary(rows: Sequence[Row], title: str) -> Table:
    baseline = rows[0].baseline
    peers: dict[str, str] = {}
    for row in rows:
        for peer in row.peers:
            peers.setdefault(peer.name, peer.label)
    reference = peers.pop(baseline, baseline)
    ours = [name for name in peers if any((p := row.peer(name)) and p.ours for row in rows)][:1]
    contested = [name for name in ours if any((p := row.peer(name)) and p.against_best for row in rows)]
    unit = "ms" if rows[0].unit == "call" else f"ms per {rows[0].unit}"
    table = Table(
        f"{title}{reference} (median [quartiles])",
        [
            f"{rows[0].family} {','.join(rows[0].shape)}",
            f"{reference}, {unit}",
            *peers.values(),
            *(f"{peers[name]} against the best other" for name in contested),
            *(f"{peers[name]}, of torch.mm" for name in ours),
        ],
    )
    for row in rows:
        base = row.peer(baseline)
        cells = [row.case, _milliseconds(base.seconds) if base and base.seconds else NONE]
        cells += [_summary_cell(row.peer(name)) for name in peers]
        cells += [_ratio(p.against_best if (p := row.peer(name)) else None) for name in contested]
        cells += [_share(row.peer(name)) for name in ours]
        table.rows.append(cells)
    return table


def _summary_cell(peer: PeerResult | None) -> str:
    if peer is None:
        return NONE
    if peer.status in ("wrong", "checked"):
        return peer.status
    if peer.status == "skipped":
        return "skipped"
    return _ratio(peer.ratio)


def kept_tables(report: Report) -> list[Table]:
    """Memory kept for backward by each peer, by kind of layer; none for what was not trained."""
    trained = [row for row in report.rows if row.mode == "training"]
    families = _unique(row.family for row in trained)
    tables = [_kept({row.case: row for row in trained if row.family == family}) for family in families]
    return [table for table in tables if len(table.columns) > 1]


def _kept(rows: Mapping[str, Row]) -> Table:
    first = next(iter(rows.values()))
    peers = {p.name: p.label for row in rows.values() for p in row.peers if p.kept_floats is not None}
    table = Table(
        f"Kept for backward, in {first.kept_unit} (saved-tensor hooks; parameters and input left out)",
        [f"{first.family} {','.join(first.shape)}", *peers.values()],
    )
    for case, row in rows.items():
        kept = [row.peer(name) for name in peers]
        table.rows.append(
            [case, *(NONE if p is None or p.kept_floats is None else f"{p.kept_floats:.2f}" for p in kept)]
        )
    return table


def cost_tables(report: Report) -> list[Table]:
    """Time of seqlight with an option over its time without, within each round, by kind of layer."""
    tables = []
    for family in _unique(row.family for row in report.rows):
        rows = [row for row in report.rows if row.family == family and any(p.cost for p in row.peers)]
        if not rows:
            continue
        labels = {peer.name: peer.label for row in rows for peer in row.peers}
        pairs = [(name, base) for name, base in rows[0].costs if name in labels and base in labels]
        table = Table(
            f"{family}, {report.machine['allocator']}: time over time (median [quartiles])",
            [
                f"{family} {','.join(rows[0].shape)}",
                *(f"{labels[name]} over {labels[base]}" for name, base in pairs),
            ],
        )
        for row in rows:
            peers = [row.peer(name) for name, _ in pairs]
            table.rows.append(
                [
                    f"{row.case}, {row.mode}, {_threads(row.threads)}",
                    *(_ratio(peer.cost if peer else None) for peer in peers),
                ]
            )
        tables.append(table)
    return tables


def losses(results: Results) -> list[str]:
    """One line for each of seqlight's implementations that another one of the same row outran."""
    lines = []
    for report in results.reports:
        for row in report.rows:
            for peer in row.peers:
                ratio = peer.against_best or peer.ratio
                if peer.ours and ratio is not None and ratio.median < 1:
                    where = f"{row.family} {row.case}, {row.mode}, {_threads(row.threads)}"
                    lines.append(
                        f"{peer.label}: {_ratio(ratio)} times as fast as the best other "
                        f"({where}, {report.machine['allocator']})"
                    )
    return lines


def allocator_table(results: Results) -> Table | None:
    """How much each peer gains from the second allocator setting, or None if there was only one.

    The two settings ran in two processes, one after the other, so these figures are not paired.
    """
    if len(results.reports) < 2 or not results.reports[1].rows:
        return None
    first, second = results.reports[:2]
    later = {(row.family, row.case, row.threads, row.mode): row for row in second.rows}
    several = len({row.family for row in second.rows}) > 1
    labels = {peer.name: peer.label for row in second.rows for peer in row.peers if peer.seconds}
    table = Table(
        f"Speed with '{second.machine['allocator']}' over '{first.machine['allocator']}' (two processes)",
        ["case", *labels.values()],
    )
    for row in first.rows:
        other = later.get((row.family, row.case, row.threads, row.mode))
        if other is None:
            continue
        kind = f"{row.family} " if several else ""
        cells = [f"{kind}{row.case}, {row.mode}, {_threads(row.threads)}"]
        for name in labels:
            here, there = _median(row, name), _median(other, name)
            cells.append(f"{here / there:.2f}" if here and there else NONE)
        table.rows.append(cells)
    return table


def not_timed(results: Results) -> list[str]:
    """One line for each peer and reason that left it without a time."""
    lines: dict[str, list[str]] = {}
    for report in results.reports:
        for row in report.rows:
            for peer in row.peers:
                if peer.status in ("wrong", "skipped"):
                    where = f"{row.family} {row.case} {row.mode} {_threads(row.threads)}"
                    lines.setdefault(f"{peer.label}: {peer.status}: {peer.reason}", []).append(where)
    return [f"{what} (at {'; '.join(where)})" for what, where in lines.items()]


def notes(results: Results) -> list[str]:
    """How to read the figures."""
    rows = [row for report in results.reports for row in report.rows]
    settings = results.reports[0].settings
    lines = [
        "All peers run interleaved in one process, in an order that changes each round so that each runs "
        "right behind each of the others as often; the first "
        f"{settings['warmup_rounds']} rounds are dropped. 'Times as fast' is the median over the rounds of "
        "baseline time / peer time within one round, with its quartiles: above 1 is faster than the "
        "baseline, below 1 slower.",
        "Training is forward and backward with gradients for x and every weight. Before it is timed, every "
        "peer's output and gradients must agree with a float64 reference of its own variant within "
        f"{settings['tolerance']:g} (norm of the difference over norm of the reference).",
        f"All peers of a case use the same random weights and input. Variants computed: {_variants(rows)}.",
        "The share of torch.mm's speed is (operations of the matrix products alone) / time / (best speed of "
        "a square float32 torch.mm at as many threads, measured just before); elementwise work is not "
        "counted.",
        *results.reports[0].notes,
    ]
    glibc = "glibc" in str(results.reports[0].machine["allocator"])
    if glibc and any(row.mode == "training" for row in rows):
        lines.append(
            "glibc's default allocator maps large buffers anew on every call and pays a page fault for each "
            "of their pages: torch.nn.LSTM's training alone gained up to 1.5 times from 'mmap off' in a "
            "trial. `--allocator-nommap` measures with both settings; compare implementations within one of "
            "them."
        )
    return lines


def _variants(rows: Sequence[Row]) -> str:
    labels: dict[str, dict[str, None]] = {}
    for row in rows:
        for peer in row.peers:
            labels.setdefault(peer.variant, {})[peer.label] = None
    return "; ".join(f"{variant}: {', '.join(found)}" for variant, found in labels.items())


def busy_rows(results: Results) -> list[str]:
    """One line for each case during which the machine was visibly busy with something else.

    Then two threads gain little over one even in torch.mm, and whatever waits for its threads at every time
    step (as oneDNN does) stands still most of the time: such ratios say little.
    """
    lines = []
    for report in results.reports:
        for row in {(each.family, each.case): each for each in report.rows}.values():
            single = row.matmul_gflops[1]
            for threads, speed in sorted(row.matmul_gflops.items()):
                if threads > 1 and speed < BUSY_GAIN * single:
                    lines.append(
                        f"{row.family} {row.case}, {report.machine['allocator']}: torch.mm reached "
                        f"{speed:.0f} GFLOP/s on {threads} threads and {single:.0f} on 1: "
                        "the machine was busy, measure again"
                    )
    return lines


def to_markdown(results: Results, plot: str | None = None) -> str:
    """A page with the machine, how it was measured, the summaries, and every figure."""
    parts = [f"# seqlight benchmark {results.benchmark}", ""]
    if plot:
        parts += [f"![Speed against the baseline]({plot})", ""]
    for report in results.reports:
        parts += [*(f"- {line}" for line in machine_lines(report)), ""]
    parts += [f"Command: `seqlight benchmark {' '.join(results.command)}`", ""]
    parts += [*(f"- {line}" for line in notes(results)), ""]
    for report in results.reports:
        parts += [table.markdown() for table in summary_tables(report)]
    extra = [
        *(table for report in results.reports for table in cost_tables(report)),
        *kept_tables(results.reports[0]),
        allocator_table(results),
    ]
    parts += [table.markdown() for table in extra if table is not None]
    parts += [f"- Not to be trusted: {line}" for line in busy_rows(results)] + [""]
    slower = losses(results)
    if slower:
        parts += ["Where seqlight is the slower one:", "", *(f"- {line}" for line in slower), ""]
    missing = not_timed(results)
    if missing:
        parts += ["Not timed:", "", *(f"- {line}" for line in missing), ""]
    parts += ["<details><summary>Every figure</summary>", ""]
    for report in results.reports:
        for row in report.rows:
            title = f"{row_title(row)}, {report.machine['allocator']}"
            parts.append(detail_table([row], title).markdown())
    parts += ["</details>", ""]
    return "\n".join(parts)


def _median(row: Row | None, name: str) -> float | None:
    peer = row.peer(name) if row else None
    return peer.seconds.median if peer and peer.seconds else None


def _share(peer: PeerResult | None) -> str:
    return NONE if peer is None or peer.matmul_share is None else f"{100 * peer.matmul_share:.0f}%"


def _milliseconds(seconds: Quartiles) -> str:
    scale, unit = (1e6, " µs") if seconds.median < 1e-4 else (1e3, "")
    return _figure(seconds.median * scale) + unit


def _ratio(ratio: Quartiles | None) -> str:
    if ratio is None:
        return NONE
    return f"{_figure(ratio.median)} [{_figure(ratio.q1)}, {_figure(ratio.q3)}]"


def _figure(value: float) -> str:
    """Three significant digits, never in scientific notation."""
    digits = max(0, 2 - math.floor(math.log10(abs(value)))) if value else 0
    return f"{value:.{min(digits, 6)}f}"


def _threads(count: int) -> str:
    return f"{count} thread" + ("s" if count != 1 else "")


def _unique(values: Iterable[Value]) -> list[Value]:
    return list(dict.fromkeys(values))
