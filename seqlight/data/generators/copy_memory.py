"""The copy memory task: say again what was said long ago."""

import numpy as np

from seqlight.data.errors import DataError
from seqlight.data.generators.generated import Generated

REMEMBERED = 10
"""Digits to remember."""


class CopyMemory:
    """The copy memory task (Hochreiter and Schmidhuber 1997), as Bai, Kolter and Koltun have it.

    "An empirical evaluation of generic convolutional and recurrent networks for sequence modeling" (2018).

    Inputs are T + 20 = ``context_length`` steps (the paper's longest: 1,020, T = 1,000) of one channel: ten
    digits uniform on 1 to 8, then zeros, and 9 at the last eleven steps, of which the first is the sign to
    begin. The label is a class for every step: 0 but for the last ten, which repeat the ten digits. Saying 0
    up to the sign and then guessing among the eight digits has a cross entropy of 10 ln(8) / (T + 20).
    ``prediction_length`` is not used.
    """

    target_size = 1
    covariate_size = 0
    static_size = 0
    num_classes = 10
    label_size = 0

    def __call__(
        self, n_series: int, context_length: int, prediction_length: int, random: np.random.RandomState
    ) -> Generated:
        """Target [n_series, T + 20, 1] float32, label [n_series, T + 20] int64."""
        if context_length <= 2 * REMEMBERED:
            raise DataError(
                "context_length: the copy memory task has T + 20 steps, expected at least 21, "
                f"got {context_length}"
            )
        digits = random.randint(1, 9, size=(n_series, REMEMBERED))
        inputs = np.zeros((n_series, context_length, 1), np.float32)
        inputs[:, :REMEMBERED, 0] = digits
        inputs[:, -REMEMBERED - 1 :, 0] = 9
        label = np.zeros((n_series, context_length), np.int64)
        label[:, -REMEMBERED:] = digits
        return Generated(inputs, label=label)
