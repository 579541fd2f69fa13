"""Transforms written as text, as forecasters, YAML files and checkpoints hold them."""

import ast
import difflib
import inspect
from collections.abc import Callable, Mapping
from typing import Any

from seqlight.transforms.base import Transform
from seqlight.transforms.box_cox import BoxCox
from seqlight.transforms.compose import Compose
from seqlight.transforms.difference import Difference
from seqlight.transforms.identity import Identity
from seqlight.transforms.instance import InstanceNormalizer
from seqlight.transforms.last_value import LastValue
from seqlight.transforms.log import Log
from seqlight.transforms.mean_scale import MeanScaler
from seqlight.transforms.min_max import MinMaxScaler
from seqlight.transforms.seasonal_trend import Decompose
from seqlight.transforms.standard import StandardScaler

TRANSFORMS: Mapping[str, Callable[..., Transform]] = {
    "none": Identity,
    "standard": StandardScaler,
    "min_max": MinMaxScaler,
    "instance": InstanceNormalizer,
    "mean_scale": MeanScaler,
    "last": LastValue,
    "log": Log,
    "box_cox": BoxCox,
    "difference": Difference.at_lags,
    "decompose": Decompose,
}
"""What makes each transform, given ``(target_size, *options)``, by its name in :func:`build_transform`."""

_EXAMPLE = "'log + difference(1, 24) + standard'"


def build_transform(text: str, target_size: int) -> Transform:
    """Make the transform that a text describes.

    The text is one name of :data:`TRANSFORMS`, or several joined by ``+``, which are applied from left to
    right; options follow in brackets as in a Python call, with words unquoted::

        "difference"                            # at lag 1
        "difference(1, 24)"                     # at lag 1 and at lag 24
        "decompose(24, method=stl, trend=last)"
        "log(1) + difference(1, 24) + standard"  # log(y + 1) first
        "box_cox(offset=1) + instance"

    Spaces do not matter. Options are those of the transform's class after ``target_size``; numbers, words,
    True, False and None are values, and nothing is executed.

    Args:
        text: the description.
        target_size: number of target channels C.

    Returns:
        The one transform, or a :class:`Compose` of several.

    Raises:
        ImportError: an option needs a package that is not installed.
        TypeError: the text is no string, or an option has the wrong type.
        ValueError: the text cannot be read, or a name or an option is unknown or out of range.

    """
    if not isinstance(text, str):
        raise TypeError(
            f"transform: expected a text such as {_EXAMPLE}, got {text!r} ({type(text).__name__})"
        )
    expression = _parsed(text)
    if expression is None:
        raise _unreadable(text)
    parts = [_build_one(node, text, target_size) for node in _summands(expression)]
    return parts[0] if len(parts) == 1 else Compose(parts)


# Errors are raised outside of the except clauses: these are the user's to mend, not consequences of a failure
# in the standard library, which is how the command line tells them apart.


def _parsed(text: str) -> ast.expr | None:
    """Return the syntax tree of an expression, None if it is none."""
    try:
        return ast.parse(" ".join(text.split()), mode="eval").body
    except (SyntaxError, ValueError):  # ValueError: a null character
        return None


def _misfit(signature: inspect.Signature, *arguments: Any, **options: Any) -> str | None:
    """Say what keeps the arguments from fitting a signature; None if they fit."""
    try:
        signature.bind(*arguments, **options)
    except TypeError as error:
        return str(error)
    return None


def _summands(node: ast.expr) -> list[ast.expr]:
    """Return the terms of a sum from left to right."""
    terms = []
    while isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        terms.append(node.right)
        node = node.left
    return [node, *reversed(terms)]


def _build_one(node: ast.expr, text: str, target_size: int) -> Transform:
    arguments: list[Any] = []
    options: dict[str, Any] = {}
    name = node
    if isinstance(node, ast.Call):
        name = node.func
        arguments = [_value(argument, text) for argument in node.args]
        for keyword in node.keywords:
            if keyword.arg is None:
                raise _unreadable(text)
            options[keyword.arg] = _value(keyword.value, text)
    if not isinstance(name, ast.Name):
        raise _unreadable(text)
    make = TRANSFORMS.get(name.id)
    if make is None:
        near = difflib.get_close_matches(name.id.lower(), TRANSFORMS, n=1)
        suggestion = f" Did you mean {near[0]!r}?" if near else ""
        raise ValueError(
            f"transform: expected one of {', '.join(map(repr, TRANSFORMS))}, or several joined by '+'; "
            f"got {name.id!r}.{suggestion}"
        )
    signature = inspect.signature(make)
    misfit = _misfit(signature, target_size, *arguments, **options)
    if misfit is not None:
        known = ", ".join(str(p) for p in list(signature.parameters.values())[1:]) or "none"
        raise ValueError(f"transform: {name.id}: {misfit}; its options are: {known}; got {text!r}")
    try:
        return make(target_size, *arguments, **options)
    except (TypeError, ValueError, ImportError) as error:
        raise type(error)(f"transform: {name.id}: {error}") from error


def _value(node: ast.expr, text: str) -> Any:
    """Return a number, a string with or without quotes, True, False or None."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        value = _value(node.operand, text)
        if isinstance(value, int | float):
            return -value
    elif isinstance(node, ast.Constant) and isinstance(node.value, bool | int | float | str | None):
        return node.value
    raise _unreadable(text)


def _unreadable(text: str) -> ValueError:
    return ValueError(
        f"transform: cannot read {text!r}; expected names joined by '+', with options in brackets, such as "
        f"{_EXAMPLE}; the names are {', '.join(TRANSFORMS)}"
    )
