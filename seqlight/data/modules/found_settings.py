"""What a DataModule is not told of its file, found in it."""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from seqlight.data.io.columns import as_names
from seqlight.data.io.detect import Reading, detect
from seqlight.data.io.dialect import CSVDialect
from seqlight.data.io.frames import is_frame
from seqlight.data.store.series_store import SeriesStore
from seqlight.data.store.window_sizes import choose_sizes

AUTO = "auto"


def found_columns(
    opened: Any,
    dialect: CSVDialect,
    time_col: str | Sequence[str] | None,
    target_cols: str | Sequence[str],
    id_col: str | Sequence[str] | None,
    *,
    covariates: Sequence[str],
    time_format: str | None,
) -> Reading:
    """Return what a file or frame is taken for, and warn of what was found in it.

    Args:
        opened: what :func:`~seqlight.data.io.sources.open_source` returns of the file or frame.
        dialect: how it is written.
        time_col, target_cols, id_col: as given; "auto" for what is to be found, and so are ids where one of
            the other two is.
        covariates: columns that are none of these.
        time_format: strftime pattern of the times.

    Raises:
        DataError: there is no such column, or there are several to choose from.
    """
    reading = detect(
        opened,
        dialect,
        time_cols=None if time_col == AUTO else as_names(time_col),
        target_cols=None if target_cols == AUTO else as_names(target_cols),
        id_cols=as_names(id_col) or None,
        covariate_cols=covariates,
        time_format=time_format,
    )
    called = "frame" if is_frame(opened) else opened.name
    found = {
        "layout": reading.layout if dialect.layout is None and reading.layout != "long" else None,
        "time_col": (list(reading.time_cols) or "None") if time_col == AUTO else None,
        "target_cols": list(reading.target_cols) if target_cols == AUTO else None,
        "id_col": list(reading.id_cols) if id_col is None else None,
    }
    said = ", ".join(f"{name}={_plain(value)}" for name, value in found.items() if value)
    warnings.warn(f"{called}: found {said}; pass what is right if it is not", stacklevel=3)
    return reading


def sizes_for(
    store: SeriesStore, season_length: int | None, context_length: int | None, prediction_length: int | None
) -> tuple[int, int]:
    """Return the sizes of windows, those that were given and those that suit the series."""
    season = season_length
    if season is None:
        season = 1 if store.grid is None else store.grid.frequency.season_length
    return choose_sizes(int(np.median(store.ends)), season, horizon=prediction_length, context=context_length)


def _plain(value: str | list[str]) -> str:
    if isinstance(value, list):
        return repr(value[0]) if len(value) == 1 else repr(value)
    return value if value == "None" else repr(value)
