"""Student's t distribution."""

import torch
from torch import Tensor

from seqlight.heads.base import HALF_LOG_2_PI, Head, at_least_float32, positive
from seqlight.heads.normal import LEAST_SCALE
from seqlight.heads.student_t_scores import LEAST_DF, score_of_t, t_of_score

_FIRST_DF = 4.0
"""Added to the network's number, so that a new network begins with about 4.5 degrees of freedom."""

_LARGE = 20.0


class StudentTHead(Head):
    """Student's t distribution of the transformed value, trained by its negative log likelihood.

    Parameters: ``df``, the degrees of freedom, at least 0.5, ``loc`` and ``scale``. The tails are as heavy as
    the data ask for, so that an outlier moves neither ``loc`` nor ``scale`` far; towards many degrees of
    freedom it becomes the normal distribution. The mean is infinite, or not defined, up to ``df = 1``.
    """

    name = "student_t"
    parameter_names = ("df", "loc", "scale")

    def parameters(self, outputs: Tensor, scale: Tensor | None = None) -> Tensor:
        """Return ``[df, loc, scale]``."""
        outputs = at_least_float32(outputs)
        df = positive(outputs[..., 0] + _FIRST_DF, LEAST_DF)
        return torch.stack([df, outputs[..., 1], positive(outputs[..., 2], LEAST_SCALE)], dim=-1)

    def loss(self, parameters: Tensor, target: Tensor) -> Tensor:
        """Return the negative log density of every cell."""
        df, loc, scale = parameters.unbind(-1)
        z = (target - loc) / scale
        return 0.5 * (df + 1.0) * (z.square() / df).log1p() + scale.log() + _log_normaliser(df)

    def point(self, parameters: Tensor) -> Tensor:
        """Return the median, ``loc``."""
        return parameters[..., 1]

    def value_at(self, parameters: Tensor, score: Tensor) -> Tensor:
        """Return ``loc + scale * t``, t the standard quantile at the score's probability."""
        df, loc, scale = parameters.unbind(-1)
        return loc + scale * t_of_score(score, df)

    def score_of(self, parameters: Tensor, value: Tensor) -> Tensor:
        """Return the normal score of values."""
        df, loc, scale = parameters.unbind(-1)
        return score_of_t((value - loc) / scale, df)

    def mean(self, parameters: Tensor) -> Tensor:
        """Return ``loc``.

        Raises:
            ValueError: cells have 1 degree of freedom or less.

        """
        infinite = int((parameters[..., 0] <= 1.0).sum())
        if infinite:
            raise ValueError(
                f"mean: infinite or not defined in {infinite} of {parameters[..., 0].numel()} cells, where "
                "Student's t has 1 degree of freedom or less; take the median, which is the point forecast, "
                "or train with head='normal'"
            )
        return parameters[..., 1]


def _log_normaliser(df: Tensor) -> Tensor:
    """Return ``log(sqrt(pi df) Gamma(df / 2) / Gamma((df + 1) / 2))``.

    For many degrees of freedom by its series: the logarithms of both gamma functions are then large, and
    their difference would be lost in float32.
    """
    x = df / 2.0
    small = x.clamp(max=_LARGE)
    exact = torch.lgamma(small) - torch.lgamma(small + 0.5) + 0.5 * small.log()
    inverse = 1.0 / x.clamp(min=_LARGE)
    series = inverse * (1.0 / 8.0 - inverse.square() / 192.0)
    return torch.where(x < _LARGE, exact, series) + HALF_LOG_2_PI
