"""The denominator of the mean absolute scaled error (MASE), per series and channel."""

import numpy as np
from numpy.typing import NDArray


def seasonal_scale(
    values: NDArray[np.float32],
    indptr: NDArray[np.int64],
    train_stop: NDArray[np.int64],
    season_length: int,
) -> NDArray[np.float32]:
    """In-sample mean absolute error of the seasonal naive forecast (Hyndman and Koehler 2006).

    With m = ``season_length``, over the training part of series s::

        scale[s, c] = mean over t of |y[t, c] - y[t - m, c]|

    Pairs with a missing (NaN) cell are left out. A series whose training part has no such pair
    (it is no longer than a season) takes m = 1 instead. Where that has no pair either, and where the mean
    is 0 (a constant series), the scale is undefined and comes back as NaN; the metric leaves it out.

    Args:
        values: [rows, C], the series one after the other.
        indptr: [S + 1], series s is ``values[indptr[s]:indptr[s + 1]]``.
        train_stop: [S], length of the training part, which is at each series' beginning.
        season_length: m, at least 1.

    Returns:
        [S, C] float32.
    """
    scale = _mean_absolute_difference(values, indptr, train_stop, season_length)
    if season_length > 1 and np.isnan(scale).any():
        scale = np.where(np.isnan(scale), _mean_absolute_difference(values, indptr, train_stop, 1), scale)
    return np.where(scale > 0, scale, np.nan).astype(np.float32)


def _mean_absolute_difference(
    values: NDArray[np.float32], indptr: NDArray[np.int64], train_stop: NDArray[np.int64], lag: int
) -> NDArray[np.float64]:
    n_series, channels = len(indptr) - 1, values.shape[1]
    lengths = np.diff(indptr)
    total = np.zeros((n_series, channels))
    count = np.zeros((n_series, channels))
    if len(values) <= lag or n_series == 0:
        return np.full((n_series, channels), np.nan)
    # Position in the series of each difference's earlier row; it counts while its partner is still training.
    earlier = np.arange(len(values) - lag) - np.repeat(indptr[:-1], lengths)[: len(values) - lag]
    in_train = earlier + lag < np.repeat(train_stop, lengths)[: len(values) - lag]
    filled = lengths > 0
    for channel in range(channels):
        column = values[:, channel]
        difference = np.zeros(len(values), np.float32)
        np.abs(column[lag:] - column[:-lag], out=difference[:-lag])
        valid = np.zeros(len(values), np.bool_)
        valid[:-lag] = in_train & ~np.isnan(difference[:-lag])
        difference[~valid] = 0
        starts = indptr[:-1][filled]
        total[filled, channel] = np.add.reduceat(difference, starts, dtype=np.float64)
        count[filled, channel] = np.add.reduceat(valid, starts, dtype=np.int64)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(total / count)
