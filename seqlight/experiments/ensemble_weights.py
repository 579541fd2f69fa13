"""Weights of an ensemble: members are added one by one, the one that helps most each time."""

from dataclasses import dataclass

import torch
from torch import Tensor

ROUNDS = 20
"""Members that are added at most, so that 1/20 is the smallest weight."""


SHARES_OF_LATEST = (0.5, 0.375, 0.25, 0.125)
"""Shares of the latest of several origins in the weights, the first of which that does no harm is taken."""

NEXT_TO_NOTHING = 0.1
"""Share of the error of common weights below which the weights of a series alone are taken as they are."""


@dataclass(frozen=True)
class ScoredCells:
    """What forecasts of W windows are scored by: the mean of their scaled absolute errors.

    Attributes:
        target: ``[W, H, C]``, what came.
        known: bool ``[W, H, C]``, the cells that count.
        scale: ``[W, C]``, what a window's errors are divided by, such as the denominators of MASE; a window
            whose scale is not a positive number does not count.

    """

    target: Tensor
    known: Tensor
    scale: Tensor

    @property
    def counts(self) -> Tensor:
        """The cells that count, bool ``[W, H, C]``."""
        return self.known & (self.scale.isfinite() & (self.scale > 0)).unsqueeze(1)

    def sums(self, preds: Tensor) -> Tensor:
        """Return each window's sum of scaled errors ``[W]``, float64, of forecasts ``[W, H, C]``."""
        scaled = (preds - self.target).abs() / self.scale.unsqueeze(1)
        return torch.where(self.counts, scaled, 0.0).sum((1, 2), dtype=torch.float64)

    def of(self, rows: Tensor) -> "ScoredCells":
        """Return some of the windows."""
        return ScoredCells(self.target[rows], self.known[rows], self.scale[rows])


def greedy_weights(
    preds: Tensor, cells: ScoredCells, groups: Tensor | None = None, *, rounds: int = ROUNDS
) -> Tensor:
    """Return weights that add up to 1, of the mean of the members' forecasts with the lowest error.

    Greedy selection with replacement (Caruana et al., "Ensemble selection from libraries of models", 2004):
    the ensemble begins as the best member; in each round that member is added, again or for the first time,
    with which the mean of all that were added is best. Of all rounds the best one is kept, so that the
    ensemble is never worse than the best member on these windows. A later round has to be better by more than
    rounding; of equals the earlier member is taken.

    Args:
        preds: the members' forecasts ``[M, W, H, C]``; a member with one that is not finite, where it counts,
            has weight 0.
        cells: what they are scored by.
        groups: int64 ``[W]``, 0 to G - 1, for weights of each group of windows by itself; all groups are gone
            through at once. None for one group.
        rounds: members that are added at most.

    Returns:
        ``[G, M]``, or ``[M]`` without groups; 0 for all members of a group in which nothing counts.

    Raises:
        ValueError: no member has finite forecasts.

    """
    several = groups is not None
    of_window = torch.zeros(preds.shape[1], dtype=torch.int64) if groups is None else groups
    count = int(of_window.max()) + 1 if len(of_window) else 1
    cells_of_group = torch.zeros(count, dtype=torch.float64)
    cells_of_group.index_add_(0, of_window, cells.counts.sum((1, 2)).double())

    def errors(forecast: Tensor) -> Tensor:
        total = torch.zeros(count, dtype=torch.float64).index_add_(0, of_window, cells.sums(forecast))
        return total / cells_of_group.clamp(min=1)

    alone = torch.stack([errors(forecast) for forecast in preds])  # [M, G]
    usable = alone.isfinite().all(1)
    if not bool(usable.any()):
        raise ValueError("preds: expected a member whose forecasts are finite, got none")
    usable = usable.nonzero().flatten()
    added = alone[usable].argmin(0)  # [G], positions in usable
    best = alone[usable].amin(0)
    counted = torch.zeros(count, len(preds), dtype=torch.float64)
    every_group = torch.arange(count)
    counted[every_group, usable[added]] = 1
    kept = counted.clone()
    windows = torch.arange(preds.shape[1])
    total = preds[usable[added][of_window], windows].clone()
    for size in range(2, rounds + 1):
        with_each = torch.stack([errors((total + preds[member]) / size) for member in usable.tolist()])
        added = with_each.argmin(0)
        counted[every_group, usable[added]] += 1
        total += preds[usable[added][of_window], windows]
        found = with_each.amin(0)
        better = found < best * (1 - 1e-6)
        best = torch.where(better, found, best)
        kept = torch.where(better.unsqueeze(1), counted, kept)
    weights = (kept / kept.sum(1, keepdim=True)).float()
    weights[cells_of_group == 0] = 0.0
    return weights if several else weights[0]


def combined(preds: Tensor, weights: Tensor) -> Tensor:
    """Return the weighted mean ``[W, H, C]`` of forecasts ``[M, W, H, C]``.

    A member of weight 0 is left out, whatever it forecasts.

    Args:
        preds: the members' forecasts.
        weights: ``[M]``, or one row for each window, ``[W, M]``.

    """
    rows = weights.to(preds.dtype).expand(preds.shape[1], -1)
    parts = rows.T[..., None, None]
    return torch.where(parts > 0, preds * parts, 0.0).sum(0)


