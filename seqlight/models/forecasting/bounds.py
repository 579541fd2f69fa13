"""What values a forecast can have."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from seqlight.models.lightning.checks import check_number


@dataclass(frozen=True)
class Bounds:
    """The range of a forecast in original units, and whether it is a whole number.

    Attributes:
        low: the smallest value; None for none.
        high: the largest value; None for none.
        integer: whether values are whole numbers.

    """

    low: float | None = None
    high: float | None = None
    integer: bool = False

    @classmethod
    def of(cls, bounds: Any, nonnegative: bool, integer: bool) -> "Bounds":
        """Return the bounds that a forecaster's arguments say.

        Raises:
            TypeError: ``bounds`` is no pair of numbers or None.
            ValueError: there is no value between them.

        """
        low = high = None
        if bounds is not None:
            if isinstance(bounds, str) or not isinstance(bounds, Sequence) or len(bounds) != 2:
                raise TypeError(f"bounds: expected a pair (low, high), each a number or None, got {bounds!r}")
            low, high = (None if one is None else check_number("bounds", one, -math.inf) for one in bounds)
        if nonnegative:
            if low is not None and low < 0:
                raise ValueError(
                    f"bounds: low is {low}, which nonnegative=True excludes; leave one of them out"
                )
            low = 0.0 if low is None else low
        if integer:
            low = None if low is None else float(math.ceil(low))
            high = None if high is None else float(math.floor(high))
        if low is not None and high is not None and low >= high:
            kind = "whole numbers" if integer else "values"
            raise ValueError(f"bounds: expected low < high with {kind} between them, got {bounds!r}")
        return cls(low, high, bool(integer))

    def apply(self, forecast: Tensor) -> Tensor:
        """Return values in the range: rounded (half to even), then clamped. NaN stays NaN."""
        if self.integer:
            forecast = forecast.round() + 0.0  # no -0.0, which a file would show
        if self.low is not None or self.high is not None:
            forecast = forecast.clamp(self.low, self.high)
        return forecast
