"""Margins that follow the misses of earlier forecasts: online, with feedback that comes late."""

from dataclasses import dataclass

import torch
from torch import Tensor

NO_START = torch.iinfo(torch.int64).max


@dataclass(frozen=True)
class ScoresInOrder:
    """Scores of each series' windows in the order of their starts.

    Attributes:
        starts: int64 ``[S, N]``, rising; ``NO_START`` after a series' last window.
        scores: ``[S, N, H, C, L, 2]``, of each level and side; NaN where there is none.

    """

    starts: Tensor
    scores: Tensor

    @classmethod
    def of(cls, scores: Tensor, series_index: Tensor, start: Tensor, series_count: int) -> "ScoresInOrder":
        """Sort the windows' scores ``[W, H, C, L, 2]``.

        Raises:
            ValueError: a series has two windows with one start.

        """
        order = start.argsort(stable=True)
        order = order[series_index[order].argsort(stable=True)]
        series, sorted_start = series_index[order], start[order]
        if bool(((series.diff() == 0) & (sorted_start.diff() == 0)).any()):
            raise ValueError("windows: expected each window of a series once, got one start twice")
        sizes = torch.bincount(series, minlength=series_count)
        place = torch.arange(len(order)) - (sizes.cumsum(0) - sizes)[series]
        longest = int(sizes.max()) if len(order) else 0
        starts = torch.full((series_count, longest), NO_START)
        starts[series, place] = sorted_start
        in_order = torch.full((series_count, longest, *scores.shape[1:]), torch.nan, dtype=scores.dtype)
        in_order[series, place] = scores[order]
        return cls(starts, in_order)

    def known_before(self, origin: Tensor) -> Tensor:
        """Return how many windows of each series have a score of step h before an origin, ``[S, N', H]``.

        The target of step h (from 0) of a window lies in row ``start + h``; a forecast that begins at row
        ``origin`` knows the rows before.

        Args:
            origin: int64 ``[S, N']``, first rows of forecasts.

        """
        horizon = self.scores.shape[2]
        rows = origin[..., None] - torch.arange(horizon)
        return torch.searchsorted(self.starts, rows.flatten(1)).reshape(rows.shape)


def track(in_order: ScoresInOrder, initial: Tensor, step: Tensor, miss: Tensor) -> Tensor:
    """Return the margins after each number of scores: quantile tracking.

    Angelopoulos, Candes and Tibshirani 2023, "Conformal PID control for time series prediction", the
    proportional part: after a score s of a forecast that was made with the margin q, the margin grows by
    ``step (1 - miss)`` if s > q, and shrinks by ``step miss`` if not, so that the share of misses nears
    ``miss`` in the long run, whatever the scores are. As the scores of step h come h steps late, the miss is
    that of the margin at the time of the forecast, which knew no later score.

    Args:
        in_order: the scores.
        initial: ``[S, H, C, L, 2]``, margins before the first score.
        step: likewise, how far a margin moves.
        miss: ``[L]``, wanted shares of misses.

    Returns:
        ``[S, N + 1, H, C, L, 2]``: entry n is the margin once n scores are known.

    """
    count = in_order.starts.shape[1]
    margins = initial.new_empty((len(initial), count + 1, *initial.shape[1:]))
    margins[:, 0] = initial
    known = in_order.known_before(in_order.starts)
    series = torch.arange(len(initial))[:, None]
    steps = torch.arange(initial.shape[1])
    miss = miss[:, None]
    for place in range(count):
        issued = margins[series, known[:, place], steps]
        score = in_order.scores[:, place]
        change = step * ((score > issued).to(step.dtype) - miss)
        margins[:, place + 1] = margins[:, place] + torch.where(score.isnan(), 0.0, change)
    return margins


def issued_margins(in_order: ScoresInOrder, margins: Tensor) -> Tensor:
    """Return the margins with which each window was forecast, ``[S, N, H, C, L, 2]``."""
    series = torch.arange(len(margins))[:, None, None]
    return margins[series, in_order.known_before(in_order.starts), torch.arange(margins.shape[2])]
