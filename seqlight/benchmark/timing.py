"""Interleaved timing of several implementations of the same work, and statistics over paired rounds.

A machine's speed drifts (clock, neighbours, caches). Timing one implementation after the other turns that
drift into a difference between them. Here every round times each implementation once, so that two times of
one round saw the same machine; ratios are taken within a round, and their median and quartiles are reported.
"""

import gc
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

Clock = Callable[[], float]
Work = Callable[[], object]


@dataclass(frozen=True)
class Schedule:
    """How long to measure.

    Attributes:
        rounds: rounds to time, at least (unless ``max_seconds`` cuts them short).
        min_seconds: go on beyond ``rounds`` until this many seconds were spent in timed rounds.
        max_seconds: stop once this many seconds were spent, though never before ``fewest_rounds``.
        fewest_rounds: rounds that even the slowest work gets.
        warmup_rounds: rounds run first and dropped.
        warmup_seconds: begin no further warm-up round after this many seconds, from the second one on.
        sample_seconds: a sample repeats short work until it takes about this long, then divides.
    """

    rounds: int = 21
    min_seconds: float = 1.0
    max_seconds: float = 60.0
    fewest_rounds: int = 5
    warmup_rounds: int = 4  # torch.jit.script compiles up to its fourth call or so
    warmup_seconds: float = 2.0
    sample_seconds: float = 1e-3


@dataclass(frozen=True)
class Quartiles:
    """Median and first and third quartile of a sample."""

    median: float
    q1: float
    q3: float


def quartiles(values: Sequence[float]) -> Quartiles:
    """Median and quartiles, with linear interpolation between order statistics."""
    q1, median, q3 = np.percentile(np.asarray(values, dtype=np.float64), [25, 50, 75])
    return Quartiles(float(median), float(q1), float(q3))


def paired_ratios(baseline: Sequence[float], candidate: Sequence[float]) -> list[float]:
    """Per-round speed of ``candidate`` relative to ``baseline``: above 1 is faster than the baseline.

    Raises:
        ValueError: the two have different numbers of rounds, so that they cannot be paired.
    """
    if len(baseline) != len(candidate):
        raise ValueError(
            f"paired_ratios: expected as many rounds in both, got {len(baseline)} and {len(candidate)}"
        )
    return [b / c for b, c in zip(baseline, candidate, strict=True)]


def round_order(names: Sequence[str], index: int) -> list[str]:
    """Order of round ``index``, by Williams' balanced Latin squares (1949).

    In as many rounds as there are names (twice as many for an odd number), each name has every position as
    often, and runs right behind each of the others as often: whoever ran before has left its data in the
    caches, and its memory to the allocator.
    """
    count = len(names)
    turn, shift = divmod(index, count)
    # 0, 1, -1, 2, -2, ...: every step between two neighbours is a different one.
    steps = [(place + 1) // 2 if place % 2 else -(place // 2) for place in range(count)]
    order = [names[(step + shift) % count] for step in steps]
    return order[::-1] if turn % 2 else order


def interleave(
    work: Mapping[str, Work],
    schedule: Schedule,
    *,
    clock: Clock = time.perf_counter,
) -> dict[str, list[float]]:
    """Seconds per call of each item of ``work``, one entry per timed round, in the order of the rounds."""
    names = list(work)
    if not names:
        return {}
    seconds: dict[str, list[float]] = {name: [] for name in names}
    shortest = dict.fromkeys(names, math.inf)
    with _garbage_collection_paused():
        begin = clock()
        for index in range(schedule.warmup_rounds):
            if index >= 2 and clock() - begin >= schedule.warmup_seconds:
                break
            for name in round_order(names, index):
                shortest[name] = min(shortest[name], _sample(work[name], 1, clock))
        calls = {name: _calls_per_sample(shortest[name], schedule.sample_seconds) for name in names}
        spent, index = 0.0, 0
        while not _enough(schedule, rounds=index, spent=spent):
            for name in round_order(names, index):
                each = _sample(work[name], calls[name], clock)
                seconds[name].append(each)
                spent += each * calls[name]
            index += 1
    return seconds


def _enough(schedule: Schedule, *, rounds: int, spent: float) -> bool:
    if rounds < schedule.fewest_rounds:
        return rounds >= schedule.rounds
    return spent >= schedule.max_seconds or (rounds >= schedule.rounds and spent >= schedule.min_seconds)


def _calls_per_sample(seconds: float, wanted: float) -> int:
    if not math.isfinite(seconds) or seconds >= wanted:
        return 1
    return min(10_000, math.ceil(wanted / max(seconds, 1e-9)))


def _sample(work: Work, calls: int, clock: Clock) -> float:
    begin = clock()
    for _ in range(calls):
        work()
    return (clock() - begin) / calls


@contextmanager
def _garbage_collection_paused() -> Iterator[None]:
    """Keep the cycle collector from running inside one implementation's sample for another's garbage."""
    was_enabled = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
