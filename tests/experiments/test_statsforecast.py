"""Models of statsforecast as predictors; skipped, by name, where it is not installed."""

from collections.abc import Callable
from types import ModuleType

import numpy as np
import polars as pl
import pytest
import torch

from seqlight.data import CSVDataModule
from seqlight.experiments import StatsForecastPredictor, backtest
from seqlight.predictor import Predictor

SIZES = {"context_length": 48, "prediction_length": 6}


@pytest.fixture(scope="module")
def models() -> ModuleType:
    return pytest.importorskip("statsforecast.models", reason="statsforecast is not installed: not tested")


def past(windows: int = 3) -> torch.Tensor:
    steps = torch.arange(48.0)
    seasons = 50 + 10 * torch.sin(2 * torch.pi * steps / 12)
    noise = torch.randn(windows, 48, 1, generator=torch.Generator().manual_seed(0))
    return seasons[None, :, None] + noise


def test_each_window_is_forecast_as_by_the_library(models: ModuleType) -> None:
    batch = {"past_target": past()}
    predictor = StatsForecastPredictor(models.AutoETS(season_length=12), **SIZES)
    assert isinstance(predictor, Predictor)
    found = predictor.predict(batch, quantile_levels=[0.1, 0.5, 0.9])
    assert found.point.shape == (3, 6, 1) and found.quantile_levels == (0.1, 0.5, 0.9)
    alone = models.AutoETS(season_length=12).forecast(y=past()[1, :, 0].double().numpy(), h=6, level=[80])
    np.testing.assert_allclose(found.point[1, :, 0], alone["mean"], rtol=1e-5)
    np.testing.assert_allclose(found.quantiles[1, :, 0, 0], alone["lo-80"], rtol=1e-5)
    np.testing.assert_allclose(found.quantiles[1, :, 0, 2], alone["hi-80"], rtol=1e-5)
    torch.testing.assert_close(found.quantiles[..., 1], found.point)


def test_missing_cells(models: ModuleType) -> None:
    values = past()
    values[0, 20:23] = torch.nan  # a gap: a straight line
    values[1, -2:] = torch.nan  # the end: forecast too
    values[2] = torch.nan
    found = StatsForecastPredictor(models.Naive(), **SIZES).predict({"past_target": values}).point
    assert found[0, 0, 0] == values[0, -1, 0]
    assert found[1].flatten().tolist() == [values[1, -3, 0].item()] * 6
    assert found[2].isnan().all()
    drift = StatsForecastPredictor(models.RandomWalkWithDrift(), **SIZES).predict({"past_target": values})
    slope = (values[1, -3, 0] - values[1, 0, 0]) / 45
    expected = values[1, -3, 0] + slope * torch.arange(3, 9)
    torch.testing.assert_close(drift.point[1, :, 0], expected, rtol=1e-4, atol=1e-4)


def test_it_is_backtested(
    models: ModuleType, frame: pl.DataFrame, module: Callable[..., CSVDataModule]
) -> None:
    ets = StatsForecastPredictor(models.SeasonalNaive(24), **SIZES)
    found = backtest({"ets": ets}, module(frame, context_length=48), windows=2, level=[80])
    assert found.frame.columns[4:] == ["ets", "ets-lo-80", "ets-hi-80"]
    assert (found.frame["ets-lo-80"] < found.frame["ets"]).all()


def test_what_is_refused(models: ModuleType) -> None:
    predictor = StatsForecastPredictor(models.Naive(), **SIZES)
    with pytest.raises(ValueError, match=r"past_target: expected \[B, 48, 1\], got \[3, 40, 1\]"):
        predictor.predict({"past_target": past()[:, :40]})
    with pytest.raises(ValueError, match="samples: models of statsforecast give none"):
        predictor.predict({"past_target": past()}, samples=3)
    with pytest.raises(TypeError, match=r"model: expected one of statsforecast.models, got str"):
        StatsForecastPredictor("AutoETS", **SIZES)


def test_its_absence_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "statsforecast", None)
    with pytest.raises(ImportError, match=r"pip install 'seqlight\[statsforecast\]'"):
        StatsForecastPredictor(None, **SIZES)
