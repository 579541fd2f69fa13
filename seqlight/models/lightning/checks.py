"""Checks of a forecaster's arguments and batches; every message names the argument and how to mend it."""

import difflib
import numbers
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from torch import Tensor

from seqlight.inputs.checks import check_shape, check_tensor

__all__ = [
    "check_batch",
    "check_integer",
    "check_number",
    "check_shape",
    "check_tensor",
    "choose",
    "plain_value",
]

T = TypeVar("T")


def check_integer(name: str, value: Any, minimum: int) -> int:
    """Return ``value`` as an int of at least ``minimum``."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise TypeError(f"{name}: expected an integer, got {value!r} ({type(value).__name__})")
    if value < minimum:
        raise ValueError(f"{name}: expected at least {minimum}, got {value}")
    return int(value)


def check_number(name: str, value: Any, minimum: float, *, below: float = float("inf")) -> float:
    """Return ``value`` as a float with ``minimum <= value < below``."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(f"{name}: expected a number, got {value!r} ({type(value).__name__})")
    value = float(value)
    if not minimum <= value < below:
        limit = f" and less than {below}" if below != float("inf") else ""
        raise ValueError(f"{name}: expected at least {minimum}{limit}, got {value}")
    return value


def choose(name: str, value: Any, options: Mapping[str, T]) -> T:
    """Return the option called ``value``."""
    if isinstance(value, str) and value in options:
        return options[value]
    near = difflib.get_close_matches(str(value).lower(), options, n=1)
    suggestion = f" Did you mean {near[0]!r}?" if near else ""
    raise ValueError(f"{name}: expected one of {', '.join(map(repr, options))}; got {value!r}.{suggestion}")


def plain_value(name: str, value: Any) -> Any:
    """Return a hyperparameter as plain Python, so that its checkpoint loads with ``weights_only=True``."""
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, numbers.Real):
        return float(value)
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, list | tuple):
        return type(value)(plain_value(name, item) for item in value)
    if isinstance(value, Mapping):
        return {str(key): plain_value(name, item) for key, item in value.items()}
    raise TypeError(
        f"{name}: hyperparameters must be plain values (numbers, strings, lists, dicts), so that checkpoints "
        f"load without running code; got {type(value).__name__}. Pass a name or a size, and make the "
        "object from it in build_network"
    )


def check_batch(batch: Any, required: Iterable[str]) -> Mapping[str, Tensor]:
    """Return ``batch`` if it is a dict with the required keys."""
    if not isinstance(batch, Mapping):
        raise TypeError(
            f"batch: expected a dict of tensors with the keys {', '.join(required)}, got "
            f"{type(batch).__name__}; a DataModule of seqlight.data gives such batches"
        )
    missing = [key for key in required if batch.get(key) is None]
    if missing:
        raise ValueError(f"batch: missing {', '.join(missing)}; it has {', '.join(map(str, batch))}")
    return batch
