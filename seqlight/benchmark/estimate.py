"""How long a benchmark run will take, roughly."""

from collections.abc import Sequence
from typing import Any

from seqlight.benchmark.suite import Section, Settings, row_modes, row_threads

CHECK_SECONDS = 0.6  # of a row: weights, float64 reference, gate, kept memory, script
STEP_SECONDS = {"forward": 15e-6, "training": 60e-6}  # of a loop written in Python, for a time step
EFFICIENCY = 0.7  # share of torch.mm's speed that a layer reaches, and a row's peers on average


def estimate_seconds(sections: Sequence[Section[Any]], settings: Settings, gflops: float) -> float:
    """Guess from the operations of the matrix products, the loops' steps and the schedule.

    Args:
        sections: what will be measured.
        settings: how.
        gflops: speed of torch.mm on one thread.

    Returns:
        Seconds, right within a factor of two or so on an idle machine.
    """
    total = 0.0
    for section in sections:
        family, compiles = section.family, any(peer.compiles for peer in section.family.peers)
        if compiles and settings.compile_budget is not None:
            total += settings.compile_budget
        for case in section.cases:
            for threads in row_threads(family, case, settings):
                for mode in row_modes(family, case, settings):
                    products = family.flops(case, mode) / (EFFICIENCY * gflops * 1e9 * threads)
                    steps = case.shape.get("T", 1) * STEP_SECONDS[mode]
                    peers = [p for p in family.peers if not p.compiles and p.unfit(case, mode) is None]
                    loops = sum(not peer.ours for peer in peers)
                    every = len(peers) * products + loops * steps
                    total += CHECK_SECONDS + 2 * every + _timing(settings, every)
    return total


def _timing(settings: Settings, every: float) -> float:
    """Seconds of warm-up and timed rounds of `every` seconds each."""
    schedule = settings.schedule
    if schedule is None:
        return 0.0
    wanted = max(schedule.min_seconds, schedule.rounds * every)
    timed = max(schedule.fewest_rounds * every, min(schedule.max_seconds, wanted))
    return timed + min(schedule.warmup_rounds * every, max(2 * every, schedule.warmup_seconds))
