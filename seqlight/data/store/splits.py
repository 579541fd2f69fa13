"""Splitting each series by time into training, validation, calibration and test targets, or at cutoffs."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seqlight.data.errors import DataError

Int64Array = NDArray[np.int64]


@dataclass(frozen=True)
class TimeSplit:
    """Where the parts of each series end, as positions [S] on its grid.

    Targets of training lie in [0, train_stop), of validation in [train_stop, val_stop), of calibration in
    [val_stop, calibration_stop), of the test in [calibration_stop, length); inputs may reach back into the
    parts before. No cell is a target of two parts.

    Each part has one use: models are trained on the first; early stopping, choices and weights go by
    validation; intervals by calibration; the test is for the table of errors alone.
    """

    train_stop: Int64Array
    val_stop: Int64Array
    calibration_stop: Int64Array
    length: Int64Array

    def targets(self, part: str) -> tuple[Int64Array, Int64Array]:
        """Begin and end [S] of the targets of "train", "val", "calibration" or "test"."""
        return {
            "train": (np.zeros_like(self.train_stop), self.train_stop),
            "val": (self.train_stop, self.val_stop),
            "calibration": (self.val_stop, self.calibration_stop),
            "test": (self.calibration_stop, self.length),
        }[part]


@dataclass(frozen=True)
class Splitter:
    """Splits each series on its own grid, by time: training, validation, calibration, test.

    A count is taken as it is. A fraction is of the series' own length, but at least one horizon if it is
    not 0, and less than asked where training would otherwise not have one whole window. A series without
    room for all parts, each of at least one window with one step of past, is all for training.

    Args:
        context_length: input steps of a window.
        prediction_length: target steps of a window, the horizon.
        val_size: validation part of each series: a fraction (float) or a number of time steps (int).
        calibration_size: calibration part, likewise.
        test_size: test part, likewise.

    Raises:
        DataError: a size is no fraction in [0, 1), and no count of 0 or at least one horizon.
    """

    context_length: int
    prediction_length: int
    val_size: int | float = 0.1
    calibration_size: int | float = 0.0
    test_size: int | float = 0.2

    def __post_init__(self) -> None:
        for name in ("val_size", "calibration_size", "test_size"):
            check_size(name, getattr(self, name), self.prediction_length)

    def split(self, lengths: Int64Array) -> TimeSplit:
        """Return where the parts of series of these lengths [S] end."""
        sizes = (self.val_size, self.calibration_size, self.test_size)
        least = [_least(size, self.prediction_length) for size in sizes]
        room = lengths - self.context_length - self.prediction_length
        test = _steps(lengths, self.test_size, least[2], room - least[0] - least[1])
        calibration = _steps(lengths, self.calibration_size, least[1], room - least[0] - test)
        val = _steps(lengths, self.val_size, least[0], room - calibration - test)
        whole = lengths - val - calibration - test >= 1 + self.prediction_length
        stops = [lengths - val - calibration - test, lengths - calibration - test, lengths - test]
        train_stop, val_stop, calibration_stop = (np.where(whole, stop, lengths) for stop in stops)
        return TimeSplit(train_stop, val_stop, calibration_stop, lengths)

    def shortest(self, context_length: int | None = None) -> int:
        """Length of the shortest series with a window in each wanted part.

        Args:
            context_length: known steps that the first window of training is to have; None for all.
        """
        sizes = (self.val_size, self.calibration_size, self.test_size)
        return (
            (self.context_length if context_length is None else context_length)
            + self.prediction_length
            + sum(_least(size, self.prediction_length) for size in sizes)
        )

    def cutoffs(self, lengths: Int64Array, *, windows: int, step_size: int | None = None) -> Int64Array:
        """Return the first steps to forecast of a backtest, [windows, S], from the first to the last window.

        The last window of each series ends with the series, each one before it begins ``step_size`` earlier.
        Where a series is not long enough for a window, its cutoff is 0 or below.

        Args:
            lengths: [S] of the series.
            windows: number of windows, at least 1.
            step_size: steps from one to the next; None for the horizon, so that no cell is forecast twice.

        Raises:
            DataError: a number below 1.
        """
        step_size = self.prediction_length if step_size is None else step_size
        for name, number in (("windows", windows), ("step_size", step_size)):
            if isinstance(number, bool) or not isinstance(number, int) or number < 1:
                raise DataError(f"{name}: expected a whole number of at least 1, got {number!r}")
        before_last = step_size * np.arange(windows - 1, -1, -1)
        cutoffs: Int64Array = (lengths - self.prediction_length)[None, :] - before_last[:, None]
        return cutoffs


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


def training_rows(indptr: Int64Array, train_stop: Int64Array) -> NDArray[np.bool_]:
    """Return which rows of a store lie before ``train_stop`` [S] of their series, [rows]."""
    changes = np.zeros(int(indptr[-1]) + 1, np.int8)
    np.add.at(changes, indptr[:-1], 1)
    np.subtract.at(changes, indptr[:-1] + train_stop, 1)
    return np.cumsum(changes[:-1], dtype=np.int8).view(np.bool_)


def _least(size: int | float, prediction_length: int) -> int:
    return size if isinstance(size, int) else prediction_length * (size > 0)


def _steps(lengths: Int64Array, size: int | float, least: int, most: Int64Array) -> Int64Array:
    if isinstance(size, int):
        return np.full_like(lengths, size)
    return np.maximum(np.minimum(np.rint(lengths * size).astype(np.int64), most), least)
