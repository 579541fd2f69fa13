"""Estimates of overlapping windows, put together to a whole series without seams."""

import torch
from torch import Tensor


def window_starts(length: int, window_length: int) -> list[int]:
    """First rows of windows that cover ``length`` rows and overlap by half; one window if it holds all."""
    last = max(length - window_length, 0)
    return sorted({*range(0, last, max(1, window_length // 2)), last})


class Stitcher:
    """Collects estimates of overlapping windows of one series and cross-fades them.

    A window's weight falls linearly from its middle to its ends, so that each row is taken mostly from the
    window that sees most on both sides of it, and no step appears where a window begins or ends.

    Args:
        length: rows N of the series.
        channels: C.

    """

    def __init__(self, length: int, channels: int) -> None:
        self.total = torch.zeros(length, channels, dtype=torch.float64)
        self.weight = torch.zeros(length, 1, dtype=torch.float64)

    def add(self, start: int, estimate: Tensor) -> None:
        """Add a window's estimate ``[T, C]`` from row ``start``; rows beyond the series are left out."""
        window_length = len(estimate)
        rows = torch.arange(window_length, dtype=torch.float64)
        weight = torch.minimum(rows + 1, window_length - rows).unsqueeze(-1)
        stop = min(start + window_length, len(self.total))
        self.total[start:stop] += (weight * estimate.detach().cpu().double())[: stop - start]
        self.weight[start:stop] += weight[: stop - start]

    def result(self) -> Tensor:
        """Return the series ``[N, C]``, float64; NaN where no window was added."""
        return self.total / self.weight
