"""Known cells that are hidden in training, for the model to find again."""

import math

import torch
from torch import Tensor


def hide_cells(observed: Tensor, *, fraction: float, longest_gap: int) -> Tensor:
    """Choose known cells at random: half of them as points, half in blocks.

    Blocks last 1 to ``longest_gap`` rows, uniformly in the logarithm, in one channel or, every second time,
    in all channels at once. At least one known cell of each window and channel is left. torch's generator of
    the tensor's device draws, so ``torch.manual_seed`` makes it repeatable.

    Args:
        observed: bool ``[B, T, C]``, which cells are known.
        fraction: share of the known cells to hide, about; 0 to less than 1.
        longest_gap: rows of the longest block.

    Returns:
        bool ``[B, T, C]``, true where a known cell is hidden.

    """
    if fraction == 0:
        return torch.zeros_like(observed)
    batch, length, channels = observed.shape
    device = observed.device
    # Points leave the square root of 1 - fraction uncovered, each of two kinds of blocks the fourth root.
    uncovered = math.log(1 - fraction)
    hidden = torch.rand(observed.shape, device=device) < 1 - math.exp(uncovered / 2)
    mean_length = (longest_gap - 1) / math.log(longest_gap) if longest_gap > 1 else 1.0
    start_probability = -math.expm1(uncovered / 4 / mean_length)
    rows = torch.arange(length, device=device)[:, None]
    for width in (channels, 1):
        shape = (batch, length, width)
        lengths = torch.exp(torch.rand(shape, device=device) * math.log(longest_gap)).round()
        starts = torch.rand(shape, device=device) < start_probability
        stops = torch.where(starts, rows + lengths, 0.0).cummax(1).values
        hidden = hidden | (rows < stops)
    hidden = hidden & observed
    return hidden & ~_kept(hidden, observed)


def _kept(hidden: Tensor, observed: Tensor) -> Tensor:
    """Mark one hidden cell, drawn at random, of each window and channel where nothing else is known."""
    nothing_left = ~(observed & ~hidden).any(1, keepdim=True)
    chance = torch.rand(hidden.shape, device=hidden.device).masked_fill(~hidden, -1.0)
    return (chance == chance.amax(1, keepdim=True)) & hidden & nothing_left
