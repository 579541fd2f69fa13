"""Checks of the tensors that enter a network; every message names the tensor and what it should be."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from torch import Tensor


def check_tensor(name: str, value: Any) -> None:
    """Raise TypeError unless ``value`` is a tensor of real numbers; the message says how to make one."""
    if not isinstance(value, Tensor):
        made = "torch.from_numpy(array)" if isinstance(value, np.ndarray) else "torch.tensor(values)"
        raise TypeError(f"{name}: expected a torch.Tensor, got {type(value).__name__}; pass {made}")
    if value.is_complex():
        raise TypeError(f"{name}: expected real numbers, got {value.dtype}; pass its real part")


def check_shape(name: str, value: Tensor, expected: Mapping[str, int | None], hint: str = "") -> None:
    """Raise unless ``value`` has the shape of ``expected``: letters of the axes to sizes, None for any."""
    check_tensor(name, value)
    shape = tuple(value.shape)
    if len(shape) == len(expected) and all(
        size in (None, got) for size, got in zip(expected.values(), shape, strict=True)
    ):
        return
    sizes = ", ".join(axis if size is None else str(size) for axis, size in expected.items())
    raise ValueError(
        f"{name}: expected shape [{', '.join(expected)}] = [{sizes}], got {list(shape)}{hint and f'; {hint}'}"
    )
