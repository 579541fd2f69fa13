"""Mean and standard deviation that leave out missing cells and survive constant series."""

import torch
from torch import Tensor

ROUNDING = 1e-6
"""A deviation below this part of the magnitude is rounding noise of float32: the series is constant."""


def observed_mean(values: Tensor, dim: int) -> Tensor:
    """Return the mean of cells that are not NaN along ``dim``, kept as size 1; NaN where there is none."""
    return values.nanmean(dim, keepdim=True)


def observed_deviation(values: Tensor, mean: Tensor, dim: int) -> Tensor:
    """Return the population deviation of cells that are not NaN along ``dim``, kept as size 1.

    NaN where no cell is observed; 0 where the cells differ by no more than rounding.
    """
    return beyond_rounding((values - mean).square().nanmean(dim, keepdim=True).sqrt(), mean)


def beyond_rounding(deviation: Tensor, mean: Tensor) -> Tensor:
    """Return a deviation, 0 where it is no more than float32's rounding of numbers around ``mean``."""
    return torch.where(deviation <= ROUNDING * mean.abs(), 0.0, deviation)
