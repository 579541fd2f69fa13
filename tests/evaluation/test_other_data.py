"""Predictors made for some data are judged on others: series by their ids, texts by their numbers."""

import numpy as np
import polars as pl
import pytest
import torch

from seqlight.data import CSVDataModule
from seqlight.evaluation import compare, forecast_windows
from seqlight.experiments import backtest, build_forecaster
from seqlight.intervals import ConformalPredictor, ForecastWindows, SplitConformal
from seqlight.models import EnsembleForecaster, NaiveForecaster, SeasonalNaiveForecaster

SIZES = {"context_length": 8, "prediction_length": 3}
SHOPS = ("east", "west")


def table() -> pl.DataFrame:
    rng = np.random.default_rng(0)
    times = np.datetime64("2024-01-01", "us") + np.arange(80) * np.timedelta64(1, "h")
    parts = [
        pl.DataFrame(
            {"shop": shop, "ds": times, "y": rng.normal(0, 1, 80), "kind": rng.choice(list("abc"), 80)}
        )
        for shop in SHOPS
    ]
    return pl.concat(parts)


def data_of(frame: pl.DataFrame, **options: object) -> CSVDataModule:
    settings = {"time_col": "ds", "target_cols": "y", "id_col": "shop", **SIZES}
    data = CSVDataModule(frame, **settings | options)  # type: ignore[arg-type]
    data.setup("fit")
    return data


@pytest.fixture
def ensemble() -> EnsembleForecaster:
    """The last value for one shop, that of four hours before for the other."""
    members = [NaiveForecaster(**SIZES), SeasonalNaiveForecaster(season_length=4, **SIZES)]
    own = [[1.0, 0.0], [0.0, 1.0]]
    return EnsembleForecaster.of(members, [0.5, 0.5], series_ids=list(SHOPS), series_weights=own)


def test_series_are_found_by_their_ids(ensemble: EnsembleForecaster) -> None:
    """A file with the second series alone: there it is the first."""
    west = data_of(table().filter(shop="west"))
    windows = ForecastWindows.collect(NaiveForecaster(**SIZES), west.val_dataloader(), quantile_levels=())
    wrapped = ConformalPredictor(ensemble, SplitConformal(50).fit(windows))
    expected = SeasonalNaiveForecaster(season_length=4, **SIZES)
    for predictor in (ensemble, wrapped):
        ensemble.use_series(SHOPS)
        found = forecast_windows({"expected": expected, "it": predictor}, west).forecasts
        assert torch.equal(found["it"].point, found["expected"].point)
        ensemble.use_series(SHOPS)
        of_expected, of_it = compare({"expected": expected, "it": predictor}, west)
        assert of_it["mae"] == of_expected["mae"]
        ensemble.use_series(SHOPS)
        made = backtest({"expected": expected, "it": predictor}, west, windows=2).frame
        assert made["it"].equals(made["expected"])


def test_texts_with_other_numbers_are_refused() -> None:
    columns = {"future_covariate_cols": ["kind"]}
    three = data_of(table(), **columns)
    two = data_of(table().with_columns(pl.col("kind").replace({"a": "b"})), **columns)
    model = build_forecaster("lstm", three, hidden_size=4)
    for judge in (
        lambda: forecast_windows({"it": model}, two),
        lambda: compare({"it": EnsembleForecaster.of([model])}, two),
        lambda: backtest({"it": model}, two, windows=2),
    ):
        with pytest.raises(ValueError, match=r"'kind' with values \['a', 'b', 'c'\]; in the data"):
            judge()
    two.use_schema(three.schema())
    assert forecast_windows({"it": model}, two).windows > 0
