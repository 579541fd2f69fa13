"""Scaling to the range of the training part."""

from typing import Self

import torch
from torch import Tensor

from seqlight.transforms.base import Transform, WindowState
from seqlight.transforms.moments import ROUNDING
from seqlight.transforms.training_part import TrainingPart


class MinMaxScaler(Transform):
    """Maps the training part's smallest value to 0 and its largest to 1; others may fall outside.

    z = (y - min) / (max - min). A constant channel is only shifted (its scale is 1), and one without any
    observed cell is left as it is.

    Args:
        target_size: number of target channels C.
        per_channel: one range per channel; False pools the channels.

    Raises:
        TypeError: ``per_channel`` is no bool.

    """

    minimum: Tensor
    scale: Tensor

    def __init__(self, target_size: int, *, per_channel: bool = True) -> None:
        super().__init__(target_size)
        self.per_channel = self._check_flag("per_channel", per_channel)
        self.register_buffer("minimum", torch.zeros(target_size))
        self.register_buffer("scale", torch.ones(target_size))

    def fit(self, values: Tensor, observed: Tensor | None = None) -> Self:
        """Find the range of the observed cells."""
        return self._take(*_range(self._training_values(values, observed)))

    def fit_on(self, part: TrainingPart) -> Self:
        """Do as :meth:`fit`."""
        ranges = [_range(values.double()) for values in part.parts()]
        low, high = (torch.stack(ends) for ends in zip(*ranges, strict=True))
        return self._take(low.amin(0), high.amax(0))

    def _take(self, low: Tensor, high: Tensor) -> Self:
        if not self.per_channel:
            low, high = low.amin(0, keepdim=True), high.amax(0, keepdim=True)
        spread = high - low
        constant = ~(spread > ROUNDING * torch.maximum(low.abs(), high.abs()))
        self.minimum.copy_(torch.where(low.isfinite(), low, 0.0).expand(self.target_size))
        self.scale.copy_(torch.where(constant, 1.0, spread).expand(self.target_size))
        self.fitted.fill_(True)
        return self

    def transform(self, past: Tensor) -> tuple[Tensor, WindowState]:
        """Return ``(past - min) / (max - min)`` and an empty state."""
        return (past - self.minimum) / self.scale, ()

    def transform_future(self, future: Tensor, state: WindowState) -> Tensor:
        """Return ``(future - min) / (max - min)``."""
        return (future - self.minimum) / self.scale

    def inverse(self, forecast: Tensor, state: WindowState) -> Tensor:
        """Return ``forecast * (max - min) + min``."""
        return forecast * self.scale + self.minimum


def _range(values: Tensor) -> tuple[Tensor, Tensor]:
    """Smallest and largest value [C] of rows [N, C]; infinite where a channel has no observed cell."""
    low = values.nan_to_num(torch.inf, posinf=torch.inf, neginf=-torch.inf).amin(0)
    return low, values.nan_to_num(-torch.inf, posinf=torch.inf, neginf=-torch.inf).amax(0)
