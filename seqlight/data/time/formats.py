"""What every way of writing times in text has in common."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import Self

import polars as pl

#: How many values of a column are looked at to find its format and its style.
SAMPLE_ROWS = 1000


@dataclass(frozen=True)
class TimeFormat(ABC):
    """A way of writing times, which reads text and writes it back as it came.

    Attributes:
        pattern: what ``time_format`` takes to choose this format: a strftime pattern, or a name.
        wall_time: True where the text has UTC offsets but the series are daily or longer, so that local
            days, not spans of 24 hours, make the grid; the offsets are then left out.
    """

    pattern: str
    wall_time: bool = False

    @property
    def has_offset(self) -> bool:
        """Whether the text carries its zone, so that the times become UTC."""
        return False

    @abstractmethod
    def parse(self, text: pl.Series) -> pl.Series:
        """Return Int64 microseconds since 1970 of a String column; null where a value has another format."""

    @abstractmethod
    def format(self, times: pl.Series) -> pl.Series:
        """Return the Datetime column ``times`` as text of this format (a String column)."""

    def learned(self, text: pl.Series) -> "TimeFormat":
        """Return this format with the style of ``text``: padding, letters, digits, offsets.

        Raises:
            DataError: the text has something that the format cannot write back.
        """
        return self

    def with_hour_24(self) -> "TimeFormat | None":
        """Return this format reading 24:00 as the end of a day, or None where it has no such hours."""
        return None

    def in_wall_time(self) -> Self:
        """Return this format with offsets left out."""
        return replace(self, wall_time=True)


def style_sample(text: pl.Series) -> list[str]:
    """Return values from which a style is learned: the first ones, and some from the whole column."""
    some = text.gather_every(max(1, len(text) // SAMPLE_ROWS))
    return pl.concat([text.head(SAMPLE_ROWS), some]).drop_nulls().unique(maintain_order=True).to_list()
