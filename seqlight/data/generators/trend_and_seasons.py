"""A linear trend and sinusoidal seasons to add to drawn series."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def trend_and_seasons(
    n_series: int,
    n_steps: int,
    random: np.random.RandomState,
    *,
    trend: float = 0.0,
    seasons: Sequence[int] = (),
    season_amplitude: float = 1.0,
) -> NDArray[np.float32]:
    """Draw one trend and one wave per season and series.

    y(t) = s t + sum over periods p of a_p sin(2 pi (i / p + phi_p)), with t from 0 to 1 over the steps
    i = 0..n_steps - 1, the slope s uniform on [-trend, trend], the amplitude a_p on
    [season_amplitude / 2, season_amplitude] and the phase phi_p on [0, 1).

    Returns:
        [n_series, n_steps, 1] float32.
    """
    y = trend * (2 * random.rand(n_series, 1) - 1) * np.linspace(0, 1, n_steps)
    steps = np.arange(n_steps)
    for period in seasons:
        amplitude = season_amplitude * (0.5 + 0.5 * random.rand(n_series, 1))
        y += amplitude * np.sin(2 * np.pi * (steps / period + random.rand(n_series, 1)))
    return np.asarray(y, np.float32)[:, :, None]
