"""The transform that changes nothing."""

from typing import ClassVar, Self

from torch import Tensor

from seqlight.transforms.base import Transform, WindowState
from seqlight.transforms.training_part import TrainingPart


class Identity(Transform):
    """Leaves values as they are, for data that is already on a scale of about one."""

    scales_only: ClassVar[bool] = True

    def fit(self, values: Tensor, observed: Tensor | None = None) -> Self:
        """Check the shapes and learn nothing."""
        self._training_values(values, observed)
        self.fitted.fill_(True)
        return self

    def fit_on(self, part: TrainingPart) -> Self:
        """Do as :meth:`fit`."""
        return self.fit(part.sample(1))

    def transform(self, past: Tensor) -> tuple[Tensor, WindowState]:
        """Return the past itself and an empty state."""
        return past, ()

    def transform_future(self, future: Tensor, state: WindowState) -> Tensor:
        """Return the future itself."""
        return future

    def inverse(self, forecast: Tensor, state: WindowState) -> Tensor:
        """Return the forecast itself."""
        return forecast
