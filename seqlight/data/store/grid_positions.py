"""The step of the rows' times, and where each row lies on its series' grid."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seqlight.data.errors import DataError
from seqlight.data.store.row_names import RowNames, iso
from seqlight.data.time.far_rows import FarRow, find_far_row
from seqlight.data.time.frequency import (
    FixedFrequency,
    Frequency,
    frequency_on,
    infer_frequency,
    series_of_coarser_steps,
)
from seqlight.data.time.rounding import rounding_step
from seqlight.data.time.steps import all_steps_are

Int64Array = NDArray[np.int64]

# A grid may be sparse, but one of more than this many cells per row is a wrong frequency, not missing data.
MOST_CELLS_PER_ROW = 100
FEW_CELLS = 1_000_000
_FEW_OFF_GRID = 5
_MOST = 0.9


def step_of(
    names: RowNames, given: str | None, times: Int64Array, first_rows: Int64Array, zone: str | None
) -> Frequency:
    """Return the step as given, or the one on which the times lie.

    Args:
        names: of the table.
        given: such as "1h"; None infers it.
        times: [rows] int64 microseconds, sorted by series and time.
        first_rows: [S] where each series starts.
        zone: that of the times.

    Raises:
        DataError: no series has two rows, or the step does not fit them.
    """
    if given is not None:
        return frequency_on(given, times, first_rows, zone)
    inferred = infer_frequency(times, first_rows, zone)
    if inferred is None:
        raise names.error("every series has one row; pass the frequency, such as frequency='1d'")
    return inferred


def check_one_step(
    names: RowNames, step: Frequency, times: Int64Array, first_rows: Int64Array, ids: Sequence[str]
) -> None:
    """Raise DataError where a series has a step of its own, a multiple of that of the others."""
    if isinstance(step, FixedFrequency) and all_steps_are(step.step, times, first_rows):
        return  # each series has every one of these steps
    coarser = series_of_coarser_steps(times, first_rows, step)
    if not coarser:
        return
    series, own = coarser[0]
    more = f" (and {len(coarser) - 1} more series of coarser steps)" if len(coarser) > 1 else ""
    raise names.error(
        f"series {ids[series]!r} has steps of {own.name}, others have {step.name}{more}; forecast "
        f"them from files of their own, or pass frequency={step.name!r} to take the times between for "
        "missing"
    )


@dataclass(frozen=True)
class GridRows:
    """Sorted rows with the grids that they are to lie on.

    Attributes:
        step: of all grids.
        times: [rows] int64 microseconds.
        indptr: [S + 1] where the rows of each series are.
        ids: names of the S series.
        origin: [S] time of each series' position 0.
        anchor: [S], see ``Frequency.anchors``.
        inferred: whether the step was found in the times.
        may_round: whether rounding the times can be offered.
    """

    step: Frequency
    times: Int64Array
    indptr: Int64Array
    ids: Sequence[str]
    origin: Int64Array
    anchor: Int64Array
    inferred: bool
    may_round: bool = False


def grid_positions(names: RowNames, rows: GridRows) -> tuple[Int64Array, Int64Array | None]:
    """Return the length of each series' grid, and each row's position on it (None if no row is absent).

    Raises:
        DataError: a row lies off its grid, or the grids would be far larger than the table.
    """
    step, times, indptr = rows.step, rows.times, rows.indptr
    origin, anchor = rows.origin, rows.anchor
    counts = np.diff(indptr)
    if isinstance(step, FixedFrequency) and all_steps_are(step.step, times, indptr[:-1]):
        return counts, None
    repeat = 0 if len(counts) == 1 else np.repeat(np.arange(len(counts)), counts)
    positions, on_grid = step.positions(times, origin[repeat], anchor[repeat])
    if not on_grid.all():
        raise _off_grid_error(names, rows, on_grid)
    ends = positions[indptr[1:] - 1]
    lengths = ends + 1
    if np.array_equal(lengths, counts):
        # Times increase within a series, so as many positions as rows are 0, 1, 2, ...
        repeated = np.diff(positions) == 0
        repeated[indptr[1:-1] - 1] = False
        if not repeated.any():
            return lengths, None
    far = find_far_row(positions, indptr) if rows.inferred else None
    if far is not None:
        raise _far_error(names, rows, far)
    if lengths.sum() > max(FEW_CELLS, MOST_CELLS_PER_ROW * len(times)):
        raise names.error(
            f"the grid of step {step.name} would have {lengths.sum():,} cells for {len(times):,} rows; "
            "check the timestamps, or pass the right frequency"
        )
    return lengths, positions


def _far_error(names: RowNames, rows: GridRows, far: FarRow) -> DataError:
    series = int(np.searchsorted(rows.indptr, far.row, side="right")) - 1
    return names.error(
        f"{names.table.row_name(names.table_row(far.row))}, column {names.time_col!r}: "
        f"{iso(rows.times[far.row])} lies {far.gap:,} steps of {rows.step.name} "
        f"{'after' if far.after else 'before'} the other rows{names.of_series(rows.ids[series])}, which take "
        f"{far.span:,} steps; mend its time, or pass frequency={rows.step.name!r} if it is right (the steps "
        "between are then missing values)"
    )


def _off_grid_error(names: RowNames, rows: GridRows, on_grid: NDArray[np.bool_]) -> DataError:
    step, times, indptr = rows.step, rows.times, rows.indptr
    origin, anchor = rows.origin, rows.anchor
    row = int(np.argmin(on_grid))
    series = int(np.searchsorted(indptr, row, side="right")) - 1
    own = slice(indptr[series], indptr[series + 1])
    off = int((~on_grid).sum())
    first_is_odd = False
    if rows.inferred and on_grid[own].mean() <= 0.5 and indptr[series] + 2 < indptr[series + 1]:
        # The grid starts from the first row. Where the others lie on one of their own, that row is odd.
        rest = times[own][1:]
        from_second = step.anchors(rest, np.zeros(1, np.int64))
        zeros = np.zeros_like(rest)
        on_theirs = step.positions(rest, rest[zeros], from_second[zeros])[1]
        first_is_odd = bool(on_theirs.mean() > _MOST)
        off = 1 if first_is_odd else off
    if off > max(_FEW_OFF_GRID, len(times) // 100):
        # No single row is to blame: the step is another one, or the times lie on no grid at all.
        taken = "which is the commonest" if rows.inferred else "as given"
        calendar = not rows.inferred and not isinstance(step, FixedFrequency)  # to which nothing is rounded
        nearest = rounding_step(times, indptr[:-1]) if rows.may_round and not calendar else None
        if calendar:
            advice = "Name the right one, or leave it out: the pattern of the file itself is then found"
        elif nearest is None:
            advice = (
                "Pass the right step if this one is wrong, such as frequency='1h'. Times without a step have "
                "to be brought to one first, by sums or means over days, say; or pass time_col=None, and "
                "rows are steps whatever their times"
            )
        else:
            advice = f"round=True rounds them to steps of {nearest.name}, around which they lie"
        return names.error(
            f"column {names.time_col!r}: {off:,} of {len(times):,} rows are off the grid of step "
            f"{step.name}, {taken}, counted from {iso(origin[series])}"
            f"{names.of_series(rows.ids[series])}; the first is "
            f"{names.table.row_name(names.table_row(row))}, {iso(times[row])}. {advice}"
        )
    if first_is_odd:
        row = int(indptr[series])
        near = ""
    else:
        position = step.positions(times[row], origin[series], anchor[series])[0]
        around = step.timestamps(position + np.arange(2), origin[series], anchor[series])
        near = f" between {iso(around[0])} and {iso(around[1])}"
    more = "" if off == 1 else f" ({off - 1} more row{'s are' if off > 2 else ' is'} off it)"
    rounding = ""
    if rows.may_round and rounding_step(times, indptr[:-1]) is not None:
        rounding = ", pass round=True to move such times to the nearest step"
    return names.error(
        f"{names.table.row_name(names.table_row(row))}, column {names.time_col!r}: {iso(times[row])} is "
        f"off the grid of step {step.name}{near}{names.of_series(rows.ids[series])}{more}; mend the "
        f"row{rounding}, or pass the right step, such as frequency='1h'"
    )
