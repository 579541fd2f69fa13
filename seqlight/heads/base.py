"""What a head decides: the meaning of the numbers that a network gives for a cell of the future."""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from statistics import NormalDist
from typing import ClassVar

import torch
from torch import Tensor

from seqlight.heads.columns import forecast_columns, point_column

MOST = 5.5
"""Normal scores beyond it, and so levels within 2e-8 of 0 and 1, are taken for it."""


class Head(ABC):
    """The distribution, or the point, that P numbers of a network stand for.

    A head has no weights and no state. The network's numbers may be anything; :meth:`parameters` brings them
    into the range that the distribution's parameters have, and all other methods take these. Leading
    dimensions are free: ``[B, H, C, P]`` for the cells of a forecast.

    Heads on values describe the target after the transform; heads on counts (:attr:`counts`) describe the
    counts themselves, and are given the scale by which the network's values were divided.

    **Normal scores.** Where a cell lies in its distribution is said by a standard normal number s, that is
    by the probability Phi(s): :meth:`value_at` and :meth:`score_of` are each other's inverse. Paths that keep
    the dependence between steps are drawn by scores that depend on each other.
    """

    name: ClassVar[str]
    """The name that a forecaster's argument ``head`` has for it."""

    parameter_names: tuple[str, ...]
    """What each of the P parameters is."""

    counts: ClassVar[bool] = False
    """Whether it describes counts 0, 1, 2, ... in original units, rather than transformed values."""

    levels: tuple[float, ...] | None = None
    """The quantiles that it knows; None where it knows a whole distribution, and so all of them."""

    @property
    def parameter_count(self) -> int:
        """Number P of values that the network gives for each cell."""
        return len(self.parameter_names)

    @property
    def draws(self) -> bool:
        """Whether values can be drawn from it, which needs a whole distribution."""
        return self.levels is None

    @abstractmethod
    def parameters(self, outputs: Tensor, scale: Tensor | None = None) -> Tensor:
        """Return the parameters that the network's numbers stand for, at least in float32.

        Args:
            outputs: ``[..., P]``, any finite numbers.
            scale: ``[...]``, of heads on counts: what the network's unit is in counts; None for 1.

        """

    @abstractmethod
    def loss(self, parameters: Tensor, target: Tensor) -> Tensor:
        """Return the loss of every cell.

        Args:
            parameters: ``[..., P]``.
            target: ``[...]``, what was to be forecast; no NaN.

        """

    @abstractmethod
    def value_at(self, parameters: Tensor, score: Tensor) -> Tensor:
        """Return the value below which lies the probability Phi(score), for counts the smallest that has it.

        Args:
            parameters: ``[..., P]``.
            score: broadcasts with ``[...]``.

        """

    @abstractmethod
    def score_of(self, parameters: Tensor, value: Tensor) -> Tensor:
        """Return the normal score s of a value: Phi(s) is the probability of a smaller one.

        A count's probability counts half, so that scores of counts lie about 0 as those of values do.

        Args:
            parameters: ``[..., P]``.
            value: broadcasts with ``[...]``; NaN gives NaN.

        """

    @abstractmethod
    def mean(self, parameters: Tensor) -> Tensor:
        """Return the mean ``[...]``.

        Raises:
            ValueError: it is infinite, or not known.

        """

    def point(self, parameters: Tensor) -> Tensor:
        """Return the point forecast ``[...]``, the median."""
        return self.value_at(parameters, parameters.new_zeros(()))

    def quantiles(self, parameters: Tensor, levels: Sequence[float]) -> Tensor:
        """Return quantiles ``[..., Q]``, rising where the levels do.

        Args:
            parameters: ``[..., P]``.
            levels: Q probabilities above 0 and below 1.

        Raises:
            ValueError: a level outside (0, 1), or one that the head does not know.

        """
        scores = torch.tensor(normal_scores(levels), dtype=parameters.dtype, device=parameters.device)
        return self.value_at(parameters.unsqueeze(-2), scores)

    def sample(self, parameters: Tensor, count: int, *, generator: torch.Generator | None = None) -> Tensor:
        """Draw values ``[count, ...]`` of every cell by itself.

        Raises:
            ValueError: the head knows no whole distribution.

        """
        shape = (count, *parameters.shape[:-1])
        scores = torch.randn(shape, generator=generator, dtype=parameters.dtype, device=parameters.device)
        return self.value_at(parameters, scores)

    def column_names(self, target: str, levels: Sequence[float] = ()) -> list[str]:
        """Return the names of the columns of a forecast: the point's, and one for each quantile.

        As Nixtla's packages name them: ``y``, ``y-lo-80`` and ``y-hi-80`` for the levels 0.1 and 0.9.

        Args:
            target: the target's name.
            levels: of the quantiles.

        """
        return [point_column(target), *forecast_columns(target, levels)]


def normal_scores(levels: Sequence[float]) -> list[float]:
    """Return the standard normal quantiles of probabilities.

    Raises:
        ValueError: one is not above 0 and below 1.

    """
    for level in levels:
        if not 0.0 < level < 1.0:
            raise ValueError(f"quantiles: expected levels above 0 and below 1, got {level}")
    return [NormalDist().inv_cdf(level) for level in levels]


def positive(outputs: Tensor, least: float) -> Tensor:
    """Return ``softplus(outputs) + least``, which neither overflows nor comes to 0."""
    return torch.nn.functional.softplus(outputs) + least


def at_least_float32(values: Tensor) -> Tensor:
    """Return 16-bit numbers in float32, others as they are."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


HALF_LOG_2_PI = 0.5 * math.log(2 * math.pi)
