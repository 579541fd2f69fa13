"""Standard scaling with the training part's mean and deviation."""

from typing import Self

import torch
from torch import Tensor

from seqlight.transforms.base import Transform, WindowState
from seqlight.transforms.moments import beyond_rounding, observed_deviation, observed_mean
from seqlight.transforms.training_part import Moments, TrainingPart


class StandardScaler(Transform):
    """Subtracts the training part's mean and divides by its population standard deviation.

    One pair for all series; where their levels differ much, or drift after the training part,
    :class:`InstanceNormalizer` is the better choice. A constant channel is only shifted (its scale is 1), as
    is one without any observed cell (its mean is 0).

    Args:
        target_size: number of target channels C.
        per_channel: one mean and scale per channel; False pools the channels.

    Raises:
        TypeError: ``per_channel`` is no bool.

    """

    mean: Tensor
    scale: Tensor

    def __init__(self, target_size: int, *, per_channel: bool = True) -> None:
        super().__init__(target_size)
        self.per_channel = self._check_flag("per_channel", per_channel)
        self.register_buffer("mean", torch.zeros(target_size))
        self.register_buffer("scale", torch.ones(target_size))

    def fit(self, values: Tensor, observed: Tensor | None = None) -> Self:
        """Compute mean and deviation, in float64, over the observed cells."""
        values = self._training_values(values, observed)
        if not self.per_channel:
            values = values.reshape(-1, 1)
        mean = observed_mean(values, 0)
        return self._take(mean[0], observed_deviation(values, mean, 0)[0])

    def fit_on(self, part: TrainingPart) -> Self:
        """Do as :meth:`fit`, by the moments of the training part."""
        moments = Moments(*part.moments())
        if not self.per_channel:
            moments = moments.pooled()
        return self._take(moments.mean, beyond_rounding(moments.deviation, moments.mean))

    def _take(self, mean: Tensor, deviation: Tensor) -> Self:
        self.mean.copy_(mean.nan_to_num(0.0).expand(self.target_size))
        self.scale.copy_(torch.where(deviation > 0, deviation, 1.0).expand(self.target_size))
        self.fitted.fill_(True)
        return self

    def transform(self, past: Tensor) -> tuple[Tensor, WindowState]:
        """Return ``(past - mean) / scale`` and an empty state."""
        return (past - self.mean) / self.scale, ()

    def transform_future(self, future: Tensor, state: WindowState) -> Tensor:
        """Return ``(future - mean) / scale``."""
        return (future - self.mean) / self.scale

    def inverse(self, forecast: Tensor, state: WindowState) -> Tensor:
        """Return ``forecast * scale + mean``."""
        return forecast * self.scale + self.mean
