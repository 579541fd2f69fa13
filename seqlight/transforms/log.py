"""The logarithm."""

from typing import Self

import torch
from torch import Tensor

from seqlight.transforms.base import Growth, Transform, WindowState
from seqlight.transforms.domain import check_finite, shifted
from seqlight.transforms.training_part import TrainingPart


class Log(Transform):
    """z = log(y + offset): growth and seasons in proportion to the level become lines and constant seasons.

    The inverse is increasing, so quantiles come back as the same quantiles. A point forecast of squared error
    is a mean, and for errors that are symmetric in z also the median; ``exp`` takes it to the **median** in
    original units, which is below the mean. Where the mean is wanted and the variance of the error in z is
    known, :meth:`inverse_mean` gives it.

    Args:
        target_size: number of target channels C.
        offset: added first; 1 for counts that may be 0.

    Raises:
        TypeError: the offset is no number.
        ValueError: the offset is not finite; and, in use, a value that is not above ``-offset``.

    """

    def __init__(self, target_size: int, offset: float = 0.0) -> None:
        super().__init__(target_size)
        self.offset = check_finite("offset", offset)

    @property
    def inverse_growth(self) -> Growth:
        """Exponential."""
        return Growth.EXPONENTIAL

    def fit(self, values: Tensor, observed: Tensor | None = None) -> Self:
        """Check that the training part's values are above ``-offset``; there is nothing to learn."""
        shifted(self._training_values(values, observed), self.offset, "log")
        self.fitted.fill_(True)
        return self

    def fit_on(self, part: TrainingPart) -> Self:
        """Do as :meth:`fit`."""
        for values in part.parts():
            self.fit(values)
        return self

    def transform(self, past: Tensor) -> tuple[Tensor, WindowState]:
        """Return ``log(past + offset)`` and an empty state."""
        return shifted(past, self.offset, "log").log(), ()

    def transform_future(self, future: Tensor, state: WindowState) -> Tensor:
        """Return ``log(future + offset)``."""
        return shifted(future, self.offset, "log").log()

    def inverse(self, forecast: Tensor, state: WindowState) -> Tensor:
        """Return ``exp(forecast) - offset``: the median, if the forecast is that."""
        return forecast.exp() - self.offset

    def inverse_mean(self, forecast: Tensor, variance: Tensor | float) -> Tensor:
        """Return the mean in original units for errors that are normal in z: ``exp(z + v / 2) - offset``.

        Args:
            forecast: mean z ``[..., H, C]`` in transformed space.
            variance: variance v of the error there, such as the mean squared error on validation windows; a
                number or a tensor that broadcasts.

        """
        return (forecast + torch.as_tensor(variance).to(forecast) / 2).exp() - self.offset

    def extra_repr(self) -> str:  # noqa: D102
        return f"{super().extra_repr()}, offset={self.offset:g}"
