"""The zone whose clock changes as the UTC offsets of a column do."""

import numpy as np
import polars as pl
from numpy.typing import NDArray

# One for each clock that is put forward and back today; where several zones share one, any of them will do.
_ZONES = (
    "Europe/Berlin",
    "Europe/London",
    "Europe/Athens",
    "America/New_York",
    "America/Chicago",
    "America/Denver",
    "America/Los_Angeles",
    "America/Anchorage",
    "America/Halifax",
    "America/St_Johns",
    "America/Sao_Paulo",
    "America/Santiago",
    "America/Asuncion",
    "America/Mexico_City",
    "America/Havana",
    "Atlantic/Azores",
    "Australia/Sydney",
    "Australia/Adelaide",
    "Australia/Lord_Howe",
    "Pacific/Auckland",
    "Pacific/Chatham",
    "Asia/Jerusalem",
    "Asia/Beirut",
    "Asia/Tehran",
    "Africa/Cairo",
    "Europe/Chisinau",
    "Europe/Moscow",
    "Europe/Istanbul",
)
_MINUTE = 60_000_000
OFFSET = r"([+-]\d{2}:?\d{2}|[+-]\d{2}|Z)$"


def offset_minutes(text: pl.Series) -> pl.Series:
    """Return the UTC offsets at the ends of texts in minutes east, Int64; null where there is none."""
    ends = text.str.extract(OFFSET)
    digits = ends.str.replace(":", "", literal=True)
    minutes = digits.str.slice(1, 2).cast(pl.Int64, strict=False) * 60
    minutes = minutes + digits.str.slice(3, 2).str.pad_start(1, "0").cast(pl.Int64, strict=False)
    signed = minutes.zip_with(~digits.str.starts_with("-"), -minutes)
    return signed.set(ends == "Z", 0)


def zone_of_offsets(times: NDArray[np.int64], minutes: NDArray[np.int64]) -> str | None:
    """Return a zone in which the clock is ``minutes`` [N] east of UTC at ``times`` [N]; None for none known.

    Args:
        times: microseconds since 1970 in UTC.
        minutes: the offset of each.
    """
    column = pl.Series(times).cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    for zone in _ZONES:
        local = column.dt.convert_time_zone(zone).dt.replace_time_zone(None).to_physical().to_numpy()
        if np.array_equal(local - times, minutes * _MINUTE):
            return zone
    return None
