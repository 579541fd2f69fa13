"""A module, or several in one file, exported and run in onnxruntime, held against PyTorch."""

import functools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import onnx
import onnxruntime
import pytest
import torch
from torch.onnx._internal.exporter import _registration
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


@pytest.fixture(scope="session", autouse=True)
def translations_read_once() -> Iterator[None]:
    """torch reads the source of its 500 translations at every export, a third of all that one does."""
    read = _registration.onnxscript_apis.get_torchlib_ops
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_registration.onnxscript_apis, "get_torchlib_ops", functools.cache(read))
        yield


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


class Several(torch.nn.Module):
    """Modules of the same inputs as one, for most of an export's time is spent once for each file."""

    def __init__(self, modules: Mapping[str, torch.nn.Module]) -> None:
        super().__init__()
        self.parts = torch.nn.ModuleDict(modules)

    def forward(
        self,
        x: Any = None,
        lengths: Any = None,
        state: Any = None,
        past_target: Any = None,
        historic_future_covariates: Any = None,
        future_covariates: Any = None,
        static_covariates: Any = None,
        past_covariates: Any = None,
        past_categories: Any = None,
        historic_future_categories: Any = None,
        future_categories: Any = None,
        static_categories: Any = None,
        target: Any = None,
        time_gap: Any = None,
    ) -> dict[str, Any]:
        """Those inputs that the modules take; torch.export knows no dynamic sizes of ``**inputs``."""
        given = {name: value for name, value in locals().items() if name != "self" and value is not None}
        return {name: module(**given) for name, module in self.parts.items()}


@pytest.fixture
def exported_equals(tmp_path: Path) -> Check:
    """``exported_equals(module, example, *others)`` counts operators; the results equal within 1e-5.

    A dict of modules becomes one file; ``example`` None takes the inputs that a model says it has.
    """

    def check(
        module: torch.nn.Module | Mapping[str, torch.nn.Module],
        example: Inputs | None,
        others: Iterable[Inputs],
    ) -> Counter[str]:
        path = tmp_path / "module.onnx"
        if isinstance(module, Mapping):
            example = example or next(iter(module.values())).example_inputs(3)
            module = Several(module)
        module.eval()
        export(module, path, example)
        for inputs in others:
            with torch.no_grad():
                expected = module(**inputs)
            results = pytree.tree_unflatten(run(path, inputs), pytree.tree_structure(expected))
            # The message names the one of several that differs.
            torch.testing.assert_close(results, expected, rtol=1e-5, atol=1e-5, equal_nan=True)
        return Counter(operators(onnx.load(path).graph))

    return check
