"""Names of steps that are no times: V2, V3, ... or d_1, d_2, ..., and plain numbers."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

_NUMBERED = re.compile(r"(.*?)(\d{1,9})(\D*)")


@dataclass(frozen=True)
class StepNames:
    """How steps are written: a number between two texts, counted from that of position 0.

    Attributes:
        prefix: before the number.
        first: number of position 0.
        digits: at least so many digits, filled up with zeros.
        suffix: after the number.
    """

    prefix: str = ""
    first: int = 0
    digits: int = 0
    suffix: str = ""

    def format(self, positions: pl.Series) -> pl.Series:
        """Return integers, positions on a grid, as text."""
        numbers = (positions + self.first).cast(pl.String)
        if self.digits:
            numbers = numbers.str.zfill(self.digits)
        return self.prefix + numbers + self.suffix

    @classmethod
    def of(cls, names: Sequence[str]) -> tuple["StepNames", NDArray[np.int64]] | None:
        """Return how names are numbered and the position of each; None if they are not, each on its own."""
        parts = [_NUMBERED.fullmatch(name.strip()) for name in names]
        found = [part for part in parts if part is not None]
        if not found or len(found) < len(names) or len({(part[1], part[3]) for part in found}) > 1:
            return None
        numbers = np.array([int(part[2]) for part in found], np.int64)
        if len(np.unique(numbers)) < len(numbers):
            return None
        widths = {len(part[2]) for part in found}
        padded = len(widths) == 1 and any(part[2].startswith("0") for part in found)
        first = int(numbers.min())
        digits = widths.pop() if padded else 0
        return cls(found[0][1], first, digits, found[0][3]), numbers - first
