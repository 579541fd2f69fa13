"""Known cells that are hidden to measure how well they are filled in again."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Int64Array = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

# Where the data have no gaps of their own to imitate: points, and blocks of up to 16 cells.
USUAL_GAPS = (1, 2, 4, 8, 16)
_LEAST_RUNS = 4  # of the longest kind: a share of cells hidden in one run would measure one place only
_MOST_ROUNDS = 1000


@dataclass(frozen=True)
class GapPattern:
    """How cells are missing.

    Attributes:
        lengths: [G] int64, lengths of the runs of missing cells, in rows.
        whole_rows: the share of runs that go through all channels at once.
    """

    lengths: Int64Array
    whole_rows: float


def gap_pattern(observed: BoolArray, indptr: Int64Array) -> GapPattern:
    """The gaps of the data themselves; points and short blocks where there are none.

    Args:
        observed: [rows, C], the series one after the other.
        indptr: [S + 1], series s is ``observed[indptr[s]:indptr[s + 1]]``.
    """
    missing = ~observed
    channels = missing.shape[1]
    whole: BoolArray = missing.all(1, keepdims=True)  # type: ignore[assignment]
    # A channel without any value is no gap that could be imitated.
    alone = missing & ~whole & observed.any(0)
    lengths = [run_lengths(whole[:, 0], indptr)] + [
        # The whole gap of the channel, also where others have gaps within it.
        run_lengths(missing[:, channel], indptr, alone[:, channel])
        for channel in range(channels if channels > 1 else 0)
    ]
    total = sum(map(len, lengths))
    if not total:
        return GapPattern(np.array(USUAL_GAPS, np.int64), 0.5 if channels > 1 else 1.0)
    return GapPattern(np.concatenate(lengths), len(lengths[0]) / total)


def run_lengths(flags: BoolArray, indptr: Int64Array, within: BoolArray | None = None) -> Int64Array:
    """Lengths of the runs of true values of [rows] ``flags`` that no end of a series interrupts.

    With ``within``, [rows], only of those that hold a true value of it.
    """
    if not len(flags):
        return np.zeros(0, np.int64)
    first_row = np.zeros(len(flags) + 1, np.bool_)
    first_row[indptr] = True
    begins = flags.copy()
    begins[1:] &= ~flags[:-1] | first_row[1:-1]
    last = flags.copy()
    last[:-1] &= ~flags[1:] | first_row[1:-1]
    first, stop = np.flatnonzero(begins), np.flatnonzero(last) + 1
    if within is not None:
        before = np.concatenate([[0], np.cumsum(within)])
        held = before[stop] > before[first]
        first, stop = first[held], stop[held]
    return np.asarray(stop - first, np.int64)


def hold_out(
    observed: BoolArray, indptr: Int64Array, pattern: GapPattern, *, fraction: float, seed: int
) -> BoolArray:
    """Choose known cells to hide: runs at random places, of lengths drawn from ``pattern``.

    Lengths are cut to a quarter of the cells to hide in one channel, so that several places are tried.

    Args:
        observed: [rows, C] which cells may be hidden.
        indptr: [S + 1] where each series begins and ends; no run goes over an end.
        pattern: lengths of the runs.
        fraction: share of the cells of ``observed`` to hide, 0 to less than 1. At least one cell of every
            channel is left in every series.
        seed: one seed, one choice.

    Returns:
        bool [rows, C], true where a cell is hidden.
    """
    rows, channels = observed.shape
    hidden = np.zeros_like(observed)
    wanted = round(fraction * int(observed.sum()))
    if not wanted:
        return hidden
    random = np.random.default_rng(seed)
    longest = max(1, wanted // (_LEAST_RUNS * channels))
    lengths = np.minimum(pattern.lengths, longest)
    stops = np.repeat(indptr[1:], np.diff(indptr))
    cells_per_run = lengths.mean() * (1 + pattern.whole_rows * (channels - 1))
    for _ in range(_MOST_ROUNDS):
        # Half of what is wanting, so that the last round hides no more than a few cells too many.
        runs = max(1, int(0.5 * (wanted - hidden.sum()) / cells_per_run))
        start = random.integers(rows, size=runs)
        stop = np.minimum(start + random.choice(lengths, runs), stops[start])
        channel = random.integers(channels, size=runs)
        whole = random.random(runs) < pattern.whole_rows
        steps = np.zeros((rows + 1, channels), np.int64)
        for one in range(channels):
            chosen = whole | (channel == one)
            np.add.at(steps[:, one], start[chosen], 1)
            np.add.at(steps[:, one], stop[chosen], -1)
        hidden |= (np.cumsum(steps, axis=0)[:-1] > 0) & observed
        if hidden.sum() >= wanted:
            break
    leave_one(hidden, observed, indptr)
    return hidden


def leave_one(hidden: BoolArray, observed: BoolArray, indptr: Int64Array) -> None:
    """Uncover one cell, in place, of each channel of a series of which everything known was hidden."""
    for begin, end in pairwise(indptr.tolist()):
        if begin == end:
            continue
        gone = ~(observed[begin:end] & ~hidden[begin:end]).any(0) & observed[begin:end].any(0)
        for channel in np.flatnonzero(gone):
            hidden[begin + int(np.argmax(observed[begin:end, channel])), channel] = False
