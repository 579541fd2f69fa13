"""ONNX files with quantiles: those of the network, of paths, and of every transform on the way."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import scipy
import torch

from seqlight import models
from seqlight.heads.counts import count_at
from seqlight.models.forecasting.window_prediction import PointAndQuantiles
from seqlight.onnx import counts, export

SIZES: dict[str, Any] = {"context_length": 12, "prediction_length": 2}
LEVELS = (0.1, 0.5, 0.9)


def forecasters() -> dict[str, Any]:
    torch.manual_seed(0)
    made: dict[str, Any] = {
        "quantile": models.LSTMForecaster(head="quantile", hidden_size=4, strategy="every_step", **SIZES),
        "sums": models.LinearForecaster(head="student_t", transform="difference(1)", num_samples=10, **SIZES),
        "paths": models.LinearForecaster(head="normal", strategy="recursive", num_samples=10, **SIZES),
    }
    made["counts"] = models.LinearForecaster(head="poisson", transform="mean_scale", **SIZES)
    made["sums"].dependence.fitted.fill_(True)
    return {name: one.eval() for name, one in made.items()}


def past_of(rows: int) -> torch.Tensor:
    past = torch.poisson(torch.tensor([0.3, 3.0, 300.0, 5.0, 40.0])[:rows, None, None].expand(-1, 12, 1))
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


class Counts(torch.nn.Module):
    """The heads' quantiles of counts by themselves."""

    def forward(self, x: torch.Tensor, levels: torch.Tensor) -> torch.Tensor:
        return count_at(x[..., :1], x[..., 1:], levels)


def test_quantiles_of_counts_are_those_of_scipy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counts, "LARGEST", 5000)
    generator = torch.Generator().manual_seed(0)
    mean = 10 ** (3 * torch.rand(200, 1, generator=generator) - 1)
    dispersion = 10 ** (5 * torch.rand(200, 1, generator=generator) - 5)
    dispersion[::5] = 0.0  # Poisson's distribution
    levels = torch.tensor([-5.6, -2.0, 0.0, 1.0, 3.0, 5.4])
    x = torch.cat([mean, dispersion], 1)
    x[3, 0] = math.nan
    path = tmp_path / "counts.onnx"
    export(Counts().eval(), path, {"x": x[:4], "levels": levels})
    session = onnxruntime.InferenceSession(path)
    (found,) = session.run(None, {"x": x.numpy(), "levels": levels.numpy()})
    m, a = x.double().numpy().T[..., None]
    p = scipy.special.ndtr(levels.double().clamp(-5.5, 5.5).numpy())
    with np.errstate(divide="ignore", invalid="ignore"):
        negative_binomial = scipy.stats.nbinom.ppf(p, 1 / a, 1 / (1 + a * m))
        expected = np.where(a > 0, negative_binomial, scipy.stats.poisson.ppf(p, m))
    np.testing.assert_array_equal(found, expected)
    assert np.isnan(found[3]).all() and np.isfinite(np.delete(found, 3, 0)).all()
    (beyond,) = session.run(
        None, {"x": np.array([[6000, 1e-6]], np.float32), "levels": np.zeros(1, np.float32)}
    )
    assert np.isnan(beyond).all()  # and is not taken for a count
