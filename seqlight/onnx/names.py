"""What the inputs, outputs and dynamic axes of an ONNX file are called."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from torch.export import ExportedProgram
from torch.utils import _pytree as pytree


def input_names(inputs: Mapping[str, Any]) -> list[str]:
    """Name the tensors of `inputs`: by their key, numbered where there are several under it."""
    return [name for key, value in inputs.items() for name in _names(key, value)]


def output_names(program: ExportedProgram) -> list[str]:
    """Name what the program returns: ``output`` and, of a pair, ``new_state``."""
    spec = program.call_spec.out_spec
    assert spec is not None, "an exported program knows its outputs"
    made = pytree.tree_unflatten([0] * spec.num_leaves, spec)
    if isinstance(made, tuple) and len(made) == 2:
        return [*_names("output", made[0]), *_names("new_state", made[1])]
    return list(_names("output", made))


def _names(name: str, value: Any) -> Iterator[str]:
    count = len(pytree.tree_leaves(value))
    if not isinstance(value, tuple | list | dict):
        yield name
    else:
        yield from (f"{name}_{number}" for number in range(count))


def name_bodies(graph: Any, word: str) -> None:
    """Name the values inside a Scan by its first result and `word`, so that none is called as one outside."""
    for node in graph:
        for attribute in node.attributes.values():
            if attribute.type.name != "GRAPH":
                continue
            body = attribute.value
            inside = [
                *body.inputs,
                *body.initializers.values(),
                *(value for part in body for value in part.outputs),
            ]
            for number, value in enumerate(inside):
                value.name = f"{node.outputs[0].name}_{word}_{number}"


def name_axes(graph: Any) -> None:
    """Rename torch's symbols of dynamic sizes: ``batch``, ``length``, and else the input and its axis.

    The first axis of the first input is the batch, the second one of its is the length.
    """
    names: dict[str, str] = {}
    for number, value in enumerate(graph.inputs):
        for axis, size in enumerate(value.shape):
            symbol = str(size)
            if symbol.isdigit() or symbol in names:
                continue
            common = ("batch", "length")[axis] if number == 0 and axis < 2 else f"{value.name}_axis_{axis}"
            names[symbol] = common
    pattern = re.compile(r"\w+")
    for value in _values(graph):
        if value.shape is None or value.shape.frozen:
            continue
        for axis, size in enumerate(value.shape):
            if not isinstance(size, int) and size.value is not None:
                renamed = pattern.sub(lambda found: names.get(found[0], found[0]), size.value)
                # torch writes sizes that it found to be constant as text.
                value.shape[axis] = int(renamed) if renamed.isdigit() else renamed


def _values(graph: Any) -> Iterator[Any]:
    seen: set[int] = set()
    everything: Iterable[Any] = (
        *graph.inputs,
        *graph.outputs,
        *(value for node in graph for value in (*node.inputs, *node.outputs) if value is not None),
    )
    for value in everything:
        if id(value) not in seen:
            seen.add(id(value))
            yield value
