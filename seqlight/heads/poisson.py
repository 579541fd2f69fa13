"""Poisson's distribution."""

import torch
from torch import Tensor

from seqlight.heads.base import at_least_float32, positive
from seqlight.heads.counts import LEAST_MEAN, CountHead, log_poisson_at_best, poisson_deviance


class PoissonHead(CountHead):
    """Poisson's distribution of a count, trained by its negative log likelihood.

    Parameter: ``rate``, mean and variance in one. For counts whose variance is about their mean; most vary
    more, see :class:`NegativeBinomialHead`.
    """

    name = "poisson"
    parameter_names = ("rate",)

    def parameters(self, outputs: Tensor, scale: Tensor | None = None) -> Tensor:
        """Return ``[rate]`` in original units."""
        rate = positive(at_least_float32(outputs), LEAST_MEAN)
        return rate if scale is None else rate * scale.unsqueeze(-1)

    def loss(self, parameters: Tensor, target: Tensor) -> Tensor:
        """Return the negative log probability of every cell."""
        rate = parameters[..., 0]
        return poisson_deviance(target, rate) - log_poisson_at_best(target)

    def first_two(self, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """Return the rate, and no dispersion."""
        rate = parameters[..., 0]
        return rate, torch.zeros_like(rate)
