"""Where the nearest observed cells are: the quantities from which gaps are filled."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Side:
    """The nearest observed cell on one side of every cell.

    Attributes:
        value: ``[B, T, C]`` its value; 0 where there is none.
        distance: ``[B, T, C]`` time to it, at least 0; where there is none, the time to the window's end on
            that side.
        exists: bool ``[B, T, C]``.

    """

    value: Tensor
    distance: Tensor
    exists: Tensor


def row_times(time_gap: Tensor) -> Tensor:
    """Return the time ``[B, T]`` of every row since the first one from gaps ``[B, T]`` to the row before."""
    times = time_gap.cumsum(1)
    return times - times[:, :1]


def nearest_before(values: Tensor, observed: Tensor, times: Tensor, *, strictly: bool = True) -> Side:
    """Find the last observed cell before every cell.

    Args:
        values: ``[B, T, C]``, any finite number where a cell is missing.
        observed: bool ``[B, T, C]``.
        times: ``[B, T]``, not decreasing.
        strictly: leave the cell itself out, so that the result does not depend on its value.

    """
    rows = torch.arange(values.shape[1], device=values.device)[:, None]
    last = torch.where(observed, rows, -1).cummax(1).values
    if strictly:
        last = torch.cat([torch.full_like(last[:, :1], -1), last[:, :-1]], dim=1)
    return _side(values, times, last)


def nearest_after(values: Tensor, observed: Tensor, times: Tensor, *, strictly: bool = True) -> Side:
    """Find the first observed cell after every cell; the arguments are those of :func:`nearest_before`."""
    mirrored = nearest_before(values.flip(1), observed.flip(1), -times.flip(1), strictly=strictly)
    return Side(mirrored.value.flip(1), mirrored.distance.flip(1), mirrored.exists.flip(1))


def interpolated(before: Side, after: Side) -> Tensor:
    """Interpolate linearly in time between two sides ``[B, T, C]``.

    Where one side has no cell, the other one's value; where neither has, 0.
    """
    return share_of_before(before, after) * before.value + share_of_after(before, after) * after.value


def share_of_before(before: Side, after: Side) -> Tensor:
    """Weight of the earlier value in linear interpolation, ``d_after / (d_before + d_after)``."""
    total = before.distance + after.distance
    share = torch.where(total > 0, after.distance / total.clamp(min=torch.finfo(total.dtype).tiny), 0.5)
    return torch.where(before.exists & after.exists, share, before.exists.to(share.dtype))


def share_of_after(before: Side, after: Side) -> Tensor:
    """Weight of the later value in linear interpolation; 0 where neither side has a cell."""
    return after.exists.to(before.value.dtype) * (1 - share_of_before(before, after))


def _side(values: Tensor, times: Tensor, index: Tensor) -> Side:
    """Gather the cells ``[B, T, C]`` of row ``index``; -1 is no cell."""
    exists = index >= 0
    clamped = index.clamp(min=0)
    all_times = times.unsqueeze(-1).expand(values.shape)
    value = values.gather(1, clamped).masked_fill(~exists, 0.0)
    return Side(value, all_times - all_times.gather(1, clamped), exists)
