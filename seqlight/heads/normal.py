"""The normal distribution."""

import torch
from torch import Tensor

from seqlight.heads.base import HALF_LOG_2_PI, Head, at_least_float32, positive

LEAST_SCALE = 1e-4
"""The smallest scale, in the transform's units: a series that repeats itself has no infinite likelihood."""


class NormalHead(Head):
    """A normal distribution of the transformed value, trained by its negative log likelihood.

    Parameters: ``loc``, the network's number as it is, and ``scale``, at least 0.0001 in the transform's
    units. For errors that are about symmetric and without outliers.
    """

    name = "normal"
    parameter_names = ("loc", "scale")

    def parameters(self, outputs: Tensor, scale: Tensor | None = None) -> Tensor:
        """Return ``[loc, scale]``."""
        outputs = at_least_float32(outputs)
        return torch.stack([outputs[..., 0], positive(outputs[..., 1], LEAST_SCALE)], dim=-1)

    def loss(self, parameters: Tensor, target: Tensor) -> Tensor:
        """Return the negative log density of every cell."""
        loc, scale = parameters.unbind(-1)
        return 0.5 * ((target - loc) / scale).square() + scale.log() + HALF_LOG_2_PI

    def point(self, parameters: Tensor) -> Tensor:
        """Return the median, which is the mean."""
        return parameters[..., 0]

    def value_at(self, parameters: Tensor, score: Tensor) -> Tensor:
        """Return ``loc + scale * score``."""
        loc, scale = parameters.unbind(-1)
        return loc + scale * score

    def score_of(self, parameters: Tensor, value: Tensor) -> Tensor:
        """Return ``(value - loc) / scale``."""
        loc, scale = parameters.unbind(-1)
        return (value - loc) / scale

    def mean(self, parameters: Tensor) -> Tensor:
        """Return ``loc``."""
        return parameters[..., 0]
