"""What every benchmark command shares: its options, the run with progress, and writing the results."""

import argparse
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from seqlight import use_backend
from seqlight.benchmark import report as text
from seqlight.benchmark.estimate import estimate_seconds
from seqlight.benchmark.gate import TOLERANCE
from seqlight.benchmark.machine import (
    describe_machine,
    flushes_denormals,
    matrix_product_gflops,
    usable_cores,
)
from seqlight.benchmark.peers import Case
from seqlight.benchmark.plot import save_plot
from seqlight.benchmark.results import Report, Results
from seqlight.benchmark.suite import MODES, Section, Settings, count_rows, run
from seqlight.benchmark.timing import Schedule
from seqlight.cli.outputs import check_outputs
from seqlight.whole_files import staged, work_folder

CaseT = TypeVar("CaseT", bound=Case)

NO_MMAP = "glibc.malloc.mmap_max=0:glibc.malloc.trim_threshold=17179869184:glibc.malloc.top_pad=67108864"
"""glibc settings under which large buffers come from the heap, stay there, and are reused."""


class OneLineParser(argparse.ArgumentParser):
    """A parser whose errors are one line and exit code 2."""

    def error(self, message: str) -> NoReturn:
        """Print the message without the usage."""
        self.exit(2, f"{self.prog}: error: {message} (--help lists the options)\n")


