"""Evaluation over all windows of a part of the data, or over all cells held out of it."""

from .imputation import ImputationRow, compare_filled, compare_imputers, fill
from .rolling_origin import ComparisonRow, compare

__all__ = ["ComparisonRow", "ImputationRow", "compare", "compare_filled", "compare_imputers", "fill"]
