"""Correctness before speed: an implementation is timed only if it agrees with the float64 reference."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor

TOLERANCE = 1e-5


def relative_error(actual: Tensor | None, expected: Tensor) -> float:
    """Norm of the difference over the norm of ``expected``, in float64.

    Infinite for a missing or non-finite result. Where ``expected`` is all zero, the norm of ``actual``.
    """
    if actual is None or actual.numel() != expected.numel():
        return math.inf
    reference = expected.detach().to(torch.float64)
    difference = actual.detach().to(torch.float64).reshape(reference.shape) - reference
    norm = float(reference.norm()) or 1.0
    error = float(difference.norm()) / norm
    return error if math.isfinite(error) else math.inf


def relative_errors(actual: Mapping[str, Tensor | None], expected: Mapping[str, Tensor]) -> dict[str, float]:
    """Relative error of every tensor of ``expected``, by name, infinite for one that ``actual`` lacks."""
    return {name: relative_error(actual.get(name), tensor) for name, tensor in expected.items()}


def verdict(errors: Mapping[str, float], tolerance: float = TOLERANCE) -> str | None:
    """None if every error is below ``tolerance``, else a sentence naming the worst ones."""
    wrong = {name: error for name, error in errors.items() if not error < tolerance}
    if not wrong:
        return None
    worst = sorted(wrong, key=lambda name: -wrong[name])[:3]
    named = ", ".join(f"{name} {wrong[name]:.1e}" for name in worst)
    return f"relative error to the float64 reference not below {tolerance:g}: {named}"
