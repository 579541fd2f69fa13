"""Order statistics of scores: within each series, and over all."""

import torch
from torch import Tensor

from seqlight.intervals.levels import conformal_rank


def conformal_quantiles(
    scores: Tensor, series_index: Tensor, series_count: int, level: float, *, two_sided: bool
) -> Tensor:
    """Return the conformal quantile of each series' scores: the ``ceil((n + 1) (1 - alpha))``-th smallest.

    Args:
        scores: ``[W, ...]``, NaN where there is none.
        series_index: int64 ``[W]``.
        series_count: S; a series without a window has no quantile.
        level: in per cent.
        two_sided: whether the scores are those of one side.

    Returns:
        ``[S, ...]``; NaN where a series has fewer scores than the level needs.

    """
    known = ~scores.isnan()
    counts = torch.zeros((series_count, *scores.shape[1:]), dtype=torch.int64)
    counts.index_add_(0, series_index, known.long())
    if not len(scores):
        return torch.full(counts.shape, torch.nan, dtype=scores.dtype)
    # Sorted by score, then, keeping that order, by series: each series' scores lie together, rising.
    order = torch.where(known, scores, torch.inf).argsort(0)
    order = order.gather(0, series_index[order].argsort(dim=0, stable=True))
    grouped = scores.gather(0, order)
    sizes = torch.bincount(series_index, minlength=series_count)
    first = (sizes.cumsum(0) - sizes).reshape(-1, *[1] * (scores.ndim - 1))
    rank = conformal_rank(counts, level, two_sided=two_sided)
    place = (first + rank - 1).clamp(0, len(scores) - 1)
    return torch.where(rank <= counts, grouped.gather(0, place), torch.nan)
