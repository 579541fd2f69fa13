"""One number for each cell."""

from collections.abc import Callable
from typing import NoReturn

from torch import Tensor

from seqlight.heads.base import Head


class PointHead(Head):
    """The forecast itself, which says nothing of its errors.

    Args:
        pointwise: the loss of every cell, of forecasts and targets of one shape.

    """

    name = "point"
    parameter_names = ("point",)
    levels = ()

    def __init__(self, pointwise: Callable[[Tensor, Tensor], Tensor]) -> None:
        self.pointwise = pointwise

    def parameters(self, outputs: Tensor, scale: Tensor | None = None) -> Tensor:
        """Return the outputs as they are."""
        return outputs

    def loss(self, parameters: Tensor, target: Tensor) -> Tensor:
        """Return the loss of every cell."""
        return self.pointwise(parameters[..., 0], target)

    def point(self, parameters: Tensor) -> Tensor:
        """Return the forecast: a mean after a squared error, a median after an absolute one."""
        return parameters[..., 0]

    def value_at(self, parameters: Tensor, score: Tensor) -> NoReturn:
        """Refuse."""
        raise _no_distribution()

    def score_of(self, parameters: Tensor, value: Tensor) -> NoReturn:
        """Refuse."""
        raise _no_distribution()

    def mean(self, parameters: Tensor) -> NoReturn:
        """Refuse: after the transform was undone, the point of a squared error is no longer the mean."""
        raise _no_distribution()


def _no_distribution() -> ValueError:
    return ValueError(
        "head='point' forecasts one number for each cell and knows nothing of its errors; train with "
        "head='quantile' or 'normal', or take intervals from past errors with seqlight.intervals"
    )
