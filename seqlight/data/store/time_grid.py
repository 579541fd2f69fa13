"""Where the positions of series lie in time."""

from dataclasses import dataclass
from datetime import time
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from seqlight.data.errors import DataError
from seqlight.data.time.frequency import Frequency, fraction_digits
from seqlight.data.time.time_format import TimeFormat

Int64Array = NDArray[np.int64]
_YEAR_9999 = 253_402_300_799_999_999  # its last microsecond


@dataclass(frozen=True)
class TimeGrid:
    """Where every series' positions lie in time.

    Attributes:
        frequency: the step, one for all series.
        origin: [S] int64 microseconds since 1970 of each series' position 0.
        anchor: [S] int64, see ``Frequency.anchors``.
        time_format: how the times were written; None if they did not come as text.
        time_zone: zone of the times; None for times without one.
        dates: whether the times were given as dates.
    """

    frequency: Frequency
    origin: Int64Array
    anchor: Int64Array
    time_format: TimeFormat | None = None
    time_zone: str | None = None
    dates: bool = False

    def timestamps(self, series_index: int, start: int, count: int) -> pl.Series:
        """Times of positions ``start`` to ``start + count - 1`` of one series, also beyond its rows."""
        positions = np.arange(start, start + count, dtype=np.int64)
        return self._as_series(positions, self.origin[series_index], self.anchor[series_index])

    def timestamps_at(self, series_index: Int64Array, positions: Int64Array) -> pl.Series:
        """Times [N] of ``positions`` [N] of the series ``series_index`` [N], also beyond their rows."""
        return self._as_series(positions, self.origin[series_index], self.anchor[series_index])

    def _as_series(self, positions: Int64Array, origin: Any, anchor: Any) -> pl.Series:
        times = self.frequency.timestamps(positions, origin, anchor)
        if len(times) and int(times.max()) > _YEAR_9999:
            raise DataError(
                "times after the year 9999 cannot be written; mend the times of the data, or pass a smaller "
                "prediction_length"
            )
        series = pl.Series("time", times).cast(pl.Datetime("us"))
        if self.time_zone is not None:
            return series.dt.replace_time_zone("UTC").dt.convert_time_zone(self.time_zone)
        return series

    def format(self, times: pl.Series) -> pl.Series:
        """The times as text, in the format in which they came (ISO 8601 if they were not text)."""
        if self.time_format is not None:
            return self.time_format.format(times)
        digits = fraction_digits(self.frequency, self.origin)
        fraction = f"%.{digits}f" if digits else ""
        if self.dates and not (times.dt.time() != time(0)).any():
            return times.dt.strftime("%Y-%m-%d")
        if self.time_zone is None:
            return times.dt.strftime(f"%Y-%m-%d %H:%M:%S{fraction}")
        return times.dt.strftime(f"%Y-%m-%dT%H:%M:%S{fraction}%:z")
