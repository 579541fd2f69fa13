"""Trend and season taken away, and added back to the forecast."""

from typing import ClassVar, Self

import torch
from torch import Tensor

from seqlight.transforms.base import Transform, WindowState
from seqlight.transforms.decomposition import check_options, decompose, least_squares_slope
from seqlight.transforms.moments import observed_mean
from seqlight.transforms.training_part import TrainingPart

CONTINUATIONS = ("linear", "last")


class Decompose(Transform):
    """Removes trend and seasonal part of each window's past, and their continuation from its future.

    The past is decomposed by :func:`decompose` from nothing but itself, and the network sees and forecasts
    the remainder. Into the future (h = 1, ..., H steps after the past's last step L), with the season m,

        T_(L+h) = T_L + h b,    S_(L+h) = S_(L+h-m),

    where b is the least-squares slope of the trend's last m values (``trend="linear"``), or 0
    (``trend="last"``, for a level that wanders rather than climbs). The inverse adds both to the forecast, so
    it is exact, and quantiles come back as quantiles. A window without any observed cell of a channel takes
    the training part's mean for its trend, and no season.

    Trend and season at a step of the past are those of the whole past, later steps included; the future's
    are not. Strategies that train on the past too (``"recursive"``, ``"every_step"``) so have easier targets
    there than in the future, which makes ``"direct"`` the natural one here; differences look back only.

    A season that grows with the level: ``"log+decompose(12)"``.

    Args:
        target_size: number of target channels C.
        season_length: steps m of a season, at least 2; a window's past needs two seasons.
        method: ``"classical"`` or ``"stl"``, see :func:`decompose`.
        trend: ``"linear"`` or ``"last"``, how the trend goes on.

    Raises:
        ImportError: ``method="stl"`` without statsmodels.
        TypeError: the season is no integer.
        ValueError: a season below 2, or an unknown method or trend.

    """

    window_dependent: ClassVar[bool] = True

    mean: Tensor

    def __init__(
        self, target_size: int, season_length: int, *, method: str = "classical", trend: str = "linear"
    ) -> None:
        super().__init__(target_size)
        check_options(season_length, method)
        if trend not in CONTINUATIONS:
            raise ValueError(f"trend: expected one of {', '.join(map(repr, CONTINUATIONS))}; got {trend!r}")
        self.season_length = season_length
        self.method = method
        self.trend = trend
        self.register_buffer("mean", torch.zeros(target_size))

    @property
    def min_context_length(self) -> int:
        """Two seasons."""
        return 2 * self.season_length

    def fit(self, values: Tensor, observed: Tensor | None = None) -> Self:
        """Keep the mean, which is the trend of a window without any observed cell."""
        return self._take(observed_mean(self._training_values(values, observed), 0)[0])

    def fit_on(self, part: TrainingPart) -> Self:
        """Do as :meth:`fit`."""
        return self._take(part.moments()[1])

    def _take(self, mean: Tensor) -> Self:
        self.mean.copy_(mean.nan_to_num(0.0))
        self.fitted.fill_(True)
        return self

    def transform(self, past: Tensor) -> tuple[Tensor, WindowState]:
        """Return the remainder, and the state: last trend and slope [B, 1, C], last season [B, m, C].

        Raises:
            ValueError: the past is shorter than ``min_context_length``.

        """
        self._check_length(past)
        empty = past.isnan().all(1, keepdim=True)
        known = torch.where(empty, self.mean.to(past.dtype), past)
        parts = decompose(known, self.season_length, method=self.method)
        remainder = torch.where(past.isnan(), torch.nan, parts.remainder)
        if self.trend == "linear":
            slope = least_squares_slope(parts.trend[:, -self.season_length :])
        else:
            slope = torch.zeros_like(parts.trend[:, -1:])
        return remainder, (parts.trend[:, -1:], slope, parts.seasonal[:, -self.season_length :])

    def transform_future(self, future: Tensor, state: WindowState) -> Tensor:
        """Return the future without the continued trend and season."""
        return future - self._continuation(future.shape[-2], state)

    def inverse(self, forecast: Tensor, state: WindowState) -> Tensor:
        """Return the forecast with the continued trend and season added."""
        return forecast + self._continuation(forecast.shape[-2], state)

    def _continuation(self, steps: int, state: WindowState) -> Tensor:
        """Return trend and seasonal part of the ``steps`` after the past, ``[B, steps, C]``."""
        level, slope, season = state
        ahead = torch.arange(steps, device=level.device)
        return (
            level + slope * (ahead + 1).to(level.dtype).reshape(1, -1, 1) + season[:, ahead % season.shape[1]]
        )

    def extra_repr(self) -> str:  # noqa: D102
        return (
            f"{super().extra_repr()}, season_length={self.season_length}, method={self.method!r}, "
            f"trend={self.trend!r}"
        )
