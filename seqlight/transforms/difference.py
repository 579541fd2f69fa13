"""Differencing at one or several lags."""

import math
from collections.abc import Sequence
from typing import ClassVar, Self

import torch
from torch import Tensor
from torch.nn import functional as F

from seqlight.transforms.base import Transform, WindowState
from seqlight.transforms.missing import fill_seasonal
from seqlight.transforms.moments import observed_mean
from seqlight.transforms.training_part import TrainingPart


class Difference(Transform):
    """Differences at the given lags, one after the other: removes trend (lag 1) and season (its length).

    With the lags l_1, ..., l_k and the backshift operator B (B y_t = y_(t-1)), the result is

        z_t = (1 - B^(l_1)) ... (1 - B^(l_k)) y_t,    for one lag    z_t = y_t - y_(t-l).

    The first ``sum(lags)`` steps of a window have no difference, nor has a step one of whose terms is
    missing: they are NaN, that is, missing, and the loss leaves them out. The inverse starts from the
    window's own last ``sum(lags)`` steps and adds up, y_t = z_t + y_(t-l), lag by lag in reverse.

    A missing cell among those last steps is filled first: by the last value whole seasons (the largest lag)
    before it, else by the last value before it, else the next, else the training part's mean.
    :meth:`transform_future` uses the same filled cells, so that it is inverted exactly all the same. A
    missing cell of the future makes every difference that needs it missing.

    Quantiles come back without bias up to ``min(lags)`` steps ahead: each step then adds a known value.
    Beyond, a step is the sum of several differences, and their quantiles do not say what the sum's are: take
    sample paths through :meth:`inverse` and quantiles of the result, see :meth:`keeps_quantiles`.

    Differences are small where the values are large: ``"difference(1, 24)+standard"`` scales them too.

    Args:
        target_size: number of target channels C.
        lags: the lag, or the lags, in steps.

    Raises:
        TypeError: a lag is no integer.
        ValueError: there is no lag, or one is below 1.

    """

    window_dependent: ClassVar[bool] = True

    mean: Tensor

    def __init__(self, target_size: int, lags: int | Sequence[int] = 1) -> None:
        super().__init__(target_size)
        lags = (lags,) if isinstance(lags, int) else tuple(lags)
        if not lags:
            raise ValueError(
                "lags: expected at least one, got none; 1 removes a trend, a season's length that"
            )
        for lag in lags:
            if isinstance(lag, bool) or not isinstance(lag, int):
                raise TypeError(f"lags: expected integers, got {lag!r} ({type(lag).__name__})")
            if lag < 1:
                raise ValueError(f"lags: expected at least 1 step, got {lag}")
        self.lags: tuple[int, ...] = lags
        self.register_buffer("mean", torch.zeros(target_size))

    @classmethod
    def at_lags(cls, target_size: int, *lags: int) -> Self:
        """Make one from lags one by one, as ``"difference(1, 24)"`` writes them; none means lag 1."""
        return cls(target_size, lags or 1)

    @property
    def min_context_length(self) -> int:
        """``sum(lags) + 1``: so many that the past has at least one difference."""
        return sum(self.lags) + 1

    def keeps_quantiles(self, prediction_length: int) -> bool:
        """Say whether no step ahead is the sum of several differences: ``prediction_length <= min(lags)``."""
        return prediction_length <= min(self.lags)

    def fit(self, values: Tensor, observed: Tensor | None = None) -> Self:
        """Keep the mean, from which a window without any observed cell is continued."""
        return self._take(observed_mean(self._training_values(values, observed), 0)[0])

    def fit_on(self, part: TrainingPart) -> Self:
        """Do as :meth:`fit`."""
        return self._take(part.moments()[1])

    def _take(self, mean: Tensor) -> Self:
        self.mean.copy_(mean.nan_to_num(0.0))
        self.fitted.fill_(True)
        return self

    def transform(self, past: Tensor) -> tuple[Tensor, WindowState]:
        """Return the differences and, for each lag, the ``[B, lag, C]`` values that the future goes on from.

        Raises:
            ValueError: the past is shorter than ``min_context_length``.

        """
        self._check_length(past)
        filled = fill_seasonal(past, max(self.lags), sum(self.lags))
        filled = torch.where(filled.isnan(), self.mean.to(filled.dtype), filled)
        starts = []
        for lag in self.lags:
            starts.append(filled[:, -lag:])
            filled = filled[:, lag:] - filled[:, :-lag]
            past = past[:, lag:] - past[:, :-lag]
        return F.pad(past, (0, 0, sum(self.lags), 0), value=math.nan), tuple(starts)

    def transform_future(self, future: Tensor, state: WindowState) -> Tensor:
        """Return the differences that continue those of the past."""
        for lag, start in zip(self.lags, state, strict=True):
            series = torch.cat([start, future], dim=1)
            future = series[:, lag:] - series[:, :-lag]
        return future

    def inverse(self, forecast: Tensor, state: WindowState) -> Tensor:
        """Return the sums over the differences, on top of the past's last values."""
        steps = forecast.shape[-2]
        for lag, start in zip(reversed(self.lags), reversed(state), strict=True):
            blocks = F.pad(forecast, (0, 0, 0, -steps % lag)).unflatten(-2, (-1, lag))
            values = blocks.cumsum(-3) + start.unsqueeze(-3)
            forecast = values.flatten(-3, -2)[..., :steps, :]
        return forecast

    def extra_repr(self) -> str:  # noqa: D102
        return f"{super().extra_repr()}, lags={self.lags}"
