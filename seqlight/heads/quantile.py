"""Some quantiles of each cell, and no distribution."""

from collections.abc import Sequence
from typing import NoReturn

import torch
from torch import Tensor
from torch.nn.functional import softplus

from seqlight.heads.base import Head, at_least_float32, normal_scores

SAME_LEVEL = 1e-9
"""Levels that are nearer to each other are one."""


class QuantileHead(Head):
    r"""Quantiles at given levels, trained by the pinball loss; they never cross.

    The network gives the median m and the distance from each quantile to the next one, through a softplus:

    .. math:: q_{0.5} = m, \qquad q_{0.9} = m + \operatorname{softplus}(o_{0.9}), \qquad
        q_{0.1} = m - \operatorname{softplus}(o_{0.1})

    and so on outwards. The alternative, sorting whatever the network says, needs no order either, but its
    outputs change their roles while it trains, and all begin at one point: there the quantiles say nothing of
    the spread until they have parted. Here they begin one spread apart.

    The loss is twice the mean pinball loss over the levels, which approximates the continuous ranked
    probability score, and is the absolute error where 0.5 is the only level.

    It knows no distribution: nothing can be drawn from it, and quantiles at other levels are refused.

    Args:
        levels: rising, each above 0 and below 1; 0.5, which is the point forecast, is one of them.

    Raises:
        ValueError: the levels are not such.

    """

    name = "quantile"

    def __init__(self, levels: Sequence[float]) -> None:
        normal_scores(levels)  # which checks their range
        self.levels: tuple[float, ...] = tuple(float(level) for level in levels)
        if 0.5 not in self.levels:
            wanted = sorted({*self.levels, 0.5})
            raise ValueError(
                f"quantiles: expected 0.5 among them, which is the point forecast, got {list(levels)}; train "
                f"with quantiles={wanted}"
            )
        self._median = self.levels.index(0.5)
        self.parameter_names = tuple(f"quantile {level:g}" for level in self.levels)

    def parameters(self, outputs: Tensor, scale: Tensor | None = None) -> Tensor:
        """Return the quantiles ``[..., Q]``, rising."""
        outputs = at_least_float32(outputs)
        middle = self._median
        median = outputs[..., middle : middle + 1]
        above = median + softplus(outputs[..., middle + 1 :]).cumsum(-1)
        below = median - softplus(outputs[..., :middle]).flip(-1).cumsum(-1).flip(-1)
        return torch.cat([below, median, above], dim=-1)

    def loss(self, parameters: Tensor, target: Tensor) -> Tensor:
        """Return twice the mean pinball loss of every cell."""
        levels = torch.tensor(self.levels, dtype=parameters.dtype, device=parameters.device)
        error = target.unsqueeze(-1) - parameters
        return 2.0 * torch.maximum(levels * error, (levels - 1.0) * error).mean(-1)

    def point(self, parameters: Tensor) -> Tensor:
        """Return the median."""
        return parameters[..., self._median]

    def quantiles(self, parameters: Tensor, levels: Sequence[float]) -> Tensor:
        """Return quantiles that were trained.

        Raises:
            ValueError: one of the levels was not.

        """
        normal_scores(levels)
        places = [self._place(level) for level in levels]
        unknown = [level for level, place in zip(levels, places, strict=True) if place is None]
        if unknown:
            wanted = sorted({*self.levels, *unknown})
            raise ValueError(
                f"quantiles: {', '.join(map(str, unknown))} not trained; head='quantile' knows "
                f"{', '.join(map(str, self.levels))} alone. Train with quantiles={wanted}, or with "
                "head='normal' or 'student_t', which know all"
            )
        return torch.stack([parameters[..., place] for place in places if place is not None], dim=-1)

    def _place(self, level: float) -> int | None:
        """Return the place of a level, however it was rounded: (1 - 0.95) / 2 is 0.025."""
        near = (place for place, known in enumerate(self.levels) if abs(known - level) < SAME_LEVEL)
        return next(near, None)

    def value_at(self, parameters: Tensor, score: Tensor) -> NoReturn:
        """Refuse."""
        raise _no_distribution("nothing can be drawn from it")

    def score_of(self, parameters: Tensor, value: Tensor) -> NoReturn:
        """Refuse."""
        raise _no_distribution("a value has no probability")

    def mean(self, parameters: Tensor) -> NoReturn:
        """Refuse."""
        raise _no_distribution("the mean depends on what lies beyond them")


def _no_distribution(reason: str) -> ValueError:
    return ValueError(
        f"head='quantile' knows quantiles at its levels alone, so that {reason}; train with head='normal' or "
        "'student_t', or with 'poisson' or 'negative_binomial' for counts"
    )
