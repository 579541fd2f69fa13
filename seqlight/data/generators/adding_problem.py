"""The adding problem: remember two numbers of a long sequence."""

import numpy as np

from seqlight.data.errors import DataError
from seqlight.data.generators.generated import Generated


class AddingProblem:
    """The adding problem (Hochreiter and Schmidhuber 1997), as Bai, Kolter and Koltun have it.

    "An empirical evaluation of generic convolutional and recurrent networks for sequence modeling" (2018).

    Inputs are T = ``context_length`` steps (the paper's longest: 600) of two channels: numbers uniform on
    [0, 1), and marks, 0 but for 1 at two different steps, drawn uniformly. The label is the sum of the two
    marked numbers. Always saying 1 has a mean squared error of 1/6 = 0.1667, the variance of that sum (the
    paper writes "about 0.1767"). ``prediction_length`` is not used.
    """

    target_size = 2
    covariate_size = 0
    static_size = 0
    num_classes = 0
    label_size = 1

    def __call__(
        self, n_series: int, context_length: int, prediction_length: int, random: np.random.RandomState
    ) -> Generated:
        """Target [n_series, T, 2] and label [n_series, 1], float32."""
        if context_length < 2:
            raise DataError(
                f"context_length: the adding problem needs at least 2 steps to mark, got {context_length}"
            )
        series = np.arange(n_series)
        inputs = np.zeros((n_series, context_length, 2), np.float32)
        inputs[:, :, 0] = random.rand(n_series, context_length)
        first = random.randint(context_length, size=n_series)
        second = (first + random.randint(1, context_length, size=n_series)) % context_length
        inputs[series, first, 1] = inputs[series, second, 1] = 1
        label = inputs[series, first, :1] + inputs[series, second, :1]
        return Generated(inputs, label=label)
