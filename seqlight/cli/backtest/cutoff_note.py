"""One line about where the windows of a backtest begin, of series that end at different times."""

import numpy as np

from seqlight.cli.backtest.arguments import BacktestArguments
from seqlight.data import ForecastDataModule
from seqlight.data.store.cutoffs import backtest_cutoffs


def cutoff_note(given: BacktestArguments, data: ForecastDataModule) -> str:
    """Say how series are cut that end at different times; "" where all end at one time."""
    own, common, used = (
        backtest_cutoffs(
            data.store,
            data.ends,
            data.splitter,
            windows=given.windows,
            step_size=given.step_size,
            origin=origin,
        )
        for origin in ("own", "common", given.origin)
    )
    if (own == common).all():
        return ""
    if (used == own).all():
        if data.store.grid is None:
            return "each series has windows of its own, counted from its end, for rows have no times"
        return (
            "each series has windows of its own, counted from its end (--origin own): models of all series "
            "know values of some that came after the cutoff of others"
        )
    inside = (used >= 1) & (used < data.ends)
    never, partly = int((~inside.any(axis=0)).sum()), int((inside.any(axis=0) & ~inside.all(axis=0)).sum())
    parts = []
    if partly:
        parts.append(f"{partly} of {inside.shape[1]} are known in some of the windows only")
    if never:
        first = data.series_ids[int(np.argmin(inside.any(axis=0)))]
        are = "is" if never == 1 else "are"
        parts.append(f"{never} {are} in none of the windows ({first!r}{', ...' * (never > 1)})")
    known = f": {', '.join(parts)}; --origin own cuts each before its own end" if parts else ""
    return f"all series are cut at the same times, though they end at different ones{known}"
