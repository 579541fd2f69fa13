"""The negative binomial distribution."""

import torch
from torch import Tensor

from seqlight.heads.base import at_least_float32, positive
from seqlight.heads.counts import LEAST_MEAN, CountHead, log_factorial_error, log_poisson_at_best, log_ratio

LEAST_DISPERSION = 1e-6


class NegativeBinomialHead(CountHead):
    """A negative binomial distribution of a count, trained by its negative log likelihood.

    Parameters: ``mean`` m and ``dispersion`` a, so that the variance is ``m + a m^2``; with a near 0 it is
    Poisson's distribution. For counts that vary more than their mean, with many zeros among them.
    """

    name = "negative_binomial"
    parameter_names = ("mean", "dispersion")

    def parameters(self, outputs: Tensor, scale: Tensor | None = None) -> Tensor:
        """Return ``[mean, dispersion]``, the mean in original units."""
        outputs = at_least_float32(outputs)
        mean = positive(outputs[..., 0], LEAST_MEAN)
        mean = mean if scale is None else mean * scale
        return torch.stack([mean, positive(outputs[..., 1], LEAST_DISPERSION)], dim=-1)

    def loss(self, parameters: Tensor, target: Tensor) -> Tensor:
        """Return the negative log probability of every cell."""
        mean, dispersion = parameters.unbind(-1)
        # The large parts of log Gamma(k + r) - log Gamma(r) - log k!, with r = 1 / a, cancel by hand: float32
        # would keep nothing of the rest.
        shape = 1.0 / dispersion
        total = target + shape
        known = target.clamp(min=1.0)
        # k log(k / m) - k log((k + r) / (m + r)) in one, for both are large where the dispersion is.
        above, below = known * ((shape + mean) / (known + shape)), mean
        own = known * log_ratio(above, below, (known - mean) * (shape / (known + shape)))
        return (
            torch.where(target < 1.0, 0.0, own)
            - shape * log_ratio(total, shape + mean, target - mean)
            + 0.5 * (target / shape).log1p()
            - log_poisson_at_best(target)
            - (log_factorial_error(total) - log_factorial_error(shape))
        )

    def first_two(self, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and dispersion."""
        mean, dispersion = parameters.unbind(-1)
        return mean, dispersion
