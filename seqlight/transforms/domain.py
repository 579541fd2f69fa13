"""The domain of the logarithm and its kin."""

import math
import numbers
from typing import Any

import torch
from torch import Tensor


def check_finite(name: str, value: Any) -> float:
    """Return ``value`` as a finite float."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(f"{name}: expected a number, got {value!r} ({type(value).__name__})")
    if not math.isfinite(value):
        raise ValueError(f"{name}: expected a finite number, got {value}")
    return float(value)


def shifted(values: Tensor, offset: float, transform: str) -> Tensor:
    """Return ``values + offset``, all of which must be above 0 (NaN aside).

    Raises:
        ValueError: a value is not; without this it would become NaN, and so silently count as missing. Code
            traced by torch.compile or torch.export does not check.

    """
    if values.numel() and not torch.compiler.is_compiling():
        smallest = (
            values.detach().nan_to_num(nan=torch.inf, posinf=torch.inf, neginf=-torch.inf).amin().item()
        )
        if smallest + offset <= 0:
            raise ValueError(
                f"values: {transform} with offset {offset:g} needs values above {0 - offset:g}, got "
                f"{smallest:g}; give an offset above {0 - smallest:g}, or take another transform"
            )
    return values + offset
