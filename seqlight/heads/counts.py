"""What heads on counts share."""

from abc import abstractmethod

import torch
from torch import Tensor

from seqlight.heads.base import MOST, Head
from seqlight.heads.count_quantiles import count_quantiles

LEAST_MEAN = 1e-6
"""The smallest mean of a count, in the network's units, so that its logarithm is finite."""


class CountHead(Head):
    """A distribution on 0, 1, 2, ..., in original units.

    The network's values are counts divided by a scale, and its mean is multiplied by it; nothing is
    subtracted, for what counts less a mean are, no distribution of counts can say.
    """

    counts = True

    @abstractmethod
    def first_two(self, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """Return the mean and the dispersion a, so that the variance is ``mean + a mean^2``."""

    def value_at(self, parameters: Tensor, score: Tensor) -> Tensor:
        """Return the smallest count whose probability with all below it is at least Phi(score)."""
        mean, dispersion = self.first_two(parameters)
        found: Tensor = count_at(mean, dispersion, score)
        return found.to(parameters.dtype)

    def score_of(self, parameters: Tensor, value: Tensor) -> Tensor:
        """Return the score of the probability of all smaller counts and half that of the count itself."""
        mean, dispersion = self.first_two(parameters)
        shape = torch.broadcast_shapes(mean.shape, value.shape)
        found: Tensor = score_of_count(mean.expand(shape), dispersion.expand(shape), value.expand(shape))
        return found.to(parameters.dtype)

    def mean(self, parameters: Tensor) -> Tensor:
        """Return the mean."""
        return self.first_two(parameters)[0]


# torch has no incomplete beta function. As operators of their own these two stay whole in compiled graphs
# and exported programs; they compute on the CPU.


@torch.library.custom_op("seqlight_heads::count_at", mutates_args=())
def count_at(mean: Tensor, dispersion: Tensor, score: Tensor) -> Tensor:
    """Return quantiles of counts at the probabilities Phi(score), float64.

    Args:
        mean: means, above 0.
        dispersion: of one shape with it, 0 for Poisson's distribution.
        score: broadcasts with them; several for a mean cost little more than one.

    """
    m, a, s = (x.detach().to("cpu", torch.float64) for x in (mean, dispersion, score))
    probability = torch.special.ndtr(s.clamp(-MOST, MOST))
    return count_quantiles(m, a, probability).to(mean.device)


@torch.library.custom_op("seqlight_heads::score_of_count", mutates_args=())
def score_of_count(mean: Tensor, dispersion: Tensor, count: Tensor) -> Tensor:
    """Return normal scores of counts, float64, by scipy: of all smaller ones and half of the count itself.

    Args:
        mean: means, above 0.
        dispersion: of one shape with it, 0 for Poisson's distribution.
        count: of one shape with it; NaN gives NaN.

    """
    import numpy as np
    from scipy import special, stats

    m, a, k = (np.asarray(x.detach().to("cpu", torch.float64)) for x in (mean, dispersion, count))
    known = stats.nbinom(1.0 / a, 1.0 / (1.0 + a * m)) if a.any() else stats.poisson(m)
    probability = 0.5 * (known.cdf(k) + known.cdf(k - 1.0))
    found = np.clip(special.ndtri(probability), -MOST, MOST)
    return torch.as_tensor(np.asarray(found), dtype=torch.float64).reshape(mean.shape).to(mean.device)


@count_at.register_fake
def _like_both(mean: Tensor, dispersion: Tensor, score: Tensor) -> Tensor:
    shape = torch.broadcast_shapes(mean.shape, score.shape)
    return mean.new_empty(shape, dtype=torch.float64)


@score_of_count.register_fake
def _like_mean(mean: Tensor, dispersion: Tensor, other: Tensor) -> Tensor:
    return torch.empty_like(mean, dtype=torch.float64, memory_format=torch.contiguous_format)


def log_factorial_error(x: Tensor) -> Tensor:
    """Return ``log Gamma(x) - (x - 1/2) log x + x - log(2 pi) / 2``, Stirling's error, for x above 0."""
    large = 8.0
    small = x.clamp(max=large)
    exact = torch.lgamma(small) - (small - 0.5) * small.log() + small - 0.9189385332046727
    inverse = 1.0 / x.clamp(min=large)
    square = inverse.square()
    series = inverse * (1.0 / 12.0 - square * (1.0 / 360.0 - square / 1260.0))
    return torch.where(x < large, exact, series)


def log_ratio(above: Tensor, below: Tensor, difference: Tensor) -> Tensor:
    """Return ``log(above / below)``, with all digits where they are nearly one: large counts multiply it.

    Args:
        above: above 0.
        below: likewise.
        difference: ``above - below``, as exactly as the caller knows it.

    """
    relative = difference / below
    near = relative.abs() < 0.5
    close = torch.where(near, relative, 0.0).log1p()
    return torch.where(near, close, (above / below).log())


def poisson_deviance(count: Tensor, mean: Tensor) -> Tensor:
    """Return ``k log(k / m) - (k - m)``, 0 where the mean is the count."""
    known = count.clamp(min=1.0)
    term = known * log_ratio(known, mean, known - mean) - (known - mean)
    return torch.where(count < 1.0, mean, term)


def log_poisson_at_best(count: Tensor) -> Tensor:
    """Return the log probability of a count under the Poisson distribution whose mean it is."""
    known = count.clamp(min=1.0)
    # log k! = log Gamma(k) + log k; all of what is large cancels by hand.
    best = -0.9189385332046727 - 0.5 * known.log() - log_factorial_error(known)
    return torch.where(count < 1.0, 0.0, best)
