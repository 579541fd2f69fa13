"""Times of UTC as local times of a zone, and back."""

import numpy as np
import polars as pl

from seqlight.data.time.steps import Int64Array


def local_times(timestamps: Int64Array, zone: str | None) -> Int64Array:
    """Return UTC microseconds as microseconds of the zone's local time; as they are without a zone."""
    if zone is None:
        return np.asarray(timestamps)
    times = np.asarray(timestamps, np.int64)
    column = pl.Series(times.ravel()).cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    local = column.dt.convert_time_zone(zone).dt.replace_time_zone(None)
    return local.to_physical().to_numpy().reshape(times.shape)


def utc_times(timestamps: Int64Array, zone: str | None) -> Int64Array:
    """Return microseconds of the zone's local time as UTC; the first of two where a clock is put back."""
    if zone is None:
        return np.asarray(timestamps)
    times = np.asarray(timestamps, np.int64)
    column = pl.Series(times.ravel()).cast(pl.Datetime("us"))
    zoned = column.dt.replace_time_zone(zone, ambiguous="earliest")
    return zoned.dt.convert_time_zone("UTC").to_physical().to_numpy().reshape(times.shape)
