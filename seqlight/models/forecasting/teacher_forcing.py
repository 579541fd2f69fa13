"""Schedules of the probability with which a decoder is told the truth while it trains."""

import math
from collections.abc import Callable


def constant(step: int, steps: int) -> float:
    """1 at every step."""
    return 1.0


def linear(step: int, steps: int) -> float:
    """From 1 down to 0 in ``steps`` steps, and 0 from there on."""
    return max(0.0, 1.0 - step / steps)


def inverse_sigmoid(step: int, steps: int) -> float:
    """k / (k + exp(step / k)), with k such that half is reached at ``steps`` (that is, k ln k = steps)."""
    k = _decay(steps)
    exponent = step / k
    return k / (k + math.exp(exponent)) if exponent < 700 else 0.0  # beyond that, exp overflows


def _decay(steps: int) -> float:
    """Solve k ln k = steps by Newton's method; k is convex in it, so it converges from above."""
    k = float(steps) + 1.0
    for _ in range(100):
        change = (k * math.log(k) - steps) / (math.log(k) + 1.0)
        k -= change
        if abs(change) < 1e-12 * k:
            break
    return k


SCHEDULES: dict[str, Callable[[int, int], float]] = {
    "constant": constant,
    "linear": linear,
    "inverse_sigmoid": inverse_sigmoid,
}
"""The schedules of Bengio et al. 2015 by the names that ``teacher_forcing_schedule`` takes.

Each maps an optimiser step, counted from 0, and the schedule's length to a factor between 0 and 1.
"""
