"""Margins that follow the misses of earlier forecasts: online, with feedback that comes late."""

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor


@dataclass(frozen=True)
class Events:
    """Scores of windows beside the rows at which they become known.

    Attributes:
        series: int64 ``[W]``.
        start: int64 ``[W]``, first rows of the forecasts.
        scores: ``[W, H, C, L, K]``, of each level and of K sides; NaN where there is none.

    """

    series: Tensor
    start: Tensor
    scores: Tensor

    def and_more(self, events: "Events") -> "Events":
        """Return these and more."""
        pairs = ((self.series, events.series), (self.start, events.start), (self.scores, events.scores))
        return Events(*(torch.cat(pair) for pair in pairs))

    def rows_after(self) -> tuple[Tensor, Tensor]:
        """Return the series of windows with a score, and the row after their last one."""
        known = ~self.scores.flatten(2).isnan().all(-1)
        after = (known * torch.arange(1, known.shape[1] + 1)).amax(1)
        return self.series[after > 0], (self.start + after)[after > 0]

    def check_once(self) -> None:
        """Raise ValueError where a series has two windows with one start."""
        order = self.start.argsort(stable=True)
        order = order[self.series[order].argsort(stable=True)]
        twice = (self.series[order].diff() == 0) & (self.start[order].diff() == 0)
        if bool(twice.any()):
            row = order[1:][twice][0]
            raise ValueError(
                "windows: expected each window of a series once, got two that start at row "
                f"{int(self.start[row])} of series {int(self.series[row])}"
            )


@dataclass(frozen=True)
class Path:
    """What was added to the margins of each series, by the row at which a forecast begins.

    Attributes:
        first: int64 ``[S]``, the row of the first entry.
        shifts: ``[S, N, C, L, K]``: entry n holds for forecasts that begin at row ``first + n``, which know
            the scores of all rows before; the first and the last one hold for all rows before and after.

    """

    first: Tensor
    shifts: Tensor

    def at(self, series: Tensor, start: Tensor) -> Tensor:
        """Return the shifts ``[B, C, L, K]`` of forecasts."""
        place = (start - self.first[series]).clamp(0, self.shifts.shape[1] - 1)
        return self.shifts[series, place]


def track(path: Path, events: Events, begin: int, step: float, miss: Tensor, least: float | None) -> Path:
    """Return a path that goes on with the scores of more rows: quantile tracking.

    Angelopoulos, Candes and Tibshirani 2023, "Conformal PID control for time series prediction", the
    proportional part: after a score s of a forecast that was made with the shift q, the shift grows by
    ``step (1 - miss)`` if s > q, and shrinks by ``step miss`` if not, so that the share of misses nears
    ``miss`` in the long run, whatever the scores are. All steps ahead whose target lies in one row share
    the shift, which moves by the mean over them. As the score of step h comes h steps late, the miss is that
    of the shift at the time of the forecast, which knew no later score.

    Args:
        path: as far as it is known.
        events: all scores that the path is to be made of.
        begin: the entry of the path to go on from: later ones are made anew, and scores of rows before
            ``first + begin`` are left out.
        step: how far a shift moves.
        miss: ``[L]``, wanted shares of misses.
        least: the lowest shift; None for no bound.

    """
    horizon = events.scores.shape[1]
    window = torch.arange(len(events.start)).repeat_interleave(horizon)
    ahead = torch.arange(horizon).repeat(len(events.start))
    place = events.start[window] + ahead - path.first[events.series[window]]
    wanted = (place >= begin) & ~events.scores.flatten(2).isnan().all(-1).flatten()
    known = path.shifts[:, : begin + 1]
    if not bool(wanted.any()):
        return Path(path.first, known)
    window, ahead, place = window[wanted], ahead[wanted], place[wanted]
    order = place.argsort(stable=True)
    window, ahead, place = window[order], ahead[order], place[order]
    end = int(place[-1])
    shifts = known.new_empty((len(known), end + 2, *known.shape[2:]))
    shifts[:, : known.shape[1]] = known
    shift = known[:, -1]
    bounds = torch.searchsorted(place, torch.arange(known.shape[1] - 1, end + 2)).tolist()
    share = miss[:, None].to(shift.dtype)
    for row, (low, high) in enumerate(pairwise(bounds), known.shape[1] - 1):
        if low < high:
            some = window[low:high]
            series = events.series[some]
            score = events.scores[some, ahead[low:high]]
            issued = shifts[series, (events.start[some] - path.first[series]).clamp(min=0)]
            usable = ~score.isnan()
            move = torch.where(usable, (score > issued).to(shift.dtype) - share, 0.0)
            total = torch.zeros_like(shift).index_add_(0, series, move)
            number = torch.zeros_like(shift).index_add_(0, series, usable.to(shift.dtype))
            shift = shift + step * total / number.clamp(min=1.0)
            shift = shift if least is None else shift.clamp(min=least)
        shifts[:, row + 1] = shift
    return Path(path.first, shifts)
