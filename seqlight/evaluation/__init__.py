"""Evaluation over all windows of a part of the data."""

from .rolling_origin import ComparisonRow, compare

__all__ = ["ComparisonRow", "compare"]
