"""Sine waves with the numbers that make them."""

import numpy as np

from seqlight.data.generators.generated import Generated


class ParametricSines:
    """Sine waves, each with its amplitude, frequency and phase: a vector-to-sequence task.

    y(i) = a sin((0.1 + 0.4 f) i + 2 pi p), with i = 0 at the first target and negative before it, and a, f, p
    uniform on [0.5, 1), [0, 1) and [0, 1). ``static`` is the vector (a, f, sin 2 pi p, cos 2 pi p), all that
    there is to know of a wave.
    """

    target_size = 1
    covariate_size = 0
    static_size = 4
    num_classes = 0
    label_size = 0

    def __call__(
        self, n_series: int, context_length: int, prediction_length: int, random: np.random.RandomState
    ) -> Generated:
        """Target [n_series, context_length + prediction_length, 1] and static [n_series, 4], float32."""
        a, f, p = random.rand(3, n_series, 1)
        a = 0.5 + 0.5 * a
        angle = 2 * np.pi * p
        y = a * np.sin((0.1 + 0.4 * f) * np.arange(-context_length, prediction_length) + angle)
        static = np.concatenate([a, f, np.sin(angle), np.cos(angle)], axis=1)
        return Generated(y.astype(np.float32)[:, :, None], static=static.astype(np.float32))
