"""ONNX files with quantiles: those of the network, of paths, and of every transform on the way."""

import math
from pathlib import Path
from typing import Any

import onnx
import onnxruntime
import pytest
import torch

from seqlight import models
from seqlight.models.forecasting.window_prediction import PointAndQuantiles

SIZES: dict[str, Any] = {"context_length": 12, "prediction_length": 2}
LEVELS = (0.1, 0.5, 0.9)


def forecasters() -> dict[str, Any]:
    torch.manual_seed(0)
    made: dict[str, Any] = {
        "quantile": models.LSTMForecaster(head="quantile", hidden_size=4, strategy="every_step", **SIZES),
        "sums": models.LinearForecaster(head="student_t", transform="difference(1)", num_samples=10, **SIZES),
        "paths": models.LinearForecaster(head="normal", strategy="recursive", num_samples=10, **SIZES),
    }
    made["sums"].dependence.fitted.fill_(True)
    return {name: one.eval() for name, one in made.items()}


def past_of(rows: int) -> torch.Tensor:
    past = 1 + torch.rand(rows, 12, 1)
    past[0, :5] = math.nan
    return past


def test_quantiles_of_several_heads(exported_equals: Any) -> None:
    modules = {name: PointAndQuantiles(one, LEVELS) for name, one in forecasters().items()}
    exported_equals(modules, {"past_target": past_of(3)}, [{"past_target": past_of(5)}])


def test_a_file_names_point_and_quantiles(tmp_path: Path) -> None:
    forecaster = models.LinearForecaster(head="quantile", quantiles=[0.25, 0.5], **SIZES)
    path = tmp_path / "forecaster.onnx"
    forecaster.to_onnx(path)
    assert forecaster.training
    assert [one.name for one in onnx.load(path).graph.output] == ["output", "quantiles"]
    past = past_of(4)
    session = onnxruntime.InferenceSession(path)
    point, quantiles = map(torch.from_numpy, session.run(None, {"past_target": past.numpy()}))
    forecast = forecaster.predict({"past_target": past}, quantile_levels=(0.25, 0.5))
    torch.testing.assert_close(point, forecast.point, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(quantiles, forecast.quantiles, rtol=1e-5, atol=1e-5)
    with pytest.raises(ValueError, match=r"0\.1 not trained"):
        forecaster.to_onnx(path, quantile_levels=(0.1,))
