"""A module exported and run in onnxruntime, held against PyTorch."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import onnx
import onnxruntime
import pytest
import torch
from torch.utils import _pytree as pytree

from seqlight import _extension
from seqlight.onnx import export
from seqlight.onnx.names import input_names

Inputs = Mapping[str, Any]
Check = Callable[..., Counter[str]]


@pytest.fixture(scope="session", autouse=True)
def native() -> None:
    """Recurrent layers are exported through the native ops alone."""
    if not _extension.available:
        pytest.skip(f"no native extension: {_extension.build_info()['reason']}")


def operators(graph: Any) -> Iterator[str]:
    """All operators of a graph, those of the bodies of Scans too."""
    for node in graph.node:
        yield node.op_type
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                yield from operators(attribute.g)


def run(path: Path, inputs: Inputs) -> list[torch.Tensor]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options)
    tensors = pytree.tree_leaves(inputs)
    feed = {name: tensor.numpy() for name, tensor in zip(input_names(inputs), tensors, strict=True)}
    return [torch.from_numpy(output) for output in session.run(None, feed)]


@pytest.fixture
def exported_equals(tmp_path: Path) -> Check:
    """``exported_equals(module, example, *others)`` counts operators; the results equal within 1e-5."""

    def check(module: torch.nn.Module, example: Inputs | None, others: Iterable[Inputs]) -> Counter[str]:
        path = tmp_path / "module.onnx"
        module.eval()
        export(module, path, example)
        for inputs in others:
            with torch.no_grad():
                expected = pytree.tree_leaves(module(**inputs))
            results = run(path, inputs)
            torch.testing.assert_close(results, expected, rtol=1e-5, atol=1e-5, equal_nan=True)
        return Counter(operators(onnx.load(path).graph))

    return check
