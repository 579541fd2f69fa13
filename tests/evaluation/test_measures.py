"""Measures of windows, made again by hand from each window's own history."""

import numpy as np
import polars as pl
import pytest
import torch

from seqlight.data import CSVDataModule
from seqlight.evaluation import measure_rows, measures
from seqlight.experiments import backtest
from seqlight.metrics.functional import naive2, seasonal_naive_scale, weighted_quantile_loss
from seqlight.metrics.probabilistic import NINE_LEVELS
from seqlight.models import NaiveForecaster
from seqlight.predictor import Forecast

SEASON, HORIZON = 12, 6


class Spread(NaiveForecaster):
    """The last value again, with quantiles a step apart."""

    def predict(self, batch, *, quantile_levels=(), samples=0):
        point = super().predict(batch).point
        levels = tuple(quantile_levels)
        if not levels:
            return Forecast(point)
        return Forecast(point, point[..., None] + 10 * (torch.tensor(levels) - 0.5), levels)


@pytest.fixture(scope="module")
def found():
    """Two months-like series of different lengths, one with a gap; windows overlap."""
    rng = np.random.default_rng(0)
    frames = []
    for name, length in (("long", 120), ("short", 80)):
        step = np.arange(length)
        values = 50 + 20 * np.sin(2 * np.pi * step / SEASON) + rng.normal(0, 2, length)
        values[40] = np.nan
        times = np.datetime64("2024-01-01", "us") + (120 - length + step) * np.timedelta64(1, "D")
        frames.append(pl.DataFrame({"id": [name] * length, "ds": times, "y": values}, nan_to_null=True))
    data = CSVDataModule(
        pl.concat(frames),
        time_col="ds",
        target_cols="y",
        id_col="id",
        context_length=24,
        prediction_length=HORIZON,
        season_length=SEASON,
        missing="mask",
    )
    models = {"naive": NaiveForecaster(context_length=24, prediction_length=HORIZON)}
    models["spread"] = Spread(context_length=24, prediction_length=HORIZON)
    made = backtest(models, data, windows=4, step_size=3, level=[20, 40, 60, 80])
    return made, data


def test_they_are_those_of_each_windows_own_history(found, monkeypatch) -> None:
    made, data = found
    windows = made.forecasts
    monkeypatch.setattr(measure_rows, "CELLS_AT_ONCE", 300)  # two or three histories at a time
    rows = {row["model"]: row for row in measures(windows, data)}
    point, target = windows.forecasts["naive"].point.double(), windows.target.double()
    simple, squared = [], []
    for series, start in zip(windows.series_index.tolist(), windows.start.tolist(), strict=True):
        past = torch.from_numpy(data.store.series(series)[:start].astype(np.float64))[None]
        simple.append(naive2(past, HORIZON, SEASON))
        squared.append(seasonal_naive_scale(past, SEASON, squared=True))
    simple, squared = torch.cat(simple), torch.cat(squared)
    error, scale = point - target, windows.scale.double()[:, None]
    assert rows["naive"]["bias"] == pytest.approx(error.mean().item())
    assert rows["naive"]["scaled_bias"] == pytest.approx((error / scale).mean().item())
    assert rows["naive"]["rmsse"] == pytest.approx((error.square() / squared[:, None]).mean().sqrt().item())

    def smape(preds):
        return (2 * (preds - target).abs() / (preds.abs() + target.abs())).mean()

    other = simple - target
    owa = (smape(point) / smape(simple) + (error / scale).abs().mean() / (other / scale).abs().mean()) / 2
    assert rows["naive"]["owa"] == pytest.approx(owa.item())
    places = zip(windows.series_index.tolist(), windows.start.tolist(), strict=True)
    order = {place: row for row, place in enumerate(places)}
    changes = [
        (point[row, :-3] - point[order[series, start - 3], 3:]).abs() / scale[row]
        for (series, start), row in order.items()
        if (series, start - 3) in order
    ]
    assert rows["naive"]["stability"] == pytest.approx(torch.stack(changes).mean().item())


def test_quantiles_where_there_are_nine_and_points_elsewhere(found) -> None:
    made, data = found
    windows = made.forecasts
    rows = {row["model"]: row for row in measures(windows, data)}
    point, target = windows.forecasts["naive"].point.double(), windows.target.double()
    wape = (point - target).abs().sum() / target.abs().sum()
    assert rows["naive"]["wql"] == pytest.approx(wape.item())
    assert np.isnan(rows["naive"]["crps"])
    nine = point[..., None] + 10 * (torch.tensor(NINE_LEVELS, dtype=torch.float64) - 0.5)
    assert rows["spread"]["wql"] == pytest.approx(
        weighted_quantile_loss(nine, target, NINE_LEVELS).item(), rel=1e-5
    )
    assert 0 < rows["spread"]["crps"] < (point - target).abs().mean()