def weights_of_series(
    preds: Tensor,
    cells: ScoredCells,
    series_index: Tensor,
    start: Tensor,
    *,
    least_horizons: int,
    rounds: int = ROUNDS,
) -> tuple[Tensor, dict[int, Tensor]]:
    """Return the weights of all windows together, and those of each series that is long enough for its own.

    The weights of one series follow chance more than those of all, so they are taken half way from these,
    unless they leave next to nothing of the error; and only where they are better on its windows. A series
    without a scale, such as a constant one, is weighed by its errors as they are.

    Args:
        preds: the members' forecasts ``[M, W, H, C]``.
        cells: what they are scored by.
        series_index: int64 ``[W]``, of several series.
        start: int64 ``[W]``, position of the first step that is forecast.
        least_horizons: horizons, one behind the other, that a series' windows must span; weights of fewer
            would follow chance.
        rounds: as in :func:`greedy_weights`.

    """
    together = greedy_weights(preds, cells, rounds=rounds)
    series, group = series_index.unique(return_inverse=True)
    if len(series) == 1:
        return together, {}
    horizon = preds.shape[2]
    latest, earliest = (
        torch.zeros(len(series), dtype=torch.int64).scatter_reduce(0, group, start, way, include_self=False)
        for way in ("amax", "amin")
    )
    long_enough = latest - earliest + horizon >= least_horizons * horizon
    if not bool(long_enough.any()):
        return together, {}
    rows = long_enough[group].nonzero().flatten()
    own, part = cells.of(rows), preds[:, rows]
    series, number = series_index[rows].unique(return_inverse=True)  # the long ones alone
    own = ScoredCells(own.target, own.known, torch.where(own.scale > 0, own.scale, 1.0))

    def errors(weights: Tensor) -> Tensor:
        sums = own.sums(combined(part, weights))
        return torch.zeros(len(series), dtype=torch.float64).index_add_(0, number, sums)

    alone = greedy_weights(part, own, number, rounds=rounds)
    half_way = (alone + together) / 2
    common, of_half, of_alone = (
        errors(each[number]) for each in (together.expand_as(alone), half_way, alone)
    )
    found = torch.where((of_alone < NEXT_TO_NOTHING * common).unsqueeze(1), alone, half_way)
    better = torch.minimum(of_half, of_alone) < common
    kept = better & (found.sum(1) > 0.99)
    return together, {int(series[one]): found[one] for one in kept.nonzero().flatten().tolist()}


def weights_without_scale(
    preds: Tensor, cells: ScoredCells, series_index: Tensor, common: Tensor, *, rounds: int = ROUNDS
) -> dict[int, Tensor]:
    """Return weights of their own for series without a scale, such as constant ones, by their positions.

    They have no say in the common weights, which may fit them badly. So each is weighed by its errors as they
    are, however few; the weights are taken where they leave next to nothing of the error.

    Args:
        preds: the members' forecasts ``[M, W, H, C]``.
        cells: what they are scored by.
        series_index: int64 ``[W]``.
        common: weights ``[M]`` of all series together.
        rounds: as in :func:`greedy_weights`.

    """
    scaled = series_index[(cells.scale > 0).any(1)].unique()
    rows = (~torch.isin(series_index, scaled)).nonzero().flatten()
    if not len(scaled) or not len(rows):
        return {}
    series, number = series_index[rows].unique(return_inverse=True)
    part, own = preds[:, rows], cells.of(rows)
    own = ScoredCells(own.target, own.known, torch.ones_like(own.scale))
    if not any(bool(own.sums(one).isfinite().all()) for one in part):
        return {}
    alone = greedy_weights(part, own, number, rounds=rounds)

    def errors(weights: Tensor) -> Tensor:
        sums = own.sums(combined(part, weights))
        return torch.zeros(len(series), dtype=torch.float64).index_add_(0, number, sums)

    better = errors(alone[number]) < NEXT_TO_NOTHING * errors(common)
    return {int(series[one]): alone[one] for one in better.nonzero().flatten().tolist()}


def weights_of_origins(preds: Tensor, cells: ScoredCells, latest: int, *, rounds: int = ROUNDS) -> Tensor:
    """Return weights ``[M]`` for windows of a few origins: half from the latest one, half from all.

    What follows the latest origin is most like what comes, but one origin follows chance. Where the mean of
    the two is worse on all windows than the best member, the share of the latest origin is smaller.

    Args:
        preds: the members' forecasts ``[M, W, H, C]``, those of the latest origin first.
        cells: what they are scored by.
        latest: number of windows of the latest origin.
        rounds: as in :func:`greedy_weights`.

    """
    together = greedy_weights(preds, cells, rounds=rounds)
    first = torch.arange(latest)
    if not bool(cells.of(first).counts.any()):
        return together
    usable = torch.stack([cells.sums(one).sum().isfinite() for one in preds])
    of_latest = torch.zeros_like(together)
    of_latest[usable] = greedy_weights(preds[usable][:, first], cells.of(first), rounds=rounds)
    best = min(float(cells.sums(one).sum()) for one in preds[usable])
    for share in SHARES_OF_LATEST:
        mean = share * of_latest + (1 - share) * together
        if float(cells.sums(combined(preds, mean)).sum()) <= best:
            return mean
    return together
