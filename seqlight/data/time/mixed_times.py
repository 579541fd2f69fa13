"""Dates among times: columns that some program wrote without the midnights, or in two ways."""

import polars as pl

_DATE = r"^\d{4}-\d{2}-\d{2}$"
_TIME = r"^\d{4}-\d{2}-\d{2}[T ]\d{1,2}:\d{2}(:\d{2}([.,]\d+)?)?(Z|[+-]\d{2}:?\d{2})?$"


def dates_among_times(column: pl.Series) -> tuple[int, int] | None:
    """Return the rows of the first ISO date and of the first ISO time in text that holds both, else None."""
    text = column.str.strip_chars()
    dates, times = text.str.contains(_DATE).fill_null(False), text.str.contains(_TIME).fill_null(False)
    first_date, first_time = dates.arg_max(), times.arg_max()
    if first_date is None or first_time is None or not dates.any() or not times.any():
        return None
    return (first_date, first_time) if (dates | times).mean() > 0.9 else None  # type: ignore[operator]
