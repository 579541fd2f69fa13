"""Quantiles of sample paths, and the numbers that paths are drawn by."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.quasirandom import SobolEngine

SEED = 20260101


def path_scores(count: int, steps: int, channels: int) -> Tensor:
    """Return standard normal scores ``[N, 1, H, C]`` that are spread as evenly as can be.

    Those of a scrambled Sobol sequence, always the same ones, so that a forecast is the same whenever it is
    made, and its quantiles are more exact than those of as many random paths.
    """
    size = steps * channels
    if size <= SobolEngine.MAXDIM:
        uniform = SobolEngine(size, scramble=True, seed=SEED).draw(count, dtype=torch.float64)
    else:
        generator = torch.Generator().manual_seed(SEED)
        uniform = torch.rand(count, size, generator=generator, dtype=torch.float64)
    least = 0.25 / count
    scores = torch.special.ndtri(uniform.clamp(least, 1.0 - least))
    return scores.to(torch.get_default_dtype()).reshape(count, 1, steps, channels)


def check_levels(levels: Sequence[float], count: int) -> None:
    """Raise ValueError where so many paths say nothing of a quantile."""
    for level in levels:
        if min(level, 1.0 - level) * count < 1.0 - 1e-9:
            needed = math.ceil(1.0 / min(level, 1.0 - level) - 1e-6)
            raise ValueError(
                f"quantiles: {level:g} lies beyond {count} paths, by which this forecaster knows its "
                f"quantiles; make it with num_samples={needed} or more"
            )


def path_quantiles(paths: Tensor, levels: Sequence[float], *, whole: bool = False) -> Tensor:
    """Return quantiles ``[..., Q]`` of paths ``[N, ...]``.

    Args:
        paths: N values of each cell.
        levels: of the quantiles.
        whole: give values that occur, as is right for counts; else those between, with the n-th of N at
            ``(n - 1/2) / N``.

    """
    count = paths.shape[0]
    ordered = paths.sort(0).values
    found = []
    for level in levels:
        position = level * count - 0.5
        if whole:
            found.append(ordered[max(0, math.ceil(level * count - 1e-9) - 1)])
            continue
        position = min(max(position, 0.0), count - 1.0)
        below = min(int(position), count - 2) if count > 1 else 0
        share = position - below
        found.append(torch.lerp(ordered[below], ordered[min(below + 1, count - 1)], share))
    return torch.stack(found, dim=-1)
