"""Times that jitter around a regular grid, put on it."""

import warnings

import numpy as np
from numpy.typing import NDArray

from seqlight.data.store.row_names import RowNames, iso
from seqlight.data.time.frequency import FixedFrequency, parse_frequency
from seqlight.data.time.rounding import duration_text, round_times, rounding_step

Int64Array = NDArray[np.int64]


def on_rounded_grid(
    names: RowNames, times: Int64Array, indptr: Int64Array, frequency: str | None
) -> tuple[Int64Array, str]:
    """Return times rounded to the grid around which they lie, and its step; a warning says how far.

    Args:
        names: of the table, for messages.
        times: [rows] int64 microseconds, the series one after the other, each increasing.
        indptr: [S + 1] where the rows of each series are.
        frequency: the grid's step, such as "1h"; None finds it.

    Raises:
        DataError: the times lie around no grid, or two of a series around the same place of it.
    """
    first_rows = indptr[:-1]
    step = rounding_step(times, first_rows) if frequency is None else parse_frequency(frequency)
    if step is None:
        raise names.error(
            f"round=True: the times in column {names.time_col!r} lie around no grid of a second to a day, "
            "with a row for nearly each step; name the step to round to, such as frequency='1h', or bring "
            "them to one by sums or means"
        )
    if not isinstance(step, FixedFrequency):
        raise names.error(
            f"round=True: times are rounded to steps of a fixed length, and {frequency!r} is none"
        )
    if not ((times - times[0]) % step.step).any():  # on a grid already, whenever it begins
        return times, step.name
    rounded = round_times(times, step)
    again = np.diff(rounded) <= 0
    again[indptr[1:-1] - 1] = False
    if again.any():
        row = int(np.argmax(again)) + 1
        one, other = (names.table.row_name(names.table_row(index)) for index in (row - 1, row))
        raise names.error(
            f"round=True: {one} and {other} would both be {iso(rounded[row])} on a grid of {step.name}; name "
            "a finer step with frequency, or join such rows first"
        )
    _say(names, times, rounded, step)
    return rounded, step.name


def on_grid_of(names: RowNames, times: Int64Array, begin: int, step: FixedFrequency) -> Int64Array:
    """Return times of a second table rounded to the grid of a first one, which begins at ``begin``."""
    rounded = (times - begin + step.step // 2) // step.step * step.step + begin
    _say(names, times, rounded, step)
    return rounded


def _say(names: RowNames, times: Int64Array, rounded: Int64Array, step: FixedFrequency) -> None:
    moved = np.abs(rounded - times)
    count = int((moved > 0).sum())
    if count:
        warnings.warn(
            f"{names.table.source}: {count:,} of {len(times):,} times were rounded to steps of {step.name}, "
            f"by up to {duration_text(int(moved.max()))}",
            stacklevel=3,
        )
