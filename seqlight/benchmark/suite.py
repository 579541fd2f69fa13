"""Runs the peers of a family over its cases: gate, kept memory, then interleaved timing."""

import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import Generic, TypeVar

import torch
from torch import Tensor

from seqlight.benchmark.gate import relative_errors, verdict
from seqlight.benchmark.machine import matrix_product_gflops
from seqlight.benchmark.memory import kept_floats
from seqlight.benchmark.peers import Case, Peer, Problem, Runner
from seqlight.benchmark.results import PeerResult, Row
from seqlight.benchmark.timing import Schedule, interleave, paired_ratios, quartiles

MODES = ("forward", "training")

CaseT = TypeVar("CaseT", bound=Case)


@dataclass(frozen=True)
class Family(Generic[CaseT]):
    """One kind of layer and all its implementations.

    Attributes:
        name: e.g. "lstm".
        baseline: name of the peer that ratios refer to.
        peers: the implementations; names are unique.
        make_problem: random numbers for a case, from a seed.
        reference: (problem, variant, mode) to the float64 "output" and, in training, "grad x" and
            "grad <name>" of every weight.
        flops: multiplications and additions in the matrix products of one call, by case and mode.
        kept_unit: what kept memory is divided by (a number for the case, and its name).
        has_training: whether training has a meaning for the case.
        is_long: whether the case takes so long that it is measured at the last number of threads only.
        unit: what times are told per: a call, or what a call does several of.
        costs: pairs (peer, base): two of ours whose times are compared, such as with an option and without.
        notes: sentences that a reader of the figures needs: how operations are counted, what the peers are.
    """

    name: str
    baseline: str
    peers: Sequence[Peer]
    make_problem: Callable[[CaseT, int], Problem]
    reference: Callable[[Problem, str, str], dict[str, Tensor]]
    flops: Callable[[CaseT, str], int]
    kept_unit: Callable[[CaseT], tuple[int, str]]
    has_training: Callable[[CaseT], bool] = lambda case: True
    is_long: Callable[[CaseT], bool] = lambda case: False
    unit: str = "call"
    costs: Sequence[tuple[str, str]] = ()
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class Section(Generic[CaseT]):
    """What a command measures of one family: the family and its cases."""

    family: Family[CaseT]
    cases: Sequence[CaseT]


@dataclass(frozen=True)
class Settings:
    """What a run does.

    Attributes:
        threads: numbers of torch threads.
        modes: of `MODES`.
        schedule: how long to measure; None checks and times nothing.
        compile_limit: seconds that a compiling peer's first call may take.
        compile_budget: seconds that the first calls of a family's compiling peers may take together, after
            which the rest are left out; they then run at the last number of threads only. None for no limit.
        seed: of the random weights and inputs.
    """

    threads: Sequence[int]
    modes: Sequence[str] = MODES
    schedule: Schedule | None = field(default_factory=Schedule)
    compile_limit: float = 300.0
    compile_budget: float | None = None
    seed: int = 0


def count_rows(family: Family[CaseT], cases: Sequence[CaseT], settings: Settings) -> int:
    """How many rows `run` will give."""
    return sum(
        len(row_threads(family, case, settings)) * len(row_modes(family, case, settings)) for case in cases
    )


def run(
    family: Family[CaseT],
    cases: Sequence[CaseT],
    settings: Settings,
    *,
    announce: Callable[[str], None] = lambda text: None,
) -> Iterator[Row]:
    """Measure every case at every number of threads in every mode, yielding each row as it is done.

    ``announce`` is told what is being worked on. The number of torch threads is restored at the end.
    """
    threads_before = torch.get_num_threads()
    compiling = _CompileBudget(settings)
    try:
        for case in cases:
            announce(f"{case.label}: matrix-product check")
            gflops = {n: matrix_product_gflops(threads=n) for n in sorted({1, *settings.threads})}
            modes = row_modes(family, case, settings)
            work = _CaseWork(family, case, settings, compiling, training="training" in modes)
            for threads in row_threads(family, case, settings):
                torch.set_num_threads(threads)
                for mode in modes:
                    peers = work.measure(mode, partial(_announce, announce, case.label, threads, mode))
                    flops = family.flops(case, mode)
                    size, unit = family.kept_unit(case)
                    for peer in peers:
                        if peer.seconds is not None:
                            peer.matmul_share = flops / peer.seconds.median / (gflops[threads] * 1e9)
                        if peer.kept_floats is not None:
                            peer.kept_floats /= size
                    yield Row(
                        family=family.name,
                        case=case.label,
                        shape=case.shape,
                        threads=threads,
                        mode=mode,
                        dtype=str(work.problem.x.dtype).removeprefix("torch."),
                        flops=flops,
                        matmul_gflops=gflops,
                        baseline=family.baseline,
                        kept_unit=unit,
                        unit=family.unit,
                        costs=[list(pair) for pair in family.costs],
                        peers=peers,
                    )
    finally:
        torch.set_num_threads(threads_before)


