"""Reports of what experiments and evaluation return say what those say."""

from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from seqlight.data import CSVDataModule, SyntheticImputationDataModule
from seqlight.evaluation import compare_imputers, fill
from seqlight.experiments import Selection, baselines, select
from seqlight.models import LastValueImputer, LinearInterpolationImputer
from seqlight.predictor import Forecast
from seqlight.report import of_filled, of_selection, of_windows, render

STEPS, CONTEXT, HORIZON = 300, 48, 12
COLUMNS = ["sales", "visits"]


@pytest.fixture(scope="module")
def data() -> CSVDataModule:
    """Hourly values of two columns and three shops, with a gap; the last shop ends early."""
    rng = np.random.default_rng(0)
    frames = []
    for place, name in enumerate(["a", "b", "c"]):
        hours = np.arange(STEPS - 100 * (place == 2))
        wave = np.sin(2 * np.pi * hours / 24)
        sales = 100 * (place + 1) + 30 * wave + rng.normal(0, 3, len(hours))
        sales[50:55] = np.nan
        visits = 10_000 + 500 * wave + rng.normal(0, 50, len(hours))
        times = np.datetime64("2024-03-01", "us") + hours * np.timedelta64(1, "h")
        frames.append(
            pl.DataFrame({"shop": name, "ds": times, "sales": sales, "visits": visits}, nan_to_null=True)
        )
    data = CSVDataModule(
        pl.concat(frames),
        time_col="ds",
        target_cols=COLUMNS,
        id_col="shop",
        context_length=CONTEXT,
        prediction_length=HORIZON,
        missing="mask",
        origin="own",
    )
    data.setup("fit")
    return data


@pytest.fixture(scope="module")
def selection(data: CSVDataModule) -> Selection:
    return select(baselines(data).values(), data)


def test_of_selection(selection: Selection, data: CSVDataModule) -> None:
    report = of_selection(selection, data)
    assert [row.name for row in report.rows] == [f"{shop}, {column}" for shop in "abc" for column in COLUMNS]
    scaled = selection.test.scaled()  # sales and visits have no unit together
    for row, own, relative in zip(report.models, scaled.rows, selection.test.rows, strict=True):
        assert row.name == own["model"]
        assert row.chosen == (row.name == selection.chosen)
        expected = {"MASE": own["mae"], "scaled RMSE": own["rmse"], "sMAPE": relative["smape"]}
        assert own["mae"] == pytest.approx(relative["mase"], rel=1e-5)
        assert row.errors.keys() == expected.keys() | {"scaled bias"}
        for metric, value in expected.items():
            assert row.errors[metric] == pytest.approx(value, rel=1e-5), (row.name, metric)
    assert report.steps is not None
    for name, by_step in zip(report.steps.errors, scaled.by_step, strict=True):
        assert report.steps.errors[name] == pytest.approx(by_step.mae.numpy(), rel=1e-5)
    panel = report.panels[3]
    values = data.store.series(1)[:, 1]
    assert (panel.row.name, panel.unit, len(panel.forecast)) == ("b, visits", "visits", HORIZON)
    assert panel.forecast == pytest.approx(selection.forecast.point[1, :, 1].numpy())
    assert panel.values == pytest.approx(values[-len(panel.values) :], nan_ok=True)
    assert panel.forecast_time[0] == np.datetime64("2024-03-13T12")
    assert panel.forecast_time[0] - panel.time[-1] == np.timedelta64(1, "h")
    # The shop that ended has its forecast where it ended.
    assert report.panels[4].forecast_time[0] == np.datetime64("2024-03-09T08")
    assert {oddity.kind for oddity in report.oddities} >= {"gap", "ended"}
    assert {row.unit for row in report.times} == {"multiples of each series' scale"}
    assert "(MASE) on average" in report.answer[1]
    assert "a, sales" in render(report)


def test_cells_that_do_not_count_are_left_out(selection: Selection, data: CSVDataModule) -> None:
    """Such as those whose window has no known value to forecast from."""
    known = selection.test.known.clone()
    known[::2] = False
    test = replace(selection.test, known=known)
    report = of_selection(replace(selection, test=test), data)
    for row, own, whole in zip(report.models, test.rows, selection.test.rows, strict=True):
        assert row.errors["MASE"] == pytest.approx(own["mase"], rel=1e-5)
        assert abs(own["mase"] / whole["mase"] - 1) > 1e-4


