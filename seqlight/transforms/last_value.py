"""Windows taken relative to their last known value."""

from typing import ClassVar, Self

import torch
from torch import Tensor

from seqlight.transforms.base import Transform, WindowState
from seqlight.transforms.training_part import TrainingPart


class LastValue(Transform):
    """Subtracts each window's last observed value, channel by channel.

    What is left of the level of a window is where it ended, which is the naive forecast: a network whose
    output is 0 repeats it (Zeng et al., "Are transformers effective for time series forecasting?", 2023, call
    it NLinear). The scale stays; ``"standard + last"`` has that of the training part. A channel without any
    observed cell is left as it is.

    Args:
        target_size: number of target channels C.

    """

    window_dependent: ClassVar[bool] = True

    def fit(self, values: Tensor, observed: Tensor | None = None) -> Self:
        """Check the values; there is nothing to learn from them."""
        self._training_values(values, observed)
        self.fitted.fill_(True)
        return self

    def fit_on(self, part: TrainingPart) -> Self:
        """Do as :meth:`fit`."""
        return self.fit(part.sample(1))

    def transform(self, past: Tensor) -> tuple[Tensor, WindowState]:
        """Return the past less its last observed value, and the state (value,) ``[B, 1, C]``."""
        steps = torch.arange(past.shape[1], device=past.device).unsqueeze(1)
        latest = torch.where(past.isnan(), -1, steps).amax(1, keepdim=True)
        last = past.gather(1, latest.clamp(min=0)).nan_to_num(0.0)
        return past - last, (last,)

    def transform_future(self, future: Tensor, state: WindowState) -> Tensor:
        """Return the future less the past's last value."""
        (last,) = state
        return future - last

    def inverse(self, forecast: Tensor, state: WindowState) -> Tensor:
        """Return the forecast with the past's last value added."""
        (last,) = state
        return forecast + last
