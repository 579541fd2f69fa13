"""Sums of two sine waves and noise."""

import numpy as np

from seqlight.data.generators.generated import Generated


class SineWaves:
    """Two sine waves of random frequency and offset, and uniform noise, on a time grid from 0 to 1.

    y(t) = 0.5 sin((t - o1)(10 f1 + 10)) + 0.2 sin((t - o2)(20 f2 + 20)) + 0.1 (u - 0.5), with f1, f2, o1, o2
    uniform on [0, 1) per series and u per point. They are drawn in the order f1, f2, o1, o2 (all series of
    each), u; from ``RandomState(42)`` this is the series of chapter 15 of Geron, "Hands-On Machine Learning"
    (2nd ed.), to the last bit.
    """

    target_size = 1
    covariate_size = 0
    static_size = 0
    num_classes = 0
    label_size = 0

    def __call__(
        self, n_series: int, context_length: int, prediction_length: int, random: np.random.RandomState
    ) -> Generated:
        """[n_series, context_length + prediction_length, 1] float32."""
        steps = context_length + prediction_length
        f1, f2, o1, o2 = random.rand(4, n_series, 1)
        t = np.linspace(0, 1, steps)
        # The order of the additions is part of the promise: float64 sums depend on it.
        y = 0.5 * np.sin((t - o1) * (f1 * 10 + 10))
        y += 0.2 * np.sin((t - o2) * (f2 * 20 + 20))
        y += 0.1 * (random.rand(n_series, steps) - 0.5)
        return Generated(y.astype(np.float32)[:, :, None])