def test_times_of_windows_are_those_of_the_cells(selection: Selection, data: CSVDataModule) -> None:
    """By hour, from the long table that evaluation makes."""
    report = of_selection(selection, data)
    frame = selection.test.scaled().frame(data)
    errors = [
        frame.select(
            pl.col("ds").dt.hour(), error=(pl.col(f"{selection.chosen}-{column}") - pl.col(column)).abs()
        )
        for column in COLUMNS
    ]
    cells = pl.concat(errors).filter(pl.col("error").is_finite())
    hours = cells.group_by("ds").agg(pl.col("error").mean(), pl.len()).sort("ds")
    by_hour = report.times[0]
    assert by_hour.part == "hour of the day"
    assert by_hour.errors == pytest.approx(hours["error"].to_numpy(), rel=1e-4)
    assert by_hour.count.tolist() == hours["len"].to_list()


def test_quantiles_are_bands(selection: Selection, data: CSVDataModule) -> None:
    levels = (0.025, 0.1, 0.5, 0.9, 0.975)

    def widened(forecast: Forecast) -> Forecast:
        offsets = torch.tensor([-9.0, -4.0, 0.0, 5.0, 12.0])
        return Forecast(forecast.point, forecast.point[..., None] + offsets, levels)

    name = selection.chosen
    test = replace(
        selection.test, forecasts=selection.test.forecasts | {name: widened(selection.test.forecasts[name])}
    )
    report = of_selection(replace(selection, forecast=widened(selection.forecast), test=test), data)
    assert [one.level for one in report.coverage] == [80, 95]
    panel = report.panels[0]
    assert list(panel.bands) == [95, 80]
    lower, upper = panel.bands[80]
    assert lower == pytest.approx(panel.forecast - 4) and upper == pytest.approx(panel.forecast + 5)
    off = (test.target - test.forecasts[name].point)[test.known]
    inside = ((off >= -4.0) & (off <= 5.0)).double().mean()
    assert report.coverage[0].inside == pytest.approx(float(inside), abs=2e-3)


def test_spread_and_limits(selection: Selection, data: CSVDataModule) -> None:
    wide = np.full((3, HORIZON, 2), 1e6)
    wide[0, :, 0] = np.nan
    report = of_selection(selection, data, spread={80: (-wide, wide)}, limits=(0.0, None))
    assert not report.panels[0].bands  # nothing is known of its errors
    lower, upper = report.panels[1].bands[80]
    assert (lower == 0).all() and (upper > 1e6).all()


def test_of_windows(selection: Selection, data: CSVDataModule) -> None:
    report = of_windows(selection.test, data, kind="backtest")
    best = min(selection.test.rows, key=lambda row: row["mase"])["model"]
    assert [row.name for row in report.models if row.chosen] == [best]
    assert best in report.answer[0]
    panel = report.panels[0]
    last = int(selection.test.start[selection.test.series_index == 0].max())
    assert len(panel.time) + panel.cut == last
    assert panel.actual == pytest.approx(data.store.series(0)[last : last + HORIZON, 0])
    assert "what came" in render(report)


def test_of_filled() -> None:
    data = SyntheticImputationDataModule(n_series=2, series_length=60)
    data.setup("fit")
    imputers = {
        name: kind(target_size=data.target_size, covariate_size=data.covariate_size)
        for name, kind in {"linear": LinearInterpolationImputer, "last": LastValueImputer}.items()
    }
    values = fill(imputers["linear"], data)
    filled = np.isnan(data.store.values) & np.isfinite(values)
    errors: list[Any] = compare_imputers(imputers, data)
    report = of_filled(
        data, values, filled, errors=errors, chosen={"y": "linear"}, names={"linear": "linear interpolation"}
    )
    assert report.answer[0].startswith(f"{filled.sum():,} missing values of 120")
    assert [(row.method, row.chosen) for row in report.hidden] == [
        ("linear interpolation", True),
        ("last", False),
    ]
    assert [row.errors["MAE"] for row in report.hidden] == [row["mae"] for row in errors]
    assert sum(row.filled for row in report.rows) == filled.sum()
    assert "Filled series" in render(report)
