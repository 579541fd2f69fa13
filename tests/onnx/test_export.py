"""What the file looks like, and what is refused."""

import re
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch

import seqlight
from seqlight import nn
from seqlight.models import LSTMForecaster, NaiveForecaster
from seqlight.onnx import export

X = {"x": torch.zeros(2, 5, 3)}


def sizes(values: Any) -> dict[str, list[Any]]:
    return {
        value.name: [size.dim_param or size.dim_value for size in value.type.tensor_type.shape.dim]
        for value in values
    }


def test_names_and_dynamic_sizes(tmp_path: Path) -> None:
    path = tmp_path / "lstm.onnx"
    state = torch.zeros(1, 2, 4), torch.zeros(1, 2, 4)
    export(nn.LSTM(3, 4).eval(), path, X | {"state": state})
    graph = onnx.load(path).graph
    after = {"new_state_0": [1, "batch", 4], "new_state_1": [1, "batch", 4]}
    assert sizes(graph.input) == {
        "x": ["batch", "length", 3],
        "state_0": [1, "batch", 4],
        "state_1": [1, "batch", 4],
    }
    assert sizes(graph.output) == {"output": ["batch", "length", 4]} | after
    # The two states are taken apart by layer; weights are in ONNX's order and not brought into it later.
    assert [node.op_type for node in graph.node].count("Gather") == 2


def test_lightnings_method_leaves_the_mode_alone(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    forecaster = LSTMForecaster(context_length=6, prediction_length=2, hidden_size=2)
    forecaster.transform.eval()
    forecaster.to_onnx(path, outputs=["forecast"])
    assert forecaster.training and forecaster.network.training and not forecaster.transform.training
    graph = onnx.load(path).graph
    assert sizes(graph.input) == {"past_target": ["batch", 6, 1]}
    assert sizes(graph.output) == {"forecast": ["batch", 2, 1]}


class Doubling(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.expand(2, -1, -1) * 2


@pytest.mark.parametrize(
    ("module", "inputs", "error", "message"),
    [
        (nn.GRU(3, 4), X, ValueError, "GRU expected in evaluation mode, but it is in training mode"),
        (nn.GRU(3, 4).eval(), None, ValueError, "example_inputs: needed, for GRU has no method"),
        (nn.GRU(3, 4).eval(), torch.zeros(2, 5, 3), TypeError, "expected a dict of keyword arguments"),
        (nn.GRU(3, 4).eval(), {"x": 3}, TypeError, "expected tensors, or tuples and dicts of them, got int"),
        (nn.GRU(3, 4).eval(), {"x": torch.zeros(1, 5, 3)}, ValueError, "'x', the batch, came out as the"),
        (nn.GRU(3, 4).double().eval(), X, TypeError, "weight_ih_l0 is torch.float64; use module.float"),
        (nn.GRU(3, 4, device="meta").eval(), X, ValueError, "weight_ih_l0 is on meta; use module.cpu"),
        (lambda x: x, X, TypeError, "module: expected a torch.nn.Module, got function"),
        (Doubling().eval(), X, ValueError, "forward does not depend on their number"),
    ],
)
def test_refused(tmp_path: Path, module: Any, inputs: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=re.escape(message)):
        export(module, tmp_path / "no.onnx", inputs)
    assert not list(tmp_path.iterdir())


def test_wrong_number_of_names(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"outputs: expected 2 names.*\(output, new_state\), got \['y'\]"):
        export(nn.GRU(3, 4).eval(), tmp_path / "no.onnx", X, outputs=["y"])


def test_no_unrolled_loop_without_the_native_ops(tmp_path: Path) -> None:
    with (
        seqlight.use_backend("reference"),
        pytest.raises(RuntimeError, match=r"would be unrolled.*built with a C\+\+ compiler"),
    ):
        export(nn.LSTM(3, 4).eval(), tmp_path / "no.onnx", X)
    with seqlight.use_backend("reference"):
        export(NaiveForecaster(context_length=6, prediction_length=2).eval(), tmp_path / "naive.onnx")


def test_missing_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "onnxscript", None)
    with pytest.raises(ImportError, match=r"'onnxscript': pip install 'seqlight\[onnx\]'"):
        export(nn.GRU(3, 4).eval(), tmp_path / "no.onnx", X)