def add_common_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that do not depend on the kind of layer."""
    cores = usable_cores()
    parser.add_argument(
        "--threads",
        type=_positive,
        nargs="+",
        default=[1, 2] if cores > 1 else [1],
        metavar="N",
        help="numbers of torch threads (default: 1, and 2 where there are two cores)",
    )
    parser.add_argument("--modes", nargs="+", choices=MODES, default=list(MODES), help="default: both")
    parser.add_argument(
        "--peers", nargs="+", metavar="NAME", help="implementations to measure (default: all)"
    )
    parser.add_argument("--repeats", type=_positive, default=21, help="rounds to time, at least (default 21)")
    parser.add_argument("--min-time", type=float, default=1.0, metavar="S", help="seconds per row, at least")
    parser.add_argument(
        "--max-time", type=float, default=60.0, metavar="S", help="stop a row after so many seconds"
    )
    parser.add_argument(
        "--quick", action="store_true", help="5 rounds, all threads only, nothing that compiles long"
    )
    parser.add_argument("--check-only", action="store_true", help="correctness and kept memory, no timing")
    parser.add_argument(
        "--compile-limit",
        type=float,
        default=300.0,
        metavar="S",
        help="give up a compilation after S seconds",
    )
    parser.add_argument(
        "--compile-budget",
        type=float,
        metavar="S",
        help="seconds that the compilations of each section may take together; they are then done for the "
        "largest number of threads only (default: %(default)s)",
    )
    parser.add_argument("--seed", type=int, default=0, help="of the random weights and inputs")
    parser.add_argument(
        "--flush-denormal", action="store_true", help="torch.set_flush_denormal(True) for all implementations"
    )
    parser.add_argument(
        "--allocator-nommap",
        action="store_true",
        help="after glibc's default allocator, measure again in a process with its mmap off",
    )
    parser.add_argument("-o", "--output", type=Path, metavar="JSON", help="write every figure to this file")
    parser.add_argument("--plot", type=Path, metavar="PNG", help="write a plot to this file")
    parser.add_argument("--markdown", type=Path, metavar="MD", help="write tables to this file")


def run_command(
    parser: argparse.ArgumentParser,
    args: argparse.Namespace,
    name: str,
    sections: Sequence[Section[Any]],
    command: Sequence[str],
    selection: Sequence[str],
    nommap: Sequence[str] = (),
) -> int:
    """Measure, print, and write what the options ask for.

    Args:
        parser: for errors.
        args: the parsed options.
        name: of the benchmark.
        sections: what to measure.
        command: the arguments it was started with, for the report.
        selection: arguments that choose these sections in another process.
        nommap: further arguments for the measurement with mmap off, which hold before those given.

    Returns:
        0, or 1 if one of seqlight's own implementations failed its correctness gate or could not run.
    """
    sections = _chosen(parser, args, sections)
    check_outputs(args, ("output", "plot", "markdown"))
    settings = _settings(args)
    console = Console()
    if not console.is_terminal:
        console = Console(width=150)  # a file or pipe has no width of its own
    results = Results(name, list(command), [_measure(sections, settings, args, console)])
    if args.allocator_nommap:
        results.reports += _measure_without_mmap(name, [*_arguments_again(args, selection), *nommap], console)
    _print_summary(results, console)
    outputs = [path for path in (args.output, args.plot, args.markdown) if path is not None]
    with staged(outputs) as temporary:
        written = dict(zip(outputs, temporary, strict=True))
        if args.output:
            written[args.output].write_text(results.to_json(), encoding="utf-8")
        if args.plot:
            save_plot(results, written[args.plot])
        if args.markdown:
            plot = os.path.relpath(args.plot, args.markdown.parent) if args.plot else None
            written[args.markdown].write_text(text.to_markdown(results, plot), encoding="utf-8")
    return 1 if _ours_failed(results) else 0


def _chosen(
    parser: argparse.ArgumentParser, args: argparse.Namespace, sections: Sequence[Section[Any]]
) -> list[Section[Any]]:
    """The sections with the peers that the options leave; sections without any are left out."""
    known = list(dict.fromkeys(peer.name for section in sections for peer in section.family.peers))
    unknown = [name for name in args.peers or () if name not in known]
    if unknown:
        parser.error(f"argument --peers: expected some of {', '.join(known)}, got {', '.join(unknown)}")
    chosen = []
    for section in sections:
        peers = [peer for peer in section.family.peers if args.peers is None or peer.name in args.peers]
        if args.quick and args.peers is None:
            peers = [peer for peer in peers if not peer.compiles]
        if peers:
            chosen.append(Section(replace(section.family, peers=peers), section.cases))
    return chosen


def _settings(args: argparse.Namespace) -> Settings:
    threads = sorted(set(args.threads))
    schedule = Schedule(rounds=args.repeats, min_seconds=args.min_time, max_seconds=args.max_time)
    if args.quick:
        threads = threads[-1:]
        schedule = Schedule(rounds=5, min_seconds=0.1, max_seconds=10.0, warmup_rounds=2)
    return Settings(
        threads=threads,
        modes=[mode for mode in MODES if mode in args.modes],
        schedule=None if args.check_only else schedule,
        compile_limit=args.compile_limit,
        compile_budget=args.compile_budget,
        seed=args.seed,
    )


def _measure(
    sections: Sequence[Section[Any]],
    settings: Settings,
    args: argparse.Namespace,
    console: Console,
) -> Report:
    with ExitStack() as stack:
        stack.enter_context(use_backend("native"))  # a fallback in secret would be measured as ours
        if args.flush_denormal and not flushes_denormals():
            torch.set_flush_denormal(True)
            stack.callback(torch.set_flush_denormal, False)
        stack.enter_context(_fresh_compile_cache())
        schedule = settings.schedule
        report = Report(
            machine=describe_machine(),
            settings={
                **(asdict(schedule) if schedule else asdict(Schedule(rounds=0))),
                "timed": schedule is not None,
                "compile_limit": settings.compile_limit,
                "tolerance": TOLERANCE,
                "seed": settings.seed,
            },
            rows=[],
            notes=list(dict.fromkeys(note for section in sections for note in section.family.notes)),
        )
        _print_lines(text.machine_lines(report), console)
        seconds = estimate_seconds(sections, settings, matrix_product_gflops(threads=1))
        _print_lines([f"takes about {max(1, round(seconds / 60))} min on an idle machine"], console)
        progress = stack.enter_context(
            Progress(
                BarColumn(bar_width=24),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                TextColumn("{task.description}", markup=False),
                # tables go to stdout: with a terminal there the bar must share it, else it goes to stderr
                console=console if console.is_terminal else Console(stderr=True),
                transient=True,
            )
        )
        rows = sum(count_rows(section.family, section.cases, settings) for section in sections)
        task = progress.add_task("", total=rows)
        for section in sections:
            family = section.family.name

            def announce(what: str, family: str = family) -> None:
                progress.update(task, description=f"{family} {what}")

            for row in run(section.family, section.cases, settings, announce=announce):
                report.rows.append(row)
                progress.advance(task)
                console.print(text.detail_table([row], text.row_title(row)).rich())
    return report


def _measure_without_mmap(name: str, arguments: Sequence[str], console: Console) -> list[Report]:
    """A run with these arguments in a child process whose environment turns glibc's mmap off."""
    if not sys.platform.startswith("linux"):
        console.print(f"--allocator-nommap: glibc settings have no effect on {sys.platform}; not measured")
        return []
    others = [value for value in (os.environ.get("GLIBC_TUNABLES"),) if value]
    environment = {**os.environ, "GLIBC_TUNABLES": ":".join([*others, NO_MMAP])}
    with work_folder() as folder:
        output = folder / "results.json"
        console.print("\nOnce more, with glibc's mmap off, in a process of its own:")
        command = [sys.executable, "-m", "seqlight", "benchmark", name, *arguments, "--output", str(output)]
        done = subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=False)
        if not output.exists():
            raise RuntimeError(f"the process with mmap off ended with code {done.returncode} and no results")
        reports = Results.read(output).reports
    for report in reports:
        _print_lines(text.machine_lines(report), console)
        for row in report.rows:
            console.print(text.detail_table([row], text.row_title(row)).rich())
    return reports


