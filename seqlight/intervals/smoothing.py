"""Margins that do not differ by chance between neighbouring steps ahead."""

import torch
from torch import Tensor

WEIGHTS = (1.0, 2.0, 3.0, 2.0, 1.0)


def smooth_over_steps(margins: Tensor, axis: int) -> Tensor:
    """Return weighted means over up to two steps on either side, as many on one as on the other.

    Quantiles of few scores differ by chance from step to step, and those of high levels most. A mean of
    neighbours keeps the order of levels, and coverage as far as margins change evenly with the step; the
    first and the last step stay as they are.

    Args:
        margins: NaN where there is none, which stays so and is left out of the means of its neighbours.
        axis: that of the steps.

    """
    moved = margins.movedim(axis, 0)
    steps = len(moved)
    reach = len(WEIGHTS) // 2
    place = torch.arange(steps)
    widest = torch.minimum(place, steps - 1 - place).clamp(max=reach)
    total, weights = torch.zeros_like(moved), torch.zeros_like(moved)
    for offset, weight in zip(range(-reach, reach + 1), WEIGHTS, strict=True):
        inside = widest >= abs(offset)
        neighbours = moved[(place + offset).clamp(0, steps - 1)]
        # Its mirror image must be there too, or a slope would pull the mean to one side.
        mirrored = moved[(place - offset).clamp(0, steps - 1)]
        counts = inside.reshape(-1, *[1] * (moved.ndim - 1)) & ~neighbours.isnan() & ~mirrored.isnan()
        total += torch.where(counts, weight * neighbours, 0.0)
        weights += torch.where(counts, weight, 0.0)
    smooth = torch.where(weights > 0, total / weights, torch.nan)
    return torch.where(moved.isnan(), torch.nan, smooth).movedim(0, axis)
