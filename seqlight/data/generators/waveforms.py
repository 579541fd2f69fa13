"""Periodic waves of four shapes, to be told apart."""

import numpy as np

from seqlight.data.generators.generated import Generated


class Waveforms:
    """Sine, square, triangle and sawtooth waves (classes 0 to 3) with noise: a sequence-to-vector task.

    Of each series the shape, the number of periods (2 to 6 over the inputs), the phase (0 to 1 period) and
    the amplitude (0.5 to 1) are uniform. With x the phase at a step, in periods, in [0, 1), the shapes are
    sin(2 pi x); 1 while x < 1/2 and else -1; 4 |x - 1/2| - 1; and 2 x - 1. The noise is normal with deviation
    0.1. ``prediction_length`` is not used.
    """

    target_size = 1
    covariate_size = 0
    static_size = 0
    num_classes = 4
    label_size = 0

    def __call__(
        self, n_series: int, context_length: int, prediction_length: int, random: np.random.RandomState
    ) -> Generated:
        """Target [n_series, context_length, 1] float32, label [n_series] int64."""
        label = random.randint(4, size=n_series)
        periods, phase, amplitude = random.rand(3, n_series, 1)
        x = (2 + 4 * periods) * np.arange(context_length) / context_length + phase
        x -= np.floor(x)
        shapes = np.stack(
            [np.sin(2 * np.pi * x), np.where(x < 0.5, 1.0, -1.0), 4 * np.abs(x - 0.5) - 1, 2 * x - 1]
        )
        y = (0.5 + 0.5 * amplitude) * shapes[label, np.arange(n_series)]
        y += 0.1 * random.standard_normal(y.shape)
        return Generated(y.astype(np.float32)[:, :, None], label=label.astype(np.int64))