def _arguments_again(args: argparse.Namespace, selection: Sequence[str]) -> list[str]:
    arguments = list(selection)
    for option in ("threads", "modes", "peers"):
        values = getattr(args, option)
        if values:
            arguments += [f"--{option}", *map(str, values)]
    for option in ("repeats", "min_time", "max_time", "compile_limit", "compile_budget", "seed"):
        if getattr(args, option) is not None:
            arguments += [f"--{option.replace('_', '-')}", str(getattr(args, option))]
    for option in ("quick", "check_only", "flush_denormal"):
        if getattr(args, option):
            arguments.append(f"--{option.replace('_', '-')}")
    return arguments


def _print_summary(results: Results, console: Console) -> None:
    for report in results.reports:
        for table in text.summary_tables(report):
            console.print(table.rich())
        for table in text.cost_tables(report):
            console.print(table.rich())
    for extra in (*text.kept_tables(results.reports[0]), text.allocator_table(results)):
        if extra is not None:
            console.print(extra.rich())
    lines = [
        *(f"Slower: {line}" for line in text.losses(results)),
        *(f"Not timed: {line}" for line in text.not_timed(results)),
        *(f"Not to be trusted: {line}" for line in text.busy_rows(results)),
        *text.notes(results),
    ]
    _print_lines([f"- {line}" for line in lines], console)


def _print_lines(lines: Sequence[str], console: Console) -> None:
    for line in lines:
        console.print(line, highlight=False, markup=False, soft_wrap=not console.is_terminal)


@contextmanager
def _fresh_compile_cache() -> Iterator[None]:
    """Have torch.compile compile anew, so that the time it is shown with is the time it takes."""
    name = "TORCHINDUCTOR_CACHE_DIR"
    before = os.environ.get(name)
    with work_folder() as folder:
        os.environ[name] = str(folder)
        try:
            yield
        finally:
            if before is None:
                del os.environ[name]
            else:
                os.environ[name] = before


def _ours_failed(results: Results) -> bool:
    return any(
        peer.ours and peer.status in ("wrong", "skipped")
        for report in results.reports
        for row in report.rows
        for peer in row.peers
    )


def _positive(value: str) -> int:
    try:
        number = int(value)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 1, got {value!r}")
    return number


def argument_type(parse: Callable[[str], CaseT]) -> Callable[[str], CaseT]:
    """Let argparse show the message of the ValueError that ``parse`` raises."""

    def convert(value: str) -> CaseT:
        try:
            return parse(value)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return convert
