"""Arguments under the names that they had before 0.2; these go with the version after it."""

import inspect
import warnings
from collections.abc import Mapping, MutableMapping
from typing import Any

COVARIATE_SIZES = {"covariate_size": "future_covariate_size", "static_size": "static_covariate_size"}
"""Old names of constructor arguments, and the new ones."""


def warn_renamed(old: str, new: str) -> None:
    """Warn that a name is an old one."""
    warnings.warn(f"{old} is now called {new}; the old name goes with the next version", FutureWarning, 4)


def take_renamed(old_name: str, old: Any, new_name: str, new: Any) -> Any:
    """Return the value of an argument that was given under its old or its new name; 0 and None are none.

    Raises:
        ValueError: both were given, and differ.

    """
    if old is None:
        return new
    warn_renamed(old_name, new_name)
    if new and new != old:
        raise ValueError(
            f"{old_name} is the old name of {new_name}, got {old} and {new}; leave {old_name} out"
        )
    return old


def rename_arguments(cls: type, renamed: Mapping[str, str], arguments: MutableMapping[str, Any]) -> None:
    """Give a class's arguments their new names, in place; what a user's class calls so itself stays."""
    own = inspect.signature(cls.__init__).parameters  # type: ignore[misc]
    for old, new in renamed.items():
        if old in arguments and (old not in own or cls.__module__.startswith("seqlight.")):
            value = arguments.pop(old)
            if value is not None:
                arguments[new] = value
