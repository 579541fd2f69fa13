"""What simple members make of scales, jumps, counts, zeros and two seasons, each against what lacks it."""

from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest

from seqlight.data import CSVDataModule
from seqlight.evaluation import forecast_windows
from seqlight.experiments import portfolio
from seqlight.experiments.members import robust_linear
from seqlight.experiments.simple_forecasts import windows_to_solve
from seqlight.experiments.sizes import window_arguments
from seqlight.models import LinearForecaster

STEPS = 24 * 35
HOUR = np.arange(STEPS)
DAY = np.sin(2 * np.pi * HOUR / 24)


def data_of(columns, **options):
    times = [datetime(2024, 1, 1) + timedelta(hours=number) for number in range(STEPS)]
    frame = pl.concat(
        pl.DataFrame({"id": name, "time": times, "y": np.asarray(values, float)})
        for name, values in columns.items()
    )
    data = CSVDataModule(
        frame,
        time_col="time",
        target_cols="y",
        id_col="id",
        **{"context_length": 48, "prediction_length": 12, "val_size": 96, "test_size": 120} | options,
    )
    data.setup("fit")
    return data


def solved(data, **options):
    """Least squares of each series' own past, with another transform, loss or cycle than the portfolio's."""
    options = {"transform": "instance + last", "channels": "independent", "targets_alone": True} | options
    model = LinearForecaster(**window_arguments(data), **options)
    return model.solve(windows_to_solve(data, model))


def errors(data, **predictors):
    """Mean absolute error on the test part, by model and series."""
    rows = forecast_windows(predictors, data, part="test").by_series
    names = [data.series_ids[index] for index in rows["series_index"]]
    return dict(zip(zip(rows["model"], names, strict=True), rows["mae"], strict=True))


@pytest.fixture
def draw():
    return np.random.default_rng(2)


def test_scales_over_ten_orders(draw):
    """With one scale for all, the small ones are forecast as a mean of noise."""
    shapes = {scale: np.roll(DAY, scale) + 0.1 * draw.normal(size=STEPS) for scale in (-4, -1, 2, 6)}
    data = data_of({f"{scale}": 10.0**scale * (3 + shape) for scale, shape in shapes.items()})
    found = errors(data, ours=robust_linear(data), one_scale=solved(data, transform="standard + last"))
    for scale in shapes:
        assert found["ours", f"{scale}"] < 0.2 * 10.0**scale, scale
    assert found["one_scale", "-4"] > 3 * found["ours", "-4"]


def test_jumps(draw):
    """To a level that training has not seen, and that a transform by the training part does not follow."""
    noise = 0.1 * draw.normal(size=(2, STEPS))
    jumping = 5 + DAY + noise[0] + 40.0 * (HOUR > STEPS - 190)
    data = data_of({"jump": jumping, "steady": 5 + DAY + noise[1]})
    found = errors(data, ours=robust_linear(data), by_level=solved(data, transform="standard", loss="mae"))
    assert found["ours", "jump"] < 0.25 < 2 * found["ours", "jump"] + 0.1
    assert found["by_level", "jump"] > 1.5 * found["ours", "jump"]


def test_counts_and_zeros(draw):
    """The forecast that is off least of counts that mostly are 0 is near 0; squares forecast their mean."""
    columns = {f"part {number}": draw.poisson(0.12, size=STEPS) * (1 + number) for number in range(4)}
    data = data_of(columns)
    ours = robust_linear(data, nonnegative=True)
    found = errors(data, ours=ours, squares=solved(data, nonnegative=True))
    for name in columns:
        assert found["ours", name] < 0.95 * found["squares", name], name
    assert (ours.predict(next(iter(data.test_dataloader()))).point >= 0).all()


def test_two_seasons_at_once(draw):
    """A day and a week, of which the window holds two days: the portfolio takes the cycle of a week."""
    week = np.repeat([0.0, 1.0, -1.5, 2.0, 0.5, -3.0, -2.0], 24)[HOUR % 168]
    data = data_of({"both": 20 + 2 * DAY + 3 * week + 0.2 * draw.normal(size=STEPS)})
    found = portfolio(data, names=[])
    weights = found.weights
    assert weights["cycle (168) + linear"] > 0.5
    error = errors(data, ours=found.predictor, by_day=robust_linear(data, 24))
    assert error["ours", "both"] < 0.4 * error["by_day", "both"]