def _announce(tell: Callable[[str], None], case: str, threads: int, mode: str, what: str) -> None:
    tell(f"{case}, {threads} threads, {mode}: {what}")


def row_modes(family: Family[CaseT], case: CaseT, settings: Settings) -> list[str]:
    """The wanted modes that the case has, forward first."""
    return [
        mode for mode in MODES if mode in settings.modes and (mode == "forward" or family.has_training(case))
    ]


def row_threads(family: Family[CaseT], case: CaseT, settings: Settings) -> Sequence[int]:
    """The numbers of threads at which the case is measured."""
    return settings.threads[-1:] if family.is_long(case) else settings.threads


class _CompileBudget:
    """What one family's compilations may take, and have taken."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.spent = 0.0

    @property
    def limit(self) -> float:
        """Seconds for the next compilation."""
        budget = self.settings.compile_budget
        left = self.settings.compile_limit if budget is None else budget - self.spent
        return min(left, self.settings.compile_limit)

    def obstacle(self) -> str | None:
        """Why nothing is compiled with the present number of threads, or None."""
        if self.settings.compile_budget is None:
            return None
        if torch.get_num_threads() != self.settings.threads[-1]:
            return f"compiled for {self.settings.threads[-1]} threads only"
        if self.limit <= 0:
            return f"the {self.settings.compile_budget:g} s for compiling are spent (--compile-budget)"
        return None


class _CaseWork(Generic[CaseT]):
    """One case: its problem, its references (computed once), and what was given up on."""

    def __init__(
        self,
        family: Family[CaseT],
        case: CaseT,
        settings: Settings,
        compiling: _CompileBudget,
        *,
        training: bool,
    ) -> None:
        self.family = family
        self.settings = settings
        self.compiling = compiling
        self.training = training
        self.problem = family.make_problem(case, settings.seed)
        self.references: dict[str, dict[str, Tensor]] = {}
        self.gave_up: dict[tuple[str, str], str] = {}
        self.units: dict[str, int] = {}

    def measure(self, mode: str, announce: Callable[[str], None]) -> list[PeerResult]:
        """Check every peer in this mode with the present number of threads, and time those that pass."""
        results: list[PeerResult] = []
        ready: dict[str, Callable[[], object]] = {}
        with ExitStack() as stack:
            if mode == "forward":
                stack.enter_context(torch.no_grad())
            for peer in self.family.peers:
                reason = peer.unfit(self.problem.case, mode)
                if reason == "":
                    continue
                reason = reason or self.gave_up.get((peer.name, mode))
                if peer.compiles:
                    reason = reason or self.compiling.obstacle()
                result = PeerResult(peer.name, peer.label, peer.variant, peer.ours, reason=reason)
                results.append(result)
                if reason is None:
                    announce(f"{'compiling' if peer.compiles else 'checking'} {peer.label}")
                    work = self._prepare(peer, mode, result, stack)
                    if work is not None:
                        ready[peer.name] = work
            if self.settings.schedule is not None:
                announce("timing")
                self._time(ready, results, self.settings.schedule)
        return results

    def _time(
        self, ready: dict[str, Callable[[], object]], results: list[PeerResult], schedule: Schedule
    ) -> None:
        samples = {
            name: [each / self.units[name] for each in calls]
            for name, calls in interleave(ready, schedule).items()
        }
        timed = [result for result in results if result.name in samples]
        for result in timed:
            result.status = "timed"
            result.rounds = len(samples[result.name])
            result.seconds = quartiles(samples[result.name])
        baseline = samples.get(self.family.baseline)
        others = {
            result.name: result.seconds.median for result in timed if result.seconds and not result.ours
        }
        bases = dict(self.family.costs)
        for result in timed:
            own = samples[result.name]
            if baseline is not None:
                result.ratio = quartiles(paired_ratios(baseline, own))
            if result.ours and len(others) > 1:
                fastest = min(others, key=lambda name: others[name])
                result.against_best = quartiles(paired_ratios(samples[fastest], own))
            base = samples.get(bases.get(result.name, ""))
            if base is not None:
                result.cost = quartiles(paired_ratios(own, base))

    def _prepare(
        self, peer: Peer, mode: str, result: PeerResult, stack: ExitStack
    ) -> Callable[[], object] | None:
        """Build the peer and check it; the work to time, or None with the reason in ``result``."""
        begin, limit = time.perf_counter(), self.compiling.limit
        try:
            with time_limit(limit) if peer.compiles else nullcontext():
                runner = peer.build(self.problem)
                stack.callback(runner.close)
                self.units[peer.name] = runner.units
                x = runner.arrange(self.problem.x).requires_grad_(mode == "training")
                values = self._values(runner, x)
            if peer.compiles:
                result.compile_seconds = time.perf_counter() - begin
            elif mode == "training":
                held_anyway = [x, *self.problem.state, *runner.weights.values()]
                result.kept_floats = kept_floats(lambda: runner.forward(x), held_anyway)
        except Exception as error:  # whatever stops a peer is reported, and the others go on
            result.reason = _one_line(error)
            if peer.compiles:
                if time.perf_counter() - begin >= limit:  # what the compiler makes of the alarm says little
                    result.reason = f"not compiled within {limit:.3g} s"
                self.gave_up[peer.name, mode] = result.reason
                _stop_compile_workers()
            return None
        finally:
            if peer.compiles:
                self.compiling.spent += time.perf_counter() - begin
        result.errors = relative_errors(values, self._expected(peer.variant, mode))
        result.reason = verdict(result.errors)
        result.status = "checked" if result.reason is None else "wrong"
        return self._work(runner, x) if result.reason is None else None

    def _expected(self, variant: str, mode: str) -> dict[str, Tensor]:
        if variant not in self.references:
            fullest = "training" if self.training else "forward"
            threads = torch.get_num_threads()
            torch.set_num_threads(max(self.settings.threads))
            self.references[variant] = self.family.reference(self.problem, variant, fullest)
            torch.set_num_threads(threads)
        reference = self.references[variant]
        return reference if mode == "training" else {"output": reference["output"]}

    def _values(self, runner: Runner, x: Tensor) -> dict[str, Tensor | None]:
        output = runner.forward(x)
        values: dict[str, Tensor | None] = {"output": runner.restore(output.detach())}
        if x.requires_grad:
            inputs = [x, *runner.weights.values()]
            grad_output = runner.arrange(self.problem.grad_output)
            grad_x, *gradients = torch.autograd.grad(output, inputs, grad_output, allow_unused=True)
            values["grad x"] = None if grad_x is None else runner.restore(grad_x)
            values |= {f"grad {name}": each for name, each in zip(runner.weights, gradients, strict=True)}
        return values

    def _work(self, runner: Runner, x: Tensor) -> Callable[[], object]:
        forward = runner.forward
        if not x.requires_grad:
            return lambda: forward(x)
        inputs, grad_output = [x, *runner.weights.values()], runner.arrange(self.problem.grad_output)
        return lambda: torch.autograd.grad(forward(x), inputs, grad_output)


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise TimeoutError in the body once it took that long.

    Works by an alarm signal, so only in the main thread of a Unix process; elsewhere there is no limit.
    """
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: object) -> None:
        raise TimeoutError(f"not done within the limit of {seconds:g} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _stop_compile_workers() -> None:
    """Let no compilation that was given up run on beside the timing of the others."""
    compiler = sys.modules.get("torch._inductor.async_compile")
    if compiler is not None:
        compiler.shutdown_compile_workers()


def _one_line(error: Exception) -> str:
    text = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
    return f"{type(error).__name__}: {text}"[:200]
