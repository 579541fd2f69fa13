"""Quantiles of Poisson and negative binomial distributions, of many cells at once."""

import torch
from torch import Tensor

SHORTEST = 32
LARGEST = 4_000_000
"""Entries of tables that are made at a time."""
TABLE_PER_QUANTILE = 256
"""Of longer tables scipy, which evaluates an incomplete beta function several times, is faster."""
LEAST_LOG = -700.0
"""A smaller probability of 0 is no float64."""


def count_quantiles(mean: Tensor, dispersion: Tensor, probability: Tensor) -> Tensor:
    """Return the smallest counts whose probability with all below them is at least so much.

    Probabilities of 0, 1, 2, ... follow from each other by ``p(k) = p(k - 1) (m / k) (1 + a (k - 1)) / (1 +
    a m)``; their sums are searched. A cell's table serves all quantiles that are wanted of it.

    Args:
        mean: float64 ``[...]``, above 0.
        dispersion: a of one shape with it, so that the variance is ``mean + a mean^2``; 0 for Poisson's.
        probability: broadcasts with them, above 0 and below 1.

    Returns:
        float64 of the shape of all; NaN where an argument is.

    """
    shape = torch.broadcast_shapes(mean.shape, probability.shape)
    mean, dispersion = (x.reshape((1,) * (len(shape) - x.ndim) + x.shape) for x in (mean, dispersion))
    shared = [axis for axis in range(len(shape)) if mean.shape[axis] == 1]
    own = [axis for axis in range(len(shape)) if mean.shape[axis] != 1]
    order = own + shared
    wanted = probability.expand(shape).permute(order).reshape(mean.numel(), -1)
    found = _of_cells(mean.reshape(-1), dispersion.reshape(-1), wanted)
    back = [order.index(axis) for axis in range(len(shape))]
    return found.reshape([shape[axis] for axis in order]).permute(back)


def _of_cells(mean: Tensor, dispersion: Tensor, probability: Tensor) -> Tensor:
    """Return quantiles ``[N, Q]`` of N cells."""
    found = torch.full_like(probability, torch.nan)
    usable = ~(mean + dispersion + probability.sum(1)).isnan()
    log_none = torch.where(dispersion > 0, -(dispersion * mean).log1p() / dispersion.clamp(min=1e-300), -mean)
    longest = TABLE_PER_QUANTILE * probability.shape[1]
    # A guess of how far the highest quantile lies; where it was too short, the next is twice as long.
    farthest = mean + 6.0 * (mean + dispersion * mean.square()).sqrt()
    length = SHORTEST
    left = usable & (log_none > LEAST_LOG) & (farthest <= longest)
    rest = usable & ~left
    while length <= longest and bool(left.any()):
        now = (left & (farthest <= length)).nonzero()[:, 0]
        for cells in now.split(max(1, LARGEST // length)):
            sums = _sums(mean[cells], dispersion[cells], log_none[cells], length)
            place = torch.searchsorted(sums, probability[cells].contiguous())
            reached = (place < length).all(1)
            found[cells[reached]] = place[reached].double()
            left[cells[reached]] = False
        length *= 2
    rest |= left
    if bool(rest.any()):
        found[rest] = _by_scipy(mean[rest], dispersion[rest], probability[rest])
    return found


def _sums(mean: Tensor, dispersion: Tensor, log_none: Tensor, length: int) -> Tensor:
    """Return the probabilities of at most 0, 1, ..., ``length - 1``, ``[N, length]``."""
    count = torch.arange(1, length, dtype=torch.float64)
    m, a = mean[:, None], dispersion[:, None]
    ratios = (m / (1.0 + a * m)) * (1.0 + a * (count - 1.0)) / count
    parts = torch.cat([torch.ones_like(m), ratios.cumprod(1)], 1) * log_none.exp()[:, None]
    return parts.cumsum(1)


def _by_scipy(mean: Tensor, dispersion: Tensor, probability: Tensor) -> Tensor:
    import numpy as np
    from scipy import stats

    m, a, p = mean[:, None].numpy(), dispersion[:, None].numpy(), probability.numpy()
    found = np.empty_like(p)
    none = a[:, 0] == 0
    if none.any():
        found[none] = stats.poisson.ppf(p[none], m[none])
    if not none.all():
        m, a, p = m[~none], a[~none], p[~none]
        found[~none] = stats.nbinom.ppf(p, 1.0 / a, 1.0 / (1.0 + a * m))
    return torch.from_numpy(found)
