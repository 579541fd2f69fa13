"""Splitting each series by time into training, validation and test targets."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seqlight.data.errors import DataError

Int64Array = NDArray[np.int64]


@dataclass(frozen=True)
class TimeSplit:
    """Where the parts of each series end, as positions on its grid.

    Targets of training lie in [0, train_stop), of validation in [train_stop, val_stop), of the test in
    [val_stop, length); inputs may reach back into the part before. No cell is a target of two parts.
    """

    train_stop: Int64Array
    val_stop: Int64Array
    length: Int64Array


def check_size(name: str, size: int | float, prediction_length: int) -> None:
    """Raise DataError unless ``size`` is a fraction in [0, 1) or a count of 0 or of at least one horizon."""
    if isinstance(size, bool) or not isinstance(size, int | float):
        raise DataError(f"{name}: expected a fraction of time or a number of time steps, got {size!r}")
    if isinstance(size, float) and not 0 <= size < 1:
        raise DataError(f"{name}: expected a fraction in [0, 1) or a whole number of time steps, got {size}")
    if isinstance(size, int) and size != 0 and size < prediction_length:
        raise DataError(
            f"{name}: expected 0 or at least prediction_length = {prediction_length} time steps, got {size}"
        )


def split_by_time(
    lengths: Int64Array,
    *,
    val_size: int | float,
    test_size: int | float,
    context_length: int,
    prediction_length: int,
) -> TimeSplit:
    """Split each series on its own grid: the last steps are the test, those before them validation.

    A count is taken as it is. A fraction is of the series' own length, but at least one horizon if it is
    not 0, and less than asked where training would otherwise not have one whole window. A series without
    room for all parts, each of at least one window with one step of past, has no validation and no test: it
    is all for training.
    """
    least_test = _least(test_size, prediction_length)
    least_val = _least(val_size, prediction_length)
    window = context_length + prediction_length
    test = _steps(lengths, test_size, least_test, lengths - window - least_val)
    val = _steps(lengths, val_size, least_val, lengths - window - test)
    whole = lengths - test - val >= 1 + prediction_length
    return TimeSplit(
        np.where(whole, lengths - test - val, lengths), np.where(whole, lengths - test, lengths), lengths
    )


def training_rows(indptr: Int64Array, train_stop: Int64Array) -> NDArray[np.bool_]:
    """Return which rows of a store lie before ``train_stop`` [S] of their series, [rows]."""
    changes = np.zeros(int(indptr[-1]) + 1, np.int8)
    np.add.at(changes, indptr[:-1], 1)
    np.subtract.at(changes, indptr[:-1] + train_stop, 1)
    return np.cumsum(changes[:-1], dtype=np.int8).view(np.bool_)


def shortest_length(
    *, val_size: int | float, test_size: int | float, context_length: int, prediction_length: int
) -> int:
    """Length of the shortest series with at least one window of ``context_length`` in each wanted part."""
    return (
        context_length
        + prediction_length
        + _least(val_size, prediction_length)
        + _least(test_size, prediction_length)
    )


def _least(size: int | float, prediction_length: int) -> int:
    return size if isinstance(size, int) else prediction_length * (size > 0)


def _steps(lengths: Int64Array, size: int | float, least: int, most: Int64Array) -> Int64Array:
    if isinstance(size, int):
        return np.full_like(lengths, size)
    return np.maximum(np.minimum(np.rint(lengths * size).astype(np.int64), most), least)
