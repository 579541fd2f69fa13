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
        static: [N, S] float32, numbers of each series, or None.
        label: what is to be said of each series, or None: [N] or [N, T] int64 classes (of the series, or of
            each step), or [N, O] float32 numbers.
    """

    target: NDArray[np.float32]
    covariates: NDArray[np.float32] | None = None
    static: NDArray[np.float32] | None = None
    label: NDArray[np.int64] | NDArray[np.float32] | None = None


class SeriesGenerator(Protocol):
    """Draws series of inputs followed by targets; its sizes are known before anything is drawn.

    A generator with labels (``num_classes`` or ``label_size`` above 0) draws inputs alone, and a label for
    each series.
    """

    @property
    def target_size(self) -> int:
        """C, channels of the target."""

    @property
    def covariate_size(self) -> int:
        """K, known covariates."""

    @property
    def static_size(self) -> int:
        """S, numbers of each series."""

    @property
    def num_classes(self) -> int:
        """Classes of the labels; 0 where labels are no classes."""

    @property
    def label_size(self) -> int:
        """O, numbers of a series' label; 0 where labels are no numbers."""

    def __call__(
        self, n_series: int, context_length: int, prediction_length: int, random: np.random.RandomState
    ) -> Generated:
        """Draw ``n_series`` series from ``random``.

        They have T = context_length + prediction_length steps; T = context_length with labels.
        """
