"""Reversible normalisation of each window by its own past."""

from typing import Any, ClassVar, Self

import torch
from torch import Tensor

from seqlight.transforms.base import Transform, WindowState
from seqlight.transforms.moments import ROUNDING, beyond_rounding, observed_deviation, observed_mean
from seqlight.transforms.training_part import TrainingPart

MOST_VALUES = 1_000_000  # that a quartile is taken of
LARGE_SAMPLE = 100_000  # likewise, of a training part that is not held: most of its pages stay unread


class InstanceNormalizer(Transform):
    """Normalises every window by the mean and deviation of its own observed past.

    Reversible instance normalisation (Kim et al. 2022, "Reversible Instance Normalization for Accurate
    Time-Series Forecasting against Distribution Shift") without its learned affine part: a forecaster so
    becomes equivariant to the level and the scale of a series, and works for series it never saw.

    A window whose past is constant says nothing of its scale: it takes the deviation of the training part
    instead (so that a later change is not divided by almost zero), but no more than its own level or the
    lower quartile of the training part's values other than 0, whichever is larger: where series of all sizes
    are together, their deviation is that of the largest. A window without any observed cell takes the
    training part's mean and deviation. Before :meth:`fit` mean and deviation are 0 and 1.

    Args:
        target_size: number of target channels C.

    """

    window_dependent: ClassVar[bool] = True

    mean: Tensor
    scale: Tensor
    smaller: Tensor

    def __init__(self, target_size: int) -> None:
        super().__init__(target_size)
        self.register_buffer("mean", torch.zeros(target_size))
        self.register_buffer("scale", torch.ones(target_size))
        self.register_buffer("smaller", torch.ones(target_size))

    def fit(self, values: Tensor, observed: Tensor | None = None) -> Self:
        """Compute, in float64, the mean and deviation that windows without their own fall back to."""
        values = self._training_values(values, observed)
        mean = observed_mean(values, 0)
        sample = values[:: max(1, len(values) // MOST_VALUES)]
        return self._take(mean[0], observed_deviation(values, mean, 0)[0], sample)

    def fit_on(self, part: TrainingPart) -> Self:
        """Do as :meth:`fit`, by the moments of the training part and a sample of it."""
        _, mean, deviation = part.moments()
        return self._take(mean, beyond_rounding(deviation, mean), part.sample(LARGE_SAMPLE))

    def _take(self, mean: Tensor, deviation: Tensor, sample: Tensor) -> Self:
        self.mean.copy_(mean.nan_to_num(0.0))
        self.scale.copy_(torch.where(deviation > 0, deviation, 1.0))
        for channel, column in enumerate(sample.T):
            some = column.abs()
            some = some[some > 0]  # nor NaN
            lower = some.quantile(0.25) if len(some) else self.scale[channel]
            self.smaller[channel] = torch.minimum(lower.to(self.scale), self.scale[channel])
        self.fitted.fill_(True)
        return self

    def transform(self, past: Tensor) -> tuple[Tensor, WindowState]:
        """Return the normalised past and the state (mean, scale), each ``[B, 1, C]``."""
        mean = observed_mean(past, 1)
        deviation = observed_deviation(past, mean, 1)
        level = torch.maximum(mean.abs(), self.smaller)
        # Written so that NaN (no observed cell) takes the training part's.
        instead = torch.where(level < self.scale, level, self.scale)
        mean = torch.where(mean.isnan(), self.mean, mean)
        scale = torch.where(deviation > ROUNDING * instead, deviation, instead)
        return (past - mean) / scale, (mean, scale)

    def transform_future(self, future: Tensor, state: WindowState) -> Tensor:
        """Return ``(future - mean) / scale`` with the past's mean and scale."""
        mean, scale = state
        return (future - mean) / scale

    def inverse(self, forecast: Tensor, state: WindowState) -> Tensor:
        """Return ``forecast * scale + mean`` with the past's mean and scale."""
        mean, scale = state
        return forecast * scale + mean

    def _load_from_state_dict(self, state_dict: dict[str, Tensor], prefix: str, *args: Any) -> None:
        """Take a checkpoint of before 0.2, which knew one deviation only."""
        state_dict.setdefault(f"{prefix}smaller", state_dict.get(f"{prefix}scale", self.scale))
        super()._load_from_state_dict(state_dict, prefix, *args)
