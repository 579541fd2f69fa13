"""Intervals around means over windows that overlap."""

import numpy as np
import torch
from torch import Tensor


def block_bootstrap(
    numerator: Tensor, denominator: Tensor, block_length: int, *, repeats: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """Return the middle 95 % of a ratio of sums over resampled stretches of time.

    Circular block bootstrap (Politis and Romano 1992): stretches of ``block_length`` times in a row are drawn
    with replacement until there are as many times as before. Errors of neighbouring origins, which share most
    of their targets, so stay together; blocks should be at least one horizon long.

    Args:
        numerator: ``[T]``, sums at each time, in order of time.
        denominator: ``[T]``, likewise; the number of cells for a mean.
        block_length: times in a block, at least 1; at most T are taken.
        repeats: number of resamples.
        seed: of the draws.

    Returns:
        The quantiles 0.025 and 0.975 of the resampled ratios; NaN where there is one block or none.

    """
    count = len(numerator)
    length = min(block_length, count)
    if count < 2 * length or length < 1:
        return float("nan"), float("nan")
    draws = np.random.default_rng(seed).integers(0, count, size=(repeats, -(-count // length)))

    def resampled(values: Tensor) -> Tensor:
        around = torch.cat([values, values[: length - 1]]).double()
        blocks = around.unfold(0, length, 1).sum(1)
        return blocks[torch.from_numpy(draws)].sum(1)

    ratios = resampled(numerator) / resampled(denominator)
    low, high = ratios.nanquantile(torch.tensor([0.025, 0.975], dtype=torch.float64))
    return float(low), float(high)
