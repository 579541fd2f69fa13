"""How fast margins should move: the choice of a step size by past forecasts."""

from typing import Protocol

import torch
from torch import Tensor

from seqlight.intervals.levels import Levels
from seqlight.intervals.windows import ForecastWindows

STEP_SIZES = (0.01, 0.02, 0.05, 0.1, 0.2)
MIDDLE = 0.05
TOLERANCE = 0.05
"""What a faster step may cost in interval score: the drift to come can be faster than that seen so far."""


class Moving(Protocol):
    """A method whose margins move by a step size."""

    levels: Levels

    def restart(self, step_size: float) -> None:
        """Forget what was observed and take another step size."""

    def observe(self, windows: ForecastWindows) -> object:
        """Learn from forecasts and what came."""

    def margins(self, level: float, series_index: Tensor, start: Tensor, scale: Tensor | None) -> Tensor:
        """Return the margins ``[B, H, C, 2]`` as they were when a forecast began."""

    def scores(self, windows: ForecastWindows, level: float) -> Tensor:
        """Return the scores ``[W, H, C, 2]``."""

    def misses(self) -> Tensor:
        """Return the wanted share of misses of each level, ``[L]``."""

    def typical_scores(self, windows: ForecastWindows) -> Tensor:
        """Return the typical size of the scores of each window's series, ``[W, H, C, 1]``."""


def best_step_size(method: Moving, windows: ForecastWindows) -> float:
    """Return the largest of ``STEP_SIZES`` with nearly the lowest interval score over windows.

    Args:
        method: fitted on earlier windows.
        windows: to be observed and judged.

    """
    losses = []
    for step_size in STEP_SIZES:
        method.restart(step_size)
        method.observe(windows)
        losses.append(interval_loss(method, windows))
    lowest = min(losses)
    if lowest == float("inf"):
        return MIDDLE
    # Below 0 where the model's own intervals are too wide.
    most = lowest + TOLERANCE * abs(lowest)
    return max(size for size, loss in zip(STEP_SIZES, losses, strict=True) if loss <= most)


def interval_loss(method: Moving, windows: ForecastWindows) -> float:
    """Return the mean over observed windows of what the interval score says of the margins.

    In units of each series' typical score: the width, and a penalty for the distance of what lies outside.
    """
    unit = method.typical_scores(windows)
    losses = []
    for level, miss in zip(method.levels, method.misses().tolist(), strict=True):
        issued = method.margins(level, windows.series_index, windows.start, windows.scale)
        excess = (method.scores(windows, level) - issued).clamp(min=0) / miss
        losses.append((issued + excess) / unit)
    loss = torch.stack(losses)
    mean = float(loss[loss.isfinite()].mean())
    return mean if mean == mean else float("inf")
