"""Evaluation over all windows of a part of the data."""

from .by_step import ErrorsByStep, errors_by_step
from .rolling_origin import ComparisonRow, compare

__all__ = ["ComparisonRow", "ErrorsByStep", "compare", "errors_by_step"]
