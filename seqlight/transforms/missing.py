"""Filling missing cells from those around them, for transforms that cannot leave them out."""

import torch
from torch import Tensor
from torch.nn import functional as F


def fill_forward(values: Tensor) -> Tensor:
    """Replace each NaN of ``[B, T, ...]`` by the last value before it in time; NaN where there is none."""
    # A prefix scan in log2(T) steps of ordinary operators: after the step with shift s every cell has seen
    # the 2 s cells up to itself. torch.cummax over the positions does it in one, but does not export to ONNX.
    shift = 1
    while shift < values.shape[1]:
        earlier = torch.cat([torch.full_like(values[:, :shift], torch.nan), values[:, :-shift]], dim=1)
        values = torch.where(values.isnan(), earlier, values)
        shift *= 2
    return values


def fill_backward(values: Tensor) -> Tensor:
    """Replace each NaN of ``[B, T, ...]`` by the next value after it in time; NaN where there is none."""
    return fill_forward(values.flip(1)).flip(1)


def by_phase(values: Tensor, season_length: int) -> Tensor:
    """View ``[B, T, C]`` as seasons ``[B, N, season_length, C]`` that end with the last step.

    The first season begins with NaN where T is no multiple of the season.
    """
    padded = F.pad(values, (0, 0, -values.shape[1] % season_length, 0), value=torch.nan)
    return padded.unflatten(1, (-1, season_length))


def fill_seasonal(values: Tensor, season_length: int, steps: int) -> Tensor:
    """Return the last ``steps`` steps of ``[B, T, C]`` with each NaN filled from around it.

    It is replaced by the last value whole seasons before it; where there is none, by the last value of all
    before it, else by the next one. A channel without any value stays NaN.
    """
    filled = fill_forward(by_phase(values, season_length)).flatten(1, 2)[:, -values.shape[1] :]
    if season_length > 1:
        filled = fill_forward(filled)
    return fill_backward(filled[:, -steps:])


def interpolate_seasonal(values: Tensor, season_length: int) -> Tensor:
    """Replace each NaN of ``[B, T, C]`` by a straight line between its neighbours whole seasons away.

    That is exact for a line plus a periodic pattern. Where there is one such neighbour only, its value is
    taken; where there is none, the last value of all before the cell, else the next one. A channel without
    any value stays NaN.
    """
    seasons = by_phase(values, season_length)
    position = torch.arange(seasons.shape[1], dtype=values.dtype, device=values.device)
    position = position.reshape(1, -1, 1, 1)
    observed_position = torch.where(seasons.isnan(), torch.nan, position)
    before, after = fill_forward(seasons), fill_backward(seasons)
    first, last = fill_forward(observed_position), fill_backward(observed_position)
    line = before + (after - before) * ((position - first) / (last - first))
    filled = torch.where(line.isnan(), torch.where(before.isnan(), after, before), line)
    filled = torch.where(seasons.isnan(), filled, seasons).flatten(1, 2)[:, -values.shape[1] :]
    return fill_backward(fill_forward(filled))
