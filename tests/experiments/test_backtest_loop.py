"""A backtest at one time for all series equals a loop that cuts the file there and forecasts.

The series are of business days; they begin and end when they like, have gaps, static columns and columns that
are known ahead.
"""

from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from seqlight.data import CSVDataModule, ForecastDataModule
from seqlight.experiments import backtest, forecast_future, train_forecaster
from seqlight.experiments.simple_forecasts import least_squares
from seqlight.models import NaiveForecaster

HORIZON, WINDOWS, STEP = 5, 3, 7
ROWS = {"first": (0, 160), "late": (90, 160), "ended": (20, 152)}  # begin and end of the known values
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


def made() -> pl.DataFrame:
    """Columns ``id, day, y, holiday, area, kind``; what is known ahead goes on for a window."""
    rng = np.random.default_rng(0)
    days = np.busday_offset("2023-01-02", np.arange(160 + HORIZON)).astype("datetime64[us]")
    frames = []
    for place, (name, (begin, end)) in enumerate(ROWS.items()):
        step = np.arange(begin, 160 + HORIZON)
        holiday = (rng.uniform(size=len(step)) < 0.1).astype(float)
        y = 20 * (place + 1) + 3 * np.sin(2 * np.pi * step / 5) - 4 * holiday + rng.normal(0, 0.5, len(step))
        y[(step >= end) | (step == 100) | ((step > 40) & (step < 46))] = np.nan
        columns = {"id": [name] * len(step), "day": days[begin:], "y": y, "holiday": holiday}
        columns |= {"area": [10.0 * place] * len(step), "kind": ["ab"[place % 2]] * len(step)}
        frames.append(pl.DataFrame(columns, nan_to_null=True))
    return pl.concat(frames)


def module(frame: pl.DataFrame, **options: Any) -> CSVDataModule:
    data = CSVDataModule(
        frame,
        time_col="day",
        target_cols="y",
        id_col="id",
        future_covariate_cols=["holiday"],
        static_cols=["area", "kind"],
        calendar_features=["day_of_week"],
        context_length=12,
        prediction_length=HORIZON,
        frequency="1b",
        missing="mask",
        **options,
    )
    data.setup("fit")
    return data


def network(data: ForecastDataModule) -> Any:
    options = {"hidden_size": 4, "transform": "standard"}
    return train_forecaster("lstm", data, seed=3, options=options, epochs=1, accelerator="cpu").predictor


def linear(data: ForecastDataModule) -> Any:
    return least_squares(data)


def test_it_is_a_loop_that_cuts_the_file_at_one_time() -> None:
    frame = made()
    models = {"network": network, "linear": linear}
    simple = {"naive": NaiveForecaster(context_length=12, prediction_length=HORIZON)}
    data = module(frame)
    found = backtest(models | simple, data, windows=WINDOWS, step_size=STEP, refit=True)
    assert found.windows[-1].judged.tolist() == [True, True, False]
    for number, window in enumerate(found.windows):
        back = HORIZON + STEP * (WINDOWS - 1 - number)
        cutoff = np.busday_offset("2023-01-02", 160 - back).astype("datetime64[us]").item()
        ahead = np.busday_offset("2023-01-02", 160 - back + HORIZON).astype("datetime64[us]").item()
        cut = frame.filter(pl.col("day") < ahead).with_columns(y=pl.when(pl.col("day") < cutoff).then("y"))
        own = module(cut, test_size=0, origin="common")
        made_of_it = {name: recipe(own) for name, recipe in models.items()} | simple
        for name, model in made_of_it.items():
            expected, series, start = forecast_future(model, own)
            keep = [place for place, one in enumerate(series.tolist()) if window.judged[one]]
            torch.testing.assert_close(window.forecasts.forecasts[name].point, expected.point[keep])
            assert window.forecasts.start.tolist() == start[keep].tolist()
            assert window.forecasts.series_index.tolist() == series[keep].tolist()
