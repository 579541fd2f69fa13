"""What evaluation, backtests, intervals and writers ask of whatever forecasts, and what they get."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from torch import Tensor

__all__ = ["Batch", "Forecast", "Predictor"]

Batch = Mapping[str, Tensor]


@dataclass(frozen=True)
class Forecast:
    """Forecasts of B windows, H steps and C channels, in original units.

    NaN stands for a channel of a window whose past has no observed cell, in all that is here.

    Args:
        point: ``[B, H, C]``; the median where there is a distribution.
        quantiles: ``[B, H, C, Q]``, those of each cell by itself, rising along the last dimension; None where
            the predictor says nothing of its errors.
        quantile_levels: the Q probabilities, each above 0 and below 1, rising.
        samples: ``[N, B, H, C]``, N paths that keep the dependence between the steps and, where the
            predictor says so, between channels; None unless asked for.

    Raises:
        ValueError: the shapes or the levels do not fit together.

    """

    point: Tensor
    quantiles: Tensor | None = None
    quantile_levels: tuple[float, ...] = ()
    samples: Tensor | None = None

    def __post_init__(self) -> None:
        levels = self.quantile_levels
        if any(not 0.0 < level < 1.0 for level in levels) or list(levels) != sorted(set(levels)):
            raise ValueError(f"quantile_levels: expected rising numbers between 0 and 1, got {levels}")
        expected = (*self.point.shape, len(levels))
        found = (*self.point.shape, 0) if self.quantiles is None else tuple(self.quantiles.shape)
        if found != expected:
            raise ValueError(f"quantiles: expected [B, H, C, Q] = {list(expected)}, got {list(found)}")
        if self.samples is not None and self.samples.shape[1:] != self.point.shape:
            raise ValueError(
                f"samples: expected [N, B, H, C] with {list(self.point.shape)} after N, got "
                f"{list(self.samples.shape)}"
            )


@runtime_checkable
class Predictor(Protocol):
    """Anything that forecasts windows: forecasters, baselines, ensembles, adapters of other libraries.

    Attributes:
        context_length: number L of past steps it is given.
        prediction_length: number H of steps that it forecasts.
        target_size: number C of channels.
        hparams: the plain values that it was made with, by name.

    """

    context_length: int
    prediction_length: int
    target_size: int

    @property
    def hparams(self) -> Mapping[str, Any]:
        """Return the plain values that it was made with, by name."""

    def predict(self, batch: Batch, *, quantile_levels: Sequence[float] = (), samples: int = 0) -> Forecast:
        """Forecast the windows of a batch, in evaluation mode and without gradients.

        Args:
            batch: a batch in the words of the package, see ``docs/architecture.md``; in original units,
                on any device.
            quantile_levels: the quantiles that are wanted; a predictor without a distribution gives none.
            samples: number of paths that are wanted.

        Returns:
            The forecast, on the batch's device.

        Raises:
            ValueError: the batch is not what the predictor was made for, or what is wanted cannot be had.

        """
