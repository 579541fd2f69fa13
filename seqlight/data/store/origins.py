"""Where each series' forecast begins."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from seqlight.data.errors import DataError
from seqlight.data.store.series_store import SeriesStore

Origin = Literal["auto", "own", "common"]
ORIGINS = ("auto", "own", "common")
MOST_NAMED = 5


@dataclass(frozen=True)
class Origins:
    """The first step to forecast of each series.

    Attributes:
        start: [S] int64 positions on the series' grids.
        ended: [S] bool, series that ended more than one context before the latest one and so have nothing to
            be forecast from at its end.
    """

    start: NDArray[np.int64]
    ended: NDArray[np.bool_]


def forecast_origins(store: SeriesStore, origin: Origin, context_length: int) -> Origins:
    """Return where the forecasts begin, by what is known of the targets.

    Args:
        store: the series.
        origin: "own" begins after each series' last known target, "common" after the latest one of all
            series, and "auto" like "own", except for series that ended more than one context before the
            latest: theirs begins where "common" begins, with nothing known before it. Of series without
            times, whose steps need not be the same moments, "auto" is "own".
        context_length: steps that a forecast is made from.

    Raises:
        DataError: an unknown ``origin``, or no series has a known target.
    """
    check_origin(origin)
    if store.grid is None and origin == "auto":
        origin = "own"  # steps of two series are not the same moments
    ends = store.ends
    if not ends.any():
        raise DataError("every target cell is missing; there is nothing to forecast from")
    common = _after_the_latest(store, ends)
    ended = common - ends > context_length
    if origin == "own":
        return Origins(np.where(ends > 0, ends, common), ends == 0)
    if origin == "common":
        return Origins(common, ended)
    return Origins(np.where(ended, common, ends), ended)


def check_origin(origin: str) -> None:
    """Raise DataError unless ``origin`` is one of ``ORIGINS``."""
    if origin not in ORIGINS:
        raise DataError(f"origin: expected one of {', '.join(map(repr, ORIGINS))}, got {origin!r}")


def origin_note(store: SeriesStore, origins: Origins, context_length: int) -> str:
    """Say in one line where the forecasts begin, and which series have none."""
    begins = [store.timestamps(i, int(origins.start[i]), 1) for i in np.flatnonzero(~origins.ended).tolist()]
    texts = [_text(store, time) for time in begins]
    if not texts:
        return "no series has a known value to forecast from"
    physical = [int(time.to_physical()[0]) for time in begins]
    first, last = texts[int(np.argmin(physical))], texts[int(np.argmax(physical))]
    note = f"the forecast begins at {first}"
    if first != last:
        note = f"forecasts begin between {first} and {last}, after the last known value of each series"
    ended = np.flatnonzero(origins.ended).tolist()
    if not len(ended):
        return note
    names = ", ".join(repr(store.ids[i]) for i in ended[:MOST_NAMED])
    more = f" and {len(ended) - MOST_NAMED} more" if len(ended) > MOST_NAMED else ""
    known = [i for i in ended if store.ends[i] > 0]
    since = ""
    if known:
        last_known = _text(store, store.timestamps(known[0], int(store.ends[known[0]]) - 1, 1))
        since = f" since {last_known}" if len(ended) == 1 else f" (the first since {last_known})"
    advice = "; origin='own' forecasts from a series' own end" if known else ""
    return (
        f"{note}; series {names}{more}: no known value{since}, which is more than the context of "
        f"{context_length} steps before, so no forecast{advice}"
    )


def _text(store: SeriesStore, time: pl.Series) -> str:
    return str(store.format(time)[0])


def _after_the_latest(store: SeriesStore, ends: NDArray[np.int64]) -> NDArray[np.int64]:
    """[S] each series' first position after the latest known target of all."""
    grid = store.grid
    if grid is None:  # steps of series without times have nothing in common but their count
        return np.full_like(ends, ends.max())
    known = ends > 0
    latest = grid.frequency.timestamps(ends[known] - 1, grid.origin[known], grid.anchor[known]).max()
    positions = grid.frequency.positions(np.full_like(ends, latest), grid.origin, grid.anchor)[0]
    return np.maximum(positions + 1, 0)
