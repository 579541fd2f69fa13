"""What a generator of synthetic series is, and what it gives."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Generated:
    """Drawn series.

    Attributes:
        target: [N, T, C] float32.
        covariates: [N, T, K] float32 known at every step, or None.
    """

    target: NDArray[np.float32]
    covariates: NDArray[np.float32] | None = None


class SeriesGenerator(Protocol):
    """Draws series of inputs followed by targets; its sizes are known before anything is drawn."""

    @property
    def target_size(self) -> int:
        """C, channels of the target."""

    @property
    def covariate_size(self) -> int:
        """K, known covariates."""

    def __call__(
        self, n_series: int, context_length: int, prediction_length: int, random: np.random.RandomState
    ) -> Generated:
        """Draw ``n_series`` series of context_length + prediction_length = T steps from ``random``."""
