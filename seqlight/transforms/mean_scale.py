"""Division by the mean of a window's own past."""

from typing import ClassVar, Self

import torch
from torch import Tensor

from seqlight.transforms.base import Transform, WindowState
from seqlight.transforms.moments import observed_mean
from seqlight.transforms.training_part import TrainingPart, mean_of


class MeanScaler(Transform):
    """Divides every window by the mean of the absolute values of its own observed past.

    Nothing is subtracted: 0 stays 0, and a count stays a multiple of a known number, which is what forecasts
    of counts need (Salinas et al. 2020, "DeepAR: Probabilistic forecasting with autoregressive recurrent
    networks", whose scale it is but for their addition of 1).

    A window whose past is 0 throughout, or without any observed cell, takes the mean of the training part;
    before :meth:`fit`, and where that is 0, 1.

    Args:
        target_size: number of target channels C.

    """

    window_dependent: ClassVar[bool] = True
    scales_only: ClassVar[bool] = True

    scale: Tensor

    def __init__(self, target_size: int) -> None:
        super().__init__(target_size)
        self.register_buffer("scale", torch.ones(target_size))

    def fit(self, values: Tensor, observed: Tensor | None = None) -> Self:
        """Compute, in float64, the mean that windows without their own fall back to."""
        return self._take(observed_mean(self._training_values(values, observed).abs(), 0)[0])

    def fit_on(self, part: TrainingPart) -> Self:
        """Do as :meth:`fit`."""
        return self._take(mean_of(values.abs() for values in part.parts()))

    def _take(self, mean: Tensor) -> Self:
        self.scale.copy_(torch.where(mean > 0, mean, 1.0))
        self.fitted.fill_(True)
        return self

    def transform(self, past: Tensor) -> tuple[Tensor, WindowState]:
        """Return ``past / scale`` and the state (scale,), ``[B, 1, C]``."""
        mean = observed_mean(past.abs(), 1)
        # Written so that NaN (no observed cell) takes the fallback too.
        scale = torch.where(mean > 0, mean, self.scale)
        return past / scale, (scale,)

    def transform_future(self, future: Tensor, state: WindowState) -> Tensor:
        """Return ``future / scale`` with the past's scale."""
        return future / state[0]

    def inverse(self, forecast: Tensor, state: WindowState) -> Tensor:
        """Return ``forecast * scale`` with the past's scale."""
        return forecast * state[0]
